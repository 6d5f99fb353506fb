//! Gives what libFuzzer makes to `src/files.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smtptls_fuzz::files::run(data));
