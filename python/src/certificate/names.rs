//! Names in a certificate: of its subject and issuer, and beside them in extensions.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::parts::{
    BIT_STRING, BMP_STRING, IA5_STRING, NUMERIC_STRING, OBJECT_IDENTIFIER, PRINTABLE_STRING, Part, SEQUENCE,
    SET, T61_STRING, UNIVERSAL_STRING, UTF8_STRING, bits, oid, parts, wide,
};
use crate::errors::argument;

/// What RDNs hold: types in OpenSSL's long form, each with its value.
pub type Name = Vec<Vec<(Cow<'static, str>, Value)>>;

pub fn name(part: Part<'_>) -> Option<Name> {
    let attribute = |part: Part<'_>| {
        let [kind, value] = part.parts(SEQUENCE)?[..] else { return None };
        Some((long_name(oid(kind)?), Value::parse(value)?))
    };
    let mut name = Vec::new();
    for part in part.parts(SEQUENCE)? {
        let attributes: Vec<_> = part.parts(SET)?.into_iter().map(attribute).collect::<Option<_>>()?;
        if !attributes.is_empty() {
            name.push(attributes);
        }
    }
    Some(name)
}

pub fn pairs(py: Python<'_>, name: Name) -> PyResult<Bound<'_, PyTuple>> {
    let pairs = |attributes: Vec<(_, Value)>| {
        PyTuple::new(py, attributes.into_iter().map(|(kind, value)| (kind, value.object(py))))
    };
    let parts: PyResult<Vec<_>> = name.into_iter().map(pairs).collect();
    PyTuple::new(py, parts?)
}

pub enum Value {
    Text(String),
    /// As x500UniqueIdentifier has them.
    Bits(Vec<u8>),
}

impl Value {
    /// As ASN1_STRING_to_UTF8 reads it: strings of one octet a character are Latin-1 to it.
    pub fn parse(part: Part<'_>) -> Option<Value> {
        let text = match part.tag {
            UTF8_STRING => std::str::from_utf8(part.contents).ok().map(str::to_string),
            NUMERIC_STRING | PRINTABLE_STRING | T61_STRING | IA5_STRING => {
                Some(part.contents.iter().copied().map(char::from).collect())
            }
            BMP_STRING => wide(part.contents, 2),
            UNIVERSAL_STRING => wide(part.contents, 4),
            BIT_STRING => return bits(part.contents).map(Value::Bits),
            _ => None,
        };
        text.map(Value::Text)
    }

    pub fn object(self, py: Python<'_>) -> Bound<'_, PyAny> {
        match self {
            Value::Text(text) => PyString::new(py, &text).into_any(),
            // An accident of CPython that is left as it is.
            Value::Bits(bits) if bits.is_empty() => py.None().into_bound(py),
            Value::Bits(bits) => PyBytes::new(py, &bits).into_any(),
        }
    }
}

pub enum GeneralName<'a> {
    /// What it is, and UTF-8, or what should be.
    Text(&'static str, Cow<'a, [u8]>),
    Directory(Name),
}

impl<'a> GeneralName<'a> {
    pub fn parse(part: Part<'a>) -> Option<GeneralName<'a>> {
        let text = |kind, octets: &'a [u8]| Some(GeneralName::Text(kind, octets.into()));
        let made = |kind, text: String| Some(GeneralName::Text(kind, text.into_bytes().into()));
        match part.tag {
            0xa0 => other_name(part.contents),
            0x81 => text("email", part.contents),
            0x82 => text("DNS", part.contents),
            0xa3 => text("X400Name", b"<unsupported>"),
            0xa4 => {
                let [inner] = parts(part.contents)?[..] else { return None };
                name(inner).map(GeneralName::Directory)
            }
            0xa5 => text("EdiPartyName", b"<unsupported>"),
            0x86 => text("URI", part.contents),
            0x87 => made("IP Address", address(part.contents)),
            0x88 => {
                let oid = oid(Part { tag: OBJECT_IDENTIFIER, ..part })?;
                made("Registered ID", long_name(oid).into_owned())
            }
            _ => None,
        }
    }

    pub fn pair<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        match self {
            GeneralName::Text(kind, octets) => (kind, utf8(&octets)?).into_pyobject(py),
            GeneralName::Directory(name) => ("DirName", pairs(py, name)?).into_pyobject(py),
        }
    }
}

/// The kinds that OpenSSL prints, each with its name and the type of its value.
fn other_name(contents: &[u8]) -> Option<GeneralName<'_>> {
    let [kind, value] = parts(contents)?[..] else { return None };
    let [value] = value.parts(0xa0)?[..] else { return None };
    let known = match oid(kind)?.as_str() {
        "1.3.6.1.4.1.311.20.2.3" => Some(("UPN", UTF8_STRING)),
        "1.3.6.1.5.5.7.8.5" => Some(("XmppAddr", UTF8_STRING)),
        "1.3.6.1.5.5.7.8.7" => Some(("SRVName", IA5_STRING)),
        "1.3.6.1.5.5.7.8.8" => Some(("NAIRealm", UTF8_STRING)),
        "1.3.6.1.5.5.7.8.9" => Some(("SmtpUTF8Mailbox", UTF8_STRING)),
        _ => None,
    };
    let text = match known {
        Some((label, tag)) if value.tag == tag => [label.as_bytes(), b":", value.contents].concat().into(),
        _ => b"<unsupported>"[..].into(),
    };
    Some(GeneralName::Text("othername", text))
}

fn address(octets: &[u8]) -> String {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return std::net::Ipv4Addr::from(octets).to_string();
    }
    let Ok(octets) = <[u8; 16]>::try_from(octets) else { return "<invalid>".into() };
    std::net::Ipv6Addr::from(octets).segments().map(|group| format!("{group:X}")).join(":")
}

pub fn general_names(part: Part<'_>) -> Option<Vec<GeneralName<'_>>> {
    part.parts(SEQUENCE)?.into_iter().map(GeneralName::parse).collect()
}

pub fn utf8(octets: &[u8]) -> PyResult<&str> {
    std::str::from_utf8(octets).map_err(|_| argument("a name in the certificate is not UTF-8"))
}

/// OpenSSL's name for an OID, or else the OID.
fn long_name(oid: String) -> Cow<'static, str> {
    let known = || {
        let (arc, last) = oid.rsplit_once('.')?;
        let (_, names) = LONG_NAMES.iter().find(|(known, _)| *known == arc)?;
        let last: u8 = last.parse().ok()?;
        names.iter().find(|(known, _)| *known == last).map(|(_, name)| *name)
    };
    known().map_or_else(|| Cow::Owned(oid.clone()), Cow::Borrowed)
}

/// Of the types that names have, as OpenSSL 3.0 knows them: arcs, and the last numbers in them.
#[rustfmt::skip]
const LONG_NAMES: &[(&str, &[(u8, &str)])] = &[
    ("2.5.4", &[
        (3, "commonName"), (4, "surname"), (5, "serialNumber"), (6, "countryName"), (7, "localityName"),
        (8, "stateOrProvinceName"), (9, "streetAddress"), (10, "organizationName"),
        (11, "organizationalUnitName"), (12, "title"), (13, "description"), (14, "searchGuide"),
        (15, "businessCategory"), (16, "postalAddress"), (17, "postalCode"), (18, "postOfficeBox"),
        (19, "physicalDeliveryOfficeName"), (20, "telephoneNumber"), (21, "telexNumber"),
        (22, "teletexTerminalIdentifier"), (23, "facsimileTelephoneNumber"), (24, "x121Address"),
        (25, "internationaliSDNNumber"), (26, "registeredAddress"), (27, "destinationIndicator"),
        (28, "preferredDeliveryMethod"), (29, "presentationAddress"), (30, "supportedApplicationContext"),
        (31, "member"), (32, "owner"), (33, "roleOccupant"), (34, "seeAlso"), (35, "userPassword"),
        (36, "userCertificate"), (37, "cACertificate"), (38, "authorityRevocationList"),
        (39, "certificateRevocationList"), (40, "crossCertificatePair"), (41, "name"), (42, "givenName"),
        (43, "initials"), (44, "generationQualifier"), (45, "x500UniqueIdentifier"), (46, "dnQualifier"),
        (47, "enhancedSearchGuide"), (48, "protocolInformation"), (49, "distinguishedName"),
        (50, "uniqueMember"), (51, "houseIdentifier"), (52, "supportedAlgorithms"),
        (53, "deltaRevocationList"), (54, "dmdName"), (65, "pseudonym"), (72, "role"),
        (97, "organizationIdentifier"), (98, "countryCode3c"), (99, "countryCode3n"), (100, "dnsName"),
    ]),
    ("0.9.2342.19200300.100.1", &[
        (1, "userId"), (2, "textEncodedORAddress"), (3, "rfc822Mailbox"), (4, "info"), (5, "favouriteDrink"),
        (6, "roomNumber"), (7, "photo"), (8, "userClass"), (9, "host"), (10, "manager"),
        (11, "documentIdentifier"), (12, "documentTitle"), (13, "documentVersion"), (14, "documentAuthor"),
        (15, "documentLocation"), (20, "homeTelephoneNumber"), (21, "secretary"), (22, "otherMailbox"),
        (23, "lastModifiedTime"), (24, "lastModifiedBy"), (25, "domainComponent"), (26, "aRecord"),
        (27, "pilotAttributeType27"), (28, "mXRecord"), (29, "nSRecord"), (30, "sOARecord"),
        (31, "cNAMERecord"), (37, "associatedDomain"), (38, "associatedName"), (39, "homePostalAddress"),
        (40, "personalTitle"), (41, "mobileTelephoneNumber"), (42, "pagerTelephoneNumber"),
        (43, "friendlyCountryName"), (44, "uniqueIdentifier"), (45, "organizationalStatus"),
        (46, "janetMailbox"), (47, "mailPreferenceOption"), (48, "buildingName"), (49, "dSAQuality"),
        (50, "singleLevelQuality"), (51, "subtreeMinimumQuality"), (52, "subtreeMaximumQuality"),
        (53, "personalSignature"), (54, "dITRedirect"), (55, "audio"), (56, "documentPublisher"),
    ]),
    ("1.2.840.113549.1.9", &[
        (1, "emailAddress"), (2, "unstructuredName"), (3, "contentType"), (4, "messageDigest"),
        (5, "signingTime"), (6, "countersignature"), (7, "challengePassword"), (8, "unstructuredAddress"),
        (9, "extendedCertificateAttributes"), (14, "Extension Request"), (15, "S/MIME Capabilities"),
        (16, "S/MIME"), (20, "friendlyName"), (21, "localKeyID"),
    ]),
    ("1.3.6.1.4.1.311.60.2.1", &[
        (1, "jurisdictionLocalityName"), (2, "jurisdictionStateOrProvinceName"),
        (3, "jurisdictionCountryName"),
    ]),
    ("1.3.6.1.4.1.311.20.2", &[
        (2, "Microsoft Smartcard Login"), (3, "Microsoft User Principal Name"),
    ]),
    ("1.3.6.1.5.5.7.8", &[
        (1, "id-on-personalData"), (3, "Permanent Identifier"), (5, "XmppAddr"), (7, "SRVName"),
        (8, "NAIRealm"), (9, "Smtp UTF8 Mailbox"),
    ]),
    ("1.3.6.1.5.5.7.9", &[
        (1, "id-pda-dateOfBirth"), (2, "id-pda-placeOfBirth"), (3, "id-pda-gender"),
        (4, "id-pda-countryOfCitizenship"), (5, "id-pda-countryOfResidence"),
    ]),
    ("1.2.643.100", &[
        (1, "OGRN"), (3, "SNILS"), (5, "OGRNIP"), (111, "Signing Tool of Subject"),
        (112, "Signing Tool of Issuer"), (113, "Class of Signing Tool"),
    ]),
    ("1.2.643.3.131.1", &[
        (1, "INN"),
    ]),
];
