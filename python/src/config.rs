//! Config: who we are and whom we trust. Finished when it is made, but for key pairs and ticket keys.

use std::path::PathBuf;

use pyo3::prelude::*;
use smtptls::{Auth, ClientAuth, Error, TlsVersion};

use crate::arguments::{ByName, Data, Names, Text};
use crate::enums::Enum;
use crate::errors::{argument, raised};
use crate::keypair::{KeyPairLike, Pairs};
use crate::policy::Policy;
use crate::results::Texts;
use crate::sts::Time;

/// Who we are and whom we trust.
///
/// It is good for any number of sessions in any thread and, after fork, in any child. Files are read when
/// it is made, so a daemon makes it before it gives up its privileges. Only key pairs and ticket keys
/// change afterwards, atomically and from any thread: by reload_keypairs, replace_keypairs,
/// reload_ticket_keys and set_ticket_keys. Sessions that have begun go on with what they had.
///
/// hostname: the name that this host gives in EHLO and in its greeting; the default is the system's.
/// min_version: the oldest version of TLS to accept.
/// max_version: the newest version of TLS to use.
/// ciphers: the cipher suites to use, in order of preference: names of IANA or of OpenSSL, as a sequence,
/// or as one str with colons, commas or blanks between. What names none that the library has is in
/// unknown_ciphers; a list without one that it has is an error. The default are all, and they are all good
/// (RFC 9325 section 4.2); AES-128-GCM comes first. A server goes by its own order. A list is for the
/// versions of TLS that it names suites of: one without a suite of TLS 1.3 leaves those as they are, as
/// with OpenSSL. To do without a version there are min_version and max_version.
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
/// keypairs: pairs of paths, a certificate chain and its private key in PEM, which may be the same file; or
/// KeyPair, for one with further names or a staple. A server chooses by the name that the client asks for,
/// and by the kinds of key that it can verify; the first key pair serves clients that name none or an unknown
/// one. A client shows the first key pair that the server can verify, and only if the server asks for one.
/// keypairs_files: paths of PEM files with any number of key pairs each, such as Postfix's chain files: each
/// key before its chain, or each behind it. They come after keypairs.
/// keypairs_pem: pairs of PEM texts, a certificate chain and its private key. They come last.
/// client_auth: whether a server asks for client certificates, by ClientAuth or its name: none, which is the
/// default; ask takes any certificate or none, and Info says what it is worth; with require start fails
/// without one that is trusted, or whose fingerprint the policy has, and TLS is up then: refuse answers 554.
/// They are judged after the handshake, and a session never fails in it for one.
/// client_auth_names: name the authorities that it trusts: some clients choose by these names, and the list
/// can be long.
/// alpn: the application protocols (RFC 7301) to offer, or as a server to take. None by default: no protocol
/// is registered for SMTP, and a server without any ignores what clients offer. A server that has some is
/// strict, against attacks that pass off one protocol as another: a client that offers ALPN must offer
/// exactly one protocol, and one of these; a client that offers none is served.
/// client_sessions: keep the sessions of clients with this many servers, in memory, so that they can be
/// resumed; a resumed one is judged anew, by the policy of its time. The default keeps none.
/// service: the name of the service. A ticket of one service is nothing to another, so that a client that
/// is let in by the one is not by the other.
/// ticket_keys: keys for a server's session tickets, 32 random bytes each: the first seals new tickets, and
/// each opens those that it has sealed. All processes and hosts with the same keys resume each other's
/// sessions. Without keys, the default, nothing is resumed.
/// ticket_key_file: the same from a file that holds the current key, the next and the previous one; it goes
/// without ticket_keys. "python -m smtptls.tickets" makes and rotates it, and reload_ticket_keys reads it
/// again.
/// ticket_lifetime: for how many seconds a ticket is good; a week at most (RFC 8446 section 4.6.1).
/// tickets: how many tickets a server gives after a handshake of TLS 1.3: 0, 1 or 2.
///
/// Raises ConfigError if something cannot be read or does not fit together.
#[pyclass(frozen, module = "smtptls", weakref)]
pub struct Config {
    pub frozen: smtptls::Config,
    pub unknown_ciphers: Vec<String>,
    pub unknown_groups: Vec<String>,
}

#[pymethods]
impl Config {
    #[new]
    #[pyo3(signature = (*, hostname=None, min_version=Enum(TlsVersion::Tls12),
                        max_version=Enum(TlsVersion::Tls13), ciphers=None, groups=None, system_roots=false,
                        roots=vec![], roots_pem=vec![], roots_dirs=vec![], crls=vec![], crls_pem=vec![],
                        keypairs=vec![], keypairs_files=vec![], keypairs_pem=vec![],
                        client_auth=ByName(ClientAuth::None), client_auth_names=false, alpn=vec![],
                        client_sessions=0, service="smtp", ticket_keys=vec![], ticket_key_file=None,
                        ticket_lifetime=3600, tickets=1))]
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
        keypairs: Vec<KeyPairLike>,
        keypairs_files: Vec<PathBuf>,
        keypairs_pem: Vec<(Text, Text)>,
        client_auth: ByName<ClientAuth>,
        client_auth_names: bool,
        alpn: Vec<Text>,
        client_sessions: isize,
        service: &str,
        ticket_keys: Vec<Data>,
        ticket_key_file: Option<PathBuf>,
        ticket_lifetime: isize,
        tickets: isize,
    ) -> PyResult<Self> {
        let sessions = count(client_sessions, "client_sessions is a count of servers")?;
        let lifetime = count(ticket_lifetime, "ticket_lifetime is a count of seconds")?;
        let tickets = count(tickets, "tickets is a count of tickets")?;
        if ticket_key_file.is_some() && !ticket_keys.is_empty() {
            return Err(argument("ticket_keys and ticket_key_file are two ways to say the same: give one"));
        }
        let pairs = Pairs { files: keypairs, mixed: keypairs_files, texts: keypairs_pem };
        let build = || {
            let mut config = smtptls::Config::builder();
            config.min_version(min_version.0).max_version(max_version.0);
            config.client_sessions(sessions).service(service).tickets(tickets);
            config.ticket_lifetime(u32::try_from(lifetime).unwrap_or(u32::MAX));
            config.client_auth(client_auth.0, client_auth_names);
            config.alpn(&alpn.iter().map(|protocol| &**protocol).collect::<Vec<_>>())?;
            config.ticket_keys(&slices(&ticket_keys))?;
            if let Some(path) = &ticket_key_file {
                config.ticket_key_file(path)?;
            }
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
            pairs.add_to(&mut config)?;
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
    #[pyo3(signature = (*, keypairs=vec![], keypairs_files=vec![], keypairs_pem=vec![]))]
    fn replace_keypairs(
        &self,
        py: Python<'_>,
        keypairs: Vec<KeyPairLike>,
        keypairs_files: Vec<PathBuf>,
        keypairs_pem: Vec<(Text, Text)>,
    ) -> PyResult<()> {
        let pairs = Pairs { files: keypairs, mixed: keypairs_files, texts: keypairs_pem };
        let replace = || {
            let mut config = smtptls::Config::builder();
            pairs.add_to(&mut config)?;
            self.frozen.replace_keypairs(&config)
        };
        py.detach(replace).map_err(|error| raised(&error))
    }

    /// Reads ticket_key_file again: a program does so now and then, and after a rotation. On an error the old
    /// keys stay.
    fn reload_ticket_keys(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.frozen.reload_ticket_keys()).map_err(|error| raised(&error))
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
    ///
    /// now: another time than the present, in seconds since 1970: the dates of certificates and revocation
    /// lists count as they would then.
    #[pyo3(signature = (policy, host, chain, *, now=None))]
    #[allow(clippy::needless_pass_by_value)]
    fn judge(
        &self,
        py: Python<'_>,
        policy: &Policy,
        host: &str,
        chain: Vec<Data>,
        now: Option<Time>,
    ) -> PyResult<Enum<Auth>> {
        let judged = py.detach(|| match now {
            None => self.frozen.judge(&policy.0, host, &slices(&chain)),
            Some(now) => self.frozen.judge_at(&policy.0, host, &slices(&chain), now.0),
        });
        judged.map(Enum).map_err(|error| raised(&error))
    }
}

fn slices(data: &[Data]) -> Vec<&[u8]> {
    data.iter().map(|data| &**data).collect()
}

fn count(number: isize, what: &str) -> PyResult<usize> {
    usize::try_from(number).map_err(|_| argument(what))
}
