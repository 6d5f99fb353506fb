//! What the peer's certificate says, for people and for tables.

use x509_cert::der::pem;

use super::Info;
use crate::error::escape;
use crate::fingerprint::hex;
use crate::x509::{Certificate, Key, Skeleton};
use crate::{Digest, FingerprintOf};

impl Info {
    /// The DER of a certificate that the peer sent, the peer's own at index 0.
    pub fn peer_certificate(&self, index: usize) -> Option<&[u8]> {
        self.chain.get(index).map(Vec::as_slice)
    }

    /// The certificates that the peer sent, in PEM, its own first; empty if it sent none.
    pub fn peer_chain_pem(&self) -> String {
        let pem =
            |der: &Vec<u8>| pem::encode_string("CERTIFICATE", pem::LineEnding::LF, der).unwrap_or_default();
        self.chain.iter().map(pem).collect()
    }

    fn peer(&self) -> Option<Certificate> {
        Certificate::parse(self.peer_certificate(0)?)
    }

    /// The digest of the peer's certificate or public key: the algorithm, a colon and lower case hex.
    pub fn peer_fingerprint(&self, of: FingerprintOf, digest: Digest) -> Option<String> {
        of.fingerprint(digest, self.peer_certificate(0)?)
    }

    /// The subject of the peer's certificate as in RFC 4514.
    pub fn peer_subject(&self) -> Option<String> {
        Some(self.peer()?.subject())
    }

    /// The issuer of the peer's certificate as in RFC 4514.
    pub fn peer_issuer(&self) -> Option<String> {
        Some(self.peer()?.issuer())
    }

    /// The common name of the peer's certificate, escaped: for logs, since names are compared with nothing of it.
    pub fn peer_common_name(&self) -> Option<String> {
        self.peer()?.common_name().map(|name| escape(name.as_bytes()))
    }

    /// The common name of the issuer, escaped.
    pub fn peer_issuer_common_name(&self) -> Option<String> {
        self.peer()?.issuer_common_name().map(|name| escape(name.as_bytes()))
    }

    /// The serial number of the peer's certificate, in lower case hex.
    pub fn peer_serial(&self) -> Option<String> {
        let serial = Skeleton::parse(self.peer_certificate(0)?)?.serial;
        Some(hex(crate::x509::contents(serial)?))
    }

    /// The names of the peer's certificate, escaped: `DNS:mx.example.com`, `IP:192.0.2.1`, `email:`, `URI:`.
    pub fn peer_names(&self) -> Vec<String> {
        self.peer().map(|peer| peer.alt_names()).unwrap_or_default()
    }

    /// When the peer's certificate begins and ends, in seconds since 1970.
    pub fn peer_dates(&self) -> Option<(u64, u64)> {
        Some(self.peer()?.dates())
    }

    fn peer_key(&self) -> Option<Key> {
        Key::of(Skeleton::parse(self.peer_certificate(0)?)?.public_key)
    }

    /// The kind of the peer's key: `RSA`, `ECDSA`, `ED25519`.
    pub fn peer_key_algorithm(&self) -> Option<&'static str> {
        self.peer_key().map(|key| key.algorithm)
    }

    /// The size of the peer's key in bits.
    pub fn peer_key_bits(&self) -> Option<usize> {
        self.peer_key().map(|key| key.bits)
    }
}
