//! KeyPair: a certificate chain and its private key with what belongs to them; and the pairs that a call was given.

use std::path::PathBuf;

#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
#[cfg(feature = "stubs")]
use pyo3::{PyTypeInfo, type_hint_union};
use smtptls::{ConfigBuilder, Error};

use crate::arguments::Text;
use crate::results::Texts;

/// A key pair in files, for Config, where a pair of paths says too little.
///
/// chain: the path of the certificate chain in PEM.
/// key: the path of its private key in PEM; it may be the same file. None for one that is elsewhere, in
/// another process or in a device: then Session.start raises WantSignature, and the program has it sign.
/// names: names to use it for besides those in the certificate: host names, and ".example.com" for any below
/// that domain.
/// ocsp: the path of an OCSP response in DER, which is stapled. It is read with the pair, and again with it.
/// What it says, and for how long, is for clients to judge.
#[pyclass(frozen, eq, hash, module = "smtptls", weakref)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyPair {
    chain: PathBuf,
    key: Option<PathBuf>,
    names: Vec<String>,
    ocsp: Option<PathBuf>,
}

#[pymethods]
impl KeyPair {
    #[new]
    #[pyo3(signature = (chain, key, names=vec![], ocsp=None))]
    fn new(chain: PathBuf, key: Option<PathBuf>, names: Vec<String>, ocsp: Option<PathBuf>) -> Self {
        KeyPair { chain, key, names, ocsp }
    }

    /// The path of the certificate chain.
    #[getter]
    fn chain(&self) -> PathBuf {
        self.chain.clone()
    }

    /// The path of the private key; None if it is elsewhere.
    #[getter]
    fn key(&self) -> Option<PathBuf> {
        self.key.clone()
    }

    /// The names to use it for besides those in the certificate.
    #[getter]
    fn names(&self) -> Texts<'_> {
        self.names.as_slice().into()
    }

    /// The path of the OCSP response; None for no staple.
    #[getter]
    fn ocsp(&self) -> Option<PathBuf> {
        self.ocsp.clone()
    }

    /// For pickle and copy.
    fn __getnewargs__(&self) -> (PathBuf, Option<PathBuf>, Texts<'_>, Option<PathBuf>) {
        (self.chain(), self.key(), self.names(), self.ocsp())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text = |path: &PathBuf| PyResult::Ok(path.as_os_str().into_pyobject(py)?.repr()?.to_string());
        let names = PyTuple::new(py, &self.names)?.repr()?;
        let maybe = |path: &Option<PathBuf>| path.as_ref().map_or(Ok("None".to_string()), text);
        let (chain, key, ocsp) = (text(&self.chain)?, maybe(&self.key)?, maybe(&self.ocsp)?);
        Ok(format!("KeyPair({chain}, {key}, names={names}, ocsp={ocsp})"))
    }
}

/// A KeyPair, or a pair of paths.
pub struct KeyPairLike(KeyPair);

impl<'py> FromPyObject<'_, 'py> for KeyPairLike {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_union!(
        <KeyPair as PyTypeInfo>::TYPE_HINT,
        <(PathBuf, PathBuf) as FromPyObject<'_, '_>>::INPUT_TYPE
    );

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(pair) = given.cast::<KeyPair>() {
            return Ok(KeyPairLike(pair.get().clone()));
        }
        let (chain, key) = given.extract()?;
        Ok(KeyPairLike(KeyPair { chain, key: Some(key), names: Vec::new(), ocsp: None }))
    }
}

/// The key pairs that a call was given.
pub struct Pairs {
    /// `keypairs`.
    pub files: Vec<KeyPairLike>,
    /// `keypairs_files`.
    pub mixed: Vec<PathBuf>,
    /// `keypairs_pem`.
    pub texts: Vec<(Text, Text)>,
}

impl Pairs {
    /// Adds them, in this order: the first of all serves clients that name none or an unknown one.
    pub fn add_to(&self, config: &mut ConfigBuilder) -> Result<(), Error> {
        for KeyPairLike(pair) in &self.files {
            match &pair.key {
                Some(key) => config.add_keypair_file(&pair.chain, key)?,
                None => config.add_certificate_file(&pair.chain)?,
            };
            for name in &pair.names {
                config.add_keypair_name(name)?;
            }
            if let Some(path) = &pair.ocsp {
                config.set_ocsp_file(path)?;
            }
        }
        for path in &self.mixed {
            config.add_keypairs_file(path)?;
        }
        for (chain, key) in &self.texts {
            config.add_keypair_pem(chain, key)?;
        }
        Ok(())
    }
}
