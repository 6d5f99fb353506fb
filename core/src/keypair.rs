//! Key pairs: a certificate chain and its private key, checked against each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pki_types::CertificateDer;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
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
    /// The files of the chain and of the key, to be read again.
    files: Option<(PathBuf, PathBuf)>,
}

impl KeyPair {
    /// From PEM files, which may be the same.
    pub fn from_files(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<KeyPair, Error> {
        let pair = KeyPair::from_pem(&Pem::from_file(chain)?, &Pem::from_file(key)?, provider)?;
        Ok(KeyPair { files: Some((chain.to_path_buf(), key.to_path_buf())), ..pair })
    }

    /// The same pair as its files have it now; one from memory stays as it is.
    pub fn again(&self, provider: &CryptoProvider) -> Result<KeyPair, Error> {
        match &self.files {
            Some((chain, key)) => KeyPair::from_files(chain, key, provider),
            None => Ok(self.clone()),
        }
    }

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
        let signer = Arc::new(Noting(signer));
        Ok(KeyPair { certified: Arc::new(CertifiedKey::new(certificates, signer)), names, files: None })
    }
}

/// A key that tells how it signs, for Info.
#[derive(Debug)]
struct Noting(Arc<dyn SigningKey>);

impl SigningKey for Noting {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.0.choose_scheme(offered).map(|signer| Box::new(NotingSigner(signer)) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[derive(Debug)]
struct NotingSigner(Box<dyn Signer>);

impl Signer for NotingSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        crate::observe::own_scheme(self.0.scheme());
        self.0.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}

fn dns_names(leaf: &CertificateDer<'_>) -> Vec<String> {
    match EndEntityCert::try_from(leaf) {
        Ok(leaf) => leaf.valid_dns_names().map(str::to_ascii_lowercase).collect(),
        // X.509 v1, which has no names in this sense.
        Err(_) => Vec::new(),
    }
}
