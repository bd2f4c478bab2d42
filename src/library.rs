//! What was found out about each file: a [`Record`] or a [`Failure`], how they are written out, and the embeddings that
//! outlive the program.

mod embeddings;
pub mod export;
pub mod json;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use serde::Serialize;

use crate::encoder::ModelCard;
use crate::media::{ErrorKind, FileFormat, ImageInfo, MediaError};
use crate::prompts::PromptSet;
use crate::scoring::{Mode, Verdict};
pub use embeddings::Embeddings;

/// The notice that every result carries.
pub const NOTICE: &str = "Research use only; not a diagnosis.";

/// A classified picture; its serialisation is the contract's result line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// The file as it was named; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// The exact bytes in base64, where `path` is not exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// Frame, from 0; `None` in an aggregate.
    pub frame: Option<u32>,
    /// How the frames were joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<&'static str>,
    /// What the model says.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// `blake3:<hex>` of the file.
    pub content: String,
    /// Format.
    pub kind: FileFormat,
    /// Columns.
    pub width: u32,
    /// Rows.
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
    /// How the conditions were taken.
    pub mode: Mode,
    /// Where it was computed.
    pub device: String,
    /// When, RFC 3339, UTC, whole seconds.
    pub at: String,
    /// [`NOTICE`].
    pub notice: &'static str,
    /// The picture's unit embedding, by which other prompts score it without the picture; an aggregate has none.
    #[serde(skip)]
    pub embedding: Option<Arc<[f32]>>,
}

impl Record {
    /// The same picture scored by other prompts, now.
    #[must_use]
    pub fn rescored(&self, verdict: Verdict, provenance: &Provenance) -> Self {
        Self {
            verdict,
            prompts: provenance.prompts.name.clone(),
            prompts_digest: provenance.prompts.digest.clone(),
            mode: provenance.mode,
            at: now(),
            ..self.clone()
        }
    }
}

/// RFC 3339, UTC, whole seconds.
fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Why a file has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The contract's name for it.
    pub kind: ErrorKind,
    /// A sentence for the user.
    pub message: String,
    /// There is no picture in the file at all: met in a folder, it is counted and yields no line.
    #[serde(skip)]
    pub not_picture: bool,
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        Self {
            kind: error.kind,
            message: error.message,
            not_picture: error.not_picture,
        }
    }
}

/// What became of one file or frame.
pub type Outcome = Result<Record, Failure>;

/// What a verdict rests on beside the picture.
pub struct Provenance<'a> {
    /// The model.
    pub card: &'a ModelCard,
    /// The prompt set.
    pub prompts: &'a PromptSet,
    /// How the conditions were taken.
    pub mode: Mode,
}

/// Writes down a verdict, now.
pub fn record(
    path: &Path,
    info: &ImageInfo,
    content: &str,
    frame: Option<u32>,
    verdict: Verdict,
    embedding: Option<Arc<[f32]>>,
    provenance: &Provenance,
) -> Record {
    let (path, path_bytes) = name(path);
    let dicom = info.dicom.as_ref();
    Record {
        path,
        path_bytes,
        frame,
        aggregate: frame.is_none().then_some("mean"),
        verdict,
        content: content.to_owned(),
        kind: info.kind,
        width: info.width,
        height: info.height,
        frames: info.frames,
        modality: dicom.and_then(|d| d.modality.clone()),
        body_part: dicom.and_then(|d| d.body_part.clone()),
        model: provenance.card.id.clone(),
        model_digest: provenance.card.digest.clone(),
        prompts: provenance.prompts.name.clone(),
        prompts_digest: provenance.prompts.digest.clone(),
        mode: provenance.mode,
        device: provenance.card.device.clone(),
        at: now(),
        notice: NOTICE,
        embedding,
    }
}

/// A path as text, and its bytes in base64 where the text is not exact.
pub fn name(path: &Path) -> (String, Option<String>) {
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
    fn a_name_that_is_not_utf8_keeps_its_bytes() {
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff.png"));
        assert_eq!(
            name(path),
            ("a\u{fffd}.png".to_owned(), Some("Yf8ucG5n".to_owned()))
        );
        assert_eq!(name(Path::new("ü.png")), ("ü.png".to_owned(), None));
    }
}
