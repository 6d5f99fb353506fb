//! Values in DER: what they are, and what is in them.

use std::fmt::Write as _;

use der::{Decode as _, Length, Reader as _, SliceReader};

// The octets that say what follows (X.690 section 8.1.2).
pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OBJECT_IDENTIFIER: u8 = 0x06;
pub const UTF8_STRING: u8 = 0x0c;
pub const NUMERIC_STRING: u8 = 0x12;
pub const PRINTABLE_STRING: u8 = 0x13;
pub const T61_STRING: u8 = 0x14;
pub const IA5_STRING: u8 = 0x16;
pub const UTC_TIME: u8 = 0x17;
pub const GENERALIZED_TIME: u8 = 0x18;
pub const UNIVERSAL_STRING: u8 = 0x1c;
pub const BMP_STRING: u8 = 0x1e;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// A value in DER. Not `AnyRef`, which knows no UniversalString.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub tag: u8,
    pub contents: &'a [u8],
}

impl<'a> Part<'a> {
    /// The value that stands first there.
    pub fn first(contents: &'a [u8]) -> Option<Part<'a>> {
        Part::read(&mut SliceReader::new(contents).ok()?)
    }

    fn read(reader: &mut SliceReader<'a>) -> Option<Part<'a>> {
        let tag = reader.read_byte().ok()?;
        let length = Length::decode(reader).ok()?;
        let contents = reader.read_slice(length).ok()?;
        // No value in a certificate has a tag of more than one octet.
        Some(Part { tag, contents }).filter(|part| part.tag & 0x1f != 0x1f)
    }

    /// The contents, if it is of this kind.
    pub fn of(self, tag: u8) -> Option<&'a [u8]> {
        Some(self.contents).filter(|_| self.tag == tag)
    }

    /// The values in it, if it is of this kind.
    pub fn parts(self, tag: u8) -> Option<Vec<Part<'a>>> {
        parts(self.of(tag)?)
    }
}

/// Values one after another.
pub fn parts(contents: &[u8]) -> Option<Vec<Part<'_>>> {
    let mut reader = SliceReader::new(contents).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(Part::read(&mut reader)?);
    }
    Some(parts)
}

/// What a BIT STRING holds. The unused bits are 0.
pub fn bits(contents: &[u8]) -> Option<Vec<u8>> {
    let (unused @ 0..8, octets) = contents.split_first()? else { return None };
    let mut bits = octets.to_vec();
    if let Some(last) = bits.last_mut() {
        *last &= 0xff << unused;
    }
    Some(bits)
}

/// Characters of that many octets.
pub fn wide(contents: &[u8], size: usize) -> Option<String> {
    let number = |octets: &[u8]| octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
    let whole = contents.len() % size == 0;
    contents.chunks(size).map(|octets| char::from_u32(number(octets)).filter(|_| whole)).collect()
}

/// With dots. Nothing if an arc has more than 128 bits, which is the most that a UUID needs.
pub fn oid(part: Part<'_>) -> Option<String> {
    let contents = part.of(OBJECT_IDENTIFIER)?;
    // OpenSSL's limit, and its reason: the time that a number of any length takes.
    if contents.last()? & 0x80 != 0 || contents.len() > 586 {
        return None;
    }
    let mut text = String::new();
    let mut number: u128 = 0;
    let mut begins = true;
    for octet in contents {
        if begins && *octet == 0x80 {
            return None;
        }
        number = number.checked_mul(0x80)? | u128::from(octet & 0x7f);
        begins = octet & 0x80 == 0;
        if !begins {
            continue;
        }
        // The first two arcs are one number (X.690 section 8.19.4).
        let _ = match (text.is_empty(), number) {
            (true, 0..40) => write!(text, "0.{number}"),
            (true, 40..80) => write!(text, "1.{}", number - 40),
            (true, _) => write!(text, "2.{}", number - 80),
            (false, _) => write!(text, ".{number}"),
        };
        number = 0;
    }
    Some(text)
}
