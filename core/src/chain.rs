//! Judging a certificate chain after the handshake: is it trusted, and is it for the expected name?

use pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::demand::Demand;
use crate::error::Failure;
use crate::info::Auth;
use crate::name::Name;
use crate::outcome::Stage;
use crate::path::{Path, of_authorities, walk};
use crate::tlsa::Tlsa;
use crate::tlsrpt::Report;
use crate::x509::{Certificate, SHORTEST_RSA, Skeleton, rsa_bits};
use crate::{Code, Level, Policy, Role, Tlsrpt};

/// What a configuration trusts, and with what it checks.
#[derive(Clone, Copy)]
pub(crate) struct Trust<'a> {
    pub anchors: &'a [TrustAnchor<'static>],
    pub lists: &'a [&'a CertRevocationList<'static>],
    pub algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    pub now: UnixTime,
    /// Whose certificates are judged.
    pub of: Role,
}

impl Trust<'_> {
    /// What the certificate must be good for; one that does not say is good for all.
    fn usage(&self) -> KeyUsage {
        match self.of {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        }
    }
}

/// A failure, and where in the chain: 0 is the peer's own certificate.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub failure: Failure,
    pub depth: usize,
}

/// What is known of the peer's chain, each fact by itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The peer sent a certificate.
    pub present: bool,
    /// Why it is not to be trusted, nearest to the leaf; nothing if it is.
    pub distrust: Option<Fault>,
    /// The expected name that the certificate is for.
    pub matched_name: Option<String>,
    /// Why it is for none of them, where that counts.
    pub mismatch: Option<Failure>,
    /// The TLSA record that made it trusted, and at which depth.
    pub matched_tlsa: Option<(Tlsa, usize)>,
    /// The fingerprint that made it trusted.
    pub matched_fingerprint: Option<String>,
}

impl Facts {
    /// The peer is who the demand asks for, as far as its chain goes.
    pub fn trusted(&self) -> bool {
        self.present && self.distrust.is_none()
    }

    /// How the peer proved who it is.
    pub fn auth(&self) -> Auth {
        match (&self.matched_fingerprint, &self.matched_tlsa) {
            _ if !self.trusted() || self.mismatch.is_some() => Auth::None,
            (Some(_), _) => Auth::Fingerprint,
            (None, Some((record, _))) if record.is_server() => Auth::DaneEe,
            (None, Some(_)) => Auth::DaneTa,
            (None, None) => Auth::Pkix,
        }
    }

    /// The first reason not to take the peer for who it should be: the chain's before the name's (RFC 7817
    /// section 3).
    pub fn failure(&self) -> Option<&Failure> {
        self.distrust.as_ref().map(|fault| &fault.failure).or(self.mismatch.as_ref())
    }

    /// All reasons, for a report: types are not exclusive (RFC 8460 section 4.3).
    pub fn reports(&self) -> Vec<Report> {
        let failures = [self.distrust.as_ref().map(|fault| &fault.failure), self.mismatch.as_ref()];
        let mut reports: Vec<_> =
            failures.into_iter().flatten().filter_map(|failure| failure.report(Stage::Handshake)).collect();
        reports.dedup();
        reports
    }

    /// What nobody can trust, for this reason, whatever name it is for.
    pub fn unusable(failure: Failure, present: bool) -> Facts {
        let distrust = Some(Fault { failure: failure.clone(), depth: 0 });
        Facts { present, distrust, mismatch: Some(failure), ..Facts::default() }
    }
}

/// Judges `chain`, the peer's own certificate first, by what is demanded. At the levels that demand nothing of
/// it, as at `verify`: then the facts are for the log.
pub(crate) fn judge(
    chain: &[CertificateDer<'_>],
    demand: &Demand,
    policy: &Policy,
    trust: Trust<'_>,
) -> Facts {
    let Some(leaf) = chain.first() else {
        return Facts::unusable(Failure::new(Code::CertInvalid, "the peer sent no certificate"), false);
    };
    let mut facts = match demand.level {
        Level::Fingerprint => pinned(leaf, policy),
        Level::Dane | Level::DaneOnly => crate::dane::judge(chain, demand, policy.common_names, trust),
        _ => authorized(chain, &demand.names, trust),
    };
    if demand.any_name && facts.distrust.is_none() {
        facts.mismatch = None;
    }
    refuse_short_key(leaf, &mut facts);
    facts
}

/// Judges the chain of a client: by fingerprint, if the policy has some and one fits, or by a chain to a trust anchor.
/// No name is asked for: whom it lets in is the program's to say.
pub(crate) fn judge_client(chain: &[CertificateDer<'_>], policy: &Policy, trust: Trust<'_>) -> Facts {
    let Some(leaf) = chain.first() else {
        let none = Failure::new(Code::CertRequired, "the client sent no certificate");
        return Facts { distrust: Some(Fault { failure: none, depth: 0 }), ..Facts::default() };
    };
    let pinned = pinned(leaf, policy);
    let mut facts = match pinned.matched_fingerprint {
        Some(_) => pinned,
        None => Facts { mismatch: None, ..authorized(chain, &[], trust) },
    };
    refuse_short_key(leaf, &mut facts);
    facts
}

/// RFC 9325 section 4.5: too weak for its signatures to prove anything.
fn refuse_short_key(leaf: &CertificateDer<'_>, facts: &mut Facts) {
    let bits = Skeleton::parse(leaf).and_then(|leaf| rsa_bits(leaf.public_key));
    if let Some(bits) = bits.filter(|bits| *bits < SHORTEST_RSA) {
        facts.distrust.get_or_insert(Fault { failure: short_key("the peer's certificate", bits), depth: 0 });
    }
}

/// By fingerprint: nothing else counts.
fn pinned(leaf: &CertificateDer<'_>, policy: &Policy) -> Facts {
    let found = policy.fingerprints.iter().find(|fingerprint| fingerprint.fits(leaf));
    let distrust = match found {
        Some(_) => None,
        None => Some(Fault { failure: crate::fingerprint::Fingerprint::missing(leaf), depth: 0 }),
    };
    let matched_fingerprint = found.map(ToString::to_string);
    Facts { present: true, distrust, matched_fingerprint, ..Facts::default() }
}

/// By a chain to a trust anchor and by name.
fn authorized(chain: &[CertificateDer<'_>], names: &[Name], trust: Trust<'_>) -> Facts {
    let end_entity = match readable(chain) {
        Ok(end_entity) => end_entity,
        Err(unusable) => return *unusable,
    };
    let distrust = distrust(&end_entity, chain, trust);
    let (matched_name, mismatch) = matched(&end_entity, names);
    Facts { present: true, distrust, matched_name, mismatch, ..Facts::default() }
}

/// The peer's own certificate as webpki reads it.
pub(crate) fn readable<'a>(chain: &'a [CertificateDer<'a>]) -> Result<EndEntityCert<'a>, Box<Facts>> {
    EndEntityCert::try_from(&chain[0]).map_err(|error| {
        let message = format!("the peer's certificate cannot be used: {}", describe(&error));
        Box::new(Facts::unusable(Failure::new(Code::CertInvalid, message), true))
    })
}

/// The name that the certificate is for, or why it is for none.
pub(crate) fn matched(end_entity: &EndEntityCert<'_>, names: &[Name]) -> (Option<String>, Option<Failure>) {
    match names.iter().find(|name| name.is_in(end_entity)) {
        Some(name) => (Some(name.text()), None),
        None => (None, Some(mismatch(end_entity, names))),
    }
}

/// Looks for a path to an anchor.
fn distrust(end_entity: &EndEntityCert<'_>, chain: &[CertificateDer<'_>], trust: Trust<'_>) -> Option<Fault> {
    let Trust { anchors, lists, algorithms, now, of: _ } = trust;
    let (leaf, intermediates) = chain.split_first()?;
    let revocation = RevocationOptionsBuilder::new(lists).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Allow)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    let usage = trust.usage();
    let error = end_entity
        .verify_for_usage(algorithms, anchors, intermediates, now, usage, revocation, Some(&of_authorities))
        .err()?;
    match error {
        // A certificate made by `openssl req -x509` is its own authority. As an anchor it is trusted; its
        // dates were checked before this error arises, and the handshake showed that the peer has its key.
        webpki::Error::CaUsedAsEndEntity if is_anchor(leaf, anchors) => None,
        error => {
            let path = walk(chain, anchors, algorithms);
            if lists.is_empty() && path.is_long_and_sound(end_entity, trust.usage(), algorithms, now) {
                return None;
            }
            Some(untrusted(&error, &path, lists))
        }
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

/// One code for each kind of reason; the words say which it is, and of which certificate.
pub(crate) fn untrusted(error: &webpki::Error, path: &Path<'_>, lists: &[&CertRevocationList<'_>]) -> Fault {
    use webpki::Error::*;
    let depth = path.depth(error, lists);
    let whose = whose(depth, path);
    let new = |code: Code, what: String| Failure::new(code, format!("{whose} {what}"));
    let failure = match error {
        UnknownIssuer | InvalidSignatureForPublicKey if path.short_key.is_some() => {
            short_key(&whose, path.short_key.unwrap_or_default())
        }
        CertExpired { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            new(Code::CertTime, format!("expired {} ago", span(ago)))
        }
        CertNotValidYet { time, not_before } => {
            let ahead = not_before.as_secs().saturating_sub(time.as_secs());
            // RFC 8460 has no type for it but the general one.
            new(Code::CertTime, format!("is valid only in {}", span(ahead)))
                .reported(Tlsrpt::ValidationFailure, c"certificate-not-yet-valid")
        }
        UnknownIssuer => {
            let issuer = path.links.get(depth).map(|link| link.certificate.issuer()).unwrap_or_default();
            let what = format!("has no chain to a trust anchor: its issuer is unknown ({issuer})");
            new(Code::CertUntrusted, what)
        }
        CaUsedAsEndEntity => {
            let what = "is that of an authority, and it is not among the trust anchors";
            new(Code::CertUntrusted, what.to_string())
                .reported(Tlsrpt::CertificateNotTrusted, c"authority-as-server")
        }
        InvalidSignatureForPublicKey => {
            let what = "has no chain to a trust anchor: its signature is not its issuer's";
            new(Code::CertUntrusted, what.to_string())
                .reported(Tlsrpt::CertificateNotTrusted, c"bad-signature")
        }
        NameConstraintViolation | PathLenConstraintViolated | EndEntityUsedAsCa => {
            let what = format!("makes a chain that is not allowed: {}", describe(error));
            new(Code::CertUntrusted, what).reported(Tlsrpt::CertificateNotTrusted, c"constraint-violated")
        }
        CertRevoked => new(Code::CertRevoked, "has been revoked".to_string()),
        CrlExpired { time, next_update } => {
            let ago = time.as_secs().saturating_sub(next_update.as_secs());
            let what = format!(
                "cannot be checked: the revocation list of its issuer expired {} ago; fetch it anew",
                span(ago)
            );
            new(Code::CrlExpired, what)
        }
        error => new(Code::CertInvalid, format!("cannot be used: {}", describe(error))),
    };
    Fault { failure, depth }
}

fn short_key(whose: &str, bits: usize) -> Failure {
    let message = format!("{whose} cannot be used: its RSA key has {bits} bits, fewer than {SHORTEST_RSA}");
    Failure::new(Code::CertInvalid, message).reported(Tlsrpt::ValidationFailure, c"weak-key")
}

fn whose(depth: usize, path: &Path<'_>) -> String {
    match path.links.get(depth) {
        Some(link) if depth > 0 => {
            format!("the certificate at depth {depth} of the peer's chain ({})", link.certificate.subject())
        }
        _ => "the peer's certificate".to_string(),
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
    let expected = if expected.is_empty() { "this server".to_string() } else { expected.join(" or ") };
    Failure::new(Code::CertName, format!("the peer's certificate is not for {expected}: {presented}"))
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
        NameConstraintViolation => "an authority in it may not vouch for such names",
        PathLenConstraintViolated => "it is longer than an authority in it allows",
        EndEntityUsedAsCa => "it is used as an authority's and is none",
        RequiredEkuNotFoundContext(_) => "it is not for this use",
        UnsupportedSignatureAlgorithmContext(_) | UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "it is signed with an algorithm that is too old or unknown, such as SHA-1"
        }
        MaximumPathBuildCallsExceeded | MaximumPathDepthExceeded | MaximumSignatureChecksExceeded => {
            "its chain takes more steps to check than are allowed"
        }
        other => {
            return crate::error::escape(other.to_string().split('(').next().unwrap_or_default().as_bytes());
        }
    };
    text.to_string()
}

/// Whether the certificate, which has no subjectAltName, has an expected name as its common name.
pub(crate) fn common_name(leaf: &CertificateDer<'_>, names: &[Name]) -> Option<String> {
    let leaf = Certificate::parse(leaf).filter(|leaf| !leaf.has_alt_names())?;
    let presented = leaf.common_name()?;
    names.iter().find(|name| name.is_common_name(&presented)).map(Name::text)
}
