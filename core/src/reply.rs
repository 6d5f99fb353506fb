//! Replies of a server (RFC 5321 section 4.2): several lines, one code, bounded.

use crate::Code;
use crate::error::{Failure, escape};
use crate::line::Scanner;

/// The most lines that a reply may have, and the most octets.
const MOST_LINES: usize = 100;
const MOST_OCTETS: usize = 64 * 1024;

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub code: u16,
    /// The lines as they came, code included, without their CRLF.
    lines: Vec<Vec<u8>>,
}

impl Reply {
    /// Whether an EHLO reply has this keyword. The first line is the server's name, never a keyword; what
    /// follows a keyword on its line are its parameters (RFC 5321 section 4.1.1.1).
    pub fn offers(&self, keyword: &str) -> bool {
        self.lines.iter().skip(1).any(|line| {
            let text = line.get(4..).unwrap_or_default();
            let word = text.split(|byte| *byte == b' ').next().unwrap_or_default();
            word.eq_ignore_ascii_case(keyword.as_bytes())
        })
    }

    /// The lines, joined by `\n`.
    pub fn text(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        lines.join("\n")
    }

    /// The reply in one line of a log.
    pub fn escaped(&self) -> String {
        escape(&self.lines.join(&b' '))
    }
}

/// Puts replies together, line by line.
#[derive(Default)]
pub(crate) struct Replies {
    scanner: Scanner,
    lines: Vec<Vec<u8>>,
    octets: usize,
}

impl Replies {
    /// Takes lines from the front of `input` until a reply is whole. Says how many bytes it used.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), Failure> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let Some(length) =
                self.scanner.line(rest).map_err(|fault| fault.failure("the server's reply"))?
            else {
                return Ok((used, None));
            };
            used += length;
            if let Some(reply) = self.add(&rest[..length - 2])? {
                return Ok((used, Some(reply)));
            }
        }
    }

    fn add(&mut self, line: &[u8]) -> Result<Option<Reply>, Failure> {
        let syntax = |what: &str| {
            Failure::new(Code::SmtpSyntax, format!("the server's reply {what}: \"{}\"", escape(line)))
        };
        let (code, last) = match line {
            [a @ b'2'..=b'5', b, c, rest @ ..] if b.is_ascii_digit() && c.is_ascii_digit() => {
                let digits = [a, b, c].map(|digit| u16::from(digit - b'0'));
                let last = match rest.first() {
                    None | Some(b' ') => true,
                    Some(b'-') => false,
                    Some(_) => return Err(syntax("has neither blank nor hyphen behind its code")),
                };
                (digits[0] * 100 + digits[1] * 10 + digits[2], last)
            }
            _ => return Err(syntax("does not begin with a code from 200 to 599")),
        };
        if self.lines.first().is_some_and(|first| first[..3] != line[..3]) {
            return Err(syntax("changes its code in the middle"));
        }
        self.octets += line.len() + 2;
        if self.lines.len() >= MOST_LINES || self.octets > MOST_OCTETS {
            let message =
                format!("the server's reply has more than {MOST_LINES} lines or {MOST_OCTETS} octets");
            return Err(Failure::new(Code::TooLong, message));
        }
        self.lines.push(line.to_vec());
        if !last {
            return Ok(None);
        }
        self.octets = 0;
        Ok(Some(Reply { code, lines: std::mem::take(&mut self.lines) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(input: &[u8]) -> Result<Option<Reply>, Failure> {
        Replies::default().next(input).map(|(_, reply)| reply)
    }

    fn ehlo(input: &[u8]) -> Reply {
        parse(input).unwrap().unwrap()
    }

    /// R3207-2-1, R3207-2-3, R3207-2-4.
    #[test]
    fn the_keyword_is_found_where_it_is_one() {
        for (offered, input) in [
            (true, &b"250-mx\r\n250-StartTls\r\n250 SIZE\r\n"[..]),
            (true, b"250-mx\r\n250 STARTTLS\r\n"),
            (true, b"250-mx\r\n250 STARTTLS foo\r\n"),
            (false, b"250-mx\r\n250 STARTTLSX\r\n"),
            (false, b"250-STARTTLS\r\n250 SIZE\r\n"),
            (false, b"250 STARTTLS\r\n"),
            (false, b"250-mx\r\n250 XXXXXXXX\r\n"),
            (false, b"250-mx\r\n250 X STARTTLS\r\n"),
        ] {
            assert_eq!(ehlo(input).offers("STARTTLS"), offered, "{}", escape(input));
        }
    }

    /// R5321-4.2-1: unknown codes are judged by their first digit, so any of 200 to 599 is one.
    #[test]
    fn a_reply_is_whole_with_its_last_line() {
        assert_eq!(parse(b"220-a\r\n220 b\r\n").unwrap().unwrap().text(), "220-a\n220 b");
        assert_eq!(parse(b"599\r\n").unwrap().unwrap().code, 599);
        assert_eq!(parse(b"220-a\r\n").unwrap(), None);
    }

    /// R5321-4.2-2.
    #[test]
    fn what_is_no_reply_is_refused_by_name() {
        for (input, code, words) in [
            (&b"hello\r\n"[..], Code::SmtpSyntax, "code from 200 to 599"),
            (b"199 x\r\n", Code::SmtpSyntax, "code from 200 to 599"),
            (b"2x0 x\r\n", Code::SmtpSyntax, "code from 200 to 599"),
            (b"22\r\n", Code::SmtpSyntax, "code from 200 to 599"),
            (b"\r\n", Code::SmtpSyntax, "code from 200 to 599"),
            (b"220x\r\n", Code::SmtpSyntax, "neither blank nor hyphen"),
            (b"220-a\r\n250 b\r\n", Code::SmtpSyntax, "changes its code"),
            (b"220 a\0b\r\n", Code::SmtpSyntax, "NUL"),
            (b"220 a\n", Code::SmtpSyntax, "LF without CR"),
        ] {
            let failure = parse(input).unwrap_err();
            assert_eq!(failure.code, code, "{}", escape(input));
            assert!(failure.message.contains(words), "{}", failure.message);
        }
    }

    /// SEC-8.
    #[test]
    fn an_endless_reply_ends() {
        let many = b"250-x\r\n".repeat(MOST_LINES + 1);
        assert_eq!(parse(&many).unwrap_err().code, Code::TooLong);
        let mut long = b"250-".to_vec();
        long.extend_from_slice(&[b'x'; 1500]);
        long.extend_from_slice(b"\r\n");
        assert_eq!(parse(&long.repeat(50)).unwrap_err().code, Code::TooLong);
    }
}
