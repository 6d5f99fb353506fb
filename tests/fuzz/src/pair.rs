//! Two sessions back to back, and somebody between them who cuts, changes, drops, doubles and adds: either both agree on
//! what TLS came out as, or there is an error. What is read is the beginning of what was written.

use smtptls::{Entry, Level, Policy, Progress, Role, Session};

use crate::script::{Script, Step};
use crate::watched::{CALLS, Watched};
use crate::world::{CLIENTS, HOST, SERVERS};

/// One side, its program, and what is on its way from it.
struct Side {
    watched: Watched,
    /// What it has sent and the other has not got.
    way: Vec<u8>,
    written: usize,
    read: usize,
    /// How much of the other session's own EHLO comes before what the other program has written.
    ahead: usize,
    /// It refused, and says whatever that takes.
    refused: bool,
    /// It may be given octets: at the command, once its program has read that.
    begun: bool,
}

/// What a client says first inside TLS, if it began at the greeting.
const EHLO: &[u8] = b"EHLO client.example.test\r\n";

/// What a program writes: its octet at this place. A server's first words answer EHLO.
fn word(role: Role, at: usize) -> u8 {
    const ANSWER: &[u8] = b"250-mx.example.test\r\n250 SIZE 1000\r\n";
    match role {
        Role::Server if at < ANSWER.len() => ANSWER[at],
        _ => b"abcdefghijklmnopqrstuvwxyz.\r\n"[at % 29],
    }
}

impl Side {
    fn new(make: impl FnOnce() -> Session, entry: Entry, strict: bool) -> Side {
        let watched = Watched::new(make, entry, strict);
        Side { watched, way: Vec::new(), written: 0, read: 0, ahead: 0, refused: false, begun: true }
    }

    fn role(&self) -> Role {
        self.watched.session.role()
    }

    fn start(&mut self) {
        self.begun = true;
        let result = self.watched.start(0);
        if result == Ok(Progress::Done(())) && self.role() == Role::Client && self.read == 0 {
            // The answer to EHLO inside TLS was the session's.
            self.read = self.watched.session.reply().map_or(0, |reply| reply.len() + 3);
        }
    }

    fn write(&mut self, count: usize, more: bool) {
        let words: Vec<u8> = (self.written..self.written + count).map(|at| word(self.role(), at)).collect();
        self.written += self.watched.write(&words, more).unwrap_or(0);
    }

    fn take(&mut self, most: usize) -> bool {
        let bytes = self.watched.take(most);
        self.watched.wire.kept = Vec::new();
        self.way.extend_from_slice(&bytes);
        !bytes.is_empty()
    }
}

/// Reads, and compares with what the other has written.
fn read(side: &mut Side, other: &Side, most: usize) -> bool {
    let Ok(bytes) = side.watched.read(most) else { return false };
    for byte in &bytes {
        if other.refused {
            break;
        }
        if side.ahead > 0 {
            assert_eq!(*byte, EHLO[EHLO.len() - side.ahead], "the server reads another EHLO");
            side.ahead -= 1;
            continue;
        }
        assert!(side.read < other.written, "read more than was written");
        assert_eq!(*byte, word(other.role(), side.read), "read what was not written, at {}", side.read);
        side.read += 1;
    }
    !bytes.is_empty()
}

/// Settings: levels, entry, configurations, flags. Then calls, each with its arguments; other octets are added to what
/// is on its way to the server.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let (up, down) = (script.pick(Level::ALL), script.pick(&[Level::May, Level::Encrypt]));
    let entry = script.pick(Entry::ALL);
    let client = &CLIENTS[usize::from(script.octet()) % CLIENTS.len()];
    let server = &SERVERS[usize::from(script.octet()) % SERVERS.len()];
    let [discard, banner, ..] = script.flags();
    let strict = !matches!(Policy::new(up).effective_level(HOST), Ok(Level::None | Level::May));
    let mut c = Side::new(|| Session::client(client, &Policy::new(up), HOST), entry, strict);
    let mut s = Side::new(|| Session::server(server, &Policy::new(down)), entry, false);
    if entry == Entry::Greeting {
        s.ahead = EHLO.len();
    }
    s.begun = entry != Entry::Command;
    assert!(s.watched.session.set_discard(discard).is_ok());
    // What it says is no pattern's.
    if banner && entry == Entry::Handshake {
        let banner: Vec<u8> = (0..36).map(|at| word(Role::Server, at)).collect();
        assert!(s.watched.session.set_banner(&banner).is_ok());
        s.written = banner.len();
    }
    let mut honest = true;
    while let Some(step) = script.step() {
        match step {
            Step::Octets(octets) => {
                c.way.extend_from_slice(octets);
                honest = false;
            }
            Step::Call(call) => {
                let upper = call.is_ascii_uppercase();
                let (one, other) = if upper { (&mut c, &mut s) } else { (&mut s, &mut c) };
                match call.to_ascii_lowercase() {
                    b'g' => {
                        let most = script.size();
                        go(&mut c, &mut s, entry, most.max(1), 20);
                    }
                    b's' => begin(one, other, entry),
                    b't' => drop(one.take(script.size())),
                    b'd' => drop(deliver(one, other, script.size())),
                    b'w' => one.write(script.size(), false),
                    b'm' => one.write(script.size(), true),
                    b'r' => drop(read(one, other, script.size())),
                    call => {
                        honest = false;
                        let up = one.watched.up;
                        tamper(call, one, &mut script);
                        if one.watched.up && !up {
                            // It went on without an EHLO.
                            other.ahead = 0;
                        }
                    }
                }
            }
        }
        // A way of any length would be the harness's own.
        for side in [&mut c, &mut s] {
            side.way.truncate(1 << 18);
        }
    }
    go(&mut c, &mut s, entry, usize::MAX, 100);
    agree(&c, &s, honest && up != Level::None && up != Level::Fingerprint && server.has_keypair());
}

/// Starts, or goes on. At the command the server's program reads the command before.
fn begin(one: &mut Side, other: &mut Side, entry: Entry) {
    const COMMAND: &[u8] = b"STARTTLS\r\n";
    if entry == Entry::Command && one.role() == Role::Server && !one.begun {
        if !other.way.starts_with(COMMAND) {
            return;
        }
        other.way.drain(..COMMAND.len());
    }
    if !one.watched.up {
        one.start();
    }
}

/// Gives the other side octets that are on their way.
fn deliver(from: &mut Side, to: &mut Side, most: usize) -> bool {
    if !to.begun {
        return false;
    }
    if from.way.is_empty() || to.role() == Role::Server && to.watched.session.error().is_some() {
        from.way.clear();
        return false;
    }
    let most = most.min(from.way.len());
    let taken = if most == 0 { 0 } else { to.watched.feed(&from.way[..most]) };
    from.way.drain(..taken);
    taken > 0
}

/// Lets both go on, in pieces of this size, until both are quiet.
fn go(c: &mut Side, s: &mut Side, entry: Entry, piece: usize, rounds: usize) {
    for _ in 0..rounds {
        let mut moved = false;
        if !c.watched.up {
            begin(c, s, entry);
        }
        if c.watched.up {
            drop(c.watched.session.flush());
        }
        moved |= c.take(piece);
        if !s.watched.up {
            begin(s, c, entry);
        }
        moved |= deliver(c, s, piece);
        if s.watched.up {
            moved |= read(s, c, 5000);
            // What a server's program says to EHLO.
            if s.written == 0 {
                s.write(36, false);
            }
            drop(s.watched.session.flush());
        }
        moved |= s.take(piece);
        moved |= deliver(s, c, piece);
        if c.watched.up {
            moved |= read(c, s, 5000);
        }
        if !moved {
            return;
        }
    }
}

/// Does something to what is on its way, or to the session that sent it.
fn tamper(call: u8, one: &mut Side, script: &mut Script<'_>) {
    if !b"fklbvi".contains(&call) {
        let which = script.octet();
        // Refusing is the first.
        one.refused |= which % CALLS == 0;
        return one.watched.call(which);
    }
    let at = script.size().min(one.way.len());
    match call {
        b'f' => {
            if let Some(byte) = one.way.get_mut(at) {
                *byte ^= 1 << (script.octet() % 8);
            }
        }
        b'k' => drop(one.way.drain(..at)),
        b'l' => one.way.truncate(at),
        b'b' => {
            let twice = one.way[..at].to_vec();
            one.way.splice(0..0, twice);
        }
        b'v' => one.way.rotate_left(at),
        _ => drop(one.way.splice(at..at, script.until(0).iter().copied())),
    }
}

/// What holds at the end.
fn agree(c: &Side, s: &Side, honest: bool) {
    let (client, server) = (c.watched.session.info(), s.watched.session.info());
    if let (Some(client), Some(server)) = (client, server) {
        assert_eq!(client.version(), server.version());
        assert_eq!(client.cipher(), server.cipher());
        assert_eq!(client.group(), server.group());
        assert_eq!(client.alpn(), server.alpn());
        assert_eq!(client.resumed(), server.resumed());
        assert_eq!(client.channel_binding(), server.channel_binding());
        assert_eq!(client.server_signature(), server.server_signature());
        assert_eq!(client.server_end_point(), server.server_end_point());
        assert_eq!(server.server_name(), Some(HOST));
    }
    // Nobody was between them, and no program did anything odd.
    if honest && c.watched.error.is_none() && s.watched.error.is_none() {
        assert!(c.watched.up && client.is_some(), "an honest server, and no TLS");
        assert!(!c.watched.session.is_truncated());
    }
    if honest {
        if let Some(error) = &c.watched.error {
            // Who must show a certificate and has none, or wants one that there is not.
            assert!(error.code() != smtptls::Code::Internal, "{error:?}");
            assert!(matches!(error.code().number(), -79..=-20 | -10), "an honest server, and {error:?}");
        }
    }
}
