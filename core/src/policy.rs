//! What is demanded of a destination, as the program sets it. What it comes to stands in `demand`.

use pki_types::ServerName;

use crate::error::escape;
use crate::fingerprint::Fingerprint;
use crate::name::{Name, server_name};
use crate::outcome::Stage;
use crate::sts::StsPolicy;
use crate::tlsa::Tlsa;
use crate::{Code, Dnssec, Error, FingerprintOf, Level, Role};

/// The name that a client sends in the TLS handshake (RFC 6066 section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sni {
    /// The host that the session is made for.
    #[default]
    Host,
    /// None.
    None,
    /// This one.
    Name(ServerName<'static>),
}

/// The domain that mail is for.
#[derive(Clone, Debug, Default)]
pub(crate) struct NextHop {
    pub name: Option<Name>,
    /// Where its CNAMEs lead, if that is another name.
    pub expanded: Option<Name>,
    pub mx: Dnssec,
}

/// The message says `TLS-Required: No` (RFC 8689 section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TlsOptional {
    /// It does not.
    #[default]
    No,
    /// It does, and outweighs what the recipient's domain publishes.
    Recipient,
    /// It does, and outweighs the local level too.
    Always,
}

/// What is demanded of a destination. Cheap to make and to copy.
///
/// For a client the level says what is demanded of the server. For a server it says whether STARTTLS is
/// offered (`May`, the default) or required (`Encrypt`), or not offered (`None`).
///
/// **A publicly referenced server must not require STARTTLS for local mail** (RFC 3207 section 4): on port 25
/// of an MX host use `Encrypt` only where every sender is known.
///
/// # What the DNS says
///
/// The library asks no DNS. At the levels `Dane` and `DaneOnly` the program gives what its resolver found, and
/// whether that was validated: the MX records with `set_next_hop`, the addresses with `set_address_dnssec`, the
/// TLSA records with `set_tlsa` and `add_tlsa`. At other levels all of this is left unused.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) level: Level,
    pub(crate) names: Vec<Name>,
    pub(crate) sni: Sni,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) next_hop: NextHop,
    pub(crate) address: Dnssec,
    pub(crate) tlsa_base: Option<Name>,
    pub(crate) tlsa_status: Dnssec,
    pub(crate) tlsa: Vec<Tlsa>,
    pub(crate) common_names: bool,
    pub(crate) any_name: bool,
    pub(crate) sts: Option<StsPolicy>,
    pub(crate) tls_optional: TlsOptional,
}

impl Policy {
    /// A policy of this level, for the name that the session is made for.
    pub fn new(level: Level) -> Policy {
        Policy {
            level,
            names: Vec::new(),
            sni: Sni::Host,
            fingerprints: Vec::new(),
            next_hop: NextHop::default(),
            address: Dnssec::None,
            tlsa_base: None,
            tlsa_status: Dnssec::None,
            tlsa: Vec::new(),
            common_names: false,
            any_name: false,
            sts: None,
            tls_optional: TlsOptional::No,
        }
    }

    /// The level that was asked for. What it comes to is `effective_level`.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Accepts a certificate for this name: a host name (also with letters that are not ASCII), an IP address, or
    /// `.example.com` for any host below that domain. Names that were added take the place of the session's
    /// host, and at `Secure` of the next hop's. At the DANE levels they are an error: there the DNS names them.
    pub fn add_name(&mut self, name: &str) -> Result<&mut Policy, Error> {
        self.names.push(named(name)?);
        Ok(self)
    }

    /// Sends this name in SNI, or with `None` no name. Otherwise the session's host is sent. Where DANE is in
    /// force it is always the TLSA base domain (RFC 7672 section 8.1).
    pub fn set_sni(&mut self, name: Option<&str>) -> Result<&mut Policy, Error> {
        self.sni = match name {
            None => Sni::None,
            Some(name) => match server_name(name) {
                Some(name @ ServerName::DnsName(_)) => Sni::Name(name),
                _ => {
                    let name = escape(name.as_bytes());
                    let message = format!("\"{name}\" cannot stand in SNI: it is no host name");
                    return Err(Error::local(Code::Argument, message));
                }
            },
        };
        Ok(self)
    }

    /// Accepts a certificate by its fingerprint, at level `Fingerprint`: `sha256:` and hex digits of either case,
    /// with or without colons. Without an algorithm, as in Postfix's tables, the length tells it.
    pub fn add_fingerprint(&mut self, of: FingerprintOf, digest: &str) -> Result<&mut Policy, Error> {
        self.fingerprints.push(Fingerprint::parse(of, digest)?);
        Ok(self)
    }

    /// The domain that mail is for, where its CNAMEs lead if that is another name, and whether its MX records
    /// are secure; `Dnssec::None` if no MX lookup was made, as for a configured relay. At `Secure` a certificate
    /// for the domain, or for any host below it, is accepted; at the DANE levels one for the domain, if its MX
    /// records are secure (RFC 7672 section 3.2.2).
    pub fn set_next_hop(
        &mut self,
        name: &str,
        expanded: Option<&str>,
        mx: Dnssec,
    ) -> Result<&mut Policy, Error> {
        let expanded = expanded.map(named).transpose()?;
        self.next_hop = NextHop { name: Some(named(name)?), expanded, mx };
        Ok(self)
    }

    /// Whether the server's addresses are secure. One of A and AAAA is enough for that.
    pub fn set_address_dnssec(&mut self, status: Dnssec) -> &mut Policy {
        self.address = status;
        self
    }

    /// Whether the answer to the lookup of TLSA records is secure, and for which base domain it was made (RFC 7672
    /// section 2.2.3); `None` is the session's host. The DANE levels need this, but where the lookup cannot be
    /// made: below insecure MX or address records, and for an IP address.
    pub fn set_tlsa(&mut self, base: Option<&str>, status: Dnssec) -> Result<&mut Policy, Error> {
        self.tlsa_base = base.map(named).transpose()?;
        self.tlsa_status = status;
        Ok(self)
    }

    /// Adds a TLSA record, as the DNS has it. One that is unusable counts all the same: it says that the
    /// domain has TLS. `Tlsa::unusable` tells.
    pub fn add_tlsa(&mut self, record: Tlsa) -> &mut Policy {
        self.tlsa.push(record);
        self
    }

    /// Under DANE-TA also looks at the common name, of a certificate that has no subjectAltName (RFC 7672 section
    /// 3.2.3). Off by default, and never done otherwise (RFC 9525 section 2).
    pub fn allow_common_names(&mut self, allow: bool) -> &mut Policy {
        self.common_names = allow;
        self
    }

    /// At `Verify` and `Secure` takes a trusted certificate for whatever name, as Exim does with `tls_verify_hosts`
    /// alone, and OpenSSL where no name is set. It lets in whoever has any certificate of any trusted authority, so it
    /// is for authorities that serve nobody else. Such a peer is not `secured`. Where MTA-STS is in force the name
    /// counts all the same.
    pub fn set_insecure_any_name(&mut self, any: bool) -> &mut Policy {
        self.any_name = any;
        self
    }

    /// The domain's MTA-STS policy (RFC 8461), if there is one that is current. It raises the levels `May` and
    /// `Encrypt`, and `Dane` where the domain has no secure TLSA records; what DANE says it never outweighs.
    pub fn set_sts(&mut self, policy: Option<StsPolicy>) -> &mut Policy {
        self.sts = policy;
        self
    }

    /// The message says `TLS-Required: No` (RFC 8689 section 3): TLS is tried, and DANE and MTA-STS do not count.
    /// With `always`, nor does a stricter local level. Leave it out for a message that came with REQUIRETLS.
    pub fn set_tls_optional(&mut self, always: bool) -> &mut Policy {
        self.tls_optional = if always { TlsOptional::Always } else { TlsOptional::Recipient };
        self
    }

    /// The level that holds for a session with this host, by all that is known before it begins; or why there is
    /// to be none. The same error comes from `start`.
    pub fn effective_level(&self, host: &str) -> Result<Level, Error> {
        let demand = crate::demand::demand(self, host);
        demand.map(|demand| demand.level).map_err(|failure| local(failure, self.level))
    }
}

impl Default for Policy {
    /// What a client should demand of a server that it was told to use: `Verify`.
    fn default() -> Policy {
        Policy::new(Level::Verify)
    }
}

fn named(name: &str) -> Result<Name, Error> {
    Name::parse(name).map_err(|failure| local(failure, Level::Verify))
}

fn local(failure: crate::error::Failure, level: Level) -> Error {
    failure.judge(Role::Client, level, Stage::Local, false)
}
