//! What the terminal has of colours and letters, by what the environment says of it. Whether it has more than 256 colours is
//! also asked, along with its graphics. There is no question that would bring out the rest: terminals without Unicode answer none.
//!
//! `termprofile` 0.2.5 does not replace this: it gives a VT100 sixteen colours and `xterm` no more, believes a `COLORTERM` that the
//! console of Linux was handed down, and takes any terminal for one of sixteen colours where `CI` is set.

use crate::config;

/// How many colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Bold and reversed at most.
    None,
    /// The sixteen with names; the user's palette says how they look.
    Named,
    /// The 256 of xterm.
    Indexed,
    /// Red, green and blue of eight bits each.
    Full,
}

impl Colours {
    /// As the user is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no colours",
            Self::Named => "16 colours",
            Self::Indexed => "256 colours",
            Self::Full => "all colours",
        }
    }
}

/// Something decided, and what decided it, as `TERM=linux`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<T> {
    /// What was decided.
    pub value: T,
    /// By what.
    pub by: String,
}

/// What is sent to the terminal stays within these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Its colours.
    pub colours: Decided<Colours>,
    /// It has the letters of ASCII only.
    pub ascii: Decided<bool>,
    /// It has 256 colours by the environment, which knows no more of a terminal at the other end of SSH.
    may_have_more: bool,
}

impl Limits {
    /// As chosen in the settings, else by the environment.
    pub fn new(colours: config::Colours, ascii: Option<bool>) -> Self {
        Self::by(colours, ascii, |name| std::env::var(name).ok())
    }

    fn by(
        colours: config::Colours,
        ascii: Option<bool>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let found = match colours {
            config::Colours::Auto => colours_by(&variable),
            config::Colours::Named => chosen(Colours::Named),
            config::Colours::Indexed => chosen(Colours::Indexed),
            config::Colours::Full => chosen(Colours::Full),
        };
        Self {
            may_have_more: colours == config::Colours::Auto && found.value == Colours::Indexed,
            colours: found,
            ascii: ascii.map_or_else(|| ascii_by(&variable), chosen),
        }
    }

    /// Its answer could raise them.
    pub(super) fn may_have_more(&self) -> bool {
        self.may_have_more
    }

    /// The terminal has answered that it has all colours.
    pub(super) fn raise(&mut self) {
        if self.may_have_more {
            self.may_have_more = false;
            self.colours = Decided {
                value: Colours::Full,
                by: "the terminal's answer".to_owned(),
            };
        }
    }
}

/// What the terminal takes in without printing it, in ECMA-48's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// Hardly anything.
    Text,
    /// CSI and what follows.
    ControlSequences,
    /// Those, and APC, DCS and OSC with their text.
    ControlStrings,
}

/// The same by `TERM`: what is too old for control strings prints them.
pub(super) fn reads_by(variable: impl Fn(&str) -> Option<String>) -> Reads {
    let term = variable("TERM").unwrap_or_default();
    if term.starts_with("vt") || term.starts_with("linux") {
        Reads::ControlSequences
    } else if is_bare(&term) {
        Reads::Text
    } else {
        Reads::ControlStrings
    }
}

fn chosen<T>(value: T) -> Decided<T> {
    Decided {
        value,
        by: "the settings".to_owned(),
    }
}

/// Terminals that have all colours, by a part of what `TERM` is there. Over SSH `COLORTERM` gets lost, `TERM` does not.
const FULL: [&str; 7] = [
    "-direct",
    "kitty",
    "ghostty",
    "alacritty",
    "foot",
    "wezterm",
    "contour",
];

/// A terminal without commands, and DEC's, before there were colours.
fn is_bare(term: &str) -> bool {
    term.is_empty() || term == "dumb" || term.starts_with("vt")
}

/// 256 by name; `xterm` has been their name, too, for as long as containers and multiplexers have set it.
fn is_indexed(term: &str) -> bool {
    term.contains("256color") || ["xterm", "screen", "tmux"].contains(&term)
}

/// The colours, by the variables. `TERM` of a terminal that is known for few goes before `COLORTERM`, which is handed down from
/// one terminal to another started within it.
pub fn colours_by(variable: impl Fn(&str) -> Option<String>) -> Decided<Colours> {
    let term = variable("TERM").unwrap_or_default();
    let depth = variable("COLORTERM").unwrap_or_default();
    let by_term = |value| Decided {
        value,
        by: named("TERM", &term),
    };
    if is_bare(&term) {
        by_term(Colours::None)
    } else if term == "linux" || term.ends_with("-16color") {
        by_term(Colours::Named)
    } else if matches!(depth.as_str(), "truecolor" | "24bit") {
        Decided {
            value: Colours::Full,
            by: named("COLORTERM", &depth),
        }
    } else if FULL.iter().any(|part| term.contains(part)) {
        by_term(Colours::Full)
    } else if is_indexed(&term) {
        by_term(Colours::Indexed)
    } else {
        by_term(Colours::Named)
    }
}

/// Whether there is ASCII only, by the variables. Where none names an encoding, as in many containers, nothing speaks against
/// Unicode: hardly a terminal is left without.
pub fn ascii_by(variable: impl Fn(&str) -> Option<String>) -> Decided<bool> {
    let term = variable("TERM").unwrap_or_default();
    // The console of Linux reads UTF-8, but its font has 512 letters at most.
    if is_bare(&term) || term == "linux" {
        return Decided {
            value: true,
            by: named("TERM", &term),
        };
    }
    // The first that is set counts, as in the C library.
    let set = |name: &'static str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(|value| (name, value))
    };
    match ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set) {
        Some((name, locale)) => {
            let encoding = locale.to_ascii_lowercase().replace('-', "");
            Decided {
                value: !encoding.contains("utf8"),
                by: named(name, &locale),
            }
        }
        None => Decided {
            value: false,
            by: "no LC_ALL, LC_CTYPE, LANG".to_owned(),
        },
    }
}

fn named(name: &str, value: &str) -> String {
    if value.is_empty() {
        format!("no {name}")
    } else {
        format!("{name}={}", crate::media::clean(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks up variables given as `NAME=value NAME=value`.
    fn given(variables: &str) -> impl Fn(&str) -> Option<String> {
        move |wanted| {
            let mut pairs = variables.split(' ').filter_map(|pair| pair.split_once('='));
            let value = pairs.find_map(|(name, value)| (name == wanted).then_some(value));
            value.map(str::to_owned)
        }
    }

    #[test]
    fn colours_are_those_that_the_variables_promise() {
        for (variables, wanted, by) in [
            ("", Colours::None, "no TERM"),
            ("TERM=dumb", Colours::None, "TERM=dumb"),
            ("TERM=vt100", Colours::None, "TERM=vt100"),
            ("TERM=dumb COLORTERM=truecolor", Colours::None, "TERM=dumb"),
            ("TERM=linux", Colours::Named, "TERM=linux"),
            (
                "TERM=linux COLORTERM=truecolor",
                Colours::Named,
                "TERM=linux",
            ),
            ("TERM=xterm-16color", Colours::Named, "TERM=xterm-16color"),
            ("TERM=rxvt", Colours::Named, "TERM=rxvt"),
            ("TERM=xterm", Colours::Indexed, "TERM=xterm"),
            (
                "TERM=xterm-256color",
                Colours::Indexed,
                "TERM=xterm-256color",
            ),
            (
                "TERM=screen-256color-bce COLORTERM=",
                Colours::Indexed,
                "TERM=screen-256color-bce",
            ),
            (
                "TERM=xterm-256color COLORTERM=truecolor",
                Colours::Full,
                "COLORTERM=truecolor",
            ),
            (
                "TERM=xterm COLORTERM=24bit",
                Colours::Full,
                "COLORTERM=24bit",
            ),
            (
                "TERM=xterm-256color COLORTERM=yes",
                Colours::Indexed,
                "TERM=xterm-256color",
            ),
            ("TERM=xterm-direct", Colours::Full, "TERM=xterm-direct"),
            ("TERM=tmux-direct", Colours::Full, "TERM=tmux-direct"),
            ("TERM=xterm-kitty", Colours::Full, "TERM=xterm-kitty"),
        ] {
            let found = colours_by(given(variables));
            assert_eq!(
                (found.value, found.by.as_str()),
                (wanted, by),
                "{variables}"
            );
        }
    }

    #[test]
    fn the_first_locale_that_is_set_says_whether_there_is_unicode() {
        for (variables, wanted, by) in [
            ("TERM=xterm LANG=C", true, "LANG=C"),
            ("TERM=xterm LANG=POSIX", true, "LANG=POSIX"),
            (
                "TERM=xterm LANG=de_DE.ISO-8859-1",
                true,
                "LANG=de_DE.ISO-8859-1",
            ),
            ("TERM=xterm LANG=de_DE.UTF-8", false, "LANG=de_DE.UTF-8"),
            ("TERM=xterm LANG=C.utf8", false, "LANG=C.utf8"),
            (
                "TERM=xterm LANG=C LC_CTYPE=en_GB.UTF-8",
                false,
                "LC_CTYPE=en_GB.UTF-8",
            ),
            (
                "TERM=xterm LANG=C.UTF-8 LC_CTYPE=C.UTF-8 LC_ALL=C",
                true,
                "LC_ALL=C",
            ),
            ("TERM=xterm LANG=C.UTF-8 LC_ALL=", false, "LANG=C.UTF-8"),
            ("TERM=xterm", false, "no LC_ALL, LC_CTYPE, LANG"),
            ("TERM=linux LANG=C.UTF-8", true, "TERM=linux"),
            ("TERM=vt220 LANG=C.UTF-8", true, "TERM=vt220"),
            ("LANG=C.UTF-8", true, "no TERM"),
        ] {
            let found = ascii_by(given(variables));
            assert_eq!(
                (found.value, found.by.as_str()),
                (wanted, by),
                "{variables}"
            );
        }
    }

    #[test]
    fn an_answer_raises_what_the_environment_alone_made_256() {
        let auto = config::Colours::Auto;
        for (colours, variables, wanted, by) in [
            (
                auto,
                "TERM=xterm-256color",
                Colours::Full,
                "the terminal's answer",
            ),
            (auto, "TERM=xterm", Colours::Full, "the terminal's answer"),
            (
                auto,
                "TERM=xterm-16color",
                Colours::Named,
                "TERM=xterm-16color",
            ),
            (auto, "TERM=linux", Colours::Named, "TERM=linux"),
            (auto, "TERM=vt100", Colours::None, "TERM=vt100"),
            (auto, "TERM=xterm-kitty", Colours::Full, "TERM=xterm-kitty"),
            (
                config::Colours::Indexed,
                "TERM=xterm-256color",
                Colours::Indexed,
                "the settings",
            ),
        ] {
            let mut limits = Limits::by(colours, None, given(variables));
            let before = limits.clone();
            let raised = wanted != before.colours.value;
            assert_eq!(limits.may_have_more(), raised, "{variables}");
            limits.raise();
            assert_eq!(
                (limits.colours.value, limits.colours.by.as_str()),
                (wanted, by),
                "{variables}"
            );
            assert_eq!(limits.ascii, before.ascii);
        }
    }

    #[test]
    fn old_terminals_are_sent_no_control_strings() {
        for (variables, wanted) in [
            ("", Reads::Text),
            ("TERM=dumb", Reads::Text),
            ("TERM=linux", Reads::ControlSequences),
            ("TERM=linux-16color", Reads::ControlSequences),
            ("TERM=vt340", Reads::ControlSequences),
            ("TERM=xterm-256color", Reads::ControlStrings),
            ("TERM=screen", Reads::ControlStrings),
            ("TERM=rxvt", Reads::ControlStrings),
        ] {
            assert_eq!(reads_by(given(variables)), wanted, "{variables}");
        }
    }

    #[test]
    fn what_was_chosen_goes_before_the_variables() {
        let limits = Limits::new(config::Colours::Named, Some(true));
        assert_eq!(limits.colours.value, Colours::Named);
        assert_eq!(limits.colours.by, "the settings");
        assert!(limits.ascii.value);
        assert!(!Limits::new(config::Colours::Full, Some(false)).ascii.value);
    }
}
