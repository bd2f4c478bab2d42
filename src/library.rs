//! Results: a [`Record`] or a [`Failure`] per file or frame, their output formats, and the library.

mod aggregate;
pub mod calibrations;
pub mod export;
pub mod json;
pub mod learned;
pub mod mixes;
pub mod neighbours;
pub mod search;
mod stable;
mod store;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use serde::Serialize;

use crate::encoder::ModelCard;
use crate::media::{DicomOrigin, ErrorKind, FileContent, FileFormat, MediaError};
use crate::prompts::{ImageTraits, PromptSet};
use crate::scoring::{Decision, Mode, Verdict};
pub use aggregate::AggregateRecord;
pub use stable::{RequestProgress, StableSeries, StudyKey};
pub use store::{
    AuditEvent, EmbeddedImage, FileIdentity, FileWithResult, Forgotten, ImageContent, ImageFacts,
    Library, LibraryError, LibraryState, LineKey, MeasuredFile, NoticeReporter, OutputId,
    OutputLog, ResultSelection, Review, ReviewChanges, ReviewOutcome, ReviewPosition,
    ReviewRequest, SampledImage, StoredMeasurement,
};

/// The notice in every result.
pub const NOTICE: &str = "Research use only; not a diagnosis.";

/// The result for one image. Serialised, it is a line of `--format jsonl`, whose fields are a contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// The file as the user named it, with U+FFFD for bytes that are not UTF-8.
    pub path: String,
    /// The exact bytes of the path in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// The frame, from 0; `None` in the aggregate of several frames.
    pub frame: Option<u32>,
    /// How an aggregate was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<&'static str>,
    /// The label, the decision and the scores.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// `blake3:<hex>` of the file's content.
    pub content: String,
    /// The file format.
    pub kind: FileFormat,
    /// Columns of the image.
    pub width: u32,
    /// Rows of the image.
    pub height: u32,
    /// Frames in the file.
    pub frames: u32,
    /// DICOM modality.
    pub modality: Option<String>,
    /// DICOM body part.
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
    /// Whether the label's probability was fitted to labelled images.
    pub calibrated: bool,
    /// The number of reviews from which the scores were learned; `None` if they are zero-shot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned: Option<usize>,
    /// The device that computed it.
    pub device: String,
    /// The time: RFC 3339, UTC, whole seconds.
    pub at: String,
    /// [`NOTICE`].
    pub notice: &'static str,
    /// Where a DICOM object comes from, and what it belongs to.
    #[serde(skip)]
    pub origin: DicomOrigin,
    /// Whether the file is marked as synthetic.
    #[serde(skip)]
    pub synthetic: bool,
    /// The image's unit embedding, with which new prompts score it again without the file; `None` in an aggregate.
    #[serde(skip)]
    pub embedding: Option<Arc<[f32]>>,
}

impl Record {
    /// What rules ask of the image.
    pub fn traits(&self) -> ImageTraits<'_> {
        let Self {
            modality,
            body_part,
            origin,
            ..
        } = self;
        ImageTraits::new(modality.as_ref(), body_part.as_ref(), origin)
    }

    /// The conditions that the result claims, several or none where each is decided on by itself; `None` if the image was rejected.
    pub fn claim(&self) -> Option<Vec<&str>> {
        let verdict = &self.verdict;
        if verdict.decision == Decision::Rejected {
            return None;
        }
        Some(match self.mode {
            Mode::Single => vec![&verdict.label],
            Mode::Multi => verdict.present(),
        })
    }

    /// The same image with the verdict of other prompts, and the current time.
    #[must_use]
    pub fn rescored(&self, verdict: Verdict, provenance: &Provenance) -> Self {
        let calibrated = provenance.calibrated && verdict.calibrated;
        Self {
            verdict,
            prompts: provenance.prompts.name.clone(),
            prompts_digest: provenance.prompts.digest.clone(),
            mode: provenance.mode,
            calibrated,
            learned: provenance.learned,
            at: now(),
            ..self.clone()
        }
    }
}

/// The current time: RFC 3339, UTC, whole seconds.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Why a file has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The kind of error, with the names of the contract.
    pub kind: ErrorKind,
    /// A sentence for the user.
    pub message: String,
    /// What the file is. In a folder, a file that is not an image is counted and yields no line.
    #[serde(skip)]
    pub content: FileContent,
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        Self {
            kind: error.kind,
            message: error.message,
            content: error.content,
        }
    }
}

/// The result for one file or frame.
pub type Outcome = Result<Record, Failure>;

/// What a verdict depends on besides the image.
pub struct Provenance<'a> {
    /// The model.
    pub card: &'a ModelCard,
    /// The prompt set.
    pub prompts: &'a PromptSet,
    /// How the conditions relate.
    pub mode: Mode,
    /// Whether the probabilities were fitted to labelled images.
    pub calibrated: bool,
    /// The number of reviews from which the scores were learned.
    pub learned: Option<usize>,
}

/// Makes the record of a verdict, with the current time.
pub fn record(
    path: &Path,
    content: &ImageContent,
    frame: Option<u32>,
    verdict: Verdict,
    embedding: Option<Arc<[f32]>>,
    provenance: &Provenance,
) -> Record {
    let (path, path_bytes) = path_text(path);
    let facts = &content.facts;
    let calibrated = provenance.calibrated && verdict.calibrated;
    Record {
        path,
        path_bytes,
        frame,
        aggregate: frame.is_none().then_some("mean"),
        verdict,
        content: content.hash.clone(),
        kind: facts.kind,
        width: facts.width,
        height: facts.height,
        frames: facts.frames,
        modality: facts.modality.clone(),
        body_part: facts.body_part.clone(),
        model: provenance.card.id.clone(),
        model_digest: provenance.card.digest.clone(),
        prompts: provenance.prompts.name.clone(),
        prompts_digest: provenance.prompts.digest.clone(),
        mode: provenance.mode,
        calibrated,
        learned: provenance.learned,
        device: provenance.card.device.clone(),
        at: now(),
        notice: NOTICE,
        origin: facts.origin.clone(),
        synthetic: facts.synthetic,
        embedding,
    }
}

/// A path as text, with U+FFFD for bytes that are not UTF-8, and in that case its bytes in base64.
pub fn path_text(path: &Path) -> (String, Option<String>) {
    let bytes = path.as_os_str().as_bytes();
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), None);
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    (String::from_utf8_lossy(bytes).into_owned(), Some(encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_utf8_keeps_its_bytes() {
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff.png"));
        assert_eq!(
            path_text(path),
            ("a\u{fffd}.png".to_owned(), Some("Yf8ucG5n".to_owned()))
        );
        assert_eq!(path_text(Path::new("ü.png")), ("ü.png".to_owned(), None));
    }
}
