//! Security levels, with Postfix's names and numbers.

use std::ffi::CStr;

/// How much security is demanded of a peer, each level as Postfix defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Level {
    /// No TLS, even if the server offers it. For a server: STARTTLS is not offered.
    None = 0,
    /// TLS if the server offers it, any certificate, plaintext otherwise. For a server: STARTTLS is offered
    /// and not required.
    May = 1,
    /// TLS or failure, any certificate. For a server: nothing but STARTTLS is answered before TLS.
    Encrypt = 2,
    /// TLS, and a certificate or public key with a known fingerprint; names, dates and issuers do not count.
    Fingerprint = 3,
    /// DANE (RFC 7672) if there are secure and usable TLSA records; `May` if there are no secure ones, `Encrypt`
    /// if none of them is usable.
    Dane = 5,
    /// DANE or failure.
    DaneOnly = 6,
    /// TLS, a certificate from a trusted authority, and for the server's name.
    Verify = 7,
    /// The same, but for the name of the next hop, which no insecure DNS answer can change.
    Secure = 8,
}

impl Level {
    /// Every level, by number. 4 is reserved: Postfix's `half-dane`.
    pub const ALL: &'static [Level] = &[
        Level::None,
        Level::May,
        Level::Encrypt,
        Level::Fingerprint,
        Level::Dane,
        Level::DaneOnly,
        Level::Verify,
        Level::Secure,
    ];

    /// The name, as in mail server configuration files.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The name for C.
    #[doc(hidden)]
    pub fn c_name(self) -> &'static CStr {
        match self {
            Level::None => c"none",
            Level::May => c"may",
            Level::Encrypt => c"encrypt",
            Level::Fingerprint => c"fingerprint",
            Level::Dane => c"dane",
            Level::DaneOnly => c"dane-only",
            Level::Verify => c"verify",
            Level::Secure => c"secure",
        }
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The level of that number.
    pub fn from_number(number: i32) -> Option<Level> {
        Level::ALL.iter().copied().find(|level| level.number() == number)
    }

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.iter().copied().find(|level| level.name() == name)
    }

    /// Whether mail may go in plaintext.
    pub fn allows_plaintext(self) -> bool {
        self <= Level::May
    }

    /// Whether the peer must prove who it is.
    pub fn authenticates(self) -> bool {
        self >= Level::Fingerprint
    }

    /// Whether TLSA records are what counts.
    pub(crate) fn is_dane(self) -> bool {
        matches!(self, Level::Dane | Level::DaneOnly)
    }
}
