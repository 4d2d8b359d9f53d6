//! See `src/lib.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| chancery_fuzz::credentials(input));
