//! What a header says about where the object belongs, read without the pixels.

use std::path::Path;

use super::super::error::{ErrorKind, MediaError};
use super::super::read;
use super::super::series::Header;
use super::super::sniff::{Sniffed, sniff};
use super::body::Body;
use super::charset::Charset;
use super::dataset::{DataSet, Tag};
use super::file::Meta;
use super::{tags, values};

/// Bytes read first; most headers end before, and most disks read as much anyway.
const FIRST: u64 = 64 << 10;

/// Reads the header of a file.
pub(in crate::media) fn header(path: &Path) -> Result<Header, MediaError> {
    let (file, length) = read::open(path)?;
    let head = read::range(&file, 0..FIRST.min(length))?;
    if sniff(&head) != Sniffed::Dicom {
        return Err(MediaError::no_picture(ErrorKind::Unsupported, "not DICOM"));
    }
    let body = if length > FIRST {
        Body::partly(file, length, head)
    } else {
        Body::whole(head)
    };
    let (meta, mut body) = Meta::open(body)?;
    loop {
        // Not `read`, which would look for the fragments of the pixels.
        let set = DataSet::parse(body.head(), meta.encoding)?;
        let last = set.elements().last();
        if last.is_some_and(|element| element.tag > tags::ORIENTATION) || !body.is_partial() {
            return Ok(of(&set, Charset::default()));
        }
        body.grow()?;
    }
}

/// What a data set says, or a record of a DICOMDIR.
pub(super) fn of(set: &DataSet, charset: Charset) -> Header {
    let named = set.bytes(tags::CHARSET).map(String::from_utf8_lossy);
    let charset = named.map_or(charset, |name| Charset::parse(&name));
    let text = |tag: Tag, vr: &[u8; 2]| {
        let bytes = set.bytes(tag).unwrap_or_default();
        values::write(bytes, *vr, charset, set.big_endian()).text
    };
    Header {
        patient_name: text(tags::PATIENT_NAME, b"PN"),
        patient_id: text(tags::PATIENT_ID, b"LO"),
        study: text(tags::STUDY_UID, b"UI"),
        study_date: text(tags::STUDY_DATE, b"DA"),
        study_description: text(tags::STUDY_DESCRIPTION, b"LO"),
        series: text(tags::SERIES_UID, b"UI"),
        series_number: set.first(tags::SERIES_NUMBER).and_then(|n| n.parse().ok()),
        series_description: text(tags::SERIES_DESCRIPTION, b"LO"),
        modality: text(tags::MODALITY, b"CS"),
        instance: set
            .first(tags::INSTANCE_NUMBER)
            .and_then(|n| n.parse().ok()),
        position: set.decimals(tags::POSITION).try_into().ok(),
        orientation: set.decimals(tags::ORIENTATION).try_into().ok(),
    }
}
