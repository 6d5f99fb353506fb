//! smtptls_session: what can be asked of it.

use std::ffi::c_char;

use super::{code, look, smtptls_session};
use crate::boundary::{c_text, or_null, shared};
use crate::error::smtptls_error;
use crate::info::smtptls_info;

/// The last SMTP reply that a client received, its lines joined by "\n", or
/// NULL. Valid until the next call on the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_reply(session: *mut smtptls_session) -> *const c_char {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        code(session, |session| {
            session.reply = session.stream.session().reply().map(c_text);
            Ok(0)
        });
        shared(session).map_or(std::ptr::null(), |session| or_null(session.reply.as_ref()))
    }
}

/// The last hello that a server answered in plaintext, as it came, such as
/// "EHLO client.example", or NULL. Valid until the next call on the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_hello(session: *mut smtptls_session) -> *const c_char {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        code(session, |session| {
            session.hello = session.stream.session().hello().map(c_text);
            Ok(0)
        });
        shared(session).map_or(std::ptr::null(), |session| or_null(session.hello.as_ref()))
    }
}

/// Whether TLS is active: the handshake is done, and the session is not
/// closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_is_tls(session: *const smtptls_session) -> bool {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { look(session, false, |session| session.stream.session().is_tls()) }
}

/// Whether the peer closed the connection without a close_notify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_is_truncated(session: *const smtptls_session) -> bool {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { look(session, false, |session| session.stream.session().is_truncated()) }
}

/// The facts of the TLS connection, or NULL before the handshake is done;
/// also there if the policy is not met. They never change, and live as long
/// as the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_info(session: *const smtptls_session) -> *const smtptls_info {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        look(session, std::ptr::null(), |session| match session.stream.info() {
            Some(info) => std::ptr::from_ref(session.info.get_or_init(|| info.into())),
            None => std::ptr::null(),
        })
    }
}

/// Why the last call that failed did so, or NULL if none has. Valid until the
/// next call on the session that fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_error(session: *const smtptls_session) -> *const smtptls_error {
    // SAFETY: the header asks for a session that is not freed.
    let error = unsafe { shared(session) }.and_then(|session| session.error.as_deref());
    error.map_or(std::ptr::null(), std::ptr::from_ref)
}
