//! A client's session against a server that says anything, up to TLS and in it.

use smtptls::{Dnssec, Entry, Level, Policy, Protocol, Role, Session, Tlsa};

use crate::honest::Honest;
use crate::script::{Script, Step};
use crate::watched::Watched;
use crate::world::{CLIENTS, HOST, SERVERS};

/// Settings: level, entry, configuration, flags. Then what the server says, and calls: `drive` says which.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let (level, entry) = (script.pick(Level::ALL), script.pick(Entry::ALL));
    let config = &CLIENTS[usize::from(script.octet()) % CLIENTS.len()];
    let [lmtp, optional, dane, named, eager, bytewise, ..] = script.flags();
    let mut policy = Policy::new(level);
    if optional {
        policy.set_tls_optional(true);
    }
    if dane {
        // Nobody's, so that DANE holds and is never met.
        let set = policy.set_tlsa(None, Dnssec::Secure).map(|policy| {
            policy.set_address_dnssec(Dnssec::Secure).add_tlsa(Tlsa::new(3, 1, 1, &[7; 32]));
        });
        assert!(set.is_ok());
    }
    if named {
        let _ = policy.add_name("other.example.test");
    }
    let strict = !matches!(policy.effective_level(HOST), Ok(Level::None | Level::May));
    let mut client = Watched::new(|| Session::client(config, &policy, HOST), entry, strict);
    let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
    assert!(client.session.set_protocol(protocol).is_ok());
    let mut heard = Heard { entry, last: Vec::new(), line: Vec::new() };
    drive(&mut client, &mut script, eager, bytewise, Role::Server, &mut |client, bytes| {
        heard.hear(client, bytes);
    });
    assert!(!client.wire.tls || heard.may_begin(), "TLS without a 220");
}

/// What the server has said, by a reading that is not the engine's.
struct Heard {
    entry: Entry,
    last: Vec<u8>,
    line: Vec<u8>,
}

impl Heard {
    fn hear(&mut self, client: &Watched, bytes: &[u8]) {
        // From then on it is TLS.
        if client.wire.tls {
            return;
        }
        for byte in bytes {
            self.line.push(*byte);
            if *byte == b'\n' {
                self.last = std::mem::take(&mut self.line);
            }
        }
    }

    /// SEC-5: nothing but a 220 begins TLS, and it is the last that was said.
    fn may_begin(&self) -> bool {
        self.entry == Entry::Handshake || self.last.starts_with(b"220 ") || self.last == b"220\r\n"
    }
}

/// Plays the stream of a script on a session, for clients and servers.
///
/// | call | arguments | what |
/// | --- | --- | --- |
/// | `s` | | start |
/// | `o`, `p` | a size for `p` | send all, or so much |
/// | `c` | a size | what comes is cut in such pieces from now on |
/// | `r`, `w`, `m` | a size | read; write; write with more to come |
/// | `n` | times | the octets before it again, so often |
/// | `l` | size, times | writes, and sends all but an octet, so often |
/// | `x` | octet | another call: `Watched::call` |
/// | `g`, `G` | | an honest peer takes over; closes |
pub fn drive(
    watched: &mut Watched,
    script: &mut Script<'_>,
    eager: bool,
    bytewise: bool,
    peer: Role,
    fed: &mut dyn FnMut(&Watched, &[u8]),
) -> Option<Honest> {
    let mut cut = if bytewise { 1 } else { usize::MAX };
    let mut before: &[u8] = b"";
    let mut honest: Option<Honest> = None;
    let configs = match peer {
        Role::Client => &CLIENTS,
        Role::Server => &SERVERS,
    };
    let mut feed = |watched: &mut Watched, octets: &[u8], cut: usize| {
        for piece in octets.chunks(cut) {
            let taken = watched.feed(piece);
            fed(watched, &piece[..taken]);
            if eager {
                let _ = watched.start(0);
                watched.take(usize::MAX);
            }
        }
    };
    if eager {
        let _ = watched.start(0);
        watched.take(usize::MAX);
    }
    while let Some(step) = script.step() {
        match step {
            Step::Octets(octets) => {
                feed(watched, octets, cut);
                before = octets;
            }
            Step::Call(b's') => drop(watched.start(usize::from(script.octet() == b'!'))),
            Step::Call(b'o') => drop(watched.take(usize::MAX)),
            Step::Call(b'p') => drop(watched.take(script.size())),
            Step::Call(b'c') => cut = script.size().max(1),
            Step::Call(b'r') => {
                if let Ok(bytes) = watched.read(script.size()) {
                    honest.as_mut().expect("read from nobody").heard(watched, &bytes);
                }
            }
            Step::Call(call @ (b'w' | b'm')) => {
                drop(watched.write(&vec![b'w'; script.size()], call == b'm'));
            }
            Step::Call(b'n') => {
                for _ in 0..script.octet() {
                    feed(watched, before, cut);
                }
            }
            Step::Call(b'l') => {
                let words = vec![b'w'; script.size()];
                for _ in 0..script.octet() {
                    let _ = watched.write(&words, false);
                    watched.take(watched.session.output().len().saturating_sub(1));
                    watched.wire.kept = Vec::new();
                }
            }
            Step::Call(b'g') => {
                if watched.wire.tls || peer == Role::Client {
                    let config = &configs[usize::from(script.octet()) % configs.len()];
                    honest.get_or_insert_with(|| Honest::new(watched, peer, config)).carry(watched);
                }
            }
            Step::Call(b'G') => {
                if let Some(honest) = &mut honest {
                    honest.close(watched);
                }
            }
            Step::Call(_) => watched.call(script.octet()),
        }
    }
    honest
}
