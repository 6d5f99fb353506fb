//! A configuration's key pairs, and what a server asks of clients.

use std::path::Path;

use super::{ClientAuth, ConfigBuilder};
use crate::keypair::{KeyPair, Source};
use crate::name::Name;
use crate::pem::Pem;
use crate::{Code, Error};

impl ConfigBuilder {
    /// Adds a certificate chain and its private key from PEM files; they may be the same file, in any order.
    ///
    /// A server chooses by the name that the client asks for, and by the kinds of key that it can verify; the
    /// first key pair serves clients that name none or an unknown one. A client shows the first key pair that
    /// the server can verify, and only if the server asks for one.
    pub fn add_keypair_file(
        &mut self,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<&mut Self, Error> {
        self.add_source(Source::files(chain.as_ref(), key.as_ref()))
    }

    /// As `add_keypair_file`, in place of the pairs whose key is of the same kind: an OpenSSL context has one pair for
    /// each kind, and programs renew it so.
    pub fn replace_keypair_file(
        &mut self,
        chain: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<&mut Self, Error> {
        self.add_keypair_file(chain, key)?;
        if let Some((source, new)) = self.key_pairs.pop() {
            let kinds: Vec<_> = new.iter().map(KeyPair::algorithm).collect();
            self.key_pairs.retain(|(_, old)| !old.iter().any(|old| kinds.contains(&old.algorithm())));
            self.key_pairs.push((source, new));
        }
        Ok(self)
    }

    /// As `add_keypair_file`, from PEM text.
    pub fn add_keypair_pem(&mut self, chain: &[u8], key: &[u8]) -> Result<&mut Self, Error> {
        let pair = KeyPair::from_pem(&Pem::from_memory(chain), &Pem::from_memory(key), &self.provider);
        let pair = self.kept(pair)?;
        self.add_source(Source::memory(pair))
    }

    /// Adds all key pairs of one PEM file, such as Postfix's chain files: each key before its chain, or each behind it.
    pub fn add_keypairs_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        self.add_source(Source::mixed(path.as_ref()))
    }

    /// Adds a certificate chain from a PEM file whose private key is elsewhere, in another process or in a device. With
    /// it `start` says `WantSignature`, and the program has the key sign. As a client such a configuration resumes no
    /// sessions.
    pub fn add_certificate_file(&mut self, chain: impl AsRef<Path>) -> Result<&mut Self, Error> {
        self.add_source(Source::certificates(chain.as_ref()))
    }

    /// As `add_certificate_file`, from PEM text.
    pub fn add_certificate_pem(&mut self, chain: &[u8]) -> Result<&mut Self, Error> {
        let pair = KeyPair::without_key(&Pem::from_memory(chain));
        let pair = self.kept(pair)?;
        self.add_source(Source::memory(pair))
    }

    /// Whether the private key of any pair is elsewhere.
    pub(super) fn has_key_elsewhere(&self) -> bool {
        self.key_pairs.iter().flat_map(|(_, pairs)| pairs).any(|pair| pair.elsewhere)
    }

    /// Uses the key pair that was added last for this name too: a host name, or `.example.com` for any below that
    /// domain.
    pub fn add_keypair_name(&mut self, name: &str) -> Result<&mut Self, Error> {
        let name = Name::parse(name).map(|name| name.text().to_ascii_lowercase());
        let name = name.map_err(|failure| Error::local(failure.code, failure.message));
        let name = self.kept(name)?;
        self.change_last(|source| source.names.push(name))
    }

    /// Staples an OCSP response to the key pair that was added last: a file in DER, which is read now and again
    /// with the pair. What it says, and for how long, is for clients to judge.
    pub fn set_ocsp_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let path = path.as_ref().to_path_buf();
        self.change_last(|source| source.ocsp = Some(path))
    }

    fn add_source(&mut self, source: Source) -> Result<&mut Self, Error> {
        let pairs = source.load(&self.provider);
        let pairs = self.kept(pairs)?;
        self.key_pairs.push((source, pairs));
        Ok(self)
    }

    fn change_last(&mut self, change: impl FnOnce(&mut Source)) -> Result<&mut Self, Error> {
        let Some((mut source, _)) = self.key_pairs.pop() else {
            return self.keep(Err(Error::local(Code::State, "there is no key pair yet")));
        };
        change(&mut source);
        self.add_source(source)
    }

    /// Whether a server asks for client certificates, and whether it names the authorities that it trusts: some
    /// clients choose by these names, and the list can be long.
    pub fn client_auth(&mut self, mode: ClientAuth, names: bool) -> &mut Self {
        (self.client_auth, self.client_auth_names) = (mode, names);
        self
    }
}
