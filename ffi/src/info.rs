//! smtptls_info: the facts of an established TLS connection.

use std::ffi::{CString, c_char, c_int};
use std::sync::OnceLock;

use smtptls_core::{Digest, FingerprintOf, Info};

use crate::boundary::{c_text, guard, object, or_null, shared};

/// The facts of an established TLS connection. Read-only. Strings are UTF-8,
/// belong to the session and live as long as it does.
pub struct smtptls_info {
    summary: CString,
    version: CString,
    cipher: CString,
    cipher_bits: c_int,
    group: Option<CString>,
    server_name: Option<CString>,
    resumed: bool,
    level: c_int,
    auth: c_int,
    secured: bool,
    certificate_present: bool,
    trusted: bool,
    matched_name: Option<CString>,
    doubt: Option<CString>,
    doubt_depth: c_int,
    matched_tlsa: Option<CString>,
    tlsa_depth: c_int,
    matched_fingerprint: Option<CString>,
    certificates: Vec<Vec<u8>>,
    /// One for each pair of `FingerprintOf` and `Digest`, made when it is asked for: a program wants one of
    /// them, or none.
    fingerprints: [[OnceLock<Option<CString>>; Digest::ALL.len()]; FingerprintOf::ALL.len()],
    subject: Option<CString>,
    issuer: Option<CString>,
    channel_binding: Option<[u8; 32]>,
    received_clause: CString,
}

impl From<&Info> for smtptls_info {
    fn from(info: &Info) -> smtptls_info {
        let text = |text: Option<&str>| text.map(c_text);
        let depth = |depth: Option<usize>| depth.and_then(|depth| depth.try_into().ok()).unwrap_or(-1);
        smtptls_info {
            summary: c_text(info.summary()),
            version: c_text(info.version()),
            cipher: c_text(info.cipher()),
            cipher_bits: c_int::try_from(info.cipher_bits()).unwrap_or(0),
            group: text(info.group()),
            server_name: text(info.server_name()),
            resumed: info.resumed(),
            level: info.level().number(),
            auth: info.auth().number(),
            secured: info.secured(),
            certificate_present: info.certificate_present(),
            trusted: info.trusted(),
            matched_name: text(info.matched_name()),
            doubt: text(info.doubt()),
            doubt_depth: depth(info.doubt_depth()),
            matched_tlsa: info.matched_tlsa().map(|record| c_text(record.to_string())),
            tlsa_depth: depth(info.tlsa_depth()),
            matched_fingerprint: text(info.matched_fingerprint()),
            certificates: (0..).map_while(|n| info.peer_certificate(n).map(<[u8]>::to_vec)).collect(),
            fingerprints: Default::default(),
            subject: info.peer_subject().map(c_text),
            issuer: info.peer_issuer().map(c_text),
            channel_binding: info.channel_binding().copied(),
            received_clause: c_text(info.received_clause()),
        }
    }
}

/// What a function returns of NULL: nothing.
///
/// # Safety
///
/// `info` is NULL or belongs to a session that is not freed.
unsafe fn of<R>(info: *const smtptls_info, nothing: R, fact: impl FnOnce(&'static smtptls_info) -> R) -> R {
    // SAFETY: as the caller of this function vouches; what is returned lives as long as the session.
    unsafe { shared(info) }.map_or(nothing, fact)
}

/// One line for logs and Received headers, such as "TLSv1.3 with cipher
/// TLS_AES_256_GCM_SHA384 (256 bits) key-exchange X25519MLKEM768".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_summary(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| info.summary.as_ptr()) }
}

/// The protocol version, "TLSv1.2" or "TLSv1.3".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_version(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| info.version.as_ptr()) }
}

/// The cipher suite by its IANA name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_cipher(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| info.cipher.as_ptr()) }
}

/// The strength of the cipher in bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_cipher_bits(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, 0, |info| info.cipher_bits) }
}

/// The key exchange group by its IANA name, or NULL where a resumed session
/// of TLS 1.2 had none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_group(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| or_null(info.group.as_ref())) }
}

/// On a server, the server name (SNI) that the client sent, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_server_name(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| or_null(info.server_name.as_ref())) }
}

/// Whether an earlier TLS session was resumed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_resumed(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, false, |info| info.resumed) }
}

/// The level that was in force, one of enum smtptls_level. It is not always the
/// one that was asked for: see smtptls_policy_effective_level().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_level(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, 0, |info| info.level) }
}

/// How the peer was authenticated, one of enum smtptls_auth. At the levels may
/// and encrypt, which ask for nothing, this is a fact for the log: an attacker
/// could have done without.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_auth(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, 0, |info| info.auth) }
}

/// Whether the policy demanded that the peer prove who it is, the peer did, and
/// it is the server of the destination. Under DANE with insecure MX records it
/// proved to be the host that an insecure answer named, and that is not enough
/// for this (RFC 7672 section 2.2.1).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_secured(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, false, |info| info.secured) }
}

/// Whether the peer sent a certificate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_certificate_present(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, false, |info| info.certificate_present) }
}

/// Whether the peer's certificate has a valid chain to a trust anchor,
/// whatever name it is for; or whether a TLSA record or a fingerprint vouches
/// for it, where these are in force.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_trusted(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, false, |info| info.trusted) }
}

/// Whether the peer's certificate is for an expected name, whoever signed it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_name_matched(info: *const smtptls_info) -> bool {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, false, |info| info.matched_name.is_some()) }
}

/// The expected name that the peer's certificate is for, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_matched_name(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| or_null(info.matched_name.as_ref())) }
}

/// Why the peer is not authenticated, in one line, or NULL if it is. At the
/// levels may and encrypt this is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_doubt(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| or_null(info.doubt.as_ref())) }
}

/// At which depth of the peer's chain the reason for that lies: 0 is its own
/// certificate, 1 that of the authority that signed it, and so on. The one
/// nearest to the peer's own counts. -1 if there is no doubt, or no such depth.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_doubt_depth(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, -1, |info| info.doubt_depth) }
}

/// The TLSA record that vouches for the peer, in presentation form such as
/// "3 1 1 0f1e...", or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_matched_tlsa(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| or_null(info.matched_tlsa.as_ref())) }
}

/// At which depth of the peer's chain that record holds: 0 is its own
/// certificate. Where the authority's certificate is not in the chain, the
/// depth that it would have. -1 if there is no such record.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_tlsa_depth(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, -1, |info| info.tlsa_depth) }
}

/// The fingerprint that vouches for the peer, such as "sha256:" and lower case
/// hex, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_matched_fingerprint(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| or_null(info.matched_fingerprint.as_ref())) }
}

/// The DER of a certificate that the peer sent, the peer's own at index 0.
/// NULL past the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_cert(
    info: *const smtptls_info,
    index: usize,
    len: *mut usize,
) -> *const u8 {
    // SAFETY: the header asks for NULL or the info of a session that is not freed, and a size_t or NULL at len.
    unsafe {
        of(info, std::ptr::null(), |info| {
            let certificate = info.certificates.get(index);
            if let Some(len) = object(len) {
                *len = certificate.map_or(0, Vec::len);
            }
            certificate.map_or(std::ptr::null(), |certificate| certificate.as_ptr())
        })
    }
}

/// The digest of the peer's certificate or public key: the algorithm, a colon
/// and lower case hex, such as "sha256:0f1e...". NULL if there is none. of is
/// one of enum smtptls_fingerprint_of, digest one of enum smtptls_digest. It is
/// made at the first call for that pair, and kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_fingerprint(
    info: *const smtptls_info,
    of: c_int,
    digest: c_int,
) -> *const c_char {
    let row = FingerprintOf::ALL.iter().position(|member| member.number() == of);
    let column = Digest::ALL.iter().position(|member| member.number() == digest);
    let (Some(row), Some(column)) = (row, column) else { return std::ptr::null() };
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe {
        self::of(info, std::ptr::null(), |info| {
            let make = || {
                let certificate = info.certificates.first()?;
                FingerprintOf::ALL[row].fingerprint(Digest::ALL[column], certificate).map(c_text)
            };
            let kept = &info.fingerprints[row][column];
            guard(|| or_null(kept.get_or_init(make).as_ref())).unwrap_or(std::ptr::null())
        })
    }
}

/// The subject of the peer's certificate as in RFC 4514, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_subject(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| or_null(info.subject.as_ref())) }
}

/// The issuer of the peer's certificate as in RFC 4514, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_issuer(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| or_null(info.issuer.as_ref())) }
}

/// The "tls-exporter" channel binding (RFC 9266) for SASL SCRAM-*-PLUS: 32
/// bytes. NULL at TLS 1.2, where the library cannot tell whether it is
/// defined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_channel_binding(
    info: *const smtptls_info,
    len: *mut usize,
) -> *const u8 {
    // SAFETY: the header asks for NULL or the info of a session that is not freed, and a size_t or NULL at len.
    unsafe {
        of(info, std::ptr::null(), |info| {
            if let Some(len) = object(len) {
                *len = info.channel_binding.map_or(0, |binding| binding.len());
            }
            info.channel_binding.as_ref().map_or(std::ptr::null(), |binding| binding.as_ptr())
        })
    }
}

/// The clause for a Received header (RFC 8314 section 4.3), such as
/// "tls TLS_AES_256_GCM_SHA384 group x25519".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_received_clause(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or the info of a session that is not freed.
    unsafe { of(info, std::ptr::null(), |info| info.received_clause.as_ptr()) }
}
