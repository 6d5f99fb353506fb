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
    pub ca: *const c_char,
    pub chain: *const c_char,
    pub key: *const c_char,
    pub name: *const c_char,
}

/// A string of the driver's, which lives as long as the process.
///
/// # Panics
/// If it is NULL or not UTF-8.
#[must_use]
pub fn text(string: *const c_char) -> &'static str {
    assert!(!string.is_null(), "an option is missing");
    // SAFETY: the drivers' settings are words of their command line, which end with NUL and stay.
    unsafe { CStr::from_ptr(string) }.to_str().expect("UTF-8")
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
