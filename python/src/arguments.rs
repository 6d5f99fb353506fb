//! What Python gives where more than one type will do.

use std::ops::Deref;

use pyo3::exceptions::PyTypeError;
#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBool, PyBytes, PyMemoryView, PySlice, PyString};
#[cfg(feature = "stubs")]
use pyo3::{PyTypeInfo, type_hint_identifier, type_hint_subscript, type_hint_union};
use smtptls::{Code, Error};

use crate::enums::{Enum, Named};
use crate::errors;
use crate::tlsa::Tlsa;

#[cfg(feature = "stubs")]
const READABLE: PyStaticExpr = type_hint_identifier!("_typeshed", "ReadableBuffer");
#[cfg(feature = "stubs")]
const STR: PyStaticExpr = type_hint_identifier!("builtins", "str");

/// Any bytes-like object. Bytes are borrowed, anything else is copied.
pub struct Data(PyBackedBytes);

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'py> FromPyObject<'_, 'py> for Data {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = READABLE;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = given.cast::<PyBytes>() {
            return Ok(Data(bytes.to_owned().into()));
        }
        let bytes = PyMemoryView::from(&given)?.call_method0(intern!(given.py(), "tobytes"))?;
        Ok(Data(bytes.cast_into::<PyBytes>()?.into()))
    }
}

/// A writable buffer of bytes.
pub struct Writable<'py> {
    view: Bound<'py, PyAny>,
    pub length: usize,
}

impl Writable<'_> {
    /// Puts bytes at its front, no more than `length`.
    pub fn fill(&self, bytes: &[u8]) -> PyResult<()> {
        self.fill_with(&PyBytes::new(self.view.py(), bytes))
    }

    /// The same.
    pub fn fill_with(&self, bytes: &Bound<'_, PyBytes>) -> PyResult<()> {
        let end = isize::try_from(bytes.as_bytes().len())?;
        self.view.set_item(PySlice::new(self.view.py(), 0, end, 1), bytes)
    }
}

impl<'py> FromPyObject<'_, 'py> for Writable<'py> {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_identifier!("_typeshed", "WriteableBuffer");

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let view = PyMemoryView::from(&given)?;
        if view.getattr("readonly")?.extract()? {
            return Err(PyTypeError::new_err("the buffer is read-only"));
        }
        let view = view.call_method1("cast", ("B",))?;
        let length = view.len()?;
        Ok(Writable { view, length })
    }
}

/// Text as str or as bytes.
pub struct Text(Vec<u8>);

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'py> FromPyObject<'_, 'py> for Text {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_union!(STR, READABLE);

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match given.cast::<PyString>() {
            Ok(text) => Ok(Text(text.extract::<String>()?.into_bytes())),
            Err(_) => Ok(Text(given.extract::<Data>()?.to_vec())),
        }
    }
}

/// A list of names: a str with colons, commas or blanks between them, or a sequence of str.
pub struct Names(pub String);

impl<'py> FromPyObject<'_, 'py> for Names {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_union!(STR, <Vec<String> as FromPyObject<'_, '_>>::INPUT_TYPE);

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match given.cast::<PyString>() {
            Ok(list) => list.extract().map(Names),
            Err(_) => Ok(Names(given.extract::<Vec<String>>()?.join(":"))),
        }
    }
}

/// A member of an enum, or its name.
pub struct ByName<T>(pub T);

impl<'py, T: Named> FromPyObject<'_, 'py> for ByName<T> {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_union!(crate::enums::hint::<T>(), STR);

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Ok(name) = given.cast::<PyString>() else {
            return Ok(ByName(given.extract::<Enum<T>>()?.0));
        };
        let name: String = name.extract()?;
        T::ALL.iter().copied().find(|value| value.name() == name).map(ByName).ok_or_else(|| {
            let known: Vec<_> = T::ALL.iter().map(|value| value.name()).collect();
            let name = smtptls::escape(name.as_bytes());
            let message = format!("\"{name}\" is not a valid {}; there are {}", T::CLASS, known.join(", "));
            errors::raised(&Error::local(Code::Argument, message))
        })
    }
}

/// A TLSA record: as such, in its presentation form, or as RDATA.
pub struct TlsaLike(pub smtptls::Tlsa);

impl<'py> FromPyObject<'_, 'py> for TlsaLike {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_union!(<Tlsa as PyTypeInfo>::TYPE_HINT, STR, READABLE);

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(record) = given.cast::<Tlsa>() {
            return Ok(TlsaLike(record.get().0.clone()));
        }
        let record = match given.cast::<PyString>() {
            Ok(text) => text.extract::<String>()?.parse(),
            Err(_) => smtptls::Tlsa::from_rdata(&given.extract::<Data>()?),
        };
        record.map(TlsaLike).map_err(|error| errors::raised(&error))
    }
}

/// What a message's `TLS-Required: No` (RFC 8689 section 3) outweighs: nothing, since it has none (False);
/// what the recipient's domain publishes (True); the local level too ("always").
pub enum TlsOptional {
    No,
    Recipient,
    Always,
}

impl<'py> FromPyObject<'_, 'py> for TlsOptional {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_union!(
        type_hint_identifier!("builtins", "bool"),
        type_hint_subscript!(
            type_hint_identifier!("typing", "Literal"),
            PyStaticExpr::Constant { value: pyo3::inspect::PyStaticConstant::Str("always") }
        )
    );

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(optional) = given.cast::<PyBool>() {
            return Ok(if optional.is_true() { TlsOptional::Recipient } else { TlsOptional::No });
        }
        let Ok(word) = given.cast::<PyString>() else {
            let kind = given.get_type().name()?;
            return Err(PyTypeError::new_err(format!("tls_optional is a bool or \"always\", not {kind}")));
        };
        match word.extract::<String>()?.as_str() {
            "always" => Ok(TlsOptional::Always),
            other => {
                let other = smtptls::escape(other.as_bytes());
                Err(errors::argument(format!("tls_optional is False, True or \"always\", not \"{other}\"")))
            }
        }
    }
}

/// What to send in SNI: a name, nothing (None), or the session's host (left out, or `...`).
pub enum Sni {
    Host,
    None,
    Name(String),
}

impl<'py> FromPyObject<'_, 'py> for Sni {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_union!(
        STR,
        type_hint_identifier!("types", "EllipsisType"),
        PyStaticExpr::Constant { value: pyo3::inspect::PyStaticConstant::None }
    );

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if given.is_none() {
            Ok(Sni::None)
        } else if given.is(given.py().Ellipsis()) {
            Ok(Sni::Host)
        } else if let Ok(name) = given.cast::<PyString>() {
            Ok(Sni::Name(name.extract()?))
        } else {
            let kind = given.get_type().name()?;
            Err(PyTypeError::new_err(format!("sni is a str, None or ..., not {kind}")))
        }
    }
}
