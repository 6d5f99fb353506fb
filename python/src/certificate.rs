//! A certificate as the dict that `ssl.SSLSocket.getpeercert()` gives, in OpenSSL's words.

mod names;
mod parts;

use std::borrow::Cow;
use std::fmt::Write as _;

#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
#[cfg(feature = "stubs")]
use pyo3::{type_hint_identifier, type_hint_subscript};

use self::names::{GeneralName, Name, general_names, name, pairs, utf8};
use self::parts::{
    BIT_STRING, BOOLEAN, GENERALIZED_TIME, INTEGER, OCTET_STRING, Part, SEQUENCE, UTC_TIME, oid, parts,
};
use crate::arguments::Data;
use crate::errors::argument;

/// A certificate in DER as the dict that `ssl.SSLSocket.getpeercert()` gives. Raises ConfigError if it cannot
/// be read.
#[pyfunction]
#[pyo3(signature = (der, /))]
#[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
pub fn certificate_dict(py: Python<'_>, der: Data) -> PyResult<Details<'_>> {
    let read = Certificate::parse(&der).ok_or_else(|| argument("the certificate cannot be read"))?;
    let details = PyDict::new(py);
    details.set_item("subject", pairs(py, read.subject)?)?;
    details.set_item("issuer", pairs(py, read.issuer)?)?;
    details.set_item("version", read.version)?;
    details.set_item("serialNumber", read.serial)?;
    details.set_item("notBefore", read.dates[0].as_ref())?;
    details.set_item("notAfter", read.dates[1].as_ref())?;
    if let Some(names) = extension(&read.extensions, SUBJECT_ALT_NAME).and_then(general_names) {
        let names: PyResult<Vec<_>> = names.into_iter().map(|name| name.pair(py)).collect();
        details.set_item("subjectAltName", PyTuple::new(py, names?)?)?;
    }
    let access = extension(&read.extensions, AUTHORITY_INFO_ACCESS).and_then(access).unwrap_or_default();
    let of = |method: &'static str| {
        access.iter().filter(move |(oid, _)| oid == method).map(|(_, location)| location)
    };
    let points = extension(&read.extensions, CRL_DISTRIBUTION_POINTS).and_then(points).unwrap_or_default();
    for (key, found) in [
        ("OCSP", uris(of(OCSP))?),
        ("caIssuers", uris(of(CA_ISSUERS))?),
        ("crlDistributionPoints", uris(points.iter())?),
    ] {
        if !found.is_empty() {
            details.set_item(key, PyTuple::new(py, found)?)?;
        }
    }
    Ok(Details(details))
}

/// What `certificate_dict` gives.
pub struct Details<'py>(Bound<'py, PyDict>);

impl<'py> IntoPyObject<'py> for Details<'py> {
    type Target = PyDict;
    type Output = Bound<'py, PyDict>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = type_hint_subscript!(
        type_hint_identifier!("builtins", "dict"),
        type_hint_identifier!("builtins", "str"),
        type_hint_identifier!("typing", "Any")
    );

    fn into_pyobject(self, _: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        Ok(self.0)
    }
}

const SUBJECT_ALT_NAME: &str = "2.5.29.17";
const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
const AUTHORITY_INFO_ACCESS: &str = "1.3.6.1.5.5.7.1.1";
const OCSP: &str = "1.3.6.1.5.5.7.48.1";
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

/// What has to make sense for there to be a dict at all.
struct Certificate<'a> {
    subject: Name,
    issuer: Name,
    version: i16,
    serial: String,
    /// When it begins and ends.
    dates: [Cow<'static, str>; 2],
    /// Each with its OID.
    extensions: Vec<(String, &'a [u8])>,
}

impl<'a> Certificate<'a> {
    fn parse(der: &'a [u8]) -> Option<Certificate<'a>> {
        let [whole] = parts(der)?[..] else { return None };
        let [signed, algorithm, signature] = whole.parts(SEQUENCE)?[..] else { return None };
        algorithm.of(SEQUENCE)?;
        signature.of(BIT_STRING)?;
        let mut fields = signed.parts(SEQUENCE)?.into_iter().peekable();
        let version = match fields.next_if(|field| field.tag == 0xa0) {
            Some(field) => version(field)?,
            None => 1,
        };
        let serial = serial(fields.next()?.of(INTEGER)?)?;
        fields.next()?.of(SEQUENCE)?;
        let issuer = name(fields.next()?)?;
        let [begin, end] = fields.next()?.parts(SEQUENCE)?[..] else { return None };
        let dates = [time(begin)?, time(end)?];
        let subject = name(fields.next()?)?;
        fields.next()?.of(SEQUENCE)?;
        // The unique identifiers of X.509 v2.
        while fields.next_if(|field| matches!(field.tag, 0x81 | 0x82)).is_some() {}
        let extensions = match fields.next() {
            Some(field) => extensions(field)?,
            None => Vec::new(),
        };
        let complete = fields.next().is_none();
        complete.then_some(Certificate { subject, issuer, version, serial, dates, extensions })
    }
}

/// One more than what stands there.
fn version(field: Part<'_>) -> Option<i16> {
    let [number] = parts(field.contents)?[..] else { return None };
    let [number] = *number.of(INTEGER)? else { return None };
    Some(i16::from(i8::from_be_bytes([number])) + 1)
}

/// In upper case hex.
fn serial(contents: &[u8]) -> Option<String> {
    let negative = *contents.first()? >= 0x80;
    // The first nine bits must not be the same (X.690 section 8.3.2).
    if let [first @ (0x00 | 0xff), second, ..] = *contents {
        if (first >= 0x80) == (second >= 0x80) {
            return None;
        }
    }
    let mut octets = contents.to_vec();
    if negative {
        let mut carry = true;
        for octet in octets.iter_mut().rev() {
            (*octet, carry) = (!*octet).overflowing_add(u8::from(carry));
        }
    }
    let zeros = octets.iter().take_while(|octet| **octet == 0).count().min(octets.len() - 1);
    let mut text = String::from(if negative { "-" } else { "" });
    for octet in &octets[zeros..] {
        let _ = write!(text, "{octet:02X}");
    }
    Some(text)
}

/// As OpenSSL prints it, also where it cannot make sense of it.
fn time(part: Part<'_>) -> Option<Cow<'static, str>> {
    let digits_of_year = match part.tag {
        UTC_TIME => 2,
        GENERALIZED_TIME => 4,
        _ => return None,
    };
    Some(moment(part.contents, digits_of_year).map_or("Bad time value".into(), Cow::Owned))
}

fn moment(contents: &[u8], digits_of_year: usize) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let text = std::str::from_utf8(contents).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.find('.').map_or((text, ""), |point| text.split_at(point));
    let has_fraction = !fraction.is_empty();
    if !digits(whole) || has_fraction && (digits_of_year == 2 || !digits(&fraction[1..])) {
        return None;
    }
    let (year, rest) = whole.split_at_checked(digits_of_year)?;
    let year = match (digits_of_year, year.parse::<u16>().ok()?) {
        (2, year @ 0..50) => 2000 + year,
        (2, year) => 1900 + year,
        (_, year) => year,
    };
    let pairs: Vec<u8> =
        (0..rest.len()).step_by(2).map(|at| rest.get(at..at + 2)?.parse().ok()).collect::<Option<_>>()?;
    let (month, day, hour, minute, second) = match pairs[..] {
        [month, day, hour, minute, second] => (month, day, hour, minute, second),
        [month, day, hour, minute] if !has_fraction => (month, day, hour, minute, 0),
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let month = MONTHS.get(usize::from(month).checked_sub(1)?)?;
    let valid = (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
    valid.then(|| format!("{month} {day:2} {hour:02}:{minute:02}:{second:02}{fraction} {year} GMT"))
}

fn extensions(field: Part<'_>) -> Option<Vec<(String, &[u8])>> {
    let [list] = field.parts(0xa3)?[..] else { return None };
    list.parts(SEQUENCE)?
        .into_iter()
        .map(|part| {
            let (name, value) = match part.parts(SEQUENCE)?[..] {
                [name, value] => (name, value),
                [name, critical, value] if critical.tag == BOOLEAN => (name, value),
                _ => return None,
            };
            Some((oid(name)?, value.of(OCTET_STRING)?))
        })
        .collect()
}

/// The value of the extension with that OID. Of two, OpenSSL takes none.
fn extension<'a>(extensions: &[(String, &'a [u8])], wanted: &str) -> Option<Part<'a>> {
    let mut values = extensions.iter().filter(|(oid, _)| oid == wanted);
    let (_, value) = values.next()?;
    if values.next().is_some() {
        return None;
    }
    Part::first(value)
}

/// What AuthorityInfoAccess holds: methods, each with its location.
fn access(part: Part<'_>) -> Option<Vec<(String, GeneralName<'_>)>> {
    part.parts(SEQUENCE)?
        .into_iter()
        .map(|part| {
            let [method, location] = part.parts(SEQUENCE)?[..] else { return None };
            Some((oid(method)?, GeneralName::parse(location)?))
        })
        .collect()
}

/// The full names of all distribution points.
fn points(part: Part<'_>) -> Option<Vec<GeneralName<'_>>> {
    let mut names = Vec::new();
    for point in part.parts(SEQUENCE)? {
        // DistributionPoint ::= SEQUENCE { distributionPoint [0], reasons [1], cRLIssuer [2] }, all OPTIONAL
        let fields = point.parts(SEQUENCE)?;
        let Some(field) = fields.first().filter(|field| field.tag == 0xa0) else { continue };
        let [choice] = parts(field.contents)?[..] else { return None };
        match choice.tag {
            0xa0 => names.extend(general_names(Part { tag: SEQUENCE, ..choice })?),
            0xa1 => {} // A name relative to the issuer's.
            _ => return None,
        }
    }
    Some(names)
}

fn uris<'a>(names: impl Iterator<Item = &'a GeneralName<'a>>) -> PyResult<Vec<&'a str>> {
    names
        .filter_map(|name| match name {
            GeneralName::Text("URI", octets) => Some(utf8(octets)),
            _ => None,
        })
        .collect()
}
