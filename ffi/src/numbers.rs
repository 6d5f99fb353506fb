//! The numbers of the header. They carry names into C and nothing else: no signature has such a type, since a
//! number out of range would be undefined behaviour. A test holds them against the engine's tables.
#![allow(dead_code)] // For cbindgen, and for the test.

/// What a call returns. Zero is success, a negative number is one of these.
/// New codes may be added: treat a number you do not know as a failure.
#[repr(C)]
pub enum smtptls_code {
    /// Success.
    SMTPTLS_OK = 0,
    /// Feed more bytes from the peer, or wait until the descriptor can be
    /// read, and call again.
    SMTPTLS_WANT_INPUT = -1,
    /// Send what smtptls_session_output() shows, or wait until the descriptor
    /// can be written, and call again.
    SMTPTLS_WANT_OUTPUT = -2,
    /// A signal came, in mode SMTPTLS_MODE_INTERRUPTIBLE: call again to go on.
    SMTPTLS_WANT_RETRY = -3,
    /// An argument is NULL, out of range or malformed.
    SMTPTLS_ERR_ARGUMENT = -10,
    /// The call does not fit the state of the object.
    SMTPTLS_ERR_STATE = -11,
    /// The configuration is frozen.
    SMTPTLS_ERR_FROZEN = -12,
    /// A bug in the library; the object may only be freed.
    SMTPTLS_ERR_INTERNAL = -13,
    /// A file could not be read.
    SMTPTLS_ERR_FILE = -20,
    /// No certificate could be read from the input.
    SMTPTLS_ERR_CERTIFICATE_PARSE = -21,
    /// No private key could be read from the input.
    SMTPTLS_ERR_KEY_PARSE = -22,
    /// The private key is not the certificate's.
    SMTPTLS_ERR_KEY_MISMATCH = -23,
    /// The policy needs trust anchors and the configuration has none.
    SMTPTLS_ERR_NO_ROOTS = -24,
    /// A server needs a key pair and the configuration has none.
    SMTPTLS_ERR_NO_KEYPAIR = -25,
    /// The private key is encrypted.
    SMTPTLS_ERR_KEY_ENCRYPTED = -26,
    /// A system call failed; see smtptls_error_os().
    SMTPTLS_ERR_IO = -30,
    /// The peer closed the connection.
    SMTPTLS_ERR_EOF = -31,
    /// The time allowed for the call ran out.
    SMTPTLS_ERR_TIMEOUT = -32,
    /// The peer closed the connection without a TLS close_notify.
    SMTPTLS_ERR_TRUNCATED = -33,
    /// The server does not offer STARTTLS.
    SMTPTLS_ERR_NOT_OFFERED = -40,
    /// The server refused STARTTLS, or the greeting or EHLO before it.
    SMTPTLS_ERR_REFUSED = -41,
    /// What the peer sent is not SMTP.
    SMTPTLS_ERR_SMTP_SYNTAX = -42,
    /// Plaintext arrived after STARTTLS and before TLS.
    SMTPTLS_ERR_PLAINTEXT_INJECTED = -43,
    /// A line or a reply of the peer is longer than the limit.
    SMTPTLS_ERR_TOO_LONG = -44,
    /// A reply arrived that nobody had asked for.
    SMTPTLS_ERR_UNSOLICITED = -45,
    /// On a server: the client goes on without STARTTLS; its command is in
    /// smtptls_session_leftover().
    SMTPTLS_ERR_NOT_REQUESTED = -46,
    /// The TLS handshake failed.
    SMTPTLS_ERR_HANDSHAKE = -50,
    /// The peer sent a fatal TLS alert.
    SMTPTLS_ERR_ALERT = -51,
    /// TLS broke after the handshake.
    SMTPTLS_ERR_TLS = -52,
    /// The peer's certificate cannot be used.
    SMTPTLS_ERR_CERT_INVALID = -60,
    /// The peer's certificate has expired or is not valid yet.
    SMTPTLS_ERR_CERT_TIME = -61,
    /// The peer's certificate has no chain to a trust anchor.
    SMTPTLS_ERR_CERT_UNTRUSTED = -62,
    /// The peer's certificate is not for the expected name.
    SMTPTLS_ERR_CERT_NAME = -63,
}

/// How much security is demanded of a peer. Each level is stricter than the
/// ones before it. The numbers are those of Postfix's TLS_LEV_*; the gaps are
/// reserved.
#[repr(C)]
pub enum smtptls_level {
    /// TLS if the server offers it, any certificate, plaintext otherwise.
    SMTPTLS_LEVEL_MAY = 1,
    /// TLS or failure, any certificate.
    SMTPTLS_LEVEL_ENCRYPT = 2,
    /// A certificate from a trusted authority, for the expected name.
    SMTPTLS_LEVEL_VERIFY = 7,
}

/// Where in the dialogue of RFC 3207 the session takes over.
#[repr(C)]
pub enum smtptls_entry {
    /// At the start: greeting, EHLO, STARTTLS, TLS; a client then says EHLO
    /// again. A server greets, and answers EHLO, HELO, NOOP, RSET, QUIT and
    /// STARTTLS; it ends with SMTPTLS_ERR_NOT_REQUESTED at any other command.
    SMTPTLS_FROM_GREETING = 0,
    /// EHLO is done. A client session sends STARTTLS; a server session
    /// answers the STARTTLS that you have read.
    SMTPTLS_FROM_COMMAND = 1,
    /// STARTTLS has been answered with 220, or there is none (port 465).
    SMTPTLS_FROM_HANDSHAKE = 2,
}

/// How the peer was authenticated.
#[repr(C)]
pub enum smtptls_auth {
    /// It was not.
    SMTPTLS_AUTH_NONE = 0,
    /// By a trusted authority, for an expected name.
    SMTPTLS_AUTH_PKIX = 4,
}

/// What the policy lets a program do after a failure.
#[repr(C)]
pub enum smtptls_action {
    /// Nothing: end this connection, and tell the administrator.
    SMTPTLS_ACTION_FAIL = 0,
    /// Go on in plaintext on this connection.
    SMTPTLS_ACTION_CONTINUE = 1,
    /// Connect again and deliver in plaintext.
    SMTPTLS_ACTION_RECONNECT = 2,
    /// Try the next server of the destination, or try again later.
    SMTPTLS_ACTION_NEXT_HOST = 3,
}

/// How calls on descriptors wait.
#[repr(C)]
pub enum smtptls_mode {
    /// Until done, failed or past the time limit, whatever O_NONBLOCK says.
    SMTPTLS_MODE_BLOCKING = 0,
    /// The same, but a signal ends the wait: the call returns
    /// SMTPTLS_WANT_RETRY, and goes on when called again.
    SMTPTLS_MODE_INTERRUPTIBLE = 1,
    /// Not at all: the call returns SMTPTLS_WANT_INPUT or
    /// SMTPTLS_WANT_OUTPUT.
    SMTPTLS_MODE_NONBLOCKING = 2,
}

/// How to close.
#[repr(C)]
pub enum smtptls_close {
    /// Send close_notify.
    SMTPTLS_CLOSE_SEND = 0,
    /// Send close_notify, and read and drop what comes until the peer's.
    SMTPTLS_CLOSE_WAIT = 1,
    /// Send close_notify, and go on reading.
    SMTPTLS_CLOSE_HALF = 2,
}

/// SMTP or LMTP.
#[repr(C)]
pub enum smtptls_protocol {
    /// SMTP (RFC 5321): EHLO, or HELO.
    SMTPTLS_PROTOCOL_SMTP = 0,
    /// LMTP (RFC 2033): LHLO, and neither EHLO nor HELO.
    SMTPTLS_PROTOCOL_LMTP = 1,
}

/// What a fingerprint is the digest of.
#[repr(C)]
pub enum smtptls_fingerprint_of {
    /// The whole certificate.
    SMTPTLS_FINGERPRINT_CERT = 0,
    /// The public key (SubjectPublicKeyInfo).
    SMTPTLS_FINGERPRINT_PUBKEY = 1,
}

/// Which time limit.
#[repr(C)]
pub enum smtptls_timeout {
    /// For smtptls_session_start() as a whole.
    SMTPTLS_TIMEOUT_START = 0,
    /// For each other call that waits.
    SMTPTLS_TIMEOUT_IO = 1,
}

/// Protocol versions, by their numbers on the wire.
#[repr(C)]
pub enum smtptls_tls_version {
    SMTPTLS_TLS1_2 = 771,
    SMTPTLS_TLS1_3 = 772,
}

/// Result types of SMTP TLS reporting (RFC 8460), numbered as libtlsrpt's
/// tlsrpt_failure_t.
#[repr(C)]
pub enum smtptls_tlsrpt {
    /// Not for a report.
    SMTPTLS_TLSRPT_NONE = 0,
    SMTPTLS_TLSRPT_STARTTLS_NOT_SUPPORTED = 201,
    SMTPTLS_TLSRPT_CERTIFICATE_HOST_MISMATCH = 202,
    SMTPTLS_TLSRPT_CERTIFICATE_NOT_TRUSTED = 203,
    SMTPTLS_TLSRPT_CERTIFICATE_EXPIRED = 204,
    SMTPTLS_TLSRPT_VALIDATION_FAILURE = 205,
}

#[cfg(test)]
mod tests {
    use smtptls_core as core;

    /// Every `NAME = number` of an enum of the header.
    fn header(name: &str) -> Vec<(String, i32)> {
        let text = include_str!("../../include/smtptls.h");
        let body = text.split(&format!("enum {name} {{")).nth(1).unwrap().split('}').next().unwrap();
        body.lines()
            .filter_map(|line| line.trim().trim_end_matches(',').split_once(" = "))
            .map(|(name, number)| (name.to_string(), number.parse().unwrap()))
            .collect()
    }

    fn numbers(name: &str) -> Vec<i32> {
        let mut numbers: Vec<_> = header(name).into_iter().map(|(_, number)| number).collect();
        numbers.sort();
        numbers
    }

    fn sorted(mut numbers: Vec<i32>) -> Vec<i32> {
        numbers.sort();
        numbers
    }

    #[test]
    fn codes_are_the_engine_s() {
        let codes = header("smtptls_code");
        for code in core::Code::ALL {
            assert!(codes.contains(&(code.name().to_string(), code.number())), "{}", code.name());
        }
        // And OK and the three WANT codes.
        assert_eq!(codes.len(), core::Code::ALL.len() + 4);
    }

    #[test]
    fn the_other_numbers_are_the_engine_s() {
        let of = |list: Vec<i32>| sorted(list);
        for (name, engine) in [
            ("smtptls_level", of(core::Level::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_entry", of(core::Entry::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_auth", of(core::Auth::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_action", of(core::Action::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_mode", of(core::Mode::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_close", of(core::Close::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_protocol", of(core::Protocol::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_fingerprint_of", of(core::FingerprintOf::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_timeout", of(core::Limit::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_tls_version", of(core::TlsVersion::ALL.iter().map(|n| n.number()).collect())),
            (
                "smtptls_tlsrpt",
                of([0].into_iter().chain(core::Tlsrpt::ALL.iter().map(|n| n.number())).collect()),
            ),
        ] {
            assert_eq!(numbers(name), engine, "{name}");
        }
        for (name, number) in header("smtptls_level") {
            let level = core::Level::from_number(number).unwrap();
            assert_eq!(name, format!("SMTPTLS_LEVEL_{}", level.name().to_uppercase().replace('-', "_")));
        }
    }
}
