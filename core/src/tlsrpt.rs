//! Result types of SMTP TLS reporting (RFC 8460 section 4.3). Which failure is which stands in `outcome`.

use std::ffi::CStr;

/// A result type for an SMTP TLS report, numbered as libtlsrpt numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Tlsrpt {
    /// The server did not offer STARTTLS, or refused it.
    StarttlsNotSupported = 201,
    /// The certificate is not for the expected name.
    CertificateHostMismatch = 202,
    /// The certificate has no chain to a trust anchor, or matches no TLSA record.
    CertificateNotTrusted = 203,
    /// The certificate has expired.
    CertificateExpired = 204,
    /// Any other failure.
    ValidationFailure = 205,
    /// The MTA-STS policy could not be fetched. Only who fetches it can know.
    StsPolicyFetchError = 301,
    /// The MTA-STS policy could not be read.
    StsPolicyInvalid = 302,
    /// The MTA-STS policy host has no valid certificate. Only who fetches the policy can know.
    StsWebpkiInvalid = 303,
    /// No record of the TLSA set is usable.
    TlsaInvalid = 304,
    /// The DNS lookup failed, or its answer did not validate.
    DnssecInvalid = 305,
    /// DANE is demanded, and there is no secure TLSA record.
    DaneRequired = 306,
}

impl Tlsrpt {
    /// Every result type: the eleven of the registry.
    pub const ALL: &'static [Tlsrpt] = &[
        Tlsrpt::StarttlsNotSupported,
        Tlsrpt::CertificateHostMismatch,
        Tlsrpt::CertificateNotTrusted,
        Tlsrpt::CertificateExpired,
        Tlsrpt::ValidationFailure,
        Tlsrpt::StsPolicyFetchError,
        Tlsrpt::StsPolicyInvalid,
        Tlsrpt::StsWebpkiInvalid,
        Tlsrpt::TlsaInvalid,
        Tlsrpt::DnssecInvalid,
        Tlsrpt::DaneRequired,
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
            Tlsrpt::StsPolicyFetchError => c"sts-policy-fetch-error",
            Tlsrpt::StsPolicyInvalid => c"sts-policy-invalid",
            Tlsrpt::StsWebpkiInvalid => c"sts-webpki-invalid",
            Tlsrpt::TlsaInvalid => c"tlsa-invalid",
            Tlsrpt::DnssecInvalid => c"dnssec-invalid",
            Tlsrpt::DaneRequired => c"dane-required",
        }
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The result type of that name.
    pub fn from_name(name: &str) -> Option<Tlsrpt> {
        Tlsrpt::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// One result for a report: types are not exclusive (RFC 8460 section 4.3), so a session may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    pub(crate) kind: Tlsrpt,
    pub(crate) reason: &'static CStr,
}

impl Report {
    /// The result type.
    pub fn kind(&self) -> Tlsrpt {
        self.kind
    }

    /// The `failure-reason-code`, such as `dane-no-match`.
    pub fn reason(&self) -> &'static str {
        self.reason.to_str().unwrap_or_default()
    }

    /// The same for C.
    #[doc(hidden)]
    pub fn c_reason(&self) -> &'static CStr {
        self.reason
    }
}
