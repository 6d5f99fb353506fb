//! smtptls_info: what the peer's certificates say.

use std::ffi::{c_char, c_int};

use smtptls_core::{Digest, FingerprintOf};

use super::{Text, octets, of, smtptls_info, text};
use crate::boundary::{c_text, guard, or_null, shared};

/// The DER of a certificate that the peer sent, the peer's own at index 0.
/// NULL past the last. *len is its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_cert(
    info: *const smtptls_info,
    index: usize,
    len: *mut usize,
) -> *const u8 {
    // SAFETY: the header asks for NULL or an info that is not freed, and a size_t or NULL at len.
    unsafe { octets(of(info, None, |info| info.peer_certificate(index)), len) }
}

/// The certificates that the peer sent, in PEM, its own first. Empty if it sent
/// none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_chain_pem(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::PeerChainPem, |info| Some(info.peer_chain_pem())) }
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
    let of = FingerprintOf::ALL.iter().position(|member| member.number() == of);
    let digest = Digest::ALL.iter().position(|member| member.number() == digest);
    let (Some(of), Some(digest)) = (of, digest) else { return std::ptr::null() };
    // SAFETY: the header asks for NULL or an info that is not freed.
    let Some(info) = (unsafe { shared(info) }) else { return std::ptr::null() };
    let made = || {
        let made = guard(|| info.info.peer_fingerprint(FingerprintOf::ALL[of], Digest::ALL[digest]));
        made.ok().flatten().map(c_text)
    };
    or_null(info.asked().fingerprints[of][digest].get_or_init(made).as_ref())
}

/// The subject of the peer's certificate as in RFC 4514, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_subject(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::PeerSubject, |info| info.peer_subject()) }
}

/// The issuer of the peer's certificate as in RFC 4514, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_issuer(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::PeerIssuer, |info| info.peer_issuer()) }
}

/// The common name of the peer's certificate, escaped, or NULL. It is for logs:
/// no name is compared with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_common_name(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::PeerCommonName, |info| info.peer_common_name()) }
}

/// The common name of the issuer, escaped, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_issuer_common_name(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::PeerIssuerCommonName, |info| info.peer_issuer_common_name()) }
}

/// The serial number of the peer's certificate in lower case hex, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_serial(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::PeerSerial, |info| info.peer_serial()) }
}

/// A name of the peer's certificate, escaped: "DNS:mx.example.com",
/// "IP:192.0.2.1", "email:", "URI:". NULL past the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_name(info: *const smtptls_info, index: usize) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    let Some(info) = (unsafe { shared(info) }) else { return std::ptr::null() };
    let made = || {
        let names = guard(|| info.info.peer_names()).unwrap_or_default();
        names.into_iter().map(c_text).collect::<Vec<_>>()
    };
    or_null(info.asked().names.get_or_init(made).get(index))
}

/// When the peer's certificate begins, in seconds since 1970; -1 without one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_not_before(info: *const smtptls_info) -> i64 {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, -1, |info| info.peer_dates().map_or(-1, |dates| seconds(dates.0))) }
}

/// When the peer's certificate ends, in seconds since 1970; -1 without one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_not_after(info: *const smtptls_info) -> i64 {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, -1, |info| info.peer_dates().map_or(-1, |dates| seconds(dates.1))) }
}

/// The kind of the peer's key, "RSA", "ECDSA" or "ED25519", or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_key_algorithm(info: *const smtptls_info) -> *const c_char {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { text(info, Text::PeerKeyAlgorithm, |info| info.peer_key_algorithm().map(str::to_string)) }
}

/// The size of the peer's key in bits, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_info_peer_key_bits(info: *const smtptls_info) -> c_int {
    // SAFETY: the header asks for NULL or an info that is not freed.
    unsafe { of(info, 0, |info| info.peer_key_bits().and_then(|bits| bits.try_into().ok()).unwrap_or(0)) }
}

fn seconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}
