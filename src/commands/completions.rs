//! `completions`: a script for the user's shell.

use clap::CommandFactory;

use super::exit;
use crate::cli::Cli;
use crate::config::NAME;

/// Writes the script to stdout.
pub fn run(shell: clap_complete::Shell) -> u8 {
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut std::io::stdout());
    exit::OK
}
