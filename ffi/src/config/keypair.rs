//! smtptls_config: key pairs, and what a server asks of clients.

use std::ffi::{CStr, c_char, c_int, c_void};

use smtptls_core::{ClientAuth, Code, Error};

use super::{change, smtptls_config};
use crate::boundary::{bytes, numbered, path, string};

/// Adds a certificate chain and its private key from PEM files; they may be
/// the same file, with key and certificates in any order. A client presents
/// the first key pair that the server accepts. A server chooses by the name
/// the client asks for; the first key pair serves clients that name none or
/// an unknown one. SMTPTLS_ERR_FILE, SMTPTLS_ERR_CERTIFICATE_PARSE,
/// SMTPTLS_ERR_KEY_PARSE, SMTPTLS_ERR_KEY_MISMATCH, SMTPTLS_ERR_KEY_ENCRYPTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_keypair_file(
    config: *mut smtptls_config,
    chain: *const c_char,
    key: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and strings that end with NUL.
    unsafe {
        change(config, |builder| {
            let (chain, key) = (path(chain, "chain")?, path(key, "key")?);
            builder.add_keypair_file(chain, key).map(drop)
        })
    }
}

/// As smtptls_config_add_keypair_file(), from PEM text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_keypair_pem(
    config: *mut smtptls_config,
    chain: *const c_void,
    chain_len: usize,
    key: *const c_void,
    key_len: usize,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and that many bytes at chain and key.
    unsafe {
        change(config, |builder| {
            let (chain, key) = (bytes(chain, chain_len, "chain")?, bytes(key, key_len, "key")?);
            builder.add_keypair_pem(chain, key).map(drop)
        })
    }
}

/// Adds all key pairs of one PEM file, such as Postfix's chain files: each key
/// before its chain, or each behind it. The error names the line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_keypairs_file(
    config: *mut smtptls_config,
    path: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe {
        change(config, |builder| {
            let path = crate::boundary::path(path, "path")?;
            builder.add_keypairs_file(path).map(drop)
        })
    }
}

/// Adds a certificate chain from a PEM file whose private key is elsewhere, in
/// another process or in a device. With it smtptls_session_start() returns
/// SMTPTLS_WANT_SIGNATURE, and you have the key sign. As a client such a
/// configuration resumes no sessions. SMTPTLS_ERR_FILE,
/// SMTPTLS_ERR_CERTIFICATE_PARSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_certificate_file(
    config: *mut smtptls_config,
    chain: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe { change(config, |builder| builder.add_certificate_file(path(chain, "chain")?).map(drop)) }
}

/// As smtptls_config_add_certificate_file(), from PEM text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_certificate_pem(
    config: *mut smtptls_config,
    chain: *const c_void,
    chain_len: usize,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and chain_len bytes at chain.
    unsafe {
        change(config, |builder| {
            let chain = bytes(chain, chain_len, "chain")?;
            builder.add_certificate_pem(chain).map(drop)
        })
    }
}

/// Uses the key pair that was added last for this name too: a host name, or
/// ".example.com" for any below that domain. SMTPTLS_ERR_STATE if there is none
/// yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_keypair_name(
    config: *mut smtptls_config,
    name: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe { change(config, |builder| builder.add_keypair_name(string(name, "name")?).map(drop)) }
}

/// Staples an OCSP response to the key pair that was added last: a file in DER,
/// which is read now, and again with the pair. What it says, and for how long,
/// is for clients to judge.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_ocsp_file(
    config: *mut smtptls_config,
    path: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe {
        change(config, |builder| {
            let path = crate::boundary::path(path, "path")?;
            builder.set_ocsp_file(path).map(drop)
        })
    }
}

/// Whether a server asks for client certificates, one of enum
/// smtptls_client_auth, and whether it names the authorities that it trusts:
/// some clients choose by these names, and the list can be long. Certificates
/// are judged after the handshake, which never fails for one; whom they let in
/// is yours to say. With SMTPTLS_CLIENT_AUTH_REQUIRE smtptls_session_start()
/// fails without one that is trusted, or whose fingerprint the policy has; then
/// smtptls_session_refuse() answers 554.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_client_auth(
    config: *mut smtptls_config,
    mode: c_int,
    names: bool,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed.
    unsafe {
        change(config, |builder| {
            let mode = numbered(ClientAuth::ALL, ClientAuth::number, mode, "smtptls_client_auth")?;
            builder.client_auth(mode, names);
            Ok(())
        })
    }
}

/// The application protocols (ALPN, RFC 7301) to offer, or as a server to take:
/// count strings. None by default: no protocol is registered for SMTP, and a
/// server without any ignores what clients offer. A server that has some is as
/// strict as Exim: a client that offers ALPN must offer exactly one protocol,
/// and one of these.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_alpn(
    config: *mut smtptls_config,
    protocols: *const *const c_char,
    count: usize,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and count strings at protocols.
    unsafe {
        change(config, |builder| {
            if count > 0 && protocols.is_null() || count > 1000 {
                return Err(Error::local(Code::Argument, "protocols is NULL, or too many"));
            }
            let mut list: Vec<&[u8]> = Vec::new();
            for n in 0..count {
                let protocol = *protocols.add(n);
                if protocol.is_null() {
                    return Err(Error::local(Code::Argument, "a protocol is NULL"));
                }
                list.push(CStr::from_ptr(protocol).to_bytes());
            }
            builder.alpn(&list).map(drop)
        })
    }
}
