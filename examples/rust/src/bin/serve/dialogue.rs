//! A server's half of SMTP (RFC 5321) and LMTP (RFC 2033), the same in clear and inside TLS.

use std::io;
use std::net::TcpStream;

use smtptls::{Code, Deadline, Error, Info, Level, Protocol};
use smtptls_examples::wire::{Wire, timeout};

use crate::data::{Data, Text};
use crate::{SIZE, Server, store};

/// The longest command (RFC 5321 section 4.5.3.1.4), and what it may grow to by the parameters of extensions.
const LONGEST_LINE: usize = 512;
const LONGEST_MAIL: usize = 2048;
const MOST_RECIPIENTS: usize = 1000;

const SYNTAX: &str = "501 5.5.4 Syntax error in parameters";
const SEQUENCE: &str = "503 5.5.1 Bad sequence of commands";

/// Why the dialogue stopped.
pub enum End {
    /// The client said QUIT.
    Quit,
    /// The client said STARTTLS, with this line, and was not answered.
    Starttls(String),
}

/// What the client said first.
pub struct Hello {
    name: String,
    /// HELO is SMTP without extensions.
    extended: bool,
}

impl Hello {
    /// From a line such as `EHLO client.example`. The name will stand in a header, so it must be fit for that.
    pub fn parse(line: &str) -> Option<Hello> {
        let (verb, name) = line.split_once(' ')?;
        let name = name.trim_matches(' ');
        let fit = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        fit.then(|| Hello { name: name.to_string(), extended: !verb.eq_ignore_ascii_case("HELO") })
    }
}

/// What came in place of a command.
enum Line {
    Command(String),
    /// Too long, or with a NUL, a bare CR or a bare LF.
    Malformed,
}

/// One connection's dialogue.
pub struct Dialogue<'a> {
    server: &'a Server,
    socket: &'a TcpStream,
    wire: Wire<'a>,
    /// What came and is not used.
    buffer: Vec<u8>,
    hello: Option<Hello>,
    /// Whether there was a MAIL, and how many recipients since.
    mail: bool,
    recipients: usize,
}

impl<'a> Dialogue<'a> {
    /// A dialogue that knows nothing of what was before it.
    pub fn new(server: &'a Server, socket: &'a TcpStream, wire: Wire<'a>) -> Dialogue<'a> {
        Dialogue { server, socket, wire, buffer: Vec::new(), hello: None, mail: false, recipients: 0 }
    }

    /// Takes over in the middle: what the client said first, and what else has come.
    pub fn resume(mut self, hello: Option<Hello>, input: &[u8]) -> Dialogue<'a> {
        self.hello = hello;
        self.buffer = input.to_vec();
        self
    }

    pub fn socket(&self) -> &'a TcpStream {
        self.socket
    }

    pub fn wire(&mut self) -> &mut Wire<'a> {
        &mut self.wire
    }

    /// How many bytes came that are not used: what `start` of the library wants to know.
    pub fn unread(&self) -> usize {
        self.buffer.len()
    }

    /// Sends a reply.
    pub fn say(&mut self, reply: &str) -> Result<(), Error> {
        self.wire.write(format!("{reply}\r\n").as_bytes(), Deadline::after(self.server.timeout))
    }

    /// Answers commands until QUIT or STARTTLS.
    pub fn run(&mut self) -> Result<End, Error> {
        loop {
            let line = match self.line()? {
                Line::Command(line) => line,
                Line::Malformed => {
                    self.say("500 5.5.2 Line too long or malformed")?;
                    continue;
                }
            };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let rest = rest.trim_matches(' ');
            let verb = verb.to_ascii_uppercase();
            if self.wants_tls(&verb) {
                self.say("530 5.7.0 Must issue a STARTTLS command first")?;
                continue;
            }
            let reply = match (verb.as_str(), self.server.protocol) {
                ("EHLO" | "HELO", Protocol::Smtp) | ("LHLO", Protocol::Lmtp) => self.hello(&line),
                ("MAIL", _) => self.mail(rest).to_string(),
                ("RCPT", _) => self.recipient(rest).to_string(),
                ("DATA", _) => self.data(rest)?,
                ("RSET", _) if rest.is_empty() => {
                    self.forget();
                    "250 2.0.0 OK".to_string()
                }
                ("QUIT", _) if rest.is_empty() => {
                    self.say("221 2.0.0 Bye")?;
                    self.wire.close(Deadline::after(self.server.timeout));
                    return Ok(End::Quit);
                }
                ("RSET" | "QUIT", _) => SYNTAX.to_string(),
                ("STARTTLS", _) => return Ok(End::Starttls(line)),
                ("NOOP", _) => "250 2.0.0 OK".to_string(),
                ("HELP", _) => "214 2.0.0 See RFC 5321".to_string(),
                ("VRFY", _) if rest.is_empty() => SYNTAX.to_string(),
                // RFC 5321 section 7.3: neither yes nor no.
                ("VRFY", _) => "252 2.1.5 Send some mail, I will try my best".to_string(),
                ("EXPN" | "AUTH" | "XCLIENT", _) => "502 5.5.1 Command not implemented".to_string(),
                _ => "500 5.5.2 Command unrecognized".to_string(),
            };
            self.say(&reply)?;
        }
    }

    /// Where TLS is required, only these commands go without (RFC 3207 section 4); the last three by `--exempt-more`,
    /// with which alone a dialogue in clear begins there.
    fn wants_tls(&self, verb: &str) -> bool {
        const EXEMPT: &[&str] = &["NOOP", "EHLO", "LHLO", "STARTTLS", "QUIT", "HELO", "HELP", "XCLIENT"];
        let required = self.server.policy.level() == Level::Encrypt;
        required && matches!(self.wire, Wire::Clear(_)) && !EXEMPT.contains(&verb)
    }

    fn forget(&mut self) {
        self.mail = false;
        self.recipients = 0;
    }

    fn hello(&mut self, line: &str) -> String {
        let Some(hello) = Hello::parse(line) else { return "501 5.5.4 A host name is needed".to_string() };
        self.forget();
        let name = self.server.config.hostname();
        let extended = hello.extended;
        self.hello = Some(hello);
        if !extended {
            return format!("250 {name}");
        }
        let mut lines = vec![name.to_string(), "PIPELINING".to_string(), "ENHANCEDSTATUSCODES".to_string()];
        lines.extend(self.server.extensions());
        // RFC 3207 section 4.2: not offered inside TLS.
        if matches!(self.wire, Wire::Clear(_)) && !self.server.switches.not_now {
            lines.push("STARTTLS".to_string());
        }
        let last = lines.pop().unwrap_or_default();
        lines.iter().map(|line| format!("250-{line}\r\n")).collect::<String>() + &format!("250 {last}")
    }

    fn mail(&mut self, rest: &str) -> &'static str {
        if self.hello.is_none() || self.mail {
            return SEQUENCE;
        }
        let Some((_, parameters)) = path("FROM:", rest) else { return SYNTAX };
        for parameter in parameters {
            match parameter.split_once('=').map_or((parameter, ""), |(name, value)| (name, value)) {
                (name, value) if name.eq_ignore_ascii_case("SIZE") => match value.parse::<usize>() {
                    Ok(size) if size > SIZE => return "552 5.3.4 Message too large",
                    Ok(_) => {}
                    Err(_) => return SYNTAX,
                },
                (name, value) if name.eq_ignore_ascii_case("BODY") => {
                    match value.to_ascii_uppercase().as_str() {
                        "7BIT" | "8BITMIME" => {}
                        _ => return SYNTAX,
                    }
                }
                _ => return "555 5.5.4 Parameter not recognized",
            }
        }
        self.mail = true;
        "250 2.1.0 OK"
    }

    fn recipient(&mut self, rest: &str) -> &'static str {
        if !self.mail {
            return SEQUENCE;
        }
        match path("TO:", rest) {
            None | Some(("", _)) => SYNTAX,
            Some((_, parameters)) if !parameters.is_empty() => "555 5.5.4 Parameter not recognized",
            Some(_) if self.recipients >= MOST_RECIPIENTS => "452 4.5.3 Too many recipients",
            Some(_) => {
                self.recipients += 1;
                "250 2.1.5 OK"
            }
        }
    }

    /// DATA and the text behind it. In LMTP each recipient has a reply (RFC 2033 section 4.2).
    fn data(&mut self, rest: &str) -> Result<String, Error> {
        if !rest.is_empty() {
            return Ok(SYNTAX.to_string());
        }
        if self.recipients == 0 {
            return Ok(SEQUENCE.to_string());
        }
        self.say("354 End data with <CR><LF>.<CR><LF>")?;
        let mut data = Data::new(SIZE);
        loop {
            let (used, end) = data.take(&self.buffer);
            self.buffer.drain(..used);
            if end {
                break;
            }
            self.receive(Deadline::after(self.server.timeout))?;
        }
        let reply = match data.finish() {
            Text::Whole(message) => match self.server.store.put(&self.received(), &message) {
                Ok(()) => "250 2.0.0 OK: stored",
                Err(_) => "451 4.3.0 Cannot store the message",
            },
            Text::Bare => "550 5.6.11 CR and LF must come together",
            Text::TooLarge => "552 5.3.4 Message too large",
        };
        let count = if self.server.protocol == Protocol::Lmtp { self.recipients } else { 1 };
        self.forget();
        Ok(vec![reply; count].join("\r\n"))
    }

    /// RFC 5321 section 4.4, the keywords of RFC 3848, and the `tls` clause of RFC 8314 section 4.3.
    fn received(&self) -> String {
        let hello = self.hello.as_ref().map_or("unknown", |hello| &hello.name);
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        let (secure, clause) = match &self.wire {
            Wire::Clear(_) => (false, String::new()),
            Wire::Tls(stream) => (
                true,
                stream.info().map(Info::received_clause).map_or(String::new(), |text| format!(" {text}")),
            ),
        };
        let with = match (self.server.protocol, extended, secure) {
            (Protocol::Lmtp, _, true) => "LMTPS",
            (Protocol::Lmtp, ..) => "LMTP",
            (_, true, true) => "ESMTPS",
            (_, true, false) => "ESMTP",
            // There is no keyword for HELO inside TLS.
            (_, false, _) => "SMTP",
        };
        let address =
            self.socket.peer_addr().map_or("unknown".to_string(), |address| address.ip().to_string());
        let name = self.server.config.hostname();
        format!("Received: from {hello} ([{address}]) by {name} with {with}{clause}; {}\n", store::date())
    }

    /// Reads a command. Only CRLF ends it.
    fn line(&mut self) -> Result<Line, Error> {
        let by = Deadline::after(self.server.timeout);
        let mut too_long = false;
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
                let bare = line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
                return Ok(match too_long || bare || line.len() + 2 > longest(&line) {
                    true => Line::Malformed,
                    false => Line::Command(String::from_utf8_lossy(&line).into_owned()),
                });
            }
            if self.buffer.len() > LONGEST_MAIL {
                // Of what is too long only its end is of interest, and that may begin with this CR.
                too_long = true;
                self.buffer.drain(..self.buffer.len() - 1);
            }
            self.receive(by)?;
        }
    }

    /// Reads what there is. A client that stays silent for too long is told so (RFC 5321 section 3.8).
    fn receive(&mut self, by: Deadline) -> Result<(), Error> {
        if !self.wait(by)? {
            self.say("421 4.4.2 Timeout, closing the connection")?;
            self.wire.close(Deadline::after(self.server.timeout));
            return Err(timeout("waiting for the client"));
        }
        let mut bytes = [0; 16 * 1024];
        match self.wire.read(&mut bytes, by)? {
            0 => Err(Error::local(Code::Eof, "the client closed the connection without QUIT")),
            count => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
        }
    }

    /// Waits for a byte. A read that runs out of time ends a TLS session, and 421 could not be said any more.
    fn wait(&mut self, by: Deadline) -> Result<bool, Error> {
        if let Wire::Tls(stream) = &mut self.wire {
            if stream.session_mut().pending() > 0 {
                return Ok(true);
            }
        }
        loop {
            let left = by.remaining().filter(|left| !left.is_zero());
            if left.is_none() {
                return Ok(false);
            }
            let result = self.socket.set_read_timeout(left).and_then(|()| self.socket.peek(&mut [0]));
            match result {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(false);
                }
                Err(error) => return Err(Error::local_io(Code::Io, "the connection failed", &error)),
            }
        }
    }
}

fn longest(line: &[u8]) -> usize {
    let extended = line
        .get(..5)
        .is_some_and(|verb| [b"MAIL ", b"RCPT "].iter().any(|one| verb.eq_ignore_ascii_case(*one)));
    if extended { LONGEST_MAIL } else { LONGEST_LINE }
}

/// The address in `FROM:<address> parameters`, and the parameters.
fn path<'a>(keyword: &str, text: &'a str) -> Option<(&'a str, Vec<&'a str>)> {
    let (head, tail) = text.split_at_checked(keyword.len())?;
    // A blank behind the colon is wrong, and common.
    let tail =
        tail.trim_start_matches(' ').strip_prefix('<').filter(|_| head.eq_ignore_ascii_case(keyword))?;
    let (mut quoted, mut escaped) = (false, false);
    let end = tail.bytes().position(|byte| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            _ if was_escaped => {}
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' => return !quoted,
            _ => {}
        }
        false
    })?;
    let (address, parameters) = (&tail[..end], &tail[end + 1..]);
    let fit = |byte: u8| byte.is_ascii_graphic() || byte == b' ' && address.contains('"');
    let apart = parameters.is_empty() || parameters.starts_with(' ');
    let parameters = parameters.split(' ').filter(|parameter| !parameter.is_empty()).collect();
    (apart && address.bytes().all(fit)).then_some((address, parameters))
}
