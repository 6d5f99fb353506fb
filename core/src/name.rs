//! Names of hosts: what a certificate is checked against, and what goes into SNI.

use pki_types::ServerName;
use webpki::EndEntityCert;

use crate::Code;
use crate::error::{Failure, escape};

/// A name that a certificate may be for (RFC 9525 section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// This host, or this IP address.
    Exact(ServerName<'static>),
    /// Any host below this domain; it begins with a dot and is in lower case.
    Below(String),
}

impl Name {
    /// Reads a host name, an IP address with or without brackets, or `.example.com`.
    pub fn parse(text: &str) -> Result<Name, Failure> {
        let unfit = || {
            let message = format!("\"{}\" is neither a host name nor an IP address", escape(text.as_bytes()));
            Failure::new(Code::Argument, message)
        };
        if let Some(domain) = text.strip_prefix('.') {
            return server_name(domain).and_then(|name| Name::Exact(name).below()).ok_or_else(unfit);
        }
        server_name(text).map(Name::Exact).ok_or_else(unfit)
    }

    /// Any host below this one; an address has none.
    pub fn below(&self) -> Option<Name> {
        match self {
            Name::Exact(ServerName::DnsName(name)) => {
                Some(Name::Below(format!(".{}", name.as_ref().to_ascii_lowercase())))
            }
            _ => None,
        }
    }

    /// Whether the certificate is for this name: by subjectAltName only, with a wildcard as the whole first
    /// label (RFC 9525 section 6.3); an IP address by iPAddress only.
    pub fn is_in(&self, certificate: &EndEntityCert<'_>) -> bool {
        match self {
            Name::Exact(name) => certificate.verify_is_valid_for_subject_name(name).is_ok(),
            Name::Below(domain) => certificate.valid_dns_names().any(|presented| {
                let presented = presented.trim_end_matches('.').to_ascii_lowercase();
                presented.strip_suffix(domain.as_str()).is_some_and(|host| !host.is_empty())
            }),
        }
    }

    /// Whether a common name is this name, by the same rules; what is no host name is none.
    pub fn is_common_name(&self, presented: &str) -> bool {
        let presented = presented.strip_suffix('.').unwrap_or(presented).to_ascii_lowercase();
        let (wild, host) = match presented.strip_prefix("*.") {
            Some(parent) => (true, parent),
            None => (false, presented.as_str()),
        };
        if !matches!(server_name(host), Some(ServerName::DnsName(_))) {
            return false;
        }
        match self {
            Name::Exact(ServerName::DnsName(name)) => {
                let name = name.as_ref().to_ascii_lowercase();
                if wild {
                    name.split_once('.').is_some_and(|(_, parent)| parent == host)
                } else {
                    name == host
                }
            }
            Name::Exact(_) => false,
            Name::Below(domain) => {
                presented.strip_suffix(domain.as_str()).is_some_and(|host| !host.is_empty())
            }
        }
    }

    /// The name in a message.
    pub fn text(&self) -> String {
        match self {
            Name::Exact(name) => name.to_str().into_owned(),
            Name::Below(domain) => domain.clone(),
        }
    }
}

/// A host name or an IP address, without the dot of the root and the brackets of SMTP's address literals. A name
/// that is not ASCII is made of A-labels, as certificates and the DNS have it (RFC 9525 section 6.3, RFC 5891).
pub(crate) fn server_name(text: &str) -> Option<ServerName<'static>> {
    // The DNS has no longer ones; in UTF-8 a label may take a few times as much.
    if text.len() > 4 * 255 {
        return None;
    }
    let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = literal {
        let address = address.strip_prefix("IPv6:").unwrap_or(address);
        return address.parse::<std::net::IpAddr>().ok().map(|address| ServerName::IpAddress(address.into()));
    }
    if !text.is_ascii() {
        let uts46 = idna::uts46::Uts46::new();
        let (deny, hyphens) = (idna::AsciiDenyList::STD3, idna::uts46::Hyphens::CheckFirstLast);
        let ascii =
            uts46.to_ascii(text.as_bytes(), deny, hyphens, idna::uts46::DnsLength::VerifyAllowRootDot);
        let name = ServerName::try_from(ascii.ok()?.trim_end_matches('.').to_string()).ok()?;
        // An address in full-width digits would be a trap.
        return Some(name).filter(|name| matches!(name, ServerName::DnsName(_)));
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    ServerName::try_from(text.to_string()).ok()
}

/// A name for where rustls wants one and none is to be sent: an address does not stand in SNI.
pub(crate) fn nobody() -> ServerName<'static> {
    ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R9525-6-2: an IP address is told from a name.
    #[test]
    fn names_are_read() {
        for (text, want) in [
            ("mx.example.com", Some("mx.example.com")),
            ("mx.example.com.", Some("mx.example.com")),
            ("localhost", Some("localhost")),
            ("192.0.2.1", Some("192.0.2.1")),
            ("[192.0.2.1]", Some("192.0.2.1")),
            ("[IPv6:2001:db8::1]", Some("2001:db8::1")),
            (".Example.COM", Some(".example.com")),
            ("b\u{fc}cher.example", Some("xn--bcher-kva.example")),
            ("B\u{dc}CHER.example.", Some("xn--bcher-kva.example")),
            (".b\u{fc}cher.example", Some(".xn--bcher-kva.example")),
            ("mx\u{3002}example", Some("mx.example")),
            ("\u{ff11}.\u{ff12}.\u{ff13}.\u{ff14}", None),
            ("-\u{fc}.example", None),
            ("\u{fc} \u{fc}.example", None),
            ("", None),
            (".", None),
            ("..", None),
            (".192.0.2.1", None),
            ("[mx]", None),
            ("mx example", None),
            ("mx\0example", None),
            ("/run/lmtp", None),
        ] {
            assert_eq!(Name::parse(text).ok().map(|name| name.text()).as_deref(), want, "{text}");
        }
        assert!(Name::parse(&"\u{fc}".repeat(1 << 20)).is_err());
    }

    /// R7672-3.2.3-2, R7672-3.2.3-3: the opt-in keeps to the rules of names.
    #[test]
    fn common_names() {
        for (name, presented, fits) in [
            ("mx.example.com", "MX.example.com", true),
            ("mx.example.com", "mx.example.com.", true),
            ("mx.example.com", "*.example.com", true),
            ("a.mx.example.com", "*.example.com", false),
            ("example.com", "*.example.com", false),
            ("mx.example.com", "m*.example.com", false),
            ("mx.example.com", "*", false),
            ("mx.example.com", "mx.example.com smtp", false),
            ("192.0.2.1", "192.0.2.1", false),
            (".example.com", "mx.example.com", true),
            (".example.com", "*.example.com", true),
            (".example.com", "example.com", false),
        ] {
            assert_eq!(Name::parse(name).unwrap().is_common_name(presented), fits, "{name} {presented}");
        }
    }
}
