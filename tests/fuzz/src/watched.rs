//! A session whose every call is checked for what holds in any: TLS or nothing, errors that stay, bounds.

use smtptls::{Action, Close, Entry, Error, Progress, Role, Session};

use crate::memory::held;
use crate::wire::Wire;
use crate::world::sign;

/// The most that a session holds: input, plaintext and output, each with its spare room, and rustls' own. SEC-8.
const MOST: usize = 1 << 20;
/// The most input that waits: `core/src/buffer.rs`.
const MOST_INPUT: usize = 144 * 1024;

/// How many calls `Watched::call` has. The first is `refuse`.
pub const CALLS: u8 = 10;

/// The session, and what is known of it.
pub struct Watched {
    pub session: Session,
    entry: Entry,
    /// Whether plaintext is never allowed.
    strict: bool,
    pub wire: Wire,
    /// `start` was done, or its verdict passed over.
    pub up: bool,
    pub closed: bool,
    /// The error that has to stay, once there is one.
    pub error: Option<Error>,
    /// Input that no call had a chance to use.
    waiting: usize,
    /// How much others hold: all that was there before it was made, and what the peer has come to hold.
    others: usize,
}

impl Watched {
    pub fn new(make: impl FnOnce() -> Session, entry: Entry, strict: bool) -> Watched {
        crate::quiet_about_the_known();
        let others = held();
        let session = make();
        let wire = Wire::new(session.role());
        let (up, closed, error, waiting) = (false, false, None, 0);
        Watched { session, entry, strict, wire, up, closed, error, waiting, others }
    }

    /// Starts, or goes on.
    pub fn start(&mut self, unread: usize) -> Result<Progress, Error> {
        let before = self.session.error().cloned();
        let result = self.session.start(self.entry, unread);
        if let Some(before) = before {
            assert_eq!(result, Err(before), "an error did not stay");
        }
        match &result {
            Ok(Progress::Done(())) => {
                let (role, info) = (self.session.role(), self.session.info());
                assert!(
                    self.session.is_tls() && info.is_some(),
                    "the {role:?} is done without TLS: {info:?}"
                );
                assert!(self.session.error().is_none(), "done with an error");
                self.up = true;
            }
            Ok(Progress::WantSignature) => {
                sign(&mut self.session);
                return self.start(unread);
            }
            Ok(_) => {}
            Err(error) if self.session.error() == Some(error) => self.failed(error),
            // A mistake in the order of calls, which changes nothing.
            Err(_) => {}
        }
        self.waiting = 0;
        self.check();
        result
    }

    /// What holds of an error of `start`.
    fn failed(&self, error: &Error) {
        // Plaintext is never allowed where the policy asks for more: SEC-5, SEC-6.
        let plain = matches!(error.action(), Action::Continue | Action::Reconnect);
        assert!(!plain || !self.strict, "plaintext is allowed by {error:?}");
        assert!(!error.message().contains(['\r', '\n', '\0']), "{error:?}");
    }

    /// Gives octets from the peer, as many as it takes.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let taken = self.session.feed(bytes);
        assert!(taken <= bytes.len());
        self.waiting += taken;
        let dropped = self.closed || self.session.error().is_some();
        assert!(dropped || self.waiting <= MOST_INPUT, "{} octets of input wait", self.waiting);
        self.check();
        taken
    }

    /// What it has to send, up to so many octets.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        let output = self.session.output();
        let bytes = output[..output.len().min(most)].to_vec();
        self.session.sent(bytes.len());
        let (entry, role) = (self.entry, self.session.role());
        self.wire.sent(&bytes, |wire| {
            entry == Entry::Handshake
                || match role {
                    Role::Client => wire.verbs.last().is_some_and(|verb| verb == "STARTTLS"),
                    Role::Server => wire.ready,
                }
        });
        self.check();
        bytes
    }

    /// Reads; an end or nothing yet is nothing.
    pub fn read(&mut self, most: usize) -> Result<Vec<u8>, Error> {
        let mut buffer = vec![0; most];
        let result = self.session.read(&mut buffer);
        if !self.up {
            assert!(result.is_err(), "read before TLS");
        }
        self.waiting = 0;
        self.check();
        match result? {
            Progress::Done(count) => buffer.truncate(count),
            _ => buffer.clear(),
        }
        Ok(buffer)
    }

    /// Writes, and says how much was taken.
    pub fn write(&mut self, data: &[u8], more: bool) -> Result<usize, Error> {
        let result = self.session.write(data, more);
        if !self.up {
            assert!(result.is_err(), "written before TLS");
        }
        self.check();
        match result? {
            Progress::Done(count) => Ok(count),
            _ => Ok(0),
        }
    }

    /// The other calls, by a number. Whatever they return, what holds in any session holds after them.
    pub fn call(&mut self, which: u8) {
        match which % CALLS {
            0 => drop(self.session.refuse()),
            1 => {
                let before = self.error.take();
                match self.session.insecure_continue() {
                    Ok(()) => {
                        assert!(self.session.is_tls(), "went on without TLS");
                        self.up = true;
                    }
                    Err(_) => self.error = before,
                }
            }
            2..=4 => {
                let how = Close::ALL[usize::from(which % CALLS - 2)];
                self.closed |= how != Close::Half;
                drop(self.session.close(how));
            }
            5 => drop(self.session.flush()),
            6 => drop(self.session.pending()),
            7 => {
                self.session.feed(b"");
            }
            8 => drop(self.session.check_requiretls(true)),
            _ => {
                let error = self.session.expire();
                assert!(
                    !self.session.is_tls() || self.up || self.session.error() == Some(&error),
                    "{error:?}"
                );
            }
        }
        self.waiting = 0;
        self.check();
    }

    /// What the peer does with all that came to it; the memory that this takes is not the session's.
    pub fn beside<T>(&mut self, work: impl FnOnce(Vec<u8>) -> T) -> T {
        let without = held() - self.wire.kept.capacity();
        let result = work(std::mem::take(&mut self.wire.kept));
        self.others = self.others + held() - without;
        result
    }

    /// What holds after every call.
    fn check(&mut self) {
        let session = &self.session;
        let holds = held().saturating_sub(self.others + self.wire.kept.capacity());
        assert!(holds < MOST, "a session holds {holds} octets, {} of them to send", session.output().len());
        match &self.error {
            Some(error) => assert_eq!(session.error(), Some(error), "an error did not stay"),
            None => self.error = session.error().cloned(),
        }
        if session.is_tls() {
            assert!(session.info().is_some(), "TLS without its facts");
        }
        // What was learnt before TLS is forgotten: R3207-4.2-1.
        if self.wire.tls && session.info().is_none() {
            assert!(session.reply().is_none() && session.hello().is_none(), "plaintext is remembered in TLS");
        }
    }
}
