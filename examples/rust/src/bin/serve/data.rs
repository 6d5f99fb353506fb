//! The text behind DATA: where it ends, and what it is without its doubled dots (RFC 5321 section 4.5.2).

/// What came of the text.
pub enum Text {
    /// The message, with LF at the end of its lines.
    Whole(Vec<u8>),
    /// A CR or LF stood alone in it. Other software might see another end there, and a second message behind
    /// it (SMTP smuggling); RFC 5321 section 2.3.8 forbids both.
    Bare,
    /// It is larger than allowed.
    TooLarge,
}

enum At {
    LineStart,
    Dot,
    DotCr,
    Middle,
    Cr,
}

/// Takes the text apart as it comes. Only CRLF, dot, CRLF ends it.
pub struct Data {
    at: At,
    most: usize,
    /// As RFC 1870 counts it: with CRLF.
    size: usize,
    message: Vec<u8>,
    bare: bool,
}

impl Data {
    pub fn new(most: usize) -> Data {
        Data { at: At::LineStart, most, size: 0, message: Vec::new(), bare: false }
    }

    /// Takes bytes. Says how many, and whether that was the end.
    pub fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (index, &byte) in bytes.iter().enumerate() {
            self.at = match (&self.at, byte) {
                (At::DotCr, b'\n') => return (index + 1, true),
                (At::Cr, b'\n') => {
                    self.push(byte);
                    At::LineStart
                }
                (At::LineStart, b'.') => At::Dot,
                (At::Dot, b'\r') => At::DotCr,
                (at, _) => {
                    // An LF without CR before it, or a CR without LF behind it.
                    self.bare |= byte == b'\n' || matches!(at, At::Cr | At::DotCr);
                    match byte {
                        b'\r' => At::Cr,
                        _ => {
                            self.push(byte);
                            At::Middle
                        }
                    }
                }
            };
        }
        (bytes.len(), false)
    }

    fn push(&mut self, byte: u8) {
        self.size += if byte == b'\n' { 2 } else { 1 };
        match self.bare || self.size > self.most {
            // It will not be stored, so it need not be kept.
            true => self.message = Vec::new(),
            false => self.message.push(byte),
        }
    }

    /// What came of it.
    pub fn finish(self) -> Text {
        match self {
            Data { bare: true, .. } => Text::Bare,
            Data { size, most, .. } if size > most => Text::TooLarge,
            Data { message, .. } => Text::Whole(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of `bytes`, given one by one: `None` if they have no end.
    fn text(bytes: &[u8]) -> Option<Text> {
        let mut data = Data::new(10);
        let ends = bytes.iter().position(|byte| data.take(std::slice::from_ref(byte)).1);
        ends.is_some_and(|end| end == bytes.len() - 1).then(|| data.finish())
    }

    #[test]
    fn dots_are_taken_away() {
        for (bytes, message) in [
            (&b".\r\n"[..], &b""[..]),
            (b"..\r\n...\r\n.\r\n", b".\n..\n"),
            (b"a.b\r\n.c\r\n.\r\n", b"a.b\nc\n"),
        ] {
            assert!(matches!(text(bytes), Some(Text::Whole(whole)) if whole == message));
        }
    }

    #[test]
    fn nothing_but_crlf_dot_crlf_is_an_end() {
        for bytes in [&b"a\n.\n"[..], b"a\n.\r\n", b"a\r\n.\n", b"a\r.\r\n", b"a\r\n.\r.\r\n", b"a\r\n..\r\n"]
        {
            assert!(text(bytes).is_none());
        }
        assert!(matches!(text(b"a\n.\r\nb\r\n.\r\n"), Some(Text::Bare)));
        assert!(matches!(text(b"a\r\n.\r\r\n.\r\n"), Some(Text::Bare)));
    }

    #[test]
    fn the_size_is_bounded() {
        assert!(matches!(text(b"12345678\r\n.\r\n"), Some(Text::Whole(_))));
        assert!(matches!(text(b"123456789\r\n.\r\n"), Some(Text::TooLarge)));
    }
}
