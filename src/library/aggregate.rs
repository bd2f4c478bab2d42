//! The aggregate over the images of a series or study.

use serde::Serialize;

use crate::scoring::{Mode, Verdict};

/// The result for a series or study as a whole. Serialised, it is a line of `--format jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AggregateRecord {
    /// The innermost folder that contains all instances, as the user named it.
    pub path: String,
    /// The exact bytes of the path in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// Series Instance UID; `None` in the line of a study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// Study Instance UID, if the series has one.
    pub study: Option<String>,
    /// Number of instances.
    pub instances: usize,
    /// Number of those that were rejected. They do not count, unless all were.
    pub rejected: usize,
    /// How it was computed.
    pub aggregate: &'static str,
    /// The label, the decision and the scores.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// `blake3:<hex>` of the UIDs and of the contents of all instances.
    pub content: String,
    /// DICOM modality, if all instances have the same.
    pub modality: Option<String>,
    /// DICOM body part, if all instances have the same.
    pub body_part: Option<String>,
    /// The model's name.
    pub model: String,
    /// The model's digest.
    pub model_digest: String,
    /// The prompt set's name.
    pub prompts: String,
    /// The prompt set's digest.
    pub prompts_digest: String,
    /// How the conditions relate.
    pub mode: Mode,
    /// Whether the probabilities were fitted to labelled images.
    pub calibrated: bool,
    /// The number of reviews from which the scores were learned; `None` if they are zero-shot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned: Option<usize>,
    /// The device that computed the first instance.
    pub device: String,
    /// The time: RFC 3339, UTC, whole seconds.
    pub at: String,
    /// [`NOTICE`](super::NOTICE).
    pub notice: &'static str,
}
