//! SignatureRequest: what is to be signed with a private key that is elsewhere.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// What is to be signed, and how, with a private key that is elsewhere: see Session.signature_request.
#[pyclass(frozen, eq, module = "smtptls", weakref)]
#[derive(PartialEq, Eq)]
pub struct SignatureRequest(pub smtptls::SignatureRequest);

#[pymethods]
impl SignatureRequest {
    /// The signature scheme, by its number in IANA's registry (RFC 8446 section 4.2.3): 0x0403.
    #[getter]
    fn scheme(&self) -> u16 {
        self.0.scheme()
    }

    /// The algorithm of that scheme, as OpenSSL names it: "RSA-PSS", "RSA" (PKCS #1 v1.5), "ECDSA" or
    /// "ED25519".
    #[getter]
    fn algorithm(&self) -> &'static str {
        self.0.algorithm()
    }

    /// The digest of that scheme, "SHA256"; with RSA-PSS of its mask too, and the salt is as long as the
    /// digest. None where it is part of the algorithm.
    #[getter]
    fn digest(&self) -> Option<&'static str> {
        self.0.digest()
    }

    /// What is to be signed: the message itself, which the digest is to be made of.
    #[getter]
    fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.message())
    }

    /// The certificate in DER whose key is to sign.
    #[getter]
    fn certificate<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.certificate())
    }

    fn __repr__(&self) -> String {
        let digest = self.digest().map_or(String::new(), |digest| format!(", {digest}"));
        format!("<SignatureRequest {}{digest}>", self.algorithm())
    }
}
