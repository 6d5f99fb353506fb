//! What rustls is given of a configuration.

use std::sync::Arc;

use pki_types::TrustAnchor;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, DistinguishedName, ServerConfig, SupportedProtocolVersion};

use super::{ClientAuth, ConfigBuilder, TlsVersion};
use crate::clock::WallClock;
use crate::observe::ExporterSecret;
use crate::provider::client_groups;
use crate::resolver::Resolver;
use crate::resumption::{Sessions, resumption};
use crate::signing::taped;
use crate::ticket::Tickets;
use crate::verifier::{ClientVerifier, Verifier};
use crate::{Code, Error};

impl ConfigBuilder {
    fn versions(&self) -> Result<&'static [&'static SupportedProtocolVersion], Error> {
        use TlsVersion::{Tls12, Tls13};
        const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
        match (self.min_version, self.max_version) {
            (Tls12, Tls13) => Ok(BOTH),
            (Tls12, Tls12) => Ok(&BOTH[1..]),
            (Tls13, Tls13) => Ok(&BOTH[..1]),
            (Tls13, Tls12) => {
                Err(Error::local(Code::Argument, "the oldest version of TLS is newer than the newest"))
            }
        }
    }

    /// The provider with the suites and groups that were chosen, or with these groups.
    fn chosen(&self, groups: Vec<&'static dyn SupportedKxGroup>) -> Arc<CryptoProvider> {
        let mut provider = CryptoProvider::clone(&self.provider);
        provider.cipher_suites = self.suites.clone().unwrap_or(provider.cipher_suites);
        provider.kx_groups = self.groups.clone().unwrap_or(groups);
        Arc::new(match self.has_key_elsewhere() {
            true => taped(provider),
            false => provider,
        })
    }

    pub(super) fn client(
        &self,
        sessions: Option<&Arc<Sessions>>,
        resolver: &Arc<Resolver>,
    ) -> Result<ClientConfig, Error> {
        let verifier = Verifier::new(self.provider.signature_verification_algorithms);
        let mut config = ClientConfig::builder_with_provider(self.chosen(client_groups()))
            .with_protocol_versions(self.versions()?)
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(resolver.clone());
        config.alpn_protocols = self.alpn.clone();
        // A ClientHello that offers a session holds its age, and could not be made twice.
        config.resumption = resumption(sessions.filter(|_| !self.has_key_elsewhere()));
        config.key_log = Arc::new(ExporterSecret);
        config.time_provider = Arc::new(WallClock);
        Ok(config)
    }

    pub(super) fn server(
        &self,
        resolver: &Arc<Resolver>,
        tickets: &Arc<Tickets>,
    ) -> Result<ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(self.chosen(self.provider.kx_groups.clone()))
            .with_protocol_versions(self.versions()?)
            .map_err(unusable)?;
        let builder = match self.client_auth {
            ClientAuth::None => builder.with_no_client_auth(),
            _ => {
                let subject = |anchor: &TrustAnchor<'_>| DistinguishedName::in_sequence(&anchor.subject);
                let named = self.roots.anchors().iter().filter(|_| self.client_auth_names);
                let algorithms = self.provider.signature_verification_algorithms;
                let verifier = ClientVerifier::new(algorithms, named.map(subject).collect());
                builder.with_client_cert_verifier(Arc::new(verifier))
            }
        };
        let mut config = builder.with_cert_resolver(resolver.clone());
        config.alpn_protocols = self.alpn.clone();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = tickets.clone();
        config.send_tls13_tickets = self.tickets;
        // OpenSSL's clients begin with AES-256 whatever they run on; `provider` says what that costs.
        config.ignore_client_order = true;
        config.key_log = Arc::new(ExporterSecret);
        config.time_provider = Arc::new(WallClock);
        // For banners: `Session::set_banner`. What is sent before the client's Finished goes to somebody unknown.
        config.send_half_rtt_data = self.client_auth == ClientAuth::None;
        Ok(config)
    }
}

fn unusable(error: rustls::Error) -> Error {
    Error::local(Code::Argument, format!("the TLS settings do not fit together: {error}"))
}
