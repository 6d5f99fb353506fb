//! The flags of `serve`, and the configuration that they stand for.

use std::time::Duration;

use smtptls::{ClientAuth, Config, Error, Level, Protocol};
use smtptls_examples::options::seconds;

pub const USAGE: &str =
    "usage: serve (--cert FILE --key FILE | --chain FILE)... [--port N] [--store DIR] [--lmtp]
       [--timeout S] [--require-tls [--exempt-more]] [--greeting TEXT] [--not-now] [--discard]
       [--ocsp FILE] [--keypair-name NAME]... [--alpn NAME]...
       [--client-auth none|ask|require] [--client-auth-names] [--client-ca FILE]
       [--ticket-keys FILE] [--tickets 0|1|2] [--ticket-lifetime S] [--service NAME]
SIGHUP: reads key pairs and ticket keys again";

/// What the flags say.
pub struct Options {
    pub port: u16,
    pub level: Level,
    pub store: Option<String>,
    pub protocol: Protocol,
    /// The longest silence.
    pub timeout: Duration,
    pub client_auth: ClientAuth,
    pub dialogue: Switches,
    /// A file of ticket keys, to be read again.
    pub ticket_keys: Option<String>,
    pairs: Pairs,
    client_auth_names: bool,
    client_ca: Option<String>,
    alpn: Vec<String>,
    tickets: Option<usize>,
    ticket_lifetime: Option<u32>,
    service: Option<String>,
}

/// The switches of the dialogue.
#[derive(Default)]
pub struct Switches {
    pub greeting: Option<String>,
    pub not_now: bool,
    pub discard: bool,
    pub exempt_more: bool,
}

/// The files of key pairs.
#[derive(Default)]
struct Pairs {
    /// A chain and its key.
    pair: Option<(String, String)>,
    /// What belongs to that pair.
    ocsp: Option<String>,
    names: Vec<String>,
    /// Files with any number of pairs.
    mixed: Vec<String>,
}

impl Options {
    /// Reads the flags, or says what is wrong with them.
    pub fn parse() -> Result<Options, String> {
        let (mut cert, mut key, mut pairs, mut dialogue) =
            (None, None, Pairs::default(), Switches::default());
        let (mut port, mut level, mut protocol, mut store) = (0, Level::May, Protocol::Smtp, None);
        let (mut timeout, mut client_auth) = (Duration::from_secs(30), ClientAuth::None);
        let (mut client_auth_names, mut client_ca, mut alpn) = (false, None, Vec::new());
        let (mut ticket_keys, mut tickets, mut ticket_lifetime, mut service) = (None, None, None, None);
        let mut arguments = std::env::args_os().skip(1).map(|argument| {
            argument.into_string().map_err(|other| format!("{} is not UTF-8", other.to_string_lossy()))
        });
        while let Some(flag) = arguments.next().transpose()? {
            let mut value = || arguments.next().unwrap_or_else(|| Err(format!("{flag} needs a value")));
            match flag.as_str() {
                "--cert" => cert = Some(value()?),
                "--key" => key = Some(value()?),
                "--chain" => pairs.mixed.push(value()?),
                "--ocsp" => pairs.ocsp = Some(value()?),
                "--keypair-name" => pairs.names.push(value()?),
                "--port" => port = value()?.parse().map_err(|_| "--port needs a number")?,
                "--require-tls" => level = Level::Encrypt,
                "--store" => store = Some(value()?),
                "--lmtp" => protocol = Protocol::Lmtp,
                "--timeout" => timeout = seconds(&value()?)?,
                "--client-auth" => client_auth = way(&value()?)?,
                "--client-auth-names" => client_auth_names = true,
                "--client-ca" => client_ca = Some(value()?),
                "--alpn" => alpn.push(value()?),
                "--ticket-keys" => ticket_keys = Some(value()?),
                "--tickets" => {
                    let count = value()?.parse().ok().filter(|count| *count <= 2);
                    tickets = Some(count.ok_or("--tickets needs 0, 1 or 2")?);
                }
                "--ticket-lifetime" => {
                    let lifetime = value()?.parse();
                    ticket_lifetime =
                        Some(lifetime.map_err(|_| "--ticket-lifetime needs a number of seconds")?);
                }
                "--service" => service = Some(value()?),
                "--greeting" => dialogue.greeting = Some(value()?),
                "--not-now" => dialogue.not_now = true,
                "--discard" => dialogue.discard = true,
                "--exempt-more" => dialogue.exempt_more = true,
                _ => return Err(format!("there is no flag {flag}")),
            }
        }
        pairs.pair = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) if !pairs.mixed.is_empty() => None,
            (None, _) => return Err("--cert is missing".to_string()),
            (_, None) => return Err("--key is missing".to_string()),
        };
        if pairs.pair.is_none() && (pairs.ocsp.is_some() || !pairs.names.is_empty()) {
            return Err("--ocsp and --keypair-name are for the pair of --cert".to_string());
        }
        if dialogue.exempt_more && level != Level::Encrypt {
            return Err("--exempt-more goes with --require-tls".to_string());
        }
        Ok(Options {
            port,
            level,
            store,
            protocol,
            timeout,
            client_auth,
            dialogue,
            ticket_keys,
            pairs,
            client_auth_names,
            client_ca,
            alpn,
            tickets,
            ticket_lifetime,
            service,
        })
    }

    /// Who we are and whom we trust. Made once; every session of every thread uses it.
    pub fn config(&self) -> Result<Config, Error> {
        let mut builder = Config::builder();
        if let Some((cert, key)) = &self.pairs.pair {
            builder.add_keypair_file(cert, key)?;
            for name in &self.pairs.names {
                builder.add_keypair_name(name)?;
            }
            if let Some(file) = &self.pairs.ocsp {
                builder.set_ocsp_file(file)?;
            }
        }
        for file in &self.pairs.mixed {
            builder.add_keypairs_file(file)?;
        }
        if let Some(file) = &self.client_ca {
            builder.add_roots_file(file)?;
        }
        builder.client_auth(self.client_auth, self.client_auth_names);
        builder.alpn(&self.alpn.iter().map(String::as_bytes).collect::<Vec<_>>())?;
        if let Some(file) = &self.ticket_keys {
            builder.ticket_key_file(file)?;
        }
        if let Some(count) = self.tickets {
            builder.tickets(count);
        }
        if let Some(lifetime) = self.ticket_lifetime {
            builder.ticket_lifetime(lifetime);
        }
        if let Some(name) = &self.service {
            builder.service(name);
        }
        builder.freeze()
    }
}

fn way(name: &str) -> Result<ClientAuth, String> {
    let found = ClientAuth::ALL.iter().copied().find(|way| way.name() == name);
    found.ok_or(format!("--client-auth is none, ask or require, and not {name}"))
}
