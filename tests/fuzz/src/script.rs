//! How an input of the fuzzer is read: settings first, then a stream of octets with calls among them.
//!
//! In the stream the octet 0xff begins a call: the next octet says which, and some take arguments behind it. Two 0xff
//! are one that is meant. Nothing is counted in lengths, so that a mutation leaves the rest as it was, and a corpus can
//! be written by hand: `220 mx\r\n`, 0xff, `s`.

/// The octet before a call.
pub const CALL: u8 = 0xff;

/// An input, read from its front. Behind its end there are only zeros.
pub struct Script<'a> {
    rest: &'a [u8],
}

/// A step of the stream.
pub enum Step<'a> {
    /// Octets as they are.
    Octets(&'a [u8]),
    /// A call.
    Call(u8),
}

impl<'a> Script<'a> {
    pub fn new(data: &'a [u8]) -> Script<'a> {
        Script { rest: data }
    }

    pub fn octet(&mut self) -> u8 {
        let (first, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        *first
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.octet()) % all.len()]
    }

    /// Eight settings.
    pub fn flags(&mut self) -> [bool; 8] {
        let octet = self.octet();
        std::array::from_fn(|bit| octet >> bit & 1 == 1)
    }

    /// A size: small ones in steps of one, large ones up to 64 KiB.
    pub fn size(&mut self) -> usize {
        match usize::from(self.octet()) {
            small @ ..=0x7f => small,
            large => 1 << (large % 17),
        }
    }

    /// What is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// What is left up to this octet, which is dropped.
    pub fn until(&mut self, end: u8) -> &'a [u8] {
        let at = self.rest.iter().position(|octet| *octet == end);
        let (found, rest) = self.rest.split_at(at.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        found
    }

    pub fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next step of the stream; nothing at its end.
    pub fn step(&mut self) -> Option<Step<'a>> {
        match self.rest {
            [] => None,
            [CALL, CALL, ..] => {
                let octets = &self.rest[..1];
                self.rest = &self.rest[2..];
                Some(Step::Octets(octets))
            }
            [CALL, ..] => {
                self.octet();
                Some(Step::Call(self.octet()))
            }
            _ => {
                let end = self.rest.iter().position(|octet| *octet == CALL).unwrap_or(self.rest.len());
                let (octets, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(Step::Octets(octets))
            }
        }
    }
}
