//! smtptls_session: what can be asked of it.

use std::ffi::{c_char, c_int};

use super::{code, look, smtptls_session};
use crate::boundary::{c_text, object, or_null, shared};
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
        look(session, std::ptr::null(), |session| match session.stream.session().shared_info() {
            Some(info) => std::ptr::from_ref(session.info.get_or_init(|| smtptls_info::new(info))),
            None => std::ptr::null(),
        })
    }
}

/// What belongs into an SMTP TLS report (RFC 8460), one result for each index
/// from 0: one of enum smtptls_tlsrpt, and SMTPTLS_TLSRPT_NONE past the last.
/// A session that succeeded may have some too: what would have failed under an
/// MTA-STS policy in mode testing, and TLSA records that are all unusable.
/// Types are not exclusive (RFC 8460 section 4.3). *reason is the
/// failure-reason-code, such as "dane-no-match"; static, and NULL past the
/// last. reason may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_report(
    session: *const smtptls_session,
    index: usize,
    reason: *mut *const c_char,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed, and a pointer or NULL at reason.
    unsafe {
        let (kind, text) = look(session, (0, std::ptr::null()), |session| {
            let report = session.stream.session().reports().get(index);
            report
                .map_or((0, std::ptr::null()), |report| (report.kind().number(), report.c_reason().as_ptr()))
        });
        if let Some(reason) = object(reason) {
            *reason = text;
        }
        kind
    }
}

/// Whether a message with REQUIRETLS may be sent through this session (RFC 8689
/// section 4.2.1), SMTPTLS_OK or SMTPTLS_ERR_REQUIRETLS. It may if TLS is up;
/// if the server is one that secure MX records or an MTA-STS policy name, or
/// that the program was told to use (see smtptls_policy_set_next_hop()); if its
/// certificate was verified by a trust chain or by DANE; and if it offered
/// REQUIRETLS in its reply to the EHLO inside TLS, which is for you to say.
///
/// The session goes on as before, whatever this returns. On an error,
/// smtptls_session_error() is about this call until another one fails, and its
/// smtptls_error_enhanced_status() is for the bounce if there is no other
/// server to try: "5.7.30" where REQUIRETLS is not offered, "5.7.10" where the
/// session is not good enough. Say QUIT and try the next server; other messages
/// may go first. A bounce itself, with an empty return path, may be sent all
/// the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_check_requiretls(
    session: *mut smtptls_session,
    offered: bool,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { code(session, |session| session.stream.session().check_requiretls(offered).map(|()| 0)) }
}

/// Why the last call that failed did so, or NULL if none has. Valid until the
/// next call on the session that fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_error(session: *const smtptls_session) -> *const smtptls_error {
    // SAFETY: the header asks for a session that is not freed.
    let error = unsafe { shared(session) }.and_then(|session| session.error.as_deref());
    error.map_or(std::ptr::null(), std::ptr::from_ref)
}
