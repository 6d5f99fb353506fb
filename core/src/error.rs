//! Why something failed: code, message, errno, alert, action, status code and report.

use std::ffi::CStr;
use std::fmt::Write as _;
use std::io;

use crate::outcome::{Stage, decide, outcome};
use crate::tlsrpt::Report;
use crate::{Action, Code, Level, Role, Tlsrpt};

/// Why something failed. The message is one line of English for logs; its wording may change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub struct Error {
    code: Code,
    message: String,
    os: Option<i32>,
    alert: Option<u8>,
    action: Action,
    status: &'static CStr,
    report: Option<Report>,
}

impl Error {
    /// A failure before anything was sent: the program's own mistake, or a file's.
    pub fn local(code: Code, message: impl Into<String>) -> Error {
        Failure::new(code, message).judge(Role::Client, Level::Verify, Stage::Local, false)
    }

    /// A local failure that a system call caused.
    pub fn local_io(code: Code, message: impl Into<String>, source: &io::Error) -> Error {
        let mut error = Error::local(code, format!("{}: {}", message.into(), describe(source)));
        error.os = source.raw_os_error();
        error
    }

    /// What went wrong.
    pub fn code(&self) -> Code {
        self.code
    }

    /// One line of English for logs. What the peer sent stands in it escaped.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The errno of a failed system call.
    pub fn os(&self) -> Option<i32> {
        self.os
    }

    /// The number of the TLS alert that the peer sent (RFC 8446 section 6).
    pub fn alert(&self) -> Option<u8> {
        self.alert
    }

    /// What the policy lets the program do now.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The enhanced status code (RFC 3463) for the deferral or the bounce, such as `4.7.5`; nothing on a server,
    /// and where there is nothing to defer.
    pub fn enhanced_status(&self) -> Option<&'static str> {
        self.c_enhanced_status().and_then(|status| status.to_str().ok())
    }

    /// The same for C.
    #[doc(hidden)]
    pub fn c_enhanced_status(&self) -> Option<&'static CStr> {
        Some(self.status).filter(|status| !status.is_empty())
    }

    /// Whether it is worth trying later.
    pub fn is_temporary(&self) -> bool {
        !self.status.to_bytes().starts_with(b"5")
    }

    /// The result type for an SMTP TLS report (RFC 8460), if this belongs in one.
    pub fn tlsrpt(&self) -> Option<Tlsrpt> {
        self.report.map(|report| report.kind)
    }

    /// What a report says of it.
    pub fn report(&self) -> Option<Report> {
        self.report
    }

    /// The `failure-reason-code` for that report, such as `dane-no-match`.
    pub fn tlsrpt_reason(&self) -> Option<&'static str> {
        self.report.map(|report| report.reason())
    }
}

/// A failure before it is known what the policy makes of it: what modules below `session` return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub code: Code,
    pub message: String,
    pub os: Option<i32>,
    pub alert: Option<u8>,
    /// Only where it differs from what `outcome` says.
    pub report: Option<Report>,
    /// Only where it differs from what `outcome` says.
    pub status: Option<&'static CStr>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), os: None, alert: None, report: None, status: None }
    }

    /// The failure, to be reported as another kind or for another reason than its code says.
    pub fn reported(self, kind: Tlsrpt, reason: &'static CStr) -> Failure {
        Failure { report: Some(Report { kind, reason }), ..self }
    }

    /// What a report says of it.
    pub fn report(&self, stage: Stage) -> Option<Report> {
        let outcome = outcome(self.code, stage);
        self.report.or(outcome.tlsrpt.map(|kind| Report { kind, reason: outcome.reason }))
    }

    /// A failed system call, or a limit of time, and what was being done.
    pub fn io(situation: &str, source: &io::Error) -> Failure {
        match source.kind() {
            io::ErrorKind::TimedOut if source.raw_os_error().is_none() => {
                Failure::new(Code::Timeout, format!("the time allowed ran out {situation}"))
            }
            _ => {
                let message = format!("the connection failed {situation}: {}", describe(source));
                Failure { os: source.raw_os_error(), ..Failure::new(Code::Io, message) }
            }
        }
    }

    /// The error that a program sees, in the light of the role, the level, how far the session had come, and
    /// whether the connection can still be used in plaintext.
    pub fn judge(self, role: Role, level: Level, stage: Stage, usable: bool) -> Error {
        let client = role == Role::Client;
        Error {
            action: decide(role, level, stage, self.code, usable),
            status: if client { self.status.unwrap_or(outcome(self.code, stage).status) } else { c"" },
            report: self.report(stage).filter(|_| client),
            code: self.code,
            message: self.message,
            os: self.os,
            alert: self.alert,
        }
    }
}

/// The text of an I/O error without Rust's "(os error N)".
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

/// Text from the peer, fit for one line of a log (no control character, no byte that is not ASCII), and cut
/// where it gets long.
pub fn escape(bytes: &[u8]) -> String {
    const MOST: usize = 200;
    let mut text = String::new();
    for &byte in bytes.iter().take(MOST) {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            // Writing to a String cannot fail.
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    if bytes.len() > MOST {
        text.push_str("...");
    }
    text
}
