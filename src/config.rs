//! Typed settings. Arguments override the environment, which overrides config.toml, which overrides the defaults. (clap merges
//! arguments and environment.)

mod fault;
mod rules;
mod setting;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, base_strategy::Xdg};
use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;

use crate::media::read_text;
pub use fault::{ConfigError, advice, similar};
pub use rules::RuleSettings;
pub use setting::{Colours, Graphics, NamedValue, Setting};

/// The program's name, after which its folders are named.
pub const NAME: &str = "medivision-tui";

/// Maximum size of a settings file.
const MAX_BYTES: u64 = 1 << 20;

/// The name of the built-in model.
pub const BUILTIN: &str = "builtin";
/// Another name for it.
pub const DEMO: &str = "demo";

/// Colour theme. Colours are distinguishable with colour blindness, and always accompanied by a symbol or word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// For a dark background; readable on a light one.
    #[default]
    Dark,
    /// For a light background.
    Light,
    /// No colour, as with `NO_COLOR`.
    None,
}

/// How files are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileView {
    /// As a list of names, beside the image and its result.
    #[default]
    List,
    /// As a grid of small images.
    Grid,
}

/// What files are sorted by. Each key puts the files first that the user is most likely to look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortKey {
    /// The name; numbers in it by their value.
    #[default]
    Name,
    /// The modification time, newest first.
    Time,
    /// The largest file first.
    Size,
    /// The label, then the highest probability first.
    Label,
    /// The highest probability first.
    Probability,
    /// The most likely to be abnormal first ([`crate::scoring::Verdict::urgency`]).
    Urgency,
    /// The closest decision first: the smallest lead of the first condition over the second.
    Uncertainty,
}

/// `[layout]`: how a folder is shown the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayoutSettings {
    /// List or grid.
    pub view: FileView,
    /// Width of the list in percent of the screen's; `None` to choose it automatically.
    #[serde(deserialize_with = "within::<_, 10, 90>")]
    pub list: Option<u8>,
    /// Size of the tiles of the grid.
    #[serde(deserialize_with = "within::<_, 1, 5>")]
    pub tiles: Option<u8>,
    /// Whether files are grouped by study and series.
    pub series: bool,
    /// What files are sorted by.
    pub sort: SortKey,
    /// Whether the order is reversed.
    pub reverse: bool,
    /// Whether files whose names begin with a dot are shown.
    pub hidden: bool,
}

/// Deserializes a number from `MIN` to `MAX`.
fn within<'de, D: Deserializer<'de>, const MIN: u8, const MAX: u8>(
    from: D,
) -> Result<Option<u8>, D::Error> {
    let number = i64::deserialize(from)?;
    let inside = u8::try_from(number).ok();
    let inside = inside.filter(|number| (MIN..=MAX).contains(number));
    let wrong = || format!("{number} is not between {MIN} and {MAX}");
    inside
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom(wrong()))
}

/// `[llm]`: the language model that drafts prompts. Its key is never in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageModelSettings {
    /// `--llm-url`
    pub url: Option<String>,
    /// `--llm-model`
    pub model: Option<String>,
    /// How long an answer may take, in seconds.
    #[serde(deserialize_with = "within_seconds")]
    pub timeout: Option<u32>,
}

/// Deserializes a number of seconds up to an hour.
fn within_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let number = i64::deserialize(from)?;
    let inside = u32::try_from(number).ok();
    let inside = inside.filter(|number| (1..=3600).contains(number));
    let wrong = || format!("{number} is not between 1 and 3600 seconds");
    inside
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom(wrong()))
}

/// The content of config.toml: options by name, `[llm]`, `[layout]`, `[keys]` and `[[rule]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `--model`
    pub model: Option<String>,
    /// `--prompts`
    pub prompts: Option<String>,
    /// `--device`
    pub device: Option<Spanned<String>>,
    /// `--precision`
    pub precision: Option<Spanned<String>>,
    /// `--offline`
    pub offline: Option<bool>,
    /// `--graphics`
    pub graphics: Option<Setting<Graphics>>,
    /// `--library`
    pub library: Option<String>,
    /// `--memory`
    pub memory: Option<Spanned<String>>,
    /// `--show-phi`
    pub show_phi: Option<bool>,
    /// `--no-mouse`
    pub no_mouse: Option<bool>,
    /// `--log-level`
    pub log_level: Option<Spanned<String>>,
    /// Whether results are adjusted to the folder's mix where images are browsed: `estimate`, or a mix.
    pub adjust: Option<Spanned<String>>,
    /// The language model that drafts prompts.
    #[serde(default)]
    pub llm: LanguageModelSettings,
    /// Colour theme.
    pub theme: Option<Theme>,
    /// Colours that the terminal supports.
    pub colours: Option<Setting<Colours>>,
    /// Whether the terminal shows only ASCII; `None` to detect it.
    pub ascii: Option<bool>,
    /// How folders are shown the first time.
    #[serde(default)]
    pub layout: LayoutSettings,
    /// Names of actions, with the keys that replace their defaults.
    #[serde(default)]
    pub keys: BTreeMap<String, Spanned<Vec<String>>>,
    /// `[[rule]]`, in the order of the file.
    #[serde(default)]
    pub rule: Vec<Spanned<RuleSettings>>,
    /// The path and the text of the file; `None` if there is no file.
    #[serde(skip)]
    pub source: Option<(PathBuf, String)>,
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
        match read_text(&path, MAX_BYTES) {
            Ok(text) => {
                let config = Self::parse(&text, &path)?;
                let home = etcetera::home_dir().ok();
                Ok(config.with_paths_from(&path, home.as_deref()))
            }
            // The home of a service may be no folder, such as `/dev/null`.
            Err(error)
                if given.is_none()
                    && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(Self::default())
            }
            Err(error) => Err(ConfigError {
                path,
                line: None,
                reason: error.to_string(),
            }),
        }
    }

    /// Parses the text of the settings file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let parsed = toml::from_str(text).map_err(|error| ConfigError::of(error, text, path));
        Ok(Self {
            source: Some((path.to_owned(), text.to_owned())),
            ..parsed?
        })
    }

    /// Takes the library's path to be relative to the folder of the file, and `~/` in paths to be the home folder: no shell expands that here.
    fn with_paths_from(mut self, file: &Path, home: Option<&Path>) -> Self {
        let expand = |text: &mut String| {
            let rest = text.strip_prefix("~/").zip(home);
            if let Some(path) = rest.and_then(|(rest, home)| Some(home.join(rest).to_str()?.into()))
            {
                *text = path;
            }
        };
        for text in [&mut self.model, &mut self.prompts, &mut self.library] {
            text.iter_mut().for_each(expand);
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        self.library = self.library.map(|text| match text.as_str() {
            "" | "none" => text,
            _ => folder.join(&text).to_str().map_or(text, str::to_owned),
        });
        self
    }

    /// The error about the keys of the last of these actions that the file binds.
    pub fn fault_of_keys(&self, actions: &[&str], reason: String) -> ConfigError {
        let bound = actions.iter().rev().find_map(|name| self.keys.get(*name));
        self.fault(bound.map(Spanned::span), reason)
    }

    /// The error about the value at this byte range of the file.
    pub fn fault(&self, place: Option<Range<usize>>, reason: String) -> ConfigError {
        let (path, text) = self.source.clone().unwrap_or_default();
        ConfigError {
            path,
            line: place.map(|place| fault::line_at(&text, place.start)),
            reason,
        }
    }
}

/// Minimum of `--memory`: with less, nothing can be decoded.
const MIN_MEMORY: u64 = 1 << 20;

/// Parses a number of bytes, such as `500000000`, `500M` or `2Gi`.
///
/// # Errors
///
/// Says what is wrong with the text.
pub fn bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let factor = match unit.trim().trim_end_matches(['B', 'b']) {
        "" => Some(1),
        "K" | "k" => Some(1000),
        "M" => Some(1_000_000),
        "G" => Some(1_000_000_000),
        "Ki" => Some(1 << 10),
        "Mi" => Some(1 << 20),
        "Gi" => Some(1 << 30),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    let bytes = number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| format!("`{text}` is not a number of bytes, such as 500M or 2Gi"))?;
    if bytes < MIN_MEMORY {
        return Err(format!(
            "`{text}` is less than 1Mi, which is too little to decode anything"
        ));
    }
    Ok(bytes)
}

/// The user's folders for this program, by the XDG Base Directory Specification. They need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Holds config.toml and prompts/.
    pub config: PathBuf,
    /// Holds what can be created or downloaded again.
    pub cache: PathBuf,
    /// Holds library.sqlite3.
    pub data: PathBuf,
    /// Holds the log, places.toml and folders/.
    pub state: PathBuf,
}

impl Folders {
    /// The folders of the current user; `None` without a home folder.
    pub fn new() -> Option<Self> {
        let xdg = Xdg::new().ok()?;
        Some(Self {
            config: xdg.config_dir().join(NAME),
            cache: xdg.cache_dir().join(NAME),
            data: xdg.data_dir().join(NAME),
            state: xdg.state_dir().unwrap_or_else(|| xdg.data_dir()).join(NAME),
        })
    }

    /// The user's own prompt sets.
    pub fn prompts(&self) -> PathBuf {
        self.config.join("prompts")
    }

    /// The persisted state of folders.
    pub fn folder_states(&self) -> PathBuf {
        self.state.join("folders")
    }

    /// Saved views and bookmarks.
    pub fn places(&self) -> PathBuf {
        self.state.join("places.toml")
    }

    /// The file that says that a model for findings was offered.
    pub fn model_offered(&self) -> PathBuf {
        self.state.join("model-offered")
    }

    /// The library.
    pub fn library(&self) -> PathBuf {
        self.data.join("library.sqlite3")
    }

    /// The embeddings that earlier versions of the program stored, before there was a library.
    pub fn previous_embeddings(&self) -> PathBuf {
        self.state.join("embeddings.sqlite3")
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
    fn a_fault_names_file_line_and_key_and_what_may_have_been_meant() {
        for (text, said) in [
            (
                "model = \"demo\"\nmodle = \"x\"\n",
                "c.toml:2: unknown key `modle`; did you mean `model`?",
            ),
            (
                "[layout]\nhiden = true\n",
                "c.toml:2: unknown key `hiden` in `layout`; did you mean `hidden`?",
            ),
            (
                "[layout]\nzzz = true\n",
                "c.toml:2: unknown key `zzz` in `layout`; use one of `view`, `list`, `tiles`, `series`, `sort`, `reverse`, `hidden`",
            ),
            (
                "layout.view = \"gird\"\n",
                "c.toml:1: unknown value `gird` in `layout.view`; did you mean `grid`?",
            ),
            (
                "theme = \"pink\"\n",
                "c.toml:1: unknown value `pink` in `theme`; use one of `dark`, `light`, `none`",
            ),
            (
                "[layout]\nsort = \"date\"\n",
                "c.toml:2: unknown value `date` in `layout.sort`; use one of `name`, `time`, `size`, `label`, `probability`, `urgency`, `uncertainty`",
            ),
            (
                "\n[layout]\nlist = 95\n",
                "c.toml:3: 95 is not between 10 and 90 in `layout.list`",
            ),
            (
                "[layout]\n\ntiles = 0\n",
                "c.toml:3: 0 is not between 1 and 5 in `layout.tiles`",
            ),
            (
                "offline = \"yes\"\n",
                "c.toml:1: invalid type: string \"yes\", expected a boolean in `offline`",
            ),
        ] {
            let error = Config::parse(text, Path::new("c.toml")).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
    }

    #[test]
    fn the_layout_is_read_and_what_is_left_out_stays_as_it_is() {
        let text = "[layout]\nview = \"grid\"\nlist = 40\ntiles = 3\nsort = \"urgency\"\n";
        let config = Config::parse(text, Path::new("c.toml")).unwrap();
        let layout = LayoutSettings {
            view: FileView::Grid,
            list: Some(40),
            tiles: Some(3),
            sort: SortKey::Urgency,
            ..LayoutSettings::default()
        };
        assert_eq!(config.layout, layout);
    }

    #[test]
    fn bytes_are_numbers_with_units_of_thousand_or_1024() {
        for (text, number) in [
            ("1048576", 1 << 20),
            ("1500K", 1_500_000),
            ("2000 k", 2_000_000),
            ("500M", 500_000_000),
            ("3G", 3_000_000_000),
            ("2048Ki", 2 << 20),
            ("512MiB", 512 << 20),
            ("2Gi", 2 << 30),
        ] {
            assert_eq!(bytes(text), Ok(number), "{text}");
        }
        for text in ["", "G", "1.5G", "-1", "1T", "0", "1000K", "99999999999Gi"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_do_not_depend_on_the_current_folder() {
        let read = |text: &str| {
            let file = Path::new("/etc/m/c.toml");
            let config = Config::parse(text, file).unwrap();
            config.with_paths_from(file, Some(Path::new("/home/ana")))
        };
        for (given, expected) in [
            ("~/lib.db", "/home/ana/lib.db"),
            ("lib.db", "/etc/m/lib.db"),
            ("/data/lib.db", "/data/lib.db"),
            ("none", "none"),
            ("", ""),
        ] {
            let config = read(&format!("library = \"{given}\"\n"));
            assert_eq!(config.library.as_deref(), Some(expected));
        }
        let config = read("model = \"~/clip\"\nprompts = \"general\"\n");
        assert_eq!(config.model.as_deref(), Some("/home/ana/clip"));
        assert_eq!(config.prompts.as_deref(), Some("general"));
    }

    #[test]
    fn a_named_file_must_exist() {
        assert!(Config::load(Some(Path::new("nowhere.toml"))).is_err());
        let error = Config::load(Some(Path::new("/dev/zero"))).unwrap_err();
        assert_eq!(error.to_string(), "/dev/zero: a device, not a file");
    }

    #[test]
    fn keys_are_those_of_the_options() {
        let text = "model = \"m\"\nprompts = \"p\"\ndevice = \"cpu\"\ngraphics = \"sixel\"\nlog_level = \"info\"\nshow_phi = true\nno_mouse = true\n";
        let config = Config::parse(text, Path::new("c.toml")).unwrap();
        assert_eq!(config.graphics, Some(Setting::Fixed(Graphics::Sixel)));
        assert_eq!(config.model.as_deref(), Some("m"));
        assert_eq!(config.show_phi, Some(true));
        assert_eq!(config.no_mouse, Some(true));
    }
}
