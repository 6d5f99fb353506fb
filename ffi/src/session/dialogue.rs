//! smtptls_session: how a server plays its part before TLS.

use std::ffi::{c_char, c_int, c_void};

use super::{code, smtptls_session};
use crate::boundary::{bytes, string};

/// For a server that starts from the greeting: a line of its EHLO reply
/// before TLS, such as "SIZE 1000". PIPELINING, ENHANCEDSTATUSCODES and
/// STARTTLS are there already. Before smtptls_session_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_add_extension(
    session: *mut smtptls_session,
    line: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed, and a string that ends with NUL.
    unsafe {
        code(session, |session| {
            let line = string(line, "line")?;
            session.stream.session_mut().add_extension(line).map(|()| 0)
        })
    }
}

/// For a server that starts from the command: the line that you have read. A
/// parameter behind STARTTLS is answered with 501. Without this call the line
/// was plainly STARTTLS. Before smtptls_session_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_command(
    session: *mut smtptls_session,
    line: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed, and a string that ends with NUL.
    unsafe {
        code(session, |session| {
            let line = string(line, "line")?;
            session.stream.session_mut().set_command(line).map(|()| 0)
        })
    }
}

/// For a server that starts from the greeting: the text behind its name, in
/// place of "ESMTP" or "LMTP". Before smtptls_session_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_greeting(
    session: *mut smtptls_session,
    text: *const c_char,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed, and a string that ends with NUL.
    unsafe {
        code(session, |session| {
            let text = string(text, "text")?;
            session.stream.session_mut().set_greeting(text).map(|()| 0)
        })
    }
}

/// For a server that cannot have TLS for now: STARTTLS is not offered, and
/// answered with 454 (RFC 3207 section 4). Where it is required, other commands
/// still get 530. Before smtptls_session_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_not_now(session: *mut smtptls_session) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { code(session, |session| session.stream.session_mut().set_not_now().map(|()| 0)) }
}

/// For a server: whether what a client sends in plaintext behind STARTTLS is
/// dropped, as Postfix does, in place of 554 and an error. Either way it is never
/// executed, and never becomes part of TLS. Before smtptls_session_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_discard(session: *mut smtptls_session, discard: bool) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { code(session, |session| session.stream.session_mut().set_discard(discard).map(|()| 0)) }
}

/// For a server that requires TLS: whether HELO, HELP and XCLIENT are exempt
/// too, as in Postfix; RFC 3207 section 4 names NOOP, EHLO, STARTTLS and QUIT.
/// XCLIENT is yours then: smtptls_session_start() hands it over. Before
/// smtptls_session_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_exempt_more(
    session: *mut smtptls_session,
    exempt: bool,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { code(session, |session| session.stream.session_mut().set_exempt_more(exempt).map(|()| 0)) }
}

/// For a server that starts from the handshake, as on port 465: what it says
/// first inside TLS, such as "220 mx.example.com ESMTP" and CRLF. It leaves with
/// the server's Finished, a round trip sooner than by smtptls_session_write()
/// (0.5-RTT), where the client has TLS 1.3 and is asked for no certificate; else
/// after the handshake. It goes to somebody who is not known yet. len is 1 to
/// 2000. Before smtptls_session_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_banner(
    session: *mut smtptls_session,
    data: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed, and len bytes at data.
    unsafe {
        code(session, |session| {
            let banner = bytes(data, len, "data")?;
            session.stream.session_mut().set_banner(banner).map(|()| 0)
        })
    }
}
