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
            return match server_name(domain) {
                Some(ServerName::DnsName(name)) => {
                    Ok(Name::Below(format!(".{}", name.as_ref().to_ascii_lowercase())))
                }
                _ => Err(unfit()),
            };
        }
        server_name(text).map(Name::Exact).ok_or_else(unfit)
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

    /// The name in a message.
    pub fn text(&self) -> String {
        match self {
            Name::Exact(name) => name.to_str().into_owned(),
            Name::Below(domain) => domain.clone(),
        }
    }
}

/// A host name or an IP address, without the dot of the root and the brackets of SMTP's address literals.
pub(crate) fn server_name(text: &str) -> Option<ServerName<'static>> {
    let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = literal {
        let address = address.strip_prefix("IPv6:").unwrap_or(address);
        return address.parse::<std::net::IpAddr>().ok().map(|address| ServerName::IpAddress(address.into()));
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    ServerName::try_from(text.to_string()).ok()
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
    }
}
