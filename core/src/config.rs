//! Who we are and whom we trust: made once, frozen, then shared by all threads and all children.

mod keys;
mod live;
mod make;
mod terms;
mod trust;

use std::path::PathBuf;
use std::sync::Arc;

use pki_types::{ServerName, SignatureVerificationAlgorithm, TrustAnchor};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{ClientConfig, ServerConfig, SupportedCipherSuite};
use webpki::CertRevocationList;
use zeroize::Zeroizing;

use crate::error::escape;
use crate::keypair::{KeyPair, Source};
use crate::provider::provider;
use crate::resolver::Resolver;
use crate::resumption::Sessions;
use crate::revocation::RevocationLists;
use crate::roots::Roots;
use crate::signatures::{Remembering, remembering};
use crate::ticket::Tickets;
use crate::{Code, Error};

/// A version of TLS, by its number on the wire. RFC 8996 ended everything before 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12 = 0x0303,
    /// TLS 1.3.
    Tls13 = 0x0304,
}

impl TlsVersion {
    /// Every version.
    pub const ALL: &'static [TlsVersion] = &[TlsVersion::Tls12, TlsVersion::Tls13];

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// Whether a server asks for client certificates. They are judged after the handshake, and a session never fails in
/// it for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum ClientAuth {
    /// It does not ask (RFC 8314 section 4.2: not unless it is of use).
    #[default]
    None = 0,
    /// It asks, and takes any certificate or none: Info says what it is worth.
    Ask = 1,
    /// `start` fails without one that is trusted, or whose fingerprint the policy has; TLS is up then, and `refuse`
    /// answers 554.
    Require = 2,
}

impl ClientAuth {
    /// Every way.
    pub const ALL: &'static [ClientAuth] = &[ClientAuth::None, ClientAuth::Ask, ClientAuth::Require];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            ClientAuth::None => "none",
            ClientAuth::Ask => "ask",
            ClientAuth::Require => "require",
        }
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// A configuration that is being made.
///
/// A call that fails spoils it for good: `freeze` then gives that error again, so that a program which
/// overlooked it never runs with less trust than its administrator asked for.
#[derive(Clone)]
pub struct ConfigBuilder {
    provider: Arc<CryptoProvider>,
    hostname: Option<String>,
    min_version: TlsVersion,
    max_version: TlsVersion,
    suites: Option<Vec<SupportedCipherSuite>>,
    groups: Option<Vec<&'static dyn SupportedKxGroup>>,
    roots: Roots,
    revocation: RevocationLists,
    /// Where key pairs come from, each with what was found there.
    key_pairs: Vec<(Source, Vec<KeyPair>)>,
    client_sessions: usize,
    client_auth: ClientAuth,
    client_auth_names: bool,
    alpn: Vec<Vec<u8>>,
    /// A client that offers several application protocols is served all the same.
    alpn_of_many: bool,
    service: String,
    ticket_keys: Vec<Zeroizing<Vec<u8>>>,
    ticket_file: Option<PathBuf>,
    ticket_lifetime: u32,
    tickets: usize,
    spoilt: Option<Error>,
}

/// A configuration: read-only, cheap to clone, and good for any number of sessions in any thread and, after
/// fork, in any child.
#[derive(Clone)]
pub struct Config(Arc<Frozen>);

struct Frozen {
    provider: Arc<CryptoProvider>,
    algorithms: Vec<Remembering>,
    hostname: String,
    roots: Roots,
    revocation: RevocationLists,
    sessions: Option<Arc<Sessions>>,
    client_auth: ClientAuth,
    /// Handshakes may stop for a signature.
    signing: bool,
    client: Arc<ClientConfig>,
    client_without_sni: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    /// What changes while sessions run.
    resolver: Arc<Resolver>,
    tickets: Arc<Tickets>,
    ticket_file: Option<PathBuf>,
}

impl ConfigBuilder {
    /// A configuration with no trust anchor and no key pair, for TLS 1.2 and later.
    #[allow(clippy::new_without_default)] // Making a provider is work, and `Config::builder` is the way in.
    pub fn new() -> ConfigBuilder {
        ConfigBuilder {
            provider: Arc::new(provider()),
            hostname: None,
            min_version: TlsVersion::Tls12,
            max_version: TlsVersion::Tls13,
            suites: None,
            groups: None,
            roots: Roots::default(),
            revocation: RevocationLists::default(),
            key_pairs: Vec::new(),
            client_sessions: 0,
            client_auth: ClientAuth::None,
            client_auth_names: false,
            alpn: Vec::new(),
            alpn_of_many: false,
            service: "smtp".to_string(),
            ticket_keys: Vec::new(),
            ticket_file: None,
            ticket_lifetime: 3600,
            tickets: 1,
            spoilt: None,
        }
    }

    /// The name that this host gives in EHLO and in its greeting. The default is the system's host name.
    pub fn hostname(&mut self, name: &str) -> Result<&mut Self, Error> {
        let fit = !name.is_empty() && name.len() <= 255 && name.bytes().all(|byte| byte.is_ascii_graphic());
        if !fit {
            let message = format!("\"{}\" is no host name", escape(name.as_bytes()));
            return self.keep(Err(Error::local(Code::Argument, message)));
        }
        self.hostname = Some(name.to_string());
        Ok(self)
    }

    fn kept<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.spoilt.get_or_insert_with(|| error.clone());
        }
        result
    }

    fn keep(&mut self, result: Result<(), Error>) -> Result<&mut Self, Error> {
        self.kept(result)?;
        Ok(self)
    }

    /// Checks the configuration as a whole and makes it read-only.
    pub fn freeze(&self) -> Result<Config, Error> {
        if let Some(error) = &self.spoilt {
            return Err(error.clone());
        }
        let hostname = match &self.hostname {
            Some(name) => name.clone(),
            None => system_hostname(),
        };
        // The provider's source of chance looks around once; better now than in a chroot.
        let _ = self.provider.secure_random.fill(&mut [0]);
        let sessions = (self.client_sessions > 0).then(|| Arc::new(Sessions::new(self.client_sessions)));
        let (sources, pairs) = self.sources_and_pairs();
        let resolver = Arc::new(Resolver::new(sources, pairs, !self.alpn.is_empty() && !self.alpn_of_many));
        let tickets = self.sealed_tickets()?;
        let client = Arc::new(self.client(sessions.as_ref(), &resolver)?);
        let mut client_without_sni = ClientConfig::clone(&client);
        client_without_sni.enable_sni = false;
        Ok(Config(Arc::new(Frozen {
            provider: self.provider.clone(),
            algorithms: remembering(self.provider.signature_verification_algorithms.all),
            hostname,
            roots: self.roots.clone(),
            revocation: self.revocation.clone(),
            sessions,
            client_auth: self.client_auth,
            signing: self.has_key_elsewhere(),
            client,
            client_without_sni: Arc::new(client_without_sni),
            server: Arc::new(self.server(&resolver, &tickets)?),
            resolver,
            tickets,
            ticket_file: self.ticket_file.clone(),
        })))
    }

    /// Where key pairs come from, and all that was found.
    fn sources_and_pairs(&self) -> (Vec<Source>, Vec<KeyPair>) {
        let sources = self.key_pairs.iter().map(|(source, _)| source.clone()).collect();
        (sources, self.key_pairs.iter().flat_map(|(_, pairs)| pairs.iter().cloned()).collect())
    }

    fn sealed_tickets(&self) -> Result<Arc<Tickets>, Error> {
        let tickets = Tickets::new(&self.provider, &self.service, self.ticket_lifetime);
        let tickets =
            tickets.ok_or_else(|| Error::local(Code::Internal, "there is no cipher for tickets"))?;
        tickets.set_keys(&self.ticket_keys.iter().map(|key| key.as_slice()).collect::<Vec<_>>())?;
        Ok(Arc::new(tickets))
    }
}

impl Config {
    /// Begins a configuration.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::new()
    }

    /// The name that this host gives in EHLO and in its greeting.
    pub fn hostname(&self) -> &str {
        &self.0.hostname
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        self.0.roots.anchors()
    }

    /// Whether a handshake may stop for a signature.
    pub(crate) fn signing(&self) -> bool {
        self.0.signing
    }

    pub(crate) fn client_auth(&self) -> ClientAuth {
        self.0.client_auth
    }

    pub(crate) fn revocation_lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.0.revocation.lists()
    }

    /// Forgets the sessions with a server.
    pub(crate) fn forget(&self, server: &ServerName<'static>) {
        if let Some(sessions) = &self.0.sessions {
            sessions.forget(server);
        }
    }

    /// With what the signatures of certificates are checked.
    pub(crate) fn algorithms(&self) -> Vec<&dyn SignatureVerificationAlgorithm> {
        self.0.algorithms.iter().map(|one| one as &dyn SignatureVerificationAlgorithm).collect()
    }

    pub(crate) fn client(&self, sni: bool) -> Arc<ClientConfig> {
        if sni { self.0.client.clone() } else { self.0.client_without_sni.clone() }
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.0.server.clone()
    }
}

/// A host without a name is `localhost`: EHLO needs one (RFC 5321 section 4.1.1.1).
fn system_hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let fit = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if fit { name } else { "localhost".to_string() }
}
