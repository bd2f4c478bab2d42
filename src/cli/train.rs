//! The options of `train`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config;
use crate::encoder::finetune::TrainedBlocks;
use crate::scoring::Mode;

/// `train`
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// What to train
    #[command(subcommand)]
    pub method: TrainMethod,
}

/// What `train` trains.
#[derive(Debug, Subcommand)]
pub enum TrainMethod {
    /// Train a linear probe on the embeddings of labelled images: minutes of work for the model, seconds for the probe
    ///
    /// Ridge regression or discriminant analysis that starts at the prompts, chosen by images whose patients took no part. The result
    /// is kept and used as that of `learn`: with the same model and prompt set every command and view scores with it, until
    /// `learn --undo`. The built-in model is trained with phantoms or with real images of one kind, whose findings it then judges if
    /// those of images held out are told better than by guessing.
    #[command(after_help = "Examples:
  medivision-tui train probe --labels truth.csv --prompts chest-xray
  medivision-tui train probe --labels chest --prompts chest-xray --dry-run --json
  medivision-tui train probe --labels findings.csv --prompts chest-xray --mode multi
  medivision-tui train probe --prompts chest-xray              from the reviews in the library")]
    Probe(ProbeArgs),
    /// Fine-tune the model's image tower by low-rank changes (LoRA) towards the prompts of a set
    ///
    /// The result is a folder with the merged model in the layout of its base, to be opened with --model here, or in transformers or
    /// open_clip, and with the adapter alone. Stopped by Ctrl-C or a kill, the same command goes on where it was. Images are never
    /// mirrored or turned. The built-in model is trained with phantoms or with real images of one kind; the result judges findings of
    /// that kind, and is written only if those of images held out are told better than by guessing.
    #[command(after_help = "Examples:
  medivision-tui train lora --labels truth.csv --prompts chest-xray --output tuned
  medivision-tui classify scans --model tuned --prompts chest-xray
  medivision-tui train lora --labels chest --prompts chest-xray --output tuned --blocks all --rank 16
  medivision-tui train lora --labels findings.csv --prompts chest-xray --mode multi --output tuned")]
    Lora(LoraArgs),
}

/// The images to train with.
#[derive(Debug, Args)]
pub struct TrainingImagesArgs {
    /// Labelled images: a folder with a truth.csv, a folder with one subfolder per condition, or a table with the columns `path`,
    /// `label` and perhaps `patient`; with --mode multi, a label may name several conditions between `;`, or none if it is empty
    /// [default: the reviews in the library]
    #[arg(long, value_name = "DIR|CSV")]
    pub labels: Option<PathBuf>,
    /// Map a label in the data to a condition of the prompt set, or with --mode multi to `none` of them; may be repeated
    #[arg(long, value_name = "LABEL=CONDITION", value_parser = super::mapping)]
    pub map: Vec<(String, String)>,
    /// Train to choose one condition (single), or to decide on each separately (multi), of which an image may show several or none
    #[arg(long, default_value = "single")]
    pub mode: Mode,
    /// Share of the images to hold out, whole patients only, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 15, value_parser = clap::value_parser!(u8).range(5..=50))]
    pub held_out: u8,
    /// Random seed of the split, and of the training
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `train probe`
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The images.
    #[command(flatten)]
    pub images: TrainingImagesArgs,
    /// Write the probe to this file instead of putting it into use; `learn --import` reads it
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// Only print what the probe is worth
    #[arg(long, conflicts_with = "export")]
    pub dry_run: bool,
}

/// `train lora`
#[derive(Debug, Args)]
pub struct LoraArgs {
    /// The images.
    #[command(flatten)]
    pub images: TrainingImagesArgs,
    /// Folder for the result; that of a stopped training continues it
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Blocks of the image tower to change: the last half (of a residual network the last stage and the pooling), or all
    #[arg(
        long,
        value_name = "half|all",
        default_value = "half",
        hide_possible_values = true
    )]
    pub blocks: TrainedBlocks,
    /// Rank of the changes
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub rank: u16,
    /// Scale of the changes, which are multiplied by alpha / rank [default: the rank]
    #[arg(long, value_name = "X", value_parser = positive)]
    pub alpha: Option<f64>,
    /// Share of the inputs that a step leaves out
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, value_parser = share)]
    pub dropout: f64,
    /// Highest learning rate
    #[arg(long, value_name = "RATE", default_value_t = 5e-4, value_parser = positive)]
    pub rate: f64,
    /// Passes over the images [default: as many as make 600 steps, at least 10 and at most 60]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub epochs: Option<u16>,
    /// Epochs after which training ends if the images held out were scored no better
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub patience: u16,
    /// Images of a step
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub batch_size: u16,
    /// Images whose gradients are computed together: fewer take less memory
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub micro_batch: u16,
    /// Weight of staying close to the zero-shot scores
    #[arg(long, value_name = "X", default_value_t = 0.1, value_parser = weight)]
    pub zero_shot_weight: f64,
    /// Train on the images as they are, without random shifts, scales, contrast and noise
    #[arg(long)]
    pub no_augment: bool,
    /// Memory for prepared images; those beyond it are decoded anew for each use
    #[arg(long, value_name = "BYTES", default_value = "1Gi", value_parser = config::bytes)]
    pub image_memory: u64,
}

fn number(text: &str, is_allowed: impl Fn(f64) -> bool, what: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let number = number.filter(|number| number.is_finite() && is_allowed(*number));
    number.ok_or_else(|| format!("`{text}` is not {what}"))
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    number(text, |number| number > 0.0, "a number above 0")
}

fn weight(text: &str) -> Result<f64, String> {
    number(text, |number| number >= 0.0, "a number from 0 on")
}

fn share(text: &str) -> Result<f64, String> {
    number(
        text,
        |number| (0.0..=0.9).contains(&number),
        "a share from 0 to 0.9",
    )
}
