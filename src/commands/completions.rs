//! `completions` and `man`: completion scripts for shells, and manual pages.

use std::path::Path;

use super::{Fault, exit, print, shown};
use crate::cli;
use crate::config::NAME;

/// Prints the completion script for a shell.
pub fn run(shell: clap_complete::Shell) -> Result<u8, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), NAME, &mut script);
    print::write(&script)?;
    Ok(exit::OK)
}

/// Writes a manual page for the program and one for each command.
pub fn write_manual(dir: &Path) -> Result<u8, Fault> {
    clap_mangen::generate_to(cli::command(), dir).map_err(|error| Fault {
        code: exit::SOME_FAILED,
        message: format!("{}: {error}", shown(dir)),
    })?;
    Ok(exit::OK)
}
