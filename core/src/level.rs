//! Security levels, with Postfix's names and numbers.

use std::ffi::CStr;

/// How much security is demanded of a peer. Each level is stricter than the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Level {
    /// TLS if the server offers it, any certificate, plaintext otherwise. For a server: STARTTLS is offered
    /// and not required.
    May = 1,
    /// TLS or failure, any certificate. For a server: nothing but STARTTLS is answered before TLS.
    Encrypt = 2,
    /// TLS, a certificate from a trusted authority, and for the expected name.
    Verify = 7,
}

impl Level {
    /// Every level, the least strict first.
    pub const ALL: &'static [Level] = &[Level::May, Level::Encrypt, Level::Verify];

    /// The name, as in mail server configuration files.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The name for C.
    #[doc(hidden)]
    pub fn c_name(self) -> &'static CStr {
        match self {
            Level::May => c"may",
            Level::Encrypt => c"encrypt",
            Level::Verify => c"verify",
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
}
