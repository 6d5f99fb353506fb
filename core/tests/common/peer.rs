//! A server that is rustls and nothing of ours, for what our own does not do: odd certificates, wrong signatures,
//! tickets.
#![allow(dead_code)]

use std::io::Read as _;
use std::sync::Arc;

use pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::signature::SignatureEncoding as _;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion};
use smtptls::{Entry, Error, Progress, Session};

use super::{Authority, Leaf, feed, take};

pub fn provider() -> CryptoProvider {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "aws-lc-rs"))]
    return rustls::crypto::ring::default_provider();
}

/// A server's configuration with these certificates and this key, whatever they are.
pub fn configuration(
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let certified = CertifiedKey::new(chain, key);
    let config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    Arc::new(config)
}

/// The certificates of a leaf, as they stand in its PEM.
pub fn chain(leaf: &Leaf) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(leaf.chain.as_bytes()).map(Result::unwrap).collect()
}

/// The key of a leaf.
pub fn key(leaf: &Leaf) -> Arc<dyn SigningKey> {
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
    provider().key_provider.load_private_key(key).unwrap()
}

/// A key whose signatures are wrong in their last octet.
#[derive(Debug)]
pub struct Forged(pub Arc<dyn SigningKey>);

#[derive(Debug)]
struct Forger(Box<dyn Signer>);

impl SigningKey for Forged {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.0.choose_scheme(offered).map(|signer| Box::new(Forger(signer)) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl Signer for Forger {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        // Of another message, so that an ECDSA signature keeps its form.
        self.0.sign(&[message, b"!"].concat())
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}

/// An RSA key of 1024 bits, which no provider of rustls takes.
#[derive(Clone, Debug)]
pub struct ShortKey(rsa::RsaPrivateKey);

impl ShortKey {
    pub fn new() -> ShortKey {
        let key = pki_types::PrivatePkcs1KeyDer::from_pem_slice(include_bytes!("short.key")).unwrap();
        ShortKey(rsa::RsaPrivateKey::from_pkcs1_der(key.secret_pkcs1_der()).unwrap())
    }

    /// A certificate for it.
    pub fn certificate(&self, authority: &Authority, name: &str) -> CertificateDer<'static> {
        struct Public(Vec<u8>);
        impl rcgen::PublicKeyData for Public {
            fn der_bytes(&self) -> &[u8] {
                &self.0
            }
            fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
                &rcgen::PKCS_RSA_SHA256
            }
        }
        let public = Public(self.0.to_public_key().to_pkcs1_der().unwrap().as_bytes().to_vec());
        let params = rcgen::CertificateParams::new(vec![name.to_string()]).unwrap();
        params.signed_by(&public, &authority.issuer).unwrap().der().clone()
    }
}

impl SigningKey for ShortKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PSS_SHA256];
        // In TLS 1.3 only the second is right, and a test sees to it by what it asks for.
        let scheme = scheme.into_iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(ShortSigner { key: self.clone(), scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

#[derive(Debug)]
struct ShortSigner {
    key: ShortKey,
    scheme: SignatureScheme,
}

impl Signer for ShortSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        use rsa::sha2::{Digest as _, Sha256};
        use rsa::signature::Signer as _;
        let key = self.key.0.clone();
        Ok(match self.scheme {
            SignatureScheme::RSA_PKCS1_SHA256 => {
                rsa::pkcs1v15::SigningKey::<Sha256>::new(key).sign(message).to_vec()
            }
            // A salt of zeros is as good as any for a test, and needs no source of chance.
            _ => {
                struct Zeros;
                impl rsa::rand_core::RngCore for Zeros {
                    fn next_u32(&mut self) -> u32 {
                        0
                    }
                    fn next_u64(&mut self) -> u64 {
                        0
                    }
                    fn fill_bytes(&mut self, room: &mut [u8]) {
                        room.fill(0);
                    }
                    fn try_fill_bytes(&mut self, room: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
                        room.fill(0);
                        Ok(())
                    }
                }
                impl rsa::rand_core::CryptoRng for Zeros {}
                key.sign_with_rng(&mut Zeros, rsa::Pss::new::<Sha256>(), &Sha256::digest(message)).unwrap()
            }
        })
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// A handshake, and what comes behind it, until both are silent.
pub fn shake(client: &mut Session, config: &Arc<ServerConfig>) -> Result<(), Error> {
    let mut server = ServerConnection::new(config.clone()).unwrap();
    let mut result = None;
    for _ in 0..100 {
        if result.is_none() {
            match client.start(Entry::Handshake, 0) {
                Ok(Progress::Done(())) => {
                    result = Some(Ok(()));
                    let _ = client.flush().unwrap();
                }
                Ok(_) => {}
                Err(error) => result = Some(Err(error)),
            }
        }
        if matches!(result, Some(Ok(()))) {
            // Tickets.
            let _ = client.read(&mut [0; 100]);
        }
        let up = take(client);
        let mut rest = &up[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            if server.process_new_packets().is_err() {
                break;
            }
            let _ = server.reader().read(&mut [0; 1000]);
        }
        let mut down = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut down).unwrap();
        }
        if !down.is_empty() && client.error().is_none() {
            feed(client, &down);
        }
        if up.is_empty() && down.is_empty() {
            break;
        }
    }
    result.expect("the handshake has an end")
}
