//! `doctor`: checks what works on this machine, and advises on the rest.

mod graphics;

use std::collections::BTreeSet;
use std::io::IsTerminal;

use serde::Serialize;

use super::library::REPAIR_ADVICE;
use super::{CommandSetup, Fault, exit, print};
use crate::encoder::hub::format_bytes;
use crate::encoder::{ModelSource, gpu_note};
use crate::graphics::{Colours, Decided, Limits, in_ascii};
use crate::watch;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum CheckState {
    Ok,
    Note,
    Fault,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: CheckState,
    /// What was found.
    found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            state: CheckState::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn note(name: &'static str, found: impl Into<String>, advice: &str) -> Self {
        Self {
            name,
            state: CheckState::Note,
            found: found.into(),
            advice: Some(advice.to_owned()),
        }
    }

    fn fault(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            state: CheckState::Fault,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// The check as text: what was found, and below it what to do.
    fn lines(&self) -> impl Iterator<Item = String> {
        let mark = match self.state {
            CheckState::Ok => "ok   ",
            CheckState::Note => "note ",
            CheckState::Fault => "FAULT",
        };
        let found = format!("{mark}  {:<12} {}", self.name, self.found);
        let advice = self.advice.as_ref();
        let advice = advice.map(|advice| format!("{:20}→ {advice}", ""));
        std::iter::once(found).chain(advice)
    }
}

/// Prints the report; returns 3 if the settings, the model or the prompts cannot be used. `config_fault` is the error in the
/// settings file; then `setup` ignores that file.
pub fn run(json: bool, setup: &CommandSetup, config_fault: Option<&Fault>) -> Result<u8, Fault> {
    let mut limits = Limits::new(setup.colours, setup.ascii);
    // First, because the terminal's answers may raise the limits.
    let graphics = graphics::check(setup.graphics, &mut limits);
    let (model, device) = model(setup);
    let checks = [
        settings(setup, config_fault),
        terminal(),
        colour(&limits),
        characters(&limits),
        connection(),
        graphics,
        model,
        prompt_sets(setup),
        device,
        memory(setup),
        library(setup),
        watch_limit(),
        writers(),
        log(setup),
    ];
    if json {
        print::json(&checks)?;
    } else {
        for line in checks.iter().flat_map(Check::lines) {
            let ascii = limits.ascii.value.then(|| in_ascii(&line));
            print::line(ascii.unwrap_or(line))?;
        }
    }
    let broken = checks.iter().any(|check| check.state == CheckState::Fault);
    Ok(if broken { exit::UNUSABLE } else { exit::OK })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .map(|value| crate::media::clean(&value))
}

fn settings(setup: &CommandSetup, config_fault: Option<&Fault>) -> Check {
    match (config_fault, &setup.settings) {
        (Some(fault), _) => Check::fault(
            "settings",
            crate::media::clean(&fault.message),
            "correct or remove that line; the rest of this report ignores the file",
        ),
        (None, Some(path)) => Check::ok("settings", super::shown(path)),
        (None, None) => Check::ok("settings", "no file; defaults apply"),
    }
}

fn library(setup: &CommandSetup) -> Check {
    let Some(library) = setup.library() else {
        return Check::ok("library", "none; nothing is remembered");
    };
    let file = super::shown(library.file());
    let damaged = |fault: &str| {
        let said = format!("{file}: damaged: {fault}");
        Check::note("library", said, REPAIR_ADVICE)
    };
    match library.state() {
        Ok(Some(_)) if let Ok(Some(fault)) = library.quick_check() => damaged(&fault),
        Err(error) if error.is_damage() => damaged(&error.to_string()),
        Ok(None) => Check::ok("library", format!("{file}, not made yet")),
        Ok(Some(state)) => Check::ok(
            "library",
            format!(
                "{file}, {}, journal {}, {} files, {} embeddings",
                format_bytes(state.bytes),
                state.journal,
                state.files,
                state.embeddings
            ),
        ),
        Err(error) => Check::note(
            "library",
            format!("{file}: {error}"),
            "results are not remembered",
        ),
    }
}

fn terminal() -> Check {
    let term = variable("TERM").unwrap_or_else(|| "not set".into());
    let size =
        crossterm::terminal::size().map_or(String::new(), |(w, h)| format!(", {w}×{h} cells"));
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        Check::ok("terminal", format!("TERM={term}{size}"))
    } else {
        Check::note(
            "terminal",
            format!("TERM={term}, but stdin or stdout is not a terminal"),
            "browsing needs a terminal; with ssh, use `ssh -t`",
        )
    }
}

fn colour(limits: &Limits) -> Check {
    let Decided { value, by } = &limits.colours;
    let found = format!("{} (by {by})", value.name());
    if variable("NO_COLOR").is_some() {
        return Check::note(
            "colour",
            format!("NO_COLOR is set; {found}"),
            "the screen is drawn without colour; where the terminal has no graphics, so are images, with characters",
        );
    }
    let advice = match value {
        Colours::Full => return Check::ok("colour", found),
        Colours::Indexed => {
            "if the terminal supports more, set COLORTERM=truecolor (and let sshd accept it), or `colours = \"full\"` in the settings"
        }
        Colours::Named => {
            "if the terminal supports more, set TERM to its name, or `colours = \"256\"` or `\"full\"` in the settings"
        }
        Colours::None => {
            "images are drawn with characters; if the terminal has colours, set TERM to its name, or `colours = \"16\"` in the settings"
        }
    };
    Check::note("colour", found, advice)
}

fn characters(limits: &Limits) -> Check {
    let Decided { value, by } = &limits.ascii;
    if *value {
        Check::note(
            "letters",
            format!("ASCII (by {by})"),
            "symbols are replaced by ASCII characters, other characters in names by `?`; if the terminal supports Unicode, \
             set LANG=C.UTF-8, or `ascii = false` in the settings",
        )
    } else {
        Check::ok("letters", format!("Unicode (by {by})"))
    }
}

fn connection() -> Check {
    let ssh = if variable("SSH_CONNECTION").is_some() {
        "over SSH"
    } else {
        "local"
    };
    if variable("TMUX").is_some() {
        Check::note(
            "connection",
            format!("{ssh}, inside tmux"),
            "while the program runs, `allow-passthrough` is switched on for the pane, which images need; tmux before 3.3 lacks that \
             option",
        )
    } else {
        Check::ok("connection", ssh)
    }
}

/// Checks the model, and the device that it computes on.
fn model(setup: &CommandSetup) -> (Check, Check) {
    let name = setup.source.name();
    let opened = setup.source.open(setup.options(None));
    let device = device(opened.as_ref().ok().map(|encoder| &*encoder.card().device));
    let model = match opened {
        Ok(encoder) => {
            let card = encoder.card();
            let found = format!(
                "{} on {}, {}-dimensional embeddings, {}",
                card.id, card.device, card.dimension, card.digest
            );
            if setup.source == ModelSource::Builtin {
                Check::note(
                    "model",
                    found,
                    "it tells kinds of image apart, but judges no findings of real ones; for those: medivision-tui models pull biomedclip",
                )
            } else {
                Check::ok("model", found)
            }
        }
        Err(error) => Check::fault(
            "model",
            format!("{name}: {error}"),
            "check --model and --device",
        ),
    };
    (model, device)
}

/// Checks the prompt sets in use, and those of the rules.
fn prompt_sets(setup: &CommandSetup) -> Check {
    let sets = setup.load_prompts().and_then(|prompts| {
        let of_rules = setup.rule_sets().map(|(_, set)| set);
        let sets = prompts.sets().iter().cloned().map(Ok).chain(of_rules);
        sets.map(|set| Ok(set?.name)).collect()
    });
    match sets {
        Ok(names) => {
            let names: Vec<String> = names;
            let mut seen = BTreeSet::new();
            let once = names.iter().filter(|name| seen.insert(*name));
            let names: Vec<&str> = once.map(String::as_str).collect();
            Check::ok("prompts", names.join(", "))
        }
        Err(error) => Check::fault(
            "prompts",
            crate::media::clean(&error.message),
            "see `medivision-tui prompts check`",
        ),
    }
}

/// The device chosen when the model was opened. `used` is the device that the model computes on, if it could be opened.
fn device(used: Option<&str>) -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let found = format!("{}, {cores} cores", used.unwrap_or("cpu"));
    match gpu_note() {
        Some((reason, true)) => Check::note("device", found, &reason),
        Some((reason, false)) => Check::ok("device", format!("{found}; no GPU: {reason}")),
        None => Check::ok("device", found),
    }
}

fn memory(setup: &CommandSetup) -> Check {
    let megabytes = setup.memory >> 20;
    Check::ok("memory", format!("{megabytes} MiB for decoding (--memory)"))
}

fn watch_limit() -> Check {
    let path = "/proc/sys/fs/inotify/max_user_watches";
    let limit = std::fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    match limit {
        Some(limit) if limit >= 65_536 => Check::ok("watch", format!("up to {limit} folders")),
        Some(limit) => Check::note(
            "watch",
            format!("up to {limit} folders"),
            "for larger trees raise it: sysctl fs.inotify.max_user_watches=524288",
        ),
        None => Check::note(
            "watch",
            "the limit cannot be read",
            "if new files are not noticed, use `medivision-tui watch --poll SECONDS`",
        ),
    }
}

/// Whether a watch can tell that another program still writes a file.
fn writers() -> Check {
    let found = if watch::sees_all_writers() {
        "seen of every local file"
    } else {
        "seen of your own files only; a service that watches files of others needs CAP_LEASE"
    };
    Check::ok("writers", found)
}

fn log(setup: &CommandSetup) -> Check {
    match &setup.folders {
        Some(folders) => Check::ok("log", folders.log().display().to_string()),
        None => Check::note(
            "log",
            "no home folder",
            "messages are lost while the screen is up; set HOME",
        ),
    }
}
