//! The errors of reading an image file.

use serde::Serialize;

/// Why a file cannot be shown. The serialised names are a contract (`error.kind` in results).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// There is no such file.
    NotFound,
    /// No permission to read the file.
    Permission,
    /// The format, encoding or photometric interpretation is not supported; the message names it.
    Unsupported,
    /// The file contradicts its format.
    Malformed,
    /// The file ends before its image does.
    Truncated,
    /// The file exceeds a limit of [`crate::limits`] or the memory budget.
    TooLarge,
    /// A valid DICOM object without pixels; the message says what it is.
    NoPixels,
    /// A fault of this program or of the machine, never of the file.
    Internal,
}

/// What a file is that yields no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// An image, or what should be one: a damaged file, an unsupported format, or a file whose name promises an image.
    Image,
    /// A DICOMDIR, the index of a medium.
    Directory,
    /// Anything else, such as a README or a DICOM report.
    Other,
}

impl FileContent {
    /// Whether the file is, or should be, an image. In a folder, other files are counted, not reported.
    pub fn is_image(self) -> bool {
        self == Self::Image
    }
}

/// An error with a message for the user, free of control characters and of patient values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message}")]
pub struct MediaError {
    /// The kind of error.
    pub kind: ErrorKind,
    /// The message for the user.
    pub message: String,
    /// What the file is.
    #[serde(skip)]
    pub content: FileContent,
}

impl MediaError {
    /// Creates the error of a file that is, or should be, an image. Control characters in the message are replaced.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: crate::clean(message.as_ref()),
            content: FileContent::Image,
        }
    }

    /// Creates the error of a file that is not an image, nor a DICOMDIR.
    pub fn not_an_image(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self {
            content: FileContent::Other,
            ..Self::new(kind, message)
        }
    }
}

/// The error of a file that contradicts its format.
pub(crate) fn malformed(message: impl AsRef<str>) -> MediaError {
    MediaError::new(ErrorKind::Malformed, message)
}

/// The error of a file that ends before its image does.
pub(crate) fn truncated(message: impl AsRef<str>) -> MediaError {
    MediaError::new(ErrorKind::Truncated, message)
}

/// The error of a format or encoding that is not supported.
pub(crate) fn unsupported(message: impl AsRef<str>) -> MediaError {
    MediaError::new(ErrorKind::Unsupported, message)
}
