//! The facts of an established TLS connection: a snapshot, read-only.

use crate::chain::Facts;
use crate::config::TlsVersion;
use crate::fingerprint::fingerprint;
use crate::tls::Negotiated;
use crate::x509::Certificate;
use crate::{FingerprintOf, Level};

/// How the peer was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Auth {
    /// It was not.
    None = 0,
    /// By a trusted authority, for an expected name.
    Pkix = 4,
}

impl Auth {
    /// Every way.
    pub const ALL: &'static [Auth] = &[Auth::None, Auth::Pkix];

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// The facts of an established TLS connection.
pub struct Info {
    negotiated: Negotiated,
    facts: Facts,
    level: Level,
}

impl Info {
    pub(crate) fn new(negotiated: Negotiated, facts: Facts, level: Level) -> Info {
        Info { negotiated, facts, level }
    }

    /// One line for logs and Received headers, such as `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits)
    /// key-exchange X25519MLKEM768`.
    pub fn summary(&self) -> String {
        let mut text =
            format!("{} with cipher {} ({} bits)", self.version(), self.cipher(), self.cipher_bits());
        if let Some(group) = self.group() {
            text.push_str(" key-exchange ");
            text.push_str(group);
        }
        text
    }

    /// The protocol version, `TLSv1.2` or `TLSv1.3`.
    pub fn version(&self) -> &'static str {
        match self.negotiated.version {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
        }
    }

    /// The cipher suite by its IANA name.
    pub fn cipher(&self) -> &str {
        &self.negotiated.cipher
    }

    /// The strength of the cipher in bits.
    pub fn cipher_bits(&self) -> u32 {
        self.negotiated.cipher_bits
    }

    /// The key exchange group by its IANA name. Nothing where a resumed session of TLS 1.2 had none.
    pub fn group(&self) -> Option<&str> {
        self.negotiated.group.as_deref()
    }

    /// The server name (SNI) that the client sent. A client knows what it asked for; this is the server's view.
    pub fn server_name(&self) -> Option<&str> {
        self.negotiated.server_name.as_deref()
    }

    /// Whether an earlier TLS session was resumed.
    pub fn resumed(&self) -> bool {
        self.negotiated.resumed
    }

    /// The level that was in force.
    pub fn level(&self) -> Level {
        self.level
    }

    /// How the peer was authenticated: by PKIX if it is trusted and its name matched.
    pub fn auth(&self) -> Auth {
        match self.trusted() && self.name_matched() {
            true => Auth::Pkix,
            false => Auth::None,
        }
    }

    /// Whether the peer sent a certificate.
    pub fn certificate_present(&self) -> bool {
        self.facts.present
    }

    /// Whether its certificate has a valid chain to a trust anchor, whatever name it is for.
    pub fn trusted(&self) -> bool {
        self.facts.trusted()
    }

    /// Whether its certificate is for an expected name, whoever signed it.
    pub fn name_matched(&self) -> bool {
        self.facts.matched_name.is_some()
    }

    /// The expected name that the certificate is for.
    pub fn matched_name(&self) -> Option<&str> {
        self.facts.matched_name.as_deref()
    }

    /// Why the peer is not authenticated, in one line; nothing if it is. At the levels `may` and `encrypt`
    /// this is no error.
    pub fn doubt(&self) -> Option<&str> {
        self.facts.failure().map(|failure| failure.message.as_str())
    }

    /// The DER of a certificate that the peer sent, the peer's own at index 0.
    pub fn peer_certificate(&self, index: usize) -> Option<&[u8]> {
        self.negotiated.chain.get(index).map(AsRef::as_ref)
    }

    /// The digest of the peer's certificate or public key: `sha256:` and lower case hex.
    pub fn peer_fingerprint(&self, of: FingerprintOf) -> Option<String> {
        use x509_cert::der::Encode as _;
        let der = self.peer_certificate(0)?;
        match of {
            FingerprintOf::Certificate => Some(fingerprint(der)),
            FingerprintOf::PublicKey => {
                Some(fingerprint(&Certificate::parse(der)?.public_key().to_der().ok()?))
            }
        }
    }

    /// The subject of the peer's certificate as in RFC 4514.
    pub fn peer_subject(&self) -> Option<String> {
        Some(Certificate::parse(self.peer_certificate(0)?)?.subject())
    }

    /// The issuer of the peer's certificate as in RFC 4514.
    pub fn peer_issuer(&self) -> Option<String> {
        Some(Certificate::parse(self.peer_certificate(0)?)?.issuer())
    }

    /// The `tls-exporter` channel binding (RFC 9266) for SASL SCRAM-*-PLUS. At TLS 1.2 there is none.
    pub fn channel_binding(&self) -> Option<&[u8; 32]> {
        self.negotiated.channel_binding.as_ref()
    }

    /// The clause for a Received header (RFC 8314 section 4.3): `tls TLS_AES_256_GCM_SHA384 group x25519`.
    pub fn received_clause(&self) -> String {
        match self.group() {
            Some(group) => format!("tls {} group {group}", self.cipher()),
            None => format!("tls {}", self.cipher()),
        }
    }
}
