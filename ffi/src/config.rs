//! smtptls_config: who we are and whom we trust.

mod keypair;
mod live;
mod tls;

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

use smtptls_core::{Code, Config, ConfigBuilder, Error};

use crate::boundary::{bytes, free, guard, path, shared, string};
use crate::error::smtptls_error;

/// What a process trusts and who it is: trust anchors, key pairs, limits.
///
/// Make one at start-up, freeze it, and share it: a frozen configuration is
/// read-only and any number of threads, and processes after fork(), may use
/// it at once. Until then only one thread may touch it.
///
/// A call that fails spoils it: a configuration whose trust could not be
/// loaded never freezes, and no session can be started from it.
pub struct smtptls_config {
    builder: Mutex<ConfigBuilder>,
    frozen: OnceLock<Config>,
    error: Mutex<Option<Box<smtptls_error>>>,
    /// The words of the last list that name nothing.
    unknown: Mutex<Vec<CString>>,
}

impl smtptls_config {
    /// The frozen configuration; frozen now, if it was not.
    pub(crate) fn frozen(&self) -> Result<Config, Error> {
        if let Some(config) = self.frozen.get() {
            return Ok(config.clone());
        }
        let config = self.builder.lock().unwrap_or_else(PoisonError::into_inner).freeze()?;
        Ok(self.frozen.get_or_init(|| config).clone())
    }

    fn keep(&self, error: Option<Error>) -> c_int {
        let code = error.as_ref().map_or(0, |error| error.code().number());
        let mut kept = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = error.map(|error| Box::new(error.into()));
        code
    }
}

/// One call on a configuration: its error is kept, and its code returned.
///
/// # Safety
///
/// `config` is NULL or a configuration that is not freed.
unsafe fn on(
    config: *const smtptls_config,
    body: impl FnOnce(&smtptls_config) -> Result<(), Error>,
) -> c_int {
    // SAFETY: as the caller of this function vouches.
    let Some(config) = (unsafe { shared(config) }) else { return Code::Argument.number() };
    let result = guard(|| body(config)).and_then(|result| result);
    guard(|| config.keep(result.err())).unwrap_or(Code::Internal.number())
}

/// The same for calls that change it.
///
/// # Safety
///
/// `config` is NULL or a configuration that is not freed.
unsafe fn change(
    config: *const smtptls_config,
    body: impl FnOnce(&mut ConfigBuilder) -> Result<(), Error>,
) -> c_int {
    // SAFETY: as the caller of this function vouches.
    unsafe {
        on(config, |config| {
            if config.frozen.get().is_some() {
                let message = "the configuration is frozen: change it before the first session";
                return Err(Error::local(Code::Frozen, message));
            }
            body(&mut config.builder.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }
}

/// A new configuration: no trust anchors, no key pairs, TLS 1.2 or later.
/// NULL only when out of memory.
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_config_new() -> *mut smtptls_config {
    guard(|| {
        let config = smtptls_config {
            builder: Mutex::new(Config::builder()),
            frozen: OnceLock::new(),
            error: Mutex::new(None),
            unknown: Mutex::new(Vec::new()),
        };
        Box::into_raw(Box::new(config))
    })
    .unwrap_or(std::ptr::null_mut())
}

/// Frees a configuration. Sessions made from it keep what they need. NULL is
/// fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_free(config: *mut smtptls_config) {
    // SAFETY: the header asks for NULL or a configuration that is not freed.
    unsafe { free(config) }
}

/// Checks the configuration as a whole and makes it read-only. Making a
/// session freezes it too; freeze it yourself to see mistakes at start-up,
/// and before threads share it. Returns SMTPTLS_OK, or the code of the first
/// call that failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_freeze(config: *mut smtptls_config) -> c_int {
    // SAFETY: the header asks for NULL or a configuration that is not freed.
    unsafe { on(config, |config| config.frozen().map(drop)) }
}

/// Why the last smtptls_config_*() call failed, or NULL if it did not. Valid
/// until the next call on this configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_error(config: *const smtptls_config) -> *const smtptls_error {
    // SAFETY: the header asks for NULL or a configuration that is not freed.
    let Some(config) = (unsafe { shared(config) }) else { return std::ptr::null() };
    let kept = config.error.lock().unwrap_or_else(PoisonError::into_inner);
    kept.as_deref().map_or(std::ptr::null(), std::ptr::from_ref)
}

/// The name this host gives in EHLO and in its greeting. The default is the
/// system's host name. SMTPTLS_ERR_ARGUMENT if it cannot be one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_hostname(
    config: *mut smtptls_config,
    hostname: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe {
        change(config, |builder| {
            let hostname = string(hostname, "hostname")?;
            builder.hostname(hostname).map(drop)
        })
    }
}

/// Trusts the authorities that the system trusts. SMTPTLS_ERR_NO_ROOTS if it
/// trusts none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_system_roots(config: *mut smtptls_config) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed.
    unsafe { change(config, |builder| builder.add_system_roots().map(drop)) }
}

/// Trusts every certificate in a PEM file. SMTPTLS_ERR_FILE,
/// SMTPTLS_ERR_CERTIFICATE_PARSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_roots_file(
    config: *mut smtptls_config,
    file: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe {
        change(config, |builder| {
            let file = path(file, "file")?;
            builder.add_roots_file(file).map(drop)
        })
    }
}

/// Trusts every certificate in the PEM files of a directory, as "openssl
/// rehash" fills one. They are read now, and not when a server is judged, so
/// that the program may give the directory up. SMTPTLS_ERR_FILE,
/// SMTPTLS_ERR_CERTIFICATE_PARSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_roots_dir(
    config: *mut smtptls_config,
    directory: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe {
        change(config, |builder| {
            let directory = path(directory, "directory")?;
            builder.add_roots_directory(directory).map(drop)
        })
    }
}

/// Trusts every certificate in PEM text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_roots_pem(
    config: *mut smtptls_config,
    pem: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and len bytes at pem.
    unsafe {
        change(config, |builder| {
            let pem = bytes(pem, len, "pem")?;
            builder.add_roots_pem(pem).map(drop)
        })
    }
}

/// Adds certificate revocation lists from a file, in PEM or DER. They hold at
/// the levels that go by trust anchors, for every certificate of a chain whose
/// issuer has a list here; a list that has expired makes such a certificate
/// fail. DANE and fingerprints know no revocation. SMTPTLS_ERR_FILE,
/// SMTPTLS_ERR_CRL_PARSE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_crl_file(
    config: *mut smtptls_config,
    file: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe {
        change(config, |builder| {
            let file = path(file, "file")?;
            builder.add_crl_file(file).map(drop)
        })
    }
}

/// As smtptls_config_add_crl_file(), from memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_add_crl_pem(
    config: *mut smtptls_config,
    pem: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and len bytes at pem.
    unsafe {
        change(config, |builder| {
            let pem = bytes(pem, len, "pem")?;
            builder.add_crl_pem(pem).map(drop)
        })
    }
}

/// Keeps the TLS sessions of clients with this many servers, in memory, so
/// that they can be resumed; 0, the default, keeps none. They are kept by host
/// and SNI, and a resumed one is judged anew: by the policy of its time, from
/// the chain that the first handshake saw. One that is refused is forgotten.
/// Any number of threads may share them; after fork() each process has its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_client_sessions(
    config: *mut smtptls_config,
    servers: usize,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed.
    unsafe {
        change(config, |builder| {
            builder.client_sessions(servers);
            Ok(())
        })
    }
}
