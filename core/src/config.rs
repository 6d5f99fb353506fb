//! Who we are and whom we trust: made once, frozen, then shared by all threads and all children.

mod live;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pki_types::{ServerName, SignatureVerificationAlgorithm, TrustAnchor};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, DistinguishedName, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};
use webpki::CertRevocationList;
use zeroize::Zeroizing;

use crate::error::escape;
use crate::keypair::{KeyPair, Source};
use crate::name::Name;
use crate::observe::ExporterSecret;
use crate::pem::Pem;
use crate::provider::{all_groups, client_groups, provider};
use crate::resolver::Resolver;
use crate::resumption::{Sessions, resumption};
use crate::revocation::RevocationLists;
use crate::roots::Roots;
use crate::suites::{groups_of, suites_of};
use crate::ticket::Tickets;
use crate::verifier::{ClientVerifier, Verifier};
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
    hostname: String,
    roots: Roots,
    revocation: RevocationLists,
    sessions: Option<Arc<Sessions>>,
    client_auth: ClientAuth,
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

    /// The oldest version of TLS to accept.
    pub fn min_version(&mut self, version: TlsVersion) -> &mut Self {
        self.min_version = version;
        self
    }

    /// The newest version of TLS to use.
    pub fn max_version(&mut self, version: TlsVersion) -> &mut Self {
        self.max_version = version;
        self
    }

    /// The cipher suites to use, in order of preference: names of IANA or of OpenSSL, with colons, commas or blanks
    /// between. Gives the words that name none which the library has; a list without one that it has is an error.
    /// The default are all, and they are all good (RFC 9325 section 4.2).
    ///
    /// A list is for the versions of TLS that it names suites of: one without a suite of TLS 1.3 leaves those as they
    /// are, as with OpenSSL. To do without a version there are `min_version` and `max_version`.
    pub fn ciphers(&mut self, list: &str) -> Result<Vec<String>, Error> {
        let (chosen, unknown) = suites_of(list, &self.provider.cipher_suites);
        let found = some(chosen, "cipher suite", list);
        self.suites = Some(self.kept(found)?);
        Ok(unknown)
    }

    /// The key exchange groups to use, in order of preference: names of IANA or of OpenSSL, with colons, commas or
    /// blanks between. Gives the words that name none which the library has; a list without one that it has is an
    /// error. A client's key share is for the first of them.
    ///
    /// By default a client begins with x25519 and a server with X25519MLKEM768: a key share of the latter makes a
    /// ClientHello longer than a segment, which some SMTP servers cannot take, and at level `may` mail would then go
    /// in plaintext. A server that prefers X25519MLKEM768 gets it, by a HelloRetryRequest or from a client that
    /// begins with it.
    pub fn groups(&mut self, list: &str) -> Result<Vec<String>, Error> {
        let (chosen, unknown) = groups_of(list, all_groups());
        let found = some(chosen, "key exchange group", list);
        self.groups = Some(self.kept(found)?);
        Ok(unknown)
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
        self.add_source(Source::files(chain.as_ref(), key.as_ref()))
    }

    /// As `add_keypair_file`, from PEM text.
    pub fn add_keypair_pem(&mut self, chain: &[u8], key: &[u8]) -> Result<&mut Self, Error> {
        let pair = KeyPair::from_pem(&Pem::from_memory(chain), &Pem::from_memory(key), &self.provider);
        let pair = self.kept(pair)?;
        self.add_source(Source::memory(pair))
    }

    /// Adds all key pairs of one PEM file, such as Postfix's chain files: each key before its chain, or each behind it.
    pub fn add_keypairs_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        self.add_source(Source::mixed(path.as_ref()))
    }

    /// Uses the key pair that was added last for this name too: a host name, or `.example.com` for any below that
    /// domain.
    pub fn add_keypair_name(&mut self, name: &str) -> Result<&mut Self, Error> {
        let name = Name::parse(name).map(|name| name.text().to_ascii_lowercase());
        let name = name.map_err(|failure| Error::local(failure.code, failure.message));
        let name = self.kept(name)?;
        self.change_last(|source| source.names.push(name))
    }

    /// Staples an OCSP response to the key pair that was added last: a file in DER, which is read now and again
    /// with the pair. What it says, and for how long, is for clients to judge.
    pub fn set_ocsp_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let path = path.as_ref().to_path_buf();
        self.change_last(|source| source.ocsp = Some(path))
    }

    fn add_source(&mut self, source: Source) -> Result<&mut Self, Error> {
        let pairs = source.load(&self.provider);
        let pairs = self.kept(pairs)?;
        self.key_pairs.push((source, pairs));
        Ok(self)
    }

    fn change_last(&mut self, change: impl FnOnce(&mut Source)) -> Result<&mut Self, Error> {
        let Some((mut source, _)) = self.key_pairs.pop() else {
            return self.keep(Err(Error::local(Code::State, "there is no key pair yet")));
        };
        change(&mut source);
        self.add_source(source)
    }

    /// Whether a server asks for client certificates, and whether it names the authorities that it trusts: some
    /// clients choose by these names, and the list can be long.
    pub fn client_auth(&mut self, mode: ClientAuth, names: bool) -> &mut Self {
        (self.client_auth, self.client_auth_names) = (mode, names);
        self
    }

    /// The application protocols (ALPN, RFC 7301) to offer, or as a server to take. None by default: no protocol is
    /// registered for SMTP, and a server without any ignores what clients offer.
    ///
    /// A server that has some is as strict as Exim, against attacks that pass off one protocol as another: a
    /// client that offers ALPN must offer exactly one protocol, and one of these; a client that offers none is served.
    pub fn alpn(&mut self, protocols: &[&[u8]]) -> Result<&mut Self, Error> {
        let fit = protocols.iter().all(|protocol| (1..=255).contains(&protocol.len()));
        self.alpn = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let result = match fit {
            true => Ok(()),
            false => Err(Error::local(Code::Argument, "an application protocol has 1 to 255 octets")),
        };
        self.keep(result)
    }

    /// Keys for a server's session tickets, 32 random octets each: the first seals new tickets, and each opens those
    /// that it has sealed. All processes and hosts with the same keys resume each other's sessions. Without keys, the
    /// default, nothing is resumed. They change while sessions run: `Config::set_ticket_keys`.
    pub fn ticket_keys(&mut self, keys: &[&[u8]]) -> Result<&mut Self, Error> {
        self.ticket_keys = keys.iter().map(|key| Zeroizing::new(key.to_vec())).collect();
        let result = self.sealed_tickets().map(drop);
        self.keep(result)
    }

    /// The same, from a file that holds the current key, the next and the previous one: `python -m smtptls.tickets`
    /// makes and rotates it. `Config::reload_ticket_keys` reads it again.
    pub fn ticket_key_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        self.ticket_file = Some(path.as_ref().to_path_buf());
        let keys = crate::ticket_file::read(path.as_ref());
        self.ticket_keys = self.kept(keys)?;
        Ok(self)
    }

    /// For how many seconds a ticket is good; an hour by default, and a week at most (RFC 8446 section 4.6.1).
    pub fn ticket_lifetime(&mut self, seconds: u32) -> &mut Self {
        self.ticket_lifetime = seconds.min(7 * 86_400);
        self
    }

    /// How many tickets a server gives after a handshake of TLS 1.3: 0, 1 or 2; one by default.
    pub fn tickets(&mut self, count: usize) -> &mut Self {
        self.tickets = count.min(2);
        self
    }

    /// The name of the service, `smtp` by default. A ticket of one service is nothing to another, so that a client
    /// that is let in by the one is not by the other.
    pub fn service(&mut self, name: &str) -> &mut Self {
        self.service = name.to_string();
        self
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
        let sessions = (self.client_sessions > 0).then(|| Arc::new(Sessions::new(self.client_sessions)));
        let (sources, pairs) = self.sources_and_pairs();
        let resolver = Arc::new(Resolver::new(sources, pairs, !self.alpn.is_empty()));
        let tickets = self.sealed_tickets()?;
        let client = Arc::new(self.client(sessions.as_ref(), &resolver)?);
        let mut client_without_sni = ClientConfig::clone(&client);
        client_without_sni.enable_sni = false;
        Ok(Config(Arc::new(Frozen {
            provider: self.provider.clone(),
            hostname,
            roots: self.roots.clone(),
            revocation: self.revocation.clone(),
            sessions,
            client_auth: self.client_auth,
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
        Arc::new(provider)
    }

    fn client(
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
        config.resumption = resumption(sessions);
        config.key_log = Arc::new(ExporterSecret);
        Ok(config)
    }

    fn server(&self, resolver: &Arc<Resolver>, tickets: &Arc<Tickets>) -> Result<ServerConfig, Error> {
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
        config.key_log = Arc::new(ExporterSecret);
        Ok(config)
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

    pub(crate) fn algorithms(&self) -> &'static [&'static dyn SignatureVerificationAlgorithm] {
        self.0.provider.signature_verification_algorithms.all
    }

    pub(crate) fn client(&self, sni: bool) -> Arc<ClientConfig> {
        if sni { self.0.client.clone() } else { self.0.client_without_sni.clone() }
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.0.server.clone()
    }
}

/// What was chosen, if that is anything.
fn some<T>(chosen: Vec<T>, what: &str, list: &str) -> Result<Vec<T>, Error> {
    match chosen.is_empty() {
        false => Ok(chosen),
        true => {
            let message = format!("no {what} that the library has is in \"{}\"", escape(list.as_bytes()));
            Err(Error::local(Code::Argument, message))
        }
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
