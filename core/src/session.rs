//! The engine: one SMTP connection on its way to TLS, and then in it. It does no I/O.
//!
//! Bytes that came go in by `feed`, bytes to send come out by `output`; `start`, `read`, `write`, `refuse`
//! and `close` say whether they are done or what they want first. `dialog` decides, `tls` encrypts; here is
//! what carries bytes between them and keeps the two worlds apart.

mod dialogue;
mod handshake;
mod setup;
mod steps;
mod transfer;

pub use steps::{Close, Entry, Progress};
use transfer::OUTPUT;

use std::sync::Arc;

use crate::buffer::{Buffer, MOST};
use crate::demand::Demand;
use crate::dialog::State;
use crate::error::Failure;
use crate::line::Scanner;
use crate::outcome::Stage;
use crate::reply::Replies;
use crate::tls::Tls;
use crate::tlsrpt::Report;
use crate::{Code, Config, Error, Info, Level, Policy, Protocol, Role};

/// One SMTP connection on its way to TLS, and then in it.
///
/// What was learnt before TLS is forgotten when TLS begins (RFC 3207 section 4.2), and no byte that was read
/// before it is ever part of what comes after.
pub struct Session {
    role: Role,
    protocol: Protocol,
    config: Config,
    policy: Policy,
    /// The name that a client's policy is about.
    host: String,
    /// What the policy comes to for the host.
    demand: Demand,
    /// What belongs into a report, so far.
    reports: Vec<Report>,
    /// What a server offers besides STARTTLS, before TLS.
    extensions: Vec<String>,
    /// The command that a server's program has read, for `Entry::Command`.
    command: Option<String>,

    entry: Option<Entry>,
    state: State,
    stage: Stage,
    started: bool,
    error: Option<Error>,

    /// What came from the peer and is not used.
    input: Buffer,
    /// What is to be sent.
    output: Vec<u8>,
    /// How much of the front of `output` was sent.
    sent: usize,
    /// How much of the end of `output` may wait for company: a lone ChangeCipherSpec, Finished, tickets.
    deferred: bool,
    /// The peer closed the connection.
    eof: bool,

    replies: Replies,
    commands: Scanner,
    /// A malformed command is being skipped to its end.
    skipping: bool,
    /// The text of a server's greeting, behind its name.
    greeting: Option<String>,
    /// What a server says as soon as TLS can send.
    banner: Option<Vec<u8>>,
    /// What a client sends in plaintext behind STARTTLS is dropped, and not an error.
    discards: bool,
    /// Where TLS is required, HELO, HELP and XCLIENT are exempt.
    exempts_more: bool,
    reply: Option<String>,
    hello: Option<String>,

    tls: Option<Tls>,
    /// Whether the first byte after 220 was seen, and looks like TLS.
    tls_began: bool,
    /// Lines of the dialogue inside TLS.
    lines: Buffer,
    /// Bytes that wait for more, to leave in one record.
    gathered: Vec<u8>,
    close_sent: bool,
    verdict: Option<Failure>,
    info: Option<Arc<Info>>,
}

impl Session {
    /// A client's session. `host` is the name that the policy is about; in mail routing that is the MX host.
    /// Whatever is wrong with it is reported by `start`.
    pub fn client(config: &Config, policy: &Policy, host: &str) -> Session {
        let mut session = Session::new(Role::Client, State::Client, config, policy);
        session.host = host.to_string();
        session
    }

    /// A server's session. The policy's level says whether STARTTLS is offered or required.
    pub fn server(config: &Config, policy: &Policy) -> Session {
        let state = match (config.has_keypair(), policy.level()) {
            (false, _) | (true, Level::None) => State::Cannot,
            (true, Level::May) => State::Offers,
            (true, _) => State::Requires,
        };
        Session::new(Role::Server, state, config, policy)
    }

    fn new(role: Role, state: State, config: &Config, policy: &Policy) -> Session {
        Session {
            role,
            protocol: Protocol::Smtp,
            config: config.clone(),
            policy: policy.clone(),
            host: String::new(),
            demand: Demand::nothing(policy.level()),
            reports: Vec::new(),
            extensions: Vec::new(),
            command: None,
            entry: None,
            state,
            stage: Stage::Local,
            started: false,
            error: None,
            input: Buffer::default(),
            output: Vec::new(),
            sent: 0,
            deferred: false,
            eof: false,
            replies: Replies::default(),
            commands: Scanner::default(),
            skipping: false,
            greeting: None,
            banner: None,
            discards: false,
            exempts_more: false,
            reply: None,
            hello: None,
            tls: None,
            tls_began: false,
            lines: Buffer::default(),
            gathered: Vec::new(),
            close_sent: false,
            verdict: None,
            info: None,
        }
    }

    /// Does what is left of the dialogue, then the TLS handshake, then the judgement.
    ///
    /// `Done` means one thing: TLS is up and the policy is met. Anything else that is final is an error, and
    /// its `action` says what the policy lets the program do.
    ///
    /// `unread` is how many bytes the program has read from the peer beyond what `entry` says, and not used.
    /// It must be 0: anything else was injected (CVE-2011-0411), and fails before a byte is sent.
    ///
    /// Call again with the same arguments until it is done. After an error too, send what `output` shows: it
    /// is the reply or the alert that tells the peer.
    pub fn start(&mut self, entry: Entry, unread: usize) -> Result<Progress, Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        match self.entry {
            None if self.state == State::Closed => {
                return Err(Error::local(Code::State, "start comes before close"));
            }
            None => {
                self.entry = Some(entry);
                if let Err(failure) = self.check(entry, unread) {
                    self.state = State::Closed;
                    return Err(self.failed(failure));
                }
                if let Err(failure) = self.step(self.first_event(entry)) {
                    return Err(self.failed(failure));
                }
            }
            Some(_) if self.started => return Err(self.start_again(entry)),
            Some(_) if self.state == State::Closed => {
                return Err(Error::local(Code::State, "start comes before close"));
            }
            Some(begun) if begun != entry => {
                return Err(Error::local(Code::State, "start was begun at another entry"));
            }
            Some(_) => {}
        }
        match self.drive() {
            Ok(Progress::Done(())) => {
                self.started = true;
                Ok(Progress::Done(()))
            }
            Ok(progress) => Ok(progress),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    /// STARTTLS while TLS is active: no byte from a client, 503 from a server (RFC 3207 section 4.2 forbids
    /// the first and is silent on the second).
    fn start_again(&mut self, entry: Entry) -> Error {
        if self.role == Role::Server && entry == Entry::Command && self.state == State::Secured {
            // A failure to encrypt shows at the next call.
            drop(self.say(crate::dialog::ACTIVE));
        }
        Error::local(Code::State, "TLS is already active")
    }

    /// Keeps the first error for good: a session that failed stays failed.
    fn failed(&mut self, failure: Failure) -> Error {
        self.reports_of(failure.report(self.stage).filter(|_| self.role == Role::Client));
        let error = self.judge(failure);
        self.input_of_the_dead();
        self.error.get_or_insert(error).clone()
    }

    fn reports_of(&mut self, found: impl IntoIterator<Item = Report>) {
        for report in found {
            if !self.reports.contains(&report) {
                self.reports.push(report);
            }
        }
    }

    fn judge(&self, failure: Failure) -> Error {
        failure.judge(self.role, self.demand.level, self.stage, self.state == State::Plain)
    }

    /// Nothing that was read is of use on a connection that cannot be used.
    fn input_of_the_dead(&mut self) {
        if self.state == State::Closed {
            self.input = Buffer::default();
            self.lines = Buffer::default();
        }
        self.deferred = false;
    }

    /// Takes bytes that came from the peer, as many as there is room for, and says how many. None at all
    /// (`b""`) means that the peer closed the connection, as with `recv`.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        match bytes.is_empty() {
            true => self.eof = true,
            false if self.state == State::Closed => return bytes.len(),
            false => {}
        }
        self.input.push(bytes)
    }

    /// Room to read into, for `Stream`.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.input.space()
    }

    /// Says how much was read into `space`; 0 is the end.
    pub(crate) fn filled(&mut self, count: usize) {
        self.eof |= count == 0;
        self.input.filled(count);
    }

    /// Gives memory back that an idle session does not need. `Stream` does so after each call; who carries the octets
    /// may do it before a long wait.
    pub fn rest(&mut self) {
        self.input.release();
        self.lines.release();
        if let Some(tls) = &mut self.tls {
            tls.rest();
        }
        for empty in [&mut self.output, &mut self.gathered] {
            if empty.is_empty() {
                *empty = Vec::new();
            }
        }
    }

    /// The bytes to send to the peer. They stay until `sent`. What can wait for company is not shown: it
    /// leaves with what is written next.
    pub fn output(&self) -> &[u8] {
        if self.deferred { &[] } else { &self.output[self.sent..] }
    }

    /// Drops the first `count` bytes of the output; they were sent.
    pub fn sent(&mut self, count: usize) {
        self.sent += count.min(self.output().len());
        // All of it, or so much that moving the rest is little beside it: what is written while the last octet waits must
        // not make it grow for ever.
        if self.sent == self.output.len() || self.sent >= OUTPUT {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// The last SMTP reply that a client received, its lines joined by `\n`. Before TLS it is forgotten when
    /// TLS begins; after `start` from the greeting it is the reply to the EHLO inside TLS.
    pub fn reply(&self) -> Option<&str> {
        self.reply.as_deref()
    }

    /// The last hello that a server answered in plaintext, as it came: `EHLO client.example`. Forgotten when
    /// TLS begins.
    pub fn hello(&self) -> Option<&str> {
        self.hello.as_deref()
    }

    /// Whether TLS is active: the handshake is done, and nobody has closed.
    pub fn is_tls(&self) -> bool {
        matches!(self.state, State::HelloAgain | State::Secured | State::Rejected | State::Refusing)
    }

    /// The facts of the TLS connection, once the handshake is done; also if the policy is not met.
    pub fn info(&self) -> Option<&Info> {
        self.info.as_deref()
    }

    /// The same, to be kept longer than the session.
    pub fn shared_info(&self) -> Option<Arc<Info>> {
        self.info.clone()
    }

    /// What the session waits for, in a message.
    pub(crate) fn situation(&self) -> &'static str {
        match self.state {
            State::Greeting => "waiting for the server's greeting",
            State::Hello | State::Helo | State::HelloAgain => "waiting for the reply to EHLO",
            State::Starttls => "waiting for the reply to STARTTLS",
            State::Handshake => "in the TLS handshake",
            state if state.awaits_command() => "waiting for a command",
            _ => "exchanging data with the peer",
        }
    }

    /// The peer has sent a handshake that fits no buffer.
    fn too_much(&mut self) -> Failure {
        let message = format!("the peer sent more than {MOST} octets {}", self.situation());
        self.broken(Failure::new(Code::TooLong, message))
    }

    /// The transport failed, and with it the session; but a limit of time that ran out after `start` leaves it
    /// as it was.
    pub(crate) fn transport_failed(&mut self, error: &std::io::Error) -> Error {
        let failure = Failure::io(self.situation(), error);
        // Silence after the verdict is the program's to judge: a server says 421 then, inside TLS.
        if failure.code == Code::Timeout && self.state == State::Secured && self.started {
            return self.judge(failure);
        }
        // RFC 5321 section 3.8: a server that closes for a client's silence says so.
        let commanding = self.state.awaits_command();
        if commanding && failure.code == Code::Timeout {
            drop(self.say(crate::dialog::SILENCE));
        }
        if failure.code == Code::Io {
            // Nobody will get it.
            self.output.clear();
            self.sent = 0;
        }
        self.state = State::Closed;
        self.failed(failure)
    }

    /// Says that the time allowed has run out, and what follows from it: `Timeout`, or the error with which the session
    /// had failed already. For who carries the octets; a `Stream` has limits of its own. In `start` that is final, and
    /// there and in `refuse` a client that was to send a command gets 421, which `output` shows. Elsewhere the session is
    /// as it was.
    pub fn expire(&mut self) -> Error {
        let late = std::io::ErrorKind::TimedOut.into();
        match &self.error {
            Some(error) if self.state != State::Refusing => error.clone(),
            None if self.state == State::Closed => self.judge(Failure::io(self.situation(), &late)),
            _ => self.transport_failed(&late),
        }
    }

    /// What belongs into an SMTP TLS report (RFC 8460), also of a session that succeeded: under an MTA-STS policy in
    /// mode testing what would have failed, and TLSA records that are all unusable. Types are not exclusive.
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// Why the session failed.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// The effective level.
    pub(crate) fn level(&self) -> Level {
        self.demand.level
    }

    /// Whether nothing insecure lies between the destination and the host.
    pub(crate) fn mx_validated(&self) -> bool {
        self.demand.mx_validated
    }

    /// Which side the session plays.
    pub fn role(&self) -> Role {
        self.role
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-8: output that is never quite empty gives back what was sent.
    #[test]
    fn output_does_not_grow_while_an_octet_waits() {
        let config = Config::builder().freeze().unwrap();
        let mut session = Session::client(&config, &Policy::new(Level::May), "mx.example.test");
        for _ in 0..1000 {
            session.output.extend_from_slice(&[b'x'; 4096]);
            session.sent(session.output().len() - 1);
        }
        assert_eq!(session.output(), b"x");
        assert!(session.output.len() < 2 * OUTPUT);
    }
}
