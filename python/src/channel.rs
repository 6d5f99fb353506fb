//! Channel: TLS over a socket of Python's, or between two memory buffers: what stands below ssl.SSLSocket and
//! ssl.SSLObject. What it does with the socket is in `wire`.

mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::PyVisit;
use pyo3::sync::{MutexExt, PyOnceLock};
use pyo3::types::{PyBytes, PyMemoryView, PySlice};
use smtptls::{Close, Entry, Progress};

use crate::arguments::Writable;
use crate::channel::wire::{Buffers, Frame, Socket, Wait, Wire};
use crate::config::Config;
use crate::errors::raised;
use crate::info::Info;
use crate::policy::Policy;
use crate::session::bug;

/// As much as is encrypted at a time: several records, which leave in one call of the socket.
const CHUNK: usize = 64 * 1024;
/// The same for a socket that does not wait: who has to try again must have the same data again.
const RECORD: usize = 16 * 1024;
/// From so many bytes on other threads may run meanwhile. Below, letting them costs more than the work.
const LONG: usize = 4096;

/// TLS over a socket, or between two memory buffers. A subclass has `_shaped`, which makes an exception of
/// ssl's of an Error.
///
/// The engine is never locked while a call waits for the socket: one thread may read while another writes.
#[pyclass(frozen, subclass, weakref, module = "smtptls._native")]
pub struct Channel {
    engine: Mutex<Engine>,
    wire: Wire,
    info: PyOnceLock<Py<Info>>,
}

struct Engine {
    session: smtptls::Session,
    frame: Frame,
    /// The ClientHello so far, while the program has not chosen a Config for it.
    hello: Option<Vec<u8>>,
    /// What could not be fed yet.
    spill: Vec<u8>,
    /// How much of the data of a write that did not wait is taken, and not yet sent as a whole.
    unanswered: usize,
    /// The handshake is done, and the policy met.
    up: bool,
    closed: bool,
}

impl Engine {
    fn feed(&mut self, data: &[u8]) {
        let spilt = std::mem::take(&mut self.spill);
        for mut part in [spilt.as_slice(), data] {
            while !part.is_empty() && self.spill.is_empty() {
                match self.session.feed(part) {
                    0 => break,
                    taken => part = part.get(taken..).unwrap_or_default(),
                }
            }
            self.spill.extend_from_slice(part);
        }
    }

    /// The next bytes to send.
    fn chunk(&self) -> &[u8] {
        let output = self.session.output();
        &output[..output.len().min(CHUNK)]
    }
}

#[pymethods]
impl Channel {
    /// host is the server that the policy is about; None for a server's side. socket and buffers are what is
    /// described in `wire`.
    #[new]
    #[pyo3(signature = (config, policy, host, *, socket=None, buffers=None))]
    fn new(
        py: Python<'_>,
        config: &Config,
        policy: &Policy,
        host: Option<&str>,
        socket: Option<Socket>,
        buffers: Option<Buffers>,
    ) -> PyResult<Self> {
        let engine = Engine {
            session: session(config, policy, host),
            frame: Frame::default(),
            hello: None,
            spill: Vec::new(),
            unanswered: 0,
            up: false,
            closed: false,
        };
        let wire = Wire::new(py, socket, buffers)?;
        Ok(Channel { engine: Mutex::new(engine), wire, info: PyOnceLock::new() })
    }

    /// Reads the ClientHello and no further; gives the name that it asks for. Then `choose` says with which
    /// Config and Policy to go on.
    fn read_hello(slf: &Bound<'_, Self>) -> PyResult<Option<String>> {
        let (channel, py) = (slf.get(), slf.py());
        let wait = channel.wire.begin(py, Wait::HANDSHAKE)?;
        let _turn = channel.wire.reading(slf, &wait)?;
        loop {
            let hello = channel.with(py, |engine| {
                let hello = engine.hello.get_or_insert_default();
                match smtptls::Session::asked_for(hello) {
                    // The end came first; the session tells how.
                    Progress::WantInput if engine.closed => Some(None),
                    Progress::Done(name) => Some(name),
                    _ => None,
                }
            })?;
            match hello {
                Some(name) => return Ok(name),
                None => drop(channel.fill(slf, &wait)?),
            }
        }
    }

    /// Goes on from the ClientHello that was read, as a server with this Config.
    fn choose(&self, py: Python<'_>, config: &Config, policy: &Policy) -> PyResult<()> {
        self.with(py, |engine| {
            engine.session = session(config, policy, None);
            let hello = engine.hello.take().unwrap_or_default();
            engine.feed(&hello);
            if engine.closed {
                engine.session.feed(b"");
            }
        })
    }

    /// Refuses the ClientHello that was read with this alert (RFC 8446 section 6).
    fn refuse(slf: &Bound<'_, Self>, alert: u8) -> PyResult<()> {
        const ALERT: [u8; 6] = [21, 3, 3, 0, 2, 2];
        let (channel, py) = (slf.get(), slf.py());
        let wait = channel.wire.begin(py, Wait::HANDSHAKE)?;
        let _turn = channel.wire.writing(slf, &wait)?;
        let record = [ALERT.as_slice(), &[alert]].concat();
        channel.wire.send(slf, PyBytes::new(py, &record), &wait).map(drop)
    }

    /// Does the handshake, and judges the peer.
    fn handshake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (channel, py) = (slf.get(), slf.py());
        let wait = channel.wire.begin(py, Wait::HANDSHAKE)?;
        let _turn = channel.wire.reading(slf, &wait)?;
        loop {
            let step = channel.detached(py, |engine| {
                let up = engine.up;
                let step =
                    if up { Ok(Progress::Done(())) } else { engine.session.start(Entry::Handshake, 0) };
                engine.up = matches!(step, Ok(Progress::Done(())));
                step
            })?;
            match step {
                Ok(Progress::Done(())) => return channel.flush(slf, &wait),
                Ok(progress) => {
                    channel.flush(slf, &wait)?;
                    if !matches!(progress, Progress::WantOutput) {
                        channel.fill(slf, &wait)?;
                    }
                }
                Err(error) => {
                    // The alert, or what is polite after a verdict; whoever does not take it misses nothing.
                    channel.with(py, |engine| drop(engine.session.close(Close::Send)))?;
                    drop(channel.flush(slf, &wait));
                    return Err(shaped(slf, &error));
                }
            }
        }
    }

    /// Up to n decrypted bytes, or with a buffer how many are in it. Nothing is the peer's close_notify.
    #[pyo3(signature = (n=1024, buffer=None))]
    #[allow(clippy::needless_pass_by_value)]
    fn read<'py>(
        slf: &Bound<'py, Self>,
        n: isize,
        buffer: Option<Writable<'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (channel, py) = (slf.get(), slf.py());
        let most = match (usize::try_from(n), &buffer) {
            (Ok(n), None) => n,
            (Err(_), None) => return Err(PyValueError::new_err("size should not be negative")),
            (Ok(n), Some(buffer)) if n > 0 => n.min(buffer.length),
            (_, Some(buffer)) => buffer.length,
        };
        let came = channel.receive(slf, most)?;
        match buffer {
            None => Ok(came.into_any()),
            Some(buffer) => {
                buffer.fill_with(&came)?;
                Ok(came.as_bytes().len().into_pyobject(py)?.into_any())
            }
        }
    }

    /// Encrypts and sends; says how much of data was taken: all, unless the socket does not wait.
    #[pyo3(signature = (data, /))]
    fn write(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (channel, py) = (slf.get(), slf.py());
        let wait = channel.wire.begin(py, Wait::WRITE)?;
        let _turn = channel.wire.writing(slf, &wait)?;
        if let Ok(bytes) = data.cast::<PyBytes>() {
            let length = bytes.as_bytes().len();
            return channel.send(slf, length, &wait, |from, to| Ok((bytes.clone(), from, to)));
        }
        let view = PyMemoryView::from(data)?.call_method1(intern!(py, "cast"), ("B",))?;
        channel.send(slf, view.len()?, &wait, |from, to| {
            let part = view.get_item(PySlice::new(py, isize::try_from(from)?, isize::try_from(to)?, 1))?;
            let part = part.call_method0(intern!(py, "tobytes"))?.cast_into::<PyBytes>()?;
            Ok((part, 0, to - from))
        })
    }

    /// How many bytes read can give without anything from the peer.
    fn pending(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |engine| engine.session.pending())
    }

    /// Sends close_notify and waits for the peer's. Data that the peer has sent before it is an error.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (channel, py) = (slf.get(), slf.py());
        let wait = channel.wire.begin(py, Wait::READ)?;
        // Before it waits for who reads: the peer may wait for this.
        channel.with(py, |engine| {
            engine.closed = true;
            drop(engine.session.close(Close::Half));
        })?;
        channel.flush(slf, &wait)?;
        let _turn = channel.wire.reading(slf, &wait)?;
        loop {
            let step = channel.with(py, |engine| match engine.session.close(Close::Half) {
                Ok(_) if engine.session.pending() > 0 => Ok(Closing::Data),
                Ok(Progress::Done(())) if engine.session.is_truncated() => Ok(Closing::Truncated),
                Ok(_) => engine.session.read(&mut [0]).map(Closing::Read),
                Err(error) => Err(error),
            })?;
            match step {
                Ok(Closing::Read(Progress::Done(_))) => return channel.flush(slf, &wait),
                Ok(Closing::Read(_)) => {
                    channel.flush(slf, &wait)?;
                    channel.fill(slf, &wait)?;
                }
                Ok(Closing::Data) => {
                    channel.flush(slf, &wait)?;
                    return Err(called(slf, intern!(py, "_unread"))?);
                }
                Ok(Closing::Truncated) => return Err(called(slf, intern!(py, "_ended"))?),
                Err(error) => return Err(shaped(slf, &error)),
            }
        }
    }

    /// The facts of the connection, once the handshake is done.
    #[getter]
    fn info(&self, py: Python<'_>) -> PyResult<Option<Py<Info>>> {
        if self.info.get(py).is_none() {
            let info = self.with(py, |engine| engine.session.shared_info())?;
            let Some(info) = info else { return Ok(None) };
            // Another thread may have been quicker; both have the same.
            drop(self.info.set(py, Py::new(py, Info(info))?));
        }
        Ok(self.info.get(py).map(|info| info.clone_ref(py)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.wire.traverse(&visit)
    }
}

/// What closing came to.
enum Closing {
    Read(Progress<usize>),
    /// There is data that nobody has read.
    Data,
    /// The peer closed the connection without close_notify.
    Truncated,
}

impl Channel {
    /// A panic becomes an error, and the channel stays poisoned.
    fn with<R>(&self, py: Python<'_>, step: impl FnOnce(&mut Engine) -> R) -> PyResult<R> {
        let guarded =
            AssertUnwindSafe(|| self.engine.lock_py_attached(py).map(|mut engine| step(&mut engine)).ok());
        catch_unwind(guarded).ok().flatten().ok_or_else(bug)
    }

    /// The same for what takes long, while other threads run.
    fn detached<R: Send>(&self, py: Python<'_>, step: impl FnOnce(&mut Engine) -> R + Send) -> PyResult<R> {
        let guarded = AssertUnwindSafe(|| self.engine.lock().map(|mut engine| step(&mut engine)).ok());
        py.detach(move || catch_unwind(guarded)).ok().flatten().ok_or_else(bug)
    }

    /// What can be read, at most so much: of a socket one record at a time, as OpenSSL gives it; of buffers all that
    /// is there.
    fn receive<'py>(&self, slf: &Bound<'py, Self>, most: usize) -> PyResult<Bound<'py, PyBytes>> {
        let py = slf.py();
        if most == 0 {
            return Ok(PyBytes::new(py, b""));
        }
        let wait = self.wire.begin(py, Wait::READ)?;
        let _turn = self.wire.reading(slf, &wait)?;
        let mut came = Vec::new();
        let mut fed = 0;
        loop {
            let pending = match fed >= LONG {
                true => self.detached(py, |engine| engine.session.pending())?,
                false => self.with(py, |engine| engine.session.pending())?,
            };
            let room = pending.min(most - came.len());
            if room > 0 && !self.wire.gathers() {
                return self.with(py, |engine| {
                    let came = PyBytes::new_with(py, room, |room| match engine.session.read(room) {
                        Ok(Progress::Done(count)) if count == room.len() => Ok(()),
                        _ => Err(bug()),
                    });
                    engine.session.rest();
                    came
                })?;
            }
            if room > 0 {
                let before = came.len();
                came.resize(before + room, 0);
                let read =
                    |engine: &mut Engine| engine.session.read(came.get_mut(before..).unwrap_or_default());
                if !matches!(self.with(py, read)?, Ok(Progress::Done(count)) if count == room) {
                    return Err(bug());
                }
                if came.len() < most {
                    continue;
                }
            }
            if !came.is_empty() && (came.len() == most || !self.wire.has_more(py)?) {
                break;
            }
            if came.is_empty() {
                match self.with(py, |engine| engine.session.read(&mut [0]))? {
                    Ok(Progress::Done(_)) => {
                        self.end(slf)?;
                        break;
                    }
                    // Who cannot send can still read; and perhaps another thread is at it.
                    Ok(Progress::WantOutput) => {
                        self.flush(slf, &wait).or_else(|error| {
                            match error.is_instance_of::<PyOSError>(py) {
                                true => Ok(()),
                                false => Err(error),
                            }
                        })?;
                    }
                    Ok(_) => {}
                    Err(error) => {
                        drop(self.flush(slf, &wait));
                        return Err(shaped(slf, &error));
                    }
                }
            }
            fed = self.fill(slf, &wait)?;
        }
        Ok(PyBytes::new(py, &came))
    }

    /// The peer has closed, with or without close_notify.
    fn end(&self, slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        match self.with(py, |engine| (engine.session.is_truncated(), engine.closed))? {
            (true, _) => Err(called(slf, intern!(py, "_ended"))?),
            (false, true) => Err(called(slf, intern!(py, "_closed"))?),
            (false, false) => Ok(()),
        }
    }

    /// Encrypts and sends, part by part.
    fn send<'py>(
        &self,
        slf: &Bound<'py, Self>,
        length: usize,
        wait: &Wait<'py>,
        part: impl Fn(usize, usize) -> PyResult<(Bound<'py, PyBytes>, usize, usize)>,
    ) -> PyResult<usize> {
        let py = slf.py();
        let before = self.with(py, |engine| engine.unanswered)?;
        if before > length {
            return Err(called(slf, intern!(py, "_other_data"))?);
        }
        if before > 0 {
            self.flush_locked(slf, wait)?;
            self.with(py, |engine| engine.unanswered = 0)?;
            return Ok(before);
        }
        let mut taken = 0;
        while taken < length {
            let most = if wait.waits() { CHUNK } else { RECORD };
            let (bytes, from, to) = part(taken, length.min(taken + most))?;
            let data = bytes.as_bytes().get(from..to).unwrap_or_default();
            let write = |engine: &mut Engine| engine.session.write(data, false);
            let step = match data.len() >= LONG {
                true => self.detached(py, write)?,
                false => self.with(py, write)?,
            };
            match step {
                Ok(Progress::Done(count)) => taken += count,
                Ok(_) => {}
                Err(error) => {
                    drop(self.flush_locked(slf, wait));
                    return Err(shaped(slf, &error));
                }
            }
            if wait.waits() || self.wire.gathers() {
                self.flush_locked(slf, wait)?;
                continue;
            }
            // As OpenSSL: it counts as taken only when it has left, since who waits for an answer may not call again.
            if let Err(error) = self.flush_locked(slf, wait) {
                self.with(py, |engine| engine.unanswered = taken)?;
                return Err(error);
            }
            break;
        }
        Ok(taken)
    }

    /// Sends what there is, unless another thread is at it.
    fn flush<'py>(&self, slf: &Bound<'py, Self>, wait: &Wait<'py>) -> PyResult<()> {
        match self.wire.try_writing(slf.py())? {
            Some(_turn) => self.flush_locked(slf, wait),
            None => Ok(()),
        }
    }

    fn flush_locked<'py>(&self, slf: &Bound<'py, Self>, wait: &Wait<'py>) -> PyResult<()> {
        let py = slf.py();
        loop {
            let chunk = self.with(py, |engine| match engine.chunk() {
                [] => None,
                chunk => Some(PyBytes::new(py, chunk).unbind()),
            })?;
            let Some(chunk) = chunk else {
                return self.with(py, |engine| engine.session.rest());
            };
            let sent = self.wire.send(slf, chunk.into_bound(py), wait)?;
            self.with(py, |engine| engine.session.sent(sent))?;
        }
    }

    /// Takes bytes from the peer, or its end: of a socket to the end of a record, and never further. How many came.
    fn fill<'py>(&self, slf: &Bound<'py, Self>, wait: &Wait<'py>) -> PyResult<usize> {
        let py = slf.py();
        let mut count = 0;
        loop {
            let (most, body) = self.with(py, |engine| engine.frame.wanted())?;
            let data = self.wire.receive(slf, most, body, wait)?;
            let data = data.as_bytes();
            count += data.len();
            let whole = self.with(py, |engine| {
                match (&mut engine.hello, data.is_empty()) {
                    (Some(hello), false) => hello.extend_from_slice(data),
                    (Some(_), true) => engine.closed = true,
                    (None, false) => engine.feed(data),
                    (None, true) => drop(engine.session.feed(b"")),
                }
                engine.frame.pass(data)
            })?;
            if whole || data.is_empty() || self.wire.gathers() {
                return Ok(count);
            }
        }
    }
}

fn session(config: &Config, policy: &Policy, host: Option<&str>) -> smtptls::Session {
    match host {
        Some(host) => smtptls::Session::client(&config.frozen, &policy.0, host),
        None => smtptls::Session::server(&config.frozen, &policy.0),
    }
}

/// The exception of ssl's for an error.
fn shaped(slf: &Bound<'_, Channel>, error: &smtptls::Error) -> PyErr {
    let py = slf.py();
    let error = raised(error).into_value(py);
    match slf.call_method1(intern!(py, "_shaped"), (error,)) {
        Ok(shaped) => PyErr::from_value(shaped),
        Err(failure) => failure,
    }
}

/// The exception that a method of the subclass makes.
fn called(slf: &Bound<'_, Channel>, method: &Bound<'_, pyo3::types::PyString>) -> PyResult<PyErr> {
    Ok(PyErr::from_value(slf.call_method0(method)?))
}
