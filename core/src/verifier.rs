//! The verifiers that rustls calls: they let every certificate through, and check that the peer has its key.
//!
//! First finish the handshake, then judge (`chain`): RFC 3207 section 4.1 asks for a polite QUIT, and the
//! levels `may` and `encrypt` must not fail for a certificate. What is never let through is a handshake that
//! is not signed with the key in the certificate.

use std::fmt;

use pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use rsa::sha2::{Digest, Sha256, Sha384, Sha512};
use rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use webpki::RawPublicKeyEntity;

use crate::x509::{SHORTEST_RSA, Skeleton, rsa_bits, rsa_numbers};

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

/// The key in the certificate, which can be had also of one that rustls' own verifier will not parse: of X.509 v1,
/// or with dates and extensions that make no sense.
pub(crate) fn public_key<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'a>, rustls::Error> {
    Skeleton::parse(certificate)
        .map(|skeleton| SubjectPublicKeyInfoDer::from(skeleton.public_key))
        .ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// Whether the provider finds this the signature of the message. In TLS 1.2 a scheme does not fix the curve, so each of its
/// algorithms is tried.
pub(crate) fn is_signed(
    public_key: &SubjectPublicKeyInfoDer<'_>,
    scheme: SignatureScheme,
    message: &[u8],
    signature: &[u8],
    known: &WebPkiSupportedAlgorithms,
) -> bool {
    let Ok(key) = RawPublicKeyEntity::try_from(public_key) else { return false };
    let algorithms = known.mapping.iter().find(|(one, _)| *one == scheme).map(|(_, algorithms)| *algorithms);
    let fits = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        key.verify_signature(*algorithm, message, signature).is_ok()
    };
    algorithms.unwrap_or_default().iter().any(fits)
}

/// The signature of an RSA key below 2048 bits, which the providers leave alone. It proves little (RFC 9325 section
/// 4.5), and no level that authenticates accepts such a key; but a handshake that is not signed with it is an
/// attacker's.
fn is_signed_with_short_key(
    key: &SubjectPublicKeyInfoDer<'_>,
    message: &[u8],
    signed: &DigitallySignedStruct,
) -> bool {
    let short = rsa_bits(key).is_some_and(|bits| (512..SHORTEST_RSA).contains(&bits));
    let Some((modulus, exponent)) = rsa_numbers(key).filter(|_| short) else { return false };
    let numbers = (BigUint::from_bytes_be(&modulus), BigUint::from_bytes_be(&exponent));
    let Ok(key) = RsaPublicKey::new(numbers.0, numbers.1) else { return false };
    let signature = signed.signature();
    match signed.scheme {
        SignatureScheme::RSA_PSS_SHA256 => {
            key.verify(Pss::new::<Sha256>(), &Sha256::digest(message), signature)
        }
        SignatureScheme::RSA_PSS_SHA384 => {
            key.verify(Pss::new::<Sha384>(), &Sha384::digest(message), signature)
        }
        SignatureScheme::RSA_PSS_SHA512 => {
            key.verify(Pss::new::<Sha512>(), &Sha512::digest(message), signature)
        }
        SignatureScheme::RSA_PKCS1_SHA256 => {
            key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signature)
        }
        SignatureScheme::RSA_PKCS1_SHA384 => {
            key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signature)
        }
        SignatureScheme::RSA_PKCS1_SHA512 => {
            key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signature)
        }
        _ => return false,
    }
    .is_ok()
}

/// What the provider says, unless it says no and the key is one that it never says yes to.
fn or_short(
    result: Result<HandshakeSignatureValid, rustls::Error>,
    key: &SubjectPublicKeyInfoDer<'_>,
    message: &[u8],
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    result.or_else(|error| match is_signed_with_short_key(key, message, signed) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(error),
    })
}

/// What a server that asks for certificates has.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    verifier: Verifier,
    /// The names of authorities that the client is told of.
    hints: Vec<DistinguishedName>,
}

impl ClientVerifier {
    pub fn new(algorithms: WebPkiSupportedAlgorithms, hints: Vec<DistinguishedName>) -> ClientVerifier {
        ClientVerifier { verifier: Verifier::new(algorithms), hints }
    }
}

impl ClientCertVerifier for ClientVerifier {
    /// A missing certificate is judged after the handshake as well.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(&self.verifier, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(&self.verifier, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
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
        let public_key = public_key(certificate)?;
        let good = is_signed(&public_key, signed.scheme, message, signed.signature(), &self.algorithms);
        let bad = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
        let result = good.then(HandshakeSignatureValid::assertion).ok_or(bad);
        or_short(result, &public_key, message, signed).inspect(|_| crate::observe::peer_scheme(signed.scheme))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let public_key = public_key(certificate)?;
        let result = verify_tls13_signature_with_raw_key(message, &public_key, signed, &self.algorithms);
        match signed.scheme {
            // RFC 8446 section 4.4.3: not in TLS 1.3.
            SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512 => result,
            _ => or_short(result, &public_key, message, signed),
        }
        .inspect(|_| crate::observe::peer_scheme(signed.scheme))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
