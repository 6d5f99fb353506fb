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
    /// smtptls_session_start() wants something signed with a private key that is
    /// elsewhere: see smtptls_session_set_signature().
    SMTPTLS_WANT_SIGNATURE = -4,
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
    /// No certificate revocation list could be read from the input.
    SMTPTLS_ERR_CRL_PARSE = -27,
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
    /// The policy wants no TLS: go on in plaintext.
    SMTPTLS_ERR_NOT_WANTED = -47,
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
    /// The peer's certificate has none of the expected fingerprints.
    SMTPTLS_ERR_FINGERPRINT = -64,
    /// On a server: the client sent no certificate, and one is required.
    SMTPTLS_ERR_CERT_REQUIRED = -65,
    /// The peer's certificate has been revoked.
    SMTPTLS_ERR_CERT_REVOKED = -66,
    /// The certificate revocation list has expired.
    SMTPTLS_ERR_CRL_EXPIRED = -67,
    /// No TLSA record matches the peer's certificates.
    SMTPTLS_ERR_DANE_MISMATCH = -70,
    /// The policy requires DANE, and no usable TLSA record is secure.
    SMTPTLS_ERR_DANE_REQUIRED = -71,
    /// A DNS lookup failed, or its answer did not validate.
    SMTPTLS_ERR_DNSSEC = -72,
    /// The server is not one that the domain's MTA-STS policy names.
    SMTPTLS_ERR_STS_MX = -80,
    /// The MTA-STS record or policy cannot be used.
    SMTPTLS_ERR_STS_INVALID = -81,
    /// A condition of REQUIRETLS is not met.
    SMTPTLS_ERR_REQUIRETLS = -90,
}

/// How much security is demanded of a peer, each level as Postfix defines it.
/// The numbers are those of its TLS_LEV_*; 4 is reserved.
#[repr(C)]
pub enum smtptls_level {
    /// No TLS, even if the server offers it. For a server: STARTTLS is not
    /// offered.
    SMTPTLS_LEVEL_NONE = 0,
    /// TLS if the server offers it, any certificate, plaintext otherwise. For
    /// a server: STARTTLS is offered and not required.
    SMTPTLS_LEVEL_MAY = 1,
    /// TLS or failure, any certificate. For a server: nothing but STARTTLS is
    /// answered before TLS.
    SMTPTLS_LEVEL_ENCRYPT = 2,
    /// TLS, and a certificate or public key with a known fingerprint; names,
    /// dates and issuers do not count.
    SMTPTLS_LEVEL_FINGERPRINT = 3,
    /// DANE (RFC 7672) if there are secure and usable TLSA records;
    /// SMTPTLS_LEVEL_MAY if there are no secure ones, SMTPTLS_LEVEL_ENCRYPT if
    /// none of them is usable.
    SMTPTLS_LEVEL_DANE = 5,
    /// DANE or failure.
    SMTPTLS_LEVEL_DANE_ONLY = 6,
    /// TLS, a certificate from a trusted authority, and for the server's name.
    SMTPTLS_LEVEL_VERIFY = 7,
    /// The same, but for the name of the next hop, which no insecure DNS
    /// answer can change.
    SMTPTLS_LEVEL_SECURE = 8,
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
    /// By the fingerprint of its certificate or public key.
    SMTPTLS_AUTH_FINGERPRINT = 1,
    /// By a TLSA record for its own certificate or key (DANE-EE).
    SMTPTLS_AUTH_DANE_EE = 2,
    /// By a TLSA record for its authority, and for an expected name (DANE-TA).
    SMTPTLS_AUTH_DANE_TA = 3,
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

/// Whether a server asks for client certificates.
#[repr(C)]
pub enum smtptls_client_auth {
    /// It does not. The default.
    SMTPTLS_CLIENT_AUTH_NONE = 0,
    /// It asks, and takes any certificate or none: the info says what it is
    /// worth.
    SMTPTLS_CLIENT_AUTH_ASK = 1,
    /// It fails after the handshake without one that is good.
    SMTPTLS_CLIENT_AUTH_REQUIRE = 2,
}

/// What a fingerprint is the digest of.
#[repr(C)]
pub enum smtptls_fingerprint_of {
    /// The whole certificate.
    SMTPTLS_FINGERPRINT_CERT = 0,
    /// The public key (SubjectPublicKeyInfo).
    SMTPTLS_FINGERPRINT_PUBKEY = 1,
}

/// Digest algorithms, numbered as TLS numbers hashes (RFC 5246 section
/// 7.4.1.4.1).
#[repr(C)]
pub enum smtptls_digest {
    /// For old tables only. It is broken for collisions, and nobody should
    /// make new entries with it.
    SMTPTLS_DIGEST_SHA1 = 2,
    SMTPTLS_DIGEST_SHA256 = 4,
    SMTPTLS_DIGEST_SHA384 = 5,
    SMTPTLS_DIGEST_SHA512 = 6,
}

/// How far a DNS answer can be believed (RFC 7672 section 2.1.1, RFC 4035
/// section 4.3).
#[repr(C)]
pub enum smtptls_dnssec {
    /// No lookup was made.
    SMTPTLS_DNSSEC_NONE = 0,
    /// The answer, or that there is none, was validated.
    SMTPTLS_DNSSEC_SECURE = 1,
    /// It was validated that the zone is not signed. In a chain of CNAMEs one
    /// such link is enough.
    SMTPTLS_DNSSEC_INSECURE = 2,
    /// Validation failed.
    SMTPTLS_DNSSEC_BOGUS = 3,
    /// The lookup failed: SERVFAIL, a timeout, REFUSED, or a state of
    /// validation that is not known.
    SMTPTLS_DNSSEC_ERROR = 4,
}

/// What an MTA-STS policy demands (RFC 8461 section 5).
#[repr(C)]
pub enum smtptls_sts_mode {
    /// Nothing: the domain is taking its policy back.
    SMTPTLS_STS_NONE = 0,
    /// Failures are reported, and mail is delivered all the same.
    SMTPTLS_STS_TESTING = 1,
    /// No delivery to a server that fails.
    SMTPTLS_STS_ENFORCE = 2,
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
    /// The server did not offer STARTTLS, or refused it.
    SMTPTLS_TLSRPT_STARTTLS_NOT_SUPPORTED = 201,
    /// The certificate is not for the expected name.
    SMTPTLS_TLSRPT_CERTIFICATE_HOST_MISMATCH = 202,
    /// The certificate has no chain to a trust anchor, or matches no TLSA
    /// record.
    SMTPTLS_TLSRPT_CERTIFICATE_NOT_TRUSTED = 203,
    /// The certificate has expired.
    SMTPTLS_TLSRPT_CERTIFICATE_EXPIRED = 204,
    /// Any other failure.
    SMTPTLS_TLSRPT_VALIDATION_FAILURE = 205,
    /// The MTA-STS policy could not be fetched. Only who fetches it can know.
    SMTPTLS_TLSRPT_STS_POLICY_FETCH_ERROR = 301,
    /// The MTA-STS policy could not be read.
    SMTPTLS_TLSRPT_STS_POLICY_INVALID = 302,
    /// The MTA-STS policy host has no valid certificate. Only who fetches the
    /// policy can know.
    SMTPTLS_TLSRPT_STS_WEBPKI_INVALID = 303,
    /// No record of the TLSA set is usable.
    SMTPTLS_TLSRPT_TLSA_INVALID = 304,
    /// The DNS lookup failed, or its answer did not validate.
    SMTPTLS_TLSRPT_DNSSEC_INVALID = 305,
    /// DANE is demanded, and there is no secure TLSA record.
    SMTPTLS_TLSRPT_DANE_REQUIRED = 306,
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
        // And OK and the four WANT codes.
        assert_eq!(codes.len(), core::Code::ALL.len() + 5);
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
            ("smtptls_client_auth", of(core::ClientAuth::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_fingerprint_of", of(core::FingerprintOf::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_digest", of(core::Digest::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_dnssec", of(core::Dnssec::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_sts_mode", of(core::StsMode::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_timeout", of(core::Limit::ALL.iter().map(|n| n.number()).collect())),
            ("smtptls_tls_version", of(core::TlsVersion::ALL.iter().map(|n| n.number()).collect())),
            (
                "smtptls_tlsrpt",
                of([0].into_iter().chain(core::Tlsrpt::ALL.iter().map(|n| n.number())).collect()),
            ),
        ] {
            assert_eq!(numbers(name), engine, "{name}");
        }
    }

    #[test]
    fn the_names_are_the_engine_s() {
        fn named<T: Copy>(list: &[T], name: impl Fn(T) -> &'static str, number: impl Fn(T) -> i32) -> Names {
            list.iter().map(|member| (name(*member), number(*member))).collect()
        }
        type Names = Vec<(&'static str, i32)>;
        use core::{Auth, Digest, Dnssec, Level, StsMode, Tlsrpt};
        for (name, prefix, engine) in [
            ("smtptls_level", "LEVEL", named(Level::ALL, Level::name, Level::number)),
            ("smtptls_auth", "AUTH", named(Auth::ALL, Auth::name, Auth::number)),
            ("smtptls_digest", "DIGEST", named(Digest::ALL, Digest::name, Digest::number)),
            ("smtptls_dnssec", "DNSSEC", named(Dnssec::ALL, Dnssec::name, Dnssec::number)),
            ("smtptls_sts_mode", "STS", named(StsMode::ALL, StsMode::name, StsMode::number)),
            ("smtptls_tlsrpt", "TLSRPT", named(Tlsrpt::ALL, Tlsrpt::name, Tlsrpt::number)),
        ] {
            let header = header(name);
            for (member, number) in engine {
                let member = format!("SMTPTLS_{prefix}_{}", member.to_uppercase().replace('-', "_"));
                assert!(header.contains(&(member.clone(), number)), "{member}");
            }
        }
    }
}
