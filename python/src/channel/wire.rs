//! What a Channel does with Python's socket, or with Python's memory buffers.
//!
//! It calls the socket's own methods: they let other threads run while they wait, run signal handlers, and are what
//! gevent and others put their own in place of. Of a socket it never reads beyond the record at hand: who waits for
//! the descriptor with select must find there what was not read.

use std::time::{Duration, Instant};

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyBlockingIOError, PyOSError, PyTimeoutError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::PyVisit;
use pyo3::types::{PyBytes, PyString};

use super::{Channel, called};
use crate::socket::seconds;

/// So much later than asked for a wait may end. It spares a call that waits once a second system call.
const TOLERANCE: Duration = Duration::from_millis(10);
/// As much as is taken out of a buffer at a time.
const TAKE: usize = 32 * 1024;

/// A weak reference to a socket, its own recv and send, a function that waits for it, and one that reads from its
/// descriptor; None where recv is not the system's.
pub type Socket = (Py<PyAny>, Py<PyAny>, Py<PyAny>, Py<PyAny>, Option<Py<PyAny>>);
/// The incoming and the outgoing.
pub type Buffers = (Py<PyAny>, Py<PyAny>);

/// Where the octets come from and go to.
pub enum Wire {
    Socket {
        /// A weak reference, as ssl's own object has: they refer to each other.
        socket: Py<PyAny>,
        recv: Py<PyAny>,
        send: Py<PyAny>,
        /// Waits until the socket can be read or written, or so many seconds.
        wait: Py<PyAny>,
        /// Reads from a descriptor, and waits no more than that does.
        read: Option<Py<PyAny>>,
        reading: Py<PyAny>,
        writing: Py<PyAny>,
    },
    Buffers {
        incoming: Py<PyAny>,
        outgoing: Py<PyAny>,
    },
}

/// How long a call may wait.
pub struct Wait<'py> {
    begun: Instant,
    /// The socket, while the call lasts.
    socket: Option<Bound<'py, PyAny>>,
    /// For ever, if it is none.
    timeout: Option<Duration>,
    /// The method of the subclass that makes the exception for when it is over.
    what: &'static str,
}

impl Wait<'_> {
    pub const HANDSHAKE: &'static str = "_handshake_timed_out";
    pub const READ: &'static str = "_read_timed_out";
    pub const WRITE: &'static str = "_write_timed_out";

    pub fn waits(&self) -> bool {
        self.timeout != Some(Duration::ZERO)
    }

    /// Whether the socket looks for octets before it takes them, which is a system call of its own.
    fn polls(&self) -> bool {
        self.timeout.is_some_and(|timeout| !timeout.is_zero())
    }

    /// How long is left, where the socket's own timeout would be too long.
    fn shortened(&self) -> Option<Duration> {
        let gone = self.begun.elapsed();
        let timeout = self.timeout.filter(|timeout| !timeout.is_zero() && gone > TOLERANCE)?;
        Some(timeout.saturating_sub(gone))
    }
}

/// A turn at reading or at writing, which ends with this.
pub struct Turn<'py>(Option<Bound<'py, PyAny>>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(lock) = &self.0 {
            // It is held, so that cannot fail.
            drop(lock.call_method0(intern!(lock.py(), "release")));
        }
    }
}

impl Wire {
    pub fn new(py: Python<'_>, socket: Option<Socket>, buffers: Option<Buffers>) -> PyResult<Wire> {
        let lock = || py.import("threading")?.call_method0("Lock").map(Bound::unbind);
        match (socket, buffers) {
            (Some((socket, recv, send, wait, read)), None) => {
                Ok(Wire::Socket { socket, recv, send, wait, read, reading: lock()?, writing: lock()? })
            }
            (None, Some((incoming, outgoing))) => Ok(Wire::Buffers { incoming, outgoing }),
            _ => Err(PyTypeError::new_err("a channel has a socket or two buffers")),
        }
    }

    /// Begins a call: its time runs from here.
    pub fn begin<'py>(&self, py: Python<'py>, what: &'static str) -> PyResult<Wait<'py>> {
        let (socket, timeout) = match self {
            Wire::Socket { socket, .. } => {
                let socket = socket.bind(py).call0()?;
                if socket.is_none() {
                    return Err(PyOSError::new_err("the socket is gone"));
                }
                let timeout = seconds(socket.call_method0(intern!(py, "gettimeout"))?.extract()?)?;
                (Some(socket), timeout)
            }
            Wire::Buffers { .. } => (None, Some(Duration::ZERO)),
        };
        Ok(Wait { begun: Instant::now(), socket, timeout, what })
    }

    /// Whether a call may take more than one record.
    pub fn gathers(&self) -> bool {
        matches!(self, Wire::Buffers { .. })
    }

    /// Whether there is more to take without waiting.
    pub fn has_more(&self, py: Python<'_>) -> PyResult<bool> {
        match self {
            Wire::Socket { .. } => Ok(false),
            Wire::Buffers { incoming, .. } => {
                Ok(incoming.bind(py).getattr(intern!(py, "pending"))?.extract::<usize>()? > 0)
            }
        }
    }

    /// A turn at reading. While another thread has it, this one waits, as it would for the socket.
    pub fn reading<'py>(&self, channel: &Bound<'py, Channel>, wait: &Wait<'_>) -> PyResult<Turn<'py>> {
        match self {
            Wire::Socket { reading, .. } => turn(channel, reading, wait, "_wants_read"),
            Wire::Buffers { .. } => Ok(Turn(None)),
        }
    }

    /// A turn at writing.
    pub fn writing<'py>(&self, channel: &Bound<'py, Channel>, wait: &Wait<'_>) -> PyResult<Turn<'py>> {
        match self {
            Wire::Socket { writing, .. } => turn(channel, writing, wait, "_wants_write"),
            Wire::Buffers { .. } => Ok(Turn(None)),
        }
    }

    /// The same, if no other thread has it.
    pub fn try_writing<'py>(&self, py: Python<'py>) -> PyResult<Option<Turn<'py>>> {
        match self {
            Wire::Socket { writing, .. } => {
                let lock = writing.bind(py);
                let taken = lock.call_method1(intern!(py, "acquire"), (false,))?.is_truthy()?;
                Ok(taken.then(|| Turn(Some(lock.clone()))))
            }
            Wire::Buffers { .. } => Ok(Some(Turn(None))),
        }
    }

    /// Takes up to so many bytes; none is the end. What lies behind the header of a record is mostly there.
    pub fn receive<'py>(
        &self,
        channel: &Bound<'py, Channel>,
        most: usize,
        body: bool,
        wait: &Wait<'py>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let py = channel.py();
        // A socket that was interrupted by a signal after some octets says so by their count.
        py.check_signals()?;
        match self {
            Wire::Socket { recv, read, .. } => {
                if let (Some(read), true, Some(socket)) = (read, body && wait.polls(), &wait.socket) {
                    let descriptor = socket.call_method0(intern!(py, "fileno"))?;
                    match read.bind(py).call1((descriptor, most)) {
                        Ok(came) => return Ok(came.cast_into::<PyBytes>()?),
                        Err(error) if error.is_instance_of::<PyBlockingIOError>(py) => {}
                        Err(error) => return Err(error),
                    }
                }
                self.ready(channel, false, wait)?;
                let came = recv.bind(py).call1((&wait.socket, most));
                let came = came.map_err(|error| failed(channel, error, wait, intern!(py, "_wants_read")))?;
                Ok(came.cast_into::<PyBytes>()?)
            }
            Wire::Buffers { incoming, .. } => {
                let incoming = incoming.bind(py);
                let came = incoming.call_method1(intern!(py, "read"), (TAKE,))?.cast_into::<PyBytes>()?;
                if came.as_bytes().is_empty() && !incoming.getattr(intern!(py, "eof"))?.is_truthy()? {
                    return Err(called(channel, intern!(py, "_wants_read"))?);
                }
                Ok(came)
            }
        }
    }

    /// Sends as many of these bytes as can be.
    pub fn send<'py>(
        &self,
        channel: &Bound<'py, Channel>,
        chunk: Bound<'py, PyBytes>,
        wait: &Wait<'py>,
    ) -> PyResult<usize> {
        let py = channel.py();
        py.check_signals()?;
        match self {
            Wire::Socket { send, .. } => {
                self.ready(channel, true, wait)?;
                let sent = send.bind(py).call1((&wait.socket, chunk));
                sent.map_err(|error| failed(channel, error, wait, intern!(py, "_wants_write")))?.extract()
            }
            Wire::Buffers { outgoing, .. } => {
                outgoing.bind(py).call_method1(intern!(py, "write"), (chunk,))?.extract()
            }
        }
    }

    /// Waits for the socket where its own timeout would be too long: a deadline is for the whole call, and a peer
    /// that always has one more byte must not stretch it.
    fn ready(&self, channel: &Bound<'_, Channel>, writes: bool, wait: &Wait<'_>) -> PyResult<()> {
        let (Wire::Socket { wait: function, .. }, Some(left)) = (self, wait.shortened()) else {
            return Ok(());
        };
        let py = channel.py();
        match function.bind(py).call1((&wait.socket, writes, left.as_secs_f64()))?.is_truthy()? {
            true => Ok(()),
            false => Err(called(channel, &PyString::new(py, wait.what))?),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let held = match self {
            Wire::Socket { socket, recv, send, wait, .. } => vec![socket, recv, send, wait],
            Wire::Buffers { incoming, outgoing } => vec![incoming, outgoing],
        };
        held.into_iter().try_for_each(|object| visit.call(object))
    }
}

fn turn<'py>(
    channel: &Bound<'py, Channel>,
    lock: &Py<PyAny>,
    wait: &Wait<'_>,
    wants: &'static str,
) -> PyResult<Turn<'py>> {
    let py = channel.py();
    let lock = lock.bind(py);
    let acquire = intern!(py, "acquire");
    if lock.call_method1(acquire, (false,))?.is_truthy()? {
        return Ok(Turn(Some(lock.clone())));
    }
    // It can be interrupted by a signal, and lets other threads run.
    let seconds = wait.timeout.map_or(-1.0, |timeout| timeout.as_secs_f64());
    let what = if wait.waits() { wait.what } else { wants };
    match wait.waits() && lock.call_method1(acquire, (true, seconds))?.is_truthy()? {
        true => Ok(Turn(Some(lock.clone()))),
        false => Err(called(channel, &PyString::new(py, what))?),
    }
}

/// An exception of the socket, as a program that had ssl expects it.
fn failed(channel: &Bound<'_, Channel>, error: PyErr, wait: &Wait<'_>, wants: &Bound<'_, PyString>) -> PyErr {
    let py = channel.py();
    let made = if error.is_instance_of::<PyBlockingIOError>(py) {
        called(channel, wants)
    } else if error.is_instance_of::<PyTimeoutError>(py) {
        called(channel, &PyString::new(py, wait.what))
    } else {
        return error;
    };
    made.unwrap_or_else(|failure| failure)
}

/// Where in the stream of records the peer's octets have come to (RFC 8446 section 5.1).
#[derive(Default)]
pub struct Frame {
    header: [u8; 5],
    length: usize,
    body: usize,
}

impl Frame {
    /// How many octets are left of the header, or of the record; and whether it is the latter.
    pub fn wanted(&self) -> (usize, bool) {
        match self.body {
            0 => (self.header.len() - self.length, false),
            body => (body, true),
        }
    }

    /// Says that these octets came, no more than were wanted; and whether the engine has something to do now: a
    /// record is whole, or there is none.
    pub fn pass(&mut self, octets: &[u8]) -> bool {
        if self.body > 0 {
            self.body = self.body.saturating_sub(octets.len());
            return self.body == 0;
        }
        for octet in octets {
            if let Some(place) = self.header.get_mut(self.length) {
                *place = *octet;
                self.length += 1;
            }
        }
        if self.length < self.header.len() {
            return false;
        }
        self.length = 0;
        let [kind, major, _, high, low] = self.header;
        self.body = usize::from(u16::from_be_bytes([high, low]));
        const LONGEST: usize = (1 << 14) + 2048;
        let record = (20..=23).contains(&kind) && major == 3 && self.body <= LONGEST;
        !record || self.body == 0
    }
}
