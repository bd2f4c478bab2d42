//! Lists the tags of a file as rows: the data set of a DICOM file, EXIF and text of a JPEG or PNG.

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
const FIRST_READ: u64 = 1 << 20;

/// The tags of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagTree {
    /// The rows in the order of the file. Children of a row follow it, one level deeper. A last row without a tag
    /// describes what is not listed.
    pub rows: Vec<TagRow>,
}

/// An attribute, or an item of a sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagRow {
    /// Nesting depth: number of enclosing sequences and items.
    pub depth: u16,
    /// The tag, `(0010,0010)` or `0x010f`; empty for an item.
    pub id: String,
    /// The DICOM value representation, or the EXIF type; empty for an item.
    pub vr: String,
    /// The keyword from the dictionary, `Item 1`, or `private` for a private attribute with a known creator.
    pub name: String,
    /// The creator of a private attribute: free text of the file, which may identify the patient.
    pub creator: String,
    /// Whether the attribute is private.
    pub private: bool,
    /// The value as text, bounded and free of control characters except line feeds; or a description of it.
    pub value: String,
    /// The meaning of the value if it is a well-known UID.
    pub meaning: String,
    /// Whether the value may identify the patient.
    pub identifying: bool,
    /// Whether `value` describes the value (its length, its items) instead of giving it.
    pub described: bool,
}

impl TagRow {
    /// The title of the attribute. A private creator counts as a value that may identify the patient.
    pub fn title(&self, show_phi: bool) -> &str {
        if show_phi && !self.creator.is_empty() {
            &self.creator
        } else {
            &self.name
        }
    }
}

/// Reads the tags of a file. An image without tags has an empty tree.
pub fn tags(path: &Path) -> Result<TagTree, MediaError> {
    let (file, length) = read::open(path)?;
    let first = read::range(&file, 0..SNIFF_BYTES.min(length))?;
    match sniff(&first) {
        Sniffed::Dicom => {
            read::check_length(length)?;
            let body = if length > MAX_IN_MEMORY {
                let head = read::range(&file, 0..FIRST_READ.min(length))?;
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
            format!("tags of {format} are not supported; those of DICOM, JPEG and PNG are"),
        )),
        Sniffed::Unknown => Err(MediaError::not_an_image(
            ErrorKind::Unsupported,
            "not an image: it has no tags",
        )),
    }
}

/// Lists EXIF fields, then texts by their keywords.
///
/// No profile says which of these identify a patient. Whatever a person may have typed is treated as identifying, as
/// are places, times and serial numbers; measurements and switches are not.
fn exif(stored: &Stored, texts: Vec<(String, String)>) -> TagTree {
    let read = exif::Reader::new().read_from_container(&mut stored.stream());
    let mut rows: Vec<TagRow> =
        read.map_or_else(|_| Vec::new(), |exif| exif.fields().map(exif_row).collect());
    rows.extend(texts.into_iter().map(|(name, text)| TagRow {
        vr: "text".to_owned(),
        name: clean(&name),
        identifying: !text.is_empty(),
        value: clean(&text),
        ..TagRow::default()
    }));
    TagTree { rows }
}

fn exif_row(field: &exif::Field) -> TagRow {
    use exif::{Context, Value};
    let (vr, is_free_text) = match field.value {
        Value::Ascii(_) => ("ASCII", true),
        Value::Undefined(..) => ("UNDEF", true),
        Value::Unknown(..) => ("?", true),
        Value::Byte(_) | Value::SByte(_) => ("BYTE", true),
        Value::Short(_) | Value::SShort(_) => ("SHORT", false),
        Value::Long(_) | Value::SLong(_) => ("LONG", false),
        Value::Rational(_) | Value::SRational(_) => ("RATIO", false),
        Value::Float(_) | Value::Double(_) => ("FLOAT", false),
    };
    let is_place = field.tag.context() == Context::Gps;
    let is_known = field.tag.description().is_some();
    TagRow {
        id: format!("0x{:04x}", field.tag.number()),
        vr: vr.to_owned(),
        name: if is_known {
            field.tag.to_string()
        } else {
            "unknown".to_owned()
        },
        value: clean(&field.display_value().to_string()),
        identifying: is_free_text || is_place || !is_known,
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

    /// A JPEG that holds nothing but EXIF: Orientation and Artist.
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
    fn exif_is_listed_and_free_text_is_identifying() {
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
    fn tags_of_a_file_that_is_not_an_image_are_an_error() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "a note").expect("written");
        let error = tags(file.path()).expect_err("refused");
        assert!(!error.content.is_image());
        assert!(tags(Path::new("/no/such/file")).is_err());
    }
}
