//! Judging a certificate chain after the handshake: is it trusted, and is it for the expected name?

use pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::error::Failure;
use crate::name::Name;
use crate::{Code, Tlsrpt};

/// What is known of the peer's chain, each fact by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The peer sent a certificate.
    pub present: bool,
    /// Why it has no valid chain to a trust anchor; nothing if it has one.
    pub distrust: Option<Failure>,
    /// The expected name that the certificate is for.
    pub matched_name: Option<String>,
    /// Why it is for none of them.
    pub mismatch: Option<Failure>,
}

impl Facts {
    /// The chain leads to a trust anchor, and is valid now.
    pub fn trusted(&self) -> bool {
        self.present && self.distrust.is_none()
    }

    /// A key that is too weak for its signatures to prove anything (RFC 9325 section 4.5).
    pub fn distrust_weak_key(&mut self, bits: usize) {
        let message =
            format!("the peer's certificate cannot be used: its RSA key has {bits} bits, fewer than 2048");
        self.distrust.get_or_insert(Failure::new(Code::CertInvalid, message));
    }

    /// The first reason not to trust the peer: the chain's before the name's (RFC 7817 section 3).
    pub fn failure(&self) -> Option<&Failure> {
        self.distrust.as_ref().or(self.mismatch.as_ref())
    }
}

/// Judges `chain`, the peer's own certificate first, as it is now.
pub(crate) fn judge(
    chain: &[CertificateDer<'_>],
    names: &[Name],
    anchors: &[TrustAnchor<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: UnixTime,
) -> Facts {
    let Some((leaf, intermediates)) = chain.split_first() else {
        let none = Failure::new(Code::CertInvalid, "the peer sent no certificate");
        return Facts { distrust: Some(none.clone()), mismatch: Some(none), ..Facts::default() };
    };
    let end_entity = match EndEntityCert::try_from(leaf) {
        Ok(end_entity) => end_entity,
        Err(error) => {
            let message = format!("the peer's certificate cannot be used: {}", describe(&error));
            let unusable = Failure::new(Code::CertInvalid, message);
            return Facts {
                present: true,
                distrust: Some(unusable.clone()),
                mismatch: Some(unusable),
                matched_name: None,
            };
        }
    };
    let distrust = trust(&end_entity, leaf, intermediates, anchors, algorithms, now);
    let matched = names.iter().find(|name| name.is_in(&end_entity)).map(Name::text);
    let mismatch = match matched {
        Some(_) => None,
        None => Some(mismatch(&end_entity, names)),
    };
    Facts { present: true, distrust, matched_name: matched, mismatch }
}

/// Looks for a path to an anchor.
fn trust(
    end_entity: &EndEntityCert<'_>,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: UnixTime,
) -> Option<Failure> {
    let usage = KeyUsage::server_auth();
    let path = end_entity.verify_for_usage(algorithms, anchors, intermediates, now, usage, None, None);
    match path {
        Ok(_) => None,
        // A certificate made by `openssl req -x509` is its own authority. As an anchor it is trusted; its
        // dates were checked before this error arises, and the handshake showed that the peer has its key.
        Err(webpki::Error::CaUsedAsEndEntity) if is_anchor(leaf, anchors) => None,
        Err(error) => Some(untrusted(&error)),
    }
}

/// An anchor is a name and a key (RFC 5280 section 6.1.1).
fn is_anchor(leaf: &CertificateDer<'_>, anchors: &[TrustAnchor<'_>]) -> bool {
    webpki::anchor_from_trusted_cert(leaf).is_ok_and(|leaf| {
        anchors.iter().any(|anchor| {
            anchor.subject == leaf.subject && anchor.subject_public_key_info == leaf.subject_public_key_info
        })
    })
}

/// One code for each kind of reason; the words say which it is.
fn untrusted(error: &webpki::Error) -> Failure {
    use webpki::Error::*;
    match error {
        CertExpired { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            Failure::new(Code::CertTime, format!("the peer's certificate expired {} ago", span(ago)))
        }
        CertNotValidYet { time, not_before } => {
            let ahead = not_before.as_secs().saturating_sub(time.as_secs());
            let message = format!("the peer's certificate is valid only in {}", span(ahead));
            // RFC 8460 has no type for it but the general one.
            Failure { tlsrpt: Some(Tlsrpt::ValidationFailure), ..Failure::new(Code::CertTime, message) }
        }
        UnknownIssuer => Failure::new(
            Code::CertUntrusted,
            "the peer's certificate has no chain to a trust anchor: its issuer is unknown",
        ),
        CaUsedAsEndEntity => Failure::new(
            Code::CertUntrusted,
            "the peer's certificate is that of an authority, and it is not among the trust anchors",
        ),
        InvalidSignatureForPublicKey
        | NameConstraintViolation
        | PathLenConstraintViolated
        | EndEntityUsedAsCa => {
            let message =
                format!("the peer's certificate has no chain to a trust anchor: {}", describe(error));
            Failure::new(Code::CertUntrusted, message)
        }
        error => Failure::new(
            Code::CertInvalid,
            format!("the peer's certificate cannot be used: {}", describe(error)),
        ),
    }
}

fn mismatch(end_entity: &EndEntityCert<'_>, names: &[Name]) -> Failure {
    const MOST: usize = 5;
    let expected: Vec<_> = names.iter().map(Name::text).collect();
    let mut presented: Vec<_> = end_entity
        .valid_dns_names()
        .take(MOST + 1)
        .map(|name| crate::error::escape(name.as_bytes()))
        .collect();
    if presented.len() > MOST {
        presented[MOST] = "and others".to_string();
    }
    let presented = match presented.is_empty() {
        true => "it names no host".to_string(),
        false => format!("it is for {}", presented.join(", ")),
    };
    let message = format!("the peer's certificate is not for {}: {presented}", expected.join(" or "));
    Failure::new(Code::CertName, message)
}

/// A span of time in its largest fitting unit.
fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

/// webpki's error in words; those that no mail server is known to show keep webpki's own name.
fn describe(error: &webpki::Error) -> String {
    use webpki::Error::*;
    let text = match error {
        BadDer | BadDerTime | TrailingData(_) => "it is not well-formed",
        ExtensionValueInvalid | MalformedExtensions => "an extension of it is not well-formed",
        UnsupportedCertVersion => "it is not of X.509 version 3",
        UnsupportedCriticalExtension => "it has a critical extension that is not understood",
        InvalidCertValidity => "its dates contradict each other",
        InvalidSignatureForPublicKey => "a signature in it is wrong",
        NameConstraintViolation => "an authority in it may not vouch for such names",
        PathLenConstraintViolated => "it is longer than an authority in it allows",
        EndEntityUsedAsCa => "a certificate in it is used as an authority's and is none",
        RequiredEkuNotFoundContext(_) => "it is not for servers",
        MaximumPathBuildCallsExceeded | MaximumPathDepthExceeded | MaximumSignatureChecksExceeded => {
            "it takes more steps to check than are allowed"
        }
        other => {
            return crate::error::escape(other.to_string().split('(').next().unwrap_or_default().as_bytes());
        }
    };
    text.to_string()
}
