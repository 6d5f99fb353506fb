//! An honest peer inside TLS, who takes over from the fuzzer. What a session reads is what this peer wrote and nothing
//! else, whatever was said before.

use smtptls::{Config, Entry, Level, Policy, Progress, Role, Session};

use crate::watched::Watched;
use crate::world::HOST;

/// What the peer says inside TLS, over and over; the beginning of it answers an EHLO.
const WORDS: &[u8] = b"250-honest.example.test\r\n250 SIZE 1000\r\n";

/// The peer.
pub struct Honest {
    pub session: Session,
    up: bool,
    /// How much it has written, and how much of that was read.
    written: usize,
    read: usize,
    pub closed: bool,
    /// What is on its way to the watched session.
    down: Vec<u8>,
}

impl Honest {
    /// A server for a client, or the other way round. Neither asks for anything, so that only the watched one judges.
    pub fn new(watched: &mut Watched, of: Role, config: &Config) -> Honest {
        let session = watched.beside(|_| {
            let policy = Policy::new(Level::May);
            match of {
                Role::Server => Session::server(config, &policy),
                Role::Client => Session::client(config, &policy, HOST),
            }
        });
        Honest { session, up: false, written: 0, read: 0, closed: false, down: Vec::new() }
    }

    /// Carries octets until both are quiet.
    pub fn carry(&mut self, watched: &mut Watched) {
        for _ in 0..50 {
            let _ = watched.start(0);
            if watched.up {
                drop(watched.session.flush());
            }
            watched.take(usize::MAX);
            let fed = watched.beside(|up| self.turn(&up));
            let down = std::mem::take(&mut self.down);
            let mut rest = &down[..];
            while !rest.is_empty() {
                let taken = watched.feed(rest);
                rest = &rest[taken..];
                self.hear(watched);
                if taken == 0 {
                    break;
                }
            }
            let quiet = fed == 0 && down.is_empty();
            self.down = down;
            if quiet {
                return;
            }
        }
    }

    /// Starts or goes on, takes what came, and leaves in `down` what it has to send. How much it took.
    fn turn(&mut self, up: &[u8]) -> usize {
        if !self.up {
            self.up = matches!(self.session.start(Entry::Handshake, 0), Ok(Progress::Done(())));
            crate::world::sign(&mut self.session);
            drop(self.session.flush());
        }
        let fed = self.session.feed_some(up);
        if self.up {
            self.speak();
        }
        self.down.clear();
        self.down.extend_from_slice(self.session.output());
        self.session.sent(self.down.len());
        fed
    }

    /// Reads what came, and answers each time.
    fn speak(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(Progress::Done(1..)) = self.session.read(&mut buffer) {
            if let Ok(Progress::Done(count)) = self.session.write(WORDS, false) {
                self.written += count;
            }
        }
    }

    /// Ends TLS in order.
    pub fn close(&mut self, watched: &mut Watched) {
        drop(self.session.close(smtptls::Close::Send));
        self.closed = true;
        self.carry(watched);
    }

    /// The watched session reads all that there is.
    pub fn hear(&mut self, watched: &mut Watched) {
        if watched.up {
            self.heard(watched, b"");
        }
        while let Ok(bytes) = watched.read(1000) {
            if bytes.is_empty() {
                return;
            }
            self.heard(watched, &bytes);
        }
    }

    /// What the watched session has read is what was written here.
    pub fn heard(&mut self, watched: &Watched, bytes: &[u8]) {
        let reply = watched.session.reply().unwrap_or_default().as_bytes();
        assert!(reply.is_empty() || reply.starts_with(b"250-honest"), "a reply from before TLS");
        // An answer to EHLO was the session's.
        if watched.session.role() == Role::Client && self.read == 0 && !reply.is_empty() {
            self.read = WORDS.len();
        }
        let said = WORDS.iter().cycle().skip(self.read % WORDS.len());
        assert!(bytes.iter().zip(said).all(|(heard, said)| heard == said), "read what nobody wrote");
        self.read += bytes.len();
        assert!(self.read <= self.written, "read more than was written");
    }
}

trait Feed {
    fn feed_some(&mut self, bytes: &[u8]) -> usize;
}

impl Feed for Session {
    /// No octets at all would be an end.
    fn feed_some(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() { 0 } else { self.feed(bytes) }
    }
}
