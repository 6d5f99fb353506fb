//! The table against itself and against the drawing in the docs.

use std::fmt::Write as _;

use super::*;

#[test]
fn no_state_has_two_rows_for_one_event() {
    for (n, row) in TABLE.iter().enumerate() {
        assert!(
            !TABLE[..n].iter().any(|earlier| earlier.0 == row.0 && earlier.1 == row.1),
            "{:?} on {:?}",
            row.0,
            row.1
        );
    }
}

/// R5321-4.2-1, SEC-5: whatever code a server sends, the client has a row for it, and only the code that was asked
/// for leads on.
#[test]
fn every_reply_code_has_its_place() {
    use State::*;
    for state in [Greeting, Hello, Helo, Starttls, HelloAgain] {
        for protocol in [Protocol::Smtp, Protocol::Lmtp] {
            for code in 200..600 {
                for offers in [false, true] {
                    let offers = offers && matches!(state, Hello | HelloAgain);
                    let event = classify(state, protocol, code, offers);
                    let (next, act) = next(state, event).unwrap();
                    if state == Starttls {
                        assert_eq!(act == Act::Handshake, code == 220, "{code}");
                        assert_eq!(next == Handshake, code == 220, "{code}");
                    }
                }
            }
        }
    }
}

/// Every command has a row in every state of a server that reads commands.
#[test]
fn every_command_has_its_place() {
    use Event::*;
    for state in [State::Offers, State::Requires, State::Cannot] {
        for event in [
            Hello,
            Helo,
            WrongHello,
            BadHello,
            Noop,
            Rset,
            Quit,
            Starttls,
            StarttlsParameter,
            Malformed,
            Other,
        ] {
            assert!(next(state, event).is_some(), "{state:?} on {event:?}");
        }
    }
}

/// R3207-4-8: where TLS is required all but NOOP, EHLO, STARTTLS and QUIT get 530.
#[test]
fn what_is_exempt_where_tls_is_required() {
    let exempt: Vec<_> = TABLE
        .iter()
        .filter(|row| row.0 == State::Requires && row.3 != Act::Say(REQUIRED))
        .map(|row| row.1)
        .collect();
    use Event::*;
    assert_eq!(
        exempt,
        [
            FromGreeting,
            FromCommand,
            FromCommandParameter,
            FromHandshake,
            Hello,
            BadHello,
            Noop,
            Quit,
            Starttls,
            StarttlsParameter,
            Malformed,
            // R3207-4-9: events of the switch alone.
            HeloExempt,
            HelpExempt,
            XclientExempt
        ]
    );
}

/// R3207-4.2-8, R3207-4.2-9, SEC-7: no way leads from TLS or from a closed connection back to STARTTLS.
#[test]
fn no_way_back() {
    for row in TABLE.iter().filter(|row| {
        matches!(
            row.0,
            State::Handshake | State::Secured | State::Rejected | State::HelloAgain | State::Closed
        )
    }) {
        assert!(!matches!(
            row.2,
            State::Greeting | State::Hello | State::Starttls | State::Plain | State::Offers | State::Requires
        ));
    }
}

/// The drawing for the docs, in Mermaid's language.
fn drawing() -> String {
    let mut text = String::from(
        "stateDiagram-v2\n    [*] --> Client\n    [*] --> Offers\n    [*] --> Requires\n    [*] --> Cannot\n    [*] --> NotNow\n    [*] --> NotNowRequired\n",
    );
    for (from, event, to, act) in TABLE {
        let act = match act {
            Act::Say(reply) | Act::SayAndFail(reply, _) => {
                reply.split(' ').take(2).collect::<Vec<_>>().join(" ")
            }
            Act::Fail(code) => code.name().to_string(),
            other => format!("{other:?}"),
        };
        writeln!(text, "    {from:?} --> {to:?}: {event:?} / {act}").unwrap();
    }
    text.push_str("    Closed --> [*]\n");
    text
}

/// `SMTPTLS_UPDATE=1 cargo test -p smtptls drawing` writes the page anew.
#[test]
fn the_drawing_in_the_docs_is_of_this_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/dialog.md");
    let page = format!(
        "# The dialogue\n\n\
        RFC 3207 as the library plays it, drawn from the table in `core/src/dialog.rs`: on each arrow what happened\n\
        and what is done. A test keeps this page and the table the same.\n\n\
        ```mermaid\n{}```\n",
        drawing()
    );
    if std::env::var_os("SMTPTLS_UPDATE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/dialog.md is out of date: SMTPTLS_UPDATE=1 cargo test -p smtptls drawing"
    );
}
