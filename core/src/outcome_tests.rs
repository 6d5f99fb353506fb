//! The table of outcomes: whole, consistent, and the same as the page in the docs.

use std::fmt::Write as _;

use super::*;

/// Every code has its rows, the last of them for any stage.
#[test]
fn every_code_has_an_outcome() {
    for code in Code::ALL {
        let rows: Vec<_> = OUTCOMES.iter().filter(|row| row.code == *code).collect();
        assert!(matches!(rows.last().map(|row| row.at), Some(At::Any)), "{code:?}");
        assert!(rows.iter().rev().skip(1).all(|row| matches!(row.at, At::Only(_))), "{code:?}");
    }
    assert!(OUTCOMES.iter().all(|row| Code::ALL.contains(&row.code)));
}

/// R3207-6-2, R3207-6-5, R8460-4.3.1-1, R8461-5-3: plaintext only at `none` and `may`; what the peer or the DNS
/// did is temporary; each report has a reason.
#[test]
fn the_rules_of_the_table() {
    for row in OUTCOMES {
        let plaintext = |action| matches!(action, Action::Continue | Action::Reconnect);
        let agreed = matches!(row.code, Code::NotWanted | Code::NotRequested);
        assert!(agreed || !plaintext(row.strict), "{row:?}");
        assert_eq!(row.tlsrpt.is_some(), !row.reason.to_bytes().is_empty(), "{row:?}");
        assert!(row.code == Code::RequireTls || !row.status.to_bytes().starts_with(b"5"), "{row:?}");
    }
}

/// R3463-7-1: X.7.4 where there is no TLS to be had, X.7.5 where it failed; and X.7.0 for an attack in plaintext.
#[test]
fn what_is_reported_has_a_status_of_security() {
    for row in OUTCOMES.iter().filter(|row| !row.status.is_empty()) {
        let wanted = match row.tlsrpt {
            Some(Tlsrpt::StarttlsNotSupported) => c"4.7.4",
            Some(_) if row.code == Code::PlaintextInjected => c"4.7.0",
            Some(_) => c"4.7.5",
            None => continue,
        };
        assert_eq!(row.status, wanted, "{row:?}");
    }
}

/// The page for the docs.
fn page() -> String {
    let mut text = String::from(
        "# Errors\n\n\
        Every failure of a client, from the table in `core/src/outcome.rs`; a test keeps this page and the table the\n\
        same. The number and the name of a code are for ever. *Stage* is how far the session had come, *at may* the\n\
        action at the levels none and may, *else* at all others; *status* is the enhanced status code (RFC 3463) for a\n\
        deferral or a bounce, *TLSRPT* the result type and the failure reason for a report (RFC 8460).\n\n\
        A message may override status, type and reason where it knows more: a certificate that is not valid yet is\n\
        `validation-failure`, a TLSA set without a usable record `tlsa-invalid`, REQUIRETLS without TLS 5.7.10. An\n\
        action of *continue* becomes *reconnect* where the connection can no longer be used, as after 421. On a\n\
        server the action is *continue* for NOT_REQUESTED and for a STARTTLS that it answered with 454 or 501, and\n\
        else *fail*.\n\n\
        | number | name | meaning | stage | at may | else | status | TLSRPT |\n\
        | ---: | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in OUTCOMES {
        let stage = match row.at {
            At::Any => "any".to_string(),
            At::Only(stages) => {
                let names: Vec<_> = stages.iter().map(|stage| format!("{stage:?}").to_lowercase()).collect();
                names.join(", ")
            }
        };
        let report = row
            .tlsrpt
            .map(|kind| format!("{}: {}", kind.name(), row.reason.to_str().unwrap()))
            .unwrap_or_default();
        writeln!(
            text,
            "| {} | `{}` | {} | {stage} | {} | {} | {} | {report} |",
            row.code.number(),
            row.code.name(),
            row.code.text(),
            row.lax.name(),
            row.strict.name(),
            row.status.to_str().unwrap(),
        )
        .unwrap();
    }
    text
}

/// `SMTPTLS_UPDATE=1 cargo test -p smtptls docs` writes the page anew.
#[test]
fn the_docs_have_this_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
    if std::env::var_os("SMTPTLS_UPDATE").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page(),
        "docs/errors.md is out of date: SMTPTLS_UPDATE=1 cargo test -p smtptls docs"
    );
}
