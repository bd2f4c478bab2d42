//! tmux between the program and the terminal. It reads what it is sent and draws it anew; only what is wrapped for
//! passthrough reaches the terminal behind it, and that only while the pane's option `allow-passthrough` is on.

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
    /// As they are.
    #[default]
    Direct,
    /// Wrapped, for tmux to pass on.
    Tmux,
}

impl Route {
    /// By the environment: tmux sets `TMUX`, and `TERM` or `TERM_PROGRAM`, which outlive it in a program started elsewhere.
    pub fn detect() -> Self {
        Self::by(|name| std::env::var(name).ok())
    }

    fn by(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = variable("TMUX").is_some_and(|value| !value.is_empty());
        let named = variable("TERM").is_some_and(|term| term.starts_with("tmux"))
            || variable("TERM_PROGRAM").is_some_and(|program| program == "tmux");
        if is_set || named {
            Self::Tmux
        } else {
            Self::Direct
        }
    }

    /// What stands before a wrapped sequence, in place of each escape in it, and after it.
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

/// The parts of a wrapped sequence, for those who write one piece by piece.
#[derive(Clone, Copy)]
pub(super) struct Wrapper {
    pub start: &'static str,
    pub escape: &'static str,
    pub end: &'static str,
}

/// What the pane's option was before it was switched on; `None` while it is as it was.
static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

/// The option of the pane itself, which goes before those of window, session and server.
enum Before {
    /// It had none.
    Unset,
    /// It had this value.
    Set(String),
}

/// Switches passthrough on for this pane, until [`forbid_passthrough`]. Where it is on already nothing changes.
pub(super) fn allow_passthrough() {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    // The value in force, wherever it is set. tmux before 3.3 has no such option and lets everything through.
    let Some(in_force) = tmux(&["show-options", "-pAqv"], None) else {
        return;
    };
    if before.is_some() || matches!(in_force.as_str(), "" | "on" | "all") {
        return;
    }
    let own = tmux(&["show-options", "-pqv"], None).unwrap_or_default();
    if tmux(&["set-option", "-p"], Some("on")).is_some() {
        *before = Some(if own.is_empty() {
            Before::Unset
        } else {
            Before::Set(own)
        });
    }
}

/// Puts the option back to what it was.
pub(super) fn forbid_passthrough() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    match before {
        Some(Before::Unset) => drop(tmux(&["set-option", "-pu"], None)),
        Some(Before::Set(value)) => drop(tmux(&["set-option", "-p"], Some(&value))),
        None => {}
    }
}

/// Runs a command of tmux on the option; what it prints, unless it fails or does not answer.
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
    let output = answered(child)?;
    let text = String::from_utf8(output).ok()?;
    Some(text.trim().to_owned())
}

/// The output of a command that succeeds in time. It is a line at most, so that it never waits to be read.
fn answered(mut child: Child) -> Option<Vec<u8>> {
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
    fn a_route_is_known_by_the_environment() {
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
            assert_eq!(Route::by(value), expected, "{variables:?}");
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
