//! Gives what libFuzzer makes to `src/c_api.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smtptls_fuzz::c_api::run(data));
