//! Info: the facts of an established TLS connection.

#[cfg(feature = "stubs")]
use pyo3::inspect::{PyStaticConstant, PyStaticExpr};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
#[cfg(feature = "stubs")]
use pyo3::{type_hint_identifier, type_hint_subscript};
use smtptls::{Auth, Digest, FingerprintOf, Level};

use crate::arguments::ByName;
use crate::enums::Enum;
use crate::tlsa::Tlsa;

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
    /// The level that was in force, which is not always the one that was asked for: see
    /// Policy.effective_level.
    #[pyo3(get)]
    level: Enum<Level>,
    /// How the peer was authenticated. At the levels may and encrypt, which ask for nothing, this is a fact
    /// for the log: an attacker could have done without.
    #[pyo3(get)]
    auth: Enum<Auth>,
    /// Whether the policy demanded that the peer prove who it is, the peer did, and it is the server of the
    /// destination. Under DANE with insecure MX records it proved to be the host that an insecure answer
    /// named, and that is not enough for this (RFC 7672 section 2.2.1).
    #[pyo3(get)]
    secured: bool,
    /// Whether the peer sent a certificate.
    #[pyo3(get)]
    certificate_present: bool,
    /// Whether its certificate has a valid chain to a trust anchor, whatever name it is for; or whether a
    /// TLSA record or a fingerprint vouches for it, where these are in force.
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
    /// At which depth of the peer's chain the reason for that lies: 0 is its own certificate, 1 that of the
    /// authority that signed it, and so on. The one nearest to the peer's own counts.
    #[pyo3(get)]
    doubt_depth: Option<usize>,
    /// The TLSA record that vouches for the peer.
    #[pyo3(get)]
    matched_tlsa: Option<Tlsa>,
    /// At which depth of the peer's chain that record holds: 0 is its own certificate. Where the authority's
    /// certificate is not in the chain, the depth that it would have.
    #[pyo3(get)]
    tlsa_depth: Option<usize>,
    /// The fingerprint that vouches for the peer: "sha256:" and lower case hex.
    #[pyo3(get)]
    matched_fingerprint: Option<String>,
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
            secured: info.secured(),
            certificate_present: info.certificate_present(),
            trusted: info.trusted(),
            name_matched: info.name_matched(),
            matched_name: info.matched_name().map(str::to_string),
            doubt: info.doubt().map(str::to_string),
            doubt_depth: info.doubt_depth(),
            matched_tlsa: info.matched_tlsa().cloned().map(Tlsa),
            tlsa_depth: info.tlsa_depth(),
            matched_fingerprint: info.matched_fingerprint().map(str::to_string),
            peer_subject: info.peer_subject(),
            peer_issuer: info.peer_issuer(),
            received_clause: info.received_clause(),
            certificates: certificates.collect(),
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

    /// The digest of the peer's certificate or public key: the algorithm, a colon and lower case hex.
    #[pyo3(signature = (of=Enum(FingerprintOf::Certificate), digest=ByName(Digest::Sha256)))]
    #[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
    fn peer_fingerprint(&self, of: Enum<FingerprintOf>, digest: ByName<Digest>) -> Option<String> {
        of.0.fingerprint(digest.0, self.certificates.first()?)
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
