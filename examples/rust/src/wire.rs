//! One connection, in clear or inside TLS: reads and writes with a deadline each.

use std::io;
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use smtptls::{Close, Code, Deadline, Error, Fd, Mode, Progress, Stream, Transport as _};

/// What commands and replies travel over.
pub enum Wire<'a> {
    /// The socket itself.
    Clear(Fd<'a>),
    /// Inside TLS.
    Tls(Box<Stream<Fd<'a>>>),
}

impl<'a> Wire<'a> {
    /// The socket without TLS.
    pub fn clear(socket: &'a TcpStream) -> Wire<'a> {
        Wire::Clear(Fd::new(socket, Mode::Blocking))
    }

    /// A stream whose `start` is done.
    pub fn tls(stream: Stream<Fd<'a>>) -> Wire<'a> {
        Wire::Tls(Box::new(stream))
    }

    /// Reads what there is; 0 is the end.
    pub fn read(&mut self, buffer: &mut [u8], by: Deadline) -> Result<usize, Error> {
        match self {
            Wire::Clear(fd) => fd.read(buffer, by).map_err(|error| failed(&error)),
            Wire::Tls(stream) => {
                stream.set_deadline(by);
                let count = done(stream.read(buffer)?)?;
                // SMTP says itself where a message ends; all the same the cut is worth a name of its own.
                if count == 0 && stream.session().is_truncated() {
                    return Err(Error::local(Code::Truncated, Code::Truncated.text()));
                }
                Ok(count)
            }
        }
    }

    /// Writes all of it.
    pub fn write(&mut self, bytes: &[u8], by: Deadline) -> Result<(), Error> {
        match self {
            Wire::Clear(fd) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let count = fd.write(rest, by).map_err(|error| failed(&error))?;
                    rest = &rest[count..];
                }
                Ok(())
            }
            Wire::Tls(stream) => {
                stream.set_deadline(by);
                done(stream.write(bytes, false)?).map(drop)
            }
        }
    }

    /// Tells the peer that nothing more will be sent. That it cannot be told changes nothing.
    pub fn close(&mut self, by: Deadline) {
        if let Wire::Tls(stream) = self {
            stream.set_deadline(by);
            drop(stream.close(Close::Send));
        }
    }
}

/// Connects to the first address that answers. The resolver has limits of time of its own.
pub fn connect(host: &str, port: u16, by: Deadline) -> Result<TcpStream, Error> {
    let mut result = Err(Error::local(Code::Io, format!("{host} has no address")));
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|error| Error::local_io(Code::Io, format!("cannot look up {host}"), &error))?;
    for address in addresses {
        let left = match by.remaining() {
            Some(left) if left.is_zero() => return Err(timeout("connecting")),
            left => left.unwrap_or(Duration::MAX),
        };
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => {
                // Commands are small and wait for replies; they should not wait for company too.
                drop(socket.set_nodelay(true));
                return Ok(socket);
            }
            Err(error) if ran_out(&error) => result = Err(timeout("connecting")),
            Err(error) => {
                result = Err(Error::local_io(Code::Io, format!("cannot connect to {address}"), &error));
            }
        }
    }
    result
}

/// How long a peer may take to say goodbye: not for longer than anything else.
pub fn goodbye(by: Deadline) -> Deadline {
    const LIMIT: Duration = Duration::from_secs(2);
    Deadline::after(by.remaining().map_or(LIMIT, |left| left.min(LIMIT)))
}

/// RFC 3207 section 4.1: QUIT at once, where the server can still hear it. TLS is up and the verdict is bad, or
/// TLS did not begin and the server said so.
pub fn refuse(stream: &mut Stream<Fd<'_>>, socket: &TcpStream, error: &Error, by: Deadline) {
    if stream.session().is_tls() || matches!(error.code(), Code::NotOffered | Code::Refused) {
        drop(stream.refuse());
        linger(socket, by);
    }
}

/// Lets the peer read our last words: to close a socket with input unread would tear them up.
pub fn linger(socket: &TcpStream, by: Deadline) {
    drop(socket.shutdown(Shutdown::Write));
    let mut fd = Fd::new(socket, Mode::Blocking);
    let (by, mut unwanted) = (goodbye(by), [0; 4096]);
    while fd.read(&mut unwanted, by).is_ok_and(|count| count > 0) {}
}

/// The error for a limit of time.
pub fn timeout(doing: &str) -> Error {
    Error::local(Code::Timeout, format!("the time allowed ran out {doing}"))
}

fn failed(error: &io::Error) -> Error {
    match ran_out(error) {
        true => timeout("exchanging data with the peer"),
        false => Error::local_io(Code::Io, "the connection failed", error),
    }
}

/// Our own limit. ETIMEDOUT, of the network, has an errno.
fn ran_out(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

/// A call in blocking mode returns when it is done.
fn done<T>(progress: Progress<T>) -> Result<T, Error> {
    match progress {
        Progress::Done(value) => Ok(value),
        _ => Err(Error::local(Code::Internal, "a blocking call did not wait")),
    }
}
