//! Judging a certificate chain by TLSA records (RFC 7672 section 3, RFC 7671).

use pki_types::{CertificateDer, Der, TrustAnchor};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::chain::{Facts, Fault, Trust, common_name, matched, readable, untrusted};
use crate::demand::Demand;
use crate::error::Failure;
use crate::path::{Path, of_authorities, walk};
use crate::tlsa::Tlsa;
use crate::x509::{Certificate, Skeleton, contents};
use crate::{Code, Tlsrpt};

/// A trust anchor that a record makes.
struct Candidate<'a> {
    record: &'a Tlsa,
    /// How many authorities it allows below itself.
    path_length: Option<usize>,
}

impl Candidate<'_> {
    /// webpki asks an anchor for no path length.
    fn allows(&self, below: usize) -> bool {
        self.path_length.is_none_or(|most| below <= most)
    }
}

/// Judges by the records of `demand`, all of them usable: one that matches is enough (RFC 7672 section 3.2). The
/// configuration's trust anchors play no part.
pub(crate) fn judge(
    chain: &[CertificateDer<'_>],
    demand: &Demand,
    common_names: bool,
    trust: Trust<'_>,
) -> Facts {
    let leaf = &chain[0];
    // RFC 7672 section 3.1.1: no name, no date, no chain.
    if let Some(record) = demand.tlsa.iter().find(|record| record.is_server() && record.matches(leaf)) {
        let matched_name =
            EndEntityCert::try_from(leaf).ok().and_then(|leaf| matched(&leaf, &demand.names).0);
        let matched_tlsa = Some((record.clone(), 0));
        return Facts { present: true, matched_tlsa, matched_name, ..Facts::default() };
    }
    let (candidates, anchors) = authorities(chain, &demand.tlsa);
    if anchors.is_empty() {
        return Facts {
            present: true,
            distrust: Some(Fault { failure: no_match(demand), depth: 0 }),
            ..Facts::default()
        };
    }
    let end_entity = match readable(chain) {
        Ok(end_entity) => end_entity,
        Err(unusable) => return *unusable,
    };
    let (mut matched_name, mut mismatch) = matched(&end_entity, &demand.names);
    if common_names && matched_name.is_none() {
        matched_name = common_name(leaf, &demand.names);
        mismatch = mismatch.filter(|_| matched_name.is_none());
    }
    let found = vouched(&end_entity, chain, &candidates, &anchors, trust).or_else(|error| {
        let path = walk(chain, &anchors, trust.algorithms);
        // Where the anchor would be, if it were in the chain.
        let (depth, candidate) = (path.links.len(), path.anchor.and_then(|n| candidates.get(n)));
        match candidate.filter(|one| one.allows(depth.saturating_sub(1))) {
            Some(one)
                if path.is_long_and_sound(
                    &end_entity,
                    KeyUsage::server_auth(),
                    trust.algorithms,
                    trust.now,
                ) =>
            {
                Ok((one.record.clone(), depth))
            }
            _ => Err(untrusted_by(&error, demand, &path)),
        }
    });
    let (distrust, matched_tlsa) = match found {
        Ok(found) => (None, Some(found)),
        Err(fault) => (Some(fault), None),
    };
    Facts { present: true, distrust, matched_name, mismatch, matched_tlsa, ..Facts::default() }
}

/// The trust anchors that the records make, and what is to be known of each, in the same order.
///
/// A record matches certificates above the leaf only (RFC 7671 section 5.2); but a whole certificate or key in the
/// DNS need not be in the chain (sections 5.2.2 and 5.2.3).
fn authorities<'a>(
    chain: &'a [CertificateDer<'a>],
    records: &'a [Tlsa],
) -> (Vec<Candidate<'a>>, Vec<TrustAnchor<'static>>) {
    let (mut candidates, mut anchors) = (Vec::new(), Vec::new());
    let mut certificate = |der: &CertificateDer<'_>, record: &'a Tlsa| {
        let parsed = Certificate::parse(der).filter(Certificate::is_authority);
        let anchor = webpki::anchor_from_trusted_cert(der).ok().map(|anchor| anchor.to_owned());
        if let (Some(parsed), Some(anchor)) = (parsed, anchor) {
            candidates.push(Candidate { record, path_length: parsed.path_length() });
            anchors.push(anchor);
        }
    };
    for record in records.iter().filter(|record| record.is_authority()) {
        let above = chain[1..].iter().filter(|one| **one != chain[0]);
        for one in above.filter(|one| record.matches(one)) {
            certificate(one, record);
        }
        if (record.selector, record.matching) == (0, 0) && record.data != chain[0].as_ref() {
            certificate(&CertificateDer::from(record.data.as_slice()), record);
        }
    }
    for record in
        records.iter().filter(|record| record.is_authority() && record.selector == 1 && record.matching == 0)
    {
        let Some(key) = contents(&record.data) else { continue };
        for one in chain {
            // The key signs the certificate below it, so that one's issuer is its name.
            let Some(issuer) = Skeleton::parse(one).and_then(|one| contents(one.issuer)) else { continue };
            candidates.push(Candidate { record, path_length: None });
            anchors.push(TrustAnchor {
                subject: Der::from(issuer.to_vec()),
                subject_public_key_info: Der::from(key.to_vec()),
                name_constraints: None,
            });
        }
    }
    (candidates, anchors)
}

/// Looks for a path to one of the anchors: its record, and its depth above the leaf.
fn vouched(
    end_entity: &EndEntityCert<'_>,
    chain: &[CertificateDer<'_>],
    candidates: &[Candidate<'_>],
    anchors: &[TrustAnchor<'static>],
    trust: Trust<'_>,
) -> Result<(Tlsa, usize), webpki::Error> {
    let found =
        |path: &VerifiedPath<'_>| anchors.iter().position(|anchor| std::ptr::eq(anchor, path.anchor()));
    let allowed = |path: &VerifiedPath<'_>| {
        of_authorities(path)?;
        let below = path.intermediate_certificates().count();
        match found(path).and_then(|n| candidates.get(n)).is_some_and(|one| one.allows(below)) {
            true => Ok(()),
            false => Err(webpki::Error::PathLenConstraintViolated),
        }
    };
    let usage = KeyUsage::server_auth();
    let path = end_entity.verify_for_usage(
        trust.algorithms,
        anchors,
        &chain[1..],
        trust.now,
        usage,
        None,
        Some(&allowed),
    )?;
    match found(&path).and_then(|n| candidates.get(n)) {
        Some(candidate) => Ok((candidate.record.clone(), 1 + path.intermediate_certificates().count())),
        None => Err(webpki::Error::UnknownIssuer),
    }
}

/// What leads to none of the records' authorities matches none of them.
fn untrusted_by(error: &webpki::Error, demand: &Demand, path: &Path<'_>) -> Fault {
    use webpki::Error::*;
    let unchecked = path.short_key.is_some()
        || matches!(
            error,
            UnsupportedSignatureAlgorithmContext(_) | UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        );
    match path.anchor.is_some() || unchecked {
        true => untrusted(error, path, &[]),
        false => Fault { failure: no_match(demand), depth: 0 },
    }
}

fn no_match(demand: &Demand) -> Failure {
    const MOST: usize = 4;
    let mut records: Vec<_> = demand.tlsa.iter().take(MOST).map(abridged).collect();
    if demand.tlsa.len() > MOST {
        records.push(format!("and {} more", demand.tlsa.len() - MOST));
    }
    let hint = match demand.tlsa.iter().any(Tlsa::is_authority) {
        true => "; a record with usage 2 needs its authority's certificate in the chain",
        false => "",
    };
    let message = format!("no TLSA record matches the peer's certificates: {}{hint}", records.join(", "));
    Failure::new(Code::DaneMismatch, message).reported(Tlsrpt::CertificateNotTrusted, c"dane-no-match")
}

/// The record, with no more of its data than tells it from others.
fn abridged(record: &Tlsa) -> String {
    let text = record.to_string();
    match text.char_indices().nth(22) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
