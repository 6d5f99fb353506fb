//! Session tickets (RFC 5077, RFC 8446 section 4.6.1): stateless, sealed with keys that the operator gives, so that
//! all processes and hosts with the same keys resume each other's sessions.
//!
//! A ticket is the name of its key, a salt, and the session, sealed with ChaCha20-Poly1305 under a key that HKDF makes of
//! the operator's key, the salt and the service's name. So no nonce repeats, and a ticket of one service is nothing to
//! another that has the same keys.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::cipher::{AeadKey, InboundOpaqueMessage, Iv, OutboundChunks, OutboundPlainMessage};
use rustls::crypto::{CryptoProvider, SecureRandom};
use rustls::server::ProducesTickets;
use rustls::{CipherSuite, ContentType, ProtocolVersion, Tls13CipherSuite};
use zeroize::Zeroizing;

use crate::clock::now;
use crate::{Code, Error};

/// The length of a key.
const KEY: usize = 32;
const NAME: usize = 16;
const SALT: usize = 32;

/// One of the operator's keys.
struct TicketKey {
    /// A digest of it, by which a ticket finds it.
    name: [u8; NAME],
    secret: Zeroizing<[u8; KEY]>,
}

/// What seals and opens the tickets of a configuration. Without keys there are none.
pub(crate) struct Tickets {
    suite: &'static Tls13CipherSuite,
    random: &'static dyn SecureRandom,
    keys: ArcSwap<Vec<TicketKey>>,
    service: String,
    lifetime: u32,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tickets")
    }
}

/// The suite whose cipher and hash seal tickets: a key of 256 bits, and SHA-256, which processors have instructions for.
fn sealing_suite(provider: &CryptoProvider) -> Option<&'static Tls13CipherSuite> {
    let wanted = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
    provider.cipher_suites.iter().find(|suite| suite.suite() == wanted).and_then(|suite| suite.tls13())
}

impl Tickets {
    /// For the service of this name; tickets are good for `lifetime` seconds.
    pub fn new(provider: &CryptoProvider, service: &str, lifetime: u32) -> Option<Tickets> {
        Some(Tickets {
            suite: sealing_suite(provider)?,
            random: provider.secure_random,
            keys: ArcSwap::default(),
            service: service.to_string(),
            lifetime,
        })
    }

    /// From now on the first key seals tickets, and each of them opens those that it has sealed.
    pub fn set_keys(&self, keys: &[&[u8]]) -> Result<(), Error> {
        let key = |(n, key): (usize, &&[u8])| {
            let Ok(octets) = <[u8; KEY]>::try_from(*key) else {
                let message = format!("ticket key {} has {} octets; it needs {KEY}", n + 1, key.len());
                return Err(Error::local(Code::Argument, message));
            };
            let secret = Zeroizing::new(octets);
            let mut name = [0; NAME];
            self.expand(&[], &secret, &[b"smtptls ticket key name"], &mut name);
            Ok(TicketKey { name, secret })
        };
        let keys: Vec<_> = keys.iter().enumerate().map(key).collect::<Result<_, _>>()?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// HKDF (RFC 5869).
    fn expand(&self, salt: &[u8], secret: &[u8; KEY], info: &[&[u8]], out: &mut [u8]) {
        let expander = self.suite.hkdf_provider.extract_from_secret(Some(salt), secret);
        // It fails only for more than 255 hashes.
        drop(expander.expand_slice(info, out));
    }

    /// What seals one ticket.
    fn sealing(&self, salt: &[u8], key: &TicketKey) -> (AeadKey, Iv) {
        let mut material = Zeroizing::new([0; 32 + 12]);
        let info: [&[u8]; 2] = [b"smtptls ticket for ", self.service.as_bytes()];
        self.expand(salt, &key.secret, &info, &mut material[..]);
        let (mut secret, mut iv) = ([0; 32], [0; 12]);
        secret.copy_from_slice(&material[..32]);
        iv.copy_from_slice(&material[32..]);
        (AeadKey::from(secret), Iv::new(iv))
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        !self.keys.load().is_empty()
    }

    fn lifetime(&self) -> u32 {
        self.lifetime
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys.load();
        let key = keys.first()?;
        let mut salt = [0; SALT];
        self.random.fill(&mut salt).ok()?;
        let (secret, iv) = self.sealing(&salt, key);
        // The time at the front: a ticket ends when its time is over, however long its key lives.
        let dated = Zeroizing::new([&now().as_secs().to_be_bytes()[..], plain].concat());
        let message = OutboundPlainMessage {
            typ: ContentType::ApplicationData,
            version: ProtocolVersion::TLSv1_3,
            payload: OutboundChunks::Single(&dated),
        };
        let sealed = self.suite.aead_alg.encrypter(secret, iv).encrypt(message, 0).ok()?;
        Some([&key.name[..], &salt, sealed.payload.as_ref()].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME)?;
        let (salt, sealed) = rest.split_at_checked(SALT)?;
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.name == name)?;
        let (secret, iv) = self.sealing(salt, key);
        let mut sealed = sealed.to_vec();
        let message =
            InboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, &mut sealed);
        let opened = self.suite.aead_alg.decrypter(secret, iv).decrypt(message, 0).ok()?;
        let (time, plain) = opened.payload.split_at_checked(8)?;
        let sealed_at = u64::from_be_bytes(time.try_into().ok()?);
        // Hosts differ, and clocks are set back; but one from further ahead would be good for as long as it is ahead.
        let current = now().as_secs().abs_diff(sealed_at) < u64::from(self.lifetime);
        current.then(|| plain.to_vec())
    }
}
