//! Config: who we are and whom we trust. Finished when it is made.

use std::path::PathBuf;

use pyo3::prelude::*;
use smtptls::TlsVersion;

use crate::arguments::Text;
use crate::enums::Enum;
use crate::errors::{argument, raised};

/// Who we are and whom we trust.
///
/// It is read-only, and good for any number of sessions in any thread and, after fork, in any child. Files
/// are read when it is made, so a daemon makes it before it gives up its privileges.
///
/// hostname: the name that this host gives in EHLO and in its greeting; the default is the system's.
/// min_version: the oldest version of TLS to accept.
/// system_roots: trust the authorities that the system trusts.
/// roots: paths of PEM files; every certificate in them is trusted.
/// roots_pem: the same as PEM text.
/// roots_dirs: directories whose PEM files are read for the same, as "openssl rehash" fills one.
/// crls: paths of certificate revocation lists, in PEM or DER. They hold at the levels that go by trust
/// anchors, for every certificate of a chain whose issuer has a list here; a list that has expired makes such
/// a certificate fail. DANE and fingerprints know no revocation.
/// crls_pem: the same from memory.
/// keypairs: pairs of paths, a certificate chain and its private key in PEM; they may be the same file.
/// keypairs_pem: the same as PEM text.
/// client_sessions: keep the sessions of clients with this many servers, in memory, so that they can be
/// resumed; a resumed one is judged anew, by the policy of its time. The default keeps none.
///
/// Raises ConfigError if something cannot be read or does not fit together.
#[pyclass(frozen, module = "smtptls", weakref)]
pub struct Config(pub smtptls::Config);

#[pymethods]
impl Config {
    #[new]
    #[pyo3(signature = (*, hostname=None, min_version=Enum(TlsVersion::Tls12), system_roots=false, roots=vec![],
                        roots_pem=vec![], roots_dirs=vec![], crls=vec![], crls_pem=vec![], keypairs=vec![],
                        keypairs_pem=vec![], client_sessions=0))]
    #[allow(clippy::too_many_arguments)] // They are keywords in Python.
    fn new(
        py: Python<'_>,
        hostname: Option<String>,
        min_version: Enum<TlsVersion>,
        system_roots: bool,
        roots: Vec<PathBuf>,
        roots_pem: Vec<Text>,
        roots_dirs: Vec<PathBuf>,
        crls: Vec<PathBuf>,
        crls_pem: Vec<Text>,
        keypairs: Vec<(PathBuf, PathBuf)>,
        keypairs_pem: Vec<(Text, Text)>,
        client_sessions: isize,
    ) -> PyResult<Self> {
        let sessions = usize::try_from(client_sessions);
        let sessions = sessions.map_err(|_| argument("client_sessions is a count of servers"))?;
        let build = || {
            let mut config = smtptls::Config::builder();
            config.min_version(min_version.0);
            config.client_sessions(sessions);
            if let Some(name) = hostname {
                config.hostname(&name)?;
            }
            if system_roots {
                config.add_system_roots()?;
            }
            for path in &roots {
                config.add_roots_file(path)?;
            }
            for pem in &roots_pem {
                config.add_roots_pem(pem)?;
            }
            for path in &roots_dirs {
                config.add_roots_directory(path)?;
            }
            for path in &crls {
                config.add_crl_file(path)?;
            }
            for pem in &crls_pem {
                config.add_crl_pem(pem)?;
            }
            for (chain, key) in &keypairs {
                config.add_keypair_file(chain, key)?;
            }
            for (chain, key) in &keypairs_pem {
                config.add_keypair_pem(chain, key)?;
            }
            config.freeze()
        };
        // Reading a trust store takes milliseconds, in which other threads may run.
        py.detach(build).map(Config).map_err(|error| raised(&error))
    }

    /// The name that this host gives in EHLO and in its greeting.
    #[getter]
    fn hostname(&self) -> &str {
        self.0.hostname()
    }

    /// Whether it has a key pair, without which no server session offers STARTTLS.
    #[getter]
    fn has_keypair(&self) -> bool {
        self.0.has_keypair()
    }
}
