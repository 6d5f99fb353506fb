//! Commands of a client, as far as the dialogue before TLS needs to tell them apart.

use crate::Protocol;
use crate::dialog::Event;

/// The longest command that the dialogue answers itself, with its CRLF (RFC 5321 section 4.5.3.1.4). Longer
/// ones, such as MAIL with parameters of extensions, are the caller's to judge.
const LONGEST: usize = 512;

/// What a command line (without its CRLF) means to the dialogue.
pub(crate) fn parse(line: &[u8], protocol: Protocol) -> Event {
    let (verb, rest) = match line.iter().position(|byte| *byte == b' ') {
        Some(blank) => (&line[..blank], &line[blank..]),
        None => (line, &b""[..]),
    };
    let parameter = rest.trim_ascii();
    let is = |name: &str| verb.eq_ignore_ascii_case(name.as_bytes());
    let event = match protocol {
        Protocol::Smtp if is("EHLO") => hello(Event::Hello, parameter),
        Protocol::Smtp if is("HELO") => hello(Event::Helo, parameter),
        Protocol::Lmtp if is("LHLO") => hello(Event::Hello, parameter),
        // RFC 2033 section 4.1: LMTP never accepts EHLO or HELO, and SMTP knows no LHLO.
        _ if is("EHLO") || is("HELO") || is("LHLO") => Event::WrongHello,
        _ if is("NOOP") => Event::Noop,
        _ if is("RSET") => Event::Rset,
        _ if is("QUIT") => Event::Quit,
        _ if is("STARTTLS") && parameter.is_empty() => Event::Starttls,
        _ if is("STARTTLS") => Event::StarttlsParameter,
        _ => return Event::Other,
    };
    if line.len() + 2 > LONGEST { Event::Malformed } else { event }
}

/// A hello needs a name, and a name that can stand in a Received line and in a log.
fn hello(event: Event, name: &[u8]) -> Event {
    let fit = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic());
    if fit { event } else { Event::BadHello }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R3207-2-1, R3207-4-3, R2033-4.1-1, R5321-4.5.3-1.
    #[test]
    fn commands_are_told_apart() {
        use Event::*;
        let long = format!("NOOP {}", "x".repeat(LONGEST - 6));
        let mail = format!("MAIL FROM:<{}>", "x".repeat(600));
        for (line, smtp, lmtp) in [
            ("EHLO a", Hello, WrongHello),
            ("ehlo [127.0.0.1]", Hello, WrongHello),
            ("HELO a", Helo, WrongHello),
            ("LHLO a", WrongHello, Hello),
            ("EHLO", BadHello, WrongHello),
            ("EHLO a\x1bb", BadHello, WrongHello),
            ("EHLO a b", BadHello, WrongHello),
            ("noop x", Noop, Noop),
            ("RSET", Rset, Rset),
            ("quit", Quit, Quit),
            ("starttls", Starttls, Starttls),
            ("STARTTLS  ", Starttls, Starttls),
            ("STARTTLS now", StarttlsParameter, StarttlsParameter),
            ("STARTTLSX", Other, Other),
            ("MAIL FROM:<a>", Other, Other),
            ("", Other, Other),
            (&long, Malformed, Malformed),
            (&mail, Other, Other),
        ] {
            assert_eq!(parse(line.as_bytes(), Protocol::Smtp), smtp, "{line}");
            assert_eq!(parse(line.as_bytes(), Protocol::Lmtp), lmtp, "{line}");
        }
    }
}
