//! The arguments of `search`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::encoder::Fit;
use crate::engine::FrameSelection;
use crate::library::export::ResultFormat;

/// `search`
#[allow(clippy::struct_excessive_bools, reason = "independent flags")]
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Folder to search, including its subfolders
    pub dir: PathBuf,
    /// Text or image file to look for; several are combined by `+` and `-`, each with a weight if wanted, as in `2:night`
    #[arg(
        value_name = "QUERY",
        required_unless_present = "duplicates",
        conflicts_with = "duplicates"
    )]
    pub query: Vec<OsString>,
    /// Number of images to print
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "duplicates"
    )]
    pub top: u32,
    /// Print paths only, one a line
    #[arg(short = 'f', long, alias = "filepath-only", conflicts_with = "format")]
    pub paths_only: bool,
    /// End each path with a zero byte, not a line feed, for `xargs -0`
    #[arg(short = '0', long, requires = "paths_only")]
    pub null: bool,
    /// Print groups of near-duplicates instead; with --paths-only, all files but the first of each group
    #[arg(long)]
    pub duplicates: bool,
    /// Lowest similarity to the first image of its group by which an image is a near-duplicate [default: 0.99]
    #[arg(long, value_name = "COSINE", requires = "duplicates", conflicts_with = "query", value_parser = cosine)]
    pub threshold: Option<f32>,
    /// Format of the output [default: table on a terminal, else jsonl]
    #[arg(long)]
    pub format: Option<ResultFormat>,
    /// Frames of multi-frame files to search, each of them on its own
    #[arg(long, default_value = "first")]
    pub frames: FrameSelection,
    /// How to fit an image to the model's input [default: as the model specifies]
    #[arg(long)]
    pub fit: Option<Fit>,
    /// Decode large JPEG files at full resolution, not at reduced scale
    #[arg(long)]
    pub exact: bool,
}

/// Parses `--threshold`.
fn cosine(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|n| *n > 0.0 && *n <= 1.0);
    number.ok_or_else(|| "must be above 0 and at most 1".to_owned())
}
