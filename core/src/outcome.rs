//! What follows from a failure: action, enhanced status code, what to report. One table over code and stage;
//! `docs/errors.md` is made from it, and a test keeps it so.

use std::ffi::CStr;

use crate::{Action, Code, Level, Role, Tlsrpt};

/// How far a session had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before anything was sent: arguments, files, configuration, and what the DNS said.
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

/// At which stages a row holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At {
    /// All that no row above it names.
    Any,
    Only(&'static [Stage]),
}

/// What follows from a failure on a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub code: Code,
    pub at: At,
    /// At levels `none` and `may`, the only ones that allow plaintext: RFC 3207 section 4 leaves the choice to
    /// local policy.
    pub lax: Action,
    /// At all others.
    pub strict: Action,
    /// RFC 3463; empty where there is nothing to bounce or to defer.
    pub status: &'static CStr,
    /// RFC 8460 section 4.3.
    pub tlsrpt: Option<Tlsrpt>,
    /// The `failure-reason-code` of a report (RFC 8460 section 4.3.1). Where there is no report, empty.
    pub reason: &'static CStr,
}

#[rustfmt::skip]
pub(crate) const OUTCOMES: &[Outcome] = {
    use {Action::*, At::*, Stage::*, Tlsrpt as T};
    const fn row(
        code: Code, at: At, lax: Action, strict: Action, status: &'static CStr, tlsrpt: Option<Tlsrpt>, reason: &'static CStr,
    ) -> Outcome {
        Outcome { code, at, lax, strict, status, tlsrpt, reason }
    }
    &[
    // On this side. Mail waits until the administrator has mended it.
    row(Code::Argument,          Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::State,             Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::Frozen,            Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::Internal,          Any,                          Fail,      Fail,     c"4.3.0",  None, c""),
    row(Code::File,              Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::CertificateParse,  Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::KeyParse,          Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::KeyMismatch,       Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::NoRoots,           Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::NoKeypair,         Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::KeyEncrypted,      Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    row(Code::CrlParse,          Any,                          Fail,      Fail,     c"4.3.5",  None, c""),
    // The connection. RFC 8460 section 4.3.4: network errors are not reported.
    row(Code::Io,                Only(&[Starttls, Handshake]), Reconnect, NextHost, c"4.4.2",  None, c""),
    row(Code::Io,                Any,                          NextHost,  NextHost, c"4.4.2",  None, c""),
    row(Code::Eof,               Only(&[Starttls, Handshake]), Reconnect, NextHost, c"4.4.2",  None, c""),
    row(Code::Eof,               Any,                          NextHost,  NextHost, c"4.4.2",  None, c""),
    row(Code::Timeout,           Only(&[Starttls, Handshake]), Reconnect, NextHost, c"4.4.2",  None, c""),
    row(Code::Timeout,           Any,                          NextHost,  NextHost, c"4.4.2",  None, c""),
    row(Code::Truncated,         Only(&[Starttls, Handshake]), Reconnect, NextHost, c"4.4.2",  None, c""),
    row(Code::Truncated,         Any,                          NextHost,  NextHost, c"4.4.2",  None, c""),
    // The dialogue.
    row(Code::NotOffered,        Any,                          Continue,  NextHost, c"4.7.4",  Some(T::StarttlsNotSupported), c"starttls-not-offered"),
    row(Code::Refused,           Only(&[Starttls]),            Continue,  NextHost, c"4.7.4",  Some(T::StarttlsNotSupported), c"starttls-refused"),
    row(Code::Refused,           Any,                          NextHost,  NextHost, c"4.3.2",  None, c""),
    row(Code::SmtpSyntax,        Only(&[Starttls]),            Reconnect, NextHost, c"4.7.4",  Some(T::StarttlsNotSupported), c"starttls-reply-not-understood"),
    row(Code::SmtpSyntax,        Any,                          NextHost,  NextHost, c"4.5.0",  None, c""),
    // An attacker is on the path; a queue loses nothing by waiting.
    row(Code::PlaintextInjected, Any,                          NextHost,  NextHost, c"4.7.0",  Some(T::ValidationFailure), c"plaintext-injected"),
    row(Code::TooLong,           Only(&[Starttls, Handshake]), Reconnect, NextHost, c"4.5.0",  None, c""),
    row(Code::TooLong,           Any,                          NextHost,  NextHost, c"4.5.0",  None, c""),
    row(Code::Unsolicited,       Only(&[Starttls, Handshake]), Reconnect, NextHost, c"4.5.0",  None, c""),
    row(Code::Unsolicited,       Any,                          NextHost,  NextHost, c"4.5.0",  None, c""),
    row(Code::NotRequested,      Any,                          Continue,  Continue, c"",       None, c""),
    row(Code::NotWanted,         Any,                          Continue,  Continue, c"",       None, c""),
    // TLS.
    row(Code::Handshake,         Only(&[Handshake]),           Reconnect, NextHost, c"4.7.5",  Some(T::ValidationFailure), c"tls-handshake-failure"),
    row(Code::Handshake,         Any,                          NextHost,  NextHost, c"4.7.5",  None, c""),
    row(Code::Alert,             Only(&[Handshake]),           Reconnect, NextHost, c"4.7.5",  Some(T::ValidationFailure), c"tls-handshake-failure"),
    row(Code::Alert,             Any,                          NextHost,  NextHost, c"4.7.5",  None, c""),
    row(Code::Tls,               Any,                          NextHost,  NextHost, c"4.7.5",  None, c""),
    // The verdict. At `may` it is never a failure.
    row(Code::CertInvalid,       Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::ValidationFailure), c"certificate-unusable"),
    row(Code::CertTime,          Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::CertificateExpired), c"certificate-expired"),
    row(Code::CertUntrusted,     Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::CertificateNotTrusted), c"no-trusted-issuer"),
    row(Code::CertName,          Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::CertificateHostMismatch), c"certificate-host-mismatch"),
    row(Code::Fingerprint,       Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::CertificateNotTrusted), c"fingerprint-no-match"),
    row(Code::CertRequired,      Any,                          Fail,      Fail,     c"",       None, c""),
    row(Code::CertRevoked,       Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::ValidationFailure), c"certificate-revoked"),
    row(Code::CrlExpired,        Any,                          NextHost,  NextHost, c"4.3.5",  None, c""),
    row(Code::DaneMismatch,      Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::CertificateNotTrusted), c"dane-no-match"),
    // What the DNS and the domain's policy say, before a byte is sent. RFC 8461 section 5: never permanent.
    row(Code::DaneRequired,      Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::DaneRequired), c"no-secure-TLSA-records"),
    row(Code::Dnssec,            Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::DnssecInvalid), c"dns-lookup-failed"),
    row(Code::StsMx,             Any,                          NextHost,  NextHost, c"4.7.5",  Some(T::ValidationFailure), c"sts-mx-mismatch"),
    row(Code::StsInvalid,        Any,                          Fail,      Fail,     c"",       Some(T::StsPolicyInvalid), c"sts-policy-invalid"),
    // RFC 8689 section 4.2.1: the next server, and if there is none, back to the sender.
    row(Code::RequireTls,        Any,                          NextHost,  NextHost, c"5.7.30", None, c""),
    ]
};

/// What follows from `code` at this stage, on a client.
pub(crate) fn outcome(code: Code, stage: Stage) -> &'static Outcome {
    let fits = |row: &&Outcome| {
        row.code == code
            && match row.at {
                At::Any => true,
                At::Only(stages) => stages.contains(&stage),
            }
    };
    // A test makes sure that the table has every code.
    OUTCOMES.iter().find(fits).unwrap_or(&OUTCOMES[0])
}

/// What to do after `code`. Plaintext needs a new connection where this one is not `usable`: after 421, say.
pub(crate) fn decide(role: Role, level: Level, stage: Stage, code: Code, usable: bool) -> Action {
    match (role, stage, code) {
        (Role::Client, ..) => {
            let outcome = outcome(code, stage);
            match if level.allows_plaintext() { outcome.lax } else { outcome.strict } {
                Action::Continue if !usable => Action::Reconnect,
                action => action,
            }
        }
        (Role::Server, _, Code::NotRequested) => Action::Continue,
        (Role::Server, Stage::Starttls, Code::NoKeypair | Code::SmtpSyntax) => Action::Continue,
        (Role::Server, ..) => Action::Fail,
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
