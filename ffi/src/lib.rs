//! The C library: what include/smtptls.h declares, each function a few lines over the engine.
//!
//! `boundary` is where C meets Rust: NULL, numbers out of range and panics end there. The files after it hold
//! one noun of the header each; their doc comments are the header's.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![allow(non_camel_case_types)] // Types are spelt as in C.
#![allow(clippy::missing_safety_doc)] // The doc comments become the header's, for readers of C.

mod boundary;
mod config;
mod error;
mod info;
mod numbers;
mod policy;
mod session;
mod sts;
mod version;
