//! TLS by the engine, called from Rust: libsmtptls without its C interface, which then costs what is between the two.
#![allow(missing_docs)] // tls.h says what each function does.

use std::ffi::{c_char, c_int, c_void};
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use smtptls::{Close, Config, Entry, Error, Fd, Level, Limit, Mode, Policy, Progress, Stream, TlsVersion};
use smtptls_bench::Settings;

/// `struct tls`.
pub type Session = Stream<Fd<'static>>;

struct Role {
    config: Config,
    /// The host of a client.
    host: Option<&'static str>,
}

static ROLE: OnceLock<Role> = OnceLock::new();

fn make(settings: &Settings) -> Result<Config, Error> {
    let mut builder = Config::builder();
    if settings.server {
        let key: [u8; 32] = std::array::from_fn(|n| n as u8);
        builder.add_keypair_file(settings.chain.text(), settings.key.text())?.ticket_keys(&[&key])?;
    } else {
        builder.add_roots_file(settings.ca.text())?.client_sessions(if settings.resume { 8 } else { 0 });
    }
    if settings.version == 12 {
        builder.max_version(TlsVersion::Tls12);
    }
    if settings.same {
        builder.groups("X25519")?;
        builder.ciphers("TLS_AES_128_GCM_SHA256")?;
    }
    builder.freeze()
}

/// # Safety
/// `settings` is that of a driver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_setup(settings: *const Settings) -> bool {
    // SAFETY: the driver gives one.
    let settings = unsafe { &*settings };
    match make(settings) {
        Ok(config) => {
            let host = (!settings.server).then(|| settings.name.text());
            ROLE.set(Role { config, host }).is_ok()
        }
        Err(error) => {
            eprintln!("engine: {error}");
            false
        }
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn tls_start(fd: c_int) -> *mut Session {
    let role = ROLE.get().expect("tls_setup");
    let session = match role.host {
        Some(host) => smtptls::Session::client(&role.config, &Policy::new(Level::Verify), host),
        None => smtptls::Session::server(&role.config, &Policy::new(Level::May)),
    };
    // SAFETY: the driver keeps it open as long as the session lives.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let mut stream = Box::new(Stream::new(session, Fd::pair(fd, fd, Mode::Blocking)));
    for limit in Limit::ALL {
        stream.set_limit(*limit, None);
    }
    match stream.start(Entry::Command, 0) {
        Ok(Progress::Done(())) => Box::into_raw(stream),
        other => {
            eprintln!("engine: {other:?}");
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// `tls` comes from `tls_start`, and there is room for `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_read(tls: *mut Session, buffer: *mut c_void, len: usize) -> isize {
    // SAFETY: the driver keeps what tls.h asks for; its buffers are initialised.
    let (session, buffer) = unsafe { (&mut *tls, std::slice::from_raw_parts_mut(buffer.cast(), len)) };
    match session.read(buffer) {
        Ok(Progress::Done(count)) => count as isize,
        _ => -1,
    }
}

/// # Safety
/// `tls` comes from `tls_start`, and there are `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_write(tls: *mut Session, buffer: *const c_void, len: usize, more: bool) -> bool {
    // SAFETY: the driver keeps what tls.h asks for.
    let (session, data) = unsafe { (&mut *tls, std::slice::from_raw_parts(buffer.cast(), len)) };
    matches!(session.write(data, more), Ok(Progress::Done(count)) if count == len)
}

/// # Safety
/// `tls` comes from `tls_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_resumed(tls: *mut Session) -> bool {
    // SAFETY: as above.
    let session = unsafe { &*tls };
    session.info().is_some_and(|info| info.resumed())
}

/// # Safety
/// `tls` comes from `tls_start`, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tls_end(tls: *mut Session) {
    // SAFETY: as above.
    let mut session = unsafe { Box::from_raw(tls) };
    let _ = session.close(Close::Send);
}

#[unsafe(no_mangle)]
pub extern "C" fn tls_version() -> *const c_char {
    c"smtptls, from Rust".as_ptr()
}
