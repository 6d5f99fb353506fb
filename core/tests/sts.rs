//! MTA-STS texts (RFC 8461): the TXT record, the policy, its patterns, its age.

use proptest::prelude::*;
use smtptls::{Action, Code, StsMode, StsPolicy, StsRecord, Tlsrpt};

/// R8461-3.1-1, R8461-3.1-2.
#[test]
fn records() {
    let id = |records: &[&str]| match StsRecord::find(records.iter().copied()) {
        Ok(Some(record)) => record.id().to_string(),
        Ok(None) => "none".to_string(),
        Err(error) => {
            assert_eq!((error.code(), error.action()), (Code::StsInvalid, Action::Fail));
            "invalid".to_string()
        }
    };
    for (records, want) in [
        (&["v=STSv1; id=20160831085700Z;"][..], "20160831085700Z"),
        (&["v=STSv1;id=1"], "1"),
        (&["v=STSv1 ; id=1 ; "], "1"),
        (&["v=STSv1\t;\tid=1"], "1"),
        (&["v=STSv1; id=1; other=a:b/c?d"], "1"),
        (&["v=STSv1; x-y.z_1=a; id=1;"], "1"),
        (&["v=STSv1; id=1; id=2"], "1"),
        (&["v=STSv1; id=ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"], "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"),
        // Others are dropped.
        (&["v=spf1 -all", "v=STSv1; id=1", "STSv1"], "1"),
        (&[], "none"),
        (&["v=spf1 -all"], "none"),
        (&["v=STSv2; id=1"], "none"),
        (&["v=stsv1; id=1"], "none"),
        (&["v=STSv10; id=1"], "none"),
        (&["v=STSv1"], "none"),
        (&[" v=STSv1; id=1"], "none"),
        (&["id=1; v=STSv1"], "none"),
        // More than one, or malformed.
        (&["v=STSv1; id=1", "v=STSv1; id=2"], "invalid"),
        (&["v=STSv1; id=1", "v=STSv1; id=1"], "invalid"),
        (&["v=STSv1;"], "invalid"),
        (&["v=STSv1; id="], "invalid"),
        (&["v=STSv1; id=a-b"], "invalid"),
        (&["v=STSv1; id=\u{e9}"], "invalid"),
        (&["v=STSv1; id=a b"], "invalid"),
        (&["v=STSv1; id=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456"], "invalid"),
        (&["v=STSv1; ID=1"], "invalid"),
        (&["v=STSv1; id=1; x"], "invalid"),
        (&["v=STSv1; id=1;; x=1"], "invalid"),
        (&["v=STSv1; id=1; _x=1"], "invalid"),
        (&["v=STSv1; id=1; x=a=b"], "invalid"),
        (&["v=STSv1; id=1; x="], "invalid"),
    ] {
        assert_eq!(id(records), want, "{records:?}");
    }
}

const GOLDEN: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n";

/// R8461-3.2-2: the policy of the RFC, and what may differ from it.
#[test]
fn good_policies() {
    let golden = StsPolicy::parse(GOLDEN.as_bytes()).unwrap();
    assert_eq!((golden.mode(), golden.max_age()), (StsMode::Enforce, 604_800));
    assert_eq!(golden.mx(), ["mail.example.com", "*.example.net", "backupmx.example.com"]);
    for text in [
        GOLDEN.replace("\r\n", "\n"),
        GOLDEN.trim_end().to_string(),
        GOLDEN.replace(": ", ":"),
        GOLDEN.replace(": ", " : \t "),
        GOLDEN.replace("\r\n", " \r\n"),
        GOLDEN.replace("mail.", "MAIL."),
        GOLDEN.replace("mail.example.com", "mail.example.com."),
        format!("{GOLDEN}unknown: anything \u{e9}: at all\r\n"),
        format!("{GOLDEN}mode: none\r\nversion: STSv2\r\nmax_age: 1\r\n"),
        format!("max_age: 604800\n{GOLDEN}"),
        format!("{GOLDEN}\r\n\r\n"),
    ] {
        assert_eq!(StsPolicy::parse(text.as_bytes()).as_ref(), Ok(&golden), "{text:?}");
    }
    let none = StsPolicy::parse(b"version: STSv1\nmode: none\nmax_age: 0\n").unwrap();
    assert_eq!((none.mode(), none.mx().len(), none.max_age()), (StsMode::None, 0, 0));
    // A year at most.
    let long = StsPolicy::parse(GOLDEN.replace("604800", "9999999999").as_bytes()).unwrap();
    assert_eq!(long.max_age(), 31_557_600);
}

/// R8461-3.2-2: each mistake by itself, in bounded time.
#[test]
fn bad_policies() {
    let mut cases: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"\xff\xfe".to_vec(),
        b"<html>not found</html>".to_vec(),
        GOLDEN.replace("version: STSv1\r\n", "").into(),
        GOLDEN.replace("STSv1", "STSv2").into(),
        GOLDEN.replace("version", "Version").into(),
        GOLDEN.replace("mode: enforce\r\n", "").into(),
        GOLDEN.replace("enforce", "Enforce").into(),
        GOLDEN.replace("enforce", "report").into(),
        GOLDEN.replace("max_age: 604800\r\n", "").into(),
        GOLDEN.replace("604800", "").into(),
        GOLDEN.replace("604800", "-1").into(),
        GOLDEN.replace("604800", "+1").into(),
        GOLDEN.replace("604800", "1d").into(),
        GOLDEN.replace("604800", "10000000000").into(),
        GOLDEN.replace("mx: ", "mx ").into(),
        GOLDEN.replace("mail.", "m*il.").into(),
        GOLDEN.replace("mail.", "*.*.").into(),
        GOLDEN.replace("mail.example.com", "*").into(),
        GOLDEN.replace("mail.example.com", "192.0.2.1").into(),
        GOLDEN.replace("mail.example.com", "m\u{e4}il.example.com").into(),
        GOLDEN.replace("mail.example.com", "mail .example.com").into(),
        GOLDEN.replace("mail.example.com", "").into(),
        GOLDEN.replace("mail.example.com", "mail\0.example.com").into(),
        GOLDEN.replace("\r\n", "\r").into(),
        GOLDEN.lines().filter(|line| !line.starts_with("mx")).collect::<Vec<_>>().join("\n").into(),
        format!("{GOLDEN}{}", "x: y\n".repeat(250_000)).into(),
    ];
    cases.push(vec![b'\n'; 1 << 20]);
    for text in cases {
        let error = StsPolicy::parse(&text).unwrap_err();
        let start = String::from_utf8_lossy(&text[..text.len().min(80)]).into_owned();
        assert_eq!(error.code(), Code::StsInvalid, "{start}");
        assert_eq!(error.tlsrpt(), Some(Tlsrpt::StsPolicyInvalid));
        assert!(error.message().len() < 600 && error.message().is_ascii());
    }
}

/// R8461-4.1-1: a wildcard stands for exactly one label.
#[test]
fn patterns() {
    let policy = StsPolicy::parse(GOLDEN.as_bytes()).unwrap();
    for (host, fits) in [
        ("mail.example.com", true),
        ("MAIL.Example.COM", true),
        ("mail.example.com.", true),
        ("a.example.net", true),
        ("example.net", false),
        ("a.b.example.net", false),
        (".example.net", false),
        ("*.example.net", false),
        ("example.com", false),
        ("xmail.example.com", false),
        ("192.0.2.1", false),
        ("", false),
    ] {
        assert_eq!(policy.matches(host), fits, "{host}");
    }
}

/// R8461-3.3-3: whether there is a record, whether the fetch works, what is kept: twelve verdicts.
#[test]
fn which_policy_holds() {
    let fresh = StsPolicy::parse(GOLDEN.as_bytes()).unwrap();
    let kept = StsPolicy::parse(GOLDEN.replace("enforce", "testing").as_bytes()).unwrap();
    let (now, max_age) = (1_000_000_000, kept.max_age());
    let caches = [None, Some((&kept, now - 1)), Some((&kept, now - max_age))];
    for record in [true, false] {
        for works in [true, false] {
            for (n, cached) in caches.into_iter().enumerate() {
                // Without a record nothing is fetched.
                let fetched = (record && works).then_some(&fresh);
                let want = match (record, works, n) {
                    (true, true, _) => Some(StsMode::Enforce),
                    (_, _, 1) => Some(StsMode::Testing),
                    _ => None,
                };
                let holds = StsPolicy::in_force(fetched, cached, now).map(StsPolicy::mode);
                assert_eq!(holds, want, "{record} {works} {n}");
            }
        }
    }
    assert!(kept.is_current(now + 1, now));
    assert!(kept.is_current(now - max_age + 1, now) && !kept.is_current(now - max_age, now));
    assert!(!StsPolicy::parse(b"version: STSv1\nmode: none\nmax_age: 0").unwrap().is_current(now, now));
    // R8461-3.3-4: daily, or sooner where it runs out sooner.
    assert!(!kept.needs_refresh(now - 86_399, now) && kept.needs_refresh(now - 86_400, now));
    let short = StsPolicy::parse(GOLDEN.replace("604800", "600").as_bytes()).unwrap();
    assert!(!short.needs_refresh(now - 299, now) && short.needs_refresh(now - 300, now));
    // A clock that is set back leaves policies of the future; they are not kept for ever unseen.
    assert!(!kept.needs_refresh(now + 86_399, now) && kept.needs_refresh(now + 86_400, now));
    assert!(
        kept.needs_refresh(u64::MAX, 0) && kept.needs_refresh(0, u64::MAX) && !kept.is_current(0, u64::MAX)
    );
}

fn host() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z]([a-z0-9-]{0,20}[a-z0-9])?){1,3}"
}

proptest! {
    /// Whatever comes from the network: no panic, and an error of one kind.
    #[test]
    fn any_octets(text in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Err(error) = StsPolicy::parse(&text) {
            prop_assert_eq!(error.code(), Code::StsInvalid);
        }
        let text = String::from_utf8_lossy(&text);
        let _ = StsRecord::find([text.as_ref(), "v=STSv1; id=1"]);
        let _ = format!("v=STSv1;{text}").parse::<StsRecord>();
    }

    /// Lines that nearly make a policy.
    #[test]
    fn any_lines(lines in proptest::collection::vec("(version|mode|mx|max_age|x)( ?: ?)(STSv1|enforce|none|1|\\*\\.a\\.b|.{0,9})", 0..9)) {
        let _ = StsPolicy::parse(lines.join("\n").as_bytes());
    }

    /// Print and parse.
    #[test]
    fn round_trips(mode in 0usize..3, age in 0u64..40_000_000, hosts in proptest::collection::vec((any::<bool>(), host()), 1..6), id in "[A-Za-z0-9]{1,32}") {
        let mode = StsMode::ALL[mode].name();
        let mx: String = hosts.iter().map(|(wild, host)| format!("mx: {}{host}\n", if *wild { "*." } else { "" })).collect();
        let policy = StsPolicy::parse(format!("version: STSv1\nmode: {mode}\n{mx}max_age: {age}\n").as_bytes()).unwrap();
        prop_assert_eq!(StsPolicy::parse(policy.to_string().as_bytes()).unwrap(), policy.clone());
        for (wild, host) in &hosts {
            let host = if *wild { format!("label.{host}") } else { host.clone() };
            prop_assert!(policy.matches(&host));
        }
        let record: StsRecord = format!("v=STSv1; id={id}").parse().unwrap();
        prop_assert_eq!(record.to_string().parse::<StsRecord>().unwrap(), record);
    }
}
