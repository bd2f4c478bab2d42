//! Fuzzes JPEG and PNG files.
#![no_main]

#[path = "show.rs"]
mod show;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| show::show(bytes));
