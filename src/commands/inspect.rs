//! `inspect`
use super::Fault;
/// x
pub fn run(_a: &crate::cli::Inspect) -> Result<u8, Fault> { Ok(0) }
