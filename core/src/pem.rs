//! Reading PEM files and PEM text, with errors that name the file.

use std::path::Path;

use pki_types::pem::{PemObject, SectionKind};
use pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::{Code, Error};

/// The largest file that is read: no list of authorities, and no chain, comes near.
const LARGEST: u64 = 16 * 1024 * 1024;

/// PEM text and where it came from. The text is wiped when it is dropped, since it may hold a key.
pub(crate) struct Pem {
    text: Zeroizing<Vec<u8>>,
    source: String,
}

impl Pem {
    pub fn from_file(path: &Path) -> Result<Pem, Error> {
        let source = crate::error::escape(path.as_os_str().as_encoded_bytes());
        let failed = |error| Error::local_io(Code::File, format!("cannot read {source}"), &error);
        let size = std::fs::metadata(path).map_err(failed)?.len();
        if size > LARGEST {
            return Err(Error::local(Code::File, format!("{source} is larger than {LARGEST} bytes")));
        }
        let text = Zeroizing::new(std::fs::read(path).map_err(failed)?);
        Ok(Pem { text, source })
    }

    pub fn from_memory(text: &[u8]) -> Pem {
        Pem { text: Zeroizing::new(text.to_vec()), source: "the PEM text".to_string() }
    }

    /// Where the text came from, for messages.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every certificate, in the order of the text; at least one.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let mut certificates = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&self.text) {
            match section {
                Ok((SectionKind::Certificate, der)) => certificates.push(CertificateDer::from(der)),
                Ok((_, other)) => drop(Zeroizing::new(other)),
                Err(error) => {
                    let message = format!("{} is damaged: {error}", self.source);
                    return Err(Error::local(Code::CertificateParse, message));
                }
            }
        }
        match certificates.is_empty() {
            true => Err(Error::local(Code::CertificateParse, format!("no certificate in {}", self.source))),
            false => Ok(certificates),
        }
    }

    /// Every revocation list, in the order of the text; at least one. A file in DER is one.
    pub fn revocation_lists(&self) -> Result<Vec<Vec<u8>>, Error> {
        const SEQUENCE: u8 = 0x30;
        if self.text.first() == Some(&SEQUENCE) {
            return Ok(vec![self.text.to_vec()]);
        }
        let mut lists = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&self.text) {
            match section {
                Ok((SectionKind::Crl, der)) => lists.push(der),
                Ok((_, other)) => drop(Zeroizing::new(other)),
                Err(error) => {
                    let message = format!("{} is damaged: {error}", self.source);
                    return Err(Error::local(Code::CrlParse, message));
                }
            }
        }
        match lists.is_empty() {
            true => Err(Error::local(Code::CrlParse, format!("no revocation list in {}", self.source))),
            false => Ok(lists),
        }
    }

    /// The first private key.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        let has = |words: &[u8]| self.text.windows(words.len()).any(|window| window == words);
        if has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED") {
            let message = format!(
                "the private key in {} is encrypted; decrypt it first, for example with `openssl pkey`",
                self.source
            );
            return Err(Error::local(Code::KeyEncrypted, message));
        }
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|error| {
            let message = match error {
                pki_types::pem::Error::NoItemsFound => format!("no private key in {}", self.source),
                error => format!("{} is damaged: {error}", self.source),
            };
            Error::local(Code::KeyParse, message)
        })
    }
}
