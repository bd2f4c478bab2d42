//! `doctor`: what works here, what does not, and what to do.

mod graphics;

use std::io::IsTerminal;

use serde::Serialize;

use super::{Fault, Setup, exit, print};
use crate::encoder::{ModelSource, gpu_note};
use crate::graphics::{Colours, Decided, Limits, in_ascii};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Note,
    Fault,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
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
            state: State::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn note(name: &'static str, found: impl Into<String>, advice: &str) -> Self {
        Self {
            name,
            state: State::Note,
            found: found.into(),
            advice: Some(advice.to_owned()),
        }
    }

    fn fault(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Fault,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// For people: what was found, and below it what to do.
    fn lines(&self) -> impl Iterator<Item = String> {
        let mark = match self.state {
            State::Ok => "ok   ",
            State::Note => "note ",
            State::Fault => "FAULT",
        };
        let found = format!("{mark}  {:<12} {}", self.name, self.found);
        let advice = self.advice.as_ref();
        let advice = advice.map(|advice| format!("{:20}→ {advice}", ""));
        std::iter::once(found).chain(advice)
    }
}

/// Prints the report; 3 when the settings, the model or the prompts cannot be used. `wrong` is why the settings cannot;
/// then `setup` is without them.
pub fn run(json: bool, setup: &Setup, wrong: Option<&Fault>) -> Result<u8, Fault> {
    let mut limits = Limits::new(setup.colours, setup.ascii);
    // First: the answers may raise the limits.
    let graphics = graphics::check(setup.graphics, &mut limits);
    let (model, device) = model(setup);
    let checks = [
        settings(setup, wrong),
        terminal(),
        colour(&limits),
        letters(&limits),
        multiplexer(),
        graphics,
        model,
        prompt_sets(setup),
        device,
        memory(setup),
        watch_limit(),
        log(setup),
    ];
    if json {
        print::json(&checks)?;
    } else {
        for line in checks.iter().flat_map(Check::lines) {
            let spelled = limits.ascii.value.then(|| in_ascii(&line));
            print::line(spelled.unwrap_or(line))?;
        }
    }
    let broken = checks.iter().any(|check| check.state == State::Fault);
    Ok(if broken { exit::UNUSABLE } else { exit::OK })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .map(|value| crate::media::clean(&value))
}

fn settings(setup: &Setup, wrong: Option<&Fault>) -> Check {
    match (wrong, &setup.settings) {
        (Some(fault), _) => Check::fault(
            "settings",
            crate::media::clean(&fault.message),
            "correct that line, or take it out; the rest of this report is without the file",
        ),
        (None, Some(path)) => Check::ok("settings", super::shown(path)),
        (None, None) => Check::ok("settings", "no file, so the defaults"),
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
            format!("TERM={term}, but not on stdin and stdout"),
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
            "the screen is drawn without colour, pictures as half blocks need it",
        );
    }
    let advice = match value {
        Colours::Full => return Check::ok("colour", found),
        Colours::Indexed => {
            "if the terminal has more, set COLORTERM=truecolor (and let sshd accept it), or `colours = \"full\"` in the settings"
        }
        Colours::Named => {
            "if the terminal has more, set TERM to its name, or `colours = \"256\"` or `\"full\"` in the settings"
        }
        Colours::None => {
            "pictures are drawn with letters; if the terminal has colours, set TERM to its name, or `colours = \"16\"` in the settings"
        }
    };
    Check::note("colour", found, advice)
}

fn letters(limits: &Limits) -> Check {
    let Decided { value, by } = &limits.ascii;
    if *value {
        Check::note(
            "letters",
            format!("ASCII (by {by})"),
            "symbols are spelled in ASCII, other letters of names are shown as `?`; where the terminal has Unicode, set \
             LANG=C.UTF-8, or `ascii = false` in the settings",
        )
    } else {
        Check::ok("letters", format!("Unicode (by {by})"))
    }
}

fn multiplexer() -> Check {
    let ssh = if variable("SSH_CONNECTION").is_some() {
        "over SSH"
    } else {
        "local"
    };
    if variable("TMUX").is_some() {
        Check::note(
            "connection",
            format!("{ssh}, inside tmux"),
            "for images `allow-passthrough` is switched on for the pane while the program runs; tmux before 3.3 has no such option",
        )
    } else {
        Check::ok("connection", ssh)
    }
}

/// The model, and the device that it computes on.
fn model(setup: &Setup) -> (Check, Check) {
    let name = setup.source.name();
    let opened = setup.source.open(setup.options(None));
    let device = device(opened.as_ref().ok().map(|encoder| &*encoder.card().device));
    let model = match opened {
        Ok(encoder) => {
            let card = encoder.card();
            let found = format!(
                "{} on {}, embeddings of {}, {}",
                card.id, card.device, card.dimension, card.digest
            );
            if setup.source == ModelSource::Demo {
                Check::note(
                    "model",
                    found,
                    "it knows synthetic phantoms only; for real pictures: medivision-tui models pull biomedclip",
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

fn prompt_sets(setup: &Setup) -> Check {
    match setup.load_prompts() {
        Ok(prompts) => {
            let names: Vec<_> = prompts.sets().iter().map(|set| set.name.as_str()).collect();
            Check::ok("prompts", names.join(", "))
        }
        Err(error) => Check::fault(
            "prompts",
            error.message,
            "see `medivision-tui prompts check`",
        ),
    }
}

/// What was decided when the model was opened; `used`: what it computes on, if it could be.
fn device(used: Option<&str>) -> Check {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let found = format!("{}, {cores} cores", used.unwrap_or("cpu"));
    match gpu_note() {
        Some((reason, true)) => Check::note("device", found, &reason),
        Some((reason, false)) => Check::ok("device", format!("{found}; no GPU: {reason}")),
        None => Check::ok("device", found),
    }
}

fn memory(setup: &Setup) -> Check {
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
            "if new files are not seen, use `watch --poll SECONDS`",
        ),
    }
}

fn log(setup: &Setup) -> Check {
    match &setup.folders {
        Some(folders) => Check::ok("log", folders.log().display().to_string()),
        None => Check::note(
            "log",
            "no home folder",
            "messages are lost while the screen is up; set HOME",
        ),
    }
}
