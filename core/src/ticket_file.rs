//! The file of ticket keys that all processes and hosts of a service share: the current key, the next and the previous
//! one, a line each.
//!
//! ```text
//! # made 2026-11-25T08:00:00Z
//! current  0f1e...   64 hex digits
//! next     2d3c...
//! previous 4b5a...
//! ```
//!
//! The current key seals. All of them open: the next one because another host may have rotated already, the previous one
//! because its tickets are still out. Rotating makes the next one current, so two rotations end a ticket.

use std::path::Path;

use zeroize::Zeroizing;

use crate::fingerprint::unhex;
use crate::{Code, Error};

/// No honest file is longer.
const LARGEST: u64 = 64 * 1024;

/// The keys of a file, the current one first.
pub(crate) fn read(path: &Path) -> Result<Vec<Zeroizing<Vec<u8>>>, Error> {
    let source = crate::error::escape(path.as_os_str().as_encoded_bytes());
    let text = crate::file::read(path, LARGEST)?;
    parse(&text).map_err(|why| Error::local(Code::KeyParse, format!("{source}: {why}")))
}

fn parse(text: &[u8]) -> Result<Vec<Zeroizing<Vec<u8>>>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_string())?;
    let (mut current, mut others) = (None, Vec::new());
    for (line, number) in text.lines().zip(1..) {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(role) = words.next() else { continue };
        let key = words.next().and_then(unhex).map(Zeroizing::new).filter(|key| key.len() == 32);
        // What stands in the line may be a key, and goes into no message.
        let key = key.filter(|_| words.next().is_none());
        let key = key.ok_or_else(|| format!("line {number} has no key of 64 hex digits"))?;
        match role {
            "current" if current.is_some() => return Err(format!("line {number} is a second current key")),
            "current" => current = Some(key),
            "next" | "previous" => others.push(key),
            _ => return Err(format!("line {number} begins with none of current, next and previous")),
        }
    }
    let current = current.ok_or_else(|| "it has no current key".to_string())?;
    Ok([vec![current], others].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let hex = |octet: u8| format!("{octet:02x}").repeat(32);
        let (one, two, three) = (hex(1), hex(2), hex(3));
        let first =
            |text: &str| parse(text.as_bytes()).map(|keys| keys.iter().map(|key| key[0]).collect::<Vec<_>>());
        assert_eq!(first(&format!("current {one}")), Ok(vec![1]));
        let whole = format!(
            "# made now\nnext {two}\n\ncurrent\t{one} # the one\r\nprevious {}\n",
            three.to_uppercase()
        );
        assert_eq!(first(&whole), Ok(vec![1, 2, 3]));
        for (text, line) in [
            (String::new(), "no current"),
            (format!("next {one}"), "no current"),
            (format!("current {one}\ncurrent {two}"), "line 2"),
            (format!("current {}", &one[2..]), "line 1"),
            (format!("current {one}00"), "line 1"),
            (format!("current {one} {two}"), "line 1"),
            (format!("\nold {one}"), "line 2"),
            (format!("current {one}\nnext"), "line 2"),
            (one.clone(), "line 1"),
        ] {
            let error = first(&text).unwrap_err();
            assert!(error.contains(line) && !error.contains("0101"), "{error}");
        }
        assert!(parse(&[0xff, 0xfe]).is_err());
    }
}
