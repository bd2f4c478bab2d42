//! Tags of objects written by another library.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR, value::DataSetSequence};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use crate::dicom::parsing::body::Body;
use crate::{TagRow, TagTree};

fn text(tag: (u16, u16), vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    bytes(tag, vr, value.as_bytes())
}

fn bytes(tag: (u16, u16), vr: VR, value: &[u8]) -> DataElement<InMemDicomObject> {
    let value = PrimitiveValue::U8(value.into());
    DataElement::new(Tag(tag.0, tag.1), vr, value)
}

fn sequence(tag: (u16, u16), items: Vec<InMemDicomObject>) -> DataElement<InMemDicomObject> {
    DataElement::new(Tag(tag.0, tag.1), VR::SQ, DataSetSequence::from(items))
}

fn object(elements: Vec<DataElement<InMemDicomObject>>) -> InMemDicomObject {
    InMemDicomObject::from_element_iter(elements)
}

fn tree(syntax: &str, elements: Vec<DataElement<InMemDicomObject>>) -> TagTree {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.2")
        .media_storage_sop_instance_uid("1.2.3");
    let mut file = Vec::new();
    let object = object(elements).with_meta(meta).expect("a meta group");
    object.write_all(&mut file).expect("written");
    crate::dicom::tags::tree::tree(Body::whole(file)).expect("read")
}

fn explicit(elements: Vec<DataElement<InMemDicomObject>>) -> TagTree {
    tree("1.2.840.10008.1.2.1", elements)
}

/// The rows after the meta group, as `depth name value`.
fn lines(tree: &TagTree) -> Vec<String> {
    tree.rows
        .iter()
        .filter(|row| !row.id.starts_with("(0002"))
        .map(|row| format!("{} {} {}", row.depth, row.name, row.value))
        .collect()
}

fn row<'a>(tree: &'a TagTree, id: &str) -> &'a TagRow {
    tree.rows
        .iter()
        .find(|row| row.id == id)
        .unwrap_or_else(|| panic!("{id} is not listed"))
}

fn nested() -> Vec<DataElement<InMemDicomObject>> {
    let code = object(vec![
        text((0x0008, 0x0100), VR::SH, "T-04000"),
        text((0x0008, 0x0104), VR::LO, "Breast"),
    ]);
    vec![
        text((0x0008, 0x0060), VR::CS, "MG"),
        sequence(
            (0x0008, 0x2218),
            vec![
                code.clone(),
                object(vec![sequence((0x0008, 0x2220), vec![code])]),
            ],
        ),
        text((0x0018, 0x0015), VR::CS, "BREAST"),
    ]
}

#[test]
fn sequences_and_items_are_nested_rows() {
    let wanted = [
        "0 Modality MG",
        "0 AnatomicRegionSequence 2 items",
        "1 Item 1 2 attributes",
        "2 CodeValue T-04000",
        "2 CodeMeaning Breast",
        "1 Item 2 1 attribute",
        "2 AnatomicRegionModifierSequence 1 item",
        "3 Item 1 2 attributes",
        "4 CodeValue T-04000",
        "4 CodeMeaning Breast",
        "0 BodyPartExamined BREAST",
    ];
    assert_eq!(lines(&explicit(nested())), wanted);
    // Without value representations in the file, those of the dictionary are used.
    assert_eq!(lines(&tree("1.2.840.10008.1.2", nested())), wanted);
}

#[test]
fn the_meta_group_comes_first_and_its_uids_have_names() {
    let tree = explicit(nested());
    assert!(tree.rows[0].id.starts_with("(0002,"));
    assert_eq!(
        row(&tree, "(0002,0010)").meaning,
        "Explicit VR Little Endian"
    );
    assert_eq!(row(&tree, "(0002,0002)").meaning, "CT Image Storage");
}

#[test]
fn text_is_decoded_by_the_character_set_of_its_data_set() {
    let item = object(vec![
        text((0x0008, 0x0005), VR::CS, "ISO_IR 144"),
        bytes((0x0008, 0x0104), VR::LO, b"\xbb\xee\xda"),
    ]);
    let inherits = object(vec![bytes((0x0008, 0x0104), VR::LO, b"\xfcber")]);
    let tree = explicit(vec![
        text((0x0008, 0x0005), VR::CS, "ISO_IR 100"),
        sequence((0x0008, 0x2218), vec![item, inherits]),
        bytes((0x0010, 0x0010), VR::PN, b"R\xf6ntgen^Wilhelm"),
    ]);
    assert_eq!(row(&tree, "(0010,0010)").value, "Röntgen^Wilhelm");
    let lines = lines(&tree);
    assert!(lines.contains(&"2 CodeMeaning Люк".to_owned()), "{lines:?}");
    assert!(
        lines.contains(&"2 CodeMeaning über".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn private_attributes_are_titled_by_their_creators() {
    let tree = explicit(vec![
        text((0x0029, 0x0010), VR::LO, "ACME 1.0"),
        text((0x0029, 0x0011), VR::LO, "OTHER"),
        text((0x0029, 0x1008), VR::LO, "hidden"),
        text((0x0029, 0x1108), VR::LO, "also hidden"),
        text((0x0029, 0x1208), VR::LO, "of nobody"),
    ]);
    for (id, masked, shown) in [
        ("(0029,1008)", "private", "ACME 1.0"),
        ("(0029,1108)", "private", "OTHER"),
        ("(0029,1208)", "unknown", "unknown"),
        ("(0029,0010)", "PrivateCreator", "PrivateCreator"),
    ] {
        let row = row(&tree, id);
        assert_eq!((row.title(false), row.title(true)), (masked, shown), "{id}");
        assert!(row.identifying, "{id}");
    }
    assert!(row(&tree, "(0029,1008)").private);
}

#[test]
fn a_private_sequence_is_recognised_by_its_items() {
    let item = [
        &[0xfe, 0xff, 0x00, 0xe0, 10, 0, 0, 0][..],
        &[0x05, 0x20, 0x10, 0x10, 2, 0, 0, 0],
        b"AP",
    ]
    .concat();
    let tree = explicit(vec![
        text((0x2005, 0x0010), VR::LO, "ACME"),
        bytes((0x2005, 0x1080), VR::UN, &item),
    ]);
    let sequence = row(&tree, "(2005,1080)");
    assert_eq!(
        (sequence.vr.as_str(), sequence.value.as_str()),
        ("SQ", "1 item")
    );
    let inside = row(&tree, "(2005,1010)");
    assert_eq!((inside.depth, inside.value.as_str()), (2, "AP"));
    assert!(inside.identifying);
}

#[test]
fn identifying_values_are_marked_also_inside_identifying_sequences() {
    let person = object(vec![
        text((0x0040, 0xa123), VR::PN, "Doe^Jane"),
        text((0x0008, 0x0104), VR::LO, "a finding in words"),
    ]);
    let tree = explicit(vec![
        text((0x0008, 0x0060), VR::CS, "SR"),
        text((0x0010, 0x0010), VR::PN, "Doe^Jane"),
        text((0x0010, 0x0020), VR::LO, ""),
        sequence((0x0040, 0xa730), vec![person]),
        text((0x0018, 0xeeee), VR::LO, "in no dictionary"),
    ]);
    let marked: Vec<&str> = tree
        .rows
        .iter()
        .filter(|row| row.identifying)
        .map(|row| row.id.as_str())
        .collect();
    // Media Storage SOP Instance UID comes first. Empty values and numbers of items have nothing to hide.
    assert_eq!(
        marked,
        [
            "(0002,0003)",
            "(0010,0010)",
            "(0018,eeee)",
            "(0008,0104)",
            "(0040,a123)",
        ]
    );
}

#[test]
fn binary_values_and_pixels_are_described_by_their_lengths() {
    let tree = explicit(vec![
        bytes((0x0028, 0x0010), VR::US, &[0, 2]),
        bytes((0x7fe0, 0x0010), VR::OW, &vec![7; 123_456]),
    ]);
    assert_eq!(row(&tree, "(0028,0010)").value, "512");
    let pixels = row(&tree, "(7fe0,0010)");
    assert_eq!(pixels.value, "123,456 bytes");
    assert!(pixels.described && !pixels.identifying);
}

#[test]
fn a_truncated_file_is_noted_in_the_last_row() {
    let mut file = Vec::new();
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax("1.2.840.10008.1.2.1")
        .media_storage_sop_class_uid("1.2.840.10008.5.1.4.1.1.2")
        .media_storage_sop_instance_uid("1.2.3");
    let object = object(nested()).with_meta(meta).expect("a meta group");
    object.write_all(&mut file).expect("written");
    file.truncate(file.len() - 3);
    let tree = crate::dicom::tags::tree::tree(Body::whole(file)).expect("read as far as it goes");
    let last = tree.rows.last().expect("rows");
    assert!(
        last.described && last.value.contains("ends before"),
        "{last:?}"
    );
}

#[test]
fn control_characters_are_replaced() {
    let tree = explicit(vec![text((0x0018, 0x0015), VR::CS, "A\x1b]0;x\x07B")]);
    assert_eq!(row(&tree, "(0018,0015)").value, "A\u{fffd}]0;x\u{fffd}B");
}
