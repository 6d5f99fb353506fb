//! smtptls_session: one connection on its way to TLS, and then in it.

use std::cell::OnceCell;
use std::ffi::{CString, c_char, c_int};
use std::io;
use std::time::Duration;

use smtptls_core::{
    Close, Code, Deadline, Entry, Error, Fd, Level, Limit, Mode, Policy, Progress, Protocol, Session, Stream,
    Transport,
};

use crate::boundary::{free, guard, numbered, object, shared, string};
use crate::config::smtptls_config;
use crate::error::smtptls_error;
use crate::info::smtptls_info;
use crate::policy::smtptls_policy;

/// One SMTP connection on its way to TLS, and then in it.
///
/// With descriptors attached, calls do I/O as their mode says. Without, the
/// session never touches a descriptor: you carry the bytes with
/// smtptls_session_feed() and smtptls_session_output(), and calls that cannot
/// go on return SMTPTLS_WANT_INPUT or SMTPTLS_WANT_OUTPUT.
///
/// Only one thread may use a session at a time. After fork() only one of the
/// two processes may go on using it; the other may free it, which sends
/// nothing. What was learnt before TLS is forgotten when TLS begins.
pub struct smtptls_session {
    stream: Stream<Link>,
    /// A panic went through it: it may only be freed.
    poisoned: bool,
    /// Of the last call that failed.
    error: Option<Box<smtptls_error>>,
    info: OnceCell<smtptls_info>,
    reply: Option<CString>,
    hello: Option<CString>,
}

/// What a session is attached to.
enum Link {
    /// Nothing: the program carries the bytes.
    Memory,
    Fd(Fd<'static>),
}

impl Transport for Link {
    fn read(&mut self, buffer: &mut [u8], until: Deadline) -> io::Result<usize> {
        match self {
            Link::Memory => Err(io::ErrorKind::WouldBlock.into()),
            Link::Fd(fd) => fd.read(buffer, until),
        }
    }

    fn write(&mut self, bytes: &[u8], until: Deadline) -> io::Result<usize> {
        match self {
            Link::Memory => Err(io::ErrorKind::WouldBlock.into()),
            Link::Fd(fd) => fd.write(bytes, until),
        }
    }

    fn is_connected(&self) -> bool {
        matches!(self, Link::Fd(_))
    }
}

impl smtptls_session {
    fn boxed(session: Session) -> *mut smtptls_session {
        Box::into_raw(Box::new(smtptls_session {
            stream: Stream::new(session, Link::Memory),
            poisoned: false,
            error: None,
            info: OnceCell::new(),
            reply: None,
            hello: None,
        }))
    }

    fn keep(&mut self, error: Error) -> isize {
        let code = error.code().number();
        self.error = Some(Box::new(error.into()));
        code as isize
    }
}

/// One call on a session: its error is kept, and its code returned.
///
/// # Safety
///
/// `session` is NULL or a session that is not freed and that no other call is using.
unsafe fn on(
    session: *mut smtptls_session,
    body: impl FnOnce(&mut smtptls_session) -> Result<isize, Error>,
) -> isize {
    // SAFETY: as the caller of this function vouches.
    let Some(session) = (unsafe { object(session) }) else { return Code::Argument.number() as isize };
    if session.poisoned {
        return Code::Internal.number() as isize;
    }
    match guard(|| body(session).or_else(|error| Ok::<_, Error>(session.keep(error)))) {
        Ok(result) => result.unwrap_or(Code::Internal.number() as isize),
        Err(panicked) => {
            session.poisoned = true;
            session.keep(panicked)
        }
    }
}

/// The same for calls whose result is 0 or a code.
///
/// # Safety
///
/// As for `on`.
unsafe fn code(
    session: *mut smtptls_session,
    body: impl FnOnce(&mut smtptls_session) -> Result<c_int, Error>,
) -> c_int {
    // SAFETY: as the caller of this function vouches. Every code fits.
    unsafe { on(session, |session| body(session).map(|code| code as isize)) as c_int }
}

/// The same for calls that only look.
///
/// # Safety
///
/// As for `on`, but other calls may look at the same time.
unsafe fn look<R>(
    session: *const smtptls_session,
    nothing: R,
    body: impl FnOnce(&'static smtptls_session) -> R,
) -> R {
    // SAFETY: as the caller of this function vouches; what is returned lives as the header says.
    match unsafe { shared(session) } {
        Some(session) if !session.poisoned => match guard(|| body(session)) {
            Ok(result) => result,
            Err(_) => nothing,
        },
        _ => nothing,
    }
}

fn number<T>(progress: &Progress<T>) -> c_int {
    match progress {
        Progress::Done(_) => 0,
        Progress::WantInput => -1,
        Progress::WantOutput => -2,
        Progress::WantRetry => -3,
        Progress::WantSignature => -4,
    }
}

/// A new client session to a server. host is the name that the policy is
/// about, in mail routing the MX host. A NULL policy is SMTPTLS_LEVEL_VERIFY.
/// NULL when config or host is NULL, or when the configuration cannot be
/// frozen: smtptls_config_freeze() says why. Any other mistake is reported by
/// smtptls_session_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_client(
    config: *mut smtptls_config,
    policy: *const smtptls_policy,
    host: *const c_char,
) -> *mut smtptls_session {
    guard(|| {
        // SAFETY: the header asks for a configuration and a policy that are not freed, or NULL, and a string
        // that ends with NUL.
        let (config, policy, host) = unsafe { (shared(config), shared(policy), string(host, "host")) };
        let config = config.and_then(|config| config.frozen().ok());
        let (Some(config), Ok(host)) = (config, host) else { return std::ptr::null_mut() };
        let policy = policy.map_or_else(Policy::default, |policy| policy.policy.clone());
        smtptls_session::boxed(Session::client(&config, &policy, host))
    })
    .unwrap_or(std::ptr::null_mut())
}

/// A new server session. A NULL policy is SMTPTLS_LEVEL_MAY: STARTTLS is
/// offered and not required, as RFC 3207 section 4 asks of the MX hosts of a
/// domain. SMTPTLS_LEVEL_ENCRYPT requires it, SMTPTLS_LEVEL_NONE does not offer
/// it. NULL when config is NULL, or when it cannot be frozen:
/// smtptls_config_freeze() says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_server(
    config: *mut smtptls_config,
    policy: *const smtptls_policy,
) -> *mut smtptls_session {
    guard(|| {
        // SAFETY: the header asks for a configuration and a policy that are not freed, or NULL.
        let (config, policy) = unsafe { (shared(config), shared(policy)) };
        let Some(config) = config.and_then(|config| config.frozen().ok()) else {
            return std::ptr::null_mut();
        };
        let policy = policy.map_or_else(|| Policy::new(Level::May), |policy| policy.policy.clone());
        smtptls_session::boxed(Session::server(&config, &policy))
    })
    .unwrap_or(std::ptr::null_mut())
}

/// Frees a session. Sends nothing and closes no descriptor. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_free(session: *mut smtptls_session) {
    // SAFETY: the header asks for NULL or a session that is not freed.
    unsafe { free(session) }
}

/// Reads from one descriptor and writes to another, or to the same one. mode
/// is one of enum smtptls_mode. The descriptors stay yours: keep them open as
/// long as the session is used; the library neither closes them nor changes
/// their flags. On sockets no SIGPIPE is raised. Before
/// smtptls_session_start(), or between calls: a program that moves its socket
/// to another number attaches that one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_attach(
    session: *mut smtptls_session,
    read_fd: c_int,
    write_fd: c_int,
    mode: c_int,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        code(session, |session| {
            let mode = numbered(Mode::ALL, Mode::number, mode, "smtptls_mode")?;
            if read_fd < 0 || write_fd < 0 {
                return Err(Error::local(Code::Argument, "a descriptor is negative"));
            }
            // SAFETY: not negative, and the header asks for descriptors that stay open.
            let fd = Fd::from_raw(read_fd, write_fd, mode);
            *session.stream.transport_mut() = Link::Fd(fd);
            Ok(0)
        })
    }
}

/// SMTP, the default, or LMTP: one of enum smtptls_protocol. Before
/// smtptls_session_start().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_protocol(
    session: *mut smtptls_session,
    protocol: c_int,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        code(session, |session| {
            let protocol = numbered(Protocol::ALL, Protocol::number, protocol, "smtptls_protocol")?;
            session.stream.session_mut().set_protocol(protocol).map(|()| 0)
        })
    }
}

/// Sets a time limit in milliseconds; zero waits for ever. timeout is one of
/// enum smtptls_timeout. Both are five minutes by default. They hold in every
/// mode: without waiting, a call that can go no further when the time is over
/// returns SMTPTLS_ERR_TIMEOUT. Limits that a socket has itself (SO_RCVTIMEO,
/// SO_SNDTIMEO) are not looked at: the library waits by poll(2). In
/// SMTPTLS_MODE_BLOCKING without a limit it need not, and a wait takes a system
/// call less: for a program with an alarm of its own. Sessions without descriptors
/// have no limits: the time is yours. A limit of smtptls_session_start() that is
/// changed while that goes on counts from its first call that had one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_timeout(
    session: *mut smtptls_session,
    timeout: c_int,
    milliseconds: u32,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        code(session, |session| {
            let which = numbered(Limit::ALL, Limit::number, timeout, "smtptls_timeout")?;
            let limit = (milliseconds > 0).then(|| Duration::from_millis(milliseconds.into()));
            session.stream.set_limit(which, limit);
            Ok(0)
        })
    }
}

/// Sets a point in time, so many milliseconds from now, by which all calls
/// that follow have to be done, beside their own limits; zero takes it away.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_set_deadline(
    session: *mut smtptls_session,
    milliseconds: u32,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        code(session, |session| {
            session.stream.set_deadline(match milliseconds {
                0 => Deadline::NEVER,
                milliseconds => Deadline::after(Duration::from_millis(milliseconds.into())),
            });
            Ok(0)
        })
    }
}

/// Does what is left of the STARTTLS dialogue, then the TLS handshake, then
/// the checks of the policy. entry is one of enum smtptls_entry.
///
/// SMTPTLS_OK means one thing: TLS is up and the policy is met. After a
/// failure smtptls_error_action() says what the policy lets you do.
///
/// unread is how many bytes you have read from the peer beyond what entry
/// says, and not used. It must be 0: anything else is a command injection
/// and fails with SMTPTLS_ERR_PLAINTEXT_INJECTED before a byte is sent.
///
/// After SMTPTLS_FROM_GREETING a client has said EHLO inside TLS, and
/// smtptls_session_reply() is the answer. After SMTPTLS_FROM_COMMAND and
/// SMTPTLS_FROM_HANDSHAKE go on with EHLO, as if the greeting had just come;
/// a client's last handshake message may leave with it, so write first.
///
/// A certificate that does not meet the policy comes out after the handshake,
/// with its own code; leave with smtptls_session_refuse().
///
/// After SMTPTLS_WANT_INPUT, SMTPTLS_WANT_OUTPUT or SMTPTLS_WANT_RETRY call
/// again with the same arguments; after SMTPTLS_WANT_SIGNATURE too, once
/// smtptls_session_set_signature() has answered. Without descriptors, send what
/// smtptls_session_output() shows also after an error: it tells the peer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn smtptls_session_start(
    session: *mut smtptls_session,
    entry: c_int,
    unread: usize,
) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        code(session, |session| {
            let entry = numbered(Entry::ALL, Entry::number, entry, "smtptls_entry")?;
            session.stream.start(entry, unread).map(|progress| number(&progress))
        })
    }
}

/// Leaves politely after a failed start, or by your own choice, as RFC 3207
/// section 4.1 asks: a client sends QUIT at once, in plaintext too if TLS did
/// not begin; a server answers 554 to all but QUIT until the client leaves or
/// the time is up. On a connection that cannot be used any more it does
/// nothing. Then close the descriptors; the server's reply to QUIT is not
/// waited for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_refuse(session: *mut smtptls_session) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { code(session, |session| session.stream.refuse().map(|progress| number(&progress))) }
}

/// Goes on although the policy is not met: the peer is not who it should be.
/// A client must say EHLO next. SMTPTLS_ERR_STATE unless
/// smtptls_session_start() has just failed over the peer's certificate: with a
/// code from SMTPTLS_ERR_CERT_INVALID to SMTPTLS_ERR_DANE_MISMATCH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_insecure_continue(session: *mut smtptls_session) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe { code(session, |session| session.stream.session_mut().insecure_continue().map(|()| 0)) }
}

/// Tells the peer that nothing more will be sent. how is one of enum
/// smtptls_close. SMTPTLS_ERR_TRUNCATED if the peer had closed the connection
/// without saying so, which in SMTP does no harm after the reply to QUIT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smtptls_session_close(session: *mut smtptls_session, how: c_int) -> c_int {
    // SAFETY: the header asks for a session that is not freed.
    unsafe {
        code(session, |session| {
            let how = numbered(Close::ALL, Close::number, how, "smtptls_close")?;
            session.stream.close(how).map(|progress| number(&progress))
        })
    }
}

mod dialogue;
mod facts;
mod signature;
mod transfer;

#[cfg(test)]
mod tests {
    use super::facts::{smtptls_session_error, smtptls_session_info};
    use super::transfer::{smtptls_session_output, smtptls_session_read};
    use super::*;
    use crate::config::{smtptls_config_free, smtptls_config_new};
    use crate::error::smtptls_error_code;

    /// SEC-14: after a panic every call answers SMTPTLS_ERR_INTERNAL, and only free is of use.
    #[test]
    fn a_panic_poisons_the_session() {
        let internal = Code::Internal.number();
        // SAFETY: objects of this library, freed once and at the end.
        unsafe {
            let config = smtptls_config_new();
            let session = smtptls_session_server(config, std::ptr::null());
            let forced = on(session, |_| panic!("forced"));
            assert_eq!(forced, internal as isize);
            assert_eq!(smtptls_error_code(smtptls_session_error(session)), internal);
            assert_eq!(smtptls_session_start(session, 0, 0), internal);
            assert_eq!(smtptls_session_read(session, std::ptr::null_mut(), 0), internal as isize);
            assert!(smtptls_session_info(session).is_null());
            assert_eq!(smtptls_session_output(session, std::ptr::null_mut()), 0);
            smtptls_session_free(session);
            smtptls_config_free(config);
        }
    }
}
