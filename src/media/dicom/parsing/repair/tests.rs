//! Data sets with one fault each, and what dicom-object reads after their repair.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use proptest::prelude::*;

use super::*;
use crate::Warnings;
use crate::dicom::parsing::dataset::{self, DataSet, DataSetExt};
use crate::dicom::parsing::elements::{BIG_ENDIAN, EXPLICIT, IMPLICIT};
use crate::dicom::parsing::notes::PixelData;

const PRIVATE: Tag = Tag(0x0009, 0x1001);
const ROWS: &[u8] = b"\x28\0\x10\0US\x02\0\x07\0";

fn read(bytes: &[u8]) -> (DataSet, Notes) {
    dataset::parse(bytes, EXPLICIT).expect("a data set")
}

/// Parses a data set that ends with Rows = 7, which must be found behind whatever precedes it.
#[track_caller]
fn read_before_rows(before: &[u8]) -> (DataSet, Warnings) {
    let (set, notes) = read(&[before, ROWS].concat());
    assert_eq!(set.short(tags::ROWS), Some(7), "{:?}", notes.repairs);
    (set, notes.repairs)
}

#[test]
fn a_sound_data_set_is_read_unchanged() {
    let bytes = [b"\x08\0\x60\0CS\x02\0MR".as_slice(), ROWS, &[0; 16]].concat();
    let repaired = repair(&bytes, EXPLICIT, None, None).expect("sound");
    assert!(matches!(repaired.parts[0], Cow::Borrowed(bytes) if bytes.len() == 20));
    assert!(repaired.notes.repairs.is_empty() && !repaired.notes.cut);
}

#[test]
fn a_value_without_a_representation_does_not_affect_the_next() {
    for vr in [b"  ", b"\0\0", b"??", b"--", b"us"] {
        let element = [b"\x08\0\x01\0".as_slice(), vr, b"\x02\0ab"].concat();
        let (_, repairs) = read_before_rows(&element);
        assert_eq!(repairs.len(), 1, "{vr:?}: {repairs:?}");
        assert!(repairs[0].contains("(0008,0001)"), "{repairs:?}");
    }
    // A representation that PS3.5 does not know has a length of 32 bits (7.1.2).
    let (set, _) = read_before_rows(b"\x09\0\x01\x10XX\0\0\x04\0\0\0abcd");
    assert_eq!(set.bytes(PRIVATE).as_deref(), Some(b"abcd".as_slice()));
}

#[test]
fn a_known_attribute_without_its_representation_keeps_its_meaning() {
    let (set, _) = read_before_rows(b"\x28\0\x02\0  \x02\0\x03\0");
    assert_eq!(set.short(tags::SAMPLES_PER_PIXEL), Some(3));
    let element = set.get(tags::SAMPLES_PER_PIXEL).expect("an element");
    assert_eq!(element.vr(), VR::US);
}

#[test]
fn sequences_with_representation_un_are_read_as_sequences() {
    let item = |content: &[u8]| {
        let length = (content.len() as u32).to_le_bytes();
        [b"\xfe\xff\x00\xe0".as_slice(), &length, content].concat()
    };
    let end = b"\xfe\xff\xdd\xe0\0\0\0\0";
    for content in [
        b"\x09\0\x10\0\x02\0\0\0ab".as_slice(),
        b"\x09\0\x10\0LO\x02\0ab",
    ] {
        let items = item(content);
        let undefined = [
            b"\x09\0\x01\x10UN\0\0\xff\xff\xff\xff".as_slice(),
            &items,
            end,
        ]
        .concat();
        let length = (items.len() as u32).to_le_bytes();
        let defined = [b"\x09\0\x01\x10UN\0\0".as_slice(), &length, &items].concat();
        for sequence in [undefined, defined] {
            let (set, repairs) = read_before_rows(&sequence);
            let [item] = set.items(PRIVATE) else {
                panic!("one item of {content:?}");
            };
            assert_eq!(item.first(Tag(0x0009, 0x0010)).as_deref(), Some("ab"));
            assert!(repairs.is_empty(), "nothing was wrong: {repairs:?}");
        }
    }
}

#[test]
fn a_missing_delimiter_is_assumed_before_what_follows() {
    let open = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff";
    let item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\0\x50\x11UI\x02\x001\0";
    let item_end = b"\xfe\xff\x0d\xe0\0\0\0\0";
    let sequence_end = b"\xfe\xff\xdd\xe0\0\0\0\0";
    let whole = [open.as_slice(), item, item_end, sequence_end].concat();
    assert!(read_before_rows(&whole).1.is_empty());
    for damaged in [
        [open.as_slice(), item, sequence_end].concat(),
        [open.as_slice(), item, item_end].concat(),
    ] {
        let (set, repairs) = read_before_rows(&damaged);
        assert_eq!(set.items(Tag(0x0008, 0x1140)).len(), 1);
        assert_eq!(repairs.len(), 1, "{repairs:?}");
    }
}

#[test]
fn a_value_that_reaches_beyond_the_end_is_cut() {
    let (set, notes) = read(b"\x08\0\x60\0CS\x02\0MR\x08\0\x70\0LO\xff\x7fabc");
    assert_eq!(set.first(tags::MODALITY).as_deref(), Some("MR"));
    assert_eq!(set.first(Tag(0x0008, 0x0070)).as_deref(), Some("abc"));
    assert!(notes.cut && notes.repairs.len() == 1, "{notes:?}");
    // Four gigabytes that are not there are never asked for.
    let (_, notes) = read(b"\x09\0\x01\x10OB\0\0\xfe\xff\xff\xffab");
    assert!(notes.cut);
}

#[test]
fn a_binary_value_of_odd_length_does_not_affect_the_next() {
    let (set, _) = read_before_rows(b"\x28\0\x02\0US\x03\0\x03\0\0");
    assert_eq!(set.short(tags::SAMPLES_PER_PIXEL), Some(3));
    let (set, _) = read_before_rows(b"\x08\0\x60\0CS\x03\0MRI");
    assert_eq!(set.first(tags::MODALITY).as_deref(), Some("MRI"));
}

#[test]
fn the_first_of_two_equal_attributes_is_used() {
    let (set, notes) = read(&[ROWS, b"\x28\0\x10\0US\x02\0\x09\0"].concat());
    assert_eq!(set.short(tags::ROWS), Some(7));
    assert_eq!(notes.repairs.len(), 1);
}

#[test]
fn pixels_are_located_but_not_read() {
    let native = [ROWS, b"\xe0\x7f\x10\0OW\0\0\x04\0\0\0abcd", &[0; 4]].concat();
    let (set, notes) = read(&native);
    let pixels = notes.pixels.expect("pixels");
    assert_eq!(pixels.data, PixelData::Native(22..26));
    assert_eq!(pixels.vr, Some(VR::OW));
    assert!(set.get(tags::PIXEL_DATA).is_none() && !notes.cut);
    let coded = [
        ROWS,
        b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff",
        b"\xfe\xff\x00\xe0\0\0\0\0",
        b"\xfe\xff\x00\xe0\x02\0\0\0ab",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
        b"\xfc\xff\xfc\xffOB\0\0\x02\0\0\0\0\0",
    ]
    .concat();
    let (set, notes) = read(&coded);
    let pixels = notes.pixels.expect("pixels");
    assert_eq!(pixels.data, PixelData::Fragments(vec![30..30, 38..40]));
    assert!(
        set.get(Tag(0xfffc, 0xfffc)).is_some(),
        "elements behind the pixels are read"
    );
}

#[test]
fn text_keeps_its_bytes_under_any_character_set() {
    let names = [
        (b"ISO_IR 192".as_slice(), "Äß".as_bytes()),
        (
            b"\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce",
        ),
        (b"GB18030 ", b"\xcd\xf5^\xd0\xa1\xb6\xab "),
    ];
    for (charset, name) in names {
        let mut bytes = b"\x08\0\x05\0CS".to_vec();
        bytes.extend((charset.len() as u16).to_le_bytes());
        bytes.extend(charset);
        bytes.extend(b"\x10\0\x10\0PN");
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend(name);
        let (set, _) = read(&bytes);
        assert_eq!(set.bytes(tags::PATIENT_NAME).as_deref(), Some(name));
        assert_eq!(
            set.bytes(tags::SPECIFIC_CHARACTER_SET).as_deref(),
            Some(charset)
        );
    }
}

#[test]
fn nesting_is_bounded() {
    let open = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff";
    let nested = open.repeat(5000);
    assert!(dataset::parse(&nested, EXPLICIT).is_err());
}

/// Bytes that look like elements, with the faults they can have.
fn element() -> impl Strategy<Value = Vec<u8>> {
    let vr = prop::sample::select(vec![
        *b"US", *b"LO", *b"SQ", *b"UN", *b"OB", *b"DS", *b"  ", *b"XX", *b"AT", *b"FD", *b"\0\0",
    ]);
    let group = prop::sample::select(vec![0_u16, 8, 9, 0x28, 0x7fe0, 0xfffe]);
    let number = prop::sample::select(vec![0_u16, 5, 0x10, 0x1140, 0xe000, 0xe00d, 0xe0dd]);
    let length = prop_oneof![0_u32..12, Just(u32::MAX), Just(0xffff), any::<u32>()];
    let value = prop::collection::vec(any::<u8>(), 0..12);
    (group, number, vr, length, value, any::<bool>()).prop_map(
        |(group, number, vr, length, value, long)| {
            let mut bytes = [group.to_le_bytes(), number.to_le_bytes()].concat();
            if group != 0xfffe {
                bytes.extend(vr);
            }
            match (group, long) {
                (0xfffe, _) => bytes.extend(length.to_le_bytes()),
                (_, false) => bytes.extend((length as u16).to_le_bytes()),
                (_, true) => {
                    bytes.extend([0, 0]);
                    bytes.extend(length.to_le_bytes());
                }
            }
            bytes.extend(value);
            bytes
        },
    )
}

proptest! {
    /// Whatever the bytes, dicom-object can read a data set that the walk accepts, and no range leads out of the
    /// bytes.
    #[test]
    fn every_accepted_data_set_can_be_read(elements in prop::collection::vec(element(), 0..24)) {
        let bytes = elements.concat();
        for encoding in [EXPLICIT, IMPLICIT, BIG_ENDIAN] {
            match dataset::parse(&bytes, encoding) {
                Ok((_, notes)) => if let Some(PixelData::Fragments(parts)) = notes.pixels.map(|p| p.data) {
                    prop_assert!(parts.iter().all(|p| p.start <= p.end && p.end <= bytes.len() as u64));
                },
                Err(error) => prop_assert!(
                    !error.message.contains("cannot be read") && !error.message.contains("beyond"),
                    "{encoding:?} {}", error.message
                ),
            }
        }
    }
}
