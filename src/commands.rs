//! The commands, one file each, and what they share: settings, exit codes and printing.

mod ask;
pub mod bench;
pub mod browse;
pub mod calibrate;
pub mod classify;
mod comparison;
pub mod completions;
pub mod demo;
mod describe;
pub mod doctor;
pub mod eval;
pub mod explain;
pub mod export;
pub mod inspect;
mod language_model;
pub mod learn;
pub mod library;
mod mix;
pub mod models;
mod output;
pub mod print;
mod progress;
pub mod prompts;
pub mod reviews;
mod run;
pub mod search;
mod summary;
pub mod train;
pub mod watch;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use toml::Spanned;

use crate::app::mix::MixSetting;
use crate::app::{self, FolderState, Keymap};
use crate::cli::{GlobalArgs, ResultArgs};
use crate::config::{
    self, Colours, Config, FileView, Folders, Graphics, LayoutSettings, Setting, Theme, advice,
};
use crate::encoder::hub::is_offline_by_environment;
use crate::encoder::{Device, EncoderError, Fit, ModelOptions, ModelSource, Precision, builtin};
use crate::engine::{self, Factory, Settings};
use crate::exec::CommandLine;
use crate::learn::LearnedSets;
use crate::library::export::ResultFormat;
use crate::library::{Library, calibrations, learned};
use crate::llm::LlmSettings;
use crate::media::budget;
use crate::prompts::{AUTO, DEFAULT, PromptSet, Prompts};
use crate::rules::{Rule, Rules};
use crate::scoring::calibration::Calibrations;

/// Exit codes, a contract with scripts.
pub mod exit {
    /// Everything was done.
    pub const OK: u8 = 0;
    /// Some inputs failed; each has its error line.
    pub const SOME_FAILED: u8 = 1;
    /// The command line or the settings file is wrong.
    pub const USAGE: u8 = 2;
    /// The model, device, library or prompts cannot be used.
    pub const UNUSABLE: u8 = 3;
    /// Interrupted by Ctrl-C; finished results are printed.
    pub const INTERRUPTED: u8 = 130;
}

/// The error of a command that cannot be carried out.
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
    reason = "the signature that `map_err` needs"
)]
impl Fault {
    /// A wrong command line or settings file.
    pub fn usage(message: impl ToString) -> Self {
        Self {
            code: exit::USAGE,
            message: message.to_string(),
        }
    }

    /// An unusable model, device, library or prompt set.
    pub fn unusable(message: impl ToString) -> Self {
        Self {
            code: exit::UNUSABLE,
            message: message.to_string(),
        }
    }

    /// The error of a fine-tuning: of what it writes, an output that cannot be written, else an unusable model.
    pub fn training(error: EncoderError) -> Self {
        match error {
            EncoderError::Output { .. } => Self {
                code: exit::SOME_FAILED,
                message: error.to_string(),
            },
            other => Self::unusable(other),
        }
    }

    /// An output that cannot be written.
    pub fn output(error: &io::Error) -> Self {
        Self {
            code: exit::SOME_FAILED,
            message: format!("the output cannot be written: {error}"),
        }
    }
}

/// Which prompt set is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptChoice {
    /// Its name or file.
    pub name: String,
    /// Whether the user named it for this run, so that rules do not choose others.
    pub overrides_rules: bool,
    /// Whether nobody named one.
    pub is_default: bool,
    /// A second one to compare it with, which only `eval` allows.
    pub second: Option<String>,
}

/// The effective settings: arguments override the environment, which overrides config.toml, which overrides the defaults.
#[derive(Clone, Debug)]
pub struct CommandSetup {
    /// The model to open.
    pub source: ModelSource,
    /// The prompt set.
    pub prompts: PromptChoice,
    /// The rules of the settings file.
    pub rules: Rules,
    /// Device to compute on.
    pub device: Device,
    /// Numeric precision.
    pub precision: Precision,
    /// Whether the network must not be used.
    pub offline: bool,
    /// The language model that drafts prompts.
    pub llm: LlmSettings,
    /// Graphics protocol.
    pub graphics: Setting<Graphics>,
    /// The library's file; `None` goes without.
    pub library: Option<PathBuf>,
    /// Memory for all decoding together, in bytes.
    pub memory: u64,
    /// Whether values that identify the patient are shown.
    pub show_phi: bool,
    /// Who reviews images.
    pub reviewer: Reviewer,
    /// Whether the interface uses the mouse.
    pub mouse: bool,
    /// Lowest severity to log.
    pub log_level: tracing::Level,
    /// The user's folders; `None` without a home folder.
    pub folders: Option<Folders>,
    /// The key bindings.
    pub keymap: Keymap,
    /// Whether the interface adjusts results to the folder's mix.
    pub mix: MixSetting,
    /// Colour theme of the interface.
    pub theme: Theme,
    /// How folders without saved state are shown.
    pub folder_state: FolderState,
    /// Colours of the terminal.
    pub colours: Setting<Colours>,
    /// Whether the terminal is limited to ASCII; `None` to detect it.
    pub ascii: Option<bool>,
    /// The settings file that was read, if any.
    pub settings: Option<PathBuf>,
}

/// Who reviews images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewer {
    /// The name under which reviews are kept.
    pub name: String,
    /// Whether results and the reviews of others are hidden.
    pub blind: bool,
}

/// The table of this machine's users.
const USERS: &str = "/etc/passwd";

/// The name of the user who runs the program: what the environment says, else the table of users, else the number.
fn login() -> String {
    let named = ["LOGNAME", "USER"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok());
    let mut named = named.filter(|name| !name.trim().is_empty());
    let from_table = || {
        let uid = rustix::process::getuid().as_raw();
        let users = std::fs::read(USERS).unwrap_or_default();
        let name = user_name(&String::from_utf8_lossy(&users), uid);
        name.unwrap_or_else(|| format!("uid {uid}"))
    };
    named.next().unwrap_or_else(from_table)
}

/// The name of a user in a table as in passwd(5): `name:password:uid:…`.
fn user_name(users: &str, uid: u32) -> Option<String> {
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number = fields.nth(1)?.parse::<u32>();
        number.is_ok_and(|own| own == uid).then_some(name)
    })?;
    Some(found.to_owned()).filter(|name| !name.is_empty())
}

impl CommandSetup {
    /// Combines the arguments and the environment (which clap has already combined) with config.toml.
    pub fn new(global: &GlobalArgs) -> Result<Self, Fault> {
        let config = Config::load(global.config.as_deref()).map_err(Fault::usage)?;
        Self::join(global, config)
    }

    /// Like [`Self::new`], but ignores the settings file.
    pub fn without_file(global: &GlobalArgs) -> Result<Self, Fault> {
        Self::join(global, Config::default())
    }

    fn join(global: &GlobalArgs, config: Config) -> Result<Self, Fault> {
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
        // Values in the file must be valid, even if an argument overrides them.
        let device = value(&config, "device", config.device.as_ref(), str::parse)?;
        let precision = value(&config, "precision", config.precision.as_ref(), |text| {
            Precision::from_str(text, false).map_err(|_| {
                let known = ["auto", "f32", "bf16", "f16"];
                format!("`{text}` is not a precision; {}", advice(text, known))
            })
        })?;
        let memory = value(&config, "memory", config.memory.as_ref(), config::bytes)?;
        if let Some(name) = &global.reviewer
            && !name.is_empty()
            && name.trim().is_empty()
        {
            return Err(Fault::usage("--reviewer: the name is blank; give a name"));
        }
        let level = value(&config, "log_level", config.log_level.as_ref(), level)?;
        let mix = value(&config, "adjust", config.adjust.as_ref(), mix_setting)?;
        let rules = Rules::new(&config).map_err(Fault::usage)?;
        for exec in rules.iter().filter_map(|rule| rule.exec.as_ref()) {
            CommandLine::parse(&exec.text)
                .map_err(|reason| Fault::usage(exec.fault(format!("exec: {reason}"))))?;
        }
        let folder_state = folder_state(&config.layout);
        let folders = Folders::new();
        let library = match given(&global.library, config.library, "").as_str() {
            "none" => None,
            "" => folders.as_ref().map(Folders::library),
            file => Some(PathBuf::from(file)),
        };
        let prompts = given(&global.prompts.first().cloned(), config.prompts, "");
        let offline = global.offline || config.offline == Some(true) || is_offline_by_environment();
        let of_llm = |argument, key| Some(given(argument, key, "")).filter(|text| !text.is_empty());
        Ok(Self {
            source: match given(&global.model, config.model, "").as_str() {
                "" => ModelSource::preferred(),
                text => ModelSource::parse(text),
            },
            prompts: PromptChoice {
                overrides_rules: global.prompts.first().is_some_and(|text| !text.is_empty()),
                second: global.prompts.get(1).cloned(),
                is_default: prompts.is_empty(),
                name: if prompts.is_empty() {
                    DEFAULT.to_owned()
                } else {
                    prompts
                },
            },
            rules,
            device: match global.device.as_deref() {
                None | Some("") => device.unwrap_or_default(),
                Some(text) => text.parse().map_err(Fault::usage)?,
            },
            precision: global.precision.or(precision).unwrap_or_default(),
            offline,
            llm: LlmSettings {
                url: of_llm(&global.llm_url, config.llm.url),
                model: of_llm(&global.llm_model, config.llm.model),
                timeout: config.llm.timeout.map(u64::from).map(Duration::from_secs),
                offline,
            },
            graphics: global.graphics.or(config.graphics).unwrap_or_default(),
            memory: match global.memory.as_deref() {
                None | Some("") => memory.unwrap_or(budget::DEFAULT_BYTES),
                Some(text) => config::bytes(text)
                    .map_err(|reason| Fault::usage(format!("--memory: {reason}")))?,
            },
            show_phi: global.show_phi || config.show_phi.unwrap_or_default(),
            reviewer: Reviewer {
                name: given(&global.reviewer, None, &login()).trim().to_owned(),
                blind: global.blind,
            },
            mouse: !(global.no_mouse || config.no_mouse.unwrap_or_default()),
            log_level: match global.log_level.as_deref() {
                None | Some("") => level.unwrap_or(tracing::Level::WARN),
                Some(text) => self::level(text).map_err(Fault::usage)?,
            },
            library,
            folders,
            keymap,
            theme: config.theme.unwrap_or_default(),
            mix: mix.unwrap_or_default(),
            folder_state,
            colours: config.colours.unwrap_or_default(),
            ascii: config.ascii,
            settings: config.source.map(|(path, _)| path),
        })
    }

    /// Loads the selected prompt sets, whatever the rules say.
    pub fn load_prompts(&self) -> Result<Prompts, Fault> {
        let folder = self.folders.as_ref().map(Folders::prompts);
        Prompts::select(&self.prompts.name, folder.as_deref()).map_err(Fault::unusable)
    }

    /// Loads the selected prompt sets, and unless the user named them for this run, those of the rules.
    pub fn load_prompts_by_rules(&self) -> Result<Prompts, Fault> {
        let mut prompts = self.load_prompts()?;
        if self.prompts.overrides_rules {
            return Ok(prompts);
        }
        for (rule, set) in self.rule_sets() {
            prompts = prompts.with_rule(rule.criteria.clone(), set?);
        }
        Ok(prompts)
    }

    /// Loads the prompt set of each rule that has one. An error names the rule.
    pub fn rule_sets(&self) -> impl Iterator<Item = (&Rule, Result<PromptSet, Fault>)> {
        let folder = self.folders.as_ref().map(Folders::prompts);
        self.rules.iter().filter_map(move |rule| {
            let name = rule.prompts.as_ref()?;
            let set = Prompts::select(name.text.trim(), folder.as_deref());
            let set = set.map(|prompts| prompts.sets()[0].clone());
            Some((
                rule,
                set.map_err(|error| Fault::unusable(name.fault(error))),
            ))
        })
    }

    /// The settings of a running command that differ in `other`, but cannot change while it runs.
    pub fn fixed_changes(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("model", self.source != other.source),
            ("device", self.device != other.device),
            ("precision", self.precision != other.precision),
            ("library", self.library != other.library),
            ("memory", self.memory != other.memory),
            ("log_level", self.log_level != other.log_level),
        ];
        let changed = all.into_iter().filter(|(_, is_changed)| *is_changed);
        changed.map(|(key, _)| key).collect()
    }

    /// The library, if there is to be one. Its file is opened on first use.
    pub fn library(&self) -> Option<Arc<Library>> {
        let file = self.library.clone()?;
        let folders = self.folders.as_ref();
        let previous = folders.filter(|folders| folders.library() == file);
        let previous = previous.map(Folders::previous_embeddings);
        Some(Arc::new(Library::at(file, previous)))
    }

    /// The library for a command without a screen: its faults are printed.
    pub fn library_with_messages(&self) -> Option<Arc<Library>> {
        let library = self.library()?;
        library.report_faults_to(Box::new(|sentence| {
            print::message(format_args!("{}", crate::media::clean(sentence)));
        }));
        Some(library)
    }

    /// What labelled images said about scores of images that are fitted to the model's input in this way, the built-in model's own
    /// last; files that cannot be used are named.
    pub fn calibrations(&self, fit: Option<Fit>) -> Calibrations {
        let mut all = Calibrations::default();
        if let Some(library) = &self.library {
            let (own, faults) = calibrations::load(&calibrations::folder(library));
            for fault in faults {
                print::message(crate::media::clean(&fault));
            }
            all = own;
        }
        all.0.extend(builtin::calibrations().0);
        all.of_fit(self.other_fit(fit).map(Fit::name))
    }

    /// The way to fit images to the model's input, if it is not the model's own.
    pub fn other_fit(&self, fit: Option<Fit>) -> Option<Fit> {
        fit.filter(|fit| self.source.own_fit() != Some(*fit))
    }

    /// What was learned from reviews; files that cannot be used are named.
    pub fn learned(&self) -> LearnedSets {
        let Some(library) = &self.library else {
            return LearnedSets::default();
        };
        let (all, faults) = learned::load(&learned::folder(library));
        for fault in faults {
            print::message(crate::media::clean(&fault));
        }
        all
    }

    /// The settings of a command that chooses the prompt set for each image, unless one was named.
    #[must_use]
    pub fn choosing_prompts(mut self) -> Self {
        if self.prompts.is_default {
            AUTO.clone_into(&mut self.prompts.name);
        }
        self
    }

    /// The choice of a prompt set for each image; `None` if a set of the user's cannot be read.
    pub fn all_prompts(&self) -> Option<Prompts> {
        let folder = self.folders.as_ref().map(Folders::prompts);
        Prompts::select(AUTO, folder.as_deref()).ok()
    }

    /// A factory that opens the model on the thread that will own it.
    pub fn factory(&self, fit: Option<Fit>) -> Factory {
        let (source, options) = (self.source.clone(), self.options(fit));
        Box::new(move || source.open(options.clone()))
    }

    /// The options for opening the model.
    pub fn options(&self, fit: Option<Fit>) -> ModelOptions {
        ModelOptions {
            device: self.device,
            precision: self.precision,
            fit,
            text_cache: self
                .folders
                .as_ref()
                .map(|folders| folders.cache.join("texts")),
            reference_records: self.reference_records(),
        }
    }

    /// The folder that records which models were compared with their reference implementation.
    pub fn reference_records(&self) -> Option<PathBuf> {
        let folders = self.folders.as_ref();
        folders.map(|folders| folders.state.join("reference"))
    }
}

/// Parses a value of the settings file; an error names its line.
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
        .map_err(|_| format!("`{text}` is not a log level; {}", advice(text, known)))
}

/// `estimate`, or a mix in words.
fn mix_setting(text: &str) -> Result<MixSetting, String> {
    let stated = match text.trim() {
        "estimate" => None,
        text => {
            let stated = text.parse();
            Some(stated.map_err(|error| format!("{error}, or `estimate`"))?)
        }
    };
    Ok(MixSetting {
        is_on: true,
        stated,
    })
}

/// How folders without saved state are shown.
fn folder_state(layout: &LayoutSettings) -> FolderState {
    let default = app::ScreenLayout::default();
    FolderState {
        cursor: None,
        options: app::ListOptions {
            hidden: layout.hidden,
            sort: app::sort::Sort {
                by: layout.sort,
                reversed: layout.reverse,
            },
            ..app::ListOptions::default()
        },
        layout: app::ScreenLayout {
            list: layout.list.map(f64::from),
            grid: layout.view == FileView::Grid,
            tiles: layout.tiles.unwrap_or(default.tiles),
            series: layout.series,
            ..default
        },
    }
}

impl ResultArgs {
    /// The engine's settings.
    pub fn settings(&self, prompts: Prompts, setup: &CommandSetup) -> Settings {
        Settings {
            prompts,
            mode: self.mode,
            calibrations: setup.calibrations(self.fit),
            learned: setup.learned(),
            frames: self.frames,
            batch_size: self.batch_size.map(usize::from),
            decode_threads: self.jobs.map(usize::from),
            exact: self.exact,
            pass_time: engine::BULK_PASS_TIME,
            library: setup.library_with_messages(),
            stores_results: true,
        }
    }

    /// The requested format, else a table on a terminal and JSON lines elsewhere.
    pub fn format(&self) -> ResultFormat {
        self.format.unwrap_or(if io::stdout().is_terminal() {
            ResultFormat::Table
        } else {
            ResultFormat::Jsonl
        })
    }
}

/// Starts a thread that calls `handle` for each of the signals.
pub fn on_signals(signals: &[i32], handle: impl Fn() + Send + 'static) -> Result<(), Fault> {
    let fault = |error: io::Error| Fault {
        code: exit::SOME_FAILED,
        message: format!("signals cannot be handled: {error}"),
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

/// Exits without running destructors. libtorch's take longer than many commands, and crash if its thread is still working
/// while they run.
pub fn leave(code: u8) -> ! {
    use std::io::Write as _;
    // There is nowhere to report a failure any more.
    let _ = (io::stdout().flush(), io::stderr().flush());
    // SAFETY: ends the process; buffered output is flushed.
    unsafe { libc::_exit(i32::from(code)) }
}

/// A path as text for a message, without control characters.
pub(crate) fn shown(path: &Path) -> String {
    crate::media::clean(&path.to_string_lossy())
}

/// A sink for an engine's events that sends them to a channel.
pub(crate) fn sink<T: Send + 'static>(
    sender: crossbeam_channel::Sender<T>,
    wrap: fn(crate::engine::Event) -> T,
) -> crate::engine::EventHandler {
    // Fails only when the command is ending.
    Arc::new(move |event| drop(sender.send(wrap(event))))
}

#[cfg(test)]
mod tests {
    use super::user_name;

    #[test]
    fn a_user_without_a_login_in_the_environment_has_a_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\n# none\nana:x:1000:1000::/home/ana:/bin/sh\n:x:7:7::/:\n";
        for (uid, name) in [
            (0, Some("root")),
            (1000, Some("ana")),
            (7, None),
            (12, None),
        ] {
            assert_eq!(user_name(users, uid).as_deref(), name, "{uid}");
        }
    }
}
