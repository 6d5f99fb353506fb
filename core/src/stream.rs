//! The driver: a session over a transport, with limits of time.

use std::io;
use std::time::{Duration, Instant};

use crate::{Close, Entry, Error, Info, Progress, Session};

/// A point in time on the monotonic clock, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No limit.
    pub const NEVER: Deadline = Deadline(None);

    /// That long from now.
    pub fn after(limit: Duration) -> Deadline {
        Deadline::since(Instant::now(), limit)
    }

    /// How much time is left; nothing without a limit.
    pub fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it has passed.
    pub fn is_over(self) -> bool {
        self.remaining().is_some_and(|left| left.is_zero())
    }

    fn sooner(self, other: Deadline) -> Deadline {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Deadline(Some(a.min(b))),
            (a, b) => Deadline(a.or(b)),
        }
    }

    fn of(limit: Option<Duration>) -> Deadline {
        limit.map_or(Deadline::NEVER, Deadline::after)
    }

    fn since(begun: Instant, limit: Duration) -> Deadline {
        Deadline(begun.checked_add(limit))
    }
}

/// How long a call may take. A call that waits for nothing does not look at the clock, which would cost more than to
/// take a line.
struct Time {
    limit: Option<Duration>,
    until: Option<Deadline>,
}

impl Time {
    fn of(limit: Option<Duration>) -> Time {
        Time { limit, until: None }
    }

    fn until(deadline: Deadline) -> Time {
        Time { limit: None, until: Some(deadline) }
    }

    fn deadline(&mut self) -> Deadline {
        *self.until.get_or_insert_with(|| Deadline::of(self.limit))
    }
}

/// What carries the bytes.
///
/// `WouldBlock` becomes `WantInput` or `WantOutput`, `Interrupted` becomes `WantRetry`, and `TimedOut` without
/// an errno the code `Timeout`. Any other error ends the session.
pub trait Transport {
    /// Reads what there is, waiting no longer than `until`; 0 is the end.
    fn read(&mut self, buffer: &mut [u8], until: Deadline) -> io::Result<usize>;
    /// Writes what it can, waiting no longer than `until`.
    fn write(&mut self, bytes: &[u8], until: Deadline) -> io::Result<usize>;
    /// Whether there is anything to wait for. While there is not, the time of `start` does not run.
    fn is_connected(&self) -> bool {
        true
    }
}

/// Which limit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Limit {
    /// For `start` as a whole, however many calls it takes.
    Start = 0,
    /// For each `read`, `write`, `flush`, `refuse` and `close`.
    Io = 1,
}

impl Limit {
    /// Both of them.
    pub const ALL: &'static [Limit] = &[Limit::Start, Limit::Io];

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// RFC 5321 section 4.5.3.2 asks for five minutes at most of its steps.
const DEFAULT: Duration = Duration::from_secs(300);

/// A session over a transport.
pub struct Stream<T> {
    session: Session,
    transport: T,
    start_limit: Option<Duration>,
    io_limit: Option<Duration>,
    /// When `start` was first called with a limit, while it goes on.
    started: Option<Instant>,
    deadline: Deadline,
}

impl<T: Transport> Stream<T> {
    /// Drives `session` over `transport`, with limits of five minutes.
    pub fn new(session: Session, transport: T) -> Stream<T> {
        Stream {
            session,
            transport,
            start_limit: Some(DEFAULT),
            io_limit: Some(DEFAULT),
            started: None,
            deadline: Deadline::NEVER,
        }
    }

    /// Sets a limit of time; `None` waits for ever. One for `start` that is changed while that goes on counts from the
    /// first call that had a limit.
    pub fn set_limit(&mut self, which: Limit, limit: Option<Duration>) {
        match which {
            Limit::Start => self.start_limit = limit,
            Limit::Io => self.io_limit = limit,
        }
    }

    /// Sets a point in time by which all further calls have to be done, beside their own limits.
    pub fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// As [`Session::start`], waiting for the peer.
    pub fn start(&mut self, entry: Entry, unread: usize) -> Result<Progress, Error> {
        let until = match self.start_limit {
            Some(limit) if self.transport.is_connected() => {
                Deadline::since(*self.started.get_or_insert_with(Instant::now), limit)
            }
            _ => Deadline::NEVER,
        };
        let result = self.run(&mut Time::until(until), |session| session.start(entry, unread));
        if result == Ok(Progress::Done(())) {
            // A server may be asked to start once more, to answer STARTTLS inside TLS.
            self.started = None;
        }
        result
    }

    /// As [`Session::read`], waiting for the peer. After `Timeout` the session is as it was.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<Progress<usize>, Error> {
        let mut time = Time::of(self.io_limit);
        loop {
            match self.run(&mut time, |session| session.read(buffer))? {
                // A peer that sends and does not read until that is taken: who cannot send can receive.
                Progress::WantOutput => match self.receive(&mut time)? {
                    Progress::Done(()) => {}
                    Progress::WantRetry => return Ok(Progress::WantRetry),
                    _ => return Ok(Progress::WantOutput),
                },
                done => return Ok(done),
            }
        }
    }

    /// Writes all of `data`, and sends it unless `more` follows. A transport that would block gets as much as
    /// it takes, and the count says how much was taken; what was taken leaves with the next call.
    pub fn write(&mut self, data: &[u8], more: bool) -> Result<Progress<usize>, Error> {
        let mut time = Time::of(self.io_limit);
        let mut taken = 0;
        loop {
            if let Progress::Done(count) = self.session.write(&data[taken..], more)? {
                taken += count;
                if taken == data.len() && (more || self.session.output().is_empty()) {
                    return Ok(Progress::Done(taken));
                }
            }
            match self.send(&mut time)? {
                Progress::Done(()) if taken == data.len() => return Ok(Progress::Done(taken)),
                Progress::Done(()) => {}
                _ if taken > 0 => return Ok(Progress::Done(taken)),
                Progress::WantRetry => return Ok(Progress::WantRetry),
                _ => return Ok(Progress::WantOutput),
            }
        }
    }

    /// As [`Session::flush`], and sends it.
    pub fn flush(&mut self) -> Result<Progress, Error> {
        self.run(&mut Time::of(self.io_limit), Session::flush)
    }

    /// As [`Session::refuse`], waiting for the peer.
    pub fn refuse(&mut self) -> Result<Progress, Error> {
        self.run(&mut Time::of(self.io_limit), Session::refuse)
    }

    /// As [`Session::close`], and sends it.
    pub fn close(&mut self, how: Close) -> Result<Progress, Error> {
        self.run(&mut Time::of(self.io_limit), |session| session.close(how))
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The session. Its `read`, `write` and `start` do not touch the transport.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The facts of the TLS connection.
    pub fn info(&self) -> Option<&Info> {
        self.session.info()
    }

    /// The transport.
    pub fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    fn run<R>(
        &mut self,
        time: &mut Time,
        mut step: impl FnMut(&mut Session) -> Result<Progress<R>, Error>,
    ) -> Result<Progress<R>, Error> {
        let result = loop {
            let moved = match step(&mut self.session) {
                Ok(Progress::WantOutput) => self.send(time),
                Ok(Progress::WantInput) => self.receive(time),
                Ok(done) => break Ok(done),
                Err(error) => {
                    // The reply or the alert that tells the peer. That it cannot be told changes nothing.
                    drop(self.send(time));
                    break Err(error);
                }
            };
            match moved {
                Ok(Progress::Done(())) => {}
                Ok(Progress::WantInput) => break Ok(Progress::WantInput),
                Ok(Progress::WantOutput) => break Ok(Progress::WantOutput),
                Ok(Progress::WantRetry) => break Ok(Progress::WantRetry),
                Ok(Progress::WantSignature) => break Ok(Progress::WantSignature),
                Err(error) => {
                    // To a silent client: 421.
                    drop(self.send(time));
                    break Err(error);
                }
            }
        };
        self.session.rest();
        result
    }

    fn send(&mut self, time: &mut Time) -> Result<Progress, Error> {
        if self.session.output().is_empty() {
            return Ok(Progress::Done(()));
        }
        let until = time.deadline().sooner(self.deadline);
        while !self.session.output().is_empty() {
            match self.transport.write(self.session.output(), until) {
                Ok(0) => return Err(self.session.transport_failed(&io::ErrorKind::WriteZero.into())),
                Ok(count) => self.session.sent(count),
                Err(error) => return self.stopped(&error, Progress::WantOutput),
            }
        }
        Ok(Progress::Done(()))
    }

    fn receive(&mut self, time: &mut Time) -> Result<Progress, Error> {
        let until = time.deadline().sooner(self.deadline);
        match self.transport.read(self.session.space(), until) {
            Ok(count) => {
                self.session.filled(count);
                Ok(Progress::Done(()))
            }
            Err(error) => self.stopped(&error, Progress::WantInput),
        }
    }

    fn stopped(&mut self, error: &io::Error, want: Progress) -> Result<Progress, Error> {
        match error.kind() {
            io::ErrorKind::WouldBlock => Ok(want),
            io::ErrorKind::Interrupted => Ok(Progress::WantRetry),
            _ => Err(self.session.transport_failed(error)),
        }
    }
}

impl<T: Transport> io::Read for Stream<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        done(Stream::read(self, buffer))
    }
}

impl<T: Transport> io::Write for Stream<T> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        done(Stream::write(self, data, false))
    }

    fn flush(&mut self) -> io::Result<()> {
        done(Stream::flush(self))
    }
}

fn done<R>(result: Result<Progress<R>, Error>) -> io::Result<R> {
    match result {
        Ok(Progress::Done(value)) => Ok(value),
        Ok(Progress::WantRetry) => Err(io::ErrorKind::Interrupted.into()),
        Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(io::Error::other(error)),
    }
}
