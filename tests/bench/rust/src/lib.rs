//! The other side of tests/bench/c/tls.h: its settings, text, and a socket that stays the driver's.

use std::ffi::{CStr, c_char, c_int};
use std::io::{Read as _, Write as _};
use std::mem::ManuallyDrop;
use std::net::TcpStream;
use std::os::fd::FromRawFd as _;

/// `struct tls_settings`.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)] // tls.h says what each is.
pub struct Settings {
    pub server: bool,
    pub resume: bool,
    pub same: bool,
    pub lean: bool,
    pub limits: bool,
    pub version: c_int,
    pub ca: Word,
    pub chain: Word,
    pub key: Word,
    pub name: Word,
}

/// A word of the driver's command line, which stays as long as the process. Only the driver, in C, makes one.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Word(*const c_char);

impl Word {
    /// It as text.
    ///
    /// # Panics
    /// If it is NULL or not UTF-8.
    #[must_use]
    pub fn text(self) -> &'static str {
        assert!(!self.0.is_null(), "an option is missing");
        // SAFETY: words of a command line end with NUL, and stay.
        unsafe { CStr::from_ptr(self.0) }.to_str().expect("UTF-8")
    }
}

/// The driver's socket, which is closed by the driver.
#[must_use]
pub fn socket(fd: c_int) -> ManuallyDrop<TcpStream> {
    // SAFETY: the drivers give sockets that stay open as long as they are used here; no one is closed here.
    ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(fd) })
}

/// What plain_starttls of tests/bench/c/plain.c does: the command or its answer.
pub fn starttls(socket: &mut TcpStream, server: bool) -> bool {
    let mut answer = [0; 200];
    if server {
        return socket.write_all(b"220 2.0.0 Ready to start TLS\r\n").is_ok();
    }
    socket.write_all(b"STARTTLS\r\n").is_ok()
        && socket.read(&mut answer).is_ok_and(|count| answer[..count].starts_with(b"220"))
}
