//! What the calls of a session take and give: where to begin, how far they came, how to end.

/// Where in the dialogue of RFC 3207 a session takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Entry {
    /// At the start: greeting, EHLO, STARTTLS, TLS; a client then says EHLO again.
    Greeting = 0,
    /// EHLO is done. A client sends STARTTLS; a server answers the STARTTLS that its program has read.
    Command = 1,
    /// STARTTLS has been answered with 220, or there is none (port 465).
    Handshake = 2,
}

impl Entry {
    /// Every entry.
    pub const ALL: &'static [Entry] = &[Entry::Greeting, Entry::Command, Entry::Handshake];

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress<T = ()> {
    /// It is done.
    Done(T),
    /// Feed more bytes from the peer and call again.
    WantInput,
    /// Send what `output` shows and call again.
    WantOutput,
    /// A signal came, or the transport asks for it: call again. Only from a `Stream`.
    WantRetry,
    /// Sign what `signature_request` shows, give it to `set_signature` and call again. Only from `start`, and only with a
    /// key pair whose private key is elsewhere.
    WantSignature,
}

/// How to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Close {
    /// Send close_notify.
    Send = 0,
    /// Send close_notify, and read and drop what comes until the peer's.
    Wait = 1,
    /// Send close_notify, and go on reading.
    Half = 2,
}

impl Close {
    /// Every way.
    pub const ALL: &'static [Close] = &[Close::Send, Close::Wait, Close::Half];

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}
