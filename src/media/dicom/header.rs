//! What a header says about where the object belongs, read without the pixels.

use std::path::Path;

use super::super::error::{ErrorKind, MediaError};
use super::super::read;
use super::super::series::Header;
use super::super::sniff::{Sniffed, sniff};
use super::charset::Charset;
use super::dataset::{DataSet, Tag};
use super::file::DicomFile;
use super::{tags, values};

/// Bytes read first; most headers end before, and most disks read as much anyway.
const FIRST: u64 = 64 << 10;
/// How much more is read when that was not enough.
const GROWTH: u64 = 8;

/// Reads the header of a file.
pub(in crate::media) fn header(path: &Path) -> Result<Header, MediaError> {
    let mut size = FIRST;
    loop {
        let (bytes, length) = read::beginning(path, size)?;
        if sniff(&bytes) != Sniffed::Dicom {
            return Err(MediaError::no_picture(ErrorKind::Unsupported, "not DICOM"));
        }
        let whole = bytes.len() as u64 >= length;
        match parse(&bytes) {
            Ok((header, true)) => return Ok(header),
            Ok((header, false)) if whole => return Ok(header),
            Err(error) if whole => return Err(error),
            Ok(_) | Err(_) => size = size.saturating_mul(GROWTH),
        }
    }
}

/// The header, and whether the bytes reach beyond it.
fn parse(bytes: &[u8]) -> Result<(Header, bool), MediaError> {
    let file = DicomFile::open(bytes)?;
    let set = DataSet::parse(&file.body, file.encoding)?;
    let beyond = set.elements().last();
    let reached = beyond.is_some_and(|element| element.tag > tags::ORIENTATION);
    Ok((of(&set, Charset::default()), reached))
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
