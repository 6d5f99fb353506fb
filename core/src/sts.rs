//! MTA-STS (RFC 8461): the TXT record and the policy text, read and judged. Fetching and keeping them is the
//! program's.

use std::fmt;
use std::str::FromStr;

use pki_types::ServerName;

use crate::error::{Failure, escape};
use crate::name::server_name;
use crate::outcome::Stage;
use crate::{Code, Error, Level, Role};

/// The largest policy text: 64 kilobytes (RFC 8461 section 3.3).
const LARGEST: usize = 64 * 1024;

/// The longest time for which a policy may be kept, in seconds (RFC 8461 section 3.2): about a year.
const MAX_AGE: u64 = 31_557_600;

fn invalid(message: impl Into<String>) -> Error {
    Failure::new(Code::StsInvalid, message).judge(Role::Client, Level::Verify, Stage::Local, false)
}

/// The TXT record of `_mta-sts.<domain>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StsRecord {
    id: String,
}

impl StsRecord {
    /// The one record among the TXT records of the name, each with its strings joined (RFC 8461 section 3.1).
    /// Nothing if none of them is for MTA-STS. Several, or a malformed one, are an error and mean the same to a
    /// sender: no policy is discovered, and a kept one stays valid.
    pub fn find<'a>(records: impl IntoIterator<Item = &'a str>) -> Result<Option<StsRecord>, Error> {
        let mut found = records.into_iter().filter(|text| {
            let rest = text.strip_prefix("v=STSv1").map(|rest| rest.trim_start_matches([' ', '\t']));
            rest.is_some_and(|rest| rest.starts_with(';'))
        });
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(text), None) => text.parse().map(Some),
            (Some(_), Some(_)) => Err(invalid("there is more than one MTA-STS record")),
        }
    }

    /// What changes when the policy changes.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// As it stands in the DNS: `v=STSv1; id=20160831085700Z;`.
impl fmt::Display for StsRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "v=STSv1; id={};", self.id)
    }
}

impl FromStr for StsRecord {
    type Err = Error;

    fn from_str(text: &str) -> Result<StsRecord, Error> {
        let unfit = |why: &str| {
            invalid(format!("the MTA-STS record \"{}\" cannot be used: {why}", escape(text.as_bytes())))
        };
        let mut fields = text.split(';').map(|field| field.trim_matches([' ', '\t']));
        if fields.next() != Some("v=STSv1") {
            return Err(unfit("it does not begin with v=STSv1"));
        }
        let mut fields: Vec<_> = fields.collect();
        // A semicolon may stand at the end.
        if fields.last() == Some(&"") {
            fields.pop();
        }
        let mut id = None;
        for field in fields {
            let Some((name, value)) = field.split_once('=') else {
                return Err(unfit("a field has no value"));
            };
            let fit = |text: &str, extra: &[u8]| {
                let mut bytes = text.bytes();
                bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
                    && text.len() <= 32
                    && bytes.all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte))
            };
            if !fit(name, b"_-.") {
                return Err(unfit("the name of a field is malformed"));
            }
            let graphic = |byte: u8| byte.is_ascii_graphic() && byte != b'=';
            match name {
                "id" if !fit(value, b"") => return Err(unfit("its id is not 1 to 32 letters and digits")),
                "id" => drop(id.get_or_insert(value)),
                _ if value.is_empty() || !value.bytes().all(graphic) => {
                    return Err(unfit("the value of a field is malformed"));
                }
                _ => {}
            }
        }
        let id = id.ok_or_else(|| unfit("it has no id"))?;
        Ok(StsRecord { id: id.to_string() })
    }
}

/// What a policy demands (RFC 8461 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum StsMode {
    /// Nothing: the domain is taking its policy back.
    None = 0,
    /// Failures are reported, and mail is delivered all the same.
    Testing = 1,
    /// No delivery to a server that fails.
    Enforce = 2,
}

impl StsMode {
    /// Every mode.
    pub const ALL: &'static [StsMode] = &[StsMode::None, StsMode::Testing, StsMode::Enforce];

    /// The name in a policy.
    pub fn name(self) -> &'static str {
        match self {
            StsMode::None => "none",
            StsMode::Testing => "testing",
            StsMode::Enforce => "enforce",
        }
    }

    /// The number, the same in C and in Python.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// A policy: what a domain says of its own MX hosts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StsPolicy {
    mode: StsMode,
    max_age: u64,
    mx: Vec<String>,
}

impl StsPolicy {
    /// Reads the text of a policy (RFC 8461 section 3.2), with lines that end in CRLF or LF. Of keys that stand
    /// twice the first counts, but of `mx`; unknown ones are passed over.
    pub fn parse(text: &[u8]) -> Result<StsPolicy, Error> {
        let unfit = |why: String| invalid(format!("the MTA-STS policy cannot be used: {why}"));
        if text.len() > LARGEST {
            return Err(unfit(format!("it is longer than {LARGEST} octets")));
        }
        let Ok(text) = std::str::from_utf8(text) else { return Err(unfit("it is not UTF-8".to_string())) };
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            let line = line.trim_matches([' ', '\t']);
            if line.is_empty() {
                continue;
            }
            let at = || escape(line.as_bytes());
            let Some((key, value)) = line.split_once(':') else {
                return Err(unfit(format!("the line \"{}\" has no colon", at())));
            };
            let (key, value) = (key.trim_matches([' ', '\t']), value.trim_matches([' ', '\t']));
            if line.chars().any(|character| character.is_control() && character != '\t') {
                return Err(unfit(format!("the line \"{}\" has a control character", at())));
            }
            match key {
                "version" => drop(version.get_or_insert(value)),
                "mode" => drop(mode.get_or_insert(value)),
                "max_age" => drop(max_age.get_or_insert(value)),
                "mx" => match pattern(value) {
                    Some(pattern) => mx.push(pattern),
                    None => return Err(unfit(format!("\"{}\" names no host", at()))),
                },
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(unfit("its version is not STSv1".to_string()));
        }
        let known = StsMode::ALL.iter().copied().find(|known| Some(known.name()) == mode);
        let Some(mode) = known else {
            return Err(unfit("its mode is none of enforce, testing and none".to_string()));
        };
        let digits =
            |age: &&str| (1..=10).contains(&age.len()) && age.bytes().all(|byte| byte.is_ascii_digit());
        let Some(max_age) = max_age.filter(digits).and_then(|age| age.parse::<u64>().ok()) else {
            return Err(unfit("its max_age is no number of up to 10 digits".to_string()));
        };
        if mx.is_empty() && mode != StsMode::None {
            return Err(unfit("it names no mx".to_string()));
        }
        Ok(StsPolicy { mode, max_age: max_age.min(MAX_AGE), mx })
    }

    /// What it demands.
    pub fn mode(&self) -> StsMode {
        self.mode
    }

    /// For how many seconds after it was fetched it may be used: at most a year.
    pub fn max_age(&self) -> u64 {
        self.max_age
    }

    /// The patterns for MX hosts, in lower case: host names, and `*.` before a domain.
    pub fn mx(&self) -> &[String] {
        &self.mx
    }

    /// Whether a pattern fits this MX host (RFC 8461 section 4.1): `*.` stands for exactly one label.
    pub fn matches(&self, host: &str) -> bool {
        let Some(ServerName::DnsName(host)) = server_name(host) else { return false };
        let host = host.as_ref().to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(domain) => parent == Some(domain),
            None => *pattern == host,
        })
    }

    /// Whether it may still be used, by times in seconds since 1970. A policy from the future may.
    pub fn is_current(&self, fetched: u64, now: u64) -> bool {
        now.saturating_sub(fetched) < self.max_age
    }

    /// Whether it is time to fetch it again, so that it does not run out unseen (RFC 8461 section 3.3): after a
    /// day, or after half of its time if that is shorter; also if its fetching is as far ahead, since then a clock
    /// was wrong.
    pub fn needs_refresh(&self, fetched: u64, now: u64) -> bool {
        now.abs_diff(fetched) >= (self.max_age / 2).min(86_400)
    }

    /// Which policy holds (RFC 8461 sections 3.3 and 5.1): one just fetched, else a kept one that is still
    /// current, whatever the DNS says, else none. `kept` has the time of its fetching.
    pub fn in_force<'a>(
        fetched: Option<&'a StsPolicy>,
        kept: Option<(&'a StsPolicy, u64)>,
        now: u64,
    ) -> Option<&'a StsPolicy> {
        let current = kept.filter(|(policy, time)| policy.is_current(*time, now));
        fetched.or(current.map(|(policy, _)| policy))
    }
}

/// A host name, or `*.` before one; made of A-labels, as a policy has it.
fn pattern(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let host = name.strip_prefix("*.").unwrap_or(&name);
    let fit = host.is_ascii() && matches!(server_name(host), Some(ServerName::DnsName(_)));
    fit.then_some(name)
}

/// The text of the policy.
impl fmt::Display for StsPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "version: STSv1\nmode: {}\n", self.mode.name())?;
        for pattern in &self.mx {
            writeln!(formatter, "mx: {pattern}")?;
        }
        writeln!(formatter, "max_age: {}", self.max_age)
    }
}
