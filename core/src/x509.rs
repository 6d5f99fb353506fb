//! What is read out of a certificate besides its path: names for people, and the bare public key.

use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Reader as _, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A certificate read without judging it: X.509 v1 and broken extensions are fine.
pub(crate) struct Certificate(CertificateInner<Raw>);

impl Certificate {
    pub fn parse(der: &[u8]) -> Option<Certificate> {
        CertificateInner::<Raw>::from_der(der).ok().map(Certificate)
    }

    pub fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        self.0.tbs_certificate().subject_public_key_info()
    }

    /// The length of an RSA key's modulus; nothing if the key is of another kind.
    pub fn rsa_bits(&self) -> Option<usize> {
        let spki = self.public_key();
        if spki.algorithm.oid != RSA_ENCRYPTION {
            return None;
        }
        let mut reader = SliceReader::new(spki.subject_public_key.as_bytes()?).ok()?;
        // RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } (RFC 8017 appendix A.1.1)
        reader
            .sequence(|reader| {
                let modulus = UintRef::decode(reader)?;
                UintRef::decode(reader)?;
                let unused = modulus.as_bytes().first().map_or(0, |octet| octet.leading_zeros() as usize);
                Ok::<_, x509_cert::der::Error>(modulus.as_bytes().len() * 8 - unused)
            })
            .ok()
    }

    /// As in RFC 4514, fit for one line of a log.
    pub fn subject(&self) -> String {
        printable(&self.0.tbs_certificate().subject().to_string())
    }

    /// As in RFC 4514, fit for one line of a log.
    pub fn issuer(&self) -> String {
        printable(&self.0.tbs_certificate().issuer().to_string())
    }
}

/// Control characters as RFC 4514 section 2.4 writes them, a backslash and two hexadecimal digits an octet:
/// a name must not break a log or a header apart.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            let mut octets = [0; 4];
            for octet in character.encode_utf8(&mut octets).bytes() {
                printable.push_str(&format!("\\{octet:02X}"));
            }
        } else {
            printable.push(character);
        }
    }
    printable
}
