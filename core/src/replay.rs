//! The octets of a handshake that stopped for a signature, so that it can be played again: see `signing`.

use std::sync::Arc;

use crate::buffer::{Buffer, MOST};
use crate::signing::{SignatureRequest, Signing};

/// The most that is kept of a peer's side of a handshake: its largest messages are 64 KB, and records may be small.
const MOST_RECEIVED: usize = 4 * MOST;

/// What came and what was said.
pub(crate) struct Replay {
    signing: Arc<Signing>,
    stop: Stop,
    /// All that came from the peer, as it came, and how much of it is used.
    received: Vec<u8>,
    used: usize,
    /// How much has been sent, and how much of that is being said again.
    said: usize,
    repeated: usize,
}

/// Where the handshake stands.
enum Stop {
    Not,
    Asked(SignatureRequest),
    /// It can begin again.
    Answered,
}

impl Replay {
    pub fn new(signing: Arc<Signing>) -> Replay {
        Replay { signing, stop: Stop::Not, received: Vec::new(), used: 0, said: 0, repeated: 0 }
    }

    /// What is to be signed.
    pub fn request(&self) -> Option<&SignatureRequest> {
        match &self.stop {
            Stop::Asked(request) => Some(request),
            _ => None,
        }
    }

    /// Gives the signature, and says whether it is one.
    pub fn answer(&mut self, signature: &[u8]) -> bool {
        let fits = self.request().is_some_and(|request| self.signing.answer(request, signature));
        if fits {
            self.stop = Stop::Answered;
        }
        fits
    }

    /// Whether rustls failed only because it wants a signature. Then all that came is for the next connection.
    pub fn stops(&mut self, input: &mut Buffer) -> bool {
        let Some(request) = self.signing.asked() else { return false };
        self.stop = Stop::Asked(request);
        *input = Buffer::default();
        true
    }

    /// Whether a new connection is to begin, once a signature is there. Then it gets what the old one has got, and what
    /// has come since.
    pub fn begins_again(&mut self, input: &mut Buffer) -> bool {
        if !matches!(self.stop, Stop::Answered) {
            return false;
        }
        self.stop = Stop::Not;
        let mut received = std::mem::take(&mut self.received);
        received.extend_from_slice(input.unread());
        *input = Buffer::holding(received);
        (self.used, self.repeated, self.said) = (0, self.said, 0);
        true
    }

    /// Keeps what is new of these bytes, before rustls decrypts them where they lie. Whether it is within bounds.
    pub fn receive(&mut self, unread: &[u8]) -> bool {
        let known = self.received.len() - self.used;
        self.received.extend_from_slice(unread.get(known..).unwrap_or_default());
        self.received.len() <= MOST_RECEIVED
    }

    /// Counts what rustls has used, and drops what was said before of the bytes from `before` on.
    pub fn went_on(&mut self, used: usize, before: usize, output: &mut Vec<u8>) {
        self.used += used;
        let said = output.len() - before;
        let again = said.min(self.repeated);
        output.drain(before..before + again);
        self.repeated -= again;
        self.said += said;
    }
}
