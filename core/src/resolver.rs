//! Which key pair a handshake uses: by the name that the client asks for, then by what it can verify. The pairs can
//! be exchanged while sessions run.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::keypair::KeyPair;

/// The key pairs of a configuration, as they are now.
#[derive(Debug)]
pub(crate) struct Resolver(ArcSwap<Pairs>);

/// Key pairs, with an index by name.
#[derive(Debug)]
struct Pairs {
    pairs: Vec<KeyPair>,
    /// Names and wildcards (`*.example.com`) as they stand in the certificates.
    by_name: HashMap<String, Vec<usize>>,
}

impl Resolver {
    pub fn new(pairs: Vec<KeyPair>) -> Resolver {
        Resolver(ArcSwap::from_pointee(Pairs::new(pairs)))
    }

    /// The pairs for sessions that begin from now on.
    pub fn replace(&self, pairs: Vec<KeyPair>) {
        self.0.store(Arc::new(Pairs::new(pairs)));
    }

    pub fn pairs(&self) -> Vec<KeyPair> {
        self.0.load().pairs.clone()
    }

    pub fn is_empty(&self) -> bool {
        self.0.load().pairs.is_empty()
    }
}

impl Pairs {
    fn new(pairs: Vec<KeyPair>) -> Pairs {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (n, pair) in pairs.iter().enumerate() {
            for name in &pair.names {
                by_name.entry(name.clone()).or_default().push(n);
            }
        }
        Pairs { pairs, by_name }
    }

    /// The pairs for a name: the exact ones, then those for its wildcard.
    fn named(&self, name: &str) -> impl Iterator<Item = &KeyPair> {
        let name = name.to_ascii_lowercase();
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        let exact = self.by_name.get(&name).into_iter().flatten();
        let wild = wildcard.and_then(|name| self.by_name.get(&name)).into_iter().flatten();
        exact.chain(wild).filter_map(|n| self.pairs.get(*n))
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
        let pairs = self.0.load();
        let schemes = hello.signature_schemes();
        let name = hello.server_name().inspect(|name| crate::observe::server_name(name));
        name.and_then(|name| Pairs::choose(pairs.named(name), schemes))
            .or_else(|| Pairs::choose(pairs.pairs.iter(), schemes))
            .inspect(crate::observe::own)
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Pairs::choose(self.0.load().pairs.iter(), schemes).inspect(crate::observe::own)
    }

    fn has_certs(&self) -> bool {
        !self.is_empty()
    }
}
