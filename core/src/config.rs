//! Who we are and whom we trust: made once, frozen, then shared by all threads and all children.

use std::path::Path;
use std::sync::Arc;

use pki_types::{ServerName, SignatureVerificationAlgorithm, TrustAnchor};
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use webpki::CertRevocationList;

use crate::error::escape;
use crate::keypair::KeyPair;
use crate::observe::ExporterSecret;
use crate::pem::Pem;
use crate::provider::provider;
use crate::resolver::Resolver;
use crate::resumption::{Sessions, resumption};
use crate::revocation::RevocationLists;
use crate::roots::Roots;
use crate::verifier::Verifier;
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

/// A configuration that is being made.
///
/// A call that fails spoils it for good: `freeze` then gives that error again, so that a program which
/// overlooked it never runs with less trust than its administrator asked for.
#[derive(Clone)]
pub struct ConfigBuilder {
    provider: Arc<CryptoProvider>,
    hostname: Option<String>,
    min_version: TlsVersion,
    roots: Roots,
    revocation: RevocationLists,
    key_pairs: Vec<KeyPair>,
    client_sessions: usize,
    spoilt: Option<Error>,
}

/// A configuration: read-only, cheap to clone, and good for any number of sessions in any thread and, after
/// fork, in any child.
#[derive(Clone)]
pub struct Config(Arc<Frozen>);

struct Frozen {
    provider: Arc<CryptoProvider>,
    hostname: String,
    roots: Roots,
    revocation: RevocationLists,
    sessions: Option<Arc<Sessions>>,
    client: Arc<ClientConfig>,
    client_without_sni: Arc<ClientConfig>,
    server: Option<Arc<ServerConfig>>,
}

impl ConfigBuilder {
    /// A configuration with no trust anchor and no key pair, for TLS 1.2 and later.
    #[allow(clippy::new_without_default)] // Making a provider is work, and `Config::builder` is the way in.
    pub fn new() -> ConfigBuilder {
        ConfigBuilder {
            provider: Arc::new(provider()),
            hostname: None,
            min_version: TlsVersion::default(),
            roots: Roots::default(),
            revocation: RevocationLists::default(),
            key_pairs: Vec::new(),
            client_sessions: 0,
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

    /// The oldest version of TLS to accept.
    pub fn min_version(&mut self, version: TlsVersion) -> &mut Self {
        self.min_version = version;
        self
    }

    /// Trusts the authorities that the system trusts.
    pub fn add_system_roots(&mut self) -> Result<&mut Self, Error> {
        let result = self.roots.add_system();
        self.keep(result)
    }

    /// Trusts every certificate in a PEM file.
    pub fn add_roots_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let result = Pem::from_file(path.as_ref()).and_then(|pem| self.roots.add_pem(&pem));
        self.keep(result)
    }

    /// Trusts every certificate in PEM text.
    pub fn add_roots_pem(&mut self, pem: &[u8]) -> Result<&mut Self, Error> {
        let result = self.roots.add_pem(&Pem::from_memory(pem));
        self.keep(result)
    }

    /// Trusts every certificate in the PEM files of a directory, as `openssl rehash` fills one. They are read
    /// now, and not when a server is judged, so that the program may give the directory up.
    pub fn add_roots_directory(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let result = self.roots.add_directory(path.as_ref());
        self.keep(result)
    }

    /// Adds certificate revocation lists from a file, in PEM or DER. They hold at the levels that go by trust
    /// anchors, for every certificate of a chain whose issuer has a list here; a list that has expired makes such
    /// a certificate fail. DANE and fingerprints know no revocation.
    pub fn add_crl_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let result = Pem::from_file(path.as_ref()).and_then(|pem| self.revocation.add(&pem));
        self.keep(result)
    }

    /// As `add_crl_file`, from memory.
    pub fn add_crl_pem(&mut self, pem: &[u8]) -> Result<&mut Self, Error> {
        let result = self.revocation.add(&Pem::from_memory(pem));
        self.keep(result)
    }

    /// Keeps the sessions of clients with this many servers, up to 65,536, in memory, so that they can be resumed; 0,
    /// the default, keeps none. They are kept by host and SNI, and a resumed one is judged anew: by the policy
    /// of its time, from the chain that the first handshake saw. One that is refused is forgotten.
    pub fn client_sessions(&mut self, servers: usize) -> &mut Self {
        self.client_sessions = servers;
        self
    }

    /// Adds a certificate chain and its private key from PEM files; they may be the same file, in any order.
    ///
    /// A server chooses by the name that the client asks for, and by the kinds of key that it can verify; the
    /// first key pair serves clients that name none or an unknown one. A client shows the first key pair that
    /// the server can verify, and only if the server asks for one.
    pub fn add_keypair_file(
        &mut self,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<&mut Self, Error> {
        let result = Pem::from_file(chain.as_ref())
            .and_then(|chain| Ok((chain, Pem::from_file(key.as_ref())?)))
            .and_then(|(chain, key)| self.add(&chain, &key));
        self.keep(result)
    }

    /// As `add_keypair_file`, from PEM text.
    pub fn add_keypair_pem(&mut self, chain: &[u8], key: &[u8]) -> Result<&mut Self, Error> {
        let result = self.add(&Pem::from_memory(chain), &Pem::from_memory(key));
        self.keep(result)
    }

    fn add(&mut self, chain: &Pem, key: &Pem) -> Result<(), Error> {
        self.key_pairs.push(KeyPair::from_pem(chain, key, &self.provider)?);
        Ok(())
    }

    fn keep(&mut self, result: Result<(), Error>) -> Result<&mut Self, Error> {
        match result {
            Ok(()) => Ok(self),
            Err(error) => {
                self.spoilt.get_or_insert_with(|| error.clone());
                Err(error)
            }
        }
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
        let sessions = (self.client_sessions > 0).then(|| Arc::new(Sessions::new(self.client_sessions)));
        let client = Arc::new(self.client(sessions.as_ref())?);
        let mut client_without_sni = ClientConfig::clone(&client);
        client_without_sni.enable_sni = false;
        Ok(Config(Arc::new(Frozen {
            provider: self.provider.clone(),
            hostname,
            roots: self.roots.clone(),
            revocation: self.revocation.clone(),
            sessions,
            client,
            client_without_sni: Arc::new(client_without_sni),
            server: self.server()?,
        })))
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        const FROM_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
        const FROM_13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        match self.min_version {
            TlsVersion::Tls12 => FROM_12,
            TlsVersion::Tls13 => FROM_13,
        }
    }

    fn client(&self, sessions: Option<&Arc<Sessions>>) -> Result<ClientConfig, Error> {
        let verifier = Verifier::new(self.provider.signature_verification_algorithms);
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(self.versions())
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.key_pairs.is_empty() {
            true => builder.with_no_client_auth(),
            false => builder.with_client_cert_resolver(Arc::new(Resolver::new(&self.key_pairs))),
        };
        config.resumption = resumption(sessions);
        config.key_log = Arc::new(ExporterSecret);
        Ok(config)
    }

    fn server(&self) -> Result<Option<Arc<ServerConfig>>, Error> {
        if self.key_pairs.is_empty() {
            return Ok(None);
        }
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(self.versions())
            .map_err(unusable)?
            // RFC 8314 section 4.2: ask for no client certificate unless it is of use.
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver::new(&self.key_pairs)));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.key_log = Arc::new(ExporterSecret);
        Ok(Some(Arc::new(config)))
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

    /// Whether it has a key pair, without which no server session offers STARTTLS.
    pub fn has_keypair(&self) -> bool {
        self.0.server.is_some()
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        self.0.roots.anchors()
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

    pub(crate) fn algorithms(&self) -> &'static [&'static dyn SignatureVerificationAlgorithm] {
        self.0.provider.signature_verification_algorithms.all
    }

    pub(crate) fn client(&self, sni: bool) -> Arc<ClientConfig> {
        if sni { self.0.client.clone() } else { self.0.client_without_sni.clone() }
    }

    pub(crate) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.0.server.clone()
    }
}

fn unusable(error: rustls::Error) -> Error {
    Error::local(Code::Argument, format!("the TLS settings do not fit together: {error}"))
}

/// A host without a name is `localhost`: EHLO needs one (RFC 5321 section 4.1.1.1).
fn system_hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let fit = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if fit { name } else { "localhost".to_string() }
}
