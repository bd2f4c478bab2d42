//! Why a file yields no picture.

use serde::Serialize;

/// Why a file yields no picture. The names are a contract (`error.kind` in results).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// There is no such file.
    NotFound,
    /// The file may not be read.
    Permission,
    /// The file is of a format, encoding or interpretation that is not decoded; the message names it.
    Unsupported,
    /// The file contradicts its format.
    Malformed,
    /// The file ends before its picture does.
    Truncated,
    /// The file is beyond a limit of [`crate::limits`].
    TooLarge,
    /// A valid DICOM object that holds no pixels; the message says what it is.
    NoPixels,
    /// A fault of this program, or of the machine below it; never of the file.
    Internal,
}

/// A failure with a sentence for the user. The message is free of control characters and of patient values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message}")]
pub struct MediaError {
    /// The contract's name of the failure.
    pub kind: ErrorKind,
    /// A sentence for the user.
    pub message: String,
    /// The file holds no picture at all (a README, a DICOM report, a DICOMDIR): met in a folder it is counted, not
    /// reported. False for everything that is or ought to be a picture: damaged ones, formats that are not supported,
    /// and files whose name promises a picture.
    #[serde(skip)]
    pub not_picture: bool,
}

impl MediaError {
    /// A failure of a file that is, or ought to be, a picture. Control characters in the message are replaced.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: crate::clean(message.as_ref()),
            not_picture: false,
        }
    }

    /// A failure of a file that holds no picture at all; see [`MediaError::not_picture`].
    pub fn no_picture(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self {
            not_picture: true,
            ..Self::new(kind, message)
        }
    }
}

/// A file that contradicts its format.
pub(crate) fn malformed(message: impl AsRef<str>) -> MediaError {
    MediaError::new(ErrorKind::Malformed, message)
}

/// A file that ends before its picture does.
pub(crate) fn truncated(message: impl AsRef<str>) -> MediaError {
    MediaError::new(ErrorKind::Truncated, message)
}

/// A file of a kind that is not decoded.
pub(crate) fn unsupported(message: impl AsRef<str>) -> MediaError {
    MediaError::new(ErrorKind::Unsupported, message)
}
