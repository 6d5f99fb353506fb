//! smtptls_error: why something failed.

use std::ffi::{CStr, CString, c_char, c_int};

use smtptls_core::{Error, Tlsrpt};

use crate::boundary::{c_text, shared};

/// Why something failed. Read-only.
pub struct smtptls_error {
    error: Error,
    message: CString,
}

impl From<Error> for smtptls_error {
    fn from(error: Error) -> smtptls_error {
        smtptls_error { message: c_text(error.message()), error }
    }
}

/// The code, one of enum smtptls_code. SMTPTLS_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_code(error: *const smtptls_error) -> c_int {
    // SAFETY: the header asks for NULL or an error of this library.
    unsafe { shared(error) }.map_or(0, |error| error.error.code().number())
}

/// One line of English for logs. Its wording may change. What the peer sent
/// stands in it escaped. Never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_message(error: *const smtptls_error) -> *const c_char {
    // SAFETY: the header asks for NULL or an error of this library.
    unsafe { shared(error) }.map_or(c"no error".as_ptr(), |error| error.message.as_ptr())
}

/// The errno of a failed system call, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_os(error: *const smtptls_error) -> c_int {
    // SAFETY: the header asks for NULL or an error of this library.
    unsafe { shared(error) }.and_then(|error| error.error.os()).unwrap_or(0)
}

/// The number of the TLS alert that the peer sent (RFC 8446 section 6), or -1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_alert(error: *const smtptls_error) -> c_int {
    // SAFETY: the header asks for NULL or an error of this library.
    unsafe { shared(error) }.and_then(|error| error.error.alert()).map_or(-1, c_int::from)
}

/// What the policy lets a program do now, one of enum smtptls_action.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_action(error: *const smtptls_error) -> c_int {
    // SAFETY: the header asks for NULL or an error of this library.
    unsafe { shared(error) }.map_or(0, |error| error.error.action().number())
}

/// The enhanced status code (RFC 3463) for the deferral or the bounce, such as
/// "4.7.5"; NULL on a server, and where there is nothing to defer. Static.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_enhanced_status(error: *const smtptls_error) -> *const c_char {
    // SAFETY: the header asks for NULL or an error of this library.
    let status = unsafe { shared(error) }.and_then(|error| error.error.c_enhanced_status());
    status.map_or(std::ptr::null(), CStr::as_ptr)
}

/// Whether it is worth trying later. False for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_temporary(error: *const smtptls_error) -> bool {
    // SAFETY: the header asks for NULL or an error of this library.
    unsafe { shared(error) }.is_some_and(|error| error.error.is_temporary())
}

/// The result type for an SMTP TLS report, one of enum smtptls_tlsrpt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_tlsrpt(error: *const smtptls_error) -> c_int {
    // SAFETY: the header asks for NULL or an error of this library.
    unsafe { shared(error) }.and_then(|error| error.error.tlsrpt()).map_or(0, Tlsrpt::number)
}

/// The name of that result type, such as "certificate-expired", or NULL.
/// Static.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_tlsrpt_name(error: *const smtptls_error) -> *const c_char {
    // SAFETY: the header asks for NULL or an error of this library.
    let tlsrpt = unsafe { shared(error) }.and_then(|error| error.error.tlsrpt());
    tlsrpt.map_or(std::ptr::null(), |tlsrpt| tlsrpt.c_name().as_ptr())
}

/// The failure-reason-code for that report (RFC 8460 section 4.3.1), such as
/// "dane-no-match", or NULL. Static.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_error_tlsrpt_reason(error: *const smtptls_error) -> *const c_char {
    // SAFETY: the header asks for NULL or an error of this library.
    let report = unsafe { shared(error) }.and_then(|error| error.error.report());
    report.map_or(std::ptr::null(), |report| report.c_reason().as_ptr())
}
