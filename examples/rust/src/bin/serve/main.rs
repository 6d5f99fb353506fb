//! A small SMTP and LMTP server with STARTTLS: a thread for each connection. What concerns TLS is in this file.

mod data;
mod dialogue;
mod signals;
mod store;

use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use smtptls::{Action, Code, Config, Deadline, Entry, Error, Fd, Level, Mode, Policy, Protocol};
use smtptls::{Session, Stream, Tlsrpt};
use smtptls_examples::options::seconds;
use smtptls_examples::wire::{Wire, linger};
use smtptls_examples::{complain, tell};

use crate::dialogue::{Dialogue, End, Hello};
use crate::store::Store;

const USAGE: &str =
    "usage: serve --cert FILE --key FILE [--port N] [--require-tls] [--store DIR] [--lmtp] [--timeout S]";

/// The largest message.
const SIZE: usize = 32 << 20;
/// The most connections at once.
const MOST: usize = 1000;

/// What all connections share.
struct Server {
    config: Config,
    policy: Policy,
    protocol: Protocol,
    store: Store,
    /// The longest silence.
    timeout: Duration,
    connections: AtomicUsize,
}

struct Options {
    cert: String,
    key: String,
    port: u16,
    level: Level,
    store: Option<String>,
    protocol: Protocol,
    timeout: Duration,
}

fn main() -> ExitCode {
    let options = match parse() {
        Ok(options) => options,
        Err(wrong) => {
            complain(&format!("serve: {wrong}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Options, String> {
    let (mut cert, mut key, mut store) = (None, None, None);
    let (mut port, mut level, mut protocol) = (0, Level::May, Protocol::Smtp);
    let mut timeout = Duration::from_secs(30);
    let mut arguments = std::env::args_os().skip(1).map(|argument| {
        argument.into_string().map_err(|other| format!("{} is not UTF-8", other.to_string_lossy()))
    });
    while let Some(flag) = arguments.next().transpose()? {
        let mut value = || arguments.next().unwrap_or_else(|| Err(format!("{flag} needs a value")));
        match flag.as_str() {
            "--cert" => cert = Some(value()?),
            "--key" => key = Some(value()?),
            "--port" => port = value()?.parse().map_err(|_| "--port needs a number")?,
            "--require-tls" => level = Level::Encrypt,
            "--store" => store = Some(value()?),
            "--lmtp" => protocol = Protocol::Lmtp,
            "--timeout" => timeout = seconds(&value()?)?,
            _ => return Err(format!("there is no flag {flag}")),
        }
    }
    let (cert, key) = (cert.ok_or("--cert is missing")?, key.ok_or("--key is missing")?);
    Ok(Options { cert, key, port, level, store, protocol, timeout })
}

fn run(options: Options) -> Result<(), Error> {
    // Made once; every session of every thread uses it.
    let mut builder = Config::builder();
    builder.add_keypair_file(&options.cert, &options.key)?;
    let server = Arc::new(Server {
        config: builder.freeze()?,
        policy: Policy::new(options.level),
        protocol: options.protocol,
        store: Store::new(options.store),
        timeout: options.timeout,
        connections: AtomicUsize::new(0),
    });
    let cannot = |what: &str, error| Error::local_io(Code::Io, what.to_string(), &error);
    let listener =
        TcpListener::bind(("127.0.0.1", options.port)).map_err(|error| cannot("cannot listen", error))?;
    let address = listener.local_addr().map_err(|error| cannot("cannot listen", error))?;
    let signals = signals::Signals::catch().map_err(|error| cannot("cannot catch signals", error))?;
    tell(&format!("listening: {address}"));

    let acceptor = Arc::clone(&server);
    std::thread::spawn(move || acceptor.accept(&listener));
    signals.wait();
    // Keeps all threads from beginning a file, until the process is no more.
    let _nothing_half_done = server.store.lock();
    std::process::exit(0);
}

impl Server {
    fn accept(self: &Arc<Server>, listener: &TcpListener) {
        for socket in listener.incoming() {
            let Ok(socket) = socket else {
                // Too many open files, say. The next ones may be luckier.
                std::thread::sleep(Duration::from_millis(50));
                continue;
            };
            let server = Arc::clone(self);
            let thread = std::thread::Builder::new().spawn(move || {
                if server.connections.fetch_add(1, Ordering::Relaxed) < MOST {
                    if let Err(error) = server.serve(&socket) {
                        report(&error);
                    }
                    linger(&socket, Deadline::NEVER);
                }
                server.connections.fetch_sub(1, Ordering::Relaxed);
            });
            // Without a thread the connection is closed by now, and the client will try again.
            drop(thread);
        }
    }

    /// One connection, from the greeting to the end.
    fn serve(&self, socket: &TcpStream) -> Result<(), Error> {
        drop(socket.set_nodelay(true));
        let mut session = Session::server(&self.config, &self.policy);
        session.set_protocol(self.protocol)?;
        for line in self.extensions() {
            session.add_extension(&line)?;
        }
        let mut stream = self.stream(session, socket);
        match stream.start(Entry::Greeting, 0) {
            Ok(_) => self.secured(stream, socket),
            // The client goes on without TLS, and a public server lets it (RFC 3207 section 4). Its command
            // is in what is left over.
            Err(error) if error.action() == Action::Continue => {
                let session = stream.session();
                let hello = session.hello().and_then(Hello::parse);
                let dialogue = Dialogue::new(self, socket, Wire::clear(socket));
                self.clear(dialogue.resume(hello, session.leftover()))
            }
            Err(error) => Err(error),
        }
    }

    /// The dialogue without TLS, which may still come to STARTTLS.
    fn clear(&self, mut dialogue: Dialogue<'_>) -> Result<(), Error> {
        while let End::Starttls(line) = dialogue.run()? {
            let mut session = Session::server(&self.config, &self.policy);
            session.set_protocol(self.protocol)?;
            session.set_command(&line)?;
            let socket = dialogue.socket();
            let mut stream = self.stream(session, socket);
            // What was read and not used was injected; the library refuses to go on with it.
            let unread = dialogue.unread();
            match stream.start(Entry::Command, unread) {
                // RFC 3207 section 4.2: the state before TLS goes with the dialogue.
                Ok(_) => return self.secured(stream, socket),
                // It was answered with a 4yz or 5yz.
                Err(error) if error.action() == Action::Continue => {}
                Err(error) => {
                    if unread > 0 {
                        dialogue.say("554 5.5.0 Input behind STARTTLS: protocol synchronization error")?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The dialogue inside TLS.
    fn secured(&self, stream: Stream<Fd<'_>>, socket: &TcpStream) -> Result<(), Error> {
        tell(&format!("tls: {}", stream.info().map(|info| info.summary()).unwrap_or_default()));
        let mut dialogue = Dialogue::new(self, socket, Wire::tls(stream));
        while let End::Starttls(_) = dialogue.run()? {
            if let Wire::Tls(stream) = dialogue.wire() {
                // Always an error, since TLS is active; the library has answered 503.
                drop(stream.start(Entry::Command, 0));
            }
        }
        Ok(())
    }

    fn stream<'a>(&self, session: Session, socket: &'a TcpStream) -> Stream<Fd<'a>> {
        let mut stream = Stream::new(session, Fd::new(socket, Mode::Blocking));
        stream.set_limit(smtptls::Limit::Start, Some(self.timeout));
        stream.set_limit(smtptls::Limit::Io, Some(self.timeout));
        stream
    }

    /// What EHLO lists besides PIPELINING, ENHANCEDSTATUSCODES and STARTTLS.
    fn extensions(&self) -> [String; 2] {
        ["8BITMIME".to_string(), format!("SIZE {SIZE}")]
    }
}

fn report(error: &Error) {
    let (action, tlsrpt) = (error.action().name(), error.tlsrpt().map_or("none", Tlsrpt::name));
    complain(&format!("error: {error} (action {action}, tlsrpt {tlsrpt})"));
}
