//! One interpreter of a process, the first that imports the module: its classes are made once, and shared.
//!
//! From 3.12 CPython refuses by itself where a subinterpreter is isolated, but not those of mod_wsgi and uWSGI.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// Whose module this is, as the address of its `sys`. It is compared and no more.
static OWNER: AtomicUsize = AtomicUsize::new(0);

/// Raises ImportError in any interpreter but the first.
#[pyfunction]
pub fn claim_interpreter(py: Python<'_>) -> PyResult<()> {
    let here = py.import("sys")?.as_ptr() as usize;
    match OWNER.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed) {
        Err(owner) if owner != here => Err(PyImportError::new_err(
            "smtptls works in one interpreter of a process, and another has imported it: with mod_wsgi, \
             set WSGIApplicationGroup %{GLOBAL}; with uWSGI, single-interpreter",
        )),
        _ => Ok(()),
    }
}
