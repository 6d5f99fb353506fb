//! Trust anchors: from the system, from files and directories, from memory.

use std::path::Path;

use pki_types::{CertificateDer, TrustAnchor};

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

    /// Every certificate in the PEM files of a directory, as `openssl rehash` fills one. What cannot be read
    /// there is an error: an administrator named the directory.
    pub fn add_directory(&mut self, path: &Path) -> Result<(), Error> {
        let source = crate::error::escape(path.as_os_str().as_encoded_bytes());
        let found = rustls_native_certs::load_certs_from_paths(None, Some(path));
        if let Some(error) = found.errors.first() {
            let reason = crate::error::escape(error.to_string().as_bytes());
            return Err(Error::local(Code::File, format!("cannot read the directory {source}: {reason}")));
        }
        let mut added = Vec::new();
        for certificate in &found.certs {
            let Some(anchor) = anchor(certificate) else {
                let message = format!("a certificate in a file of {source} cannot be read");
                return Err(Error::local(Code::CertificateParse, message));
            };
            added.push(anchor);
        }
        if added.is_empty() {
            return Err(Error::local(
                Code::CertificateParse,
                format!("no certificate in a file of {source}"),
            ));
        }
        self.anchors.append(&mut added);
        Ok(())
    }

    /// Every certificate of a PEM text. One that cannot be an anchor is an error: an administrator named it.
    pub fn add_pem(&mut self, pem: &Pem) -> Result<(), Error> {
        let mut added = Vec::new();
        for (n, certificate) in pem.certificates()?.iter().enumerate() {
            let Some(anchor) = anchor(certificate) else {
                let message = format!("certificate {} in {} cannot be read", n + 1, pem.source());
                return Err(Error::local(Code::CertificateParse, message));
            };
            added.push(anchor);
        }
        self.anchors.append(&mut added);
        Ok(())
    }
}

fn anchor(certificate: &CertificateDer<'_>) -> Option<TrustAnchor<'static>> {
    webpki::anchor_from_trusted_cert(certificate).ok().map(|anchor| anchor.to_owned())
}
