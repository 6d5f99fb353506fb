//! Info: the facts of an established TLS connection.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use smtptls::{Auth, Digest, FingerprintOf, Level};

use crate::arguments::{ByName, Data};
use crate::enums::Enum;
use crate::errors::raised;
use crate::results::{Moment, Octets, Texts};
use crate::tlsa::Tlsa;

/// The facts of an established TLS connection: a snapshot, read-only. Plain values, which can be compared,
/// and carried to another process: by pickle, or by to_bytes.
#[pyclass(frozen, eq, hash, module = "smtptls", weakref)]
#[derive(PartialEq, Eq)]
pub struct Info(pub Arc<smtptls::Info>);

impl Hash for Info {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bytes().hash(state);
    }
}

#[pymethods]
impl Info {
    /// What Postfix logs of a connection and writes into Received, word for word: "TLSv1.3 with cipher
    /// TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA (prime256v1)
    /// server-digest SHA256".
    #[getter]
    fn summary(&self) -> String {
        self.0.summary()
    }

    /// What Exim has in $tls_in_cipher: "TLS1.3:TLS_AES_256_GCM_SHA384:256".
    #[getter]
    fn exim_cipher(&self) -> String {
        self.0.exim_cipher()
    }

    /// The clause for a Received header (RFC 8314 section 4.3): "tls TLS_AES_256_GCM_SHA384 group x25519".
    #[getter]
    fn received_clause(&self) -> String {
        self.0.received_clause()
    }

    /// On a server, for a comment of a Received header (RFC 3207 section 4.1), what Postfix writes of the
    /// client's certificate: Client CN "mail.example.org", Issuer "Example CA" (verified OK), or (not
    /// verified). What the client chose cannot end the comment. None of a server, and without a certificate.
    #[getter]
    fn received_client(&self) -> Option<String> {
        self.0.received_client()
    }

    /// The protocol version, "TLSv1.2" or "TLSv1.3".
    #[getter]
    fn version(&self) -> &'static str {
        self.0.version()
    }

    /// The cipher suite by its IANA name.
    #[getter]
    fn cipher(&self) -> &'static str {
        self.0.cipher()
    }

    /// The cipher suite by OpenSSL's name; the same in TLS 1.3.
    #[getter]
    fn cipher_openssl(&self) -> &'static str {
        self.0.cipher_openssl()
    }

    /// The strength of the cipher in bits.
    #[getter]
    fn cipher_bits(&self) -> u32 {
        self.0.cipher_bits()
    }

    /// The key exchange group by its IANA name. None where a resumed session of TLS 1.2 had none.
    #[getter]
    fn group(&self) -> Option<&'static str> {
        self.0.group()
    }

    /// The algorithm of the server's signature in the handshake, as OpenSSL names it: "RSA-PSS", "ECDSA".
    /// None of a resumed session.
    #[getter]
    fn server_signature(&self) -> Option<&'static str> {
        self.0.server_signature()
    }

    /// The digest of that signature: "SHA256". None where it is part of the algorithm.
    #[getter]
    fn server_digest(&self) -> Option<&'static str> {
        self.0.server_digest()
    }

    /// The algorithm of the client's signature; None if it showed no certificate.
    #[getter]
    fn client_signature(&self) -> Option<&'static str> {
        self.0.client_signature()
    }

    /// The digest of that signature.
    #[getter]
    fn client_digest(&self) -> Option<&'static str> {
        self.0.client_digest()
    }

    /// The server name (SNI) that the client sent, on a server.
    #[getter]
    fn server_name(&self) -> Option<&str> {
        self.0.server_name()
    }

    /// The application protocol (RFC 7301) that was agreed on.
    #[getter]
    fn alpn<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.alpn().map(|protocol| PyBytes::new(py, protocol))
    }

    /// Whether an earlier TLS session was resumed.
    #[getter]
    fn resumed(&self) -> bool {
        self.0.resumed()
    }

    /// The level that was in force, which is not always the one that was asked for: see
    /// Policy.effective_level.
    #[getter]
    fn level(&self) -> Enum<Level> {
        Enum(self.0.level())
    }

    /// How the peer was authenticated. At the levels may and encrypt, which ask for nothing, this is a fact
    /// for the log: an attacker could have done without.
    #[getter]
    fn auth(&self) -> Enum<Auth> {
        Enum(self.0.auth())
    }

    /// Whether the policy demanded that the peer prove who it is, the peer did, and it is the server of the
    /// destination. Under DANE with insecure MX records it proved to be the host that an insecure answer
    /// named, and that is not enough for this (RFC 7672 section 2.2.1).
    #[getter]
    fn secured(&self) -> bool {
        self.0.secured()
    }

    /// Whether the peer sent a certificate.
    #[getter]
    fn certificate_present(&self) -> bool {
        self.0.certificate_present()
    }

    /// Whether its certificate has a valid chain to a trust anchor, whatever name it is for; or whether a
    /// TLSA record or a fingerprint vouches for it, where these are in force.
    #[getter]
    fn trusted(&self) -> bool {
        self.0.trusted()
    }

    /// Whether its certificate is for an expected name, whoever signed it.
    #[getter]
    fn name_matched(&self) -> bool {
        self.0.name_matched()
    }

    /// The expected name that the certificate is for.
    #[getter]
    fn matched_name(&self) -> Option<&str> {
        self.0.matched_name()
    }

    /// Why the peer is not authenticated, in one line; None if it is.
    #[getter]
    fn doubt(&self) -> Option<&str> {
        self.0.doubt()
    }

    /// At which depth of the peer's chain the reason for that lies: 0 is its own certificate, 1 that of the
    /// authority that signed it, and so on. The one nearest to the peer's own counts.
    #[getter]
    fn doubt_depth(&self) -> Option<usize> {
        self.0.doubt_depth()
    }

    /// The TLSA record that vouches for the peer.
    #[getter]
    fn matched_tlsa(&self) -> Option<Tlsa> {
        self.0.matched_tlsa().cloned().map(Tlsa)
    }

    /// At which depth of the peer's chain that record holds: 0 is its own certificate. Where the authority's
    /// certificate is not in the chain, the depth that it would have.
    #[getter]
    fn tlsa_depth(&self) -> Option<usize> {
        self.0.tlsa_depth()
    }

    /// The fingerprint that vouches for the peer: "sha256:" and lower case hex.
    #[getter]
    fn matched_fingerprint(&self) -> Option<&str> {
        self.0.matched_fingerprint()
    }

    /// The certificates that the peer sent, in DER, its own first.
    #[getter]
    fn peer_certificates(&self) -> Octets<'_> {
        Octets((0..).map_while(|index| self.0.peer_certificate(index)).collect())
    }

    /// The certificates that the peer sent, in PEM, its own first; empty if it sent none.
    #[getter]
    fn peer_chain_pem(&self) -> String {
        self.0.peer_chain_pem()
    }

    /// The digest of the peer's certificate or public key: the algorithm, a colon and lower case hex.
    #[pyo3(signature = (of=Enum(FingerprintOf::Certificate), digest=ByName(Digest::Sha256)))]
    #[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
    fn peer_fingerprint(&self, of: Enum<FingerprintOf>, digest: ByName<Digest>) -> Option<String> {
        self.0.peer_fingerprint(of.0, digest.0)
    }

    /// The subject of the peer's certificate as in RFC 4514.
    #[getter]
    fn peer_subject(&self) -> Option<String> {
        self.0.peer_subject()
    }

    /// The issuer of the peer's certificate as in RFC 4514.
    #[getter]
    fn peer_issuer(&self) -> Option<String> {
        self.0.peer_issuer()
    }

    /// The common name of the peer's certificate, escaped: for logs, since names are compared with nothing of
    /// it.
    #[getter]
    fn peer_common_name(&self) -> Option<String> {
        self.0.peer_common_name()
    }

    /// The common name of the issuer, escaped.
    #[getter]
    fn peer_issuer_common_name(&self) -> Option<String> {
        self.0.peer_issuer_common_name()
    }

    /// The serial number of the peer's certificate, in lower case hex.
    #[getter]
    fn peer_serial(&self) -> Option<String> {
        self.0.peer_serial()
    }

    /// The names of the peer's certificate, escaped: "DNS:mx.example.com", "IP:192.0.2.1", "email:", "URI:".
    #[getter]
    fn peer_names(&self) -> Texts<'_> {
        self.0.peer_names().into()
    }

    /// When the peer's certificate begins to be good, in UTC.
    #[getter]
    fn peer_not_before(&self) -> Option<Moment> {
        self.0.peer_dates().map(|(begin, _)| Moment(begin))
    }

    /// When the peer's certificate ends, in UTC.
    #[getter]
    fn peer_not_after(&self) -> Option<Moment> {
        self.0.peer_dates().map(|(_, end)| Moment(end))
    }

    /// The kind of the peer's key: "RSA", "ECDSA", "ED25519".
    #[getter]
    fn peer_key_algorithm(&self) -> Option<&'static str> {
        self.0.peer_key_algorithm()
    }

    /// The size of the peer's key in bits.
    #[getter]
    fn peer_key_bits(&self) -> Option<usize> {
        self.0.peer_key_bits()
    }

    /// The tls-exporter channel binding (RFC 9266) for SASL SCRAM-*-PLUS. At TLS 1.2 there is none.
    #[getter]
    fn channel_binding<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.channel_binding().map(|binding| PyBytes::new(py, binding))
    }

    /// The tls-server-end-point channel binding (RFC 5929 section 4.1): a digest of the server's certificate.
    /// None where it is not defined: without one, and where its signature has no digest of its own, as with
    /// Ed25519.
    #[getter]
    fn server_end_point<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.server_end_point().map(|binding| PyBytes::new(py, &binding))
    }

    /// All of it as bytes, for from_bytes in another process. There is no secret in it.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    /// What to_bytes of another process gave. Whoever hands them over is believed. Raises ConfigError if they
    /// are no Info, or one of another version.
    #[staticmethod]
    #[pyo3(signature = (data, /))]
    #[allow(clippy::needless_pass_by_value)]
    fn from_bytes(data: Data) -> PyResult<Self> {
        let info = smtptls::Info::from_bytes(&data);
        info.map(|info| Info(Arc::new(info))).map_err(|error| raised(&error))
    }

    fn __repr__(&self) -> String {
        format!("<smtptls.Info {}>", self.0.summary())
    }

    /// For pickle and copy: its bytes, read again.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let from_bytes = slf.get_type().getattr(intern!(slf.py(), "from_bytes"))?;
        Ok((from_bytes, (slf.get().to_bytes(slf.py()),)))
    }
}
