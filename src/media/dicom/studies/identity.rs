//! What a document about an image repeats of it: its UIDs, its patient and its study.

use std::path::Path;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::header;
use crate::dicom::parsing::charset::{Charset, TextKind};
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::error::{MediaError, malformed};
use crate::text::{clean, uid};

/// The attributes of patient and study that an object has in common with the others of its study (PS3.3 C.7.1.1 and C.7.2.1), and
/// whether its patient's identity was removed.
const SHARED: [(Tag, VR); 13] = [
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::STUDY_DESCRIPTION, VR::LO),
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::ISSUER_OF_PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::PATIENT_IDENTITY_REMOVED, VR::CS),
    (tags::DEIDENTIFICATION_METHOD, VR::LO),
    (tags::STUDY_ID, VR::SH),
];

/// What a DICOM object is, and of whom.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectIdentity {
    /// SOP Class UID (0008,0016).
    pub sop_class: String,
    /// SOP Instance UID (0008,0018).
    pub instance: String,
    /// Series Instance UID (0020,000E).
    pub series: String,
    /// Study Instance UID (0020,000D).
    pub study: String,
    /// Instance Number (0020,0013).
    pub instance_number: Option<i64>,
    /// Whether Synthetic Data (0008,001C) is YES.
    pub is_synthetic: bool,
    /// Attributes of the patient and the study, decoded, one value each. Those are missing that are empty, and codes, dates and
    /// times without the form of their value representation.
    pub attributes: Vec<(Tag, VR, String)>,
}

/// Reads what a DICOM object is, and of whom.
///
/// # Errors
///
/// Fails if the file is not DICOM, is damaged, or lacks a UID.
pub(crate) fn object_identity(path: &Path) -> Result<ObjectIdentity, MediaError> {
    let file = header::parse(path, tags::INSTANCE_NUMBER)?;
    let set = &file.set;
    let identifier = |tag, name: &str| {
        let text = set.first(tag).filter(|text| uid(text).is_some());
        text.ok_or_else(|| malformed(format!("it has no valid {name}")))
    };
    let sop_class = identifier(tags::SOP_CLASS_UID, "SOP Class UID").or_else(|error| {
        let named = file.meta.sop_class.clone();
        named.filter(|text| uid(text).is_some()).ok_or(error)
    });
    Ok(ObjectIdentity {
        sop_class: sop_class?,
        instance: identifier(tags::SOP_INSTANCE_UID, "SOP Instance UID")?,
        series: identifier(tags::SERIES_INSTANCE_UID, "Series Instance UID")?,
        study: identifier(tags::STUDY_INSTANCE_UID, "Study Instance UID")?,
        instance_number: set
            .first(tags::INSTANCE_NUMBER)
            .and_then(|number| number.parse().ok()),
        is_synthetic: set.first(tags::SYNTHETIC_DATA).is_some_and(|v| v == "YES"),
        attributes: attributes(set),
    })
}

fn attributes(set: &DataSet) -> Vec<(Tag, VR, String)> {
    let named = set.text(tags::SPECIFIC_CHARACTER_SET);
    let charset = named.map_or_else(Charset::default, |name| Charset::parse(&name));
    let value = |&(tag, vr): &(Tag, VR)| {
        let bytes = set.bytes(tag)?;
        let decoded = match vr {
            VR::PN => charset.decode(&bytes, TextKind::Names),
            VR::LO | VR::SH => charset.decode(&bytes, TextKind::Values),
            _ => Charset::default().decode(&bytes, TextKind::Values),
        };
        let first = decoded.split('\\').next().unwrap_or_default();
        let text = clean(first.trim_matches(|c: char| c == '\0' || c == ' '));
        (!text.is_empty() && has_form(vr, &text)).then_some((tag, vr, text))
    };
    SHARED.iter().filter_map(value).collect()
}

/// Whether a text has the form of a code, date or time (PS3.5 6.2); true for the other representations.
fn has_form(vr: VR, text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match vr {
        VR::CS => {
            text.len() <= 16
                && !text
                    .bytes()
                    .any(|b| !matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'_'))
        }
        VR::DA => text.len() == 8 && digits(text),
        VR::TM => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            matches!(whole.len(), 2 | 4 | 6)
                && digits(whole)
                && fraction.len() <= 6
                && digits(fraction)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue};
    use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

    use super::*;
    use crate::ErrorKind;

    fn file(elements: &[(Tag, VR, &[u8])]) -> tempfile::NamedTempFile {
        let elements = elements.iter().map(|(tag, vr, bytes)| {
            // As bytes, because a name is not of UTF-8; those of a number would be taken for numbers.
            let value = match vr {
                VR::IS => PrimitiveValue::from(String::from_utf8_lossy(bytes).into_owned()),
                _ => PrimitiveValue::U8(bytes.iter().copied().collect()),
            };
            DataElement::new(*tag, *vr, value)
        });
        let object = InMemDicomObject::from_element_iter(elements);
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax("1.2.840.10008.1.2.1")
            .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.7")
            .media_storage_sop_instance_uid("1.2.3");
        let file = tempfile::NamedTempFile::new().unwrap();
        let object = object.with_meta(meta).unwrap();
        object.write_to_file(file.path()).unwrap();
        file
    }

    const UIDS: [(Tag, VR, &[u8]); 3] = [
        (tags::SOP_INSTANCE_UID, VR::UI, b"1.2.3\0"),
        (tags::STUDY_INSTANCE_UID, VR::UI, b"1.2\0"),
        (tags::SERIES_INSTANCE_UID, VR::UI, b"1.2.4\0"),
    ];

    #[test]
    fn attributes_are_decoded_and_ill_formed_ones_are_missing() {
        let mut elements: Vec<(Tag, VR, &[u8])> = vec![
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, b"ISO_IR 100"),
            (tags::STUDY_DATE, VR::DA, b"2026.01.31"),
            (tags::STUDY_TIME, VR::TM, b"101500.25 "),
            (tags::PATIENT_NAME, VR::PN, b"M\xfcller^A "),
            (tags::PATIENT_SEX, VR::CS, b"f "),
        ];
        elements.extend(UIDS);
        elements.push((tags::INSTANCE_NUMBER, VR::IS, b"7 "));
        let found = object_identity(file(&elements).path()).unwrap();
        assert_eq!(found.sop_class, "1.2.840.10008.5.1.4.1.1.7");
        assert_eq!(
            (&*found.instance, &*found.series, &*found.study),
            ("1.2.3", "1.2.4", "1.2")
        );
        assert_eq!(found.instance_number, Some(7));
        let expected = [
            (tags::STUDY_TIME, VR::TM, "101500.25".to_owned()),
            (tags::PATIENT_NAME, VR::PN, "Müller^A".to_owned()),
        ];
        assert_eq!(found.attributes, expected);
    }

    #[test]
    fn an_object_without_a_uid_has_no_identity() {
        let error = object_identity(file(&UIDS[..2]).path()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert!(error.message.contains("Series Instance UID"), "{error:?}");
    }
}
