//! rustls' errors in words, with what is probably behind them.

use crate::Code;
use crate::error::Failure;

pub(crate) fn failure(error: &rustls::Error, handshaking: bool) -> Failure {
    match error {
        rustls::Error::AlertReceived(alert) => {
            let number = u8::from(*alert);
            let name = alert.as_str().unwrap_or("unknown");
            let hint = hint(error).unwrap_or_default();
            let message = format!("the peer sent the TLS alert {name} ({number}){hint}");
            Failure { alert: Some(number), ..Failure::new(Code::Alert, message) }
        }
        error => {
            let code = if handshaking { Code::Handshake } else { Code::Tls };
            let what = if handshaking { "the TLS handshake failed" } else { "TLS broke" };
            let text = crate::error::escape(error.to_string().as_bytes());
            let hint = hint(error).unwrap_or_default();
            Failure::new(code, format!("{what}: {text}{hint}"))
        }
    }
}

/// What this library will not do, where the peer can do nothing else. RFC 9325 section 5.2 exempts opportunistic
/// TLS, but rustls has none of it; so the reason is said, and the policy decides about plaintext.
const OLD_VERSION: &str = "; the peer probably has only versions of TLS older than 1.2, which RFC 8996 ended";
const OLD_CIPHER: &str = "; the peer probably has no cipher suite, group or key in common with this library, which has AES-GCM \
    and ChaCha20-Poly1305 with ECDHE, and neither RSA key exchange, finite field DHE nor CBC";

fn hint(error: &rustls::Error) -> Option<&'static str> {
    use rustls::{AlertDescription as Alert, Error, PeerIncompatible as Peer, PeerMisbehaved};
    match error {
        Error::AlertReceived(Alert::ProtocolVersion)
        | Error::PeerIncompatible(
            Peer::ServerDoesNotSupportTls12Or13
            | Peer::ServerTlsVersionIsDisabledByOurConfig
            | Peer::Tls12NotOfferedOrEnabled
            | Peer::SupportedVersionsExtensionRequired,
        ) => Some(OLD_VERSION),
        Error::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity)
        | Error::PeerIncompatible(
            Peer::NoCipherSuitesInCommon
            | Peer::NoKxGroupsInCommon
            | Peer::NoSignatureSchemesInCommon
            | Peer::NoEcPointFormatsInCommon
            | Peer::NoCertificateRequestSignatureSchemesInCommon
            | Peer::EcPointsExtensionRequired
            | Peer::NamedGroupsExtensionRequired,
        )
        | Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite) => Some(OLD_CIPHER),
        _ => None,
    }
}
