//! The facts of an established TLS connection: a snapshot, read-only, of plain values.

mod bytes;
mod peer;

use std::ffi::CStr;

use crate::chain::Facts;
use crate::config::TlsVersion;
use crate::demand::Demand;
use crate::suites::{self, Group, Suite};
use crate::tls::Negotiated;
use crate::tlsa::Tlsa;
use crate::x509::{Key, Skeleton};
use crate::{Level, Role};

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

/// The facts of an established TLS connection. Plain values, which can be carried to another process: `to_bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    role: Role,
    version: TlsVersion,
    suite: u16,
    group: Option<u16>,
    server_name: Option<String>,
    alpn: Option<Vec<u8>>,
    resumed: bool,
    /// The peer's certificates, its own first.
    chain: Vec<Vec<u8>>,
    /// Our own certificate, if we have shown one.
    own: Option<Vec<u8>>,
    /// The scheme of the server's signature, and of the client's. Nothing of a resumed session.
    server_scheme: Option<u16>,
    client_scheme: Option<u16>,
    exporter: Option<[u8; 32]>,
    level: Level,
    auth: Auth,
    mx_insecure: bool,
    trusted: bool,
    matched_name: Option<String>,
    matched_tlsa: Option<(Tlsa, usize)>,
    matched_fingerprint: Option<String>,
    doubt: Option<(String, usize)>,
}

impl Info {
    pub(crate) fn new(role: Role, negotiated: Negotiated, facts: &Facts, demand: &Demand) -> Info {
        let (server_scheme, client_scheme) = match role {
            Role::Client => (negotiated.peer_scheme, negotiated.own_scheme),
            Role::Server => (negotiated.own_scheme, negotiated.peer_scheme),
        };
        let chain = facts.distrust.as_ref().map(|fault| (fault.failure.message.clone(), fault.depth));
        let doubt = chain.or(facts.mismatch.as_ref().map(|failure| (failure.message.clone(), 0)));
        Info {
            role,
            version: negotiated.version,
            suite: negotiated.suite,
            group: negotiated.group,
            server_name: negotiated.server_name,
            alpn: negotiated.alpn,
            resumed: negotiated.resumed,
            chain: negotiated.chain.iter().map(|certificate| certificate.to_vec()).collect(),
            own: negotiated.own.map(|certificate| certificate.to_vec()),
            server_scheme,
            client_scheme,
            exporter: negotiated.exporter,
            level: demand.level,
            auth: facts.auth(),
            mx_insecure: demand.mx_insecure,
            trusted: facts.trusted(),
            matched_name: facts.matched_name.clone(),
            matched_tlsa: facts.matched_tlsa.clone(),
            matched_fingerprint: facts.matched_fingerprint.clone(),
            doubt,
        }
    }

    /// What Postfix logs of a connection and writes into Received, word for word: `TLSv1.3 with cipher
    /// TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA (prime256v1) server-digest
    /// SHA256`.
    pub fn summary(&self) -> String {
        let (version, bits) = (self.version(), self.cipher_bits());
        let mut text = format!("{version} with cipher {} ({bits}/{bits} bits)", self.cipher_openssl());
        // Below TLS 1.3 the name of the cipher says the rest.
        if self.version != TlsVersion::Tls13 {
            return text;
        }
        match self.group_row().map(|group| group.openssl.to_str().unwrap_or_default()) {
            None => {}
            Some(curve @ ("prime256v1" | "secp384r1")) => {
                text.push_str(&format!(" key-exchange ECDHE ({curve})"))
            }
            Some(group) => text.push_str(&format!(" key-exchange {group}")),
        }
        for (whose, scheme, key) in [
            ("server", self.server_scheme, self.key_of(Role::Server)),
            ("client", self.client_scheme, self.key_of(Role::Client)),
        ] {
            let Some(scheme) = scheme.and_then(suites::scheme) else { continue };
            text.push_str(&format!(" {whose}-signature {}", scheme.algorithm()));
            match key {
                Some(Key { curve: Some(curve), .. }) => text.push_str(&format!(" ({curve})")),
                Some(Key { bits, algorithm: "RSA", .. }) => text.push_str(&format!(" ({bits} bits)")),
                _ => {}
            }
            if let Some(digest) = scheme.digest() {
                text.push_str(&format!(" {whose}-digest {digest}"));
            }
        }
        text
    }

    /// What Exim has in `$tls_in_cipher`: `TLS1.3:TLS_AES_256_GCM_SHA384:256`.
    pub fn exim_cipher(&self) -> String {
        format!("{}:{}:{}", self.version().replace('v', ""), self.cipher_openssl(), self.cipher_bits())
    }

    /// The clause for a Received header (RFC 8314 section 4.3): `tls TLS_AES_256_GCM_SHA384 group x25519`.
    pub fn received_clause(&self) -> String {
        match self.group() {
            Some(group) => format!("tls {} group {group}", self.cipher()),
            None => format!("tls {}", self.cipher()),
        }
    }

    /// On a server, for a comment of a Received header (RFC 3207 section 4.1), what Postfix writes of the client's
    /// certificate: `Client CN "mail.example.org", Issuer "Example CA" (verified OK)`, or `(not verified)`. What the
    /// client chose cannot end the comment. Nothing of a server, and without a certificate.
    pub fn received_client(&self) -> Option<String> {
        if self.role == Role::Client || !self.certificate_present() {
            return None;
        }
        // RFC 5322 section 3.2.2: a quoted pair for what means something in a comment. Backslashes are doubled already.
        let quoted = |name: Option<String>| {
            let name = name.unwrap_or_default();
            name.replace('(', "\\(").replace(')', "\\)").replace('"', "\\\"")
        };
        let verified = if self.trusted() { "verified OK" } else { "not verified" };
        let (name, issuer) = (quoted(self.peer_common_name()), quoted(self.peer_issuer_common_name()));
        Some(format!("Client CN \"{name}\", Issuer \"{issuer}\" ({verified})"))
    }

    /// The protocol version, `TLSv1.2` or `TLSv1.3`.
    pub fn version(&self) -> &'static str {
        match self.version {
            TlsVersion::Tls12 => "TLSv1.2",
            TlsVersion::Tls13 => "TLSv1.3",
        }
    }

    fn suite_row(&self) -> Option<&'static Suite> {
        suites::suite(self.suite)
    }

    fn group_row(&self) -> Option<&'static Group> {
        self.group.and_then(suites::group)
    }

    /// The cipher suite by its IANA name.
    pub fn cipher(&self) -> &'static str {
        self.suite_row().map_or("unknown", |suite| suite.iana.to_str().unwrap_or_default())
    }

    /// The cipher suite by OpenSSL's name; the same in TLS 1.3.
    pub fn cipher_openssl(&self) -> &'static str {
        self.suite_row().map_or("unknown", |suite| suite.openssl.to_str().unwrap_or_default())
    }

    /// The strength of the cipher in bits.
    pub fn cipher_bits(&self) -> u32 {
        self.suite_row().map_or(0, |suite| suite.bits)
    }

    /// The key exchange group by its IANA name. Nothing where a resumed session of TLS 1.2 had none.
    pub fn group(&self) -> Option<&'static str> {
        self.group_row().and_then(|group| group.iana.to_str().ok())
    }

    /// The algorithm of the server's signature in the handshake, as OpenSSL names it: `RSA-PSS`, `ECDSA`. Nothing of a
    /// resumed session.
    pub fn server_signature(&self) -> Option<&'static str> {
        self.server_scheme.and_then(suites::scheme).map(suites::Scheme::algorithm)
    }

    /// The digest of that signature: `SHA256`. Nothing where it is part of the algorithm.
    pub fn server_digest(&self) -> Option<&'static str> {
        self.server_scheme.and_then(suites::scheme)?.digest()
    }

    /// The algorithm of the client's signature; nothing if it showed no certificate.
    pub fn client_signature(&self) -> Option<&'static str> {
        self.client_scheme.and_then(suites::scheme).map(suites::Scheme::algorithm)
    }

    /// The digest of that signature.
    pub fn client_digest(&self) -> Option<&'static str> {
        self.client_scheme.and_then(suites::scheme)?.digest()
    }

    /// The key in the certificate of this side.
    fn key_of(&self, role: Role) -> Option<Key> {
        let certificate = if role == self.role { self.own.as_deref() } else { self.peer_certificate(0) };
        Key::of(Skeleton::parse(certificate?)?.public_key)
    }

    /// The server name (SNI) that the client sent. A client knows what it asked for; this is the server's view.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The application protocol (RFC 7301) that was agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// Whether an earlier TLS session was resumed.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Which side this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The level that was in force, which is not always the one that was asked for: see
    /// `Policy::effective_level`.
    pub fn level(&self) -> Level {
        self.level
    }

    /// How the peer was authenticated. At the levels `may` and `encrypt`, which ask for nothing, this is a fact
    /// for the log: an attacker could have done without.
    pub fn auth(&self) -> Auth {
        self.auth
    }

    /// Whether the policy demanded that the peer prove who it is, the peer did, and it is the server of the
    /// destination. Under DANE with insecure MX records it proved to be the host that an insecure answer named, and
    /// that is not enough for this (RFC 7672 section 2.2.1).
    pub fn secured(&self) -> bool {
        let insecure = self.level.is_dane() && self.mx_insecure
            // Whose name was not asked for has not proved whose server it is.
            || self.role == Role::Client && self.auth == Auth::Pkix && !self.name_matched();
        self.level.authenticates() && self.auth != Auth::None && !insecure
    }

    /// Whether the peer sent a certificate.
    pub fn certificate_present(&self) -> bool {
        !self.chain.is_empty()
    }

    /// Whether its certificate has a valid chain to a trust anchor, whatever name it is for; or whether a TLSA record
    /// or a fingerprint vouches for it, where these are in force.
    pub fn trusted(&self) -> bool {
        self.trusted
    }

    /// Whether its certificate is for an expected name, whoever signed it.
    pub fn name_matched(&self) -> bool {
        self.matched_name.is_some()
    }

    /// The expected name that the certificate is for.
    pub fn matched_name(&self) -> Option<&str> {
        self.matched_name.as_deref()
    }

    /// Why the peer is not authenticated, in one line; nothing if it is. At the levels `may` and `encrypt`
    /// this is no error.
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_ref().map(|(doubt, _)| doubt.as_str())
    }

    /// At which depth of the peer's chain the reason for that lies: 0 is its own certificate, 1 that of the
    /// authority that signed it, and so on. The one nearest to the peer's own counts.
    pub fn doubt_depth(&self) -> Option<usize> {
        self.doubt.as_ref().map(|(_, depth)| *depth)
    }

    /// The TLSA record that vouches for the peer.
    pub fn matched_tlsa(&self) -> Option<&Tlsa> {
        self.matched_tlsa.as_ref().map(|(record, _)| record)
    }

    /// At which depth of the peer's chain that record holds: 0 is its own certificate. Where the authority's
    /// certificate is not in the chain, the depth that it would have.
    pub fn tlsa_depth(&self) -> Option<usize> {
        self.matched_tlsa.as_ref().map(|(_, depth)| *depth)
    }

    /// The fingerprint that vouches for the peer: `sha256:` and lower case hex.
    pub fn matched_fingerprint(&self) -> Option<&str> {
        self.matched_fingerprint.as_deref()
    }

    /// The `tls-exporter` channel binding (RFC 9266) for SASL SCRAM-*-PLUS. At TLS 1.2 there is none: it is defined
    /// only with an extended master secret, and rustls does not tell of one.
    pub fn channel_binding(&self) -> Option<&[u8; 32]> {
        self.exporter.as_ref()
    }

    /// The `tls-server-end-point` channel binding (RFC 5929 section 4.1): a digest of the server's certificate. Nothing
    /// where it is not defined: without one, and where its signature has no digest of its own, as with Ed25519.
    pub fn server_end_point(&self) -> Option<Vec<u8>> {
        let certificate = match self.role {
            Role::Client => self.peer_certificate(0),
            Role::Server => self.own.as_deref(),
        }?;
        let digest = crate::x509::Certificate::parse(certificate)?.signature_digest()?;
        Some(digest.of(certificate))
    }
}
