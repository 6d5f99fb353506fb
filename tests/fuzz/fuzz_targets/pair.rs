//! Gives what libFuzzer makes to `src/pair.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smtptls_fuzz::pair::run(data));
