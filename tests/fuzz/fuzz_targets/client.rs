//! Gives what libFuzzer makes to `src/client.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smtptls_fuzz::client::run(data));
