//! The command line.

mod export;
mod help;
mod learn;
mod prompts;
mod search;
mod train;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::config::{Graphics, NamedValue, Setting};
use crate::encoder::{Fit, Precision};
use crate::engine::FrameSelection;
use crate::library::export::ResultFormat;
use crate::scoring::Mode;
use crate::scoring::heat_map::MapChoice;
use crate::scoring::mix::StatedMix;
pub use export::{ExportArgs, ExportFormat, ExportSubject, ReportScope};
pub use help::{command, suggestion};
pub use learn::{
    AdjustBenchArgs, BenchSubject, LearnArgs, LearnBenchArgs, StrangeBenchArgs, TrainBenchArgs,
};
pub use prompts::{ComparePromptsArgs, DraftArgs, PromptsAction, PromptsArgs};
pub use search::SearchArgs;
pub use train::{LoraArgs, ProbeArgs, TrainArgs, TrainMethod, TrainingImagesArgs};

/// Maximum of `--stable-after`.
const MAX_STABLE_AFTER: Duration = Duration::from_secs(24 * 3600);

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

/// Options for classifying and for writing results.
#[derive(Clone, Debug, Args)]
pub struct ResultArgs {
    /// Format of the results [default: table on a terminal, else jsonl]
    #[arg(long)]
    pub format: Option<ResultFormat>,

    /// Choose one condition (single), or decide on each condition separately (multi)
    #[arg(long, default_value = "single")]
    pub mode: Mode,

    /// Frames of multi-frame files to classify
    #[arg(long, default_value = "first")]
    pub frames: FrameSelection,

    /// How to fit an image to the model's input [default: as the model specifies]
    #[arg(long)]
    pub fit: Option<Fit>,

    /// Maximum number of images per forward pass [default: measured]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub batch_size: Option<u16>,

    /// Number of decoding threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,

    /// Decode large JPEG files at full resolution, not at reduced scale
    #[arg(long)]
    pub exact: bool,
}

/// `classify`
#[derive(Debug, Args)]
pub struct ClassifyArgs {
    /// Files, and folders to search recursively
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Options for classifying and for writing results.
    #[command(flatten)]
    pub results: ResultArgs,
    /// The mix of conditions.
    #[command(flatten)]
    pub mix: MixArgs,
}

/// A folder's mix.
#[derive(Clone, Debug, Args)]
pub struct MixArgs {
    /// Add probabilities that are adjusted to how frequent the conditions are among these images: estimated from them, or stated,
    /// as in --adjust='5% abnormal' or --adjust='normal=95%, pneumonia=5%'. Needs a calibration of the prompt set
    #[arg(long, value_name = "MIX", num_args = 0..=1, require_equals = true)]
    pub adjust: Option<Option<StatedMix>>,
}

/// `watch`
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Folder to watch, including its subfolders
    pub dir: PathBuf,
    /// Options for classifying and for writing results.
    #[command(flatten)]
    pub results: ResultArgs,
    /// Scan the folder at this interval instead of relying on the file system to report changes
    #[arg(long, value_name = "SECONDS")]
    pub poll: Option<f64>,
    /// Add a line for each series, and each study of several series, that had no new image for this time [default: 60]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", value_parser = seconds)]
    pub stable_after: Option<Duration>,
    /// Append the results to this file instead of printing them
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Run this command on each result, without a shell; {path}, {label}, {probability} and {decision} in its arguments
    /// are replaced, and the result's JSON is its input
    #[arg(long, value_name = "CMD")]
    pub exec: Option<String>,
    /// Move each file there after its result is written; {label} is the result's label, `rejected` or `failed`
    #[arg(long, value_name = "DIR/{label}")]
    pub move_to: Option<PathBuf>,
    /// Write counts to this file, in Prometheus' text format for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
}

/// `explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Image to explain; of several frames the first in space
    pub file: PathBuf,
    /// Add a description: the condition's own sentence, or with `=generated` one that the language model of --llm-url writes from
    /// scores and phrases, without the image
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "sentence"
    )]
    pub describe: Option<Description>,
    /// Send scores and phrases to the language model without asking
    #[arg(long, requires = "describe")]
    pub yes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Write the image with a heat map over it to this file
    #[arg(long, value_name = "OUT.png")]
    pub render: Option<PathBuf>,
    /// Condition of the heat map; the label unless given
    #[arg(long, value_name = "NAME")]
    pub condition: Option<String>,
    /// Choose one condition (single), or decide on each condition separately (multi)
    #[arg(long, default_value = "single")]
    pub mode: Mode,
    /// How to make the heat map: `attention` is the model's own decomposition, `eclip` weights the values in its last attention by the
    /// score's gradient (Grad-ECLIP), `occlusion` blurs regions
    #[arg(long, value_enum, value_name = "METHOD")]
    pub method: Option<MapChoice>,
}

/// A description of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Description {
    /// The sentence of the condition in the prompt set
    Sentence,
    /// A text of the language model, marked as generated
    Generated,
}

/// `inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// File to describe
    pub file: PathBuf,
    /// Frame number, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub frame: u32,
    /// Window to use instead of the file's
    #[arg(long, value_name = "CENTER,WIDTH", allow_hyphen_values = true, value_parser = window)]
    pub window: Option<(f64, f64)>,
    /// Write the image, as the model sees it, to this file
    #[arg(long, value_name = "OUT.png")]
    pub render: Option<PathBuf>,
}

/// `eval`
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The labelled images.
    #[command(flatten)]
    pub labelled: LabelledArgs,
    /// The mix of conditions.
    #[command(flatten)]
    pub mix: MixArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Number of bootstrap draws for the confidence intervals; 0 for no intervals
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = draws)]
    pub draws: usize,
    /// Random seed for the bootstrap
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// `calibrate`
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// The labelled images.
    #[command(flatten)]
    pub labelled: LabelledArgs,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
    /// Only print what was found
    #[arg(long)]
    pub dry_run: bool,
}

/// Images whose labels are known, and how they are classified.
#[derive(Debug, Args)]
pub struct LabelledArgs {
    /// Folder with a truth.csv, folder with one subfolder per condition, or table with the columns `path` and `label`
    #[arg(value_name = "DIR|CSV")]
    pub labels: PathBuf,
    /// Map a label in the data to a condition of the prompt set, or with --mode multi to `none` of them; may be repeated
    #[arg(long, value_name = "LABEL=CONDITION", value_parser = mapping)]
    pub map: Vec<(String, String)>,
    /// Choose one condition (single), or decide on each condition separately (multi), of which labels may then name several
    #[arg(long, default_value = "single")]
    pub mode: Mode,
    /// Frames of multi-frame files to classify
    #[arg(long, default_value = "first")]
    pub frames: FrameSelection,
    /// How to fit an image to the model's input [default: as the model specifies]
    #[arg(long)]
    pub fit: Option<Fit>,
    /// Decode large JPEG files at full resolution, not at reduced scale
    #[arg(long)]
    pub exact: bool,
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

/// `models`
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Action on models
    #[command(subcommand)]
    pub action: ModelsAction,
}

/// The actions on models.
#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// List the models in the cache and in the catalogue
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Describe a model
    Info {
        /// Name or id, or the folder or file of a checkpoint
        #[arg(value_name = "ID|DIR|FILE")]
        subject: String,
    },
    /// Download a model from the hub into the cache; resumes an interrupted download
    Pull {
        /// Name or id
        id: String,
        /// Branch, tag or commit
        #[arg(long, value_name = "REV")]
        revision: Option<String>,
    },
    /// Import a model that was brought by hand into the cache, without the network
    Import {
        /// A folder, .tar, .tar.gz or .zip: of the cache of another machine (`models--ORG--NAME`), or of the model's files
        #[arg(value_name = "DIR|ARCHIVE")]
        from: PathBuf,
        /// The model's name or id, if the folder or archive is not named by it
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// Verify the checksums of the files in the cache, and that none is missing
    Verify {
        /// Names or ids, perhaps with @REVISION; with --reference also folders [default: all models in the cache]
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// Compare embeddings with those of the model's reference implementation, which needs Python with torch, pillow, and
        /// transformers or open_clip_torch; a success is remembered
        #[arg(long)]
        reference: bool,
        /// The Python to use
        #[arg(
            long,
            value_name = "FILE",
            default_value = "python3",
            requires = "reference"
        )]
        python: PathBuf,
    },
}

/// `library`
#[derive(Debug, Args)]
pub struct LibraryArgs {
    /// Action on the library
    #[command(subcommand)]
    pub action: LibraryAction,
}

/// The actions on the library.
#[derive(Debug, Subcommand)]
pub enum LibraryAction {
    /// Verify the file, and count what is in it
    Check,
    /// Give the space of what was removed back to the disk
    Vacuum,
    /// Write a consistent copy, also while other programs use the library
    Backup {
        /// The copy, which must not exist
        file: PathBuf,
    },
    /// Remove what is known of images: embeddings and file names
    Forget {
        /// A file, a folder, or the hash of a content (`blake3:…`)
        #[arg(value_name = "PATH|HASH")]
        subject: PathBuf,
    },
}

/// `reviews`
#[derive(Debug, Args)]
pub struct ReviewsArgs {
    /// Print JSON, with the tables of confusions
    #[arg(long)]
    pub json: bool,
    /// Action on reviews
    #[command(subcommand)]
    pub action: Option<ReviewsAction>,
}

/// The actions on reviews.
#[derive(Debug, Subcommand)]
pub enum ReviewsAction {
    /// Take over known labels as the reviews of --reviewer, under --prompts
    Import {
        /// A table of files and labels, or a folder of folders named after labels
        labels: PathBuf,
        /// Take a label to mean a condition of another name; can be repeated
        #[arg(long, value_name = "LABEL=CONDITION", value_parser = mapping)]
        map: Vec<(String, String)>,
    },
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

/// Parses `--draws`.
fn draws(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|&n| n <= 100_000);
    number.ok_or_else(|| format!("`{text}` is not a number from 0 to 100000"))
}

/// Parses `--stable-after`.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| {
        format!("`{text}` is not a number of seconds; a folder goes before --stable-after")
    })?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= MAX_STABLE_AFTER)
        .ok_or_else(|| "must be between 0 and 86400 seconds (a day)".to_owned())
}

/// Parses `--map`.
fn mapping(text: &str) -> Result<(String, String), String> {
    let (label, condition) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not LABEL=CONDITION, such as no_tumor=normal"))?;
    Ok((label.trim().to_owned(), condition.trim().to_owned()))
}

/// Parses `--window`.
fn window(text: &str) -> Result<(f64, f64), String> {
    let wrong = || format!("`{text}` is not CENTER,WIDTH, such as 40,400 or -600,1500");
    let (center, width) = text.split_once(',').ok_or_else(wrong)?;
    let number = |part: &str| {
        part.trim()
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .ok_or_else(wrong)
    };
    let (center, width) = (number(center)?, number(width)?);
    // A width below 1 is allowed, as with LINEAR_EXACT (PS3.3 C.11.2.1.3.2).
    if width <= 0.0 {
        return Err("the width must be above 0".into());
    }
    Ok((center, width))
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

    #[test]
    fn windows_are_two_finite_numbers() {
        assert_eq!(window("-600,1500"), Ok((-600.0, 1500.0)));
        assert_eq!(window("0.5,0.25"), Ok((0.5, 0.25)));
        for text in ["", "40", "40,", "a,b", "40,0", "40,-0.5", "nan,1", "1,inf"] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
