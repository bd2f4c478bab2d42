//! JPEG and PNG files as they come.
#![no_main]
#![allow(dead_code, reason = "the room is compiled without those who use it")]

#[path = "../../../src"]
mod room {
    pub mod media;
}
#[path = "show.rs"]
mod show;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| show::show(bytes));
