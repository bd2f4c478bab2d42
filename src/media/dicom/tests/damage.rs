//! Damaged objects: an image or an error, never a panic, and no patient data in messages.

use super::*;
use crate::contain::is_panic;

/// Compressed frames with any byte changed: images or errors, never a panic.
#[test]
fn damaged_compressed_frames_never_panic() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/media/");
    for name in [
        "grey_jpegls",
        "rgb_jpegls",
        "grey_jpeg_lossless",
        "rgb_jpeg2000",
        "rgb_htj2k",
    ] {
        let whole = std::fs::read(format!("{fixtures}{name}.dcm")).expect("a fixture");
        for at in (600..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xa5;
            let error = decode(&damaged, &DecodeOptions::default()).err();
            assert!(
                !error.is_some_and(|error| is_panic(&error)),
                "{name}, byte {at}"
            );
        }
    }
}

/// Files that the fuzzer found (`make fuzz`): now an image or an error, and never an error made from a panic.
#[test]
fn files_found_by_the_fuzzer_no_longer_panic() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/media/found"
    );
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file");
        if let Err(error) = decode(&bytes, &DecodeOptions::default()) {
            assert!(!is_panic(&error), "{}", path.display());
        }
        seen += 1;
    }
    assert!(seen > 0);
}

/// Objects with any byte changed: an image or an error, never a panic.
#[test]
fn damaged_objects_never_panic() {
    let lut = ObjectBuilder::default()
        .element(tags::LUT_DESCRIPTOR, *b"US", &[4, 0, 10, 0, 8, 0])
        .element(tags::LUT_DATA, *b"OW", &[0, 0, 50, 0, 100, 0, 255, 0]);
    let object = ObjectBuilder::grey16(2, 2, "MONOCHROME1", true)
        .item(tags::VOILUT_SEQUENCE, &lut)
        .text(CENTER, *b"DS", "1 ")
        .words(&[1, 2, 3, 4]);
    let whole = object.file("1.2.840.10008.1.2.1");
    for at in 128..whole.len() {
        for flip in [0x01, 0x10, 0x55, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            match decode(&damaged, &DecodeOptions::default()) {
                Ok((_, picture)) => {
                    let pixels = picture.width as usize * picture.height as usize;
                    assert_eq!(picture.to_rgb().len(), pixels * 3);
                }
                Err(error) => assert!(!is_panic(&error), "byte {at}, {flip:#x}"),
            }
        }
    }
}

/// A damaged length can make the patient's name part of another value, which must not be quoted then.
#[test]
fn no_flipped_bit_puts_the_patient_into_a_message() {
    let secret = "SECRET^NAME";
    let image = ObjectBuilder::default()
        .text(tags::SOP_CLASS_UID, *b"UI", "1.2.840.10008.5.1.4.1.1.7")
        .text(tags::MODALITY, *b"CS", "CT")
        .text(tags::PATIENT_NAME, *b"PN", secret)
        .text(tags::BODY_PART_EXAMINED, *b"CS", "CHEST")
        .text(Tag(0x0018, 0x1030), *b"LO", secret)
        .short(tags::SAMPLES_PER_PIXEL, 1)
        .text(tags::PHOTOMETRIC_INTERPRETATION, *b"CS", "MONOCHROME2")
        .text(Tag(0x0028, 0x1055), *b"LO", secret);
    let pixels = image
        .clone()
        .short(tags::ROWS, 1)
        .short(tags::COLUMNS, 2)
        .short(tags::BITS_ALLOCATED, 8)
        .octets(&[1, 2]);
    for whole in [image, pixels] {
        let whole = whole.file("1.2.840.10008.1.2.1");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let said = match ImageSource::from_bytes(bytes) {
                Ok(source) => format!("{:?} {:?}", source.info(), source.frame(0).err()),
                Err(error) => error.message,
            };
            assert!(!said.contains("SECRE"), "bit {bit}: {said}");
        }
    }
}
