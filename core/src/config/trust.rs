//! A configuration's trust: anchors and revocation lists.

use std::path::Path;

use super::ConfigBuilder;
use crate::Error;
use crate::pem::Pem;

impl ConfigBuilder {
    /// Trusts the authorities that the system trusts.
    pub fn add_system_roots(&mut self) -> Result<&mut Self, Error> {
        let result = self.roots.add_system();
        self.keep(result)
    }

    /// Trusts every certificate in a PEM file.
    pub fn add_roots_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let result = Pem::from_file(path.as_ref()).and_then(|pem| self.roots.add_pem(&pem));
        self.keep(result)
    }

    /// Trusts every certificate in PEM text.
    pub fn add_roots_pem(&mut self, pem: &[u8]) -> Result<&mut Self, Error> {
        let result = self.roots.add_pem(&Pem::from_memory(pem));
        self.keep(result)
    }

    /// Trusts the certificates in DER, one behind the other.
    pub fn add_roots_der(&mut self, der: &[u8]) -> Result<&mut Self, Error> {
        let result = self.roots.add_der(der);
        self.keep(result)
    }

    /// Trusts every certificate in the PEM files of a directory, as `openssl rehash` fills one. They are read
    /// now, and not when a server is judged, so that the program may give the directory up.
    pub fn add_roots_directory(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let result = self.roots.add_directory(path.as_ref());
        self.keep(result)
    }

    /// Adds certificate revocation lists from a file, in PEM or DER. They hold at the levels that go by trust
    /// anchors, for every certificate of a chain whose issuer has a list here; a list that has expired makes such
    /// a certificate fail. DANE and fingerprints know no revocation.
    pub fn add_crl_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let result = Pem::from_file(path.as_ref()).and_then(|pem| self.revocation.add(&pem));
        self.keep(result)
    }

    /// As `add_crl_file`, from memory.
    pub fn add_crl_pem(&mut self, pem: &[u8]) -> Result<&mut Self, Error> {
        let result = self.revocation.add(&Pem::from_memory(pem));
        self.keep(result)
    }
}
