//! Typed settings: defaults ← config.toml ← environment ← arguments (clap joins the last two).

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, base_strategy::Xdg};
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// The program's name, as its folders are called.
pub const NAME: &str = "medivision-tui";

/// The model that is built in.
pub const DEMO: &str = "demo";

/// How pictures reach the terminal.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Graphics {
    /// What the terminal says it can.
    #[default]
    Auto,
    /// kitty's protocol.
    Kitty,
    /// DEC sixel.
    Sixel,
    /// iTerm2's inline images.
    Iterm2,
    /// Two colours a cell; every terminal can.
    Halfblocks,
    /// No pictures.
    None,
}

/// Colours of the screen. They are told apart by the colour-blind; each also has its symbol and its word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// For a dark ground; readable on a light one.
    #[default]
    Dark,
    /// For a light ground.
    Light,
    /// No colour, as with `NO_COLOR`.
    None,
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Colours {
    /// By what the environment says of it.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// The sixteen with names.
    #[serde(rename = "16")]
    Named,
    /// The 256 of xterm.
    #[serde(rename = "256")]
    Indexed,
    /// Red, green and blue of eight bits each.
    #[serde(rename = "full")]
    Full,
}

/// What config.toml may hold: options by their names, and `[keys]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `--model`
    pub model: Option<String>,
    /// `--prompts`
    pub prompts: Option<String>,
    /// `--device`
    pub device: Option<String>,
    /// `--precision`
    pub precision: Option<String>,
    /// `--offline`
    pub offline: Option<bool>,
    /// `--graphics`
    pub graphics: Option<Graphics>,
    /// `--show-phi`
    pub show_phi: Option<bool>,
    /// `--no-mouse`
    pub no_mouse: Option<bool>,
    /// `--log-level`
    pub log_level: Option<String>,
    /// Colours of the screen.
    pub theme: Option<Theme>,
    /// Colours of the terminal.
    pub colours: Option<Colours>,
    /// The terminal has ASCII only, or has Unicode.
    pub ascii: Option<bool>,
    /// Actions and the keys they are bound to instead of their own.
    #[serde(default)]
    pub keys: BTreeMap<String, Spanned<Vec<String>>>,
    /// The file and its text; `None`: there is none.
    #[serde(skip)]
    pub source: Option<(PathBuf, String)>,
}

/// Why the settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {reason}", path.display(), line.map(|n| format!(":{n}")).unwrap_or_default())]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl Config {
    /// Reads `given`, or the user's config.toml if there is one.
    pub fn load(given: Option<&Path>) -> Result<Self, ConfigError> {
        let folders = Folders::new();
        let usual = folders
            .as_ref()
            .map(|folders| folders.config.join("config.toml"));
        let Some(path) = given.map(Path::to_owned).or(usual) else {
            return Ok(Self::default());
        };
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(error) if error.kind() == ErrorKind::NotFound && given.is_none() => {
                Ok(Self::default())
            }
            Err(error) => Err(ConfigError {
                path,
                line: None,
                reason: error.to_string(),
            }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let parsed = toml::from_str(text).map_err(|error: toml::de::Error| ConfigError {
            path: path.to_owned(),
            line: error.span().map(|span| line_at(text, span.start)),
            reason: error.message().to_owned(),
        });
        Ok(Self {
            source: Some((path.to_owned(), text.to_owned())),
            ..parsed?
        })
    }

    /// What is wrong with the keys of the first of these actions that the file binds.
    pub fn fault_of_keys(&self, actions: &[&str], reason: String) -> ConfigError {
        let (path, text) = self.source.clone().unwrap_or_default();
        let bound = actions.iter().rev().find_map(|name| self.keys.get(*name));
        ConfigError {
            path,
            line: bound.map(|keys| line_at(&text, keys.span().start)),
            reason,
        }
    }
}

/// The line of a byte, from 1.
fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

/// The user's folders of this program, by the XDG rules. They need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// config.toml, prompts/.
    pub config: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
    /// The log.
    pub state: PathBuf,
}

impl Folders {
    /// `None` without a home folder.
    pub fn new() -> Option<Self> {
        let xdg = Xdg::new().ok()?;
        Some(Self {
            config: xdg.config_dir().join(NAME),
            cache: xdg.cache_dir().join(NAME),
            state: xdg.state_dir().unwrap_or_else(|| xdg.data_dir()).join(NAME),
        })
    }

    /// The user's own prompt sets.
    pub fn prompts(&self) -> PathBuf {
        self.config.join("prompts")
    }

    /// The log file.
    pub fn log(&self) -> PathBuf {
        self.state.join("log.txt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_file_line_and_key() {
        let error =
            Config::parse("model = \"demo\"\nmodle = \"x\"\n", Path::new("c.toml")).unwrap_err();
        assert_eq!(error.line, Some(2));
        assert!(
            error.to_string().starts_with("c.toml:2: ") && error.reason.contains("modle"),
            "{error}"
        );
    }

    #[test]
    fn a_named_file_must_exist() {
        assert!(Config::load(Some(Path::new("nowhere.toml"))).is_err());
    }

    #[test]
    fn keys_are_those_of_the_options() {
        let text = "model = \"m\"\nprompts = \"p\"\ndevice = \"cpu\"\ngraphics = \"sixel\"\nlog_level = \"info\"\nshow_phi = true\nno_mouse = true\n";
        let config = Config::parse(text, Path::new("c.toml")).unwrap();
        assert_eq!(config.graphics, Some(Graphics::Sixel));
        assert_eq!(config.model.as_deref(), Some("m"));
        assert_eq!(config.show_phi, Some(true));
        assert_eq!(config.no_mouse, Some(true));
    }
}
