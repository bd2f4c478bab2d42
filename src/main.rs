//! Chooses what to run.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use medivision_tui::cli::{Cli, Command};
use medivision_tui::commands::{self, Fault, Setup, exit};

fn main() -> ExitCode {
    // Decoders of damaged files may panic; that is contained and must not reach the screen.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !medivision_tui::media::contained_panic() {
            medivision_tui::terminal::restore();
            usual(info);
        }
    }));
    match run(&Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            eprintln!("medivision-tui: {}", fault.message);
            ExitCode::from(fault.code)
        }
    }
}

fn run(cli: &Cli) -> Result<u8, Fault> {
    let setup = Setup::new(&cli.global)?;
    match &cli.command {
        None => commands::browse::run(cli.dir.as_deref().unwrap_or(Path::new(".")), &setup),
        Some(Command::Classify(arguments)) => commands::classify::run(arguments, &setup),
        Some(Command::Watch(arguments)) => commands::watch::run(arguments, &setup),
        Some(Command::Inspect(arguments)) => commands::inspect::run(arguments),
        Some(Command::Prompts(arguments)) => commands::prompts::run(&arguments.action, &setup),
        Some(Command::Demo(arguments)) => {
            commands::demo::write(arguments, &setup).map(|_| exit::OK)
        }
        Some(Command::Doctor(arguments)) => commands::doctor::run(arguments.json, &setup),
        Some(Command::Completions { shell }) => Ok(commands::completions::run(*shell)),
    }
}
