//! The Python module smtptls._native: the nouns of the engine as Python classes.
//!
//! What is better said in Python stands in the package beside it: exceptions, enums, file objects.

mod arguments;
mod builder;
mod certificate;
mod channel;
mod config;
mod enums;
mod errors;
mod fingerprint;
mod info;
mod interpreter;
mod keypair;
mod policy;
mod results;
mod session;
mod signature;
mod socket;
mod sts;
mod tlsa;

#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use super::builder::ConfigBuilder;
    #[pymodule_export]
    use super::certificate::certificate_dict;
    #[pymodule_export]
    use super::channel::Channel;
    #[pymodule_export]
    use super::config::Config;
    #[pymodule_export]
    use super::enums::tables;
    #[pymodule_export]
    use super::errors::escape;
    #[pymodule_export]
    use super::fingerprint::fingerprint;
    #[pymodule_export]
    use super::info::Info;
    #[pymodule_export]
    use super::interpreter::claim_interpreter;
    #[pymodule_export]
    use super::keypair::KeyPair;
    #[pymodule_export]
    use super::policy::Policy;
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::signature::SignatureRequest;
    #[pymodule_export]
    use super::sts::{StsPolicy, StsRecord};
    #[pymodule_export]
    use super::tlsa::Tlsa;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = smtptls::VERSION;
}
