//! smtptls_config: what changes while sessions run.

use std::ffi::{c_char, c_int, c_void};
use std::sync::PoisonError;

use smtptls_core::{Code, Error};

use super::{change, on, smtptls_config};
use crate::boundary::{bytes, shared};

/// The length of a ticket key.
const TICKET_KEY: usize = 32;

/// Reads the files of the key pairs again; pairs from memory stay. All are
/// checked first: on an error the old ones go on serving, and
/// smtptls_config_error() says which file and why. Sessions that are made
/// afterwards see the new ones. For a frozen configuration, from any thread, but
/// of the calls that change a live configuration only one at a time, and
/// smtptls_config_error() is about the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_reload_keypairs(config: *mut smtptls_config) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed.
    unsafe { on(config, |config| config.frozen()?.reload_keypairs()) }
}

/// Takes the key pairs of another configuration that is being made, in place of
/// its own: for a program that can read no files any more, or whose names have
/// changed. The other one may be freed then. SMTPTLS_ERR_NO_KEYPAIR if it has
/// none; on any error the old pairs go on serving. Threads as for
/// smtptls_config_reload_keypairs().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_replace_keypairs(
    config: *mut smtptls_config,
    from: *const smtptls_config,
) -> c_int {
    // SAFETY: the header asks for configurations that are not freed.
    unsafe {
        on(config, |config| {
            let from = shared(from).ok_or_else(|| Error::local(Code::Argument, "from is NULL"))?;
            // A copy, so that a configuration may be given to itself.
            let from = from.builder.lock().unwrap_or_else(PoisonError::into_inner).clone();
            config.frozen()?.replace_keypairs(&from)
        })
    }
}

/// The keys for a server's session tickets, from a file that holds the current
/// key, the next and the previous one; "python3 -m smtptls.tickets" makes and
/// rotates it. The current key seals, and all of them open tickets. Before the
/// configuration is frozen; smtptls_config_reload_ticket_keys() reads the file
/// again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_ticket_key_file(
    config: *mut smtptls_config,
    path: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and a string that ends with NUL.
    unsafe {
        change(config, |builder| {
            let path = crate::boundary::path(path, "path")?;
            builder.ticket_key_file(path).map(drop)
        })
    }
}

/// Reads the file of ticket keys again. On an error the old keys stay. Threads
/// as for smtptls_config_reload_keypairs().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_reload_ticket_keys(config: *mut smtptls_config) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed.
    unsafe { on(config, |config| config.frozen()?.reload_ticket_keys()) }
}

/// The keys for a server's session tickets: count times 32 random octets, one
/// behind the other. The first key seals new tickets, and each opens those that
/// it has sealed, so all processes and hosts with the same keys resume each
/// other's sessions. To rotate, put the new key first and leave the old ones
/// behind it for as long as their tickets are good. With none, the default,
/// nothing is resumed. Before the configuration is frozen and afterwards;
/// threads as for smtptls_config_reload_keypairs(). The keys are copied; wipe
/// your own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_config_set_ticket_keys(
    config: *mut smtptls_config,
    keys: *const c_void,
    count: usize,
) -> c_int {
    // SAFETY: the header asks for a configuration that is not freed, and 32 times count octets at keys.
    unsafe {
        on(config, |config| {
            let length = count
                .checked_mul(TICKET_KEY)
                .filter(|_| count <= 1000)
                .ok_or_else(|| Error::local(Code::Argument, format!("{count} ticket keys are too many")))?;
            let keys: Vec<&[u8]> = bytes(keys, length, "keys")?.chunks_exact(TICKET_KEY).collect();
            match config.frozen.get() {
                Some(frozen) => frozen.set_ticket_keys(&keys),
                None => {
                    let mut builder = config.builder.lock().unwrap_or_else(PoisonError::into_inner);
                    builder.ticket_keys(&keys).map(drop)
                }
            }
        })
    }
}
