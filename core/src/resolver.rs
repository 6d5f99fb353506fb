//! Which key pair a handshake uses: by the name that the client asks for, then by what it can verify.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::keypair::KeyPair;

/// The key pairs of a configuration, with an index by name.
#[derive(Debug)]
pub(crate) struct Resolver {
    pairs: Vec<Arc<CertifiedKey>>,
    /// Names and wildcards (`*.example.com`) as they stand in the certificates.
    by_name: HashMap<String, Vec<usize>>,
}

impl Resolver {
    pub fn new(pairs: &[KeyPair]) -> Resolver {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (n, pair) in pairs.iter().enumerate() {
            for name in &pair.names {
                by_name.entry(name.clone()).or_default().push(n);
            }
        }
        Resolver { pairs: pairs.iter().map(|pair| pair.certified.clone()).collect(), by_name }
    }

    /// The pairs for a name: the exact ones, then those for its wildcard.
    fn named(&self, name: &str) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        let exact = self.by_name.get(&name).into_iter().flatten();
        let wild = wildcard.and_then(|name| self.by_name.get(&name)).into_iter().flatten();
        exact.chain(wild).filter_map(|n| self.pairs.get(*n))
    }

    fn choose<'a>(
        mut pairs: impl Iterator<Item = &'a Arc<CertifiedKey>>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        pairs.find(|pair| pair.key.choose_scheme(schemes).is_some()).cloned()
    }
}

impl ResolvesServerCert for Resolver {
    /// An unknown name, or none, gets the first key pair: SMTP never fails for SNI (RFC 7672 section 8.1,
    /// RFC 8461 section 7.1).
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let name = hello.server_name().inspect(|name| crate::observe::server_name(name));
        name.and_then(|name| Self::choose(self.named(name), schemes))
            .or_else(|| Self::choose(self.pairs.iter(), schemes))
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Self::choose(self.pairs.iter(), schemes)
    }

    fn has_certs(&self) -> bool {
        !self.pairs.is_empty()
    }
}
