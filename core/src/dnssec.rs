//! What the caller's resolver said of an answer: the library asks no DNS.

/// How far a DNS answer can be believed (RFC 7672 section 2.1.1, RFC 4035 section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Dnssec {
    /// No lookup was made.
    #[default]
    None = 0,
    /// The answer, or that there is none, was validated.
    Secure = 1,
    /// It was validated that the zone is not signed. In a chain of CNAMEs one such link is enough.
    Insecure = 2,
    /// Validation failed.
    Bogus = 3,
    /// The lookup failed: SERVFAIL, a timeout, REFUSED, or a state of validation that is not known.
    Error = 4,
}

impl Dnssec {
    /// Every state.
    pub const ALL: &'static [Dnssec] =
        &[Dnssec::None, Dnssec::Secure, Dnssec::Insecure, Dnssec::Bogus, Dnssec::Error];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Dnssec::None => "none",
            Dnssec::Secure => "secure",
            Dnssec::Insecure => "insecure",
            Dnssec::Bogus => "bogus",
            Dnssec::Error => "error",
        }
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Dnssec> {
        Dnssec::ALL.iter().copied().find(|status| status.name() == name)
    }

    /// Whether the answer is no answer (RFC 7672 section 2.1.2).
    pub(crate) fn failed(self) -> bool {
        matches!(self, Dnssec::Bogus | Dnssec::Error)
    }
}
