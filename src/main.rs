//! The program: parses the arguments, starts logging and runs the command.

#![warn(clippy::print_stdout, clippy::print_stderr)]

use std::panic::PanicHookInfo;
use std::path::Path;

use clap::FromArgMatches;
use medivision_tui::cli::{self, Cli, Command};
use medivision_tui::commands::browse::BrowseOptions;
use medivision_tui::commands::{self, CommandSetup, Fault, exit, print};
use medivision_tui::encoder::NOTICE;
use medivision_tui::media::{LargePages, keep_freed_buffers};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

/// Makes libtorch's threads sleep while they wait for each other: spinning, they would take the cores from the decoders and from
/// other programs. libgomp reads this setting from the environment that the kernel handed over, when it is loaded before `main`. So
/// the program is executed again with the setting, which takes a few milliseconds: this runs before all libraries are set up.
/// A value set by the user stays.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
#[unsafe(link_section = ".preinit_array")]
static WAIT_PASSIVELY: wait_policy::EntryPoint = wait_policy::execute_again;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[path = "main/wait_policy.rs"]
mod wait_policy;

/// The exit code of a Rust process that panics.
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

/// Parses the command line. Exits if it asks for help or is wrong.
fn parse() -> Result<Cli, Fault> {
    let first = std::env::args_os().nth(1).unwrap_or_default();
    if let Some(suggestion) = first.to_str().and_then(cli::suggestion) {
        let reason = "not a command, and no such folder";
        return Err(Fault::usage(format!(
            "{}: {reason}; did you mean `{suggestion}`?",
            first.display()
        )));
    }
    let parsed = cli::command()
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.or_else(|error| print::usage(&error))
}

/// Handles a panic. In a decoder or a model it is contained and becomes an error line; only a panic of the main thread ends the
/// program, after the terminal is restored.
fn on_panic(info: &PanicHookInfo) {
    if medivision_tui::media::is_contained() {
        return;
    }
    if std::thread::current().name() == Some("main") {
        medivision_tui::graphics::restore();
        print::message(format_args!(
            "medivision-tui: internal error, please report it: {info}"
        ));
    } else {
        tracing::error!("{info}");
    }
}

/// Formats a log record as usual, and one that is for the user as its message alone.
struct LineFormat(format::Format);

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: format::Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        if event.metadata().target() == NOTICE {
            context.format_fields(writer.by_ref(), event)?;
            return writeln!(writer);
        }
        self.0.format_event(context, writer, event)
    }
}

/// Logs to stderr, which is redirected to the log file while the screen is up. The JPEG XL decoder's own lines are left out:
/// what it finds wrong in a stream is an error of that file.
fn start_logging(setup: &CommandSetup) {
    let targets = Targets::new()
        .with_default(setup.log_level)
        .with_target("jxl_", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| print::ControlFilter::new(std::io::stderr()))
        .with_ansi(false)
        .event_format(LineFormat(format::format()));
    tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .init();
}

fn run(cli: &Cli) -> Result<u8, Fault> {
    if cli.has_surplus_prompts() {
        let text = "--prompts: name one prompt set; `eval` takes two, to compare them";
        return Err(Fault::usage(text));
    }
    let mut config_fault = None;
    let read_settings = || {
        let setup = CommandSetup::new(&cli.global)?;
        Ok(if cli.chooses_prompts() {
            setup.choosing_prompts()
        } else {
            setup
        })
    };
    let setup = match read_settings() {
        Err(fault) if matches!(cli.command, Some(Command::Doctor(_))) => {
            // `doctor` reports it and checks the rest.
            config_fault = Some(fault);
            CommandSetup::without_file(&cli.global)?
        }
        setup => setup?,
    };
    start_logging(&setup);
    medivision_tui::media::budget::decoding().set_total(setup.memory);
    match &cli.command {
        None => commands::browse::run(
            cli.dir.as_deref().unwrap_or(Path::new(".")),
            &setup,
            BrowseOptions {
                keep: true,
                worklist: false,
            },
        ),
        Some(Command::Worklist { dir }) => commands::browse::run(
            dir.as_deref().unwrap_or(Path::new(".")),
            &setup,
            BrowseOptions {
                keep: true,
                worklist: true,
            },
        ),
        Some(Command::Classify(arguments)) => commands::classify::run(arguments, &setup),
        Some(Command::Watch(arguments)) => commands::watch::run(arguments, &setup, &read_settings),
        Some(Command::Explain(arguments)) => commands::explain::run(arguments, &setup),
        Some(Command::Search(arguments)) => commands::search::run(arguments, &setup),
        Some(Command::Inspect(arguments)) => commands::inspect::run(arguments),
        Some(Command::Eval(arguments)) => commands::eval::run(arguments, &setup),
        Some(Command::Calibrate(arguments)) => commands::calibrate::run(arguments, &setup),
        Some(Command::Learn(arguments)) => commands::learn::run(arguments, &setup),
        Some(Command::Train(arguments)) => commands::train::run(arguments, &setup),
        Some(Command::Bench(arguments)) => match &arguments.subject {
            Some(cli::BenchSubject::Learn(learn)) => commands::bench::learn::run(learn, &setup),
            Some(cli::BenchSubject::Train(train)) => commands::bench::train::run(train, &setup),
            Some(cli::BenchSubject::Adjust(adjust)) => commands::bench::adjust::run(adjust, &setup),
            Some(cli::BenchSubject::Strange(strange)) => {
                commands::bench::strange::run(strange, &setup)
            }
            None => commands::bench::run(arguments, &setup),
        },
        Some(Command::Models(arguments)) => commands::models::run(&arguments.action, &setup),
        Some(Command::Prompts(arguments)) => {
            let with_model = cli.global.model.is_some();
            commands::prompts::run(&arguments.action, &setup, with_model)
        }
        Some(Command::Export(arguments)) => commands::export::run(arguments, &cli.global, &setup),
        Some(Command::Reviews(arguments)) => {
            let is_named = cli.global.reviewer.is_some();
            commands::reviews::run(arguments, &setup, is_named)
        }
        Some(Command::Library(arguments)) => commands::library::run(&arguments.action, &setup),
        Some(Command::Demo(arguments)) => {
            let dir = commands::demo::write(arguments, &setup)?;
            if arguments.write_only {
                Ok(exit::OK)
            } else {
                // Folder state is not kept: the next demo is written to another folder.
                let options = BrowseOptions {
                    keep: false,
                    worklist: false,
                };
                commands::browse::run(&dir, &setup, options)
            }
        }
        Some(Command::Doctor(arguments)) => {
            commands::doctor::run(arguments.json, &setup, config_fault.as_ref())
        }
        Some(Command::Man { dir }) => commands::completions::write_manual(dir),
        Some(Command::Completions { shell }) => commands::completions::run(*shell),
    }
}
