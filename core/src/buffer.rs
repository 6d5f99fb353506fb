//! Bytes that came from the peer and are not used yet: a queue with a fixed bound.

/// Room for two TLS records of the largest size (RFC 8446 section 5.2), so that one read takes several.
const CAPACITY: usize = 36 * 1024;
/// Room for commands, replies and most handshakes. Memory is cleared before it is read into, and costs what it has.
const FEW: usize = 4 * 1024;
/// A handshake message lies here until it is whole, and rustls takes up to 64 KB, in records of any size.
pub(crate) const MOST: usize = 4 * CAPACITY;

/// The queue. It takes its memory when bytes come, and gives it back when it is empty.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read took all that there was room for, and so the next one should have more.
    plenty: bool,
}

impl Buffer {
    /// A queue of these bytes, and room for more when they are used.
    pub fn holding(bytes: Vec<u8>) -> Buffer {
        let end = bytes.len();
        Buffer { bytes, start: 0, end, plenty: false }
    }

    /// The bytes that wait.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The same, for TLS, which decrypts where the bytes lie.
    pub fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub fn is_full(&self) -> bool {
        self.end - self.start >= MOST
    }

    /// Drops the first `count` bytes; they were used.
    pub fn consume(&mut self, count: usize) {
        self.start += count.min(self.end - self.start);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Room to read into. Empty only when `MOST` bytes wait.
    pub fn space(&mut self) -> &mut [u8] {
        let room = if self.plenty { CAPACITY } else { FEW };
        if self.is_empty() && self.bytes.len() < room {
            self.bytes = vec![0; room];
        }
        if self.start > 0 && self.bytes.len() - self.end < room / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < FEW / 2 && self.bytes.len() < MOST {
            self.bytes.resize((self.bytes.len() * 2).clamp(room, MOST), 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Says that `count` bytes were read into `space`.
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
        self.plenty = self.end == self.bytes.len() || (self.plenty && count > FEW);
    }

    /// Takes as many of `bytes` as there is room for, and says how many.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        if self.start > 0 && self.bytes.len() - self.end < bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // No more memory than it takes, for many sessions with a little each.
        let wanted = (self.end + bytes.len()).min(MOST);
        if wanted > self.bytes.len() {
            self.bytes.resize(wanted, 0);
        }
        let count = bytes.len().min(self.bytes.len() - self.end);
        self.bytes[self.end..self.end + count].copy_from_slice(&bytes[..count]);
        self.end += count;
        count
    }

    /// Gives the memory of an empty queue back: thousands of idle sessions hold none.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Buffer { plenty: self.plenty, ..Buffer::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_nothing_is_lost() {
        let mut buffer = Buffer::default();
        let source: Vec<u8> = (0..100_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let (mut given, mut got) = (0, Vec::new());
        while got.len() < source.len() {
            given += buffer.push(&source[given..(given + 7_777).min(source.len())]);
            assert!(buffer.unread().len() <= MOST);
            let take = buffer.unread().len().div_ceil(2);
            got.extend_from_slice(&buffer.unread()[..take]);
            buffer.consume(take);
        }
        assert_eq!(got, source);
        buffer.release();
        assert!(buffer.bytes.is_empty());
    }

    #[test]
    fn room_grows_where_much_comes_and_shrinks_where_little_does() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.space().len(), FEW);
        buffer.filled(FEW);
        // What waits is kept, and what is to come has room.
        assert!(buffer.space().len() >= CAPACITY - FEW && buffer.unread().len() == FEW);
        buffer.consume(FEW);
        buffer.release();
        assert_eq!(buffer.space().len(), CAPACITY);
        buffer.filled(20_000);
        buffer.consume(20_000);
        buffer.release();
        assert_eq!(buffer.space().len(), CAPACITY);
        buffer.filled(100);
        buffer.consume(100);
        buffer.release();
        assert_eq!(buffer.space().len(), FEW);
        // Never more than the bound, and never no room before it.
        loop {
            let room = buffer.space().len();
            if room == 0 {
                break;
            }
            buffer.filled(room.min(999));
        }
        assert_eq!(buffer.unread().len(), MOST);
    }
}
