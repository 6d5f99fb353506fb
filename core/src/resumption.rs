//! Sessions that a client keeps, to resume them: by the server's name and by SNI, a bounded number of them, in
//! memory.
//!
//! rustls knows a connection by the name in SNI alone, which may be the same for several servers, or missing. So
//! its own store is asked by another name, made of both.

use std::sync::Arc;

use pki_types::ServerName;
use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};

use crate::fingerprint::{Digest, hex};
use crate::observe::server as asking;

/// The sessions of a configuration.
#[derive(Debug)]
pub(crate) struct Sessions {
    store: ClientSessionMemoryCache,
}

impl Sessions {
    /// Room for sessions with this many servers, up to 65,536.
    pub fn new(servers: usize) -> Sessions {
        // rustls counts eight tickets for each server.
        Sessions { store: ClientSessionMemoryCache::new(servers.min(65_536) * 8) }
    }

    /// Forgets what is kept for a server: its certificate was refused, and it may have a better one by now.
    pub fn forget(&self, server: &ServerName<'static>) {
        self.store.remove_tls12_session(server);
        while self.store.take_tls13_ticket(server).is_some() {}
    }
}

/// For whom sessions are kept: a name that says which host by which SNI, in the form of a name.
pub(crate) fn server(host: &str, sni: Option<&ServerName<'_>>) -> ServerName<'static> {
    let sni = sni.map(|name| name.to_str().to_ascii_lowercase()).unwrap_or_default();
    let key = format!("{}\n{sni}", host.to_ascii_lowercase());
    let mut digest = hex(&Digest::Sha256.of(key.as_bytes()));
    // A label has no more than 63 octets.
    digest.truncate(60);
    ServerName::try_from(digest).unwrap_or_else(|_| crate::name::nobody())
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _sni: ServerName<'static>, group: NamedGroup) {
        if let Some(server) = asking() {
            self.store.set_kx_hint(server, group);
        }
    }

    fn kx_hint(&self, _sni: &ServerName<'_>) -> Option<NamedGroup> {
        self.store.kx_hint(&asking()?)
    }

    fn set_tls12_session(&self, _sni: ServerName<'static>, value: Tls12ClientSessionValue) {
        if let Some(server) = asking() {
            self.store.set_tls12_session(server, value);
        }
    }

    fn tls12_session(&self, _sni: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.store.tls12_session(&asking()?)
    }

    fn remove_tls12_session(&self, _sni: &ServerName<'static>) {
        if let Some(server) = asking() {
            self.store.remove_tls12_session(&server);
        }
    }

    fn insert_tls13_ticket(&self, _sni: ServerName<'static>, value: Tls13ClientSessionValue) {
        if let Some(server) = asking() {
            self.store.insert_tls13_ticket(server, value);
        }
    }

    fn take_tls13_ticket(&self, _sni: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.store.take_tls13_ticket(&asking()?)
    }
}

/// As rustls wants it.
pub(crate) fn resumption(sessions: Option<&Arc<Sessions>>) -> rustls::client::Resumption {
    match sessions {
        Some(sessions) => rustls::client::Resumption::store(sessions.clone()),
        None => rustls::client::Resumption::disabled(),
    }
}
