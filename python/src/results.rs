//! What Python gets where the engine has plain values: tuples and times.

use std::borrow::Cow;

#[cfg(feature = "stubs")]
use pyo3::inspect::{PyStaticConstant, PyStaticExpr};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDateTime, PyTuple, PyTzInfo};
#[cfg(feature = "stubs")]
use pyo3::{type_hint_identifier, type_hint_subscript};

/// A tuple of str.
pub struct Texts<'a>(pub Cow<'a, [String]>);

impl<'a> From<&'a [String]> for Texts<'a> {
    fn from(texts: &'a [String]) -> Self {
        Texts(Cow::Borrowed(texts))
    }
}

impl From<Vec<String>> for Texts<'_> {
    fn from(texts: Vec<String>) -> Self {
        Texts(Cow::Owned(texts))
    }
}

impl<'py> IntoPyObject<'py> for Texts<'_> {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = type_hint_subscript!(
        type_hint_identifier!("builtins", "tuple"),
        type_hint_identifier!("builtins", "str"),
        PyStaticExpr::Constant { value: PyStaticConstant::Ellipsis }
    );

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.iter())
    }
}

/// A tuple of bytes.
pub struct Octets<'a>(pub Vec<&'a [u8]>);

impl<'py> IntoPyObject<'py> for Octets<'_> {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = type_hint_subscript!(
        type_hint_identifier!("builtins", "tuple"),
        type_hint_identifier!("builtins", "bytes"),
        PyStaticExpr::Constant { value: PyStaticConstant::Ellipsis }
    );

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.iter().map(|octets| PyBytes::new(py, octets)))
    }
}

/// A datetime in UTC, from seconds since 1970.
pub struct Moment(pub u64);

impl<'py> IntoPyObject<'py> for Moment {
    type Target = PyDateTime;
    type Output = Bound<'py, PyDateTime>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = type_hint_identifier!("datetime", "datetime");

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyDateTime>> {
        // Years have four digits (RFC 5280 section 4.1.2.5), and a float holds their seconds without loss.
        PyDateTime::from_timestamp(py, self.0 as f64, Some(&*PyTzInfo::utc(py)?))
    }
}
