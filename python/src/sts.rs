//! StsPolicy and StsRecord: MTA-STS (RFC 8461). Fetching and keeping policies is the program's.

use std::time::Duration;

#[cfg(feature = "stubs")]
use pyo3::inspect::PyStaticExpr;
use pyo3::intern;
use pyo3::prelude::*;
#[cfg(feature = "stubs")]
use pyo3::type_hint_identifier;
use smtptls::StsMode;

use crate::arguments::Text;
use crate::enums::Enum;
use crate::errors::{argument, raised};
use crate::results::Texts;

/// The TXT record of _mta-sts.<domain>. Made by StsRecord.find.
#[pyclass(frozen, eq, hash, module = "smtptls", weakref)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StsRecord(smtptls::StsRecord);

#[pymethods]
impl StsRecord {
    /// The one record among the TXT records of the name, each with its strings joined (RFC 8461 section 3.1).
    /// None if none of them is for MTA-STS. Several, or a malformed one, raise ConfigError and mean the same
    /// to a
    /// sender: no policy is discovered, and a kept one stays valid.
    #[staticmethod]
    #[pyo3(signature = (records, /))]
    #[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
    fn find(records: Vec<String>) -> PyResult<Option<Self>> {
        let found = smtptls::StsRecord::find(records.iter().map(String::as_str));
        found.map(|record| record.map(StsRecord)).map_err(|error| raised(&error))
    }

    /// What changes when the policy changes.
    #[getter]
    fn id(&self) -> &str {
        self.0.id()
    }

    /// As it stands in the DNS: "v=STSv1; id=20160831085700Z;".
    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<smtptls.StsRecord {}>", self.0)
    }

    /// For pickle and copy: its text, read again.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Vec<String>,))> {
        let find = slf.get_type().getattr(intern!(slf.py(), "find"))?;
        Ok((find, (vec![slf.get().0.to_string()],)))
    }
}

/// A policy: what a domain says of its own MX hosts. Made by StsPolicy.parse.
#[pyclass(frozen, eq, hash, module = "smtptls", weakref)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StsPolicy(pub smtptls::StsPolicy);

#[pymethods]
impl StsPolicy {
    /// Reads the text of a policy (RFC 8461 section 3.2), with lines that end in CRLF or LF. Of keys that
    /// stand twice the first counts, but of mx; unknown ones are passed over.
    #[staticmethod]
    #[pyo3(signature = (text, /))]
    #[allow(clippy::needless_pass_by_value)]
    fn parse(text: Text) -> PyResult<Self> {
        smtptls::StsPolicy::parse(&text).map(StsPolicy).map_err(|error| raised(&error))
    }

    /// What it demands.
    #[getter]
    fn mode(&self) -> Enum<StsMode> {
        Enum(self.0.mode())
    }

    /// For how many seconds after it was fetched it may be used: at most a year.
    #[getter]
    fn max_age(&self) -> u64 {
        self.0.max_age()
    }

    /// The patterns for MX hosts, in lower case: host names, and "*." before a domain.
    #[getter]
    fn mx(&self) -> Texts<'_> {
        self.0.mx().into()
    }

    /// Whether a pattern fits this MX host (RFC 8461 section 4.1): "*." stands for exactly one label.
    #[pyo3(signature = (host, /))]
    fn matches(&self, host: &str) -> bool {
        self.0.matches(host)
    }

    /// Whether it may still be used, by times in seconds since 1970. A policy from the future may.
    #[allow(clippy::needless_pass_by_value)]
    fn is_current(&self, fetched: Time, now: Time) -> bool {
        self.0.is_current(fetched.0, now.0)
    }

    /// Whether it is time to fetch it again, so that it does not run out unseen (RFC 8461 section 3.3):
    /// after a day, or after half of its time if that is shorter; also if fetched is as far ahead of now,
    /// since then a clock was wrong.
    #[allow(clippy::needless_pass_by_value)]
    fn needs_refresh(&self, fetched: Time, now: Time) -> bool {
        self.0.needs_refresh(fetched.0, now.0)
    }

    /// Which policy holds (RFC 8461 sections 3.3 and 5.1): one just fetched, else a kept one that is still
    /// current, whatever the DNS says, else none. kept is a policy and the time of its fetching.
    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn in_force(fetched: Option<&Self>, kept: Option<(Py<Self>, Time)>, now: Time) -> Option<Self> {
        let kept = kept.as_ref().map(|(policy, time)| (&policy.get().0, time.0));
        smtptls::StsPolicy::in_force(fetched.map(|policy| &policy.0), kept, now.0).cloned().map(StsPolicy)
    }

    /// The text of the policy.
    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        let mx = self.0.mx().join(", ");
        format!("<smtptls.StsPolicy {} {mx}>", self.0.mode().name())
    }

    /// For pickle and copy: its text, read again.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let parse = slf.get_type().getattr(intern!(slf.py(), "parse"))?;
        Ok((parse, (slf.get().0.to_string(),)))
    }
}

/// Whole seconds since 1970, from what time.time() gives.
pub(crate) struct Time(pub u64);

impl<'py> FromPyObject<'_, 'py> for Time {
    type Error = PyErr;

    #[cfg(feature = "stubs")]
    const INPUT_TYPE: PyStaticExpr = type_hint_identifier!("builtins", "float");

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let time = Duration::try_from_secs_f64(given.extract()?);
        time.map(|time| Time(time.as_secs()))
            .map_err(|_| argument("a time is a number of seconds since 1970"))
    }
}
