//! The engine after the verdict: reading, writing, leaving.

use super::{Close, Progress, Session};
use crate::dialog::{Event, State};
use crate::error::Failure;
use crate::tls::Tls;
use crate::{Code, Error, Role};

/// The most that `gathered` holds: one record.
const RECORD: usize = 16 * 1024;
/// With this much to send, `write` takes no more, and a server answers no command.
pub(super) const OUTPUT: usize = 64 * 1024;

impl Session {
    /// Reads decrypted bytes. `Done(0)` is the end, with or without close_notify: SMTP frames itself, and
    /// `is_truncated` tells which it was.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Progress<usize>, Error> {
        self.usable("read")?;
        if buffer.is_empty() {
            return Ok(Progress::Done(0));
        }
        match self.read_or_fail(buffer) {
            Ok(progress) => Ok(progress),
            Err(failure) => Err(self.broken_off(failure)),
        }
    }

    fn read_or_fail(&mut self, buffer: &mut [u8]) -> Result<Progress<usize>, Failure> {
        self.flush_gathered()?;
        if self.decrypt()? {
            let tls = self.tls.as_mut();
            return Ok(Progress::Done(tls.map_or(0, |tls| tls.read(buffer))));
        }
        if self.is_over() {
            return Ok(Progress::Done(0));
        }
        // The peer may be waiting for what is deferred, so it goes before more is asked for. A server's
        // tickets are waited for by nobody.
        if self.role == Role::Client {
            self.deferred = false;
        }
        Ok(if self.output().is_empty() { Progress::WantInput } else { Progress::WantOutput })
    }

    /// Uses records until there is plaintext, and says whether there is.
    fn decrypt(&mut self) -> Result<bool, Failure> {
        let Some(tls) = &mut self.tls else { return Ok(false) };
        if tls.plaintext() > 0 {
            return Ok(true);
        }
        let before = self.output.len();
        let result = tls.advance(&mut self.input, &mut self.output);
        if self.output.len() > before {
            // An answer to a key update, or an alert: not what can wait.
            self.deferred = false;
        }
        result?;
        Ok(self.tls.as_ref().is_some_and(|tls| tls.plaintext() > 0))
    }

    /// No more bytes will come: the peer sent close_notify, or closed without it.
    fn is_over(&self) -> bool {
        self.eof || self.tls.as_ref().is_some_and(Tls::peer_closed)
    }

    /// Whether the peer closed the connection without close_notify.
    pub fn is_truncated(&self) -> bool {
        self.eof && self.tls.as_ref().is_some_and(|tls| !tls.peer_closed())
    }

    /// How many bytes `read` can return without anything from the peer. Look here before waiting for a
    /// descriptor.
    pub fn pending(&mut self) -> usize {
        if self.state != State::Secured {
            return 0;
        }
        // A failure shows at the next `read`, which meets it again.
        match self.decrypt() {
            Ok(_) => self.tls.as_ref().map_or(0, Tls::plaintext),
            Err(failure) => {
                self.broken_off(failure);
                0
            }
        }
    }

    /// Takes bytes to encrypt and send, and says how many: less than all, or `WantOutput`, only while much
    /// waits to be sent. With `more` they may wait for what is written next and leave in one record with it;
    /// `read`, `close`, `flush` and a `write` without `more` let them go.
    pub fn write(&mut self, data: &[u8], more: bool) -> Result<Progress<usize>, Error> {
        self.usable("write")?;
        if self.close_sent {
            return Err(Error::local(Code::State, "write comes before close"));
        }
        let waiting = self.output.len() - self.sent;
        if waiting >= OUTPUT {
            self.deferred = false;
            return Ok(Progress::WantOutput);
        }
        let taken = &data[..data.len().min(OUTPUT)];
        match self.encrypt(taken, more) {
            Ok(()) => Ok(Progress::Done(taken.len())),
            Err(failure) => Err(self.broken_off(failure)),
        }
    }

    fn encrypt(&mut self, mut data: &[u8], more: bool) -> Result<(), Failure> {
        if more || !self.gathered.is_empty() {
            while !data.is_empty() {
                let room = (RECORD - self.gathered.len()).min(data.len());
                self.gathered.extend_from_slice(&data[..room]);
                data = &data[room..];
                if self.gathered.len() == RECORD {
                    self.flush_gathered()?;
                }
            }
            return if more { Ok(()) } else { self.flush_gathered() };
        }
        match &mut self.tls {
            Some(tls) if !data.is_empty() => {
                self.deferred = false;
                tls.write(data, &mut self.input, &mut self.output)
            }
            _ => Ok(()),
        }
    }

    fn flush_gathered(&mut self) -> Result<(), Failure> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        self.deferred = false;
        let result = match &mut self.tls {
            Some(tls) => tls.write(&self.gathered, &mut self.input, &mut self.output),
            None => Ok(()),
        };
        // Mail is nobody else's business: do not leave it in freed memory for longer than need be. It is no key either, and
        // `zeroize` sets octet by octet what `fill` sets in a sixtieth of the time.
        self.gathered.fill(0);
        std::hint::black_box(&mut self.gathered).clear();
        result
    }

    /// Lets everything go that waits for company.
    pub fn flush(&mut self) -> Result<Progress, Error> {
        let result = self.flush_gathered();
        self.deferred = false;
        match result {
            Ok(()) if self.output().is_empty() => Ok(Progress::Done(())),
            Ok(()) => Ok(Progress::WantOutput),
            Err(failure) => Err(self.broken_off(failure)),
        }
    }

    /// Leaves politely after a verdict or by the program's own choice, as RFC 3207 section 4.1 asks: a client
    /// says QUIT at once, in plaintext too if TLS did not begin; a server answers 554 to all but QUIT until
    /// the client leaves.
    pub fn refuse(&mut self) -> Result<Progress, Error> {
        let event = match self.role {
            Role::Client => Event::ClientRefuses,
            Role::Server => Event::ServerRefuses,
        };
        if !matches!(self.state, State::Refusing | State::Closed) {
            if crate::dialog::next(self.state, event).is_none() {
                return Err(Error::local(
                    Code::State,
                    "refuse has no place here: there is nothing to refuse",
                ));
            }
            if let Err(failure) = self.flush_gathered().and_then(|()| self.step(event)) {
                return Err(self.broken_off(failure));
            }
        }
        let progress = match self.drive() {
            // The client left without QUIT; that ends it as well.
            Err(failure) if matches!(failure.code, Code::Eof | Code::Truncated) => Progress::Done(()),
            Err(failure) => return Err(self.broken_off(failure)),
            Ok(progress) => progress,
        };
        if self.state == State::Closed && self.info.is_some() && !self.close_sent {
            self.send_close_notify();
            return Ok(if self.output().is_empty() { Progress::Done(()) } else { Progress::WantOutput });
        }
        Ok(progress)
    }

    /// Goes on although the policy is not met. The peer is not who it should be: use it for a warning that a
    /// person reads, and for nothing else. A session from the greeting has not said EHLO again.
    pub fn insecure_continue(&mut self) -> Result<(), Error> {
        if self.state != State::Rejected || self.verdict.is_none() {
            return Err(Error::local(Code::State, "there is no failed verdict to pass over"));
        }
        self.started = true;
        self.stage = crate::outcome::Stage::Secured;
        self.step(Event::InsecureContinue).map_err(|failure| self.broken_off(failure))
    }

    /// Tells the peer that nothing more will be sent; before TLS there is nothing to tell. Fails with
    /// `Truncated` if the peer had closed the connection without saying so.
    pub fn close(&mut self, how: Close) -> Result<Progress, Error> {
        match self.close_or_fail(how) {
            Ok(progress) => Ok(progress),
            Err(failure) => {
                self.state = State::Closed;
                Err(self.judge(failure))
            }
        }
    }

    fn close_or_fail(&mut self, how: Close) -> Result<Progress, Failure> {
        let up = matches!(self.state, State::Secured | State::Rejected | State::HelloAgain | State::Refusing);
        if up && !self.close_sent {
            self.flush_gathered()?;
            self.send_close_notify();
        }
        if !self.output().is_empty() && !self.eof {
            return Ok(Progress::WantOutput);
        }
        while up && how == Close::Wait && !self.is_over() {
            let mut dropped = [0; 1024];
            if self.decrypt()? {
                if let Some(tls) = &mut self.tls {
                    tls.read(&mut dropped);
                }
            } else if !self.is_over() {
                return Ok(Progress::WantInput);
            }
        }
        if self.is_truncated() && self.info.is_some() {
            return Err(Failure::new(Code::Truncated, Code::Truncated.text()));
        }
        if how != Close::Half {
            self.state = State::Closed;
        }
        Ok(Progress::Done(()))
    }

    fn send_close_notify(&mut self) {
        self.deferred = false;
        self.close_sent = true;
        if let Some(tls) = &mut self.tls {
            // A connection that cannot send any more has nothing to say either.
            drop(tls.close_notify(&mut self.input, &mut self.output));
        }
    }

    /// Bytes that came and belong to the program: on a server that the client left in plaintext, from the
    /// command on that made it so; after the peer's close_notify, what followed it.
    pub fn leftover(&self) -> &[u8] {
        let plain = self.state == State::Plain && self.role == Role::Server;
        let after = self.tls.as_ref().is_some_and(|tls| tls.peer_closed() && tls.plaintext() == 0);
        if plain || after { self.input.unread() } else { &[] }
    }

    /// Data may pass only while TLS is up and the policy is met.
    fn usable(&self, call: &str) -> Result<(), Error> {
        if self.state == State::Secured && (self.started || self.entry.is_none()) {
            return Ok(());
        }
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.state == State::Closed => {
                Err(Error::local(Code::State, format!("{call} comes before close")))
            }
            None => Err(Error::local(Code::State, format!("{call} comes after start"))),
        }
    }

    fn broken_off(&mut self, failure: Failure) -> Error {
        self.state = State::Closed;
        let error = self.judge(failure);
        self.deferred = false;
        self.error.get_or_insert(error).clone()
    }
}
