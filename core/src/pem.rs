//! Reading PEM files and PEM text, with errors that name the file.

use std::path::Path;

use pki_types::pem::{PemObject, SectionKind};
use pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::Zeroizing;

use crate::{Code, Error};

/// The largest file that is read: no list of authorities, and no chain, comes near.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What a file of key pairs has.
pub(crate) enum Section {
    Certificate(CertificateDer<'static>),
    Key(PrivateKeyDer<'static>),
}

/// PEM text and where it came from. The text is wiped when it is dropped, since it may hold a key.
pub(crate) struct Pem {
    text: Zeroizing<Vec<u8>>,
    source: String,
}

impl Pem {
    pub fn from_file(path: &Path) -> Result<Pem, Error> {
        let source = crate::error::escape(path.as_os_str().as_encoded_bytes());
        Ok(Pem { text: crate::file::read(path, LARGEST)?, source })
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
        let certificates = self.certificates_if_any()?;
        match certificates.is_empty() {
            true => Err(Error::local(Code::CertificateParse, format!("no certificate in {}", self.source))),
            false => Ok(certificates),
        }
    }

    /// Every certificate, in the order of the text.
    pub fn certificates_if_any(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let found = self.sections(SectionKind::Certificate, Code::CertificateParse)?;
        Ok(found.into_iter().map(CertificateDer::from).collect())
    }

    /// The sections of a kind; `code` is for a text that is damaged.
    fn sections(&self, wanted: SectionKind, code: Code) -> Result<Vec<Vec<u8>>, Error> {
        let mut found = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&self.text) {
            match section {
                Ok((kind, der)) if kind == wanted => found.push(der),
                Ok((_, other)) => drop(Zeroizing::new(other)),
                Err(error) => {
                    let message = format!("{} is damaged: {}", self.source, describe(&error));
                    return Err(Error::local(code, message));
                }
            }
        }
        Ok(found)
    }

    /// Every certificate and every private key, in the order of the text, each with the line where it begins.
    pub fn keys_and_certificates(&self) -> Result<Vec<(usize, Section)>, Error> {
        self.check_not_encrypted()?;
        let begins = |line: &[u8]| {
            let line = line.trim_ascii();
            line.starts_with(b"-----BEGIN ")
                && (line.ends_with(b" PRIVATE KEY-----") || line.ends_with(b"-----BEGIN CERTIFICATE-----"))
        };
        let lines = self.text.split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| begins(line));
        let mut lines = lines.map(|(_, number)| number);
        let mut found = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&self.text) {
            let section = match section {
                Ok((SectionKind::Certificate, der)) => Section::Certificate(der.into()),
                Ok((SectionKind::PrivateKey, der)) => Section::Key(PrivatePkcs8KeyDer::from(der).into()),
                Ok((SectionKind::RsaPrivateKey, der)) => Section::Key(PrivatePkcs1KeyDer::from(der).into()),
                Ok((SectionKind::EcPrivateKey, der)) => Section::Key(PrivateSec1KeyDer::from(der).into()),
                Ok((_, other)) => {
                    drop(Zeroizing::new(other));
                    continue;
                }
                Err(error) => {
                    let line = lines.next().unwrap_or(0);
                    let message =
                        format!("{}, line {line}: it is damaged: {}", self.source, describe(&error));
                    return Err(Error::local(Code::CertificateParse, message));
                }
            };
            found.push((lines.next().unwrap_or(0), section));
        }
        Ok(found)
    }

    /// Every revocation list, in the order of the text; at least one. A file in DER is one.
    pub fn revocation_lists(&self) -> Result<Vec<Vec<u8>>, Error> {
        const SEQUENCE: u8 = 0x30;
        if self.text.first() == Some(&SEQUENCE) {
            return Ok(vec![self.text.to_vec()]);
        }
        let lists = self.sections(SectionKind::Crl, Code::CrlParse)?;
        match lists.is_empty() {
            true => Err(Error::local(Code::CrlParse, format!("no revocation list in {}", self.source))),
            false => Ok(lists),
        }
    }

    fn check_not_encrypted(&self) -> Result<(), Error> {
        let has = |words: &[u8]| self.text.windows(words.len()).any(|window| window == words);
        if has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED") {
            let message = format!(
                "the private key in {} is encrypted; decrypt it first, for example with `openssl pkey`",
                self.source
            );
            return Err(Error::local(Code::KeyEncrypted, message));
        }
        Ok(())
    }

    /// The first private key.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        self.check_not_encrypted()?;
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|error| {
            let message = match error {
                pki_types::pem::Error::NoItemsFound => format!("no private key in {}", self.source),
                error => format!("{} is damaged: {}", self.source, describe(&error)),
            };
            Error::local(Code::KeyParse, message)
        })
    }
}

/// What is wrong with a PEM text, without a list of octets.
fn describe(error: &pki_types::pem::Error) -> String {
    match error {
        pki_types::pem::Error::MissingSectionEnd { end_marker } => {
            format!("a section has no line \"-----END {}\"", crate::error::escape(end_marker))
        }
        error => error.to_string().split(": [").next().unwrap_or_default().to_string(),
    }
}
