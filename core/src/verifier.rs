//! The verifier that rustls calls: it lets every certificate through, and checks that the peer has its key.
//!
//! First finish the handshake, then judge (`chain`): RFC 3207 section 4.1 asks for a polite QUIT, and the
//! levels `may` and `encrypt` must not fail for a certificate. What is never let through is a handshake that
//! is not signed with the key in the certificate; but that of an RSA key below 2048 bits no library here checks.
//! It proves little, is let through unchecked, and is told to the judge, who trusts no such peer.

use std::fmt;

use pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use webpki::RawPublicKeyEntity;
use x509_cert::der::Encode as _;

use crate::x509::Certificate;

/// One object for all sessions of a configuration: rustls resumes a session only under the same one.
pub(crate) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub fn new(algorithms: WebPkiSupportedAlgorithms) -> Verifier {
        Verifier { algorithms }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verifier")
    }
}

/// RFC 9325 section 4.5.
const SHORTEST: usize = 2048;

/// Lets a signature through that was not found good, if its key is too weak for that to mean anything.
fn or_weak(
    result: Result<HandshakeSignatureValid, rustls::Error>,
    certificate: &CertificateDer<'_>,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    result.or_else(|error| {
        let bits = Certificate::parse(certificate).and_then(|parsed| parsed.rsa_bits());
        match bits.filter(|bits| *bits < SHORTEST) {
            Some(bits) => {
                crate::observe::weak_key(bits);
                Ok(HandshakeSignatureValid::assertion())
            }
            None => Err(error),
        }
    })
}

/// The bare key, which can be had of certificates that rustls' own verifier will not parse (X.509 v1).
fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, rustls::Error> {
    let der = Certificate::parse(certificate).and_then(|parsed| parsed.public_key().to_der().ok());
    der.map(SubjectPublicKeyInfoDer::from)
        .ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let spki = public_key(certificate)?;
        let bad = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
        let Ok(key) = RawPublicKeyEntity::try_from(&spki) else { return Err(bad) };
        // In TLS 1.2 a scheme does not fix the curve, so each of its algorithms is tried.
        let algorithms = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let mut algorithms = algorithms.map(|(_, algorithms)| *algorithms).unwrap_or_default().iter();
        let good =
            algorithms.any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok());
        or_weak(good.then(HandshakeSignatureValid::assertion).ok_or(bad), certificate)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let spki = public_key(certificate)?;
        let result = verify_tls13_signature_with_raw_key(message, &spki, signed, &self.algorithms);
        or_weak(result, certificate)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
