//! Help texts that list only the options relevant to a command, and suggestions for mistyped commands.

use std::path::Path;

use clap::builder::Resettable;
use clap::{Arg, ArgAction, CommandFactory};

use super::Cli;
use crate::config::similar;

/// The definition of the command line. The help of a command lists the global options that matter to it, and refers to the
/// program's help for the others.
pub fn command() -> clap::Command {
    // The program's help is always the short one: only the options of commands have values that need explaining.
    let mut root = Cli::command()
        .disable_help_flag(true)
        .arg(help(ArgAction::HelpShort));
    // An empty variable, as unit and compose files often set it, is none.
    root = root.mut_args(|arg| {
        let is_empty = |name| std::env::var_os(name).is_some_and(|value| value.is_empty());
        match arg.get_env() {
            Some(name) if is_empty(name) => arg.env(Resettable::Reset),
            _ => arg,
        }
    });
    let globals: Vec<Arg> = root
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .cloned()
        .collect();
    let names: Vec<String> = root
        .get_subcommands()
        .map(|c| c.get_name().into())
        .collect();
    for name in names {
        root = root.mut_subcommand(&name, |command| with_globals(command, &globals, &name));
    }
    root
}

/// The `--help` flag.
fn help(action: ArgAction) -> Arg {
    let arg = Arg::new("help").short('h').long("help").action(action);
    arg.help("Print help").help_heading(Resettable::Reset)
}

/// The global options listed in the help of a command.
fn listed_globals(command: &str) -> &'static [&'static str] {
    match command {
        "classify" | "watch" | "eval" | "bench" | "explain" | "learn" | "train" => {
            &["model", "prompts", "device"]
        }
        "search" => &["model", "device"],
        "models" => &["offline"],
        "prompts" => &["model"],
        "worklist" | "demo" => &["model", "prompts", "graphics"],
        "doctor" => &["model", "prompts", "device", "graphics"],
        _ => &[],
    }
}

/// Gives a command and its subcommands their own copies of the global options.
fn with_globals(command: clap::Command, globals: &[Arg], name: &str) -> clap::Command {
    let listed = listed_globals(name);
    let own = globals.iter().map(|arg| {
        let shown = listed.contains(&arg.get_id().as_str());
        arg.clone().hide(!shown).help_heading("Global options")
    });
    let hint = "More global options: medivision-tui --help";
    let after = match command.get_after_help() {
        Some(examples) => format!("{examples}\n\n{hint}"),
        None => hint.to_owned(),
    };
    let subcommands: Vec<String> = command
        .get_subcommands()
        .map(|subcommand| subcommand.get_name().to_owned())
        .collect();
    let mut command = command
        .args(own)
        .arg(self::help(ArgAction::Help))
        .after_help(after);
    for subcommand in subcommands {
        command = command.mut_subcommand(&subcommand, |subcommand| {
            with_globals(subcommand, globals, name)
        });
    }
    command
}

/// The command that a first argument resembles, if it is neither a command nor an existing path.
pub fn suggestion(first: &str) -> Option<String> {
    if first.starts_with('-') || Path::new(first).exists() {
        return None;
    }
    let root = Cli::command();
    let mut names = root.get_subcommands().map(clap::Command::get_name);
    if names.any(|name| name == first) {
        return None;
    }
    let known = root.get_subcommands().filter(|c| !c.is_hide_set());
    similar(first, known.map(clap::Command::get_name)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    #[test]
    fn the_definition_is_valid() {
        command().debug_assert();
    }

    #[test]
    fn the_help_of_a_command_lists_only_options_that_matter_to_it() {
        let mut root = command();
        root.build();
        for command in root.get_subcommands_mut() {
            let name = command.get_name().to_owned();
            let mut helps = vec![command.render_long_help().to_string()];
            for below in command.get_subcommands_mut() {
                helps.push(below.render_long_help().to_string());
            }
            for help in helps {
                assert!(!help.contains("--log-level"), "{help}");
                let shown = help.contains("--model <");
                assert_eq!(shown, listed_globals(&name).contains(&"model"), "{help}");
            }
        }
        let help = root.render_help().to_string();
        let order = ["Commands:", "Arguments:", "--help", "--model", "Examples:"];
        let places: Vec<_> = order.iter().map(|part| help.find(part)).collect();
        assert!(places.is_sorted() && places[0].is_some(), "{help}");
    }

    #[test]
    fn a_command_accepts_all_global_options_and_a_typo_gets_a_suggestion() {
        let line = ["medivision-tui", "models", "list", "--log-level", "info"];
        let matches = command().try_get_matches_from(line).unwrap();
        let cli = Cli::from_arg_matches(&matches).unwrap();
        assert_eq!(cli.global.log_level.as_deref(), Some("info"));
        assert_eq!(suggestion("clasify").as_deref(), Some("classify"));
        for other in ["classify", "--clasify", "/", "incoming", "mann"] {
            assert_eq!(suggestion(other), None, "{other}");
        }
    }
}
