//! Passthrough of escape sequences through tmux. tmux interprets what it is sent and redraws it; only sequences wrapped for
//! passthrough reach the terminal behind it, and only while the pane's option `allow-passthrough` is on.

use std::borrow::Cow;
use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long tmux may take to answer. It runs on the same machine.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// The option that lets wrapped sequences through.
const OPTION: &str = "allow-passthrough";

/// How escape sequences reach the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// Unwrapped.
    #[default]
    Direct,
    /// Wrapped, for tmux to pass on.
    Tmux,
}

impl Route {
    /// Detects tmux by its environment variables: `TMUX`, and `TERM` or `TERM_PROGRAM`, which remain where `TMUX` is lost.
    pub fn detect() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = variable("TMUX").is_some_and(|value| !value.is_empty());
        let named = variable("TERM").is_some_and(|term| term.starts_with("tmux"))
            || variable("TERM_PROGRAM").is_some_and(|program| program == "tmux");
        if is_set || named {
            Self::Tmux
        } else {
            Self::Direct
        }
    }

    /// The parts of a wrapped sequence.
    pub(super) fn wrapper(self) -> Wrapper {
        match self {
            Self::Direct => Wrapper {
                start: "",
                escape: "\x1b",
                end: "",
            },
            Self::Tmux => Wrapper {
                start: "\x1bPtmux;",
                escape: "\x1b\x1b",
                end: "\x1b\\",
            },
        }
    }

    /// Wraps whole sequences.
    pub(super) fn wrap(self, sequences: &str) -> Cow<'_, str> {
        match self {
            Self::Direct => Cow::Borrowed(sequences),
            Self::Tmux => {
                let Wrapper { start, escape, end } = self.wrapper();
                let inner = sequences.replace('\x1b', escape);
                Cow::Owned(format!("{start}{inner}{end}"))
            }
        }
    }
}

/// The parts of a wrapped sequence, for callers that build one step by step.
#[derive(Clone, Copy)]
pub(super) struct Wrapper {
    /// Precedes the sequence.
    pub start: &'static str,
    /// Replaces each escape character in it.
    pub escape: &'static str,
    /// Follows it.
    pub end: &'static str,
}

/// The pane's option before it was switched on; `None` while this program has not changed it.
static PREVIOUS_OPTION: Mutex<Option<PaneOption>> = Mutex::new(None);

/// The option of the pane itself, which overrides those of window, session and server.
enum PaneOption {
    Unset,
    Set(String),
}

/// Switches passthrough on for this pane until [`reset_passthrough`]. Does nothing if it is already on.
pub(super) fn allow_passthrough() {
    let mut before = PREVIOUS_OPTION
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    // The effective value, wherever it is set. tmux before 3.3 has no such option and passes everything through.
    let Some(in_force) = tmux(&["show-options", "-pAqv"], None) else {
        return;
    };
    if before.is_some() || matches!(in_force.as_str(), "" | "on" | "all") {
        return;
    }
    let own = tmux(&["show-options", "-pqv"], None).unwrap_or_default();
    if tmux(&["set-option", "-p"], Some("on")).is_some() {
        *before = Some(if own.is_empty() {
            PaneOption::Unset
        } else {
            PaneOption::Set(own)
        });
    }
}

/// Resets the option to what it was.
pub(super) fn reset_passthrough() {
    let mut before = PREVIOUS_OPTION
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match before.take() {
        Some(PaneOption::Unset) => drop(tmux(&["set-option", "-pu"], None)),
        Some(PaneOption::Set(value)) => drop(tmux(&["set-option", "-p"], Some(&value))),
        None => {}
    }
}

/// Runs a tmux command on the option. Returns its output, or `None` if it fails or does not answer in time.
fn tmux(command: &[&str], value: Option<&str>) -> Option<String> {
    let pane = std::env::var_os("TMUX_PANE").filter(|pane| !pane.is_empty());
    let target = pane.map(|pane| [OsString::from("-t"), pane]);
    let child = Command::new("tmux")
        .args(command)
        .args(target.into_iter().flatten())
        .arg(OPTION)
        .args(value)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let output = wait_for_output(child)?;
    let text = String::from_utf8(output).ok()?;
    Some(text.trim().to_owned())
}

/// The output of a command that succeeds within [`ANSWER_TIMEOUT`]. Its output is at most a line, so that the pipe never fills
/// up before it is read.
fn wait_for_output(mut child: Child) -> Option<Vec<u8>> {
    let begun = Instant::now();
    while begun.elapsed() < ANSWER_TIMEOUT {
        match child.try_wait() {
            Ok(Some(status)) => {
                let output = child.wait_with_output().ok()?;
                return status.success().then_some(output.stdout);
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmux_is_detected_by_the_environment() {
        for (variables, expected) in [
            (&[][..], Route::Direct),
            (&[("TERM", "xterm-256color")], Route::Direct),
            (&[("TERM", "screen-256color")], Route::Direct),
            (&[("TERM", "tmux-256color")], Route::Tmux),
            (&[("TERM_PROGRAM", "tmux")], Route::Tmux),
            (&[("TMUX", "/tmp/tmux-0/default,1,0")], Route::Tmux),
            (&[("TMUX", "")], Route::Direct),
        ] {
            let value = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(Route::from_variables(value), expected, "{variables:?}");
        }
    }

    #[test]
    fn for_tmux_every_escape_is_doubled_inside_one_wrapper() {
        let sequences = "\x1b[16t\x1b[c";
        assert_eq!(Route::Direct.wrap(sequences), sequences);
        assert_eq!(
            Route::Tmux.wrap(sequences),
            "\x1bPtmux;\x1b\x1b[16t\x1b\x1b[c\x1b\\"
        );
    }
}
