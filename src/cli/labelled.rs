//! `eval`, `calibrate`, and the labelled images that both take.

use std::path::PathBuf;

use clap::Args;

use super::MixArgs;
use crate::encoder::Fit;
use crate::engine::FrameSelection;
use crate::scoring::Mode;

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
    /// How to fit an image to the model's input; a calibration is for images fitted alike [default: as the model specifies]
    #[arg(long)]
    pub fit: Option<Fit>,
    /// Decode large JPEG files at full resolution, not at reduced scale
    #[arg(long)]
    pub exact: bool,
}

/// Parses `--draws`.
pub(super) fn draws(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|&n| n <= 100_000);
    number.ok_or_else(|| format!("`{text}` is not a number from 0 to 100000"))
}

/// Parses `--map`.
pub(super) fn mapping(text: &str) -> Result<(String, String), String> {
    let (label, condition) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not LABEL=CONDITION, such as no_tumor=normal"))?;
    Ok((label.trim().to_owned(), condition.trim().to_owned()))
}
