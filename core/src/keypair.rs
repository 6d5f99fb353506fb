//! Key pairs: a certificate chain and its private key, checked against each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pki_types::{CertificateDer, PrivateKeyDer};
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use webpki::EndEntityCert;

use crate::pem::{Pem, Section};
use crate::signing::Elsewhere;
use crate::x509::Skeleton;
use crate::{Code, Error};

/// A certificate chain with its private key.
#[derive(Clone, Debug)]
pub(crate) struct KeyPair {
    pub certified: Arc<CertifiedKey>,
    /// Its private key is not here.
    pub elsewhere: bool,
    /// The DNS names of the certificate, and those that it was given besides, in lower case. `.example.com` is any
    /// name below that domain.
    pub names: Vec<String>,
}

/// Where key pairs come from, to be read once and again.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    from: From,
    /// The file of the OCSP response that is stapled.
    pub ocsp: Option<PathBuf>,
    /// Names besides those in the certificate.
    pub names: Vec<String>,
}

#[derive(Clone, Debug)]
enum From {
    /// A file of the chain and one of the key; they may be the same.
    Files(PathBuf, PathBuf),
    /// One file with any number of pairs.
    Mixed(PathBuf),
    /// A file of a chain whose private key is elsewhere.
    Certificates(PathBuf),
    Memory(KeyPair),
}

impl Source {
    pub fn files(chain: &Path, key: &Path) -> Source {
        Source::new(From::Files(chain.to_path_buf(), key.to_path_buf()))
    }

    pub fn mixed(path: &Path) -> Source {
        Source::new(From::Mixed(path.to_path_buf()))
    }

    pub fn certificates(path: &Path) -> Source {
        Source::new(From::Certificates(path.to_path_buf()))
    }

    pub fn memory(pair: KeyPair) -> Source {
        Source::new(From::Memory(pair))
    }

    fn new(from: From) -> Source {
        Source { from, ocsp: None, names: Vec::new() }
    }

    /// The pairs as they are now; those from memory as they were.
    pub fn load(&self, provider: &CryptoProvider) -> Result<Vec<KeyPair>, Error> {
        let mut pairs = match &self.from {
            From::Files(chain, key) => {
                vec![KeyPair::from_pem(&Pem::from_file(chain)?, &Pem::from_file(key)?, provider)?]
            }
            From::Mixed(path) => mixed(&Pem::from_file(path)?, provider)?,
            From::Certificates(path) => vec![KeyPair::without_key(&Pem::from_file(path)?)?],
            From::Memory(pair) => vec![pair.clone()],
        };
        if let Some(path) = &self.ocsp {
            let staple = staple(path)?;
            let [pair] = &mut pairs[..] else {
                let message = format!("{} is for one key pair, and here are {}", shown(path), pairs.len());
                return Err(Error::local(Code::Argument, message));
            };
            let mut certified = CertifiedKey::clone(&pair.certified);
            certified.ocsp = Some(staple);
            pair.certified = Arc::new(certified);
        }
        for pair in &mut pairs {
            pair.names.extend(self.names.iter().cloned());
        }
        Ok(pairs)
    }
}

fn shown(path: &Path) -> String {
    crate::error::escape(path.as_os_str().as_encoded_bytes())
}

/// An OCSP response in DER (RFC 6960). What it says is for clients to judge.
fn staple(path: &Path) -> Result<Vec<u8>, Error> {
    const SEQUENCE: u8 = 0x30;
    const LARGEST: u64 = 65_535;
    let staple = crate::file::read(path, LARGEST)?;
    match staple.first() == Some(&SEQUENCE) {
        true => Ok(staple.to_vec()),
        false => {
            let message = format!("{} is no OCSP response in DER", shown(path));
            Err(Error::local(Code::CertificateParse, message))
        }
    }
}

/// All key pairs of a file in which each key stands before its chain, or each behind it (Postfix's chain files).
fn mixed(pem: &Pem, provider: &CryptoProvider) -> Result<Vec<KeyPair>, Error> {
    let sections = pem.keys_and_certificates()?;
    let unfit = |line: usize, code: Code, what: &str| {
        Error::local(code, format!("{}, line {line}: {what}", pem.source()))
    };
    let keys_first = matches!(sections.first(), Some((_, Section::Key(_))));
    let (mut pairs, mut chain, mut key) = (Vec::new(), Vec::new(), None);
    let mut finish = |chain: &mut Vec<CertificateDer<'static>>,
                      (line, key): (usize, PrivateKeyDer<'static>)| {
        if chain.is_empty() {
            return Err(unfit(line, Code::CertificateParse, "this private key has no certificate"));
        }
        let pair = KeyPair::new(std::mem::take(chain), key, provider)
            .map_err(|(code, what)| unfit(line, code, &what))?;
        pairs.push(pair);
        Ok(())
    };
    for (line, section) in sections {
        match section {
            Section::Certificate(certificate) => chain.push(certificate),
            Section::Key(next) if keys_first => {
                if let Some(key) = key.replace((line, next)) {
                    finish(&mut chain, key)?;
                }
            }
            Section::Key(next) => finish(&mut chain, (line, next))?,
        }
    }
    match key {
        Some(key) => finish(&mut chain, key)?,
        None if !chain.is_empty() => {
            let message =
                format!("the last certificates in {} have no private key behind them", pem.source());
            return Err(Error::local(Code::KeyParse, message));
        }
        None => {}
    }
    match pairs.is_empty() {
        true => Err(Error::local(Code::CertificateParse, format!("no key pair in {}", pem.source()))),
        false => Ok(pairs),
    }
}

impl KeyPair {
    /// Takes the chain from one PEM text and the key from another, or the same.
    pub fn from_pem(chain: &Pem, key: &Pem, provider: &CryptoProvider) -> Result<KeyPair, Error> {
        let (certificates, private) = (chain.certificates()?, key.private_key()?);
        KeyPair::new(certificates, private, provider).map_err(|(code, what)| {
            let message = match code {
                Code::CertificateParse => format!("{}: {what}", chain.source()),
                Code::KeyMismatch => format!("{} and {}: {what}", key.source(), chain.source()),
                _ => format!("{}: {what}", key.source()),
            };
            Error::local(code, message)
        })
    }

    /// Checks the two against each other.
    fn new(
        certificates: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        provider: &CryptoProvider,
    ) -> Result<KeyPair, (Code, String)> {
        let signer = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| (Code::KeyParse, format!("the private key cannot be used: {error}")))?;
        let leaf = Skeleton::parse(&certificates[0]);
        let leaf =
            leaf.ok_or((Code::CertificateParse, "the first certificate cannot be read".to_string()))?;
        if signer.public_key().is_some_and(|key| key.as_ref() != leaf.public_key) {
            let what = "the private key is not the key of the first certificate";
            return Err((Code::KeyMismatch, what.to_string()));
        }
        let names = dns_names(&certificates[0]);
        let signer = Arc::new(Noting(signer));
        let certified = Arc::new(CertifiedKey::new(certificates, signer));
        Ok(KeyPair { certified, elsewhere: false, names })
    }

    /// The kind of its key.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.certified.key.algorithm()
    }

    /// A chain whose private key is elsewhere.
    pub fn without_key(chain: &Pem) -> Result<KeyPair, Error> {
        let certificates = chain.certificates()?;
        let public_key = Skeleton::parse(&certificates[0]).map(|leaf| leaf.public_key.to_vec());
        let key = public_key.and_then(|key| Elsewhere::of(&certificates[0], &key)).ok_or_else(|| {
            let message =
                format!("{}: the key of the first certificate is of no kind that signs", chain.source());
            Error::local(Code::CertificateParse, message)
        })?;
        let names = dns_names(&certificates[0]);
        let signer = Arc::new(Noting(Arc::new(key)));
        let certified = Arc::new(CertifiedKey::new(certificates, signer));
        Ok(KeyPair { certified, elsewhere: true, names })
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
