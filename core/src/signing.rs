//! Private keys that are elsewhere, in another process or in a device: a handshake stops where it is to be signed, and
//! goes on when the program has the signature.
//!
//! rustls 0.23 wants the signature inside a call and cannot wait for it. So the connection of rustls that met the
//! question is given up, and once the answer is there a new one gets the same octets from the peer, the same random
//! numbers and the same key exchange. It comes to the same place, finds the signature, and goes on; nothing that
//! depends on the signature was sent before. What is kept for that is secret, and lives as long as the handshake.

use std::ffi::CStr;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::crypto::{
    ActiveKeyExchange, CompletedKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::sign::{Signer, SigningKey};
use rustls::{NamedGroup, ProtocolVersion, SignatureAlgorithm, SignatureScheme};
use zeroize::Zeroizing;

use crate::observe;
use crate::provider::{all_groups, provider};
use crate::verifier::{is_signed, public_key};
use crate::x509::Key;

/// What is to be signed, and how, with a private key that the library does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRequest {
    pub(crate) scheme: u16,
    pub(crate) message: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
}

impl SignatureRequest {
    /// The signature scheme, by its number in IANA's registry (RFC 8446 section 4.2.3). It includes the digest.
    pub fn scheme(&self) -> u16 {
        self.scheme
    }

    /// The algorithm, as OpenSSL names it: `RSA-PSS`, `RSA` (PKCS #1 v1.5), `ECDSA`, `ED25519`.
    pub fn algorithm(&self) -> &'static str {
        crate::suites::scheme(self.scheme).map_or("unknown", crate::suites::Scheme::algorithm)
    }

    /// The digest, as OpenSSL names it: `SHA256`; for `RSA-PSS` of its mask too, with a salt of the digest's length.
    /// Nothing where it is part of the algorithm.
    pub fn digest(&self) -> Option<&'static str> {
        crate::suites::scheme(self.scheme)?.digest()
    }

    /// `algorithm`, for C.
    #[doc(hidden)]
    pub fn c_algorithm(&self) -> &'static CStr {
        crate::suites::scheme(self.scheme).map_or(c"unknown", crate::suites::Scheme::c_algorithm)
    }

    /// `digest`, for C.
    #[doc(hidden)]
    pub fn c_digest(&self) -> Option<&'static CStr> {
        crate::suites::scheme(self.scheme)?.c_digest()
    }

    /// What is to be signed: the message itself, which the digest is made of.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// The certificate in DER whose key is to sign.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Whether this is its signature. A signer's mistake is better told here than by the peer's alert.
    fn is_answered_by(&self, signature: &[u8]) -> bool {
        let certificate = CertificateDer::from(&self.certificate[..]);
        let Ok(key) = public_key(&certificate) else { return false };
        let known = provider().signature_verification_algorithms;
        is_signed(&key, SignatureScheme::from(self.scheme), &self.message, signature, &known)
    }
}

/// What one handshake has been given, to be given once more; and the question and its answer.
#[derive(Default)]
pub(crate) struct Signing(Mutex<Tape>);

#[derive(Default)]
struct Tape {
    random: Vec<Zeroizing<Vec<u8>>>,
    exchanges: Vec<Arc<Exchange>>,
    /// How much of each has been played.
    played: (usize, usize),
    asked: Option<SignatureRequest>,
    /// A question that was answered, until the handshake comes to it again.
    answered: Option<(SignatureRequest, Vec<u8>)>,
}

impl Signing {
    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The question that a handshake has just stopped at.
    pub fn asked(&self) -> Option<SignatureRequest> {
        self.tape().asked.take()
    }

    /// Takes the answer, and says whether it is one. Then the handshake can be played again.
    pub fn answer(&self, request: &SignatureRequest, signature: &[u8]) -> bool {
        if !request.is_answered_by(signature) {
            return false;
        }
        let mut tape = self.tape();
        tape.played = (0, 0);
        tape.answered = Some((request.clone(), signature.to_vec()));
        true
    }
}

/// The provider, with what it makes by chance kept for each handshake that may stop.
pub(crate) fn taped(mut provider: CryptoProvider) -> CryptoProvider {
    provider.secure_random = &Random;
    let taped = |group: &&'static dyn SupportedKxGroup| {
        let place = all_groups().iter().position(|one| one.name() == group.name())?;
        GROUPS.get(place).map(|group| group as &'static dyn SupportedKxGroup)
    };
    provider.kx_groups = provider.kx_groups.iter().filter_map(taped).collect();
    provider
}

#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        let random = provider().secure_random;
        let Some(signing) = observe::signing() else { return random.fill(bytes) };
        let mut tape = signing.tape();
        let at = tape.played.0;
        tape.played.0 += 1;
        match tape.random.get(at) {
            Some(kept) if kept.len() == bytes.len() => bytes.copy_from_slice(kept),
            _ => {
                random.fill(bytes)?;
                tape.random.truncate(at);
                tape.random.push(Zeroizing::new(bytes.to_vec()));
            }
        }
        Ok(())
    }
}

/// One for each group that a provider may have: rustls wants them for ever.
const GROUPS: &[Group] =
    &[Group(0), Group(1), Group(2), Group(3), Group(4), Group(5), Group(6), Group(7), Group(8)];

/// A group, by its place among all.
#[derive(Debug)]
struct Group(usize);

impl Group {
    fn real(&self) -> &'static dyn SupportedKxGroup {
        all_groups()[self.0]
    }
}

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, rustls::Error> {
        let exchange = played(self.name(), || {
            let active = self.real().start()?;
            let public = active.pub_key().to_vec();
            Ok(Exchange { group: self.name(), public, state: Mutex::new(State::Active(active)) })
        })?;
        Ok(Box::new(Active(exchange)))
    }

    fn start_and_complete(&self, peer: &[u8]) -> Result<CompletedKeyExchange, rustls::Error> {
        let exchange = played(self.name(), || {
            let done = self.real().start_and_complete(peer)?;
            let secret = Zeroizing::new(done.secret.secret_bytes().to_vec());
            Ok(Exchange { group: done.group, public: done.pub_key, state: Mutex::new(State::Done(secret)) })
        })?;
        let (group, pub_key) = (exchange.group, exchange.public.clone());
        Ok(CompletedKeyExchange { group, pub_key, secret: exchange.complete(peer)? })
    }

    /// None is finite-field.
    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        self.real().name()
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        self.real().usable_for_version(version)
    }
}

/// The next exchange on the tape, or a new one.
fn played(
    group: NamedGroup,
    begin: impl FnOnce() -> Result<Exchange, rustls::Error>,
) -> Result<Arc<Exchange>, rustls::Error> {
    let Some(signing) = observe::signing() else { return begin().map(Arc::new) };
    let mut tape = signing.tape();
    let at = tape.played.1;
    tape.played.1 += 1;
    if let Some(kept) = tape.exchanges.get(at).filter(|kept| kept.group == group) {
        return Ok(kept.clone());
    }
    let exchange = Arc::new(begin()?);
    tape.exchanges.truncate(at);
    tape.exchanges.push(exchange.clone());
    Ok(exchange)
}

/// A key exchange that can come to its end more than once: each time for the same octets of the peer.
struct Exchange {
    group: NamedGroup,
    public: Vec<u8>,
    state: Mutex<State>,
}

enum State {
    Active(Box<dyn ActiveKeyExchange>),
    Done(Zeroizing<Vec<u8>>),
    Failed,
}

impl Exchange {
    fn complete(&self, peer: &[u8]) -> Result<SharedSecret, rustls::Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Active(_) = &*state {
            if let State::Active(active) = std::mem::replace(&mut *state, State::Failed) {
                let secret = active.complete(peer)?;
                *state = State::Done(Zeroizing::new(secret.secret_bytes().to_vec()));
            }
        }
        match &*state {
            State::Done(secret) => Ok(SharedSecret::from(&secret[..])),
            _ => Err(rustls::Error::General("the key exchange failed before".to_string())),
        }
    }
}

struct Active(Arc<Exchange>);

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, rustls::Error> {
        self.0.complete(peer)
    }

    fn pub_key(&self) -> &[u8] {
        &self.0.public
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        self.0.group
    }
}

/// The private key of a certificate, which is not here.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere {
    certificate: Arc<[u8]>,
    public_key: Vec<u8>,
    algorithm: SignatureAlgorithm,
    /// In the order of preference of the provider's own keys.
    schemes: &'static [SignatureScheme],
}

#[rustfmt::skip]
const SCHEMES: &[(&str, Option<&str>, SignatureAlgorithm, &[SignatureScheme])] = &[
    ("RSA", None, SignatureAlgorithm::RSA, &[
        SignatureScheme::RSA_PSS_SHA512, SignatureScheme::RSA_PSS_SHA384, SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PKCS1_SHA512, SignatureScheme::RSA_PKCS1_SHA384, SignatureScheme::RSA_PKCS1_SHA256,
    ]),
    ("ECDSA", Some("prime256v1"), SignatureAlgorithm::ECDSA, &[SignatureScheme::ECDSA_NISTP256_SHA256]),
    ("ECDSA", Some("secp384r1"),  SignatureAlgorithm::ECDSA, &[SignatureScheme::ECDSA_NISTP384_SHA384]),
    ("ECDSA", Some("secp521r1"),  SignatureAlgorithm::ECDSA, &[SignatureScheme::ECDSA_NISTP521_SHA512]),
    ("ED25519", None, SignatureAlgorithm::ED25519, &[SignatureScheme::ED25519]),
];

impl Elsewhere {
    /// Nothing if this key is of a kind that cannot sign here.
    pub fn of(certificate: &CertificateDer<'_>, public_key: &[u8]) -> Option<Elsewhere> {
        let key = Key::of(public_key)?;
        let fits = |row: &&(&str, Option<&str>, _, _)| row.0 == key.algorithm && row.1 == key.curve;
        let (_, _, algorithm, schemes) = *SCHEMES.iter().find(fits)?;
        Some(Elsewhere {
            certificate: Arc::from(&certificate[..]),
            public_key: public_key.to_vec(),
            algorithm,
            schemes,
        })
    }
}

impl SigningKey for Elsewhere {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.schemes.iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(Asking { certificate: self.certificate.clone(), scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(&self.public_key[..]))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

struct Asking {
    certificate: Arc<[u8]>,
    scheme: SignatureScheme,
}

impl fmt::Debug for Asking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Asking")
    }
}

impl Signer for Asking {
    /// Gives the answer that is there, or leaves the question.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let asking = SignatureRequest {
            scheme: u16::from(self.scheme),
            message: message.to_vec(),
            certificate: self.certificate.to_vec(),
        };
        let failed = |what: &str| Err(rustls::Error::General(what.to_string()));
        let Some(signing) = observe::signing() else { return failed("nobody is there to sign") };
        let mut tape = signing.tape();
        // Another question than before comes of key pairs that were exchanged in between.
        match tape.answered.take().filter(|(asked, _)| *asked == asking) {
            Some((_, signature)) => Ok(signature),
            None => {
                tape.asked = Some(asking);
                failed("a signature is wanted")
            }
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each group that the provider has can be taped.
    #[test]
    fn no_group_is_left_out() {
        assert!(all_groups().len() <= GROUPS.len());
        let before: Vec<_> = all_groups().iter().map(|group| group.name()).collect();
        let mut all = provider();
        all.kx_groups = all_groups().to_vec();
        let after: Vec<_> = taped(all).kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(before, after);
    }
}
