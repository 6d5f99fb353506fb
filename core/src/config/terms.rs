//! On what terms a configuration does TLS: versions, suites, groups, protocols, sessions that are kept, tickets.

use std::path::Path;

use zeroize::Zeroizing;

use super::{ConfigBuilder, TlsVersion};
use crate::error::escape;
use crate::provider::all_groups;
use crate::suites::{groups_of, suites_of};
use crate::{Code, Error};

impl ConfigBuilder {
    /// The oldest version of TLS to accept.
    pub fn min_version(&mut self, version: TlsVersion) -> &mut Self {
        self.min_version = version;
        self
    }

    /// The newest version of TLS to use.
    pub fn max_version(&mut self, version: TlsVersion) -> &mut Self {
        self.max_version = version;
        self
    }

    /// The cipher suites to use, in order of preference: names of IANA or of OpenSSL, with colons, commas or blanks
    /// between. Gives the words that name none which the library has; a list without one that it has is an error.
    /// The default are all, and they are all good (RFC 9325 section 4.2); AES-128-GCM comes first. A server goes by its
    /// own order.
    ///
    /// A list is for the versions of TLS that it names suites of: one without a suite of TLS 1.3 leaves those as they
    /// are, as with OpenSSL. To do without a version there are `min_version` and `max_version`.
    pub fn ciphers(&mut self, list: &str) -> Result<Vec<String>, Error> {
        let (chosen, unknown) = suites_of(list, &self.provider.cipher_suites);
        let found = some(chosen, "cipher suite", list);
        self.suites = Some(self.kept(found)?);
        Ok(unknown)
    }

    /// The key exchange groups to use, in order of preference: names of IANA or of OpenSSL, with colons, commas or
    /// blanks between. Gives the words that name none which the library has; a list without one that it has is an
    /// error. A client's key share is for the first of them.
    ///
    /// By default a client begins with x25519 and a server with X25519MLKEM768: a key share of the latter makes a
    /// ClientHello longer than a segment, which some SMTP servers cannot take, and at level `may` mail would then go
    /// in plaintext. A server that prefers X25519MLKEM768 gets it, by a HelloRetryRequest or from a client that
    /// begins with it.
    pub fn groups(&mut self, list: &str) -> Result<Vec<String>, Error> {
        let (chosen, unknown) = groups_of(list, all_groups());
        let found = some(chosen, "key exchange group", list);
        self.groups = Some(self.kept(found)?);
        Ok(unknown)
    }

    /// The application protocols (ALPN, RFC 7301) to offer, or as a server to take. None by default: no protocol is
    /// registered for SMTP, and a server without any ignores what clients offer.
    ///
    /// A server that has some is as strict as Exim, against attacks that pass off one protocol as another: a
    /// client that offers ALPN must offer exactly one protocol, and one of these; a client that offers none is served.
    pub fn alpn(&mut self, protocols: &[&[u8]]) -> Result<&mut Self, Error> {
        let fit = protocols.iter().all(|protocol| (1..=255).contains(&protocol.len()));
        self.alpn = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let result = match fit {
            true => Ok(()),
            false => Err(Error::local(Code::Argument, "an application protocol has 1 to 255 octets")),
        };
        self.keep(result)
    }

    /// As a server takes the first protocol of its own that a client offers among others, as RFC 7301 section 3.2 has
    /// it: for a library that serves more than mail.
    pub fn alpn_of_many(&mut self, many: bool) -> &mut Self {
        self.alpn_of_many = many;
        self
    }

    /// Keeps the sessions of clients with this many servers, up to 65,536, in memory, so that they can be resumed; 0,
    /// the default, keeps none. They are kept by host and SNI, and a resumed one is judged anew: by the policy
    /// of its time, from the chain that the first handshake saw. One that is refused is forgotten.
    pub fn client_sessions(&mut self, servers: usize) -> &mut Self {
        self.client_sessions = servers;
        self
    }

    /// Keys for a server's session tickets, 32 random octets each: the first seals new tickets, and each opens those
    /// that it has sealed. All processes and hosts with the same keys resume each other's sessions. Without keys, the
    /// default, nothing is resumed. They change while sessions run: `Config::set_ticket_keys`.
    pub fn ticket_keys(&mut self, keys: &[&[u8]]) -> Result<&mut Self, Error> {
        self.ticket_keys = keys.iter().map(|key| Zeroizing::new(key.to_vec())).collect();
        let result = self.sealed_tickets().map(drop);
        self.keep(result)
    }

    /// The same, from a file that holds the current key, the next and the previous one: `python -m smtptls.tickets`
    /// makes and rotates it. `Config::reload_ticket_keys` reads it again.
    pub fn ticket_key_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        self.ticket_file = Some(path.as_ref().to_path_buf());
        let keys = crate::ticket_file::read(path.as_ref());
        self.ticket_keys = self.kept(keys)?;
        Ok(self)
    }

    /// For how many seconds a ticket is good; an hour by default, and a week at most (RFC 8446 section 4.6.1).
    pub fn ticket_lifetime(&mut self, seconds: u32) -> &mut Self {
        self.ticket_lifetime = seconds.min(7 * 86_400);
        self
    }

    /// How many tickets a server gives after a handshake of TLS 1.3: 0, 1 or 2; one by default.
    pub fn tickets(&mut self, count: usize) -> &mut Self {
        self.tickets = count.min(2);
        self
    }

    /// The name of the service, `smtp` by default. A ticket of one service is nothing to another, so that a client
    /// that is let in by the one is not by the other.
    pub fn service(&mut self, name: &str) -> &mut Self {
        self.service = name.to_string();
        self
    }
}

/// What was chosen, if that is anything.
fn some<T>(chosen: Vec<T>, what: &str, list: &str) -> Result<Vec<T>, Error> {
    match chosen.is_empty() {
        false => Ok(chosen),
        true => {
            let message = format!("no {what} that the library has is in \"{}\"", escape(list.as_bytes()));
            Err(Error::local(Code::Argument, message))
        }
    }
}
