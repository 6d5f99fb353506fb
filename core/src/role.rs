//! Which side of a connection a session plays, and which protocol it speaks.

/// Which side of the connection a session plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It connected, and asks for STARTTLS.
    Client,
    /// It accepted the connection, and offers STARTTLS.
    Server,
}

/// SMTP or LMTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Protocol {
    /// SMTP (RFC 5321): EHLO, or HELO.
    #[default]
    Smtp = 0,
    /// LMTP (RFC 2033): LHLO, and neither EHLO nor HELO.
    Lmtp = 1,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: &'static [Protocol] = &[Protocol::Smtp, Protocol::Lmtp];

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The command that asks for the list of extensions.
    pub(crate) fn hello(self) -> &'static str {
        match self {
            Protocol::Smtp => "EHLO",
            Protocol::Lmtp => "LHLO",
        }
    }

    /// What the greeting calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Smtp => "ESMTP",
            Protocol::Lmtp => "LMTP",
        }
    }
}
