//! Policy: what is demanded of a destination.

use pyo3::prelude::*;
use smtptls::Level;

use crate::arguments::{LevelLike, Sni};
use crate::enums::Enum;
use crate::errors::raised;

/// What is demanded of a destination.
///
/// level: for a client, what is demanded of the server: "may", "encrypt" or "verify". For a server, whether
/// STARTTLS is offered ("may") or required ("encrypt").
/// names: the names that the certificate may be for, in place of the session's host: host names, IP
/// addresses, or ".example.com" for any host below that domain.
/// sni: the name to send in the TLS handshake; None sends none. The default is the session's host.
#[pyclass(frozen, module = "smtptls", weakref)]
pub struct Policy(pub smtptls::Policy);

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (level=LevelLike(Level::Verify), *, names=vec![], sni=Sni::Host))]
    #[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
    fn new(level: LevelLike, names: Vec<String>, sni: Sni) -> PyResult<Self> {
        let build = || {
            let mut policy = smtptls::Policy::new(level.0);
            for name in &names {
                policy.add_name(name)?;
            }
            match &sni {
                Sni::Host => {}
                Sni::None => drop(policy.set_sni(None)?),
                Sni::Name(name) => drop(policy.set_sni(Some(name))?),
            }
            Ok(Policy(policy))
        };
        build().map_err(|error: smtptls::Error| raised(&error))
    }

    /// The level that was asked for.
    #[getter]
    fn level(&self) -> Enum<Level> {
        Enum(self.0.level())
    }
}
