//! How a call gets at the engine: one at a time, with the socket and its timeout, and with panics caught.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, TryLockError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use smtptls::{Code, Error, Limit, Progress, Stream};

use super::Session;
use crate::errors::{Exception, WANT_INPUT, WANT_OUTPUT, WANT_SIGNATURE, misuse, raised, want};
use crate::socket::{Raised, Socket};

impl Session {
    pub(super) fn new(session: smtptls::Session, socket: Option<Bound<'_, PyAny>>) -> PyResult<Session> {
        if let Some(socket) = &socket {
            for method in ["recv", "send", "gettimeout", "settimeout", "fileno"] {
                if !socket.hasattr(method)? {
                    let kind = socket.get_type().name()?;
                    return Err(PyTypeError::new_err(format!("sock is a socket or None, not {kind}")));
                }
            }
        }
        Ok(Session {
            stream: Mutex::new(Stream::new(session, Socket::default())),
            has_socket: socket.is_some(),
            socket: Mutex::new(socket.map(Bound::unbind)),
            timeout: Mutex::new(None),
            info: PyOnceLock::new(),
        })
    }

    /// The stream, unless another call has it: waiting for that one could be waiting for ever.
    fn lock(&self) -> PyResult<MutexGuard<'_, Stream<Socket>>> {
        match self.stream.try_lock() {
            Ok(stream) => Ok(stream),
            Err(TryLockError::WouldBlock) => Err(misuse("another call of this session is going on")),
            Err(TryLockError::Poisoned(_)) => Err(bug()),
        }
    }

    /// A panic becomes an error, and the session stays poisoned.
    pub(super) fn with<R>(&self, step: impl FnOnce(&mut Stream<Socket>) -> PyResult<R>) -> PyResult<R> {
        let guarded = AssertUnwindSafe(|| step(&mut *self.lock()?));
        catch_unwind(guarded).unwrap_or_else(|_| Err(bug()))
    }

    pub(super) fn look<R>(&self, step: impl FnOnce(&mut smtptls::Session) -> R) -> PyResult<R> {
        self.with(|stream| Ok(step(stream.session_mut())))
    }

    /// Only for sessions that are fed.
    pub(super) fn carry<R>(&self, step: impl FnOnce(&mut smtptls::Session) -> R) -> PyResult<R> {
        match self.has_socket {
            true => Err(misuse("this session has a socket, which carries its bytes")),
            false => self.look(step),
        }
    }

    /// A call that may use the socket.
    pub(super) fn call<R>(
        &self,
        py: Python<'_>,
        step: impl FnOnce(&mut Stream<Socket>) -> Result<Progress<R>, Error>,
    ) -> PyResult<Progress<R>> {
        self.with(|stream| {
            if let Some(socket) = self.bound_socket(py)? {
                let other = *self.timeout.lock().map_err(|_| bug())?;
                stream.transport_mut().begin(socket, other)?;
                let limit = stream.transport_mut().limit();
                stream.set_limit(Limit::Start, limit);
                stream.set_limit(Limit::Io, limit);
            }
            let result = step(stream);
            match (stream.transport_mut().end(), result) {
                (Some(Raised::Foreign(exception)), _) => Err(exception),
                (_, Ok(progress)) => Ok(progress),
                (Some(Raised::Cause(cause)), Err(error)) => {
                    let error = Exception::of(stream.session(), error).raised();
                    error.set_cause(py, Some(cause));
                    Err(error)
                }
                (None, Err(error)) => Err(Exception::of(stream.session(), error).raised()),
            }
        })
    }

    pub(super) fn done<R>(&self, py: Python<'_>, progress: Progress<R>) -> PyResult<R> {
        match progress {
            Progress::Done(value) => Ok(value),
            Progress::WantOutput => Err(want(py, WANT_OUTPUT, 0)),
            // A socket of Python begins again by itself after a signal.
            Progress::WantInput | Progress::WantRetry => Err(want(py, WANT_INPUT, 0)),
            Progress::WantSignature => Err(want(py, WANT_SIGNATURE, 0)),
        }
    }

    fn bound_socket<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let socket = self.socket.lock().map_err(|_| bug())?;
        Ok(socket.as_ref().map(|socket| socket.bind(py).clone()))
    }

    pub(super) fn needed_socket<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.bound_socket(py)?.ok_or_else(|| misuse("this session has no socket"))
    }
}

pub fn bug() -> PyErr {
    raised(&Error::local(Code::Internal, Code::Internal.text()))
}
