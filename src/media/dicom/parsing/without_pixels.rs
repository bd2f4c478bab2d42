//! Describes an object without pixels in words.

use dicom_core::dictionary::UidDictionary;
use dicom_dictionary_std::StandardSopClassDictionary;
use dicom_dictionary_std::tags;

use crate::dicom::parsing::dataset::DataSetExt;
use crate::dicom::parsing::parsed::ParsedFile;
use crate::error::{ErrorKind, FileContent, MediaError, malformed, truncated};

/// Media Storage Directory Storage: the class of a DICOMDIR.
const DIRECTORY: &str = "1.2.840.10008.1.3.10";
/// Storage classes of objects that are not images, by the beginning of their UIDs (PS3.6 table A-1). A longer prefix
/// comes before a shorter one.
const WITHOUT_PIXELS: &[(&str, &str)] = &[
    (
        "1.2.840.10008.5.1.4.1.1.104.",
        "an encapsulated document (PDF, CDA or a model)",
    ),
    ("1.2.840.10008.5.1.4.1.1.11.", "a presentation state"),
    ("1.2.840.10008.5.1.4.1.1.88.59", "a key object selection"),
    ("1.2.840.10008.5.1.4.1.1.88.", "a structured report"),
    ("1.2.840.10008.5.1.4.1.1.9.", "a waveform"),
    ("1.2.840.10008.5.1.4.1.1.66.4", "a segmentation"),
    ("1.2.840.10008.5.1.4.1.1.66.5", "a surface segmentation"),
    (
        "1.2.840.10008.5.1.4.1.1.66",
        "a registration or raw data object",
    ),
    ("1.2.840.10008.5.1.4.1.1.67", "a real world value mapping"),
    ("1.2.840.10008.5.1.4.1.1.481.1", "an RT image"),
    ("1.2.840.10008.5.1.4.1.1.481.2", "an RT dose object"),
    ("1.2.840.10008.5.1.4.1.1.481.3", "an RT structure set"),
    ("1.2.840.10008.5.1.4.1.1.481.5", "an RT plan"),
    ("1.2.840.10008.5.1.4.1.1.481.8", "an RT ion plan"),
    ("1.2.840.10008.5.1.4.1.1.481.", "a radiotherapy object"),
    ("1.2.840.10008.5.1.4.1.1.4.2", "an MR spectroscopy object"),
    ("1.2.840.10008.5.1.4.34.", "a radiotherapy instruction"),
    ("1.2.840.10008.5.1.4.38.", "a hanging protocol"),
    ("1.2.840.10008.5.1.4.39.", "a colour palette"),
    ("1.2.840.10008.5.1.4.43.", "an implant template"),
];

/// Those of the classes above that have pixels when complete.
const WITH_PIXELS: &[&str] = &[
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.481.1",
    "1.2.840.10008.5.1.4.1.1.481.2",
];

/// The error for a file without pixels: the object is not an image, or the file ends before its pixels.
pub(crate) fn error(file: &ParsedFile) -> MediaError {
    let (set, cut) = (&file.set, file.notes.cut);
    if set.get(tags::DIRECTORY_RECORD_SEQUENCE).is_some() {
        return directory();
    }
    let Some(uid) = set
        .first(tags::SOP_CLASS_UID)
        .or_else(|| file.meta.sop_class.clone())
    else {
        return match (set.is_empty(), cut) {
            (true, _) => malformed("DICOM: the file has no data set"),
            (_, true) => truncated("DICOM: the file ends before its pixels"),
            _ => no_pixels("this DICOM object holds no pixels and does not say what it is"),
        };
    };
    if uid == DIRECTORY {
        return directory();
    }
    let what = WITHOUT_PIXELS
        .iter()
        .find(|(prefix, _)| uid.starts_with(prefix))
        .map(|(_, what)| *what);
    match what {
        Some(what) if !WITH_PIXELS.contains(&uid.as_str()) => {
            no_pixels(format!("{what} holds no pixels"))
        }
        _ if cut => truncated("DICOM: the file ends before its pixels"),
        Some(what) => no_pixels(format!("{what} that holds no pixels")),
        None => no_pixels(match StandardSopClassDictionary.by_uid(&uid) {
            Some(class) => format!("this DICOM object ({}) holds no pixels", class.name),
            None => match crate::uid(&uid) {
                Some(uid) => format!("this DICOM object of class {uid} holds no pixels"),
                None => {
                    "this DICOM object holds no pixels, and its SOP class UID is damaged".into()
                }
            },
        }),
    }
}

fn directory() -> MediaError {
    MediaError {
        content: FileContent::Directory,
        ..no_pixels("a DICOMDIR, the index of a medium, holds no pixels")
    }
}

fn no_pixels(message: impl AsRef<str>) -> MediaError {
    MediaError::not_an_image(ErrorKind::NoPixels, message)
}
