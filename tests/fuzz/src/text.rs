//! What is read from text and from the DNS: whatever is taken comes out the same when it is written and read again.

use smtptls::{
    Config, Digest, Dnssec, FingerprintOf, Level, Policy, Progress, Session, StsPolicy, StsRecord, Tlsa,
    escape,
};

use crate::script::Script;
use crate::world::{HOST, SERVERS};

/// The first octet says what the rest is.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let which = script.octet();
    let bytes = script.rest();
    escaped(bytes);
    match which % 8 {
        0 => sts_policy(bytes),
        1 => rdata(bytes),
        2 => {
            // However a ClientHello is cut, it asks for the same.
            let whole = Session::asked_for(bytes);
            let wanted = (0..bytes.len()).map(|end| Session::asked_for(&bytes[..end]));
            if let Some(early) = wanted.take(300).find(|asked| *asked != Progress::WantInput) {
                assert_eq!(early, whole);
            }
        }
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            match which % 8 {
                3 => tlsa(text),
                4 => sts_record(text),
                5 => name(text),
                6 => fingerprint(text),
                _ => settings(text),
            }
        }
    }
}

fn escaped(bytes: &[u8]) {
    let text = escape(bytes);
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.len() <= 803);
    if bytes.len() <= 200 {
        assert_eq!(unescape(&text), bytes);
    }
}

/// What was escaped.
fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits: Vec<u8> = rest.by_ref().take(2).collect();
                    let digits = String::from_utf8_lossy(&digits).into_owned();
                    u8::from_str_radix(&digits, 16).unwrap_or_else(|error| panic!("{error}: {text}"))
                }
                other => other.unwrap_or_default(),
            },
            byte => byte,
        });
    }
    bytes
}

fn sts_policy(bytes: &[u8]) {
    let Ok(policy) = StsPolicy::parse(bytes) else { return };
    // Written out it may be a little longer, and pass the limit.
    if bytes.len() < 32 * 1024 {
        assert_eq!(StsPolicy::parse(policy.to_string().as_bytes()).as_ref(), Ok(&policy));
    }
    for pattern in policy.mx() {
        let host = pattern.replacen("*.", "a.", 1);
        assert!(policy.matches(&host), "{pattern} does not fit {host}");
    }
    // The star stands for one label, and not for none.
    if let [pattern] = policy.mx() {
        assert!(!pattern.strip_prefix("*.").is_some_and(|domain| policy.matches(domain)));
    }
    assert!(policy.max_age() <= 31_557_600);
    assert_eq!(policy.is_current(5, 5), policy.max_age() > 0);
    let mut demand = Policy::new(Level::May);
    demand.set_sts(Some(policy.clone()));
    let _ = demand.effective_level(HOST);
    assert!(StsPolicy::in_force(None, Some((&policy, 0)), u64::MAX).is_none());
}

fn rdata(bytes: &[u8]) {
    let Ok(record) = Tlsa::from_rdata(bytes) else { return assert!(bytes.len() < 3) };
    assert_eq!(record.to_rdata(), bytes);
    assert_eq!(record.to_string().parse().as_ref(), Ok(&record));
    let _ = record.unusable();
}

fn tlsa(text: &str) {
    let Ok(record) = text.parse::<Tlsa>() else { return };
    assert_eq!(record.to_string().parse().as_ref(), Ok(&record));
    assert_eq!(Tlsa::from_rdata(&record.to_rdata()).as_ref(), Ok(&record));
    let mut policy = Policy::new(Level::Dane);
    let set = policy.set_tlsa(None, Dnssec::Secure);
    assert!(set.is_ok());
    policy.set_address_dnssec(Dnssec::Secure);
    let usable = record.unusable().is_none();
    policy.add_tlsa(record);
    // An unusable record too says that there is TLS: R7672-2.2-4.
    let wanted = if usable { Level::Dane } else { Level::Encrypt };
    assert_eq!(policy.effective_level(HOST), Ok(wanted));
}

fn sts_record(text: &str) {
    let records: Vec<_> = text.split('\n').collect();
    if let Ok(Some(record)) = StsRecord::find(records) {
        assert_eq!(record.to_string().parse().as_ref(), Ok(&record));
        assert_eq!(StsRecord::find([record.to_string().as_str(), "other"]), Ok(Some(record)));
    }
    if let Ok(record) = text.parse::<StsRecord>() {
        assert!((1..=32).contains(&record.id().len()));
    }
}

fn name(text: &str) {
    let mut policy = Policy::new(Level::Verify);
    let taken = policy.add_name(text).is_ok();
    if policy.set_sni(Some(text)).is_ok() {
        assert!(taken, "a name for SNI is none for a certificate");
    }
    let _ = policy.set_next_hop(text, Some(text), Dnssec::Secure);
    for level in Level::ALL {
        let _ = Policy::new(*level).effective_level(text);
    }
    let _ = Config::builder().hostname(text);
}

fn fingerprint(text: &str) {
    for of in FingerprintOf::ALL {
        let taken = Policy::new(Level::Fingerprint).add_fingerprint(*of, text).is_ok();
        let loud = text.to_ascii_uppercase();
        let (name, digits) = loud.split_once(':').unwrap_or(("", &loud));
        if Digest::from_name(name).is_none() && Digest::from_name(&name.to_ascii_lowercase()).is_none() {
            // Hex digits are the same in either case.
            assert_eq!(
                taken,
                Policy::new(Level::Fingerprint).add_fingerprint(*of, &loud).is_ok(),
                "{digits}"
            );
        }
        for digest in Digest::ALL {
            if let Some(made) = of.fingerprint(*digest, text.as_bytes()) {
                assert!(Policy::new(Level::Fingerprint).add_fingerprint(*of, &made).is_ok());
            }
        }
    }
}

fn settings(text: &str) {
    let mut builder = Config::builder();
    let _ = (builder.ciphers(text), builder.groups(text), builder.alpn(&[text.as_bytes()]).is_ok());
    let mut session = Session::server(&SERVERS[0], &Policy::new(Level::May));
    // What a server says of itself is one line.
    if session.add_extension(text).is_ok() || session.set_greeting(text).is_ok() {
        assert!(!text.contains(['\r', '\n', '\0']));
    }
    let _ = (session.set_command(text), session.set_banner(text.as_bytes()));
}
