//! Chooses what to run.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::panic::PanicHookInfo;
use std::path::Path;

use clap::FromArgMatches;
use medivision_tui::cli::{self, Cli, Command};
use medivision_tui::commands::{self, Fault, Setup, exit, print};
use medivision_tui::media::{LargePages, keep_freed_buffers};

#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

/// libtorch's threads would spin while they wait for each other, and so take the cores from the decoders. libgomp
/// reads how to wait when it is loaded, which is before `main`; this runs before that. A user's own setting stays.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".preinit_array")]
static WAIT_PASSIVELY: extern "C" fn() = {
    extern "C" fn set() {
        // SAFETY: both are C strings; no other thread exists yet.
        unsafe { libc::setenv(c"OMP_WAIT_POLICY".as_ptr(), c"PASSIVE".as_ptr(), 0) };
    }
    set
};

/// What Rust ends a process with that panics.
const PANICKED: u8 = 101;

fn main() {
    std::panic::set_hook(Box::new(on_panic));
    keep_freed_buffers();
    let outcome = std::panic::catch_unwind(|| run(&parse()?));
    commands::leave(match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(fault)) => {
            print::message(format_args!("medivision-tui: {}", fault.message));
            fault.code
        }
        Err(_) => PANICKED,
    })
}

/// Reads the command line. Where it asks for help, or is wrong, the program ends here.
fn parse() -> Result<Cli, Fault> {
    let first = std::env::args_os().nth(1).unwrap_or_default();
    if let Some(meant) = first.to_str().and_then(cli::meant) {
        let reason = "neither a command nor a folder";
        return Err(Fault::usage(format!(
            "{}: {reason}; did you mean `{meant}`?",
            first.display()
        )));
    }
    let parsed = cli::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.or_else(|error| print::usage(&error))
}

/// A decoder that gives up on a damaged file, or a model that fails, is contained and becomes a line of its own; only
/// the main thread's panic ends the program, and then the terminal is given back first.
fn on_panic(info: &PanicHookInfo) {
    if medivision_tui::media::is_contained() {
        return;
    }
    if std::thread::current().name() == Some("main") {
        medivision_tui::graphics::restore();
        print::message(format_args!(
            "medivision-tui: a fault inside the program, please report it: {info}"
        ));
    } else {
        tracing::error!("{info}");
    }
}

/// Messages go to stderr, which leads to the log while the screen is up.
fn start_logging(setup: &Setup) {
    let to = tracing_subscriber::fmt()
        .with_writer(|| print::Harmless::new(std::io::stderr()))
        .with_max_level(setup.log_level);
    to.with_ansi(false).init();
}

fn run(cli: &Cli) -> Result<u8, Fault> {
    let mut wrong = None;
    let setup = match Setup::new(&cli.global) {
        Err(fault) if matches!(cli.command, Some(Command::Doctor(_))) => {
            // It looks at the rest all the same.
            wrong = Some(fault);
            Setup::without_file(&cli.global)?
        }
        setup => setup?,
    };
    start_logging(&setup);
    medivision_tui::media::budget::decoding().set_total(setup.memory);
    match &cli.command {
        None => commands::browse::run(cli.dir.as_deref().unwrap_or(Path::new(".")), &setup, true),
        Some(Command::Classify(arguments)) => commands::classify::run(arguments, &setup),
        Some(Command::Watch(arguments)) => commands::watch::run(arguments, &setup),
        Some(Command::Inspect(arguments)) => commands::inspect::run(arguments),
        Some(Command::Eval(arguments)) => commands::eval::run(arguments, &setup),
        Some(Command::Bench(arguments)) => commands::bench::run(arguments, &setup),
        Some(Command::Models(arguments)) => commands::models::run(&arguments.action, &setup),
        Some(Command::Prompts(arguments)) => {
            let with_model = cli.global.model.is_some();
            commands::prompts::run(&arguments.action, &setup, with_model)
        }
        Some(Command::Demo(arguments)) => {
            let dir = commands::demo::write(arguments, &setup)?;
            if arguments.write_only {
                Ok(exit::OK)
            } else {
                // Another demo is written to another folder.
                commands::browse::run(&dir, &setup, false)
            }
        }
        Some(Command::Doctor(arguments)) => {
            commands::doctor::run(arguments.json, &setup, wrong.as_ref())
        }
        Some(Command::Man { dir }) => commands::completions::write_manual(dir),
        Some(Command::Completions { shell }) => commands::completions::run(*shell),
    }
}
