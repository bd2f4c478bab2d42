//! What a file says about itself, as rows: the data set of a DICOM file; EXIF and text of a JPEG or PNG.

use std::io::Cursor;
use std::path::Path;

use super::dicom::{self, Body};
use super::error::{ErrorKind, MediaError};
use super::{Sniffed, clean, contain, jpeg, png, read, sniff};

/// Of a DICOM file larger than this, only what stands before its pixels is read.
const WHOLE: u64 = 64 << 20;
/// Bytes read first.
const HEAD: u64 = 1 << 20;

/// The tags of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagTree {
    /// In the order of the file. What belongs to a row comes after it, one level deeper. A last row without a tag says what
    /// is not among them.
    pub rows: Vec<TagRow>,
}

/// An attribute, or an item of a sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagRow {
    /// Levels of sequences and items around it.
    pub depth: u16,
    /// The tag, `(0010,0010)` or `0x010f`; empty for an item.
    pub id: String,
    /// The value representation of DICOM, or EXIF's type; empty for an item.
    pub vr: String,
    /// The keyword by the dictionary; of a private attribute its creator; `Item 1`.
    pub name: String,
    /// The attribute is a vendor's own.
    pub private: bool,
    /// The value as text, free of control characters except line feeds, and bounded; or what it is, in words.
    pub value: String,
    /// What the value names, where it is a UID that everybody knows.
    pub meaning: String,
    /// The value tells who the patient is, or may.
    pub identifying: bool,
    /// `value` describes the value (its length, its items) and is not the value.
    pub described: bool,
}

/// Reads the tags of a file. What holds no tags, though it is a picture, has an empty tree.
pub fn tags(path: &Path) -> Result<TagTree, MediaError> {
    let (file, length) = read::open(path)?;
    let mut bytes = read::range(&file, 0..HEAD.min(length))?;
    let kind = sniff(&bytes);
    if kind == Sniffed::Dicom && length > WHOLE {
        return contain("DICOM", || dicom::tree(Body::partly(file, length, bytes)));
    }
    if length > HEAD {
        bytes = read::range(&file, 0..length)?;
    }
    match kind {
        Sniffed::Dicom => contain("DICOM", || dicom::tree(Body::whole(bytes))),
        Sniffed::Jpeg => contain("JPEG", || Ok(exif(&bytes, jpeg::comments(&bytes)))),
        Sniffed::Png => contain("PNG", || Ok(exif(&bytes, png::texts(&bytes)))),
        Sniffed::Other(format) => Err(MediaError::new(
            ErrorKind::Unsupported,
            format!("the tags of {format} are not read; those of DICOM, JPEG and PNG are"),
        )),
        Sniffed::Unknown => Err(MediaError::no_picture(
            ErrorKind::Unsupported,
            "not a picture: there are no tags",
        )),
    }
}

/// EXIF, then texts by their names.
///
/// No profile says what identifies a patient in these. Whatever a person may have typed is taken as identifying, as are
/// places, times and serial numbers; measures and switches are not.
fn exif(bytes: &[u8], texts: Vec<(String, String)>) -> TagTree {
    let read = exif::Reader::new().read_from_container(&mut Cursor::new(bytes));
    let mut rows: Vec<TagRow> =
        read.map_or_else(|_| Vec::new(), |exif| exif.fields().map(field).collect());
    rows.extend(texts.into_iter().map(|(name, text)| TagRow {
        vr: "text".to_owned(),
        name: clean(&name),
        identifying: !text.is_empty(),
        value: clean(&text),
        ..TagRow::default()
    }));
    TagTree { rows }
}

fn field(field: &exif::Field) -> TagRow {
    use exif::{Context, Value};
    let (vr, free) = match field.value {
        Value::Ascii(_) => ("ASCII", true),
        Value::Undefined(..) => ("UNDEF", true),
        Value::Unknown(..) => ("?", true),
        Value::Byte(_) | Value::SByte(_) => ("BYTE", true),
        Value::Short(_) | Value::SShort(_) => ("SHORT", false),
        Value::Long(_) | Value::SLong(_) => ("LONG", false),
        Value::Rational(_) | Value::SRational(_) => ("RATIO", false),
        Value::Float(_) | Value::Double(_) => ("FLOAT", false),
    };
    let place = field.tag.context() == Context::Gps;
    let known = field.tag.description().is_some();
    TagRow {
        id: format!("0x{:04x}", field.tag.number()),
        vr: vr.to_owned(),
        name: if known {
            field.tag.to_string()
        } else {
            "unknown".to_owned()
        },
        value: clean(&field.display_value().to_string()),
        identifying: free || place || !known,
        ..TagRow::default()
    }
}
