//! What rustls tells only its hooks: the name a client asked for, the key pair that is shown, how the handshake was
//! signed, and the secret behind channel bindings; and what a hook of ours must know of the connection: to whom
//! it goes.
//!
//! The hooks belong to a configuration, which all sessions share, and rustls calls them inside
//! `process_tls_records`, in the same thread. So a slot of the thread carries what they are told from there to
//! the connection, and is empty again when the call returns.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use pki_types::ServerName;
use rustls::KeyLog;
use rustls::crypto::hash::Hash;
use rustls::crypto::tls13::OkmBlock;
use rustls::sign::CertifiedKey;
use rustls::{SignatureScheme, SupportedCipherSuite, Tls13CipherSuite};
use zeroize::Zeroizing;

use crate::signing::Signing;

/// What the hooks were told in the calls of a connection, and what they may know.
#[derive(Default)]
pub(crate) struct Observed {
    /// On a client, the server that sessions are kept for: see `resumption`.
    pub server: Option<ServerName<'static>>,
    /// What the handshake has that may stop for a signature.
    pub signing: Option<Arc<Signing>>,
    /// The SNI of the ClientHello.
    pub server_name: Option<String>,
    /// The key pair that is shown to the peer.
    pub own: Option<Arc<CertifiedKey>>,
    /// How we signed the handshake, and how the peer did.
    pub own_scheme: Option<SignatureScheme>,
    pub peer_scheme: Option<SignatureScheme>,
    /// The exporter secret of TLS 1.3 (RFC 8446 section 7.1).
    pub exporter: Option<Zeroizing<Vec<u8>>>,
}

thread_local! {
    static SLOT: RefCell<Observed> = RefCell::default();
}

/// Runs a call into rustls; what the hooks are told goes into `observed`.
pub(crate) fn during<R>(observed: &mut Observed, call: impl FnOnce() -> R) -> R {
    SLOT.set(std::mem::take(observed));
    let result = call();
    *observed = SLOT.take();
    result
}

/// From the certificate resolver.
pub(crate) fn server_name(name: &str) {
    SLOT.with_borrow_mut(|slot| slot.server_name = Some(name.to_string()));
}

/// From the certificate resolver: the key pair that it chose.
pub(crate) fn own(pair: &Arc<CertifiedKey>) {
    SLOT.with_borrow_mut(|slot| slot.own = Some(pair.clone()));
}

/// From our own key, when it signs.
pub(crate) fn own_scheme(scheme: SignatureScheme) {
    SLOT.with_borrow_mut(|slot| slot.own_scheme = Some(scheme));
}

/// From the verifier, when the peer's signature is good.
pub(crate) fn peer_scheme(scheme: SignatureScheme) {
    SLOT.with_borrow_mut(|slot| slot.peer_scheme = Some(scheme));
}

/// For the store of sessions: who it is that the connection goes to; nothing if none are to be kept.
pub(crate) fn server() -> Option<ServerName<'static>> {
    SLOT.with_borrow(|slot| slot.server.clone())
}

/// For what a handshake does by chance, or asks for: the tape of the connection, if it has one.
pub(crate) fn signing() -> Option<Arc<Signing>> {
    SLOT.with_borrow(|slot| slot.signing.clone())
}

/// The key log hook. It keeps one secret, which opens no record: what is derived from it is public.
pub(crate) struct ExporterSecret;

impl fmt::Debug for ExporterSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ExporterSecret")
    }
}

const EXPORTER: &str = "EXPORTER_SECRET";

impl KeyLog for ExporterSecret {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == EXPORTER {
            SLOT.with_borrow_mut(|slot| slot.exporter = Some(Zeroizing::new(secret.to_vec())));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == EXPORTER
    }
}

/// The `tls-exporter` channel binding (RFC 9266 section 2): the exporter of RFC 8446 section 7.5 with its label,
/// an empty context and 32 octets. Not defined at TLS 1.2 without an extended master secret, and rustls does not
/// say whether there is one.
pub(crate) fn channel_binding(suite: SupportedCipherSuite, secret: &[u8]) -> Option<[u8; 32]> {
    let suite: &Tls13CipherSuite = suite.tls13()?;
    let hash: &dyn Hash = suite.common.hash_provider;
    let empty = hash.hash(b"");
    let length = u16::try_from(hash.output_len()).ok()?;
    let exporter = suite.hkdf_provider.expander_for_okm(&OkmBlock::new(secret));
    let derived = Expansion::of(length, b"EXPORTER-Channel-Binding", empty.as_ref());
    let derived = exporter.expand_block(&derived.parts());
    let mut binding = [0; 32];
    let last = Expansion::of(32, b"exporter", empty.as_ref());
    suite.hkdf_provider.expander_for_okm(&derived).expand_slice(&last.parts(), &mut binding).ok()?;
    Some(binding)
}

/// The `HkdfLabel` of RFC 8446 section 7.1.
struct Expansion<'a> {
    length: [u8; 2],
    label: &'a [u8],
    label_length: [u8; 1],
    context: &'a [u8],
    context_length: [u8; 1],
}

impl<'a> Expansion<'a> {
    const PREFIX: &'static [u8] = b"tls13 ";

    fn of(length: u16, label: &'a [u8], context: &'a [u8]) -> Expansion<'a> {
        // Labels and hashes are far shorter than 256.
        let octet = |length: usize| [u8::try_from(length).unwrap_or(u8::MAX)];
        Expansion {
            length: length.to_be_bytes(),
            label,
            label_length: octet(Self::PREFIX.len() + label.len()),
            context,
            context_length: octet(context.len()),
        }
    }

    fn parts(&self) -> [&[u8]; 6] {
        [&self.length, &self.label_length, Self::PREFIX, self.label, &self.context_length, self.context]
    }
}
