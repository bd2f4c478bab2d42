//! The colours and characters that the terminal supports, according to the environment. Whether it has more than 256 colours is
//! also probed, along with its graphics. The rest cannot be probed: terminals without Unicode answer no queries.
//!
//! `termprofile` 0.2.5 does not replace this: it gives a VT100 sixteen colours and `xterm` no more, trusts a `COLORTERM` that
//! the Linux console merely inherited, and assumes sixteen colours for any terminal where `CI` is set.

pub use crate::config::Colours;
use crate::config::Setting;

/// A decision and its reason, such as `TERM=linux`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<T> {
    /// The decision.
    pub value: T,
    /// The variable or setting that decided it.
    pub by: String,
}

/// The limits of what is sent to the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The colours it supports.
    pub colours: Decided<Colours>,
    /// Whether it is limited to ASCII.
    pub ascii: Decided<bool>,
    /// The environment says 256 colours, but over SSH it would say so of a terminal with more, too.
    may_have_more: bool,
}

impl Limits {
    /// Determines the limits from the settings, else from the environment.
    pub fn new(colours: Setting<Colours>, ascii: Option<bool>) -> Self {
        Self::from_variables(colours, ascii, |name| std::env::var(name).ok())
    }

    fn from_variables(
        colours: Setting<Colours>,
        ascii: Option<bool>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let found = match colours {
            Setting::Auto => colours_by(&variable),
            Setting::Fixed(colours) => from_settings(colours),
        };
        Self {
            may_have_more: colours == Setting::Auto && found.value == Colours::Indexed,
            colours: found,
            ascii: ascii.map_or_else(|| ascii_by(&variable), from_settings),
        }
    }

    /// Whether probing the terminal could raise the limits.
    pub(super) fn may_have_more(&self) -> bool {
        self.may_have_more
    }

    /// Raises the colours to all, after the terminal has confirmed that it has them.
    pub(super) fn raise(&mut self) {
        if self.may_have_more {
            self.may_have_more = false;
            self.colours = Decided {
                value: Colours::Full,
                by: "the terminal's answer".to_owned(),
            };
        }
    }

    /// Takes the colours away, so that images made of cells are drawn with characters.
    pub(super) fn draw_with_characters(&mut self) {
        self.colours = Decided {
            value: Colours::None,
            by: "NO_COLOR".to_owned(),
        };
    }
}

/// The escape sequences that the terminal parses rather than prints, in ECMA-48's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EscapeSupport {
    /// Hardly any.
    Text,
    /// Control sequences (CSI).
    ControlSequences,
    /// Also control strings (APC, DCS and OSC).
    ControlStrings,
}

/// The escape sequences supported according to `TERM`. Terminals too old for control strings print them.
pub(super) fn escape_support_by(variable: impl Fn(&str) -> Option<String>) -> EscapeSupport {
    let term = variable("TERM").unwrap_or_default();
    if term.starts_with("vt") || term.starts_with("linux") {
        EscapeSupport::ControlSequences
    } else if is_bare(&term) {
        EscapeSupport::Text
    } else {
        EscapeSupport::ControlStrings
    }
}

fn from_settings<T>(value: T) -> Decided<T> {
    Decided {
        value,
        by: "the settings".to_owned(),
    }
}

/// Parts of a `TERM` whose terminal has all colours. SSH passes on `TERM`, but not `COLORTERM`.
const FULL_COLOUR_TERMS: [&str; 7] = [
    "-direct",
    "kitty",
    "ghostty",
    "alacritty",
    "foot",
    "wezterm",
    "contour",
];

/// Whether the terminal has no colours: those without escape sequences, and DEC's.
fn is_bare(term: &str) -> bool {
    term.is_empty() || term == "dumb" || term.starts_with("vt")
}

/// Whether `TERM` stands for 256 colours: by name, or as the plain `xterm`, `screen` and `tmux` that containers and
/// multiplexers set for terminals that have them.
fn is_indexed(term: &str) -> bool {
    term.contains("256color") || ["xterm", "screen", "tmux"].contains(&term)
}

/// The colours according to the variables. A `TERM` known for few colours overrides `COLORTERM`, which a terminal inherits from
/// the one it was started in.
pub fn colours_by(variable: impl Fn(&str) -> Option<String>) -> Decided<Colours> {
    let term = variable("TERM").unwrap_or_default();
    let depth = variable("COLORTERM").unwrap_or_default();
    let by_term = |value| Decided {
        value,
        by: variable_text("TERM", &term),
    };
    if is_bare(&term) {
        by_term(Colours::None)
    } else if term == "linux" || term.ends_with("-16color") {
        by_term(Colours::Named)
    } else if matches!(depth.as_str(), "truecolor" | "24bit") {
        Decided {
            value: Colours::Full,
            by: variable_text("COLORTERM", &depth),
        }
    } else if FULL_COLOUR_TERMS.iter().any(|part| term.contains(part)) {
        by_term(Colours::Full)
    } else if is_indexed(&term) {
        by_term(Colours::Indexed)
    } else {
        by_term(Colours::Named)
    }
}

/// Whether the terminal is limited to ASCII according to the variables. Where none names an encoding, as in many containers,
/// Unicode is assumed: hardly any terminal lacks it.
pub fn ascii_by(variable: impl Fn(&str) -> Option<String>) -> Decided<bool> {
    let term = variable("TERM").unwrap_or_default();
    // The Linux console reads UTF-8, but its font has at most 512 characters.
    if is_bare(&term) || term == "linux" {
        return Decided {
            value: true,
            by: variable_text("TERM", &term),
        };
    }
    // The first one set counts, as in the C library.
    let set = |name: &'static str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(|value| (name, value))
    };
    match ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set) {
        Some((name, locale)) => {
            let encoding = locale.to_ascii_lowercase().replace('-', "");
            Decided {
                value: !encoding.contains("utf8"),
                by: variable_text(name, &locale),
            }
        }
        None => Decided {
            value: false,
            by: "no LC_ALL, LC_CTYPE, LANG".to_owned(),
        },
    }
}

/// A variable as the user is told of it: `NAME=value`, or `no NAME`.
fn variable_text(name: &str, value: &str) -> String {
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
    fn the_variables_decide_the_colours() {
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
    fn the_first_locale_that_is_set_decides_on_unicode() {
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
    fn an_answer_raises_256_colours_that_only_the_environment_decided() {
        let auto = Setting::Auto;
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
                Setting::Fixed(Colours::Indexed),
                "TERM=xterm-256color",
                Colours::Indexed,
                "the settings",
            ),
        ] {
            let mut limits = Limits::from_variables(colours, None, given(variables));
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
            ("", EscapeSupport::Text),
            ("TERM=dumb", EscapeSupport::Text),
            ("TERM=linux", EscapeSupport::ControlSequences),
            ("TERM=linux-16color", EscapeSupport::ControlSequences),
            ("TERM=vt340", EscapeSupport::ControlSequences),
            ("TERM=xterm-256color", EscapeSupport::ControlStrings),
            ("TERM=screen", EscapeSupport::ControlStrings),
            ("TERM=rxvt", EscapeSupport::ControlStrings),
        ] {
            assert_eq!(escape_support_by(given(variables)), wanted, "{variables}");
        }
    }

    #[test]
    fn settings_override_the_variables() {
        let limits = Limits::new(Setting::Fixed(Colours::Named), Some(true));
        assert_eq!(limits.colours.value, Colours::Named);
        assert_eq!(limits.colours.by, "the settings");
        assert!(limits.ascii.value);
        assert!(
            !Limits::new(Setting::Fixed(Colours::Full), Some(false))
                .ascii
                .value
        );
    }
}
