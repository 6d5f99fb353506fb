//! Tlsa: a TLSA record (RFC 6698), as a value.

use pyo3::exceptions::PyTypeError;
#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyInt};

use crate::arguments::Data;
use crate::errors::{argument, raised};

/// A TLSA record (RFC 6698).
///
/// usage: certificate usage: 2 is DANE-TA, 3 DANE-EE; 0 and 1 are not for SMTP (RFC 7672 section 3.1.3).
/// selector: 0 for the certificate, 1 for its public key.
/// matching: 0 for the octets themselves, 1 for their SHA-256, 2 for their SHA-512.
/// data: the certificate association data.
#[pyclass(frozen, eq, hash, module = "smtptls", weakref)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tlsa(pub smtptls::Tlsa);

#[pymethods]
impl Tlsa {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
    fn new(usage: Octet, selector: Octet, matching: Octet, data: Data) -> Self {
        Tlsa(smtptls::Tlsa::new(usage.0, selector.0, matching.0, &data))
    }

    /// Reads the presentation form: three numbers, then hex digits of either case with blanks anywhere
    /// between.
    #[staticmethod]
    #[pyo3(signature = (text, /))]
    fn parse(text: &str) -> PyResult<Self> {
        text.parse().map(Tlsa).map_err(|error| raised(&error))
    }

    /// From the wire form of its RDATA. Raises ConfigError if that is shorter than its three fixed octets.
    #[staticmethod]
    #[pyo3(signature = (rdata, /))]
    #[allow(clippy::needless_pass_by_value)]
    fn from_rdata(rdata: Data) -> PyResult<Self> {
        smtptls::Tlsa::from_rdata(&rdata).map(Tlsa).map_err(|error| raised(&error))
    }

    /// The record of a certificate in DER, as its owner would publish it: 3 1 1 for a server is the best
    /// choice (RFC 7671 section 5.1). Raises ConfigError if such a record cannot be made of it.
    #[staticmethod]
    #[pyo3(signature = (certificate, /, usage=Octet(3), selector=Octet(1), matching=Octet(1)))]
    #[allow(clippy::needless_pass_by_value)]
    fn of(certificate: Data, usage: Octet, selector: Octet, matching: Octet) -> PyResult<Self> {
        let (usage, selector, matching) = (usage.0, selector.0, matching.0);
        smtptls::Tlsa::of(usage, selector, matching, &certificate).map(Tlsa).ok_or_else(|| {
            argument(format!("no record {usage} {selector} {matching} can be made of the certificate"))
        })
    }

    /// Certificate usage: 2 is DANE-TA, 3 DANE-EE.
    #[getter]
    fn usage(&self) -> u8 {
        self.0.usage
    }

    /// 0 for the certificate, 1 for its public key.
    #[getter]
    fn selector(&self) -> u8 {
        self.0.selector
    }

    /// 0 for the octets themselves, 1 for their SHA-256, 2 for their SHA-512.
    #[getter]
    fn matching(&self) -> u8 {
        self.0.matching
    }

    /// The certificate association data.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.data)
    }

    /// The wire form of its RDATA.
    #[getter]
    fn rdata<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_rdata())
    }

    /// Why it cannot be used (RFC 7671 section 5, RFC 7672 section 3.1); None if it can. An unusable record
    /// still says that the domain has TLS.
    #[getter]
    fn unusable(&self) -> Option<&'static str> {
        self.0.unusable()
    }

    /// The presentation form (RFC 6698 section 2.2), without blanks in the data: "3 1 1 0f1e...".
    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("Tlsa.parse('{}')", self.0)
    }

    /// For pickle and copy.
    fn __getnewargs__<'py>(&self, py: Python<'py>) -> (u8, u8, u8, Bound<'py, PyBytes>) {
        (self.0.usage, self.0.selector, self.0.matching, self.data(py))
    }
}

/// A field of one octet.
struct Octet(u8);

impl<'py> FromPyObject<'_, 'py> for Octet {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = pyo3::type_hint_identifier!("builtins", "int");

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        // True is an int, and hardly what was meant.
        if !given.is_instance_of::<PyInt>() || given.is_instance_of::<PyBool>() {
            let kind = given.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a field of a TLSA record is an int, not {kind}")));
        }
        let number =
            given.extract().map_err(|_| argument("a field of a TLSA record is a number up to 255"))?;
        Ok(Octet(number))
    }
}
