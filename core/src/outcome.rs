//! What follows from a failure: action, enhanced status code, what to report. One table over code and stage;
//! `docs/errors.md` is made from it, and a test keeps it so.

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
    pub status: &'static str,
    /// RFC 8460 section 4.3.
    pub tlsrpt: Option<Tlsrpt>,
    /// The `failure-reason-code` of a report (RFC 8460 section 4.3.1). Where there is no report, empty.
    pub reason: &'static str,
}

#[rustfmt::skip]
pub(crate) const OUTCOMES: &[Outcome] = {
    use {Action::*, At::*, Stage::*, Tlsrpt as T};
    const fn row(
        code: Code, at: At, lax: Action, strict: Action, status: &'static str, tlsrpt: Option<Tlsrpt>, reason: &'static str,
    ) -> Outcome {
        Outcome { code, at, lax, strict, status, tlsrpt, reason }
    }
    &[
    // On this side. Mail waits until the administrator has mended it.
    row(Code::Argument,          Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::State,             Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::Frozen,            Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::Internal,          Any,                          Fail,      Fail,     "4.3.0",  None, ""),
    row(Code::File,              Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::CertificateParse,  Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::KeyParse,          Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::KeyMismatch,       Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::NoRoots,           Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::NoKeypair,         Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::KeyEncrypted,      Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    row(Code::CrlParse,          Any,                          Fail,      Fail,     "4.3.5",  None, ""),
    // The connection. RFC 8460 section 4.3.4: network errors are not reported.
    row(Code::Io,                Only(&[Starttls, Handshake]), Reconnect, NextHost, "4.4.2",  None, ""),
    row(Code::Io,                Any,                          NextHost,  NextHost, "4.4.2",  None, ""),
    row(Code::Eof,               Only(&[Starttls, Handshake]), Reconnect, NextHost, "4.4.2",  None, ""),
    row(Code::Eof,               Any,                          NextHost,  NextHost, "4.4.2",  None, ""),
    row(Code::Timeout,           Only(&[Starttls, Handshake]), Reconnect, NextHost, "4.4.2",  None, ""),
    row(Code::Timeout,           Any,                          NextHost,  NextHost, "4.4.2",  None, ""),
    row(Code::Truncated,         Only(&[Starttls, Handshake]), Reconnect, NextHost, "4.4.2",  None, ""),
    row(Code::Truncated,         Any,                          NextHost,  NextHost, "4.4.2",  None, ""),
    // The dialogue.
    row(Code::NotOffered,        Any,                          Continue,  NextHost, "4.7.4",  Some(T::StarttlsNotSupported), "starttls-not-offered"),
    row(Code::Refused,           Only(&[Starttls]),            Continue,  NextHost, "4.7.4",  Some(T::StarttlsNotSupported), "starttls-refused"),
    row(Code::Refused,           Any,                          NextHost,  NextHost, "4.3.2",  None, ""),
    row(Code::SmtpSyntax,        Only(&[Starttls]),            Reconnect, NextHost, "4.7.4",  Some(T::StarttlsNotSupported), "starttls-reply-not-understood"),
    row(Code::SmtpSyntax,        Any,                          NextHost,  NextHost, "4.5.0",  None, ""),
    // An attacker is on the path; a queue loses nothing by waiting.
    row(Code::PlaintextInjected, Any,                          NextHost,  NextHost, "4.7.0",  Some(T::ValidationFailure), "plaintext-injected"),
    row(Code::TooLong,           Only(&[Starttls, Handshake]), Reconnect, NextHost, "4.5.0",  None, ""),
    row(Code::TooLong,           Any,                          NextHost,  NextHost, "4.5.0",  None, ""),
    row(Code::Unsolicited,       Only(&[Starttls, Handshake]), Reconnect, NextHost, "4.5.0",  None, ""),
    row(Code::Unsolicited,       Any,                          NextHost,  NextHost, "4.5.0",  None, ""),
    row(Code::NotRequested,      Any,                          Continue,  Continue, "",       None, ""),
    row(Code::NotWanted,         Any,                          Continue,  Continue, "",       None, ""),
    // TLS.
    row(Code::Handshake,         Only(&[Handshake]),           Reconnect, NextHost, "4.7.5",  Some(T::ValidationFailure), "tls-handshake-failure"),
    row(Code::Handshake,         Any,                          NextHost,  NextHost, "4.7.5",  None, ""),
    row(Code::Alert,             Only(&[Handshake]),           Reconnect, NextHost, "4.7.5",  Some(T::ValidationFailure), "tls-handshake-failure"),
    row(Code::Alert,             Any,                          NextHost,  NextHost, "4.7.5",  None, ""),
    row(Code::Tls,               Any,                          NextHost,  NextHost, "4.7.5",  None, ""),
    // The verdict. At `may` it is never a failure.
    row(Code::CertInvalid,       Any,                          NextHost,  NextHost, "4.7.5",  Some(T::ValidationFailure), "certificate-unusable"),
    row(Code::CertTime,          Any,                          NextHost,  NextHost, "4.7.5",  Some(T::CertificateExpired), "certificate-expired"),
    row(Code::CertUntrusted,     Any,                          NextHost,  NextHost, "4.7.5",  Some(T::CertificateNotTrusted), "no-trusted-issuer"),
    row(Code::CertName,          Any,                          NextHost,  NextHost, "4.7.5",  Some(T::CertificateHostMismatch), "certificate-host-mismatch"),
    row(Code::Fingerprint,       Any,                          NextHost,  NextHost, "4.7.5",  Some(T::CertificateNotTrusted), "fingerprint-no-match"),
    row(Code::CertRevoked,       Any,                          NextHost,  NextHost, "4.7.5",  Some(T::ValidationFailure), "certificate-revoked"),
    row(Code::CrlExpired,        Any,                          NextHost,  NextHost, "4.3.5",  None, ""),
    row(Code::DaneMismatch,      Any,                          NextHost,  NextHost, "4.7.5",  Some(T::CertificateNotTrusted), "dane-no-match"),
    // What the DNS and the domain's policy say, before a byte is sent. RFC 8461 section 5: never permanent.
    row(Code::DaneRequired,      Any,                          NextHost,  NextHost, "4.7.5",  Some(T::DaneRequired), "no-secure-TLSA-records"),
    row(Code::Dnssec,            Any,                          NextHost,  NextHost, "4.7.5",  Some(T::DnssecInvalid), "dns-lookup-failed"),
    row(Code::StsMx,             Any,                          NextHost,  NextHost, "4.7.5",  Some(T::ValidationFailure), "sts-mx-mismatch"),
    row(Code::StsInvalid,        Any,                          Fail,      Fail,     "",       Some(T::StsPolicyInvalid), "sts-policy-invalid"),
    // RFC 8689 section 4.2.1: the next server, and if there is none, back to the sender.
    row(Code::RequireTls,        Any,                          NextHost,  NextHost, "5.7.30", None, ""),
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
