//! smtptls_session: bytes in and out.

use std::ffi::{c_int, c_void};

use smtptls_core::Progress;

use super::{code, look, number, on, smtptls_session};
use crate::boundary::{bytes, object, room};

fn count(progress: &Progress<usize>) -> isize {
    match progress {
        // No slice is longer than that.
        Progress::Done(count) => isize::try_from(*count).unwrap_or(isize::MAX),
        other => number(other) as isize,
    }
}

/// Reads decrypted bytes: how many, 0 at the end, or a negative code. The end
/// is 0 with and without a close_notify: SMTP frames itself, and
/// smtptls_session_is_truncated() tells which it was. After
/// SMTPTLS_ERR_TIMEOUT the session is as it was.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn smtptls_session_read(
    session: *mut smtptls_session,
    buf: *mut c_void,
    len: usize,
) -> isize {
    // SAFETY: the header asks for a session that is not freed, and room for len bytes at buf.
    unsafe {
        on(session, |session| {
            let buffer = room(buf, len, "buf")?;
            session.stream.read(buffer).map(|progress| count(&progress))
        })
    }
}

/// Writes buf and returns how many bytes were taken, or a negative code. In mode
/// SMTPTLS_MODE_BLOCKING that is all of len, and it has been sent. In the others
/// it may be less, and what was taken leaves with the next call; then call
/// again with the rest, which may have moved. After SMTPTLS_ERR_TIMEOUT it is
/// not known how much has left, so there is nothing to do but to close.
///
/// With more, the bytes may wait for those of the next write and leave in one
/// TLS record with them. A write without more, smtptls_session_flush(),
/// smtptls_session_read() and smtptls_session_close() let them go.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn smtptls_session_write(
    session: *mut smtptls_session,
    buf: *const c_void,
    len: usize,
    more: bool,
) -> isize {
    // SAFETY: the header asks for a session that is not freed, and len bytes at buf.
    unsafe {
        on(session, |session| {
            let data = bytes(buf, len, "buf")?;
            session.stream.write(data, more).map(|progress| count(&progress))
        })
    }
}

/// Sends whatever waits to be sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_flush(session: *mut smtptls_session) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { code(session, |session| session.stream.flush().map(|progress| number(&progress))) }
}

/// How many bytes smtptls_session_read() can return without reading from the
/// peer. Look here before you wait for a descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_pending(session: *mut smtptls_session) -> usize {
    // SAFETY: the header asks for a session that is not freed.
    let pending = unsafe { on(session, |session| Ok(session.stream.session_mut().pending() as isize)) };
    usize::try_from(pending).unwrap_or(0)
}

/// Without descriptors: takes bytes that came from the peer, and returns how
/// many; fewer than len only while much waits to be read. A len of 0 means
/// that the peer closed the connection, as with recv(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_feed(
    session: *mut smtptls_session,
    buf: *const c_void,
    len: usize,
) -> isize {
    // SAFETY: the header asks for a session that is not freed, and len bytes at buf.
    unsafe {
        on(session, |session| {
            let bytes = bytes(buf, len, "buf")?;
            Ok(session.stream.session_mut().feed(bytes) as isize)
        })
    }
}

/// Without descriptors: says that the time that you allow has run out, and returns
/// what follows from it: SMTPTLS_ERR_TIMEOUT, or the code with which the session had
/// failed already. In smtptls_session_start() that is final, and there and in
/// smtptls_session_refuse() a client that was to send a command gets 421, which
/// smtptls_session_output() shows. Elsewhere the session is as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_expire(session: *mut smtptls_session) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { code(session, |session| Err(session.stream.session_mut().expire())) }
}

/// Without descriptors: shows the bytes to send to the peer and returns how
/// many there are. They stay in the session until smtptls_session_sent(), and
/// *data is valid until the next call on the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_output(
    session: *const smtptls_session,
    data: *mut *const u8,
) -> usize {
    // SAFETY: the header asks for a session that is not freed, and a pointer or NULL at data.
    unsafe {
        let output: &[u8] = look(session, &[], |session| session.stream.session().output());
        if let Some(data) = object(data) {
            *data = if output.is_empty() { std::ptr::null() } else { output.as_ptr() };
        }
        output.len()
    }
}

/// Without descriptors: drops the first len bytes of the output; they were
/// sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_sent(session: *mut smtptls_session, len: usize) {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        code(session, |session| {
            session.stream.session_mut().sent(len);
            Ok(0)
        });
    }
}

/// Bytes that came from the peer and are yours, and how many there are. On a
/// server after SMTPTLS_ERR_NOT_REQUESTED: the command with which the client
/// went on in plaintext, and what followed. After the peer's close_notify:
/// what followed that. *data is valid until the next call on the session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_leftover(
    session: *const smtptls_session,
    data: *mut *const u8,
) -> usize {
    // SAFETY: the header asks for a session that is not freed, and a pointer or NULL at data.
    unsafe {
        let leftover: &[u8] = look(session, &[], |session| session.stream.session().leftover());
        if let Some(data) = object(data) {
            *data = if leftover.is_empty() { std::ptr::null() } else { leftover.as_ptr() };
        }
        leftover.len()
    }
}
