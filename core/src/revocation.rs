//! Certificate revocation lists (RFC 5280 section 5).

use std::sync::Arc;

use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_cert::certificate::Raw;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;

use crate::pem::Pem;
use crate::{Code, Error};

/// The revocation lists of a configuration. They hold for every certificate of a chain to its trust anchors; a
/// certificate whose issuer has no list here passes. DANE and fingerprints know no revocation.
#[derive(Clone, Default)]
pub(crate) struct RevocationLists {
    /// The newest first: webpki asks the first list of an issuer, and no other.
    lists: Vec<(u64, Arc<CertRevocationList<'static>>)>,
}

impl RevocationLists {
    /// Every list of a PEM text, or one in DER.
    pub fn add(&mut self, pem: &Pem) -> Result<(), Error> {
        let mut added = Vec::new();
        for (n, list) in pem.revocation_lists()?.iter().enumerate() {
            match OwnedCertRevocationList::from_der(list) {
                Ok(parsed) => added.push((issued(list), Arc::new(parsed.into()))),
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
        self.lists.sort_by_key(|(issued, _)| std::cmp::Reverse(*issued));
        Ok(())
    }

    pub fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().map(|(_, list)| list.as_ref()).collect()
    }
}

/// When a list was issued, in seconds since 1970.
fn issued(list: &[u8]) -> u64 {
    let list = CertificateList::<Raw>::from_der(list);
    list.map_or(0, |list| list.tbs_cert_list.this_update.to_unix_duration().as_secs())
}
