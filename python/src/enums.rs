//! The engine's tables of names and numbers, and their values as members of Python's enums.

use std::fmt::Debug;

use pyo3::exceptions::PyTypeError;
#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::prelude::*;
use pyo3::types::PyBool;
use smtptls::{
    Action, Auth, ClientAuth, Close, Code, Digest, Dnssec, Entry, Error, FingerprintOf, Level, Protocol,
    StsMode, TlsVersion, Tlsrpt,
};

use crate::errors::{self, WANT_INPUT, WANT_OUTPUT, WANT_SIGNATURE};

/// The members of a Python enum: name and number.
type Table = Vec<(String, i32)>;

/// An enum of the engine, which Python has as an IntEnum.
pub trait Numbered: Copy + Debug + 'static {
    /// The name of Python's class.
    const CLASS: &'static str;
    const ALL: &'static [Self];
    fn number(self) -> i32;
    /// What Python calls it.
    fn member(self) -> String;
}

/// One whose members have names in logs and configuration files.
pub trait Named: Numbered {
    fn name(self) -> &'static str;
}

macro_rules! numbered {
    ($($name:ident $member:expr;)*) => {
        $(impl Numbered for $name {
            const CLASS: &'static str = stringify!($name);
            const ALL: &'static [Self] = $name::ALL;
            fn number(self) -> i32 { $name::number(self) }
            fn member(self) -> String { $member(self) }
        })*

        /// The name and the members of each enum, as the engine has them.
        #[pyfunction]
        pub fn tables() -> Vec<(&'static str, Table)> {
            vec![$((stringify!($name), table::<$name>())),*]
        }
    };
}

macro_rules! named {
    ($($name:ident)*) => {
        $(impl Named for $name {
            fn name(self) -> &'static str { $name::name(self) }
        })*
    };
}

numbered! {
    Code from_name;
    Action from_name;
    Level from_name;
    Entry from_variant;
    Auth from_name;
    ClientAuth from_name;
    Close from_variant;
    Protocol from_variant;
    TlsVersion from_variant;
    FingerprintOf from_variant;
    Digest from_name;
    Dnssec from_name;
    StsMode from_name;
    Tlsrpt from_name;
}

named! { Code Action Level Auth ClientAuth Digest Dnssec StsMode Tlsrpt }

fn table<T: Numbered>() -> Table {
    let mut table: Table = T::ALL.iter().map(|value| (value.member(), value.number())).collect();
    if T::CLASS == Code::CLASS {
        // The engine says these by another type, `Progress`; C and Python say them by number.
        table.push(("WANT_INPUT".to_string(), WANT_INPUT));
        table.push(("WANT_OUTPUT".to_string(), WANT_OUTPUT));
        table.push(("WANT_SIGNATURE".to_string(), WANT_SIGNATURE));
    }
    table
}

/// `next-host` becomes `NEXT_HOST`, and `SMTPTLS_ERR_EOF` becomes `EOF`.
fn from_name<T: Named>(value: T) -> String {
    value.name().trim_start_matches("SMTPTLS_ERR_").to_ascii_uppercase().replace('-', "_")
}

/// `PublicKey` becomes `PUBLIC_KEY`, and `Tls12` becomes `TLS1_2`.
fn from_variant<T: Numbered>(value: T) -> String {
    let mut python = String::new();
    let mut before = '_';
    for letter in format!("{value:?}").chars() {
        let begins = letter.is_ascii_uppercase() && before != '_';
        if begins || (letter.is_ascii_digit() && before.is_ascii_digit()) {
            python.push('_');
        }
        python.push(letter.to_ascii_uppercase());
        before = letter;
    }
    python
}

/// A value of an enum on its way to or from Python.
#[derive(Clone, Copy)]
pub struct Enum<T>(pub T);

impl<'py, T: Numbered> IntoPyObject<'py> for Enum<T> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = hint::<T>();

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("smtptls._enums")?.getattr(T::CLASS)?.call1((self.0.number(),))
    }
}

impl<'py, T: Numbered> IntoPyObject<'py> for &Enum<T> {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const OUTPUT_TYPE: PyStaticExpr = hint::<T>();

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        (*self).into_pyobject(py)
    }
}

impl<'py, T: Numbered> FromPyObject<'_, 'py> for Enum<T> {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = hint::<T>();

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        // True is an int, and hardly what was meant.
        let number: Option<i32> = if given.is_instance_of::<PyBool>() { None } else { given.extract().ok() };
        let Some(number) = number else {
            let kind = given.get_type().name()?;
            return Err(PyTypeError::new_err(format!("expected {}, got {kind}", T::CLASS)));
        };
        T::ALL.iter().copied().find(|value| value.number() == number).map(Enum).ok_or_else(|| {
            let message = format!("{number} is not a valid {}", T::CLASS);
            errors::raised(&Error::local(Code::Argument, message))
        })
    }
}

#[cfg(feature = "stubs")]
pub const fn hint<T: Numbered>() -> PyStaticExpr {
    PyStaticExpr::Attribute { value: &PyStaticExpr::Name { id: "smtptls._enums" }, attr: T::CLASS }
}
