//! The facts of an established TLS connection: a snapshot, read-only.

use std::ffi::CStr;

use crate::chain::Facts;
use crate::config::TlsVersion;
use crate::demand::Demand;
use crate::tls::Negotiated;
use crate::tlsa::Tlsa;
use crate::x509::Certificate;
use crate::{Digest, FingerprintOf, Level};

/// How the peer was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Auth {
    /// It was not.
    None = 0,
    /// By the fingerprint of its certificate or public key.
    Fingerprint = 1,
    /// By a TLSA record for its own certificate or key (DANE-EE).
    DaneEe = 2,
    /// By a TLSA record for its authority, and for an expected name (DANE-TA).
    DaneTa = 3,
    /// By a trusted authority, for an expected name.
    Pkix = 4,
}

impl Auth {
    /// Every way.
    pub const ALL: &'static [Auth] = &[Auth::None, Auth::Fingerprint, Auth::DaneEe, Auth::DaneTa, Auth::Pkix];

    /// The name: `dane-ta`.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The name for C.
    #[doc(hidden)]
    pub fn c_name(self) -> &'static CStr {
        match self {
            Auth::None => c"none",
            Auth::Fingerprint => c"fingerprint",
            Auth::DaneEe => c"dane-ee",
            Auth::DaneTa => c"dane-ta",
            Auth::Pkix => c"pkix",
        }
    }

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
    mx_insecure: bool,
}

impl Info {
    pub(crate) fn new(negotiated: Negotiated, facts: Facts, demand: &Demand) -> Info {
        Info { negotiated, facts, level: demand.level, mx_insecure: demand.mx_insecure }
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

    /// The level that was in force, which is not always the one that was asked for: see
    /// `Policy::effective_level`.
    pub fn level(&self) -> Level {
        self.level
    }

    /// How the peer was authenticated. At the levels `may` and `encrypt`, which ask for nothing, this is a fact
    /// for the log: an attacker could have done without.
    pub fn auth(&self) -> Auth {
        self.facts.auth()
    }

    /// Whether the policy demanded that the peer prove who it is, the peer did, and it is the server of the
    /// destination. Under DANE with insecure MX records it proved to be the host that an insecure answer named, and
    /// that is not enough for this (RFC 7672 section 2.2.1).
    pub fn secured(&self) -> bool {
        let insecure = self.level.is_dane() && self.mx_insecure;
        self.level.authenticates() && self.auth() != Auth::None && !insecure
    }

    /// Whether the peer sent a certificate.
    pub fn certificate_present(&self) -> bool {
        self.facts.present
    }

    /// Whether its certificate has a valid chain to a trust anchor, whatever name it is for; or whether a TLSA record
    /// or a fingerprint vouches for it, where these are in force.
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

    /// At which depth of the peer's chain the reason for that lies: 0 is its own certificate, 1 that of the
    /// authority that signed it, and so on. The one nearest to the peer's own counts.
    pub fn doubt_depth(&self) -> Option<usize> {
        let chain = self.facts.distrust.as_ref().map(|fault| fault.depth);
        chain.or(self.facts.mismatch.as_ref().map(|_| 0))
    }

    /// The TLSA record that vouches for the peer.
    pub fn matched_tlsa(&self) -> Option<&Tlsa> {
        self.facts.matched_tlsa.as_ref().map(|(record, _)| record)
    }

    /// At which depth of the peer's chain that record holds: 0 is its own certificate. Where the authority's
    /// certificate is not in the chain, the depth that it would have.
    pub fn tlsa_depth(&self) -> Option<usize> {
        self.facts.matched_tlsa.as_ref().map(|(_, depth)| *depth)
    }

    /// The fingerprint that vouches for the peer: `sha256:` and lower case hex.
    pub fn matched_fingerprint(&self) -> Option<&str> {
        self.facts.matched_fingerprint.as_deref()
    }

    /// The DER of a certificate that the peer sent, the peer's own at index 0.
    pub fn peer_certificate(&self, index: usize) -> Option<&[u8]> {
        self.negotiated.chain.get(index).map(AsRef::as_ref)
    }

    /// The digest of the peer's certificate or public key: the algorithm, a colon and lower case hex.
    pub fn peer_fingerprint(&self, of: FingerprintOf, digest: Digest) -> Option<String> {
        of.fingerprint(digest, self.peer_certificate(0)?)
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
