//! smtptls_policy: what is demanded of a destination.

use std::ffi::{c_char, c_int};

use smtptls_core::{Code, Error, Level, Policy};

use crate::boundary::{free, guard, object, shared, string};
use crate::error::smtptls_error;

/// What is demanded of one destination. Cheap to make: one per delivery is
/// fine. A session copies it, so it may be freed or changed at once. Only one
/// thread may use it at a time.
///
/// For a server's session the level says whether STARTTLS is offered
/// (SMTPTLS_LEVEL_MAY) or required (SMTPTLS_LEVEL_ENCRYPT).
pub struct smtptls_policy {
    pub(crate) policy: Policy,
    error: Option<Box<smtptls_error>>,
}

/// A new policy of one of enum smtptls_level; NULL if there is no such level.
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_policy_new(level: c_int) -> *mut smtptls_policy {
    guard(|| match Level::from_number(level) {
        Some(level) => Box::into_raw(Box::new(smtptls_policy { policy: Policy::new(level), error: None })),
        None => std::ptr::null_mut(),
    })
    .unwrap_or(std::ptr::null_mut())
}

/// Frees a policy. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_free(policy: *mut smtptls_policy) {
    // SAFETY: the header asks for NULL or a policy that is not freed.
    unsafe { free(policy) }
}

/// Why the last smtptls_policy_*() call failed, or NULL if it did not. Valid
/// until the next call on this policy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_error(policy: *const smtptls_policy) -> *const smtptls_error {
    // SAFETY: the header asks for NULL or a policy that is not freed.
    let error = unsafe { shared(policy) }.and_then(|policy| policy.error.as_deref());
    error.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// One call on a policy: its error is kept, and its code returned.
///
/// # Safety
///
/// `policy` is NULL or a policy that is not freed.
unsafe fn change(policy: *mut smtptls_policy, body: impl FnOnce(&mut Policy) -> Result<(), Error>) -> c_int {
    // SAFETY: as the caller of this function vouches.
    let Some(policy) = (unsafe { object(policy) }) else { return Code::Argument.number() };
    let result = guard(|| body(&mut policy.policy)).and_then(|result| result);
    let code = result.as_ref().err().map_or(0, |error| error.code().number());
    policy.error = result.err().map(|error| Box::new(error.into()));
    code
}

/// Accepts a certificate for this name: a host name, an IP address, or
/// ".example.com" for any name below example.com. Names that were added take
/// the place of the session's host. SMTPTLS_ERR_ARGUMENT if it is no name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_add_name(policy: *mut smtptls_policy, name: *const c_char) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and a string that ends with NUL.
    unsafe {
        change(policy, |policy| {
            let name = string(name, "name")?;
            policy.add_name(name).map(drop)
        })
    }
}

/// The server name (SNI) that a client sends. By default it is the session's
/// host, if that is a host name. NULL sends none. SMTPTLS_ERR_ARGUMENT if it
/// is no host name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_policy_set_sni(policy: *mut smtptls_policy, name: *const c_char) -> c_int {
    // SAFETY: the header asks for a policy that is not freed, and NULL or a string that ends with NUL.
    unsafe {
        change(policy, |policy| {
            let name = if name.is_null() { None } else { Some(string(name, "name")?) };
            policy.set_sni(name).map(drop)
        })
    }
}
