//! Fingerprints of certificates and of public keys, for tables and for `Policy`.

use pyo3::prelude::*;
use smtptls::{Digest, FingerprintOf};

use crate::arguments::{ByName, Data};
use crate::enums::Enum;
use crate::errors::argument;

/// The fingerprint of a certificate in DER, or of its public key: the algorithm, a colon and lower case hex.
/// Raises ConfigError if no public key can be found in it.
#[pyfunction]
#[pyo3(signature = (certificate, /, of=Enum(FingerprintOf::Certificate), digest=ByName(Digest::Sha256)))]
#[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
pub fn fingerprint(certificate: Data, of: Enum<FingerprintOf>, digest: ByName<Digest>) -> PyResult<String> {
    let fingerprint = of.0.fingerprint(digest.0, &certificate);
    fingerprint.ok_or_else(|| argument("no public key can be found in the certificate"))
}
