//! Key pairs: a certificate chain and its private key, checked against each other.

use std::sync::Arc;

use pki_types::CertificateDer;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use crate::pem::Pem;
use crate::x509::Skeleton;
use crate::{Code, Error};

/// A certificate chain with its private key.
#[derive(Clone, Debug)]
pub(crate) struct KeyPair {
    pub certified: Arc<CertifiedKey>,
    /// The DNS names of the certificate, in lower case.
    pub names: Vec<String>,
}

impl KeyPair {
    /// Takes the chain from one PEM text and the key from another, or the same.
    pub fn from_pem(chain: &Pem, key: &Pem, provider: &CryptoProvider) -> Result<KeyPair, Error> {
        let certificates = chain.certificates()?;
        let signer = provider.key_provider.load_private_key(key.private_key()?).map_err(|error| {
            let message = format!("the private key in {} cannot be used: {error}", key.source());
            Error::local(Code::KeyParse, message)
        })?;
        let leaf = Skeleton::parse(&certificates[0]).ok_or_else(|| {
            let message = format!("the first certificate in {} cannot be read", chain.source());
            Error::local(Code::CertificateParse, message)
        })?;
        if signer.public_key().is_some_and(|key| key.as_ref() != leaf.public_key) {
            let message = format!(
                "the private key in {} is not the key of the first certificate in {}",
                key.source(),
                chain.source()
            );
            return Err(Error::local(Code::KeyMismatch, message));
        }
        let names = dns_names(&certificates[0]);
        Ok(KeyPair { certified: Arc::new(CertifiedKey::new(certificates, signer)), names })
    }
}

fn dns_names(leaf: &CertificateDer<'_>) -> Vec<String> {
    match EndEntityCert::try_from(leaf) {
        Ok(leaf) => leaf.valid_dns_names().map(str::to_ascii_lowercase).collect(),
        // X.509 v1, which has no names in this sense.
        Err(_) => Vec::new(),
    }
}
