//! Gives what libFuzzer makes to `src/server.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smtptls_fuzz::server::run(data));
