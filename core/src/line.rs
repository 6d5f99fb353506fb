//! Lines of the dialogue: CRLF at the end (RFC 5321 section 2.3.8), a bound, and no NUL, bare CR or bare LF.

use crate::Code;
use crate::error::Failure;

/// The longest line, with its CRLF. RFC 5321 section 4.5.3.1 asks for 512; servers are known to send more.
pub(crate) const LONGEST: usize = 2048;

/// What is wrong with a line, and how many bytes of the input it takes up to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    TooLong,
    Nul,
    BareCr,
    BareLf,
}

impl Fault {
    fn text(self) -> &'static str {
        match self {
            Fault::TooLong => "is longer than 2048 octets",
            Fault::Nul => "has a NUL in it",
            Fault::BareCr => "has a CR without LF in it",
            Fault::BareLf => "has a LF without CR in it",
        }
    }

    /// The failure, where the line came from is `what`.
    pub fn failure(self, what: &str) -> Failure {
        let code = match self {
            Fault::TooLong => Code::TooLong,
            _ => Code::SmtpSyntax,
        };
        Failure::new(code, format!("{what} {}", self.text()))
    }
}

/// Finds lines in an input that grows. Each byte is looked at once.
#[derive(Default)]
pub(crate) struct Scanner {
    scanned: usize,
}

impl Scanner {
    /// The length of the first line of `input`, its CRLF included, or nothing while it is not whole.
    ///
    /// After `Some` the caller consumes the line; the next call then starts afresh.
    pub fn line(&mut self, input: &[u8]) -> Result<Option<usize>, Fault> {
        while let Some(&byte) = input.get(self.scanned) {
            let after_cr = self.scanned > 0 && input[self.scanned - 1] == b'\r';
            match byte {
                b'\n' if after_cr => {
                    let length = self.scanned + 1;
                    self.scanned = 0;
                    return Ok(Some(length));
                }
                _ if after_cr => return Err(Fault::BareCr),
                b'\n' => return Err(Fault::BareLf),
                0 => return Err(Fault::Nul),
                _ => {}
            }
            self.scanned += 1;
            if self.scanned >= LONGEST {
                return Err(Fault::TooLong);
            }
        }
        Ok(None)
    }

    /// After a fault: how many bytes to drop to come to the next CRLF, and whether it was found (RFC 5321
    /// section 4.5.3.1: resynchronise). A bare LF is no end: what follows it is not a command.
    pub fn resynchronise(&mut self, input: &[u8]) -> (usize, bool) {
        self.scanned = 0;
        match input.windows(2).position(|pair| pair == b"\r\n") {
            Some(at) => (at + 2, true),
            // A CR at the end may be half of it.
            None => (input.len() - usize::from(input.last() == Some(&b'\r')), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(input: &[u8]) -> Result<Option<usize>, Fault> {
        Scanner::default().line(input)
    }

    fn bytewise(input: &[u8]) -> Result<Option<usize>, Fault> {
        let mut scanner = Scanner::default();
        for end in 1..=input.len() {
            match scanner.line(&input[..end]) {
                Ok(None) => {}
                other => return other,
            }
        }
        Ok(None)
    }

    /// R5321-4.2-2, R5321-4.5.3-1.
    #[test]
    fn faults_are_the_same_in_one_piece_and_byte_by_byte() {
        let long = [b'a'; LONGEST + 1];
        let mut longest = vec![b'a'; LONGEST - 2];
        longest.extend_from_slice(b"\r\n");
        for (input, want) in [
            (&b"220 hi\r\nrest"[..], Ok(Some(8))),
            (b"\r\n", Ok(Some(2))),
            (b"220 hi", Ok(None)),
            (b"220 hi\r", Ok(None)),
            (b"220 hi\nrest", Err(Fault::BareLf)),
            (b"220 \rhi\r\n", Err(Fault::BareCr)),
            (b"220 \r\r\n", Err(Fault::BareCr)),
            (b"220 \0hi\r\n", Err(Fault::Nul)),
            (&longest, Ok(Some(LONGEST))),
            (&long, Err(Fault::TooLong)),
        ] {
            assert_eq!(whole(input), want);
            assert_eq!(bytewise(input), want);
        }
    }
}
