//! The transport over descriptors: a socket, or a pair as inetd and filters have it.
//!
//! The descriptors stay the caller's: they are not closed, and their flags are as they were. So waiting is
//! done by poll, and a call on a socket does not block of its own (MSG_DONTWAIT), whatever O_NONBLOCK says. But where
//! there is no limit of time, and a signal need not end the wait, a socket that blocks is simply read: a system call
//! less each time that the peer is waited for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::stream::{Deadline, Transport};

/// How calls on descriptors wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Mode {
    /// Until done, failed or past the deadline.
    #[default]
    Blocking = 0,
    /// The same, but a signal ends the wait: the call says `WantRetry`, and goes on when called again.
    Interruptible = 1,
    /// Not at all: the call says `WantInput` or `WantOutput`.
    NonBlocking = 2,
}

impl Mode {
    /// Every mode.
    pub const ALL: &'static [Mode] = &[Mode::Blocking, Mode::Interruptible, Mode::NonBlocking];

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// As much as a pipe takes without blocking once poll calls it writable (PIPE_BUF on Linux).
const PIPE: usize = 4096;

/// Descriptors that somebody else owns.
///
/// On a socket no SIGPIPE is raised. On a pipe whose reader has gone one is, as with any write(2).
#[derive(Debug)]
pub struct Fd<'fd> {
    read: End<'fd>,
    write: End<'fd>,
    mode: Mode,
}

#[derive(Debug)]
struct End<'fd> {
    fd: BorrowedFd<'fd>,
    /// Found out by the first call.
    is_socket: bool,
    /// The last read took all that it had room for, so there may be more: it is asked first and waited for afterwards.
    may_have_more: bool,
    /// It has O_NONBLOCK, or a limit of time of its own (SO_RCVTIMEO), which is not ours; found out by the first read
    /// that should have blocked.
    does_not_block: bool,
}

impl<'fd> Fd<'fd> {
    /// One descriptor for both directions.
    pub fn new(fd: &'fd impl AsFd, mode: Mode) -> Fd<'fd> {
        Fd::pair(fd.as_fd(), fd.as_fd(), mode)
    }

    /// One descriptor to read from, and one to write to.
    pub fn pair(read: BorrowedFd<'fd>, write: BorrowedFd<'fd>, mode: Mode) -> Fd<'fd> {
        let end = |fd| End { fd, is_socket: true, may_have_more: false, does_not_block: false };
        Fd { read: end(read), write: end(write), mode }
    }

    /// For a foreign interface: descriptors as numbers.
    ///
    /// # Safety
    ///
    /// Both numbers are descriptors that are not -1, and they stay open and the same for as long as the result
    /// is used.
    #[allow(unsafe_code)]
    pub unsafe fn from_raw(read: RawFd, write: RawFd, mode: Mode) -> Fd<'static> {
        // SAFETY: the caller vouches for both, for as long as the result is used.
        let (read, write) = unsafe { (BorrowedFd::borrow_raw(read), BorrowedFd::borrow_raw(write)) };
        Fd::pair(read, write, mode)
    }

    /// Waits until `end` is ready. `Ok(false)`: it is not, and the mode does not wait.
    fn wait(mode: Mode, end: &End<'_>, flags: PollFlags, until: Deadline) -> io::Result<bool> {
        loop {
            let left = match mode {
                Mode::NonBlocking => Some(std::time::Duration::ZERO),
                _ => until.remaining(),
            };
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut polled = [PollFd::new(&end.fd, flags)];
            match poll(&mut polled, left.as_ref()) {
                Ok(0) if mode == Mode::NonBlocking => return Ok(false),
                // The kernel has waited for all that was left, whatever the clock says.
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                // Also on an error or a hang-up: the call that follows says which.
                Ok(_) => return Ok(true),
                Err(Errno::INTR) if mode == Mode::Interruptible => {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                // POSIX lets poll say so for want of memory in the kernel; it passes.
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Transport for Fd<'_> {
    fn read(&mut self, buffer: &mut [u8], until: Deadline) -> io::Result<usize> {
        let (mode, end) = (self.mode, &mut self.read);
        loop {
            // A peer that always has one more byte must not stretch the deadline.
            if until.is_over() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let blocks = mode == Mode::Blocking && until == Deadline::NEVER && !end.does_not_block;
            let may_ask = mode == Mode::NonBlocking || end.may_have_more || blocks;
            let must_wait = !(may_ask && end.is_socket);
            if must_wait && !Fd::wait(mode, end, PollFlags::IN, until)? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            end.may_have_more = false;
            let flags = if blocks { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
            let result = match end.is_socket {
                true => recv(end.fd, &mut *buffer, flags).map(|(_, count)| count),
                false => rustix::io::read(end.fd, &mut *buffer),
            };
            match result {
                Ok(count) => {
                    end.may_have_more = count >= buffer.len();
                    return Ok(count.min(buffer.len()));
                }
                Err(Errno::NOTSOCK) if end.is_socket => end.is_socket = false,
                Err(Errno::AGAIN) if blocks => end.does_not_block = true,
                Err(Errno::AGAIN) if mode != Mode::NonBlocking => {}
                Err(Errno::INTR) if mode != Mode::Interruptible => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn write(&mut self, bytes: &[u8], until: Deadline) -> io::Result<usize> {
        let (mode, end) = (self.mode, &mut self.write);
        loop {
            // A socket nearly always has room, so it is asked first and waited for only if it had none; also
            // when the time is up, for the last word.
            let result = match end.is_socket {
                true => send(end.fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
                false if Fd::wait(mode, end, PollFlags::OUT, until)? => {
                    rustix::io::write(end.fd, &bytes[..bytes.len().min(PIPE)])
                }
                false => Err(Errno::AGAIN),
            };
            match result {
                Ok(count) => return Ok(count),
                Err(Errno::NOTSOCK) if end.is_socket => end.is_socket = false,
                // A peer that takes a little now and then must not stretch the deadline either.
                Err(Errno::AGAIN) if until.is_over() => return Err(io::ErrorKind::TimedOut.into()),
                Err(Errno::AGAIN) if mode != Mode::NonBlocking => {
                    Fd::wait(mode, end, PollFlags::OUT, until)?;
                }
                Err(Errno::INTR) if mode != Mode::Interruptible => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
