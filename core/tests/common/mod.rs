//! What the tests share: a throw-away PKI, and two sessions back to back.
#![allow(dead_code)] // Each test file uses its part.

use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use smtptls::{Config, Entry, Error, Level, Policy, Progress, Session, Tlsa};

/// A chain with its key, as PEM.
#[derive(Clone)]
pub struct Leaf {
    pub chain: String,
    pub key: String,
    /// The DER of the certificate itself.
    pub der: Vec<u8>,
}

impl Leaf {
    /// The same leaf, with these certificates behind it, in this order.
    pub fn with(&self, authorities: &[&Authority]) -> Leaf {
        let mut leaf = self.clone();
        for authority in authorities {
            leaf.chain.push_str(&authority.pem);
        }
        leaf
    }

    /// Its TLSA record.
    pub fn tlsa(&self, usage: u8, selector: u8, matching: u8) -> Tlsa {
        Tlsa::of(usage, selector, matching, &self.der).unwrap()
    }
}

/// An authority that makes leaves and other authorities.
pub struct Authority {
    pub pem: String,
    pub der: Vec<u8>,
    pub issuer: Issuer<'static, KeyPair>,
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        Authority::new_with(name, |_| {})
    }

    pub fn new_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Authority {
        let mut params = authority_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
        }
    }

    /// An authority below this one.
    pub fn child(&self, name: &str) -> Authority {
        self.child_with(name, |_| {})
    }

    pub fn child_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Authority {
        self.vouch(name, KeyPair::generate().unwrap(), change)
    }

    /// A certificate for an authority that has this name and this key.
    pub fn vouch(&self, name: &str, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Authority {
        let mut params = authority_params(name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Authority {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
        }
    }

    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.leaf_with(names, |_| {})
    }

    pub fn leaf_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
    }

    /// Its TLSA record.
    pub fn tlsa(&self, selector: u8, matching: u8) -> Tlsa {
        Tlsa::of(2, selector, matching, &self.der).unwrap()
    }
}

/// Makes something expired.
pub fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
}

/// A certificate that signed itself.
pub fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Leaf {
    let mut params = CertificateParams::new(vec![HOST.to_string()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Leaf { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
}

/// A configuration that trusts this.
pub fn trusting_pem(pem: &str) -> Config {
    let mut builder = Config::builder();
    builder.add_roots_pem(pem.as_bytes()).unwrap();
    builder.freeze().unwrap()
}

/// A handshake between a client with this policy and a server with this chain.
pub fn meet(config: &Config, policy: &Policy, host: &str, leaf: &Leaf) -> (Session, Result<(), Error>) {
    let mut c = Session::client(config, policy, host);
    let mut s = Session::server(&serving(leaf), &Policy::new(Level::May));
    let (up, _) = start_both(&mut c, &mut s, Entry::Handshake, usize::MAX);
    (c, up)
}

/// The authority that the tests trust.
pub fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("Test Root"))
}

pub const HOST: &str = "mx.example.test";

/// The levels that need nothing but a host and trust anchors, and want TLS.
pub const BARE_LEVELS: [Level; 3] = [Level::May, Level::Encrypt, Level::Verify];

/// A client's configuration that trusts the authority.
pub fn trusting() -> Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    let make = || {
        let mut builder = Config::builder();
        builder.hostname("client.example.test").unwrap();
        builder.add_roots_pem(authority().pem.as_bytes()).unwrap();
        builder.freeze().unwrap()
    };
    CONFIG.get_or_init(make).clone()
}

/// A server's configuration with this leaf.
pub fn serving(leaf: &Leaf) -> Config {
    let mut builder = Config::builder();
    builder.hostname(HOST).unwrap();
    builder.add_keypair_pem(leaf.chain.as_bytes(), leaf.key.as_bytes()).unwrap();
    builder.freeze().unwrap()
}

/// A server's configuration for `HOST`.
pub fn server_config() -> Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| serving(&authority().leaf(&[HOST]))).clone()
}

pub fn client(level: Level) -> Session {
    Session::client(&trusting(), &Policy::new(level), HOST)
}

pub fn server(level: Level) -> Session {
    Session::server(&server_config(), &Policy::new(level))
}

/// Feeds everything; panics if the session has no room.
pub fn feed(session: &mut Session, bytes: &[u8]) {
    assert_eq!(session.feed(bytes), bytes.len());
}

/// Takes what a session has to send.
pub fn take(session: &mut Session) -> Vec<u8> {
    let output = session.output().to_vec();
    session.sent(output.len());
    output
}

/// Starts both, back to back; each result when it is final.
pub fn start_both(
    client: &mut Session,
    server: &mut Session,
    entry: Entry,
    piece: usize,
) -> (Result<(), Error>, Result<(), Error>) {
    let (mut c, mut s) = (None, None);
    if entry == Entry::Command {
        // What the server's program has read.
        assert_eq!(client.start(entry, 0), Ok(Progress::WantOutput));
        assert_eq!(take(client), b"STARTTLS\r\n");
    }
    for _ in 0..1_000_000 {
        if c.is_none() {
            c = settle(client.start(entry, 0));
            // Finished would wait for what the program writes.
            if c.as_ref().is_some_and(Result::is_ok) {
                let _ = client.flush().unwrap();
            }
        }
        if s.is_none() {
            s = settle(server.start(entry, 0));
        }
        let up = give(client, server, piece);
        let down = give(server, client, piece);
        if !up && !down {
            break;
        }
    }
    (
        c.unwrap_or_else(|| panic!("the client never ended")),
        s.unwrap_or_else(|| panic!("the server never ended")),
    )
}

fn settle(result: Result<Progress, Error>) -> Option<Result<(), Error>> {
    match result {
        Ok(Progress::Done(())) => Some(Ok(())),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    }
}

/// Moves up to `piece` bytes from one session to another.
pub fn give(from: &mut Session, to: &mut Session, piece: usize) -> bool {
    let count = from.output().len().min(piece);
    if count == 0 {
        return false;
    }
    let bytes = from.output()[..count].to_vec();
    let taken = to.feed(&bytes);
    from.sent(taken);
    taken > 0
}

/// A pair with TLS up, from the handshake on.
pub fn secured_pair() -> (Session, Session) {
    let (mut c, mut s) = (client(Level::Verify), server(Level::May));
    let (up, down) = start_both(&mut c, &mut s, Entry::Handshake, usize::MAX);
    up.unwrap();
    down.unwrap();
    (c, s)
}

/// Reads what has come, up to `most` bytes.
pub fn read(session: &mut Session, most: usize) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    while all.len() < most {
        let mut buffer = vec![0; (most - all.len()).min(5000)];
        match session.read(&mut buffer)? {
            Progress::Done(0) => break,
            Progress::Done(count) => all.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    Ok(all)
}
