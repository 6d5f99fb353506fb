//! The transport over a Python socket, which stays its owner's.
//!
//! It calls the socket's own methods: they honour its timeout, let other threads run while they wait, run
//! signal handlers, and are what gevent and others put their own in place of.

use std::io;
use std::time::Duration;

use pyo3::exceptions::{PyBlockingIOError, PyOSError, PyTimeoutError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use smtptls::{Deadline, Transport};

use crate::errors;

/// So much later than asked for a wait may end. It spares a socket that is waited for once from two changes
/// of its timeout.
const TOLERANCE: Duration = Duration::from_millis(10);

/// A socket during a call. Between calls the session has the reference, where the garbage collector sees it.
#[derive(Default)]
pub struct Socket {
    socket: Option<Py<PyAny>>,
    /// The timeout of the socket.
    own: Option<Duration>,
    /// The timeout of this call.
    timeout: Option<Duration>,
    /// What the socket raised.
    raised: Option<Raised>,
    /// It has failed for good, and nothing more is to be sent.
    dead: bool,
}

/// An exception of the socket.
pub enum Raised {
    /// It has become an error of the engine, of which it is the cause.
    Cause(PyErr),
    /// It is nothing of ours, such as KeyboardInterrupt, and goes on to the caller.
    Foreign(PyErr),
}

impl Socket {
    /// Begins a call: with the socket's timeout, or another one.
    pub fn begin(&mut self, socket: Bound<'_, PyAny>, other: Option<Option<Duration>>) -> PyResult<()> {
        let py = socket.py();
        self.raised = None;
        self.own = seconds(socket.call_method0(intern!(py, "gettimeout"))?.extract()?)?;
        self.timeout = other.unwrap_or(self.own);
        self.socket = Some(socket.unbind());
        Ok(())
    }

    /// The limit of this call; none for a socket that does not wait.
    pub fn limit(&self) -> Option<Duration> {
        self.timeout.filter(|timeout| !timeout.is_zero())
    }

    /// Ends a call.
    pub fn end(&mut self) -> Option<Raised> {
        self.socket = None;
        self.raised.take()
    }

    fn waits(&self) -> bool {
        self.timeout != Some(Duration::ZERO)
    }

    /// Calls a method of the socket that may wait so long.
    fn wait<R>(
        &mut self,
        left: Option<Duration>,
        call: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<R>,
    ) -> io::Result<R> {
        if self.dead {
            return Err(io::Error::other("the socket has failed before"));
        }
        // The limit of `start` was set by its first call; the timeout may be another one since.
        let wanted = match left {
            Some(left) if self.waits() => Some(self.timeout.map_or(left, |timeout| left.min(timeout))),
            _ => self.timeout,
        };
        Python::attach(|py| {
            // A socket that was interrupted by a signal after some octets says so by their count.
            let result = match (py.check_signals(), &self.socket) {
                (Err(raised), _) => Err(raised),
                (Ok(()), Some(socket)) if self.must_change(wanted) => {
                    changed(socket.bind(py), wanted, self.own, call)
                }
                (Ok(()), Some(socket)) => call(socket.bind(py)),
                // Without a socket the program carries the bytes.
                (Ok(()), None) => return Err(io::ErrorKind::WouldBlock.into()),
            };
            result.map_err(|raised| self.failed(py, raised))
        })
    }

    fn must_change(&self, wanted: Option<Duration>) -> bool {
        match (self.own, wanted) {
            (Some(own), Some(wanted)) if wanted.is_zero() || own.is_zero() => wanted != own,
            (Some(own), Some(wanted)) => wanted > own || own - wanted > TOLERANCE,
            (own, wanted) => own != wanted,
        }
    }

    fn failed(&mut self, py: Python<'_>, raised: PyErr) -> io::Error {
        if !raised.is_instance_of::<PyOSError>(py) {
            self.dead = true;
            self.raised = Some(Raised::Foreign(raised));
            return io::Error::other("the socket raised an exception");
        }
        let errno = raised.value(py).getattr(intern!(py, "errno"));
        let errno: Option<i32> = errno.and_then(|errno| errno.extract()).unwrap_or_default();
        let error = if raised.is_instance_of::<PyBlockingIOError>(py) {
            match self.waits() {
                false => return io::ErrorKind::WouldBlock.into(),
                // The time was up already, or SO_RCVTIMEO or SO_SNDTIMEO was set by hand.
                true => io::ErrorKind::TimedOut.into(),
            }
        } else if raised.is_instance_of::<PyTimeoutError>(py) && errno.is_none() {
            io::ErrorKind::TimedOut.into()
        } else {
            match errno {
                Some(errno) if errno > 0 => io::Error::from_raw_os_error(errno),
                _ => io::Error::other(smtptls::escape(raised.value(py).to_string().as_bytes())),
            }
        };
        // When the time is up, a server still says 421.
        self.dead = error.kind() != io::ErrorKind::TimedOut;
        self.raised = Some(Raised::Cause(raised));
        error
    }
}

impl Transport for Socket {
    fn read(&mut self, buffer: &mut [u8], until: Deadline) -> io::Result<usize> {
        // A peer that always has one more byte must not stretch the deadline.
        if self.waits() && until.is_over() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let most = buffer.len();
        self.wait(until.remaining(), |socket| {
            let py = socket.py();
            let came = socket.call_method1(intern!(py, "recv"), (most,))?;
            let came = came.cast_into::<PyBytes>()?;
            let came = came.as_bytes();
            match buffer.get_mut(..came.len()) {
                Some(room) => room.copy_from_slice(came),
                None => return Err(errors::argument("the socket's recv gave more than it was asked for")),
            }
            Ok(came.len())
        })
    }

    fn write(&mut self, bytes: &[u8], until: Deadline) -> io::Result<usize> {
        // When the time is up it is tried all the same, without waiting, for the last word.
        self.wait(until.remaining(), |socket| {
            let py = socket.py();
            let sent = socket.call_method1(intern!(py, "send"), (PyBytes::new(py, bytes),))?;
            sent.extract()
        })
    }
}

/// Calls with another timeout than the socket's own, which it has again afterwards, come what may.
fn changed<R>(
    socket: &Bound<'_, PyAny>,
    wanted: Option<Duration>,
    own: Option<Duration>,
    call: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<R>,
) -> PyResult<R> {
    let py = socket.py();
    let set = |timeout: Option<Duration>| {
        let seconds = timeout.map(|timeout| timeout.as_secs_f64());
        socket.call_method1(intern!(py, "settimeout"), (seconds,)).map(drop)
    };
    set(wanted)?;
    let result = call(socket);
    match set(own) {
        // The socket was closed meanwhile; the next call meets it.
        Err(error) if !error.is_instance_of::<PyOSError>(py) => result.and(Err(error)),
        _ => result,
    }
}

/// A timeout as Python has it. More than a century is none.
pub fn seconds(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    const CENTURY: f64 = 100.0 * 365.25 * 86400.0;
    match timeout {
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => {
            Err(errors::argument("a timeout is a number of seconds that is not negative, or None"))
        }
        Some(seconds) if seconds < CENTURY => Ok(Some(Duration::from_secs_f64(seconds))),
        _ => Ok(None),
    }
}
