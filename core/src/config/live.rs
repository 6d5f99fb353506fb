//! What changes on a live configuration, atomically and from any thread: key pairs and ticket keys. Sessions that have
//! begun go on with what they had.

use super::{Config, ConfigBuilder};
use crate::{Code, Error};

impl Config {
    /// Whether it has a key pair, without which no server session offers STARTTLS.
    pub fn has_keypair(&self) -> bool {
        !self.0.resolver.is_empty()
    }

    /// Reads the files of its key pairs again; pairs from memory stay. All are checked first, and if one is bad the
    /// old ones go on serving, and the error says which file and why.
    pub fn reload_keypairs(&self) -> Result<(), Error> {
        let sources = self.0.resolver.sources();
        let pairs =
            sources.iter().map(|source| source.load(&self.0.provider)).collect::<Result<Vec<_>, _>>()?;
        self.0.resolver.replace(sources, pairs.concat());
        Ok(())
    }

    /// Takes the key pairs of another configuration that is being made, in place of its own: for a program that
    /// cannot read files any more, or whose names have changed. A builder that a failed call has spoilt, or that has
    /// none, changes nothing.
    pub fn replace_keypairs(&self, from: &ConfigBuilder) -> Result<(), Error> {
        if let Some(error) = &from.spoilt {
            return Err(error.clone());
        }
        if from.key_pairs.is_empty() {
            return Err(Error::local(Code::NoKeypair, "there is no key pair to take"));
        }
        if from.has_key_elsewhere() && !self.0.signing {
            let message = "the private key of a new pair is elsewhere, which only a configuration can take that was made \
                           with such a pair";
            return Err(Error::local(Code::State, message));
        }
        let (sources, pairs) = from.sources_and_pairs();
        self.0.resolver.replace(sources, pairs);
        Ok(())
    }

    /// Reads the file of ticket keys again: a program does so now and then, and after a rotation. On an error the old
    /// keys stay.
    pub fn reload_ticket_keys(&self) -> Result<(), Error> {
        let Some(path) = &self.0.ticket_file else {
            return Err(Error::local(Code::State, "the configuration has no file of ticket keys"));
        };
        let keys = crate::ticket_file::read(path)?;
        self.0.tickets.set_keys(&keys.iter().map(|key| key.as_slice()).collect::<Vec<_>>())
    }

    /// The keys for session tickets from now on: see `ConfigBuilder::ticket_keys`. To rotate, put the new key first
    /// and leave the old ones behind it for as long as their tickets are good. No key at all: no tickets, and none
    /// is taken.
    pub fn set_ticket_keys(&self, keys: &[&[u8]]) -> Result<(), Error> {
        self.0.tickets.set_keys(keys)
    }
}
