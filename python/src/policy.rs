//! Policy: what is demanded of a destination.

use pyo3::prelude::*;
use smtptls::{Dnssec, FingerprintOf, Level};

use crate::arguments::{ByName, Sni, TlsOptional, TlsaLike};
use crate::enums::Enum;
use crate::errors::{argument, raised};
use crate::sts::StsPolicy;

/// What is demanded of a destination.
///
/// level: for a client, what is demanded of the server: one of Level, or its name. For a server, whether
/// STARTTLS is offered ("may") or required ("encrypt"), or not offered ("none").
/// names: the names that the certificate may be for, in place of the session's host, and at level secure of
/// the next hop's: host names (also with letters that are not ASCII), IP addresses, or ".example.com" for any
/// host below that domain. At the DANE levels they are an error: there the DNS names them.
/// sni: the name to send in the TLS handshake; None sends none. The default is the session's host. Where DANE
/// is in force it is always the TLSA base domain.
/// fingerprints: of certificates that are accepted at level fingerprint: "sha256:" and hex digits of either
/// case, with or without colons. Without an algorithm, as in Postfix's tables, the length tells it.
/// key_fingerprints: the same of public keys.
/// next_hop: the domain that mail is for. At level secure a certificate for it, or for any host below it, is
/// accepted; at the DANE levels one for the domain, if its MX records are secure (RFC 7672 section 3.2.2).
/// next_hop_expanded: where its CNAMEs lead, if that is another name.
/// mx_dnssec: whether its MX records are secure: one of Dnssec, or its name. The default is that no MX lookup
/// was made, as for a configured relay.
/// address_dnssec: whether the server's addresses are secure. One of A and AAAA is enough for that.
/// tlsa: the TLSA records, as the DNS has them: each a Tlsa, its presentation form as str, or its RDATA as
/// bytes. One that is unusable counts all the same: it says that the domain has TLS.
/// tlsa_base: the base domain for which they were looked up; the default is the session's host.
/// tlsa_dnssec: whether the answer to their lookup is secure. The DANE levels need this, but where the lookup
/// cannot be made: below insecure MX or address records, and for an IP address.
/// allow_common_names: under DANE-TA also look at the common name, of a certificate that has no
/// subjectAltName.
/// insecure_any_name: at the levels verify and secure take a trusted certificate for whatever name, as Exim
/// does with tls_verify_hosts alone. It lets in whoever has any certificate of any trusted authority, so it
/// is for authorities that serve nobody else. Such a peer is not secured. Where MTA-STS is in force the name
/// counts all the same.
/// sts: the domain's MTA-STS policy (RFC 8461), if there is one that is current. It raises the levels may and
/// encrypt, and dane where the domain has no secure TLSA records; what DANE says it never outweighs.
/// tls_optional: whether the message says "TLS-Required: No" (RFC 8689 section 3): with True DANE and MTA-STS
/// do not count, with "always" nor does a stricter local level. Leave it out for a message that came with
/// REQUIRETLS.
///
/// The library asks no DNS: at the levels dane and dane-only the program gives what its resolver found, and
/// whether that was validated.
#[pyclass(frozen, module = "smtptls", weakref)]
pub struct Policy(pub smtptls::Policy);

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (level=ByName(Level::Verify), *, names=vec![], sni=Sni::Host, fingerprints=vec![],
                        key_fingerprints=vec![], next_hop=None, next_hop_expanded=None,
                        mx_dnssec=ByName(Dnssec::None), address_dnssec=ByName(Dnssec::None), tlsa=vec![],
                        tlsa_base=None, tlsa_dnssec=ByName(Dnssec::None), allow_common_names=false,
                        insecure_any_name=false, sts=None, tls_optional=TlsOptional::No))]
    #[allow(clippy::too_many_arguments)] // They are keywords in Python.
    #[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
    fn new(
        level: ByName<Level>,
        names: Vec<String>,
        sni: Sni,
        fingerprints: Vec<String>,
        key_fingerprints: Vec<String>,
        next_hop: Option<String>,
        next_hop_expanded: Option<String>,
        mx_dnssec: ByName<Dnssec>,
        address_dnssec: ByName<Dnssec>,
        tlsa: Vec<TlsaLike>,
        tlsa_base: Option<String>,
        tlsa_dnssec: ByName<Dnssec>,
        allow_common_names: bool,
        insecure_any_name: bool,
        sts: Option<&StsPolicy>,
        tls_optional: TlsOptional,
    ) -> PyResult<Self> {
        if next_hop.is_none() && (next_hop_expanded.is_some() || mx_dnssec.0 != Dnssec::None) {
            return Err(argument("next_hop_expanded and mx_dnssec are about a next_hop, and there is none"));
        }
        let build = || {
            let mut policy = smtptls::Policy::new(level.0);
            for name in &names {
                policy.add_name(name)?;
            }
            match &sni {
                Sni::Host => {}
                Sni::None => drop(policy.set_sni(None)?),
                Sni::Name(name) => drop(policy.set_sni(Some(name))?),
            }
            for digest in &fingerprints {
                policy.add_fingerprint(FingerprintOf::Certificate, digest)?;
            }
            for digest in &key_fingerprints {
                policy.add_fingerprint(FingerprintOf::PublicKey, digest)?;
            }
            if let Some(name) = &next_hop {
                policy.set_next_hop(name, next_hop_expanded.as_deref(), mx_dnssec.0)?;
            }
            policy.set_address_dnssec(address_dnssec.0);
            policy.set_tlsa(tlsa_base.as_deref(), tlsa_dnssec.0)?;
            for record in &tlsa {
                policy.add_tlsa(record.0.clone());
            }
            policy.allow_common_names(allow_common_names);
            policy.set_insecure_any_name(insecure_any_name);
            policy.set_sts(sts.map(|policy| policy.0.clone()));
            match tls_optional {
                TlsOptional::No => {}
                TlsOptional::Recipient => drop(policy.set_tls_optional(false)),
                TlsOptional::Always => drop(policy.set_tls_optional(true)),
            }
            Ok(Policy(policy))
        };
        build().map_err(|error: smtptls::Error| raised(&error))
    }

    /// The level that was asked for. What it comes to is effective_level.
    #[getter]
    fn level(&self) -> Enum<Level> {
        Enum(self.0.level())
    }

    /// The level that holds for a session with this host, by all that is known before it begins; raises Error
    /// if there is to be none. The same error comes from start.
    #[pyo3(signature = (host, /))]
    fn effective_level(&self, host: &str) -> PyResult<Enum<Level>> {
        self.0.effective_level(host).map(Enum).map_err(|error| raised(&error))
    }
}
