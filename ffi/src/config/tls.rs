//! smtptls_config: versions, cipher suites, groups, tickets.

use std::ffi::{c_char, c_int};
use std::sync::PoisonError;

use smtptls_core::{Code, ConfigBuilder, Error, TlsVersion};

use super::{change, smtptls_config};
use crate::boundary::{c_text, numbered, or_null, shared, string};

/// The oldest protocol version to accept, one of enum smtptls_tls_version;
/// SMTPTLS_TLS1_2 by default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_min_version(
    config: *mut smtptls_config,
    version: c_int,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed.
    unsafe {
        change(config, |builder| {
            let version = numbered(TlsVersion::ALL, TlsVersion::number, version, "smtptls_tls_version")?;
            builder.min_version(version);
            Ok(())
        })
    }
}

/// The newest protocol version to use, one of enum smtptls_tls_version;
/// SMTPTLS_TLS1_3 by default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_max_version(
    config: *mut smtptls_config,
    version: c_int,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed.
    unsafe {
        change(config, |builder| {
            let version = numbered(TlsVersion::ALL, TlsVersion::number, version, "smtptls_tls_version")?;
            builder.max_version(version);
            Ok(())
        })
    }
}

/// Sets a list. How many of its words name nothing, or a negative code.
///
/// # Safety
///
/// `config` is NULL or a configuration that is not freed, and `list` NULL or a string that ends with NUL.
unsafe fn set(
    config: *mut smtptls_config,
    list: *const c_char,
    body: impl FnOnce(&mut ConfigBuilder, &str) -> Result<Vec<String>, Error>,
) -> c_int {
    let mut unknown = Vec::new();
    // SAFETY: as the caller of this function vouches.
    let code = unsafe {
        change(config, |builder| {
            unknown = body(builder, string(list, "list")?)?;
            Ok(())
        })
    };
    // SAFETY: as the caller of this function vouches.
    let Some(config) = (unsafe { shared(config) }) else { return Code::Argument.number() };
    let count = c_int::try_from(unknown.len()).unwrap_or(c_int::MAX);
    *config.unknown.lock().unwrap_or_else(PoisonError::into_inner) =
        unknown.into_iter().map(c_text).collect();
    if code == 0 { count } else { code }
}

/// The cipher suites to use, in order of preference: names of IANA or of
/// OpenSSL, with colons, commas or blanks between. Returns how many words of
/// the list name none that the library has, see smtptls_config_unknown(), or
/// SMTPTLS_ERR_ARGUMENT if no word does. The default are all, and they are all
/// good; AES-128-GCM comes first. A server goes by its own order.
///
/// A list is for the versions of TLS that it names suites of: one without a
/// suite of TLS 1.3 leaves those as they are, as with OpenSSL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_ciphers(
    config: *mut smtptls_config,
    list: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe { set(config, list, |builder, list| builder.ciphers(list)) }
}

/// The key exchange groups to use, in order of preference: names of IANA or of
/// OpenSSL, with colons, commas or blanks between. Returns how many words of
/// the list name none that the library has, see smtptls_config_unknown(), or
/// SMTPTLS_ERR_ARGUMENT if no word does. A client's key share is for the first.
///
/// By default a client begins with x25519 and a server with X25519MLKEM768: a
/// key share of the latter makes a ClientHello longer than a segment, which
/// some SMTP servers cannot take, and at level may mail would then go in
/// plaintext. A server that prefers X25519MLKEM768 still gets it, at the second
/// try. To begin with it, set "X25519MLKEM768:x25519:secp256r1:secp384r1".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_groups(
    config: *mut smtptls_config,
    list: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe { set(config, list, |builder, list| builder.groups(list)) }
}

/// A word of the list that was set last, escaped, which names no cipher suite
/// or group that the library has. NULL past the last. Valid until the next list
/// is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_unknown(
    config: *const smtptls_config,
    index: usize,
) -> *const c_char {
    // SAFETY: the header asks for NULL or a configuration that is not freed.
    let Some(config) = (unsafe { shared(config) }) else { return std::ptr::null() };
    or_null(config.unknown.lock().unwrap_or_else(PoisonError::into_inner).get(index))
}

/// The name of the service, "smtp" by default. A session ticket of one service
/// is nothing to another that has the same keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_service(
    config: *mut smtptls_config,
    name: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe {
        change(config, |builder| {
            builder.service(string(name, "name")?);
            Ok(())
        })
    }
}

/// For how many seconds a session ticket is good; an hour by default, and a
/// week at most.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_ticket_lifetime(
    config: *mut smtptls_config,
    seconds: u32,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed.
    unsafe {
        change(config, |builder| {
            builder.ticket_lifetime(seconds);
            Ok(())
        })
    }
}

/// How many tickets a server gives after a handshake of TLS 1.3: 0, 1 or 2; one
/// by default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_tickets(config: *mut smtptls_config, count: usize) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed.
    unsafe {
        change(config, |builder| {
            builder.tickets(count);
            Ok(())
        })
    }
}
