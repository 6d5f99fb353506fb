//! What to do after a failure: one table over code, stage and level.

use std::ffi::CStr;

use crate::{Code, Level, Role};

/// What the policy lets a program do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Action {
    /// Nothing: end this connection, and tell the administrator.
    Fail = 0,
    /// Go on in plaintext on this connection.
    Continue = 1,
    /// Connect again and deliver in plaintext.
    Reconnect = 2,
    /// Try the next server of the destination, or try again later.
    NextHost = 3,
}

impl Action {
    /// Every action.
    pub const ALL: &'static [Action] = &[Action::Fail, Action::Continue, Action::Reconnect, Action::NextHost];

    /// The name, as in logs: `next-host`.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The name for C.
    #[doc(hidden)]
    pub fn c_name(self) -> &'static CStr {
        match self {
            Action::Fail => c"fail",
            Action::Continue => c"continue",
            Action::Reconnect => c"reconnect",
            Action::NextHost => c"next-host",
        }
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// How far a session had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before anything was sent: arguments, files, configuration.
    Local,
    /// The greeting and EHLO.
    Greeting,
    /// From the STARTTLS command until its reply was read.
    Starttls,
    /// From the first TLS byte to the verdict.
    Handshake,
    /// After the verdict.
    Secured,
}

/// What to do after `code`.
///
/// RFC 3207 section 4 leaves the choice to local policy; only level `may` allows plaintext. After a failed
/// handshake plaintext needs a new connection (RFC 3207 section 4.1 knows no way back), and so it does where
/// the connection is not `usable`: after 421, say.
pub(crate) fn decide(role: Role, level: Level, stage: Stage, code: Code, usable: bool) -> Action {
    use Action::*;
    match (role, stage, code) {
        (_, Stage::Local, _) => Fail,
        (_, _, Code::Internal | Code::Argument | Code::State | Code::Frozen) => Fail,
        (Role::Server, _, Code::NotRequested) => Continue,
        (Role::Server, Stage::Starttls, Code::NoKeypair | Code::SmtpSyntax) => Continue,
        (Role::Server, _, _) => Fail,
        // An attacker is on the path; a queue loses nothing by waiting.
        (Role::Client, _, Code::PlaintextInjected) => NextHost,
        (Role::Client, Stage::Greeting, Code::NotOffered) if level == Level::May && usable => Continue,
        (Role::Client, Stage::Starttls, Code::Refused) if level == Level::May && usable => Continue,
        (Role::Client, Stage::Starttls | Stage::Handshake, _) if level == Level::May => Reconnect,
        (Role::Client, ..) => NextHost,
    }
}
