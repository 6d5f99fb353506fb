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
//! | `code`, `error`, `action`, `tlsrpt`, `outcome` | what went wrong, what to do, what to report: tables |
//! | `level`, `policy`, `name`, `fingerprint`, `dnssec`, `tlsa`, `sts` | what we demand |
//! | `demand` | what that comes to for a host: precedence, effective level |
//! | `config`, `pem`, `roots`, `revocation`, `keypair`, `resolver`, `resumption`, `ticket`, `ticket_file`, `signing`, `provider`, `suites` | who we are and whom we trust |
//! | `clock`, `verifier`, `verdict`, `chain`, `dane`, `path`, `x509`, `requiretls` | the handshake's certificate, and its judgement |
//! | `buffer`, `line`, `reply`, `command`, `dialog` | SMTP up to TLS: bounded lines, replies, the table |
//! | `tls`, `tls_failure`, `observe`, `replay`, `session`, `info` | TLS, its hooks, the engine, the snapshot |
//! | `stream`, `fd` | the blocking driver, and descriptors |
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![deny(unsafe_code)]

mod action;
mod buffer;
mod chain;
mod clock;
mod code;
mod command;
mod config;
mod dane;
mod demand;
mod dialog;
mod dnssec;
mod error;
mod fd;
mod file;
mod fingerprint;
mod info;
mod keypair;
mod level;
mod line;
mod name;
mod observe;
mod outcome;
mod path;
mod pem;
mod policy;
mod provider;
mod replay;
mod reply;
mod requiretls;
mod resolver;
mod resumption;
mod revocation;
mod role;
mod roots;
mod session;
mod signatures;
mod signing;
mod stream;
mod sts;
mod suites;
mod ticket;
mod ticket_file;
mod tls;
mod tls_failure;
mod tlsa;
mod tlsrpt;
mod verdict;
mod verifier;
mod x509;

pub use action::Action;
pub use code::Code;
pub use config::{ClientAuth, Config, ConfigBuilder, TlsVersion};
pub use dnssec::Dnssec;
pub use error::{Error, escape};
pub use fd::{Fd, Mode};
pub use fingerprint::{Digest, FingerprintOf};
pub use info::{Auth, Info};
pub use level::Level;
pub use policy::Policy;
pub use role::{Protocol, Role};
pub use session::{Close, Entry, Progress, Session};
pub use signing::SignatureRequest;
pub use stream::{Deadline, Limit, Stream, Transport};
pub use sts::{StsMode, StsPolicy, StsRecord};
pub use tlsa::Tlsa;
pub use tlsrpt::{Report, Tlsrpt};

/// The version of the library.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
