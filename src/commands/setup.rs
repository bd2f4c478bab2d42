//! The effective settings of a command.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use toml::Spanned;

use super::reviewer::{Reviewer, login};
use super::{Fault, print};
use crate::app::mix::MixSetting;
use crate::app::{self, FolderState, Keymap};
use crate::cli::GlobalArgs;
use crate::config::{
    self, Colours, Config, FileView, Folders, Graphics, LayoutSettings, Setting, Theme, advice,
};
use crate::encoder::hub::is_offline_by_environment;
use crate::encoder::{Device, Fit, ModelOptions, ModelSource, Precision, builtin};
use crate::engine::Factory;
use crate::exec::CommandLine;
use crate::learn::LearnedSets;
use crate::library::{Library, calibrations, learned};
use crate::llm::LlmSettings;
use crate::media::budget;
use crate::prompts::{AUTO, DEFAULT, PromptSet, Prompts};
use crate::rules::{Rule, Rules};
use crate::scoring::calibration::Calibrations;

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
        builtin::calibrations_after(all, self.other_fit(fit).map(Fit::name))
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
