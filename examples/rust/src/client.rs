//! A client's half of SMTP (RFC 5321) and LMTP (RFC 2033): commands, bounded replies, one message.

use smtptls::{Code, Deadline, Error, escape};

use crate::failure::Failure;
use crate::options::Options;
use crate::wire::{Wire, goodbye};

/// Bounds, so that no server can fill the memory: one line, and all lines of a reply.
const LONGEST_LINE: usize = 2048;
const MOST_LINES: usize = 100;

/// A reply: its code, and its lines as they came.
pub struct Reply {
    /// The code, 200 to 599.
    pub code: u16,
    lines: Vec<Vec<u8>>,
}

impl Reply {
    /// The lines, joined by `\n`, as `smtptls::Session::reply` gives them.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\n")
    }

    /// The reply in one line that is fit for a log and for a terminal.
    pub fn escaped(&self) -> String {
        escape(&self.lines.join(&b' '))
    }
}

/// The parameters of a keyword in the text of an EHLO reply, if it is there. The first line is the server's name.
pub fn keyword<'a>(hello: &'a str, keyword: &str) -> Option<Vec<&'a str>> {
    if !hello.starts_with("250") {
        return None;
    }
    hello.lines().skip(1).find_map(|line| {
        let mut words = line.get(4..)?.split(' ');
        words.next()?.eq_ignore_ascii_case(keyword).then(|| words.collect())
    })
}

/// A client that is connected.
pub struct Client<'a> {
    wire: Wire<'a>,
    by: Deadline,
    /// What came and is not used.
    buffer: Vec<u8>,
}

impl<'a> Client<'a> {
    /// A client over `wire` that is done with everything by then.
    pub fn new(wire: Wire<'a>, by: Deadline) -> Client<'a> {
        Client { wire, by, buffer: Vec::new() }
    }

    /// How many bytes came that belong to no reply: what `start` of the library wants to know.
    pub fn unread(&self) -> usize {
        self.buffer.len()
    }

    /// Whether it talks inside TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.wire, Wire::Tls(_))
    }

    /// Sends a command and reads its reply.
    pub fn command(&mut self, line: &str) -> Result<Reply, Failure> {
        // What came before the question is not its answer.
        if !self.buffer.is_empty() {
            let message =
                format!("the server sent a reply that nobody had asked for: \"{}\"", escape(&self.buffer));
            return Err(Failure::peer(Error::local(Code::Unsolicited, message)));
        }
        self.send(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.wire.write(bytes, self.by).map_err(Failure::peer)
    }

    /// Reads a reply.
    pub fn reply(&mut self) -> Result<Reply, Failure> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        loop {
            let line = self.line()?;
            let code = code_of(&line).ok_or_else(|| syntax("is no reply", &line))?;
            if lines.first().is_some_and(|first| first[..3] != line[..3]) {
                return Err(syntax("changes its code in the middle", &line));
            }
            let more = line.get(3) == Some(&b'-');
            lines.push(line);
            if !more {
                return Ok(Reply { code, lines });
            }
            if lines.len() == MOST_LINES {
                let message = format!("the server's reply has more than {MOST_LINES} lines");
                return Err(Failure::peer(Error::local(Code::TooLong, message)));
            }
        }
    }

    /// Reads a line that ends with CRLF, and gives it without.
    fn line(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            let end = self.buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            if end.unwrap_or(self.buffer.len()) > LONGEST_LINE {
                let message = format!("the server's line is longer than {LONGEST_LINE} octets");
                return Err(Failure::peer(Error::local(Code::TooLong, message)));
            }
            if let Some(end) = end {
                let line: Vec<u8> = self.buffer.drain(..end).collect();
                return match line.strip_suffix(b"\r\n") {
                    Some(text) if !text.contains(&b'\r') && !text.contains(&0) => Ok(text.to_vec()),
                    _ => Err(syntax("has a NUL, a bare CR or a bare LF in it", &line)),
                };
            }
            let mut bytes = [0; LONGEST_LINE];
            match self.wire.read(&mut bytes, self.by).map_err(Failure::peer)? {
                0 => {
                    let error =
                        Error::local(Code::Eof, "the server closed the connection before it answered");
                    return Err(Failure::peer(error));
                }
                count => self.buffer.extend_from_slice(&bytes[..count]),
            }
        }
    }

    /// Takes a reply to `what` if it has this code; any 2yz means success (RFC 5321 section 4.2.1). If the
    /// server refused, leaves.
    pub fn wanted(&mut self, code: u16, what: &str, reply: Reply) -> Result<Reply, Failure> {
        let (code, text) = match reply.code {
            got if got == code || (got / 100 == 2 && code / 100 == 2) => return Ok(reply),
            400..=599 => (Code::Refused, "the server refused"),
            _ => (Code::SmtpSyntax, "the server's reply makes no sense behind"),
        };
        // 421 is goodbye already.
        if code == Code::Refused && reply.code != 421 {
            self.leave();
        }
        let message = format!("{text} {what}: \"{}\"", reply.escaped());
        Err(Failure::peer(Error::local(code, message)))
    }

    /// Sends a command whose reply must have this code.
    pub fn ask(&mut self, code: u16, line: &str) -> Result<Reply, Failure> {
        let reply = self.command(line)?;
        self.wanted(code, line, reply)
    }

    /// Says QUIT and closes TLS. How the server takes it changes nothing.
    pub fn leave(&mut self) {
        self.by = goodbye(self.by);
        drop(self.command("QUIT"));
        self.wire.close(self.by);
    }

    /// Sends the message and leaves. `hello` is the text of the reply to the last EHLO.
    pub fn deliver(&mut self, options: &Options, hello: &str, message: &[u8]) -> Result<Reply, Failure> {
        if let Some((user, password)) = &options.login {
            self.login(hello, user, password)?;
        }
        let eight_bit = !message.is_ascii() && keyword(hello, "8BITMIME").is_some();
        let body = if eight_bit { " BODY=8BITMIME" } else { "" };
        self.ask(250, &format!("MAIL FROM:<{}>{body}", options.from))?;
        self.ask(250, &format!("RCPT TO:<{}>", options.to))?;
        self.ask(354, "DATA")?;
        self.send(&dot_stuffed(message))?;
        // LMTP gives a reply for each recipient, and there is one.
        let reply = self.reply()?;
        let reply = self.wanted(250, "the message", reply)?;
        self.leave();
        Ok(reply)
    }

    /// AUTH PLAIN (RFC 4954, RFC 4616). `Options` made sure that the server is a proven one.
    fn login(&mut self, hello: &str, user: &str, password: &str) -> Result<(), Failure> {
        if !self.is_tls() {
            return Err(Error::local(Code::State, "a password does not go in clear").into());
        }
        if !keyword(hello, "AUTH")
            .is_some_and(|names| names.iter().any(|name| name.eq_ignore_ascii_case("PLAIN")))
        {
            self.leave();
            return Err(Failure::peer(Error::local(Code::Refused, "the server does not offer AUTH PLAIN")));
        }
        let secret = base64(format!("\0{user}\0{password}").as_bytes());
        let reply = self.command(&format!("AUTH PLAIN {secret}"))?;
        self.wanted(235, "AUTH PLAIN", reply).map(drop)
    }
}

/// The code of a line of a reply: three digits, then the end, a blank, or a hyphen if more lines follow.
fn code_of(line: &[u8]) -> Option<u16> {
    let fit = matches!(
        line,
        [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] | [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-', ..]
    );
    let digits = line.get(..3).filter(|_| fit)?;
    Some(digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0')))
}

fn syntax(what: &str, line: &[u8]) -> Failure {
    let message = format!("the server's line {what}: \"{}\"", escape(line));
    Failure::peer(Error::local(Code::SmtpSyntax, message))
}

/// The message as DATA carries it (RFC 5321 section 4.5.2): CRLF behind each line, dots doubled, a final dot.
fn dot_stuffed(message: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(message.len() + message.len() / 32 + 5);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        stuffed.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = char::from(ALPHABET[bits >> (18 - 6 * place) & 63]);
            text.push(if place > group.len() { '=' } else { letter });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 section 10.
    #[test]
    fn base64_pads() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn dots_are_doubled_and_lines_end_with_crlf() {
        assert_eq!(dot_stuffed(b""), b".\r\n");
        assert_eq!(dot_stuffed(b".a\nb.\r\n\n..c"), b"..a\r\nb.\r\n\r\n...c\r\n.\r\n");
    }

    /// R3207-2-3.
    #[test]
    fn keywords_stand_at_the_beginning_of_a_line() {
        let hello = "250-AUTH x\n250-STARTTLSX\n250 auth PLAIN LOGIN";
        assert_eq!(keyword(hello, "AUTH"), Some(vec!["PLAIN", "LOGIN"]));
        assert_eq!(keyword(hello, "STARTTLS"), None);
        assert_eq!(keyword("454-no\n454 AUTH", "AUTH"), None);
    }
}
