//! The path of a chain as its certificates stand in it, link by link. webpki is who judges; here is what it does
//! not say, the depth of a failure, and what it does not do, chains of more than six intermediates.

use pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime,
};
use webpki::{CertRevocationList, EndEntityCert, KeyUsage, RawPublicKeyEntity, VerifiedPath};

use crate::x509::{Certificate, SHORTEST_RSA, Skeleton, contents, rsa_bits};

/// Bounds for what a peer can make us do: no real chain comes near.
const MOST_LINKS: usize = 32;
const MOST_SIGNATURES: usize = 64;

/// How many certificates webpki takes between the leaf and the anchor.
const WEBPKI_MOST: usize = 6;

/// A certificate of the path.
pub(crate) struct Link<'a> {
    pub der: &'a CertificateDer<'a>,
    pub certificate: Certificate,
    pub skeleton: Skeleton<'a>,
}

/// The path from the leaf upwards, as far as it goes.
pub(crate) struct Path<'a> {
    pub links: Vec<Link<'a>>,
    /// Which anchor signed the last link.
    pub anchor: Option<usize>,
    /// The bits of the RSA key of the last link, if it is too short for a signature of its to be checked (RFC 9325
    /// section 4.5), so that the path ends there.
    pub short_key: Option<usize>,
}

/// Follows issuers from the first certificate, through the others in whatever order they came, to an anchor.
pub(crate) fn walk<'a>(
    chain: &'a [CertificateDer<'a>],
    anchors: &[TrustAnchor<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Path<'a> {
    let mut path = Path { links: Vec::new(), anchor: None, short_key: None };
    let mut signatures = 0;
    let mut next = chain.first();
    while let Some(der) = next.take() {
        let (Some(certificate), Some(skeleton)) = (Certificate::parse(der), Skeleton::parse(der)) else {
            break;
        };
        let issuer = contents(skeleton.issuer);
        let mut signed_by = |key: &SubjectPublicKeyInfoDer<'_>| {
            signatures += 1;
            signatures <= MOST_SIGNATURES && is_signed(&skeleton, key, algorithms)
        };
        path.anchor = anchors.iter().position(|anchor| {
            Some(anchor.subject.as_ref()) == issuer && signed_by(&webpki::spki_for_anchor(anchor))
        });
        let above = chain.iter().find(|other| {
            path.anchor.is_none()
                && path.links.len() < MOST_LINKS
                && *other != der
                && !path.links.iter().any(|link| link.der == *other)
                && Skeleton::parse(other).is_some_and(|other| {
                    other.subject == skeleton.issuer && signed_by(&other.public_key.into())
                })
        });
        let named = chain.iter().filter(|other| *other != der).find_map(|other| {
            let above = Skeleton::parse(other).filter(|above| above.subject == skeleton.issuer)?;
            let bits = rsa_bits(above.public_key).filter(|bits| *bits < SHORTEST_RSA)?;
            Some((other, above, bits))
        });
        let ends = path.anchor.is_none() && above.is_none();
        path.links.push(Link { der, certificate, skeleton });
        if let (true, Some((der, skeleton, bits))) = (ends, named) {
            path.links.extend(Certificate::parse(der).map(|certificate| Link { der, certificate, skeleton }));
            path.short_key = Some(bits);
        }
        next = above;
    }
    path
}

/// What webpki does not ask: that the certificates between leaf and anchor may sign others (RFC 5280 section 6.1.4,
/// step n). It says so by the error that it has for those without the flag of an authority.
pub(crate) fn of_authorities(path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
    let all = path
        .intermediate_certificates()
        .all(|one| Certificate::parse(&one.der()).is_some_and(|one| one.is_authority()));
    if all { Ok(()) } else { Err(webpki::Error::EndEntityUsedAsCa) }
}

/// Whether a certificate is signed with this key.
fn is_signed(
    skeleton: &Skeleton<'_>,
    key: &SubjectPublicKeyInfoDer<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    let (Some(id), Ok(key)) = (contents(skeleton.algorithm), RawPublicKeyEntity::try_from(key)) else {
        return false;
    };
    algorithms
        .iter()
        .filter(|algorithm| algorithm.signature_alg_id().as_ref() == id)
        .any(|algorithm| key.verify_signature(*algorithm, skeleton.signed, skeleton.signature).is_ok())
}

impl Link<'_> {
    fn is_revoked(&self, lists: &[&CertRevocationList<'_>]) -> bool {
        let (Some(issuer), Some(serial)) = (contents(self.skeleton.issuer), contents(self.skeleton.serial))
        else {
            return false;
        };
        let of_issuer = lists.iter().filter(|list| list.issuer() == issuer);
        of_issuer.into_iter().any(|list| matches!(list.find_serial(serial), Ok(Some(_))))
    }
}

impl Path<'_> {
    /// At which depth webpki found this; 0 is the peer's own certificate.
    pub fn depth(&self, error: &webpki::Error, lists: &[&CertRevocationList<'_>]) -> usize {
        use webpki::Error::*;
        let first = |test: &dyn Fn(usize, &Certificate) -> bool| {
            self.links.iter().enumerate().position(|(depth, link)| test(depth, &link.certificate))
        };
        let last = self.links.len().saturating_sub(1);
        let depth = match error {
            CertExpired { not_after, .. } => first(&|_, one| one.dates().1 == not_after.as_secs()),
            CertNotValidYet { not_before, .. } => first(&|_, one| one.dates().0 == not_before.as_secs()),
            EndEntityUsedAsCa => first(&|depth, one| depth > 0 && !one.is_authority()),
            // One that breaks off at a wrong signature looks the same as one without an issuer.
            UnknownIssuer
            | InvalidSignatureForPublicKey
            | UnsupportedSignatureAlgorithmContext(_)
            | UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Some(last),
            PathLenConstraintViolated => {
                first(&|depth, one| one.path_length().is_some_and(|most| depth > most + 1))
            }
            RequiredEkuNotFoundContext(_) => first(&|_, one| !one.is_for_servers()),
            CertRevoked => self.links.iter().position(|link| link.is_revoked(lists)),
            _ => None,
        };
        depth.unwrap_or(0)
    }

    /// Whether a path of more intermediates than webpki takes is good: its lower part by webpki, with the certificate
    /// above it as the anchor, and its upper part link by link.
    pub fn is_long_and_sound(
        &self,
        end_entity: &EndEntityCert<'_>,
        usage: KeyUsage,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        now: UnixTime,
    ) -> bool {
        const TOP: usize = WEBPKI_MOST + 1;
        let Some(top) = self.links.get(TOP) else { return false };
        let Ok(anchor) = webpki::anchor_from_trusted_cert(top.der) else { return false };
        let below: Vec<_> = self.links[1..TOP].iter().map(|link| link.der.clone()).collect();
        self.upper_part_is_sound(TOP, now)
            && end_entity
                .verify_for_usage(algorithms, &[anchor], &below, now, usage, None, Some(&of_authorities))
                .is_ok()
    }

    /// From `below` upwards to an anchor. What webpki refuses is refused here (RFC 5280 section 6.1); what it would
    /// have to understand is, too.
    fn upper_part_is_sound(&self, below: usize, now: UnixTime) -> bool {
        let now = now.as_secs();
        self.anchor.is_some()
            && self.links.iter().enumerate().skip(below).all(|(depth, link)| {
                let one = &link.certificate;
                let (begins, ends) = one.dates();
                one.is_authority()
                    && (begins..=ends).contains(&now)
                    && one.path_length().is_none_or(|most| depth <= most + 1)
                    && one.is_for_servers()
                    && one.is_understood()
                    && !one.has_name_constraints()
            })
    }
}
