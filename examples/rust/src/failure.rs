//! Why a message was not sent: an error, and what to do and to report about it.

use std::fmt;

use smtptls::{Action, Code, Error, Tlsrpt};

/// An error of the library, or of the plain SMTP of these programs, with what follows from it.
#[derive(Debug)]
pub struct Failure {
    error: Error,
    action: Action,
    tlsrpt: Option<Tlsrpt>,
}

impl Failure {
    /// What the server or the network did, outside of STARTTLS: try the next server, or later.
    pub fn peer(error: Error) -> Failure {
        Failure { error, action: Action::NextHost, tlsrpt: None }
    }

    /// The server offers no STARTTLS, and the policy demands it.
    pub fn not_offered(message: &str) -> Failure {
        let error = Error::local(Code::NotOffered, message);
        Failure { error, action: Action::NextHost, tlsrpt: Some(Tlsrpt::StarttlsNotSupported) }
    }
}

/// Whether a session failed before a byte was sent: the policy, or what the DNS says, forbids it.
pub fn is_unsent(error: &Error) -> bool {
    use Code::*;
    matches!(error.code(), Argument | NoRoots | Dnssec | DaneRequired | StsMx)
}

/// The library knows best what its own errors mean.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { action: error.action(), tlsrpt: error.tlsrpt(), error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tlsrpt = self.tlsrpt.map_or("none", Tlsrpt::name);
        write!(f, "{} (action {}, tlsrpt {tlsrpt})", self.error, self.action.name())
    }
}
