//! A Config in the making, for SSLContext: settings come one by one, and may change after it was made.

use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::prelude::*;
use smtptls::{ClientAuth, Error, TlsVersion};

use crate::arguments::{ByName, Data, Names};
use crate::config::Config;
use crate::enums::Enum;
use crate::errors::{argument, raised};
use crate::session::bug;

/// A Config in the making. A call that fails changes nothing.
#[pyclass(frozen, module = "smtptls._native")]
pub struct ConfigBuilder(Mutex<smtptls::ConfigBuilder>);

impl ConfigBuilder {
    /// Tries it on a copy first: the engine's own is spoilt for good by a failure.
    fn change<R: Send>(
        &self,
        py: Python<'_>,
        step: impl FnOnce(&mut smtptls::ConfigBuilder) -> Result<R, Error> + Send,
    ) -> PyResult<R> {
        // The lock is held as long as it takes, so that two changes are one after the other; and never by who waits
        // for Python.
        let result = py.detach(|| {
            let mut builder = self.0.lock().ok()?;
            let mut changed = builder.clone();
            let result = step(&mut changed);
            if result.is_ok() {
                *builder = changed;
            }
            Some(result)
        });
        result.ok_or_else(bug)?.map_err(|error| raised(&error))
    }
}

#[pymethods]
#[allow(clippy::needless_pass_by_value)] // What Python gives comes by value.
impl ConfigBuilder {
    #[new]
    fn new() -> Self {
        let mut builder = smtptls::Config::builder();
        builder.alpn_of_many(true).service("ssl");
        ConfigBuilder(Mutex::new(builder))
    }

    fn add_system_roots(&self, py: Python<'_>) -> PyResult<()> {
        self.change(py, |builder| builder.add_system_roots().map(drop))
    }

    fn add_roots_file(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.change(py, |builder| builder.add_roots_file(path).map(drop))
    }

    fn add_roots_directory(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.change(py, |builder| builder.add_roots_directory(path).map(drop))
    }

    fn add_roots_pem(&self, py: Python<'_>, pem: Data) -> PyResult<()> {
        self.change(py, |builder| builder.add_roots_pem(&pem).map(drop))
    }

    fn add_roots_der(&self, py: Python<'_>, der: Data) -> PyResult<()> {
        self.change(py, |builder| builder.add_roots_der(&der).map(drop))
    }

    fn replace_keypair_file(&self, py: Python<'_>, chain: PathBuf, key: PathBuf) -> PyResult<()> {
        self.change(py, |builder| builder.replace_keypair_file(chain, key).map(drop))
    }

    /// Gives the words that name none which the library has.
    fn ciphers(&self, py: Python<'_>, list: Names) -> PyResult<Vec<String>> {
        self.change(py, |builder| builder.ciphers(&list.0))
    }

    fn groups(&self, py: Python<'_>, list: Names) -> PyResult<Vec<String>> {
        self.change(py, |builder| builder.groups(&list.0))
    }

    fn alpn(&self, py: Python<'_>, protocols: Vec<Data>) -> PyResult<()> {
        let protocols: Vec<_> = protocols.iter().map(|protocol| &**protocol).collect();
        self.change(py, |builder| builder.alpn(&protocols).map(drop))
    }

    fn ticket_keys(&self, py: Python<'_>, keys: Vec<Data>) -> PyResult<()> {
        let keys: Vec<_> = keys.iter().map(|key| &**key).collect();
        self.change(py, |builder| builder.ticket_keys(&keys).map(drop))
    }

    /// A Config of what is set now, and of these.
    fn freeze(
        &self,
        py: Python<'_>,
        min_version: Enum<TlsVersion>,
        max_version: Enum<TlsVersion>,
        client_auth: ByName<ClientAuth>,
        tickets: isize,
    ) -> PyResult<Config> {
        let tickets = usize::try_from(tickets).map_err(|_| argument("tickets is a count of tickets"))?;
        let mut builder = self.0.lock().map_err(|_| bug())?.clone();
        builder.min_version(min_version.0).max_version(max_version.0);
        builder.client_auth(client_auth.0, false).tickets(tickets);
        let frozen = py.detach(|| builder.freeze()).map_err(|error| raised(&error))?;
        Ok(Config { frozen, unknown_ciphers: Vec::new(), unknown_groups: Vec::new() })
    }
}
