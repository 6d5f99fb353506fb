//! Certificate revocation lists (RFC 5280 section 5).

use std::sync::Arc;

use webpki::{CertRevocationList, OwnedCertRevocationList};

use crate::pem::Pem;
use crate::{Code, Error};

/// The revocation lists of a configuration. They hold for every certificate of a chain to its trust anchors; a
/// certificate whose issuer has no list here passes. DANE and fingerprints know no revocation.
#[derive(Clone, Default)]
pub(crate) struct RevocationLists {
    lists: Vec<Arc<CertRevocationList<'static>>>,
}

impl RevocationLists {
    /// Every list of a PEM text, or one in DER.
    pub fn add(&mut self, pem: &Pem) -> Result<(), Error> {
        let mut added = Vec::new();
        for (n, list) in pem.revocation_lists()?.iter().enumerate() {
            match OwnedCertRevocationList::from_der(list) {
                Ok(list) => added.push(Arc::new(list.into())),
                Err(error) => {
                    let why = match error {
                        webpki::Error::UnsupportedDeltaCrl => "it is a delta list",
                        webpki::Error::UnsupportedIndirectCrl => "it is an indirect list",
                        webpki::Error::UnsupportedCrlVersion => "it is not of version 2",
                        _ => "it is not well-formed",
                    };
                    let message =
                        format!("revocation list {} in {} cannot be used: {why}", n + 1, pem.source());
                    return Err(Error::local(Code::CrlParse, message));
                }
            }
        }
        self.lists.append(&mut added);
        Ok(())
    }

    pub fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().map(AsRef::as_ref).collect()
    }
}
