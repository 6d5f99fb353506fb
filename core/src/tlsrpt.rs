//! Result types of SMTP TLS reporting (RFC 8460 section 4.3), and which code is reported as which.

use std::ffi::CStr;

use crate::Code;
use crate::action::Stage;

/// A result type for an SMTP TLS report, numbered as libtlsrpt numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Tlsrpt {
    /// The server did not offer STARTTLS, or refused it.
    StarttlsNotSupported = 201,
    /// The certificate is not for the expected name.
    CertificateHostMismatch = 202,
    /// The certificate has no chain to a trust anchor.
    CertificateNotTrusted = 203,
    /// The certificate has expired.
    CertificateExpired = 204,
    /// Any other failure.
    ValidationFailure = 205,
}

impl Tlsrpt {
    /// Every result type.
    pub const ALL: &'static [Tlsrpt] = &[
        Tlsrpt::StarttlsNotSupported,
        Tlsrpt::CertificateHostMismatch,
        Tlsrpt::CertificateNotTrusted,
        Tlsrpt::CertificateExpired,
        Tlsrpt::ValidationFailure,
    ];

    /// The name in the report: `certificate-expired`.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The name for C.
    #[doc(hidden)]
    pub fn c_name(self) -> &'static CStr {
        match self {
            Tlsrpt::StarttlsNotSupported => c"starttls-not-supported",
            Tlsrpt::CertificateHostMismatch => c"certificate-host-mismatch",
            Tlsrpt::CertificateNotTrusted => c"certificate-not-trusted",
            Tlsrpt::CertificateExpired => c"certificate-expired",
            Tlsrpt::ValidationFailure => c"validation-failure",
        }
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The result type for a client's failure. Network errors are not reported (RFC 8460 section 4.3.4),
    /// nor are local mistakes. A certificate that is not valid yet is no expired one: see `chain`.
    pub(crate) fn of(code: Code, stage: Stage) -> Option<Tlsrpt> {
        match (code, stage) {
            (Code::NotOffered, _) => Some(Tlsrpt::StarttlsNotSupported),
            (Code::Refused, Stage::Starttls) => Some(Tlsrpt::StarttlsNotSupported),
            (Code::SmtpSyntax, Stage::Starttls) => Some(Tlsrpt::StarttlsNotSupported),
            (Code::CertName, _) => Some(Tlsrpt::CertificateHostMismatch),
            (Code::CertUntrusted, _) => Some(Tlsrpt::CertificateNotTrusted),
            (Code::CertTime, _) => Some(Tlsrpt::CertificateExpired),
            (Code::CertInvalid | Code::PlaintextInjected, _) => Some(Tlsrpt::ValidationFailure),
            (Code::Handshake | Code::Alert, Stage::Handshake) => Some(Tlsrpt::ValidationFailure),
            _ => None,
        }
    }
}
