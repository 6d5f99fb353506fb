//! What went wrong, by number and by name: one table for Rust, C and Python.

use std::ffi::CStr;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $text:literal;)*) => {
        /// What went wrong. Numbers and names are for ever; new ones may be added.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum Code { $($(#[$doc])* #[doc = $text] $variant = $number,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The name for C.
            #[doc(hidden)]
            pub fn c_name(self) -> &'static CStr {
                match self {
                    $(Code::$variant => {
                        const NAME: &[u8] = concat!("SMTPTLS_ERR_", $name, "\0").as_bytes();
                        CStr::from_bytes_with_nul(NAME).unwrap_or_default()
                    })*
                }
            }

            /// What it means, in one short sentence without a full stop.
            pub fn text(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }
        }
    };
}

codes! {
    //  variant          number  name                  meaning
    Argument           = -10, "ARGUMENT",           "an argument is missing, out of range or malformed";
    State              = -11, "STATE",              "the call does not fit the state of the object";
    Frozen             = -12, "FROZEN",             "the configuration is frozen";
    Internal           = -13, "INTERNAL",           "a bug in the library; the object may only be freed";

    File               = -20, "FILE",               "a file could not be read";
    CertificateParse   = -21, "CERTIFICATE_PARSE",  "no certificate could be read from the input";
    KeyParse           = -22, "KEY_PARSE",          "no private key could be read from the input";
    KeyMismatch        = -23, "KEY_MISMATCH",       "the private key is not the certificate's";
    NoRoots            = -24, "NO_ROOTS",           "the policy needs trust anchors and the configuration has none";
    NoKeypair          = -25, "NO_KEYPAIR",         "a server needs a key pair and the configuration has none";
    KeyEncrypted       = -26, "KEY_ENCRYPTED",      "the private key is encrypted";
    CrlParse           = -27, "CRL_PARSE",          "no certificate revocation list could be read from the input";

    Io                 = -30, "IO",                 "a system call failed";
    Eof                = -31, "EOF",                "the peer closed the connection";
    Timeout            = -32, "TIMEOUT",            "the time allowed ran out";
    Truncated          = -33, "TRUNCATED",          "the peer closed the connection without a TLS close_notify";

    NotOffered         = -40, "NOT_OFFERED",        "the server does not offer STARTTLS";
    Refused            = -41, "REFUSED",            "the server refused the greeting, EHLO or STARTTLS";
    SmtpSyntax         = -42, "SMTP_SYNTAX",        "what the peer sent is not SMTP";
    PlaintextInjected  = -43, "PLAINTEXT_INJECTED", "plaintext arrived after STARTTLS and before TLS";
    TooLong            = -44, "TOO_LONG",           "a line or a reply of the peer is longer than the limit";
    Unsolicited        = -45, "UNSOLICITED",        "a reply arrived that nobody had asked for";
    NotRequested       = -46, "NOT_REQUESTED",      "the client goes on without STARTTLS";
    NotWanted          = -47, "NOT_WANTED",         "the policy wants no TLS";

    Handshake          = -50, "HANDSHAKE",          "the TLS handshake failed";
    Alert              = -51, "ALERT",              "the peer sent a fatal TLS alert";
    Tls                = -52, "TLS",                "TLS broke after the handshake";

    CertInvalid        = -60, "CERT_INVALID",       "the peer's certificate cannot be used";
    CertTime           = -61, "CERT_TIME",          "the peer's certificate has expired or is not valid yet";
    CertUntrusted      = -62, "CERT_UNTRUSTED",     "the peer's certificate has no chain to a trust anchor";
    CertName           = -63, "CERT_NAME",          "the peer's certificate is not for the expected name";
    Fingerprint        = -64, "FINGERPRINT",        "the peer's certificate has none of the expected fingerprints";
    CertRequired       = -65, "CERT_REQUIRED",      "the client sent no certificate, and one is required";
    CertRevoked        = -66, "CERT_REVOKED",       "the peer's certificate has been revoked";
    CrlExpired         = -67, "CRL_EXPIRED",        "the certificate revocation list has expired";

    DaneMismatch       = -70, "DANE_MISMATCH",      "no TLSA record matches the peer's certificates";
    DaneRequired       = -71, "DANE_REQUIRED",      "the policy requires DANE, and no usable TLSA record is secure";
    Dnssec             = -72, "DNSSEC",             "a DNS lookup failed, or its answer did not validate";

    StsMx              = -80, "STS_MX",             "the server is not one that the domain's MTA-STS policy names";
    StsInvalid         = -81, "STS_INVALID",        "the MTA-STS record or policy cannot be used";

    RequireTls         = -90, "REQUIRETLS",         "a condition of REQUIRETLS is not met";
}

impl Code {
    /// The name, the same in C, in Python and in logs: `SMTPTLS_ERR_CERT_NAME`.
    pub fn name(self) -> &'static str {
        self.c_name().to_str().unwrap_or_default()
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}
