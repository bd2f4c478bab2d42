//! What runs without a screen: one file per command.

pub mod bench;
pub mod browse;
pub mod classify;
pub mod completions;
pub mod demo;
pub mod doctor;
pub mod eval;
pub mod inspect;
pub mod models;
mod output;
pub mod print;
mod progress;
pub mod prompts;
mod run;
mod summary;
pub mod watch;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use toml::Spanned;

use crate::app::{self, Kept, Keymap};
use crate::cli::{Global, Results};
use crate::config::{self, Colours, Config, Folders, Graphics, Theme, View, advice};
use crate::encoder::hub::is_offline_by_environment;
use crate::encoder::{Device, Fit, ModelOptions, ModelSource, Precision};
use crate::engine::{self, Factory, Settings};
use crate::library::export::ResultFormat;
use crate::media::budget;
use crate::prompts::{DEFAULT, Prompts};

/// Exit codes, a contract with scripts.
pub mod exit {
    /// All done.
    pub const OK: u8 = 0;
    /// Some inputs failed; each has its line.
    pub const SOME_FAILED: u8 = 1;
    /// The command line, or the settings file, is wrong.
    pub const USAGE: u8 = 2;
    /// Model, device, library or prompts cannot be used.
    pub const UNUSABLE: u8 = 3;
    /// Ctrl-C; what was finished is printed.
    pub const INTERRUPTED: u8 = 130;
}

/// A command cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The exit code.
    pub code: u8,
    /// A sentence for the user.
    pub message: String,
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` calls"
)]
impl Fault {
    /// A wrong command line or settings file.
    pub fn usage(message: impl ToString) -> Self {
        Self {
            code: exit::USAGE,
            message: message.to_string(),
        }
    }

    /// Model, device, library or prompts cannot be used.
    pub fn unusable(message: impl ToString) -> Self {
        Self {
            code: exit::UNUSABLE,
            message: message.to_string(),
        }
    }

    /// The output cannot be written.
    pub fn output(error: &io::Error) -> Self {
        Self {
            code: exit::SOME_FAILED,
            message: format!("the output cannot be written: {error}"),
        }
    }
}

/// The settings in force: defaults ← config.toml ← environment ← arguments.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The model.
    pub source: ModelSource,
    /// Name or file of the prompt set.
    pub prompts: String,
    /// The device.
    pub device: Device,
    /// In how many bits the model computes.
    pub precision: Precision,
    /// The network must not be used.
    pub offline: bool,
    /// How pictures reach the terminal.
    pub graphics: Graphics,
    /// Bytes of memory for all decoding together.
    pub memory: u64,
    /// Values that identify the patient are shown.
    pub show_phi: bool,
    /// The interface follows the mouse.
    pub mouse: bool,
    /// Least severe messages in the log.
    pub log_level: tracing::Level,
    /// The user's folders.
    pub folders: Option<Folders>,
    /// The keys in force.
    pub keymap: Keymap,
    /// Colours of the screen.
    pub theme: Theme,
    /// How folders are shown that were not shown before.
    pub kept: Kept,
    /// Colours of the terminal.
    pub colours: Colours,
    /// Whether it has ASCII only; `None`: as the environment says.
    pub ascii: Option<bool>,
    /// The settings file that was read.
    pub settings: Option<PathBuf>,
}

impl Setup {
    /// Joins arguments and environment (which clap has joined already) with config.toml.
    pub fn new(global: &Global) -> Result<Self, Fault> {
        let config = Config::load(global.config.as_deref()).map_err(Fault::usage)?;
        Self::join(global, config)
    }

    /// The same as if there were no settings file.
    pub fn without_file(global: &Global) -> Result<Self, Fault> {
        Self::join(global, Config::default())
    }

    fn join(global: &Global, config: Config) -> Result<Self, Fault> {
        let keys = config.keys.iter();
        let keys: BTreeMap<_, _> = keys
            .map(|(action, keys)| (action.clone(), keys.get_ref().clone()))
            .collect();
        let keymap = Keymap::new(&keys).map_err(|error| {
            Fault::usage(config.fault_of_keys(&error.actions(), error.to_string()))
        })?;
        let given = |argument: &Option<String>, key: Option<String>, default: &str| {
            argument
                .clone()
                .filter(|text| !text.is_empty())
                .or(key)
                .unwrap_or_else(|| default.to_owned())
        };
        // What the file says must be right, even where something else is in force.
        let device = value(&config, "device", config.device.as_ref(), str::parse)?;
        let precision = value(&config, "precision", config.precision.as_ref(), |text| {
            Precision::from_str(text, false).map_err(|_| {
                let known = ["auto", "f32", "bf16", "f16"];
                format!("`{text}` is no precision; {}", advice(text, known))
            })
        })?;
        let memory = value(&config, "memory", config.memory.as_ref(), config::bytes)?;
        let level = value(&config, "log_level", config.log_level.as_ref(), level)?;
        let kept = kept(&config.layout);
        Ok(Self {
            source: match given(&global.model, config.model, "").as_str() {
                "" => ModelSource::preferred(),
                text => ModelSource::parse(text),
            },
            prompts: given(&global.prompts, config.prompts, DEFAULT),
            device: match global.device.as_deref() {
                None | Some("") => device.unwrap_or_default(),
                Some(text) => text.parse().map_err(Fault::usage)?,
            },
            precision: global.precision.or(precision).unwrap_or_default(),
            offline: global.offline || config.offline == Some(true) || is_offline_by_environment(),
            graphics: global.graphics.or(config.graphics).unwrap_or_default(),
            memory: match global.memory.as_deref() {
                None | Some("") => memory.unwrap_or(budget::DEFAULT_BYTES),
                Some(text) => config::bytes(text)
                    .map_err(|reason| Fault::usage(format!("--memory: {reason}")))?,
            },
            show_phi: global.show_phi || config.show_phi.unwrap_or_default(),
            mouse: !(global.no_mouse || config.no_mouse.unwrap_or_default()),
            log_level: match global.log_level.as_deref() {
                None | Some("") => level.unwrap_or(tracing::Level::WARN),
                Some(text) => self::level(text).map_err(Fault::usage)?,
            },
            folders: Folders::new(),
            keymap,
            theme: config.theme.unwrap_or_default(),
            kept,
            colours: config.colours.unwrap_or_default(),
            ascii: config.ascii,
            settings: config.source.map(|(path, _)| path),
        })
    }

    /// Reads the prompt sets in force.
    pub fn load_prompts(&self) -> Result<Prompts, Fault> {
        let folder = self.folders.as_ref().map(Folders::prompts);
        Prompts::select(&self.prompts, folder.as_deref()).map_err(Fault::unusable)
    }

    /// Makes the model on the thread that will own it.
    pub fn factory(&self, fit: Option<Fit>) -> Factory {
        let (source, options) = (self.source.clone(), self.options(fit));
        Box::new(move || source.open(options.clone()))
    }

    /// How the model is to be opened.
    pub fn options(&self, fit: Option<Fit>) -> ModelOptions {
        ModelOptions {
            device: self.device,
            precision: self.precision,
            fit,
            text_cache: self
                .folders
                .as_ref()
                .map(|folders| folders.cache.join("texts")),
        }
    }
}

/// Reads a value of the settings file.
fn value<T>(
    config: &Config,
    key: &str,
    text: Option<&Spanned<String>>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Fault> {
    let Some(text) = text else { return Ok(None) };
    let wrong = |reason| config.fault(Some(text.span()), format!("{key}: {reason}"));
    read(text.get_ref())
        .map(Some)
        .map_err(|reason| Fault::usage(wrong(reason)))
}

fn level(text: &str) -> Result<tracing::Level, String> {
    let known = ["error", "warn", "info", "debug", "trace"];
    text.parse()
        .map_err(|_| format!("`{text}` is no log level; {}", advice(text, known)))
}

/// How folders are shown that were not shown before.
fn kept(layout: &config::Layout) -> Kept {
    let usual = app::Layout::default();
    Kept {
        cursor: None,
        look: app::Look {
            hidden: layout.hidden,
            sort: app::sort::Sort {
                by: layout.sort,
                reversed: layout.reverse,
            },
            ..app::Look::default()
        },
        layout: app::Layout {
            list: layout.list.map(f64::from),
            grid: layout.view == View::Grid,
            tiles: layout.tiles.unwrap_or(usual.tiles),
            series: layout.series,
        },
    }
}

impl Results {
    /// The engine's settings.
    pub fn settings(&self, prompts: Prompts) -> Settings {
        Settings {
            prompts,
            mode: self.mode,
            frames: self.frames,
            batch_size: self.batch_size.map(usize::from),
            decode_threads: self.jobs.map(usize::from),
            exact: self.exact,
            pass_time: engine::BULK_PASS_TIME,
            embeddings: None,
        }
    }

    /// The format asked for, else by where stdout leads.
    pub fn format(&self) -> ResultFormat {
        self.format.unwrap_or(if io::stdout().is_terminal() {
            ResultFormat::Table
        } else {
            ResultFormat::Jsonl
        })
    }
}

/// Calls `handle` on each of the signals, from a thread of its own.
pub fn on_signals(signals: &[i32], handle: impl Fn() + Send + 'static) -> Result<(), Fault> {
    let fault = |error: io::Error| Fault {
        code: exit::SOME_FAILED,
        message: format!("signals cannot be caught: {error}"),
    };
    let mut signals = signal_hook::iterator::Signals::new(signals).map_err(fault)?;
    let body = move || {
        for _ in signals.forever() {
            handle();
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(body)
        .map(drop)
        .map_err(fault)
}

/// Ends the process at once. libtorch's destructors take longer than many a command, and where its thread still works
/// while they run, it ends in a fault of its own.
pub fn leave(code: u8) -> ! {
    use std::io::Write as _;
    // Nobody is left to be told that it cannot be written.
    let _ = (io::stdout().flush(), io::stderr().flush());
    // SAFETY: ends the process; nothing is left to be written.
    unsafe { libc::_exit(i32::from(code)) }
}

/// A path on stderr: whatever it holds, it does not steer the terminal.
pub(crate) fn shown(path: &Path) -> String {
    crate::media::clean(&path.to_string_lossy())
}

/// An engine's sink that sends into a channel.
pub(crate) fn sink<T: Send + 'static>(
    sender: crossbeam_channel::Sender<T>,
    wrap: fn(crate::engine::Event) -> T,
) -> crate::engine::EventHandler {
    // The receiver is gone only when the command is ending.
    Arc::new(move |event| drop(sender.send(wrap(event))))
}
