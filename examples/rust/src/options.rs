//! The flags of `send` and `upgrade`, and the configuration and policy that they stand for.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use smtptls::{Code, Config, Dnssec, Error, FingerprintOf, Level, Policy, Protocol, StsPolicy, escape};

/// How to call the program.
pub fn usage(program: &str) -> String {
    let levels: Vec<_> = Level::ALL.iter().map(|level| level.name()).collect();
    format!(
        "usage: {program} --host H --port N --from A --to B [--name NAME]\n\
         \x20      [--level LEVEL] [--match NAME]... [--sni NAME|none] [--timeout S]\n\
         \x20      [--ca FILE|DIRECTORY|system] [--crl FILE]... [--cert FILE --key FILE]\n\
         \x20      [--fingerprint DIGEST]... [--key-fingerprint DIGEST]...\n\
         \x20      [--next-hop NAME] [--next-hop-expanded NAME] [--mx-dnssec STATUS]\n\
         \x20      [--address-dnssec STATUS] [--tlsa-dnssec STATUS] [--tlsa-base NAME]\n\
         \x20      [--tlsa RECORD]... [--common-names] [--sts FILE]\n\
         \x20      [--user U --password P] [--lmtp] < message\n\
         levels: {}\n\
         statuses: {}",
        levels.join(", "),
        statuses()
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
    /// The name of the server: the policy is about it.
    pub name: String,
    /// What is demanded of the server.
    level: Level,
    /// Whom to trust: a file or a directory, or the system's store.
    ca: Option<String>,
    /// Files of certificate revocation lists.
    crls: Vec<String>,
    /// The files of a certificate chain and its key, for servers that ask for a certificate.
    pair: Option<(String, String)>,
    /// The limit of time, for each stage and for the whole.
    pub timeout: Duration,
    /// User and password.
    pub login: Option<(String, String)>,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    known: Known,
}

/// What is known of the destination, as the flags have it. The library reads it when the policy is made.
#[derive(Default)]
struct Known {
    /// The name to send in SNI: `--name` unless it is given here; `none` for no name.
    sni: Option<String>,
    /// The names that the server's certificate may be for, in place of `--name`.
    names: Vec<String>,
    fingerprints: Vec<(FingerprintOf, String)>,
    next_hop: Option<String>,
    next_hop_expanded: Option<String>,
    mx_dnssec: Option<String>,
    address_dnssec: Option<String>,
    tlsa_dnssec: Option<String>,
    tlsa_base: Option<String>,
    tlsa: Vec<String>,
    common_names: bool,
    /// The file with the text of an MTA-STS policy.
    sts: Option<String>,
}

impl Options {
    /// Reads the flags, or says what is wrong with them.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let (mut host, mut port, mut from, mut to) = (None, None, None, None);
        let (mut name, mut ca, mut user, mut password) = (None, None, None, None);
        let (mut cert, mut key) = (None, None);
        let (mut level, mut timeout) = (Level::Verify, Duration::from_secs(30));
        let (mut protocol, mut crls, mut known) = (Protocol::Smtp, Vec::new(), Known::default());

        let mut arguments = arguments.map(|argument| {
            argument.into_string().map_err(|other| format!("{} is not UTF-8", other.to_string_lossy()))
        });
        while let Some(flag) = arguments.next().transpose()? {
            let mut value = || arguments.next().unwrap_or_else(|| Err(format!("{flag} needs a value")));
            match flag.as_str() {
                "--host" => host = Some(value()?),
                "--port" => port = Some(value()?),
                "--from" => from = Some(value()?),
                "--to" => to = Some(value()?),
                "--name" => name = Some(value()?),
                "--ca" => ca = Some(value()?),
                "--crl" => crls.push(value()?),
                "--cert" => cert = Some(value()?),
                "--key" => key = Some(value()?),
                "--user" => user = Some(value()?),
                "--password" => password = Some(value()?),
                "--lmtp" => protocol = Protocol::Lmtp,
                "--timeout" => timeout = seconds(&value()?)?,
                "--level" => {
                    let text = value()?;
                    level = Level::from_name(&text).ok_or(format!("there is no level {text}"))?;
                }
                "--sni" => known.sni = Some(value()?),
                "--match" => known.names.push(value()?),
                "--fingerprint" => known.fingerprints.push((FingerprintOf::Certificate, value()?)),
                "--key-fingerprint" => known.fingerprints.push((FingerprintOf::PublicKey, value()?)),
                "--next-hop" => known.next_hop = Some(value()?),
                "--next-hop-expanded" => known.next_hop_expanded = Some(value()?),
                "--mx-dnssec" => known.mx_dnssec = Some(value()?),
                "--address-dnssec" => known.address_dnssec = Some(value()?),
                "--tlsa-dnssec" => known.tlsa_dnssec = Some(value()?),
                "--tlsa-base" => known.tlsa_base = Some(value()?),
                "--tlsa" => known.tlsa.push(value()?),
                "--common-names" => known.common_names = true,
                "--sts" => known.sts = Some(value()?),
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
        let pair = match (cert, key) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert, key)),
            _ => return Err("--cert and --key go together".to_string()),
        };
        // A password is for a server that has proved who it is, and for no other; `dane` can come to `may`.
        if login.is_some() && (!level.authenticates() || level == Level::Dane) {
            return Err("--user needs a level that authenticates".to_string());
        }
        Ok(Options {
            port: port.parse().ok().filter(|port| *port != 0).ok_or(format!("{port} is no port"))?,
            from: address(from.ok_or("--from is missing")?)?,
            to: address(to.ok_or("--to is missing")?)?,
            name: name.unwrap_or_else(|| host.clone()),
            ca: ca.filter(|ca| ca != "system"),
            host,
            level,
            crls,
            pair,
            timeout,
            login,
            protocol,
            known,
        })
    }

    /// Whom we trust. A mail program makes this once, when it starts.
    pub fn config(&self) -> Result<Config, Error> {
        let mut builder = Config::builder();
        let by_anchors = matches!(self.level, Level::Verify | Level::Secure) || self.known.sts.is_some();
        match &self.ca {
            Some(directory) if Path::new(directory).is_dir() => {
                builder.add_roots_directory(directory)?;
            }
            Some(file) => {
                builder.add_roots_file(file)?;
            }
            // The others need no trust anchors, so a system without a trust store can have them too.
            None if by_anchors => {
                builder.add_system_roots()?;
            }
            None => {}
        }
        for file in &self.crls {
            builder.add_crl_file(file)?;
        }
        if let Some((cert, key)) = &self.pair {
            builder.add_keypair_file(cert, key)?;
        }
        builder.freeze()
    }

    /// What we demand of this server. A mail program makes one for each destination.
    pub fn policy(&self) -> Result<Policy, Error> {
        let (mut policy, known) = (Policy::new(self.level), &self.known);
        for name in &known.names {
            policy.add_name(name)?;
        }
        match known.sni.as_deref() {
            None => {}
            Some("none") => drop(policy.set_sni(None)?),
            name => drop(policy.set_sni(name)?),
        }
        for (of, digest) in &known.fingerprints {
            policy.add_fingerprint(*of, digest)?;
        }
        let (expanded, mx) = (known.next_hop_expanded.as_deref(), status(known.mx_dnssec.as_deref())?);
        match &known.next_hop {
            Some(name) => drop(policy.set_next_hop(name, expanded, mx)?),
            None if expanded.is_some() || mx != Dnssec::None => {
                let message = "--next-hop-expanded and --mx-dnssec are about a --next-hop, and there is none";
                return Err(Error::local(Code::Argument, message));
            }
            None => {}
        }
        policy.set_address_dnssec(status(known.address_dnssec.as_deref())?);
        policy.set_tlsa(known.tlsa_base.as_deref(), status(known.tlsa_dnssec.as_deref())?)?;
        for record in &known.tlsa {
            policy.add_tlsa(record.parse()?);
        }
        policy.allow_common_names(known.common_names);
        policy.set_sts(known.sts.as_deref().map(sts).transpose()?);
        Ok(policy)
    }
}

/// A status of DNSSEC by its name; if none is given, no lookup was made.
fn status(name: Option<&str>) -> Result<Dnssec, Error> {
    let Some(name) = name else { return Ok(Dnssec::None) };
    Dnssec::from_name(name).ok_or_else(|| {
        let message =
            format!("\"{}\" is no status of DNSSEC; there are {}", escape(name.as_bytes()), statuses());
        Error::local(Code::Argument, message)
    })
}

fn statuses() -> String {
    Dnssec::ALL.iter().map(|status| status.name()).collect::<Vec<_>>().join(", ")
}

/// The MTA-STS policy of a file.
fn sts(path: &str) -> Result<StsPolicy, Error> {
    // One octet more than a policy can have, so that the library sees that there is more.
    const MOST: u64 = 64 * 1024 + 1;
    let mut text = Vec::new();
    let result = File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut text));
    result.map_err(|error| {
        Error::local_io(Code::File, format!("cannot read {}", escape(path.as_bytes())), &error)
    })?;
    StsPolicy::parse(&text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str]) -> Result<Options, String> {
        let needed = ["--host", "mx.test", "--port", "25", "--from", "a@b.test", "--to", "c@d.test"];
        Options::parse(needed.iter().chain(flags).map(OsString::from))
    }

    #[test]
    fn a_password_is_for_a_server_that_proves_who_it_is() {
        for level in Level::ALL {
            let parsed = parse(&["--level", level.name(), "--user", "u", "--password", "p"]);
            let fit = matches!(level, Level::Fingerprint | Level::DaneOnly | Level::Verify | Level::Secure);
            assert_eq!(parsed.is_ok(), fit, "{}", level.name());
        }
    }

    #[test]
    fn what_is_known_of_the_destination_is_read_by_the_library() {
        let faults: &[(&[&str], Code)] = &[
            (&["--mx-dnssec", "maybe"], Code::Argument),
            (&["--mx-dnssec", "secure"], Code::Argument),
            (&["--next-hop-expanded", "b.test"], Code::Argument),
            (&["--tlsa-dnssec", ""], Code::Argument),
            (&["--tlsa", "3 1 1 zz"], Code::Argument),
            (&["--fingerprint", "sha256:00"], Code::Argument),
            (&["--match", "two words"], Code::Argument),
            (&["--sts", "/dev/null"], Code::StsInvalid),
            (&["--sts", "/dev/zero"], Code::StsInvalid),
            (&["--sts", "/dev/null/none"], Code::File),
        ];
        for (flags, code) in faults {
            assert_eq!(parse(flags).unwrap().policy().unwrap_err().code(), *code, "{flags:?}");
        }
        let zeros = format!("3 1 1 {}", "0".repeat(64));
        let flags =
            ["--level", "dane", "--tlsa-dnssec", "secure", "--tlsa", &zeros, "--tlsa-base", "mx.test"];
        let policy = parse(&flags).unwrap().policy().unwrap();
        assert_eq!(policy.effective_level("mx.test"), Ok(Level::Dane));
    }
}
