//! Info: the facts of an established TLS connection.

#[cfg(feature = "stubs")]
use pyo3::inspect::{PyStaticConstant, PyStaticExpr};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
#[cfg(feature = "stubs")]
use pyo3::{type_hint_identifier, type_hint_subscript};
use smtptls::{Auth, FingerprintOf, Level};

use crate::enums::Enum;

/// The facts of an established TLS connection: a snapshot, read-only.
#[pyclass(frozen, module = "smtptls", weakref)]
pub struct Info {
    /// One line for logs.
    #[pyo3(get)]
    summary: String,
    /// The protocol version, "TLSv1.2" or "TLSv1.3".
    #[pyo3(get)]
    version: String,
    /// The cipher suite by its IANA name.
    #[pyo3(get)]
    cipher: String,
    /// The strength of the cipher in bits.
    #[pyo3(get)]
    cipher_bits: u32,
    /// The key exchange group by its IANA name.
    #[pyo3(get)]
    group: Option<String>,
    /// The server name (SNI) that the client sent, on a server.
    #[pyo3(get)]
    server_name: Option<String>,
    /// Whether an earlier TLS session was resumed.
    #[pyo3(get)]
    resumed: bool,
    /// The level that was in force.
    #[pyo3(get)]
    level: Enum<Level>,
    /// How the peer was authenticated.
    #[pyo3(get)]
    auth: Enum<Auth>,
    /// Whether the peer sent a certificate.
    #[pyo3(get)]
    certificate_present: bool,
    /// Whether its certificate has a valid chain to a trust anchor, whatever name it is for.
    #[pyo3(get)]
    trusted: bool,
    /// Whether its certificate is for an expected name, whoever signed it.
    #[pyo3(get)]
    name_matched: bool,
    /// The expected name that the certificate is for.
    #[pyo3(get)]
    matched_name: Option<String>,
    /// Why the peer is not authenticated, in one line; None if it is.
    #[pyo3(get)]
    doubt: Option<String>,
    /// The subject of the peer's certificate as in RFC 4514.
    #[pyo3(get)]
    peer_subject: Option<String>,
    /// The issuer of the peer's certificate as in RFC 4514.
    #[pyo3(get)]
    peer_issuer: Option<String>,
    /// The clause for a Received header (RFC 8314 section 4.3).
    #[pyo3(get)]
    received_clause: String,
    certificates: Vec<Vec<u8>>,
    fingerprints: Vec<(FingerprintOf, Option<String>)>,
    binding: Option<[u8; 32]>,
}

impl Info {
    pub fn new(info: &smtptls::Info) -> Info {
        let certificates = (0..).map_while(|index| info.peer_certificate(index)).map(<[u8]>::to_vec);
        Info {
            summary: info.summary(),
            version: info.version().to_string(),
            cipher: info.cipher().to_string(),
            cipher_bits: info.cipher_bits(),
            group: info.group().map(str::to_string),
            server_name: info.server_name().map(str::to_string),
            resumed: info.resumed(),
            level: Enum(info.level()),
            auth: Enum(info.auth()),
            certificate_present: info.certificate_present(),
            trusted: info.trusted(),
            name_matched: info.name_matched(),
            matched_name: info.matched_name().map(str::to_string),
            doubt: info.doubt().map(str::to_string),
            peer_subject: info.peer_subject(),
            peer_issuer: info.peer_issuer(),
            received_clause: info.received_clause(),
            certificates: certificates.collect(),
            fingerprints: FingerprintOf::ALL.iter().map(|of| (*of, info.peer_fingerprint(*of))).collect(),
            binding: info.channel_binding().copied(),
        }
    }
}

#[pymethods]
impl Info {
    /// The certificates that the peer sent, in DER, its own first.
    #[getter]
    fn peer_certificates(&self) -> Certificates<'_> {
        Certificates(&self.certificates)
    }

    /// The digest of the peer's certificate or public key: "sha256:" and lower case hex.
    #[pyo3(signature = (of=Enum(FingerprintOf::Certificate)))]
    fn peer_fingerprint(&self, of: Enum<FingerprintOf>) -> Option<&str> {
        self.fingerprints.iter().find(|(known, _)| *known == of.0)?.1.as_deref()
    }

    /// The tls-exporter channel binding (RFC 9266) for SASL SCRAM-*-PLUS. At TLS 1.2 there is none.
    #[getter]
    fn channel_binding<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.binding.as_ref().map(|binding| PyBytes::new(py, binding))
    }

    fn __repr__(&self) -> String {
        format!("<smtptls.Info {}>", self.summary)
    }
}

/// A tuple of bytes.
struct Certificates<'a>(&'a [Vec<u8>]);

impl<'py> IntoPyObject<'py> for Certificates<'_> {
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
        PyTuple::new(py, self.0.iter().map(|der| PyBytes::new(py, der)))
    }
}
