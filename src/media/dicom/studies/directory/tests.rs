//! Indexes written by another library, with their offsets inserted afterwards.

use std::fs;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR, value::DataSetSequence};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use crate::dicom::studies::directory::*;

/// A record: its type, the indices (from 1, in file order) of the next record and of the first on the level below, and
/// its keys.
type RecordSpec<'a> = (&'a str, u32, u32, &'a [((u16, u16), VR, &'a str)]);

fn number(tag: Tag, vr: VR, value: u32) -> DataElement<InMemDicomObject> {
    let value = if vr == VR::US {
        PrimitiveValue::from(value as u16)
    } else {
        PrimitiveValue::from(value)
    };
    DataElement::new(tag, vr, value)
}

fn record(line: &RecordSpec, offset: impl Fn(u32) -> u32) -> InMemDicomObject {
    let (kind, next, below, keys) = line;
    let mut elements = vec![
        number(Tag(4, 0x1400), VR::UL, offset(*next)),
        number(Tag(4, 0x1410), VR::US, 0xffff),
        number(Tag(4, 0x1420), VR::UL, offset(*below)),
        DataElement::new(Tag(4, 0x1430), VR::CS, PrimitiveValue::from(*kind)),
    ];
    elements.extend(keys.iter().map(|((group, element), vr, value)| {
        DataElement::new(Tag(*group, *element), *vr, PrimitiveValue::from(*value))
    }));
    InMemDicomObject::from_element_iter(elements)
}

fn written(first: u32, lines: &[RecordSpec], offset: impl Fn(u32) -> u32) -> Vec<u8> {
    let records: Vec<InMemDicomObject> = lines.iter().map(|line| record(line, &offset)).collect();
    let object = InMemDicomObject::from_element_iter([
        number(Tag(4, 0x1200), VR::UL, offset(first)),
        DataElement::new(Tag(4, 0x1220), VR::SQ, DataSetSequence::from(records)),
    ]);
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.1.3.10")
        .media_storage_sop_instance_uid("1.2.3");
    let mut bytes = Vec::new();
    let object = object.with_meta(meta).expect("a meta group");
    object.write_all(&mut bytes).expect("written");
    bytes
}

/// An index with correct offsets.
fn index(first: u32, lines: &[RecordSpec]) -> Vec<u8> {
    let draft = written(first, lines, |_| 0);
    let begins: Vec<u32> = (0..draft.len())
        .filter(|at| draft[*at..].starts_with(&[0xfe, 0xff, 0x00, 0xe0]))
        .map(|at| at as u32)
        .collect();
    written(first, lines, |line| match line {
        0 => 0,
        line => begins[line as usize - 1],
    })
}

const PATIENT: &[((u16, u16), VR, &str)] = &[((0x10, 0x10), VR::PN, "Doe^Jane")];
const STUDY: &[((u16, u16), VR, &str)] = &[
    ((0x08, 0x20), VR::DA, "20260131"),
    ((0x20, 0x0d), VR::UI, "1.1"),
];
const SERIES: &[((u16, u16), VR, &str)] = &[
    ((0x08, 0x60), VR::CS, "CT"),
    ((0x20, 0x0e), VR::UI, "1.1.1"),
    ((0x20, 0x11), VR::IS, "7 "),
];

fn image(id: &'static str) -> [((u16, u16), VR, &'static str); 1] {
    [((4, 0x1500), VR::CS, id)]
}

fn shown(members: &[Member]) -> Vec<(String, bool)> {
    let name = |m: &Member| m.path.file_name().map(|n| n.to_string_lossy().into_owned());
    members
        .iter()
        .map(|m| (name(m).unwrap_or_default(), m.present))
        .collect()
}

#[test]
fn records_are_followed_by_offset_whatever_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("images")).expect("a folder");
    fs::write(folder.path().join("images/im2"), "").expect("a file");
    let (one, two) = (image("IMAGES\\IM1"), image("IMAGES\\IM2"));
    let lines: [RecordSpec; 5] = [
        ("IMAGE", 5, 0, &one),
        ("PATIENT", 0, 4, PATIENT),
        ("SERIES", 0, 1, SERIES),
        ("STUDY", 0, 3, STUDY),
        ("IMAGE", 0, 0, &two),
    ];
    let members = members(index(2, &lines), folder.path()).expect("read");
    assert_eq!(
        shown(&members),
        [("IM1".to_owned(), false), ("im2".to_owned(), true)]
    );
    let header = &members[1].header;
    assert_eq!(
        (
            header.patient_name.as_str(),
            header.series_number,
            header.modality.as_str()
        ),
        ("Doe^Jane", Some(7), "CT")
    );
    assert_eq!(
        (header.study.as_str(), header.series.as_str()),
        ("1.1", "1.1.1")
    );
}

#[test]
fn records_with_wrong_offsets_are_read_in_file_order() {
    let (one, two) = (image("A"), image("B"));
    let lines: [RecordSpec; 5] = [
        ("PATIENT", 0, 2, PATIENT),
        ("STUDY", 0, 3, STUDY),
        ("SERIES", 0, 4, SERIES),
        ("IMAGE", 5, 0, &one),
        ("IMAGE", 0, 0, &two),
    ];
    let bytes = written(1, &lines, |line| line * 7);
    let members = members(bytes, Path::new("/nowhere")).expect("read");
    assert_eq!(
        shown(&members),
        [("A".to_owned(), false), ("B".to_owned(), false)]
    );
    assert_eq!(members[1].header.series, "1.1.1");
}

#[test]
fn a_cycle_of_records_ends() {
    let one = image("A");
    let lines: [RecordSpec; 2] = [("PATIENT", 1, 2, PATIENT), ("IMAGE", 1, 2, &one)];
    let members = members(index(1, &lines), Path::new("/nowhere")).expect("read");
    assert_eq!(members.len(), 1);
}

#[test]
fn no_file_name_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = folder.path().join("medium");
    fs::create_dir(&inside).expect("a folder");
    fs::write(folder.path().join("secret"), "").expect("a file");
    let (up, slash) = (image("..\\secret"), image("../secret"));
    let lines: [RecordSpec; 2] = [("IMAGE", 2, 0, &up), ("IMAGE", 0, 0, &slash)];
    let members = members(index(1, &lines), &inside).expect("read");
    assert!(
        members
            .iter()
            .all(|m| !m.present && m.path.starts_with(&inside)),
        "{members:?}"
    );
}

#[test]
fn an_object_without_records_is_not_an_index() {
    let bytes = written(0, &[], |_| 0);
    assert_eq!(
        members(bytes, Path::new("/"))
            .expect("an empty index")
            .len(),
        0
    );
    let object = InMemDicomObject::from_element_iter([number(Tag(0x28, 0x10), VR::US, 4)]);
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.2")
        .media_storage_sop_instance_uid("1.2.3");
    let mut bytes = Vec::new();
    let object = object.with_meta(meta).expect("a meta group");
    object.write_all(&mut bytes).expect("written");
    let error = members(bytes, Path::new("/")).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

/// Each record on the level below the one before: as many levels would exhaust the stack.
#[test]
fn a_chain_of_records_is_read_in_file_order() {
    let one = image("A");
    let lines: Vec<RecordSpec> = (2..=20_000)
        .map(|below| ("IMAGE", 0, below, &one[..]))
        .chain([("IMAGE", 0, 0, &one[..])])
        .collect();
    let members = members(index(1, &lines), Path::new("/nowhere")).expect("read");
    assert_eq!(members.len(), 20_000);
}
