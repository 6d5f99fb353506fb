//! STARTTLS for SMTP (RFC 3207), client and server, on rustls.
//!
//! ```text
//!                  Config            Policy
//!             who we are, whom    what we demand
//!               we trust           of the peer
//!                     \             /
//!    bytes in -> feed  [ Session ]  read   -> bytes of the program
//!   bytes out <- output            write  <-
//!                       |      \
//!                     Info     Error
//! ```
//!
//! A [`Session`] does no I/O: event loops and tests carry its bytes. A [`Stream`] drives a session over a
//! [`Transport`] with deadlines, and [`Fd`] is the transport over descriptors.
//!
//! `start` is `Done` only when TLS is up and the policy is met. Everything else is an [`Error`], whose
//! [`Action`] says what the policy lets the program do; plaintext that the policy allows is such an error.
//!
//! # Where things are
//!
//! | module | what it holds |
//! | --- | --- |
//! | `code`, `error`, `action`, `tlsrpt` | what went wrong, what to do, what to report: tables |
//! | `level`, `policy`, `name`, `fingerprint` | what we demand |
//! | `config`, `pem`, `roots`, `keypair`, `resolver`, `provider` | who we are and whom we trust |
//! | `verifier`, `chain`, `x509` | the handshake's certificate, and its judgement |
//! | `buffer`, `line`, `reply`, `command`, `dialog` | SMTP up to TLS: bounded lines, replies, the table |
//! | `tls`, `observe`, `session`, `info` | TLS, its hooks, the engine, the snapshot |
//! | `stream`, `fd` | the blocking driver, and descriptors |
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![deny(unsafe_code)]

mod action;
mod buffer;
mod chain;
mod code;
mod command;
mod config;
mod dialog;
mod error;
mod fd;
mod fingerprint;
mod info;
mod keypair;
mod level;
mod line;
mod name;
mod observe;
mod pem;
mod policy;
mod provider;
mod reply;
mod resolver;
mod role;
mod roots;
mod session;
mod stream;
mod tls;
mod tlsrpt;
mod verifier;
mod x509;

pub use action::Action;
pub use code::Code;
pub use config::{Config, ConfigBuilder, TlsVersion};
pub use error::{Error, escape};
pub use fd::{Fd, Mode};
pub use fingerprint::FingerprintOf;
pub use info::{Auth, Info};
pub use level::Level;
pub use policy::Policy;
pub use role::{Protocol, Role};
pub use session::{Close, Entry, Progress, Session};
pub use stream::{Deadline, Limit, Stream, Transport};
pub use tlsrpt::Tlsrpt;

/// The version of the library.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
