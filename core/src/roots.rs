//! Trust anchors: from the system, from files and directories, from memory.

use std::collections::BTreeSet;
use std::path::Path;

use pki_types::{CertificateDer, TrustAnchor};
use x509_cert::der::{Reader, SliceReader};

use crate::pem::Pem;
use crate::{Code, Error};

/// The trust anchors of a configuration.
#[derive(Clone, Default)]
pub(crate) struct Roots {
    anchors: Vec<TrustAnchor<'static>>,
}

impl Roots {
    pub fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// What the system trusts. A damaged entry among many is passed over, as other software does; an empty
    /// store is an error.
    pub fn add_system(&mut self) -> Result<(), Error> {
        let found = rustls_native_certs::load_native_certs();
        let before = self.anchors.len();
        self.anchors.extend(found.certs.iter().filter_map(anchor));
        if self.anchors.len() > before {
            return Ok(());
        }
        let reason = match found.errors.first() {
            Some(error) => crate::error::escape(error.to_string().as_bytes()),
            None => "it is empty; install the package ca-certificates".to_string(),
        };
        Err(Error::local(Code::NoRoots, format!("the system's trust store cannot be used: {reason}")))
    }

    /// Every certificate in the PEM files of a directory, as `openssl rehash` fills one: a link and what it leads to
    /// are read once. A file without a certificate is passed over; one that cannot be read, or is damaged, is an
    /// error, since an administrator named the directory.
    pub fn add_directory(&mut self, path: &Path) -> Result<(), Error> {
        let source = crate::error::escape(path.as_os_str().as_encoded_bytes());
        let failed =
            |error| Error::local_io(Code::File, format!("cannot read the directory {source}"), &error);
        let mut files = BTreeSet::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            // A link that leads nowhere stays as it is, and fails when it is read.
            let file = std::fs::canonicalize(&file).unwrap_or(file);
            if !file.is_dir() {
                files.insert(file);
            }
        }
        let before = self.anchors.len();
        for file in files {
            let pem = Pem::from_file(&file)?;
            self.add_certificates(&pem, &pem.certificates_if_any()?)?;
        }
        match self.anchors.len() > before {
            true => Ok(()),
            false => {
                Err(Error::local(Code::CertificateParse, format!("no certificate in a file of {source}")))
            }
        }
    }

    /// Every certificate of a PEM text. One that cannot be an anchor is an error: an administrator named it.
    pub fn add_pem(&mut self, pem: &Pem) -> Result<(), Error> {
        self.add_certificates(pem, &pem.certificates()?)
    }

    /// Every certificate in DER, one behind the other.
    pub fn add_der(&mut self, der: &[u8]) -> Result<(), Error> {
        let unreadable = |n: usize| {
            let message = format!("certificate {n} in DER cannot be read");
            Error::local(Code::CertificateParse, message)
        };
        let mut rest = SliceReader::new(der).map_err(|_| unreadable(1))?;
        for n in 1.. {
            let certificate = rest.tlv_bytes().ok().map(CertificateDer::from);
            let anchor = certificate.as_ref().and_then(anchor).ok_or_else(|| unreadable(n))?;
            self.anchors.push(anchor);
            if rest.is_finished() {
                break;
            }
        }
        Ok(())
    }

    fn add_certificates(&mut self, pem: &Pem, certificates: &[CertificateDer<'_>]) -> Result<(), Error> {
        for (n, certificate) in certificates.iter().enumerate() {
            let Some(anchor) = anchor(certificate) else {
                let message = format!("certificate {} in {} cannot be read", n + 1, pem.source());
                return Err(Error::local(Code::CertificateParse, message));
            };
            self.anchors.push(anchor);
        }
        Ok(())
    }
}

fn anchor(certificate: &CertificateDer<'_>) -> Option<TrustAnchor<'static>> {
    webpki::anchor_from_trusted_cert(certificate).ok().map(|anchor| anchor.to_owned())
}
