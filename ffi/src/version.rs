//! The version of the library, and the names of numbers.

use std::ffi::{CStr, c_char, c_int};

use smtptls_core::{Action, Auth, Code, Dnssec, Level};

use crate::boundary::{guard, string};

/// The name of a code, such as "SMTPTLS_ERR_CERT_NAME". Never NULL, static;
/// the names never change, so they are safe to log, match and count.
/// "SMTPTLS_ERR_UNKNOWN" for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_code_name(code: c_int) -> *const c_char {
    let name = match code {
        0 => c"SMTPTLS_OK",
        -1 => c"SMTPTLS_WANT_INPUT",
        -2 => c"SMTPTLS_WANT_OUTPUT",
        -3 => c"SMTPTLS_WANT_RETRY",
        -4 => c"SMTPTLS_WANT_SIGNATURE",
        code => {
            let member = Code::ALL.iter().find(|member| member.number() == code);
            member.map_or(c"SMTPTLS_ERR_UNKNOWN", |member| member.c_name())
        }
    };
    name.as_ptr()
}

/// The name of an action, such as "next-host", or NULL. Static.
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_action_name(action: c_int) -> *const c_char {
    let member = Action::ALL.iter().find(|member| member.number() == action);
    member.map_or(std::ptr::null(), |member| member.c_name().as_ptr())
}

/// The name of a level as in mail server configuration files ("encrypt"),
/// or NULL. Static.
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_level_name(level: c_int) -> *const c_char {
    Level::from_number(level).map_or(std::ptr::null(), |level| level.c_name().as_ptr())
}

/// The level of that name, or SMTPTLS_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_level_from_name(name: *const c_char) -> c_int {
    let none = Code::Argument.number();
    guard(|| {
        // SAFETY: the header asks for a string that ends with NUL.
        let name = unsafe { string(name, "name") };
        name.ok().and_then(Level::from_name).map_or(none, Level::number)
    })
    .unwrap_or(none)
}

/// The name of a way to authenticate a peer, such as "dane-ta", or NULL.
/// Static.
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_auth_name(auth: c_int) -> *const c_char {
    let member = Auth::ALL.iter().find(|member| member.number() == auth);
    member.map_or(std::ptr::null(), |member| member.c_name().as_ptr())
}

/// The one of enum smtptls_dnssec of that name, such as "secure", or
/// SMTPTLS_ERR_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_dnssec_from_name(name: *const c_char) -> c_int {
    let none = Code::Argument.number();
    guard(|| {
        // SAFETY: the header asks for a string that ends with NUL.
        let name = unsafe { string(name, "name") };
        name.ok().and_then(Dnssec::from_name).map_or(none, Dnssec::number)
    })
    .unwrap_or(none)
}

/// The version of the library in use, such as "0.1.0". Static.
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_version() -> *const c_char {
    const VERSION: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes();
    CStr::from_bytes_with_nul(VERSION).unwrap_or_default().as_ptr()
}

/// Whether a program compiled against this version can use the library it
/// runs with. Call it once as
/// smtptls_version_check(SMTPTLS_VERSION_MAJOR, SMTPTLS_VERSION_MINOR).
#[unsafe(no_mangle)]
pub extern "C" fn smtptls_version_check(major: c_int, minor: c_int) -> bool {
    let mut numbers = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse::<c_int>().ok());
    let (ours, least) = (numbers.next().flatten(), numbers.next().flatten());
    ours == Some(major) && minor >= 0 && least.is_some_and(|least| least >= minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pointer: *const c_char) -> Option<&'static str> {
        // SAFETY: NULL or a static literal.
        (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_str().unwrap())
    }

    #[test]
    fn names_are_the_engine_s() {
        for code in Code::ALL {
            assert_eq!(text(smtptls_code_name(code.number())), Some(code.name()));
        }
        for action in Action::ALL {
            assert_eq!(text(smtptls_action_name(action.number())), Some(action.name()));
        }
        for level in Level::ALL {
            assert_eq!(text(smtptls_level_name(level.number())), Some(level.name()));
        }
        for auth in Auth::ALL {
            assert_eq!(text(smtptls_auth_name(auth.number())), Some(auth.name()));
        }
        for status in Dnssec::ALL {
            let name = std::ffi::CString::new(status.name()).unwrap();
            // SAFETY: it ends with NUL.
            assert_eq!(unsafe { smtptls_dnssec_from_name(name.as_ptr()) }, status.number());
        }
        assert_eq!(text(smtptls_version()), Some(smtptls_core::VERSION));
        assert_eq!(text(smtptls_level_name(99)), None);
        assert_eq!(text(smtptls_auth_name(99)), None);
        assert_eq!(text(smtptls_code_name(99)), Some("SMTPTLS_ERR_UNKNOWN"));
    }
}
