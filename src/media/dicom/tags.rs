//! What a file says about itself, as rows: the data set of a DICOM file; EXIF and text of a JPEG or PNG.

pub(crate) mod phi;
pub(crate) mod tree;
pub(crate) mod values;

use std::path::Path;

use crate::budget::{self, WaitPolicy};
use crate::codecs::jpeg;
use crate::dicom::{self, Body};
use crate::error::{ErrorKind, MediaError};
use crate::read::{MAX_IN_MEMORY, SNIFF_BYTES, Stored};
use crate::{Sniffed, clean, contain, png, read, sniff};

/// Bytes read first of a large DICOM file.
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
    /// The keyword by the dictionary; `Item 1`; `private` where only a creator names the attribute.
    pub name: String,
    /// The creator of a private attribute, which is free text of the file and may tell who the patient is.
    pub creator: String,
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

impl TagRow {
    /// What the attribute is called: its creator's name counts as a patient's value.
    pub fn title(&self, show_phi: bool) -> &str {
        if show_phi && !self.creator.is_empty() {
            &self.creator
        } else {
            &self.name
        }
    }
}

/// Reads the tags of a file. What holds no tags, though it is a picture, has an empty tree.
pub fn tags(path: &Path) -> Result<TagTree, MediaError> {
    let (file, length) = read::open(path)?;
    let first = read::range(&file, 0..SNIFF_BYTES.min(length))?;
    match sniff(&first) {
        Sniffed::Dicom => {
            read::check_length(length)?;
            let body = if length > MAX_IN_MEMORY {
                let head = read::range(&file, 0..HEAD.min(length))?;
                Body::partial(file, length, head)
            } else {
                Body::whole(read::range(&file, 0..length)?)
            };
            contain("DICOM", || dicom::tree(body))
        }
        Sniffed::Jpeg => {
            let stored = Stored::open(file, length)?;
            let _reserved = budget::decoding().reserve(stored.cost(), WaitPolicy::default())?;
            let bytes = stored.all()?;
            contain("JPEG", || Ok(exif(&stored, jpeg::comments(&bytes))))
        }
        Sniffed::Png => {
            let stored = Stored::open(file, length)?;
            contain("PNG", || Ok(exif(&stored, png::texts(&stored))))
        }
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
fn exif(stored: &Stored, texts: Vec<(String, String)>) -> TagTree {
    let read = exif::Reader::new().read_from_container(&mut stored.stream());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> Vec<(String, String, bool)> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        let rows = tags(file.path()).expect("read").rows;
        rows.into_iter()
            .map(|row| (row.name, row.value, row.identifying))
            .collect()
    }

    /// A JPEG of nothing but EXIF: Orientation, and an Artist.
    fn jpeg_with_exif() -> Vec<u8> {
        let tiff = [
            &b"II*\0\x08\0\0\0\x02\0"[..],
            b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0",
            b"\x3b\x01\x02\0\x09\0\0\0\x26\0\0\0",
            b"\0\0\0\0Jane Doe\0",
        ]
        .concat();
        let length = (2 + 6 + tiff.len() as u16).to_be_bytes();
        let app1 = [&b"\xff\xd8\xff\xe1"[..], &length, b"Exif\0\0", &tiff].concat();
        [&app1[..], b"\xff\xd9"].concat()
    }

    #[test]
    fn exif_is_listed_and_what_a_person_typed_is_identifying() {
        let rows = shown(&jpeg_with_exif());
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert_eq!((rows[0].0.as_str(), rows[0].2), ("Orientation", false));
        assert_eq!((rows[1].0.as_str(), rows[1].2), ("Artist", true));
        assert!(rows[1].1.contains("Jane Doe"));
    }

    #[test]
    fn texts_of_a_png_are_listed_by_their_keywords() {
        let mut bytes = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut bytes, 1, 1);
        let text = encoder.add_text_chunk("Description".to_owned(), "a\u{7}b".to_owned());
        text.expect("text");
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(&[0]).expect("a pixel");
        writer.finish().expect("an end");
        let row = ("Description".to_owned(), "a\u{fffd}b".to_owned(), true);
        assert_eq!(shown(&bytes), [row]);
    }

    #[test]
    fn what_is_no_picture_has_no_tags_and_says_so() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "a note").expect("written");
        assert!(tags(file.path()).expect_err("refused").not_picture);
        assert!(tags(Path::new("/no/such/file")).is_err());
    }
}
