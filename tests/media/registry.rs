//! A program that only uses dicom-rs decodes with the codecs of this crate once it links it.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, open_file};
use dicom_pixeldata::PixelDecoder;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use medivision_media as _;

/// The example of T.87 annex H.3: an image of 4 × 4 samples.
const JPEG_LS: &[u8] = &[
    0xff, 0xd8, 0xff, 0xf7, 0x00, 0x0b, 0x08, 0x00, 0x04, 0x00, 0x04, 0x01, 0x01, 0x11, 0x00, 0xff,
    0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x00, 0x6c, 0x80, 0x20, 0x8e,
    0x01, 0xc0, 0x00, 0x00, 0x57, 0x40, 0x00, 0x00, 0x6e, 0xe6, 0x00, 0x00, 0x01, 0xbc, 0x18, 0x00,
    0x00, 0x05, 0xd8, 0x00, 0x00, 0x91, 0x60, 0xff, 0xd9,
];

/// A sequential JPEG of 8 × 8 12-bit samples. Its only block has a DC coefficient of 64, coded in two bits, which a
/// quantiser of 16 scales to 1024: every sample is 2048 + 1024 / 8.
const JPEG_12: &[u8] = &[
    0xff,
    0xd8,
    0xff,
    0xdb,
    0x00,
    0x43,
    0x00,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    16,
    0xff,
    0xc1,
    0x00,
    0x0b,
    12,
    0x00,
    0x08,
    0x00,
    0x08,
    0x01,
    0x01,
    0x11,
    0x00,
    0xff,
    0xc4,
    0x00,
    0x14,
    0x00,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    7,
    0xff,
    0xc4,
    0x00,
    0x14,
    0x10,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0xff,
    0xda,
    0x00,
    0x08,
    0x01,
    0x01,
    0x00,
    0x00,
    0x3f,
    0x00,
    0b0010_0000,
    0b0001_1111,
    0xff,
    0xd9,
];

/// Writes an object to a file and decodes it as any dicom-rs program does.
fn decoded(syntax: &str, side: u16, stored: u16, stream: &[u8]) -> Vec<u16> {
    let short = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let allocated = stored.next_multiple_of(8);
    let mut fragment = stream.to_vec();
    fragment.resize(stream.len().next_multiple_of(2), 0);
    let frame = dicom_core::value::PixelFragmentSequence::new_fragments(vec![fragment]);
    let object = InMemDicomObject::from_element_iter([
        DataElement::new(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        short(tags::SAMPLES_PER_PIXEL, 1),
        short(tags::ROWS, side),
        short(tags::COLUMNS, side),
        short(tags::BITS_ALLOCATED, allocated),
        short(tags::BITS_STORED, stored),
        short(tags::HIGH_BIT, stored - 1),
        short(tags::PIXEL_REPRESENTATION, 0),
        DataElement::new(tags::PIXEL_DATA, VR::OB, frame),
    ]);
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .media_storage_sop_class_uid(uids::SECONDARY_CAPTURE_IMAGE_STORAGE)
        .media_storage_sop_instance_uid("2.25.1");
    let folder = tempfile::tempdir().expect("made");
    let path = folder.path().join("coded.dcm");
    let file = object.with_meta(meta).expect("complete");
    file.write_to_file(&path).expect("written");
    let opened = open_file(&path).expect("readable");
    let pixels = opened.decode_pixel_data().expect("decodable");
    pixels.to_vec().expect("numbers")
}

#[test]
fn dicom_rs_decodes_jpeg_ls() {
    let values = decoded(uids::JPEGLS_LOSSLESS, 4, 8, JPEG_LS);
    let expected = [
        0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145,
    ];
    assert_eq!(values, expected);
}

#[test]
fn dicom_rs_decodes_jpeg_of_twelve_bits() {
    let values = decoded(uids::JPEG_EXTENDED12_BIT, 8, 12, JPEG_12);
    assert_eq!(values, [2176; 64]);
}

#[test]
fn every_still_image_syntax_has_a_decoder() {
    let decodes = |uid: &str| {
        let syntax = TransferSyntaxRegistry.get(uid);
        syntax.is_some_and(|syntax| syntax.pixel_data_reader().is_some())
    };
    let last = [
        "4.50", "4.51", "4.53", "4.55", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "4.92",
        "4.93", "4.110", "4.111", "4.112", "4.201", "4.202", "4.203", "5", "1.98",
    ];
    for last in last {
        assert!(decodes(&format!("1.2.840.10008.1.2.{last}")), "{last}");
    }
    assert!(!decodes("1.2.840.10008.1.2.4.102"), "video");
}
