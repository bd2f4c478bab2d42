//! Reads the header of a DICOM file: what groups and sorts it, without its pixels.

use std::path::Path;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::dicom::anatomy::body_part;
use crate::dicom::modality::modality;
use crate::dicom::parsing::body::Body;
use crate::dicom::parsing::charset::Charset;
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::parsing::parsed::ParsedFile;
use crate::dicom::studies::series::DicomHeader;
use crate::dicom::tags::values;
use crate::error::{ErrorKind, MediaError};
use crate::read;
use crate::sniff::{Sniffed, sniff};

/// Bytes read first; most headers end within them, and most disks read as much anyway.
const FIRST_READ: u64 = 64 << 10;

/// Reads the header of a file.
pub(crate) fn header(path: &Path) -> Result<DicomHeader, MediaError> {
    let file = parse(path, tags::IMAGE_ORIENTATION_PATIENT)?;
    Ok(from_set(&file.set, Charset::default()))
}

/// Parses a DICOM file up to the first element behind `last`.
pub(super) fn parse(path: &Path, last: Tag) -> Result<ParsedFile, MediaError> {
    let (file, length) = read::open(path)?;
    let head = read::range(&file, 0..FIRST_READ.min(length))?;
    if sniff(&head) != Sniffed::Dicom {
        return Err(MediaError::not_an_image(
            ErrorKind::Unsupported,
            "not DICOM",
        ));
    }
    read::check_length(length)?;
    let body = if length > FIRST_READ {
        Body::partial(file, length, head)
    } else {
        Body::whole(head)
    };
    ParsedFile::read_to(body, last)
}

/// Reads the header from a data set or a DICOMDIR record; `charset` applies unless the set names its own.
pub(crate) fn from_set(set: &DataSet, charset: Charset) -> DicomHeader {
    let named = set.text(tags::SPECIFIC_CHARACTER_SET);
    let charset = named.map_or(charset, |name| Charset::parse(&name));
    let text = |tag: Tag, vr: VR| {
        let bytes = set.bytes(tag).unwrap_or_default();
        values::format_value(&bytes, vr, charset).text
    };
    DicomHeader {
        patient_name: text(tags::PATIENT_NAME, VR::PN),
        patient_id: text(tags::PATIENT_ID, VR::LO),
        study: text(tags::STUDY_INSTANCE_UID, VR::UI),
        study_date: text(tags::STUDY_DATE, VR::DA),
        study_description: text(tags::STUDY_DESCRIPTION, VR::LO),
        series: text(tags::SERIES_INSTANCE_UID, VR::UI),
        series_number: set.first(tags::SERIES_NUMBER).and_then(|n| n.parse().ok()),
        series_description: text(tags::SERIES_DESCRIPTION, VR::LO),
        modality: modality(set).unwrap_or_default(),
        body_part: body_part(set).unwrap_or_default(),
        slice_thickness: set.decimal(tags::SLICE_THICKNESS),
        instance: set
            .first(tags::INSTANCE_NUMBER)
            .and_then(|n| n.parse().ok()),
        position: set.decimals(tags::IMAGE_POSITION_PATIENT).try_into().ok(),
        orientation: set
            .decimals(tags::IMAGE_ORIENTATION_PATIENT)
            .try_into()
            .ok(),
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR};
    use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

    use super::*;

    /// A file with `private` bytes before the header attributes, and pixels behind them.
    fn file(syntax: &str, private: usize) -> tempfile::NamedTempFile {
        let text = |group, element, vr, value: &str| {
            let tag = dicom_core::Tag(group, element);
            DataElement::new(tag, vr, PrimitiveValue::from(value))
        };
        let octets = |group, element, count: usize| {
            let value = PrimitiveValue::U8(vec![1; count].into());
            DataElement::new(dicom_core::Tag(group, element), VR::OB, value)
        };
        let object = InMemDicomObject::from_element_iter([
            text(0x0008, 0x0005, VR::CS, "ISO_IR 192"),
            text(0x0008, 0x0020, VR::DA, "20260131"),
            text(0x0008, 0x0060, VR::CS, "MR"),
            octets(0x0009, 0x1010, private),
            text(0x0018, 0x0015, VR::CS, "CHEST"),
            text(0x0018, 0x0050, VR::DS, "1.25"),
            text(0x0010, 0x0010, VR::PN, "Müller^Jörg"),
            text(0x0020, 0x000e, VR::UI, "1.2.3"),
            text(0x0020, 0x0011, VR::IS, " 7"),
            text(0x0020, 0x0013, VR::IS, "12"),
            text(0x0020, 0x0032, VR::DS, "-1.5\\2\\30.25"),
            text(0x0020, 0x0037, VR::DS, "1\\0\\0\\0\\1\\0"),
            octets(0x7fe0, 0x0010, 200_000),
        ]);
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(syntax)
            .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.4")
            .media_storage_sop_instance_uid("1.2.3.4");
        let file = tempfile::NamedTempFile::new().expect("a file");
        let object = object.with_meta(meta).expect("a meta group");
        object.write_to_file(file.path()).expect("written");
        file
    }

    #[test]
    fn a_header_is_read_however_much_data_precedes_it() {
        for syntax in ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"] {
            for private in [2, 500_000] {
                let file = file(syntax, private);
                let header = header(file.path()).expect("read");
                assert_eq!(header.patient_name, "Müller^Jörg");
                assert_eq!(
                    (header.series.as_str(), header.series_number),
                    ("1.2.3", Some(7))
                );
                assert_eq!(header.instance, Some(12));
                assert_eq!(header.body_part, "CHEST");
                assert_eq!(header.slice_thickness, Some(1.25));
                assert_eq!(header.position, Some([-1.5, 2.0, 30.25]));
                assert_eq!(header.orientation, Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]));
            }
        }
    }

    #[test]
    fn a_file_that_is_not_dicom_has_no_header() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"\x89PNG\r\n\x1a\n").expect("written");
        assert!(header(file.path()).is_err());
        assert!(header(Path::new("/no/such/file")).is_err());
    }
}
