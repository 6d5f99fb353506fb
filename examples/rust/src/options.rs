//! The flags of `send` and `upgrade`, and the configuration and policy that they stand for.

use std::ffi::OsString;
use std::time::Duration;

use smtptls::{Config, Error, Level, Policy, Protocol};

/// How to call the program.
pub fn usage(program: &str) -> String {
    format!(
        "usage: {program} --host H --port N --from A --to B [--name NAME]\n\
         \x20      [--level may|encrypt|verify] [--ca FILE|system] [--sni NAME|none] [--timeout S]\n\
         \x20      [--user U --password P] [--lmtp] < message"
    )
}

/// What the flags say.
pub struct Options {
    /// Where to connect to.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// The sender's address; empty for a bounce.
    pub from: String,
    /// The recipient's address.
    pub to: String,
    /// The name that the server's certificate must be for.
    pub name: String,
    /// What is demanded of the server.
    pub level: Level,
    /// Whom to trust: a file, or the system's store.
    ca: Option<String>,
    /// The name to send in SNI: `--name` unless it is given here; `none` for no name.
    sni: Option<String>,
    /// The limit of time, for each stage and for the whole.
    pub timeout: Duration,
    /// User and password.
    pub login: Option<(String, String)>,
    /// SMTP or LMTP.
    pub protocol: Protocol,
}

impl Options {
    /// Reads the flags, or says what is wrong with them.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let (mut host, mut port, mut from, mut to) = (None, None, None, None);
        let (mut name, mut ca, mut sni, mut user, mut password) = (None, None, None, None, None);
        let (mut level, mut timeout) = (Level::Verify, Duration::from_secs(30));
        let mut protocol = Protocol::Smtp;

        let mut arguments = arguments.map(|argument| {
            argument.into_string().map_err(|other| format!("{} is not UTF-8", other.to_string_lossy()))
        });
        while let Some(flag) = arguments.next().transpose()? {
            let mut value =
                || arguments.next().unwrap_or_else(|| Err(format!("{flag} needs a value"))).map(Some);
            match flag.as_str() {
                "--host" => host = value()?,
                "--port" => port = value()?,
                "--from" => from = value()?,
                "--to" => to = value()?,
                "--name" => name = value()?,
                "--ca" => ca = value()?,
                "--sni" => sni = value()?,
                "--user" => user = value()?,
                "--password" => password = value()?,
                "--lmtp" => protocol = Protocol::Lmtp,
                "--timeout" => timeout = seconds(&value()?.unwrap_or_default())?,
                "--level" => {
                    let text = value()?.unwrap_or_default();
                    level = Level::from_name(&text).ok_or(format!("there is no level {text}"))?;
                }
                _ => return Err(format!("there is no flag {flag}")),
            }
        }

        let host = host.ok_or("--host is missing")?;
        let port = port.ok_or("--port is missing")?;
        let login = match (user, password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user, password)),
            _ => return Err("--user and --password go together".to_string()),
        };
        // A password is for a server that has proved who it is, and for no other.
        if login.is_some() && level != Level::Verify {
            return Err("--user needs --level verify".to_string());
        }
        Ok(Options {
            port: port.parse().ok().filter(|port| *port != 0).ok_or(format!("{port} is no port"))?,
            from: address(from.ok_or("--from is missing")?)?,
            to: address(to.ok_or("--to is missing")?)?,
            name: name.unwrap_or_else(|| host.clone()),
            ca: ca.filter(|ca| ca != "system"),
            host,
            level,
            sni,
            timeout,
            login,
            protocol,
        })
    }

    /// Whom we trust. A mail program makes this once, when it starts.
    pub fn config(&self) -> Result<Config, Error> {
        let mut builder = Config::builder();
        match &self.ca {
            Some(file) => {
                builder.add_roots_file(file)?;
            }
            // The other levels judge no certificate, so a system without a trust store can have them too.
            None if self.level == Level::Verify => {
                builder.add_system_roots()?;
            }
            None => {}
        }
        builder.freeze()
    }

    /// What we demand of this server. A mail program makes one for each destination.
    pub fn policy(&self) -> Result<Policy, Error> {
        let mut policy = Policy::new(self.level);
        match self.sni.as_deref() {
            None => {}
            Some("none") => {
                policy.set_sni(None)?;
            }
            name => {
                policy.set_sni(name)?;
            }
        }
        Ok(policy)
    }
}

/// Seconds, with or without a fraction.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let limit = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    limit.filter(|limit| !limit.is_zero()).ok_or(format!("{text} is no number of seconds"))
}

/// An address becomes part of a command, so it must not be able to end the command.
fn address(text: String) -> Result<String, String> {
    let fit = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic() && !b"<>".contains(&byte));
    if fit { Ok(text) } else { Err(format!("{text:?} is no address")) }
}
