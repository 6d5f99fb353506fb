//! Which key pair a handshake uses: by the name that the client asks for, then by what it can verify. The pairs can
//! be exchanged while sessions run.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::keypair::{KeyPair, Source};

/// The key pairs of a configuration, as they are now.
#[derive(Debug)]
pub(crate) struct Resolver {
    pairs: ArcSwap<Pairs>,
    /// Refuse clients that offer more than one application protocol.
    strict_alpn: bool,
}

/// Key pairs, with an index by name.
#[derive(Debug)]
struct Pairs {
    sources: Vec<Source>,
    pairs: Vec<KeyPair>,
    /// Names, wildcards (`*.example.com`) and domains (`.example.com`).
    by_name: HashMap<String, Vec<usize>>,
}

impl Resolver {
    pub fn new(sources: Vec<Source>, pairs: Vec<KeyPair>, strict_alpn: bool) -> Resolver {
        Resolver { pairs: ArcSwap::from_pointee(Pairs::new(sources, pairs)), strict_alpn }
    }

    /// The pairs for sessions that begin from now on.
    pub fn replace(&self, sources: Vec<Source>, pairs: Vec<KeyPair>) {
        self.pairs.store(Arc::new(Pairs::new(sources, pairs)));
    }

    pub fn sources(&self) -> Vec<Source> {
        self.pairs.load().sources.clone()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.load().pairs.is_empty()
    }
}

impl Pairs {
    fn new(sources: Vec<Source>, pairs: Vec<KeyPair>) -> Pairs {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (n, pair) in pairs.iter().enumerate() {
            for name in &pair.names {
                by_name.entry(name.clone()).or_default().push(n);
            }
        }
        Pairs { sources, pairs, by_name }
    }

    /// The pairs for a name: those for itself, then for its wildcard, then for the domains above it, nearest first.
    fn named(&self, name: &str) -> impl Iterator<Item = &KeyPair> {
        let name = name.to_ascii_lowercase();
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        let domains = name.match_indices('.').map(|(dot, _)| name[dot..].to_string());
        let keys: Vec<_> = [Some(name.clone()), wildcard].into_iter().flatten().chain(domains).collect();
        let found = keys.into_iter().filter_map(|key| self.by_name.get(&key)).flatten();
        found.filter_map(|n| self.pairs.get(*n))
    }

    fn choose<'a>(
        mut pairs: impl Iterator<Item = &'a KeyPair>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let fits = |pair: &&KeyPair| pair.certified.key.choose_scheme(schemes).is_some();
        pairs.find(fits).map(|pair| pair.certified.clone())
    }
}

impl ResolvesServerCert for Resolver {
    /// An unknown name, or none, gets the first key pair: SMTP never fails for SNI (RFC 7672 section 8.1,
    /// RFC 8461 section 7.1).
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // As Exim: somebody who offers several protocols may be here by mistake, or by another's doing.
        if self.strict_alpn && hello.alpn().is_some_and(|offered| offered.count() != 1) {
            return None;
        }
        let pairs = self.pairs.load();
        let schemes = hello.signature_schemes();
        let name = hello.server_name().inspect(|name| crate::observe::server_name(name));
        name.and_then(|name| Pairs::choose(pairs.named(name), schemes))
            .or_else(|| Pairs::choose(pairs.pairs.iter(), schemes))
            // None fits: rustls finds that out too, and says handshake_failure (RFC 8446 section 4.1.1), where it says
            // access_denied to having no certificate at all.
            .or_else(|| pairs.pairs.first().map(|pair| pair.certified.clone()))
            .inspect(crate::observe::own)
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Pairs::choose(self.pairs.load().pairs.iter(), schemes).inspect(crate::observe::own)
    }

    fn has_certs(&self) -> bool {
        !self.is_empty()
    }
}
