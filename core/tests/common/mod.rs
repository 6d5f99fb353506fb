//! What the tests share: a throw-away PKI, and two sessions back to back.
#![allow(dead_code)] // Each test file uses its part.

use std::sync::OnceLock;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use smtptls::{Config, Entry, Error, Level, Policy, Progress, Session};

/// A chain with its key, as PEM.
pub struct Leaf {
    pub chain: String,
    pub key: String,
}

/// An authority that makes leaves.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
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
        Leaf { chain: certificate.pem(), key: key.serialize_pem() }
    }
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
