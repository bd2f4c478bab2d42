//! What has been found out, kept in memory: one [`Record`] or [`Failure`] per file, and their export.

use serde::Serialize;
use crate::media::{ErrorKind, Kind};
use crate::scoring::{Mode, Verdict};

/// The notice that every result carries.
pub const NOTICE: &str = "Research use only; not a diagnosis.";

/// A classified picture: one JSON line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    pub frame: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<&'static str>,
    #[serde(flatten)]
    pub verdict: Verdict,
    pub content: String,
    pub kind: Kind,
    pub width: u32,
    pub height: u32,
    pub frames: u32,
    pub modality: Option<String>,
    pub body_part: Option<String>,
    pub model: String,
    pub model_digest: String,
    pub prompts: String,
    pub prompts_digest: String,
    pub mode: Mode,
    pub device: String,
    pub at: String,
    pub notice: &'static str,
}

/// Why a file has no result; `kind` and `message` are the contract's error object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure { pub kind: ErrorKind, pub message: String,
    /// There is no picture in the file at all: met in a folder, it is counted and yields no line.
    #[serde(skip)]
    pub not_picture: bool }

/// What became of one file.
pub type Outcome = Result<Record, Failure>;
