//! Config: who we are and whom we trust. Finished when it is made, but for key pairs and ticket keys.

use std::path::PathBuf;

use pyo3::prelude::*;
use smtptls::{Auth, ConfigBuilder, Error, TlsVersion};

use crate::arguments::{Data, Names, Text};
use crate::enums::Enum;
use crate::errors::{argument, raised};
use crate::policy::Policy;
use crate::results::Texts;

/// Who we are and whom we trust.
///
/// It is good for any number of sessions in any thread and, after fork, in any child. Files are read when
/// it is made, so a daemon makes it before it gives up its privileges. Only key pairs and ticket keys
/// change afterwards, atomically and from any thread: by reload_keypairs, replace_keypairs and
/// set_ticket_keys. Sessions that have begun go on with what they had.
///
/// hostname: the name that this host gives in EHLO and in its greeting; the default is the system's.
/// min_version: the oldest version of TLS to accept.
/// max_version: the newest version of TLS to use.
/// ciphers: the cipher suites to use, in order of preference: names of IANA or of OpenSSL, as a sequence,
/// or as one str with colons, commas or blanks between. What names none that the library has is in
/// unknown_ciphers; a list without one that it has is an error. The default are all, and they are all good
/// (RFC 9325 section 4.2). A list is for the versions of TLS that it names suites of: one without a suite
/// of TLS 1.3 leaves those as they are, as with OpenSSL. To do without a version there are min_version and
/// max_version.
/// groups: the key exchange groups to use, in order of preference, given as ciphers are; what names none is
/// in unknown_groups. A client's key share is for the first of them. By default a client begins with x25519
/// and a server with X25519MLKEM768: a key share of the latter makes a ClientHello longer than a segment,
/// which some SMTP servers cannot take, and at level may mail would then go in plaintext. A server that
/// prefers X25519MLKEM768 gets it, by a HelloRetryRequest or from a client that begins with it.
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
/// service: the name of the service. A ticket of one service is nothing to another, so that a client that
/// is let in by the one is not by the other.
/// ticket_keys: keys for a server's session tickets, 32 random bytes each: the first seals new tickets, and
/// each opens those that it has sealed. All processes and hosts with the same keys resume each other's
/// sessions. Without keys, the default, nothing is resumed.
/// ticket_lifetime: for how many seconds a ticket is good; a week at most (RFC 8446 section 4.6.1).
/// tickets: how many tickets a server gives after a handshake of TLS 1.3: 0, 1 or 2.
///
/// Raises ConfigError if something cannot be read or does not fit together.
#[pyclass(frozen, module = "smtptls", weakref)]
pub struct Config {
    pub frozen: smtptls::Config,
    unknown_ciphers: Vec<String>,
    unknown_groups: Vec<String>,
}

#[pymethods]
impl Config {
    #[new]
    #[pyo3(signature = (*, hostname=None, min_version=Enum(TlsVersion::Tls12),
                        max_version=Enum(TlsVersion::Tls13), ciphers=None, groups=None, system_roots=false,
                        roots=vec![], roots_pem=vec![], roots_dirs=vec![], crls=vec![], crls_pem=vec![],
                        keypairs=vec![], keypairs_pem=vec![], client_sessions=0,
                        service="smtp", ticket_keys=vec![], ticket_lifetime=3600, tickets=1))]
    #[allow(clippy::too_many_arguments)] // They are keywords in Python.
    fn new(
        py: Python<'_>,
        hostname: Option<String>,
        min_version: Enum<TlsVersion>,
        max_version: Enum<TlsVersion>,
        ciphers: Option<Names>,
        groups: Option<Names>,
        system_roots: bool,
        roots: Vec<PathBuf>,
        roots_pem: Vec<Text>,
        roots_dirs: Vec<PathBuf>,
        crls: Vec<PathBuf>,
        crls_pem: Vec<Text>,
        keypairs: Vec<(PathBuf, PathBuf)>,
        keypairs_pem: Vec<(Text, Text)>,
        client_sessions: isize,
        service: &str,
        ticket_keys: Vec<Data>,
        ticket_lifetime: isize,
        tickets: isize,
    ) -> PyResult<Self> {
        let sessions = count(client_sessions, "client_sessions is a count of servers")?;
        let lifetime = count(ticket_lifetime, "ticket_lifetime is a count of seconds")?;
        let tickets = count(tickets, "tickets is a count of tickets")?;
        let build = || {
            let mut config = smtptls::Config::builder();
            config.min_version(min_version.0).max_version(max_version.0);
            config.client_sessions(sessions).service(service).tickets(tickets);
            config.ticket_lifetime(u32::try_from(lifetime).unwrap_or(u32::MAX));
            config.ticket_keys(&slices(&ticket_keys))?;
            let unknown_ciphers = ciphers.map(|list| config.ciphers(&list.0)).transpose()?;
            let unknown_groups = groups.map(|list| config.groups(&list.0)).transpose()?;
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
            add_keypairs(&mut config, &keypairs, &keypairs_pem)?;
            Ok(Config {
                frozen: config.freeze()?,
                unknown_ciphers: unknown_ciphers.unwrap_or_default(),
                unknown_groups: unknown_groups.unwrap_or_default(),
            })
        };
        // Reading a trust store takes milliseconds, in which other threads may run.
        py.detach(build).map_err(|error: Error| raised(&error))
    }

    /// The name that this host gives in EHLO and in its greeting.
    #[getter]
    fn hostname(&self) -> &str {
        self.frozen.hostname()
    }

    /// Whether it has a key pair, without which no server session offers STARTTLS.
    #[getter]
    fn has_keypair(&self) -> bool {
        self.frozen.has_keypair()
    }

    /// The words in ciphers that name no cipher suite which the library has, escaped.
    #[getter]
    fn unknown_ciphers(&self) -> Texts<'_> {
        self.unknown_ciphers.as_slice().into()
    }

    /// The words in groups that name no key exchange group which the library has, escaped.
    #[getter]
    fn unknown_groups(&self) -> Texts<'_> {
        self.unknown_groups.as_slice().into()
    }

    /// Reads the files of its key pairs again; pairs from memory stay. All are checked first, and if one is
    /// bad the old ones go on serving, and the error says which file and why.
    fn reload_keypairs(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.frozen.reload_keypairs()).map_err(|error| raised(&error))
    }

    /// Takes these key pairs in place of its own: for a program that cannot read its files any more, or whose
    /// names have changed. All are checked first. A bad one, or none at all, raises ConfigError and changes
    /// nothing.
    #[pyo3(signature = (*, keypairs=vec![], keypairs_pem=vec![]))]
    fn replace_keypairs(
        &self,
        py: Python<'_>,
        keypairs: Vec<(PathBuf, PathBuf)>,
        keypairs_pem: Vec<(Text, Text)>,
    ) -> PyResult<()> {
        let replace = || {
            let mut pairs = smtptls::Config::builder();
            add_keypairs(&mut pairs, &keypairs, &keypairs_pem)?;
            self.frozen.replace_keypairs(&pairs)
        };
        py.detach(replace).map_err(|error| raised(&error))
    }

    /// The keys for session tickets from now on, in place of ticket_keys. To rotate, put the new key first
    /// and leave the old ones behind it for as long as their tickets are good. No key at all: no tickets, and
    /// none is taken.
    #[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
    fn set_ticket_keys(&self, keys: Vec<Data>) -> PyResult<()> {
        self.frozen.set_ticket_keys(&slices(&keys)).map_err(|error| raised(&error))
    }

    /// What a session under this policy would make of a server host that shows these certificates, in DER and
    /// its own first: how it is authenticated, or it raises the error. No handshake, so nothing says that the
    /// server has the key: for tools that explain, and for policies that are weighed after a session.
    #[allow(clippy::needless_pass_by_value)]
    fn judge(&self, py: Python<'_>, policy: &Policy, host: &str, chain: Vec<Data>) -> PyResult<Enum<Auth>> {
        let judged = py.detach(|| self.frozen.judge(&policy.0, host, &slices(&chain)));
        judged.map(Enum).map_err(|error| raised(&error))
    }
}

fn add_keypairs(
    config: &mut ConfigBuilder,
    files: &[(PathBuf, PathBuf)],
    texts: &[(Text, Text)],
) -> Result<(), Error> {
    for (chain, key) in files {
        config.add_keypair_file(chain, key)?;
    }
    for (chain, key) in texts {
        config.add_keypair_pem(chain, key)?;
    }
    Ok(())
}

fn slices(data: &[Data]) -> Vec<&[u8]> {
    data.iter().map(|data| &**data).collect()
}

fn count(number: isize, what: &str) -> PyResult<usize> {
    usize::try_from(number).map_err(|_| argument(what))
}
