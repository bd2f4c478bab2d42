//! The options of `learn`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::encoder::finetune::TrainedBlocks;
use crate::scoring::Mode;

/// `learn`
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// Folders whose images are learned from [default: all that the library knows]; a table of files and labels counts before
    /// reviews
    #[arg(value_name = "DIR|CSV")]
    pub paths: Vec<PathBuf>,
    /// Map a label in a table to a condition of the prompt set; may be repeated
    #[arg(long, value_name = "LABEL=CONDITION", value_parser = super::mapping)]
    pub map: Vec<(String, String)>,
    /// Learn to choose one condition (single), or to decide on each separately (multi)
    #[arg(long, default_value = "single")]
    pub mode: Mode,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Only print what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Take what was learned last out of use; what it replaced is used again
    #[arg(long, conflicts_with_all = ["dry_run", "paths", "import", "export"])]
    pub undo: bool,
    /// Write what is in use to a file, for another machine
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "paths", "import"])]
    pub export: Option<PathBuf>,
    /// Use what a file holds that was exported with the same model and prompt set
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "paths"])]
    pub import: Option<PathBuf>,
}

/// What `bench` measures besides speed.
#[derive(Debug, Subcommand)]
pub enum BenchSubject {
    /// Measure what learning from a few labels gains, beside other methods on the same labels
    ///
    /// Without labelled images: on phantoms of five conditions that the built-in model was not trained on, under prompts that say
    /// little of them. Otherwise on these images, under --prompts.
    #[command(after_help = "Examples:
  medivision-tui bench learn
  medivision-tui bench learn truth.csv --prompts chest-xray --shots 4,16,64")]
    Learn(LearnBenchArgs),
    /// Measure what training on new images gains, and what it forgets
    ///
    /// Without labelled images: on phantoms of another contrast, noise and proportions under the prompt set `general`, and on phantoms
    /// as they were for what is forgotten. Otherwise on these images, under --prompts, of which 30 % take no part until the end. With
    /// --mode multi, images may show several conditions, or none: a quarter of the phantoms' chests have both of theirs.
    #[command(after_help = "Examples:
  medivision-tui bench train --model builtin
  medivision-tui bench train truth.csv --prompts chest-xray --seeds 1
  medivision-tui bench train findings.csv --prompts chest-xray --mode multi")]
    Train(TrainBenchArgs),
    /// Measure what adjusting to a folder's mix does to labels, from half of the images normal to all of them
    ///
    /// Without labelled images: on phantoms, under prompts that describe them poorly. Otherwise on these images, under --prompts, whose
    /// set needs a normal condition. Half of the images calibrate, and folders of the others have known mixes.
    #[command(after_help = "Examples:
  medivision-tui bench adjust
  medivision-tui bench adjust truth.csv --prompts chest-xray")]
    Adjust(AdjustBenchArgs),
    /// Measure which images are told to be unlike reviewed ones
    ///
    /// Takes images of one folder as reviewed, and says of each folder what share of its other images would be rejected.
    #[command(after_help = "Example:
  medivision-tui bench strange kinds --reviewed 50,200")]
    Strange(StrangeBenchArgs),
}

/// `bench train`
#[derive(Debug, Args)]
pub struct TrainBenchArgs {
    /// Folder with a truth.csv, folder with one subfolder per condition, or table with the columns `path`, `label` and perhaps `patient`
    #[arg(value_name = "DIR|CSV")]
    pub labels: Option<PathBuf>,
    /// Map a label in the data to a condition of the prompt set; may be repeated
    #[arg(long, value_name = "LABEL=CONDITION", value_parser = super::mapping)]
    pub map: Vec<(String, String)>,
    /// Train to choose one condition (single), or to decide on each separately (multi)
    #[arg(long, default_value = "single")]
    pub mode: Mode,
    /// Random draws of phantoms, or splits of labelled images
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// Shifted phantoms to train with
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(56..=100_000))]
    pub phantoms: u32,
    /// Passes over the images [default: as many as make 600 steps, at least 10 and at most 60]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub epochs: Option<u16>,
    /// Highest learning rate
    #[arg(long, value_name = "RATE", default_value_t = 5e-4, value_parser = super::train::positive)]
    pub rate: f64,
    /// Blocks of the image tower to change: the last half, or all
    #[arg(
        long,
        value_name = "half|all",
        default_value = "half",
        hide_possible_values = true
    )]
    pub blocks: TrainedBlocks,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `bench learn`
#[derive(Debug, Args)]
pub struct LearnBenchArgs {
    /// Folder with a truth.csv, folder with one subfolder per condition, or table with the columns `path` and `label`
    #[arg(value_name = "DIR|CSV")]
    pub labels: Option<PathBuf>,
    /// Map a label in the data to a condition of the prompt set; may be repeated
    #[arg(long, value_name = "LABEL=CONDITION", value_parser = super::mapping)]
    pub map: Vec<(String, String)>,
    /// Labelled images of each condition to learn from
    #[arg(long, value_name = "K,K,…", value_delimiter = ',', default_values_t = [1, 4, 16], value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub shots: Vec<u16>,
    /// Random splits into labelled, unlabelled and test images
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Phantoms of each condition
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pub phantoms: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `bench adjust`
#[derive(Debug, Args)]
pub struct AdjustBenchArgs {
    /// Folder with a truth.csv, folder with one subfolder per condition, or table with the columns `path` and `label`
    #[arg(value_name = "DIR|CSV")]
    pub labels: Option<PathBuf>,
    /// Map a label in the data to a condition of the prompt set; may be repeated
    #[arg(long, value_name = "LABEL=CONDITION", value_parser = super::mapping)]
    pub map: Vec<(String, String)>,
    /// Images of a folder
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(10..=10_000))]
    pub folder: u16,
    /// Length of the noise that is added to embeddings of length 1, so that conditions overlap
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub noise: f32,
    /// Random splits, each with a folder of every mix
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Phantoms of each condition
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..=10_000))]
    pub phantoms: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `bench strange`
#[derive(Debug, Args)]
pub struct StrangeBenchArgs {
    /// Folder with a subfolder of images for each kind or source
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Images that count as reviewed
    #[arg(long, value_name = "K,K,…", value_delimiter = ',', default_values_t = [50, 200], value_parser = clap::value_parser!(u16).range(50..=500))]
    pub reviewed: Vec<u16>,
    /// Random draws of the reviewed images
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Images of each folder, drawn at random
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(60..=100_000))]
    pub images: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
