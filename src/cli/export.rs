//! The arguments of `export`.

use std::path::PathBuf;

use clap::Args;

/// `export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Files, and folders with all below them [default: all that the library knows]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// What to export
    #[arg(long, value_enum, default_value_t)]
    pub what: ExportSubject,
    /// Format [default: by the extension of --output, else jsonl]
    #[arg(long)]
    pub format: Option<ExportFormat>,
    /// Write to this file, which is replaced when all is written; with --format sr to this folder, which is made if missing
    #[arg(long, value_name = "FILE|DIR", required_if_eq("format", "sr"))]
    pub output: Option<PathBuf>,
    /// Every result of each image, not only the one that was computed last
    #[arg(long)]
    pub all: bool,
    /// Only results that pass, in the terms of the list's filter, such as `label:pneumonia p>0.6 !rejected`
    #[arg(
        long,
        value_name = "TERMS",
        default_value = "",
        hide_default_value = true
    )]
    pub filter: String,
    /// With --format sr, what a report is about [default: instance]
    #[arg(long)]
    pub per: Option<ReportScope>,
    /// Print the JSON schema of a line instead: of `export`, and also of `classify` and `watch`
    #[arg(long, exclusive = true)]
    pub schema: bool,
}

/// What `export` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportSubject {
    /// Results of models.
    #[default]
    Results,
    /// What reviewers say, one row per image, prompt set and reviewer.
    Reviews,
    /// Lengths, angles and regions measured on images.
    Measurements,
}

/// Formats of `export`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// One JSON object per line.
    Jsonl,
    /// A header, then one row per result.
    Csv,
    /// A Parquet file with the columns of a CSV.
    Parquet,
    /// DICOM Structured Reports, one file each.
    Sr,
}

/// What a structured report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportScope {
    /// An image file.
    Instance,
    /// All images of a study.
    Study,
}
