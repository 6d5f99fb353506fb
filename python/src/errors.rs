//! From the engine's errors to Python's exceptions, whose classes stand in smtptls._errors.

#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use smtptls::{Code, Error, Session};

use crate::arguments::Data;
use crate::enums::Enum;

/// Numbers that C returns where Python raises `WantInput`, `WantOutput` and `WantSignature`.
pub const WANT_INPUT: i32 = -1;
pub const WANT_OUTPUT: i32 = -2;
pub const WANT_SIGNATURE: i32 = -4;

/// The exception for an error of the engine.
pub fn raised(error: &Error) -> PyErr {
    Python::attach(|py| exception(py, error, None).unwrap_or_else(|failure| failure))
}

/// The same for the failure of a session: what the server said is with it, where that is why. A value, to be raised
/// or not.
pub struct Exception {
    error: Error,
    reply: Option<String>,
}

impl Exception {
    pub fn of(session: &Session, error: Error) -> Exception {
        let reply = (error.code() == Code::Refused).then(|| session.reply()).flatten().map(str::to_string);
        Exception { error, reply }
    }

    pub fn raised(self) -> PyErr {
        Python::attach(|py| {
            exception(py, &self.error, self.reply.as_deref()).unwrap_or_else(|failure| failure)
        })
    }
}

impl<'py> IntoPyObject<'py> for Exception {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = pyo3::type_hint_identifier!("smtptls._errors", "Error");

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(exception(py, &self.error, self.reply.as_deref())?.into_value(py).into_bound(py).into_any())
    }
}

fn exception(py: Python<'_>, error: &Error, reply: Option<&str>) -> PyResult<PyErr> {
    let details = PyDict::new(py);
    details.set_item(intern!(py, "errno"), error.os())?;
    details.set_item(intern!(py, "alert"), error.alert())?;
    details.set_item(intern!(py, "action"), Enum(error.action()))?;
    details.set_item(intern!(py, "tlsrpt"), error.tlsrpt().map(|kind| kind.name()))?;
    details.set_item(intern!(py, "tlsrpt_reason"), error.tlsrpt_reason())?;
    details.set_item(intern!(py, "enhanced_status"), error.enhanced_status())?;
    details.set_item(intern!(py, "reply"), reply)?;
    made(py, error.code().number(), error.message(), &details)
}

/// The exception that says that a session without waiting wants something; `taken` bytes of what was to be
/// written were taken.
pub fn want(py: Python<'_>, code: i32, taken: usize) -> PyErr {
    let exception = || {
        let make = py.import(intern!(py, "smtptls._errors"))?.getattr(intern!(py, "wanted"))?;
        Ok(PyErr::from_value(make.call1((code, taken))?))
    };
    exception().unwrap_or_else(|failure| failure)
}

fn made(py: Python<'_>, code: i32, message: &str, details: &Bound<'_, PyDict>) -> PyResult<PyErr> {
    let class = py.import(intern!(py, "smtptls._errors"))?.getattr(intern!(py, "Error"))?;
    Ok(PyErr::from_value(class.call((code, message), Some(details))?))
}

/// A mistake in the use of an object.
pub fn misuse(message: impl Into<String>) -> PyErr {
    raised(&Error::local(Code::State, message))
}

/// An argument that is out of range.
pub fn argument(message: impl Into<String>) -> PyErr {
    raised(&Error::local(Code::Argument, message))
}

/// Text from the peer, fit for one line of a log: no control character, none that is not ASCII, and cut where
/// it gets long.
#[pyfunction]
#[pyo3(signature = (data, /))]
#[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
pub fn escape(data: Data) -> String {
    smtptls::escape(&data)
}
