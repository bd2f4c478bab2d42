//! The command line.

mod classify;
mod explain;
mod export;
mod help;
mod labelled;
mod learn;
mod library;
mod models;
mod prompts;
mod search;
mod train;

use std::path::PathBuf;

use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::config::{Graphics, NamedValue, Setting};
use crate::encoder::Precision;
pub use classify::{ClassifyArgs, MixArgs, ResultArgs, WatchArgs};
pub use explain::{Description, ExplainArgs, InspectArgs};
pub use export::{ExportArgs, ExportFormat, ExportSubject, ReportScope};
pub use help::{command, suggestion};
pub use labelled::{CalibrateArgs, EvalArgs, LabelledArgs};
use labelled::{draws, mapping};
pub use learn::{
    AdjustBenchArgs, BenchSubject, LearnArgs, LearnBenchArgs, StrangeBenchArgs, TrainBenchArgs,
};
pub use library::{LibraryAction, LibraryArgs, ReviewsAction, ReviewsArgs};
pub use models::{ModelsAction, ModelsArgs};
pub use prompts::{ComparePromptsArgs, DraftArgs, PromptsAction, PromptsArgs};
pub use search::SearchArgs;
pub use train::{LoraArgs, ProbeArgs, TrainArgs, TrainMethod, TrainingImagesArgs};

/// Browse medical images in the terminal and classify them zero-shot with a CLIP model.
///
/// Research use only; not a diagnosis.
#[derive(Debug, Parser)]
#[command(
    name = "medivision-tui",
    version,
    args_conflicts_with_subcommands = false,
    disable_help_subcommand = true,
    override_usage = "medivision-tui [OPTIONS] [DIR|FILE]\n       medivision-tui [OPTIONS] <COMMAND>",
    after_help = "Examples:
  medivision-tui ./incoming                  browse a folder, classify it, watch for new files
  medivision-tui worklist ./incoming         browse all its images, the most urgent first
  medivision-tui demo                        try it on synthetic studies
  medivision-tui classify scans > out.jsonl  classify a folder non-interactively
  medivision-tui models pull biomedclip      download a model for real images

Run `medivision-tui COMMAND --help` for more about a command."
)]
pub struct Cli {
    /// Folder to browse, classify and watch, or file to show in its folder [default: current folder]
    #[arg(value_name = "DIR|FILE")]
    pub dir: Option<PathBuf>,

    /// Command to run instead of browsing
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// Options of every command; each can also be set by an environment variable.
#[derive(Clone, Debug, Default, Args)]
#[allow(clippy::struct_excessive_bools, reason = "independent flags")]
#[command(
    next_help_heading = "Global options (also set by environment variables: MEDIVISION_MODEL, …)"
)]
pub struct GlobalArgs {
    /// Model: a name or id (see `models list`), perhaps with @REVISION, a folder or a .pt file; `builtin` needs no download
    /// [default: biomedclip if pulled, else builtin]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_MODEL",
        hide_env = true,
        value_name = "ID|DIR|FILE"
    )]
    pub model: Option<String>,

    /// Prompt set: a name, a .toml file, or `auto` to choose one for each image; `eval` compares two [default: auto where images
    /// are browsed, classified or watched, else general]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_PROMPTS",
        hide_env = true,
        value_name = "NAME|FILE",
        action = clap::ArgAction::Append
    )]
    pub prompts: Vec<String>,

    /// Device to compute on: auto, cpu, cuda or cuda:N [default: auto, a GPU if available]
    #[arg(long, global = true, env = "MEDIVISION_DEVICE", hide_env = true)]
    pub device: Option<String>,

    /// Numeric precision [default: auto, f32 on the CPU and bf16 or f16 on a GPU]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_PRECISION",
        hide_env = true,
        hide_possible_values = true,
        value_name = "auto|f32|bf16|f16"
    )]
    pub precision: Option<Precision>,

    /// Never use the network, as with HF_HUB_OFFLINE
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_OFFLINE",
        hide_env = true,
        value_parser = FalseyValueParser::new()
    )]
    pub offline: bool,

    /// Graphics protocol: auto, kitty, sixel, iterm2, halfblocks or none [default: auto]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_GRAPHICS",
        hide_env = true,
        hide_possible_values = true,
        value_parser = graphics_parser(),
        value_name = "PROTOCOL"
    )]
    pub graphics: Option<Setting<Graphics>>,

    /// Library of what was classified before: a file, or `none` [default: library.sqlite3 in the user's data folder]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_LIBRARY",
        hide_env = true,
        value_name = "FILE|none"
    )]
    pub library: Option<String>,

    /// Memory limit for all decoding together, such as 500M or 2Gi [default: 1Gi]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_MEMORY",
        hide_env = true,
        value_name = "BYTES"
    )]
    pub memory: Option<String>,

    /// Settings file [default: config.toml in the user's configuration folder]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_CONFIG",
        hide_env = true,
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,

    /// Language model that drafts prompts: the address of a server with OpenAI's chat completions; its key is read from
    /// MEDIVISION_LLM_KEY [default: none]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_LLM_URL",
        hide_env = true,
        value_name = "URL"
    )]
    pub llm_url: Option<String>,

    /// Name of the model there
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_LLM_MODEL",
        hide_env = true,
        value_name = "NAME"
    )]
    pub llm_model: Option<String>,

    /// Show values that identify the patient instead of masking them
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_SHOW_PHI",
        hide_env = true,
        value_parser = FalseyValueParser::new()
    )]
    pub show_phi: bool,

    /// Name under which reviews are kept [default: the login]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_REVIEWER",
        hide_env = true,
        value_name = "NAME"
    )]
    pub reviewer: Option<String>,

    /// Review without sight of results, and of the reviews and measurements of others
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_BLIND",
        hide_env = true,
        value_parser = FalseyValueParser::new()
    )]
    pub blind: bool,

    /// Leave the mouse to the terminal, for selecting text
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_NO_MOUSE",
        hide_env = true,
        value_parser = FalseyValueParser::new()
    )]
    pub no_mouse: bool,

    /// Lowest severity to log: error, warn, info, debug or trace [default: warn]
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_LOG_LEVEL",
        hide_env = true,
        value_name = "LEVEL"
    )]
    pub log_level: Option<String>,
}

impl Cli {
    /// Whether more prompt sets are named than the command uses.
    pub fn has_surplus_prompts(&self) -> bool {
        let compares = matches!(self.command, Some(Command::Eval(_)));
        self.global.prompts.len() > if compares { 2 } else { 1 }
    }

    /// Whether the command chooses the prompt set for each image, unless one is named.
    pub fn chooses_prompts(&self) -> bool {
        matches!(
            self.command,
            None | Some(
                Command::Worklist { .. }
                    | Command::Classify(_)
                    | Command::Watch(_)
                    | Command::Explain(_)
                    | Command::Demo(_)
            )
        )
    }
}

/// The commands other than browsing.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Browse all images below a folder in one list, the most likely abnormal first
    Worklist {
        /// Folder to search, classify and watch [default: current folder]
        dir: Option<PathBuf>,
    },
    /// Classify files and folders, and print a result for each image
    #[command(after_help = "Examples:
  medivision-tui classify scan.dcm
  medivision-tui classify scans --format csv > results.csv
  medivision-tui classify scans --prompts chest-xray --mode multi
  medivision-tui classify scans --prompts chest-xray --adjust='5% abnormal'")]
    Classify(ClassifyArgs),
    /// Classify a folder and every file that arrives there, without the interface
    ///
    /// On SIGINT or SIGTERM, finishes the files that have arrived, then exits; a second signal ends it at once. Without a
    /// terminal, SIGHUP reads settings and prompts again, and opens the output again by its name.
    #[command(after_help = "Examples:
  medivision-tui watch incoming --output results.jsonl
  medivision-tui watch incoming --output results.jsonl --move-to 'done/{label}'
  medivision-tui watch incoming --exec 'notify-send {label} {path}'")]
    Watch(WatchArgs),
    /// Rank the images of a folder by their similarity to a text or an image, or find near-duplicates
    #[command(after_help = "Examples:
  medivision-tui search scans 'a fractured wrist'
  medivision-tui search scans ./example.dcm --top 20
  medivision-tui search scans ./example.dcm + 2:effusion - 'chest tube'
  medivision-tui search scans pneumonia --paths-only | xargs -d '\\n' cp -t found
  medivision-tui search scans --duplicates")]
    Search(SearchArgs),
    /// Show what each phrase of the prompt set contributes to the scores of an image, beside random words
    #[command(after_help = "Examples:
  medivision-tui explain scan.dcm
  medivision-tui explain scan.dcm --prompts chest-xray --json")]
    Explain(ExplainArgs),
    /// Describe a file as JSON: format, size, statistics, window
    #[command(after_help = "Example:
  medivision-tui inspect ct.dcm --window 40,400 --render ct.png")]
    Inspect(InspectArgs),
    /// Compare predictions with known labels
    ///
    /// With --mode multi, each condition is judged by itself, on images that show several or none: a label then names several between `;`
    /// or `|`, or is empty or `none`.
    #[command(after_help = "Examples:
  medivision-tui eval truth.csv
  medivision-tui eval chest --prompts chest-xray --map healthy=normal
  medivision-tui eval findings.csv --prompts chest-xray --mode multi")]
    Eval(EvalArgs),
    /// Fit probabilities and thresholds to known labels
    ///
    /// What is found is kept beside the library, and from then on applies to this model with this prompt set in this mode:
    /// probabilities that hold on such images, a `confident` of which at most one in twenty was wrong, and the answers that contain
    /// the true label nine times in ten. With --mode multi, each condition gets an operating point, and a label may name several
    /// conditions between `;` or `|`, or none.
    #[command(after_help = "Examples:
  medivision-tui calibrate truth.csv --prompts chest-xray
  medivision-tui calibrate chest --prompts chest-xray --mode multi")]
    Calibrate(CalibrateArgs),
    /// Learn from reviews how to score images like these, on embeddings that the library holds
    ///
    /// Reads what was reviewed under the prompt set, and the other images that were classified under it. What is learned is kept
    /// beside the library, and from then on applies to this model with this prompt set in this mode.
    ///
    /// The built-in model judges findings of real images only where this has taught it: of the kind of image that was
    /// reviewed, if the reviews show that it can tell them.
    #[command(after_help = "Examples:
  medivision-tui learn --prompts chest-xray --dry-run
  medivision-tui learn scans --prompts chest-xray
  medivision-tui learn --prompts chest-xray --undo
  medivision-tui learn --prompts chest-xray --export learned.toml")]
    Learn(LearnArgs),
    /// Train on labelled images: a linear probe, or the model itself by low-rank changes
    Train(TrainArgs),
    /// Measure the speed of each stage on this machine
    Bench(BenchArgs),
    /// List, describe, pull and verify models
    Models(ModelsArgs),
    /// List, check, draft and compare prompt sets
    Prompts(PromptsArgs),
    /// Check, shrink and copy the library, or forget images in it
    Library(LibraryArgs),
    /// Report what was reviewed and how far reviewers agree, or import labels as reviews
    #[command(after_help = "Examples:
  medivision-tui reviews
  medivision-tui reviews import truth.csv --reviewer truth --prompts chest-xray")]
    Reviews(ReviewsArgs),
    /// Export results from the library
    ///
    /// Writes the results of files in the order of their paths: of each image and frame the one that was computed last, or with
    /// --all every one. --model and --prompts leave out those of others.
    #[command(after_help = "Examples:
  medivision-tui export --output results.parquet
  medivision-tui export scans --prompts chest-xray --format csv
  medivision-tui export --filter 'label:pneumonia p>0.6' --output suspects.csv
  medivision-tui export scans --format sr --output reports")]
    Export(ExportArgs),
    /// Write synthetic studies to a folder and browse them
    Demo(DemoArgs),
    /// Check what works on this machine, and advise on the rest
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example:
  medivision-tui completions bash > ~/.local/share/bash-completion/completions/medivision-tui")]
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
    /// Write the manual pages to a folder
    #[command(hide = true)]
    Man {
        /// Existing folder to write to
        dir: PathBuf,
    },
}

/// `bench`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArgs {
    /// What else to measure
    #[command(subcommand)]
    pub subject: Option<BenchSubject>,
    /// Files and folders to measure with [default: synthetic images]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Maximum number of files to use
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub limit: usize,
    /// Decode large JPEG files at full resolution, not at reduced scale
    #[arg(long)]
    pub exact: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Folder to write to [default: a new one in the cache]
    pub dir: Option<PathBuf>,
    /// Random seed for the studies
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Number of studies
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: u32,
    /// Write the studies without opening them
    #[arg(long)]
    pub write_only: bool,
}

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Accepts the names of graphics protocols, and `auto`.
fn graphics_parser() -> impl TypedValueParser<Value = Setting<Graphics>> {
    let unknown = |name: String| format!("`{name}` is not a graphics protocol");
    PossibleValuesParser::new(Graphics::NAMES)
        .try_map(move |name| Setting::parse(&name).ok_or_else(|| unknown(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_alone_is_browsed_and_options_may_come_anywhere() {
        let cli = Cli::try_parse_from(["medivision-tui", "./incoming", "--prompts", "x"]).unwrap();
        assert_eq!(cli.dir, Some(PathBuf::from("./incoming")));
        let cli =
            Cli::try_parse_from(["medivision-tui", "classify", "a", "--model", "demo"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Classify(_))));
        assert_eq!(cli.global.model.as_deref(), Some("demo"));
    }
}
