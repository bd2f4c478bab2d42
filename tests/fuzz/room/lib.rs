//! The media room alone, by links to its sources.
#![allow(dead_code, reason = "the room is compiled without those who use it")]

pub mod media;
