//! What is demanded of a destination: level, names, SNI.

use pki_types::ServerName;

use crate::action::Stage;
use crate::error::Failure;
use crate::name::{Name, server_name};
use crate::{Code, Error, Level, Role};

/// The name that a client sends in the TLS handshake (RFC 6066 section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Sni {
    /// The host that the session is made for.
    #[default]
    Host,
    /// None.
    None,
    /// This one.
    Name(ServerName<'static>),
}

/// What is demanded of a destination. Cheap to make and to copy.
///
/// For a client the level says what is demanded of the server. For a server it says whether STARTTLS is
/// offered (`May`, the default) or required (`Encrypt`).
///
/// **A publicly referenced server must not require STARTTLS for local mail** (RFC 3207 section 4): on port 25
/// of an MX host use `Encrypt` only where every sender is known.
#[derive(Clone, Debug)]
pub struct Policy {
    level: Level,
    names: Vec<Name>,
    sni: Sni,
}

impl Policy {
    /// A policy of this level, for the name that the session is made for.
    pub fn new(level: Level) -> Policy {
        Policy { level, names: Vec::new(), sni: Sni::Host }
    }

    /// The level that was asked for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Accepts a certificate for this name: a host name, an IP address, or `.example.com` for any host below
    /// that domain. Names that were added take the place of the session's host.
    pub fn add_name(&mut self, name: &str) -> Result<&mut Policy, Error> {
        let name = Name::parse(name).map_err(local)?;
        self.names.push(name);
        Ok(self)
    }

    /// Sends this name in SNI, or with `None` no name. Otherwise the session's host is sent.
    pub fn set_sni(&mut self, name: Option<&str>) -> Result<&mut Policy, Error> {
        self.sni = match name {
            None => Sni::None,
            Some(name) => match server_name(name) {
                Some(name @ ServerName::DnsName(_)) => Sni::Name(name),
                _ => {
                    let name = crate::error::escape(name.as_bytes());
                    let message = format!("\"{name}\" cannot stand in SNI: it is no host name");
                    return Err(Error::local(Code::Argument, message));
                }
            },
        };
        Ok(self)
    }

    /// The names that the certificate may be for.
    pub(crate) fn names_for(&self, host: &str) -> Result<Vec<Name>, Failure> {
        match self.names.is_empty() {
            true => Name::parse(host).map(|name| vec![name]),
            false => Ok(self.names.clone()),
        }
    }

    /// The name to send in SNI. A host that cannot be in SNI, such as an IP address, sends none.
    pub(crate) fn sni_for(&self, host: &str) -> Option<ServerName<'static>> {
        match &self.sni {
            Sni::None => None,
            Sni::Name(name) => Some(name.clone()),
            Sni::Host => server_name(host).filter(|name| matches!(name, ServerName::DnsName(_))),
        }
    }
}

impl Default for Policy {
    /// What a client should demand of a server that it was told to use: `Verify`.
    fn default() -> Policy {
        Policy::new(Level::Verify)
    }
}

fn local(failure: Failure) -> Error {
    failure.judge(Role::Client, Level::Verify, Stage::Local, false)
}
