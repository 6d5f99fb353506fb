//! TLSA records (RFC 6698): read in every form, printed, sorted into usable and unusable (RFC 7671).

use std::fmt;
use std::str::FromStr;

use x509_cert::der::Decode as _;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::error::escape;
use crate::fingerprint::{Digest, FingerprintOf, hex, unhex};
use crate::x509::Certificate;
use crate::{Code, Error};

/// Certificate usage: a trust anchor of the domain's own (RFC 6698 section 2.1.1).
const DANE_TA: u8 = 2;
/// Certificate usage: the server's own certificate or key.
const DANE_EE: u8 = 3;

/// A TLSA record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// Certificate usage: 2 is DANE-TA, 3 DANE-EE; 0 and 1 are not for SMTP (RFC 7672 section 3.1.3).
    pub usage: u8,
    /// 0 for the certificate, 1 for its public key.
    pub selector: u8,
    /// 0 for the octets themselves, 1 for their SHA-256, 2 for their SHA-512.
    pub matching: u8,
    /// The certificate association data.
    pub data: Vec<u8>,
}

impl Tlsa {
    /// From its fields.
    pub fn new(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
        Tlsa { usage, selector, matching, data: data.to_vec() }
    }

    /// The record of a certificate in DER, as its owner would publish it: `3 1 1` for a server is the best choice
    /// (RFC 7671 section 5.1). Nothing if such a record cannot be made of it.
    pub fn of(usage: u8, selector: u8, matching: u8, certificate: &[u8]) -> Option<Tlsa> {
        let data = association(selector, matching, certificate)?;
        Some(Tlsa { usage, selector, matching, data }).filter(|record| record.unusable().is_none())
    }

    /// From the wire form of its RDATA. Fails if that is shorter than its three fixed octets.
    pub fn from_rdata(rdata: &[u8]) -> Result<Tlsa, Error> {
        match rdata {
            [usage, selector, matching, data @ ..] => Ok(Tlsa::new(*usage, *selector, *matching, data)),
            _ => {
                let message = format!("a TLSA record has at least 3 octets, and this has {}", rdata.len());
                Err(Error::local(Code::Argument, message))
            }
        }
    }

    /// The wire form of its RDATA.
    pub fn to_rdata(&self) -> Vec<u8> {
        [&[self.usage, self.selector, self.matching][..], &self.data].concat()
    }

    /// Why it cannot be used (RFC 7671 section 5, RFC 7672 section 3.1); nothing if it can. An unusable record
    /// still says that the domain has TLS.
    pub fn unusable(&self) -> Option<&'static str> {
        let length = self.data.len();
        match (self.usage, self.selector, self.matching) {
            (0 | 1, ..) => Some("usages 0 and 1 are not for SMTP"),
            (4.., ..) => Some("its usage is unknown"),
            (_, 2.., _) => Some("its selector is unknown"),
            (_, _, 3..) => Some("its matching type is unknown"),
            (_, _, 1) if length != 32 => Some("its data is not as long as a SHA-256"),
            (_, _, 2) if length != 64 => Some("its data is not as long as a SHA-512"),
            (_, 0, 0) if Certificate::parse(&self.data).is_none() => Some("its data is no certificate"),
            (_, 1, 0) if SubjectPublicKeyInfoOwned::from_der(&self.data).is_err() => {
                Some("its data is no public key")
            }
            _ => None,
        }
    }

    /// Whether it is for an authority of the domain's own.
    pub(crate) fn is_authority(&self) -> bool {
        self.usage == DANE_TA
    }

    /// Whether it is for the server's own certificate or key.
    pub(crate) fn is_server(&self) -> bool {
        self.usage == DANE_EE
    }

    /// Whether it says what a certificate is. Whether that makes the certificate a good one is for `dane`.
    pub(crate) fn matches(&self, certificate: &[u8]) -> bool {
        association(self.selector, self.matching, certificate).is_some_and(|data| data == self.data)
    }

    /// What is to be used of a set: the usable records, and of digests for one usage and selector only the
    /// strongest (RFC 7671 section 9). Records with the octets themselves always stay.
    pub(crate) fn strongest(records: &[Tlsa]) -> Vec<Tlsa> {
        let usable: Vec<_> = records.iter().filter(|record| record.unusable().is_none()).collect();
        let outdone = |record: &Tlsa| {
            record.matching == 1
                && usable.iter().any(|other| {
                    (other.usage, other.selector, other.matching) == (record.usage, record.selector, 2)
                })
        };
        usable.iter().filter(|record| !outdone(record)).map(|record| (*record).clone()).collect()
    }
}

/// The certificate association data of a certificate (RFC 6698 section 2.1).
fn association(selector: u8, matching: u8, certificate: &[u8]) -> Option<Vec<u8>> {
    let of = match selector {
        0 => FingerprintOf::Certificate,
        1 => FingerprintOf::PublicKey,
        _ => return None,
    };
    let octets = of.octets(certificate)?;
    match matching {
        0 => Some(octets.to_vec()),
        1 => Some(Digest::Sha256.of(octets)),
        2 => Some(Digest::Sha512.of(octets)),
        _ => None,
    }
}

/// The presentation form (RFC 6698 section 2.2), without blanks in the data: `3 1 1 0f1e...`.
impl fmt::Display for Tlsa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {} {}", self.usage, self.selector, self.matching, hex(&self.data))
    }
}

/// Reads the presentation form: three numbers, then hex digits of either case with blanks anywhere between.
impl FromStr for Tlsa {
    type Err = Error;

    fn from_str(text: &str) -> Result<Tlsa, Error> {
        let unfit = |why: &str| {
            let message = format!("\"{}\" is no TLSA record: {why}", escape(text.as_bytes()));
            Error::local(Code::Argument, message)
        };
        // No record that the DNS can carry is longer.
        if text.len() > 4 * 65_536 {
            return Err(unfit("it is too long"));
        }
        let mut words = text.split_ascii_whitespace();
        let mut number = || {
            let word = words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
            word.and_then(|word| word.parse().ok())
                .ok_or_else(|| unfit("it begins with three numbers up to 255"))
        };
        let (usage, selector, matching) = (number()?, number()?, number()?);
        let data =
            unhex(&words.collect::<String>()).ok_or_else(|| unfit("its data are pairs of hex digits"))?;
        Ok(Tlsa { usage, selector, matching, data })
    }
}
