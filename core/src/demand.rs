//! What a policy comes to for one host: the effective level, the names, SNI. The order of precedence between the
//! local level, `TLS-Required: No`, DANE and MTA-STS, as a pure function of what is known before the connection.
//!
//! | first that applies | comes to |
//! | --- | --- |
//! | the local level is none, fingerprint, dane-only, verify or secure | that level |
//! | the message says `TLS-Required: No` | may; encrypt stays encrypt unless the local level is outweighed too |
//! | DANE: the lookup failed | no session (RFC 7672 section 2.1) |
//! | DANE: secure TLSA records, some usable | dane |
//! | DANE: secure TLSA records, none usable | encrypt |
//! | MTA-STS enforce, the host is among its mx | verify, for the host |
//! | MTA-STS enforce, the host is not | no session (RFC 8461 section 5) |
//! | the local level is encrypt | encrypt |
//! | otherwise | may; under MTA-STS testing what would have failed is reported |

use std::ffi::CStr;

use pki_types::ServerName;

use crate::error::Failure;
use crate::name::{Name, server_name};
use crate::policy::{Policy, Sni, TlsOptional};
use crate::sts::StsMode;
use crate::tlsa::Tlsa;
use crate::tlsrpt::Report;
use crate::{Code, Dnssec, Level, Tlsrpt};

/// What is demanded of the server.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    /// The effective level.
    pub level: Level,
    /// The names that the certificate may be for.
    pub names: Vec<Name>,
    /// A trusted certificate will do, whatever name it is for.
    pub any_name: bool,
    pub sni: Option<ServerName<'static>>,
    /// At the DANE levels the records to match; at least one.
    pub tlsa: Vec<Tlsa>,
    /// The host was found by secure MX records, or by none, or MTA-STS names it: RFC 8689 section 4.2.1.
    pub mx_validated: bool,
    /// The host was found by MX records that are not secure, so DANE proves the host and not the domain (RFC 7672
    /// section 2.2.1).
    pub mx_insecure: bool,
    /// MTA-STS is in mode testing: what would fail is reported.
    pub testing: bool,
    /// What belongs into a report although mail goes on.
    pub reports: Vec<Report>,
}

impl Demand {
    /// What is demanded before anything is known: nothing.
    pub fn nothing(level: Level) -> Demand {
        Demand {
            level,
            names: Vec::new(),
            any_name: false,
            sni: None,
            tlsa: Vec::new(),
            mx_validated: false,
            mx_insecure: false,
            testing: false,
            reports: Vec::new(),
        }
    }
}

/// What `policy` demands of `host`, or why there is to be no session with it.
pub(crate) fn demand(policy: &Policy, host: &str) -> Result<Demand, Failure> {
    let mut demand = Demand::nothing(policy.level);
    demand.mx_insecure = policy.next_hop.mx == Dnssec::Insecure;
    let sts = policy.sts.as_ref().filter(|sts| sts.mode() != StsMode::None);
    let next_hop = &policy.next_hop;
    let told = next_hop.name.is_some() && matches!(next_hop.mx, Dnssec::Secure | Dnssec::None);
    demand.mx_validated = told || sts.is_some_and(|sts| sts.matches(host));
    let lowered = match (policy.tls_optional, policy.level) {
        (TlsOptional::Always, level) => level != Level::None,
        (TlsOptional::Recipient, level) => matches!(level, Level::May | Level::Dane),
        (TlsOptional::No, _) => false,
    };
    match policy.level {
        _ if lowered => demand.level = Level::May,
        Level::Dane | Level::DaneOnly if dane(policy, host, &mut demand)? => {}
        Level::May | Level::Encrypt if policy.tls_optional != TlsOptional::No => {}
        Level::May | Level::Encrypt | Level::Dane => mta_sts(policy, host, &mut demand)?,
        _ => {}
    }
    // RFC 8461 section 4.1 outweighs it.
    demand.any_name = policy.any_name && matches!(policy.level, Level::Verify | Level::Secure) && !lowered;
    demand.names = names(policy, host, &demand)?;
    demand.sni = sni(policy, host, &demand);
    if demand.level == Level::Fingerprint && policy.fingerprints.is_empty() {
        let message = "level fingerprint needs a fingerprint, and the policy has none";
        return Err(Failure::new(Code::Argument, message));
    }
    Ok(demand)
}

/// What the DNS says at the DANE levels (RFC 7672 section 2.2). Whether that settles it.
fn dane(policy: &Policy, host: &str, demand: &mut Demand) -> Result<bool, Failure> {
    let only = policy.level == Level::DaneOnly;
    let (mx, address, status) = (policy.next_hop.mx, policy.address, policy.tlsa_status);
    for (what, status) in [("MX", mx), ("address", address), ("TLSA", status)] {
        if status.failed() {
            let how = if status == Dnssec::Bogus { "did not validate" } else { "failed" };
            let message = format!(
                "the lookup of {what} records {how}, so there may be TLSA records that were not seen"
            );
            return Err(Failure::new(Code::Dnssec, message));
        }
    }
    let required = |why: &str| {
        let message = format!("level dane-only needs a secure and usable TLSA record: {why}");
        Failure::new(Code::DaneRequired, message)
    };
    // RFC 7672 section 2.2: an address has no TLSA records.
    let literal = !matches!(server_name(host), Some(ServerName::DnsName(_)));
    if status == Dnssec::None && !literal && address != Dnssec::Insecure && mx != Dnssec::Insecure {
        let message = format!(
            "level {} needs to know what the lookup of TLSA records came to: give its DNSSEC status",
            policy.level.name()
        );
        return Err(Failure::new(Code::Argument, message));
    }
    if only && mx == Dnssec::Insecure {
        return Err(required("the MX records of the domain are not secure"));
    }
    if literal && policy.tlsa_base.is_none() || status != Dnssec::Secure || policy.tlsa.is_empty() {
        return match only {
            true if literal => Err(required("an IP address has none")),
            true if status == Dnssec::Secure => Err(required("the server has no TLSA records")),
            true => Err(required("the server's zone is not signed")),
            false => {
                demand.level = Level::May;
                Ok(false)
            }
        };
    }
    let usable = Tlsa::strongest(&policy.tlsa);
    if usable.is_empty() {
        const REASON: &CStr = c"all-TLSA-records-unusable";
        let why = policy.tlsa.iter().find_map(Tlsa::unusable).unwrap_or_default();
        if only {
            let failure = required(&format!("none is usable, the first one since {why}"));
            return Err(failure.reported(Tlsrpt::TlsaInvalid, REASON));
        }
        demand.level = Level::Encrypt;
        demand.reports.push(Report { kind: Tlsrpt::TlsaInvalid, reason: REASON });
        return Ok(true);
    }
    demand.tlsa = usable;
    Ok(true)
}

/// What MTA-STS makes of the levels may and encrypt (RFC 8461 section 5).
fn mta_sts(policy: &Policy, host: &str, demand: &mut Demand) -> Result<(), Failure> {
    let Some(sts) = &policy.sts else { return Ok(()) };
    let named = sts.matches(host);
    match sts.mode() {
        StsMode::None => {}
        StsMode::Enforce if named => demand.level = Level::Verify,
        StsMode::Enforce => {
            let message = format!(
                "the MTA-STS policy of the domain does not name {}; it names {}",
                crate::error::escape(host.as_bytes()),
                sts.mx().join(", ")
            );
            return Err(Failure::new(Code::StsMx, message));
        }
        StsMode::Testing => {
            demand.testing = true;
            if !named {
                demand.reports.extend(Failure::new(Code::StsMx, "").report(crate::outcome::Stage::Local));
            }
        }
    }
    Ok(())
}

/// The names that the certificate may be for.
fn names(policy: &Policy, host: &str, demand: &Demand) -> Result<Vec<Name>, Failure> {
    let own = || Name::parse(host).map(|name| vec![name]);
    let sts = policy.level != Level::Verify && demand.level == Level::Verify;
    match demand.level {
        Level::Dane | Level::DaneOnly if !policy.names.is_empty() => {
            let message =
                "at the DANE levels the names come from the DNS: set the next hop and the TLSA base domain";
            Err(Failure::new(Code::Argument, message))
        }
        Level::Dane | Level::DaneOnly => dane_names(policy, host),
        // RFC 8461 section 4.1: the MX host, whatever else would do.
        Level::Verify if sts => own(),
        _ if !policy.names.is_empty() => Ok(policy.names.clone()),
        _ if demand.any_name => Ok(own().unwrap_or_default()),
        Level::Verify => own(),
        Level::Secure => match &policy.next_hop.name {
            Some(name) => Ok([Some(name.clone()), name.below()].into_iter().flatten().collect()),
            None => {
                let message = "level secure needs the next hop, or names for the certificate: the host's name may be from an insecure DNS answer";
                Err(Failure::new(Code::Argument, message))
            }
        },
        // A path of a socket, say: it is not compared with anything.
        _ => Ok(own().unwrap_or_default()),
    }
}

/// RFC 7672 section 3.2.2. The TLSA base domain comes first; the next hop only where no insecure answer lies
/// between it and the host.
fn dane_names(policy: &Policy, host: &str) -> Result<Vec<Name>, Failure> {
    let host = Name::parse(host)?;
    let base = policy.tlsa_base.clone().unwrap_or_else(|| host.clone());
    let mut names = vec![base];
    match policy.next_hop.mx {
        Dnssec::Secure => {
            names.extend([&policy.next_hop.name, &policy.next_hop.expanded].into_iter().flatten().cloned())
        }
        // No MX records: the host is what the program was told to use, before its CNAMEs were followed.
        Dnssec::None => names.push(host),
        _ => {}
    }
    let mut distinct: Vec<Name> = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    Ok(distinct)
}

/// The name to send in SNI. A host that cannot be in SNI, such as an IP address, sends none.
fn sni(policy: &Policy, host: &str, demand: &Demand) -> Option<ServerName<'static>> {
    let host_name =
        |name: ServerName<'static>| Some(name).filter(|name| matches!(name, ServerName::DnsName(_)));
    match (&policy.sni, &policy.tlsa_base) {
        (_, Some(Name::Exact(base))) if demand.level.is_dane() => host_name(base.clone()),
        (_, _) if demand.level.is_dane() => server_name(host).and_then(host_name),
        (Sni::None, _) => None,
        (Sni::Name(name), _) => Some(name.clone()),
        (Sni::Host, _) => server_name(host).and_then(host_name),
    }
}
