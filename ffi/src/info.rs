//! smtptls_info: the facts of an established TLS connection.

mod peer;

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Arc, OnceLock};

use smtptls_core::{Digest, FingerprintOf, Info};

use crate::boundary::{bytes, c_text, free, guard, object, or_null, shared};

/// The facts of an established TLS connection. Read-only, and good for any
/// thread. Strings are UTF-8. What a session shows belongs to the session, and
/// lives as long as it does, as do the strings in it; what
/// smtptls_info_from_bytes() made is yours to free.
pub struct smtptls_info {
    info: Arc<Info>,
    asked: OnceLock<Box<Asked>>,
}

/// What C was told by pointer, made when it is asked for. Apart, for those of thousands of idle sessions that are never
/// asked.
#[derive(Default)]
struct Asked {
    texts: [OnceLock<Option<CString>>; TEXTS],
    names: OnceLock<Vec<CString>>,
    fingerprints: [[OnceLock<Option<CString>>; Digest::ALL.len()]; FingerprintOf::ALL.len()],
    end_point: OnceLock<Option<Vec<u8>>>,
    bytes: OnceLock<Vec<u8>>,
}

/// Which text.
#[derive(Clone, Copy)]
enum Text {
    Summary,
    Version,
    Cipher,
    CipherOpenssl,
    EximCipher,
    Group,
    ServerSignature,
    ServerDigest,
    ClientSignature,
    ClientDigest,
    ServerName,
    MatchedName,
    Doubt,
    MatchedTlsa,
    MatchedFingerprint,
    ReceivedClause,
    ReceivedClient,
    PeerChainPem,
    PeerSubject,
    PeerIssuer,
    PeerCommonName,
    PeerIssuerCommonName,
    PeerSerial,
    PeerKeyAlgorithm,
}

const TEXTS: usize = Text::PeerKeyAlgorithm as usize + 1;

impl smtptls_info {
    pub(crate) fn new(info: Arc<Info>) -> smtptls_info {
        smtptls_info { info, asked: OnceLock::new() }
    }

    fn asked(&self) -> &Asked {
        self.asked.get_or_init(Box::default)
    }
}

/// What a function returns of NULL: nothing.
///
/// # Safety
///
/// `info` is NULL or not freed.
unsafe fn of<R>(info: *const smtptls_info, nothing: R, fact: impl FnOnce(&'static Info) -> R) -> R {
    // SAFETY: as the caller of this function vouches; what is returned lives as long as the info.
    match unsafe { shared(info) } {
        Some(info) => guard(|| fact(&info.info)).unwrap_or(nothing),
        None => nothing,
    }
}

/// A text, or NULL.
///
/// # Safety
///
/// `info` is NULL or not freed.
unsafe fn text(
    info: *const smtptls_info,
    which: Text,
    make: impl FnOnce(&Info) -> Option<String>,
) -> *const c_char {
    // SAFETY: as the caller of this function vouches.
    let Some(info) = (unsafe { shared(info) }) else { return std::ptr::null() };
    let made = || guard(|| make(&info.info)).ok().flatten().map(c_text);
    or_null(info.asked().texts[which as usize].get_or_init(made).as_ref())
}

/// Octets and their length, or NULL and 0.
///
/// # Safety
///
/// There is a size_t or NULL at `len`.
unsafe fn octets(found: Option<&[u8]>, len: *mut usize) -> *const u8 {
    // SAFETY: as the caller of this function vouches.
    if let Some(len) = unsafe { object(len) } {
        *len = found.map_or(0, <[u8]>::len);
    }
    found.map_or(std::ptr::null(), <[u8]>::as_ptr)
}

fn depth(depth: Option<usize>) -> c_int {
    depth.and_then(|depth| depth.try_into().ok()).unwrap_or(-1)
}

/// What Postfix logs of a connection and writes into Received, word for word:
/// "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange
/// X25519 server-signature ECDSA (prime256v1) server-digest SHA256".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_summary(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::Summary, |info| Some(info.summary())) }
}

/// The protocol version, "TLSv1.2" or "TLSv1.3".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_version(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::Version, |info| Some(info.version().to_string())) }
}

/// The cipher suite by its IANA name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_cipher(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::Cipher, |info| Some(info.cipher().to_string())) }
}

/// The cipher suite by OpenSSL's name: "ECDHE-RSA-AES128-GCM-SHA256". In TLS 1.3
/// it is IANA's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_cipher_openssl(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::CipherOpenssl, |info| Some(info.cipher_openssl().to_string())) }
}

/// What Exim has in $tls_in_cipher: "TLS1.3:TLS_AES_256_GCM_SHA384:256".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_exim_cipher(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::EximCipher, |info| Some(info.exim_cipher())) }
}

/// The strength of the cipher in bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_cipher_bits(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, 0, |info| c_int::try_from(info.cipher_bits()).unwrap_or(0)) }
}

/// The key exchange group by its IANA name, or NULL where a resumed session
/// of TLS 1.2 had none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_group(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::Group, |info| info.group().map(str::to_string)) }
}

/// The algorithm of the server's signature in the handshake, by OpenSSL's name:
/// "RSA-PSS", "ECDSA". NULL of a resumed session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_server_signature(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::ServerSignature, |info| info.server_signature().map(str::to_string)) }
}

/// The digest of that signature, "SHA256"; NULL where it is part of the
/// algorithm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_server_digest(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::ServerDigest, |info| info.server_digest().map(str::to_string)) }
}

/// The algorithm of the client's signature; NULL if it showed no certificate,
/// and of a resumed session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_client_signature(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::ClientSignature, |info| info.client_signature().map(str::to_string)) }
}

/// The digest of that signature, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_client_digest(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::ClientDigest, |info| info.client_digest().map(str::to_string)) }
}

/// On a server, the server name (SNI) that the client sent, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_server_name(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::ServerName, |info| info.server_name().map(str::to_string)) }
}

/// The application protocol (ALPN, RFC 7301) that was agreed on, not terminated;
/// NULL if there is none. *len is its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_alpn(info: *const smtptls_info, len: *mut usize) -> *const u8 {
    // SAFETY: the header asks for NULL or an info that is not freed, and a size_t or NULL at len.
    unsafe { octets(of(info, None, |info| info.alpn()), len) }
}

/// Whether an earlier TLS session was resumed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_resumed(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, false, |info| info.resumed()) }
}

/// The level that was in force, one of enum smtptls_level. It is not always the
/// one that was asked for: see smtptls_policy_effective_level().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_level(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, 0, |info| info.level().number()) }
}

/// How the peer was authenticated, one of enum smtptls_auth. At the levels may
/// and encrypt, which ask for nothing, this is a fact for the log: an attacker
/// could have done without.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_auth(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, 0, |info| info.auth().number()) }
}

/// Whether the policy demanded that the peer prove who it is, the peer did, and
/// it is the server of the destination. Under DANE with insecure MX records it
/// proved to be the host that an insecure answer named, and that is not enough
/// for this (RFC 7672 section 2.2.1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_secured(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, false, |info| info.secured()) }
}

/// Whether the peer sent a certificate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_certificate_present(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, false, |info| info.certificate_present()) }
}

/// Whether the peer's certificate has a valid chain to a trust anchor,
/// whatever name it is for; or whether a TLSA record or a fingerprint vouches
/// for it, where these are in force.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_trusted(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, false, |info| info.trusted()) }
}

/// Whether the peer's certificate is for an expected name, whoever signed it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_name_matched(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, false, |info| info.name_matched()) }
}

/// The expected name that the peer's certificate is for, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_matched_name(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::MatchedName, |info| info.matched_name().map(str::to_string)) }
}

/// Why the peer is not authenticated, in one line, or NULL if it is. At the
/// levels may and encrypt this is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_doubt(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::Doubt, |info| info.doubt().map(str::to_string)) }
}

/// At which depth of the peer's chain the reason for that lies: 0 is its own
/// certificate, 1 that of the authority that signed it, and so on. The one
/// nearest to the peer's own counts. -1 if there is no doubt, or no such depth.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_doubt_depth(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, -1, |info| depth(info.doubt_depth())) }
}

/// The TLSA record that vouches for the peer, in presentation form such as
/// "3 1 1 0f1e...", or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_matched_tlsa(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::MatchedTlsa, |info| info.matched_tlsa().map(ToString::to_string)) }
}

/// At which depth of the peer's chain that record holds: 0 is its own
/// certificate. Where the authority's certificate is not in the chain, the
/// depth that it would have. -1 if there is no such record.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_tlsa_depth(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, -1, |info| depth(info.tlsa_depth())) }
}

/// The fingerprint that vouches for the peer, such as "sha256:" and lower case
/// hex, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_matched_fingerprint(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::MatchedFingerprint, |info| info.matched_fingerprint().map(str::to_string)) }
}

/// The "tls-exporter" channel binding (RFC 9266) for SASL SCRAM-*-PLUS: 32
/// bytes. NULL at TLS 1.2, where the library cannot tell whether it is
/// defined. *len is its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_channel_binding(
    info: *const smtptls_info,
    len: *mut usize,
) -> *const u8 {
    // SAFETY: the header asks for NULL or an info that is not freed, and a size_t or NULL at len.
    unsafe { octets(of(info, None, |info| info.channel_binding().map(<[u8; 32]>::as_slice)), len) }
}

/// The "tls-server-end-point" channel binding (RFC 5929 section 4.1): a digest
/// of the server's certificate. NULL where it is not defined: without one, and
/// where its signature has no digest of its own, as with Ed25519. *len is its
/// length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_server_end_point(
    info: *const smtptls_info,
    len: *mut usize,
) -> *const u8 {
    // SAFETY: the header asks for NULL or an info that is not freed, and a size_t or NULL at len.
    unsafe {
        let found = shared(info).and_then(|info| {
            let binding = || guard(|| info.info.server_end_point()).ok().flatten();
            info.asked().end_point.get_or_init(binding).as_deref()
        });
        octets(found, len)
    }
}

/// The clause for a Received header (RFC 8314 section 4.3), such as
/// "tls TLS_AES_256_GCM_SHA384 group x25519".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_received_clause(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::ReceivedClause, |info| Some(info.received_clause())) }
}

/// On a server, for a comment of a Received header (RFC 3207 section 4.1), what
/// Postfix writes of the client's certificate: "Client CN \"mail.example.org\",
/// Issuer \"Example CA\" (verified OK)", or "(not verified)". What the client chose
/// cannot end the comment. NULL of a server, and without a certificate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_received_client(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::ReceivedClient, smtptls_core::Info::received_client) }
}

/// All of it as bytes, to be carried to another process, which makes an info of
/// them by smtptls_info_from_bytes(). There is no secret in them. *len is their
/// number; they live as long as the info.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_to_bytes(info: *const smtptls_info, len: *mut usize) -> *const u8 {
    // SAFETY: the header asks for NULL or an info that is not freed, and a size_t or NULL at len.
    unsafe {
        let found = shared(info).map(|info| {
            info.asked().bytes.get_or_init(|| guard(|| info.info.to_bytes()).unwrap_or_default()).as_slice()
        });
        octets(found, len)
    }
}

/// An info from what smtptls_info_to_bytes() gave, in whatever process. NULL if
/// these bytes are no info, or out of memory. Free it with smtptls_info_free().
/// Whoever hands the bytes over is believed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_from_bytes(data: *const c_void, len: usize) -> *mut smtptls_info {
    // SAFETY: the header asks for len bytes at data.
    let made = unsafe { bytes(data, len, "data") }.and_then(|data| guard(|| Info::from_bytes(data))?);
    made.map_or(std::ptr::null_mut(), |info| Box::into_raw(Box::new(smtptls_info::new(Arc::new(info)))))
}

/// Frees an info that smtptls_info_from_bytes() made, and no other: that of a
/// session is the session's. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_free(info: *mut smtptls_info) {
    // SAFETY: the header asks for NULL or an info of smtptls_info_from_bytes() that is not freed.
    unsafe { free(info) }
}
