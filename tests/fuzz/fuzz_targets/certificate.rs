//! Gives what libFuzzer makes to `src/certificate.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smtptls_fuzz::certificate::run(data));
