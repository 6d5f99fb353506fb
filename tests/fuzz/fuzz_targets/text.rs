//! Gives what libFuzzer makes to `src/text.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smtptls_fuzz::text::run(data));
