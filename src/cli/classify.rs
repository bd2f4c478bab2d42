//! `classify`, `watch`, and what they share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::encoder::Fit;
use crate::engine::FrameSelection;
use crate::library::export::ResultFormat;
use crate::scoring::Mode;
use crate::scoring::mix::StatedMix;

/// Maximum of `--stable-after`.
const MAX_STABLE_AFTER: Duration = Duration::from_secs(24 * 3600);

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
    /// Move each file there after its result is written, with --stable-after also those of its series and study; {label} is
    /// the result's label, `rejected` or `failed`
    #[arg(long, value_name = "DIR/{label}")]
    pub move_to: Option<PathBuf>,
    /// Write counts to this file, in Prometheus' text format for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
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
