//! A small SMTP and LMTP server with STARTTLS: a thread for each connection. What concerns TLS is in this file.

mod data;
mod dialogue;
mod options;
mod signals;
mod store;

use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use smtptls::{Action, ClientAuth, Code, Config, Deadline, Entry, Error, Fd, Info, Mode, Policy};
use smtptls::{Protocol, Session, Stream, Tlsrpt};
use smtptls_examples::wire::{Wire, linger};
use smtptls_examples::{complain, tell};

use crate::dialogue::{Dialogue, End, Hello};
use crate::options::{Options, Switches};
use crate::store::Store;

/// The largest message.
const SIZE: usize = 32 << 20;
/// The most connections at once.
const MOST: usize = 1000;

/// What all connections share.
struct Server {
    config: Config,
    policy: Policy,
    protocol: Protocol,
    switches: Switches,
    client_auth: ClientAuth,
    /// There is a file of ticket keys.
    has_ticket_keys: bool,
    store: Store,
    /// The longest silence.
    timeout: Duration,
    connections: AtomicUsize,
}

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(wrong) => {
            complain(&format!("serve: {wrong}\n{}", options::USAGE));
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

fn run(options: Options) -> Result<(), Error> {
    let server = Arc::new(Server {
        config: options.config()?,
        policy: Policy::new(options.level),
        protocol: options.protocol,
        switches: options.dialogue,
        client_auth: options.client_auth,
        has_ticket_keys: options.ticket_keys.is_some(),
        store: Store::new(options.store),
        timeout: options.timeout,
        connections: AtomicUsize::new(0),
    });
    // A flag that no session can have shows now, and not when the first client comes.
    drop(server.session()?);
    let cannot = |what: &str, error| Error::local_io(Code::Io, what.to_string(), &error);
    let listener =
        TcpListener::bind(("127.0.0.1", options.port)).map_err(|error| cannot("cannot listen", error))?;
    let address = listener.local_addr().map_err(|error| cannot("cannot listen", error))?;
    let signals = signals::Signals::catch().map_err(|error| cannot("cannot catch signals", error))?;
    tell(&format!("listening: {address}"));

    let acceptor = Arc::clone(&server);
    std::thread::spawn(move || acceptor.accept(&listener));
    signals.wait(|| server.reload());
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
        let mut session = self.session()?;
        for line in self.extensions() {
            session.add_extension(&line)?;
        }
        let mut stream = self.stream(session, socket);
        match stream.start(Entry::Greeting, 0) {
            Ok(_) => self.secured(stream, socket),
            // The client goes on without TLS, and a public server lets it (RFC 3207 section 4); or it said XCLIENT,
            // which --exempt-more leaves to the program. Its command is in what is left over.
            Err(error) if error.action() == Action::Continue || error.code() == Code::NotRequested => {
                let session = stream.session();
                let hello = session.hello().and_then(Hello::parse);
                let dialogue = Dialogue::new(self, socket, Wire::clear(socket));
                self.clear(dialogue.resume(hello, session.leftover()))
            }
            Err(error) => Err(self.refused(stream, error)),
        }
    }

    /// A session that has not begun.
    fn session(&self) -> Result<Session, Error> {
        let mut session = Session::server(&self.config, &self.policy);
        session.set_protocol(self.protocol)?;
        if let Some(text) = &self.switches.greeting {
            session.set_greeting(text)?;
        }
        if self.switches.not_now {
            session.set_not_now()?;
        }
        session.set_discard(self.switches.discard)?;
        session.set_exempt_more(self.switches.exempt_more)?;
        Ok(session)
    }

    /// The dialogue without TLS, which may still come to STARTTLS.
    fn clear(&self, mut dialogue: Dialogue<'_>) -> Result<(), Error> {
        while let End::Starttls(line) = dialogue.run()? {
            let mut session = self.session()?;
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
                    if unread > 0 && !self.switches.discard {
                        dialogue.say("554 5.5.0 Input behind STARTTLS: protocol synchronization error")?;
                    }
                    return Err(self.refused(stream, error));
                }
            }
        }
        Ok(())
    }

    /// Where TLS is up and the client's certificate is not good enough, says so in it: 554 to all but QUIT (RFC 3207
    /// section 4.1).
    fn refused(&self, mut stream: Stream<Fd<'_>>, error: Error) -> Error {
        if stream.session().is_tls() {
            self.tell_tls(stream.info());
            drop(stream.refuse());
        }
        error
    }

    /// The dialogue inside TLS.
    fn secured(&self, stream: Stream<Fd<'_>>, socket: &TcpStream) -> Result<(), Error> {
        self.tell_tls(stream.info());
        let mut dialogue = Dialogue::new(self, socket, Wire::tls(stream));
        while let End::Starttls(_) = dialogue.run()? {
            if let Wire::Tls(stream) = dialogue.wire() {
                // Always an error, since TLS is active; the library has answered 503.
                drop(stream.start(Entry::Command, 0));
            }
        }
        Ok(())
    }

    /// Prints what TLS came out as, and who the client is, if it was asked.
    fn tell_tls(&self, info: Option<&Info>) {
        let Some(info) = info else { return };
        tell(&format!("tls: {}{}", info.summary(), if info.resumed() { " resumed" } else { "" }));
        if self.client_auth != ClientAuth::None {
            let subject = info.peer_subject().unwrap_or_else(|| "-".to_string());
            tell(&format!("client: auth={} subject={subject}", info.auth().name()));
        }
    }

    /// Reads key pairs and ticket keys again, for sessions that begin from now on. What is bad leaves the old.
    fn reload(&self) {
        // The one may be good where the other is not.
        let pairs = self.config.reload_keypairs();
        let keys = if self.has_ticket_keys { self.config.reload_ticket_keys() } else { Ok(()) };
        if pairs.is_ok() && keys.is_ok() {
            tell("reloaded");
        }
        for error in [pairs, keys].into_iter().filter_map(Result::err) {
            report(&error);
        }
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
