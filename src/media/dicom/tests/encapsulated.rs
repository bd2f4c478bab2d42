//! Compressed frames in objects, and what their attributes say.

use super::*;

const JPEG_LS: &str = "1.2.840.10008.1.2.4.81";

/// Markers of a near-lossless JPEG-LS stream of 4 × 4 samples of 16 bits, up to its coded samples: they may be off by 3.
const NEAR: &[u8] = &[
    0xff, 0xd8, 0xff, 0xf7, 0x00, 0x0b, 0x10, 0x00, 0x04, 0x00, 0x04, 0x01, 0x01, 0x11, 0x00, 0xff,
    0xf8, 0x00, 0x0d, 0x01, 0xff, 0xff, 0x00, 0x1b, 0x00, 0x52, 0x01, 0x29, 0x00, 0x40, 0xff, 0xda,
    0x00, 0x08, 0x01, 0x01, 0x00, 0x03, 0x00, 0x00,
];
/// Samples of 12 bits as CharLS codes them behind [`NEAR`]: unsigned, signed, and signed with zeros above the sign.
const UNSIGNED: &[u8] = &[
    0x06, 0x46, 0x01, 0x05, 0x06, 0x00, 0x19, 0x20, 0xc9, 0x06, 0x45, 0x38, 0x0c, 0x94, 0x00, 0x19,
    0x14, 0xe0, 0x01, 0x23, 0x00, 0x00, 0x00, 0x00, 0x00, 0x32, 0xff, 0xd9,
];
const SIGNED: &[u8] = &[
    0x14, 0x78, 0x04, 0x04, 0x00, 0xc9, 0x80, 0x23, 0x86, 0x40, 0x65, 0x94, 0x82, 0x90, 0x19, 0x54,
    0x8e, 0x53, 0x4a, 0x58, 0xa4, 0x14, 0x70, 0xff, 0xd9,
];
const SIGNED_WITHOUT_EXTENSION: &[u8] = &[
    0x14, 0x78, 0x04, 0x04, 0x08, 0x11, 0x47, 0x00, 0x48, 0x29, 0x45, 0x20, 0xa4, 0x40, 0x8a, 0x39,
    0x48, 0x80, 0x14, 0x60, 0xc6, 0xff, 0xd9,
];

/// A sequential JPEG of 8 × 8 samples of 12 bits. Its only block has a DC coefficient of 64, which a quantiser of 16
/// scales to 1024: every sample is 2048 + 1024 / 8.
fn jpeg_12() -> Vec<u8> {
    let table = |class: u8, value: u8| {
        let counts = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        [&[0xff, 0xc4, 0, 0x14, class][..], &counts, &[value]].concat()
    };
    let frame = [0xff, 0xc1, 0, 0x0b, 12, 0, 8, 0, 8, 1, 1, 0x11, 0];
    let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0];
    // The category 7 of the DC, its bits 1000000, and the end of the block.
    let coded = [0b0010_0000, 0b0001_1111];
    [
        &[0xff, 0xd8, 0xff, 0xdb, 0, 0x43, 0][..],
        &[16; 64],
        &frame,
        &table(0x00, 7),
        &table(0x10, 0),
        &scan,
        &coded,
        &[0xff, 0xd9],
    ]
    .concat()
}

#[test]
fn an_error_of_lossy_jpeg_does_not_turn_white_into_black() {
    let values = |stored: u16| {
        let object = ObjectBuilder::grey(8, 8, "MONOCHROME2", (16, stored), false);
        let values = object
            .fragments(&[&jpeg_12()])
            .values("1.2.840.10008.1.2.4.51");
        (values.len(), values[0], values[63])
    };
    assert_eq!(values(12), (64, 2176.0, 2176.0));
    assert_eq!(values(11), (64, 2047.0, 2047.0));
    // Too much for an error: bits that do not belong to the value.
    assert_eq!(values(10), (64, 128.0, 128.0));
}

/// A JPEG 2000 stream knows its depth, so that Bits Stored does not tell which of its bits belong to the image.
#[test]
fn values_beyond_bits_stored_are_reported() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/media/grey_jpeg2000.dcm"
    );
    let whole = std::fs::read(path).expect("a fixture");
    let at = whole.windows(6).position(|w| w == b"\x28\0\x01\x01US");
    let at = at.expect("Bits Stored") + 8;
    let warnings = |fewer: u8| {
        let mut bytes = whole.clone();
        (bytes[at], bytes[at + 10]) = (bytes[at] - fewer, bytes[at + 10] - fewer);
        let source = ImageSource::from_bytes(bytes).expect("a source");
        let shown = source.load(&DecodeOptions::default()).expect("a picture");
        shown.warnings.to_vec()
    };
    assert_eq!(warnings(0), Vec::<String>::new());
    assert!(warnings(5)[0].contains("more bits than Bits Stored (0028,0101)"));
}

fn warnings(object: &ObjectBuilder, syntax: &str) -> (u32, Vec<String>) {
    let source = ImageSource::from_bytes(object.file(syntax)).expect("a source");
    let shown = source.load(&DecodeOptions::default()).expect("a picture");
    (source.frames_present(), shown.warnings.to_vec())
}

#[test]
fn frames_that_are_missing_or_surplus_are_reported() {
    let frames = |count: &str| {
        let object = ObjectBuilder::grey(4, 4, "MONOCHROME2", (16, 12), false);
        object.text(tags::NUMBER_OF_FRAMES, *b"IS", count)
    };
    let stream = [NEAR, UNSIGNED].concat();
    for (count, present, part) in [
        ("1 ", 1, "more frames than Number of Frames (0028,0008)"),
        ("2 ", 2, ""),
        ("3 ", 2, "says 3, but the file has 2"),
        ("1048576 ", 2, "says 1048576, but the file has 2"),
    ] {
        let coded = frames(count).fragments(&[&stream, &stream]);
        let native = frames(count).words(&[7; 32]);
        for (object, syntax) in [(coded, JPEG_LS), (native, "1.2.840.10008.1.2.1")] {
            let (frames, warnings) = warnings(&object, syntax);
            assert_eq!(frames, present, "{count}, {syntax}");
            assert_eq!(
                warnings.len(),
                usize::from(!part.is_empty()),
                "{warnings:?}"
            );
            let is_surplus = present < 2;
            let expected = if is_surplus && syntax != JPEG_LS {
                "longer than Rows, Columns and Number of Frames"
            } else {
                part
            };
            assert!(
                warnings.iter().all(|w| w.contains(expected)),
                "{warnings:?}"
            );
        }
    }
    let missing = frames("3 ").words(&[7; 32]).decode(&DecodeOptions {
        frame: 2,
        ..DecodeOptions::default()
    });
    assert_eq!(missing.expect_err("missing").kind, ErrorKind::Truncated);
    // A single frame in several fragments.
    let (head, tail) = stream.split_at(50);
    let split = frames("1 ").fragments(&[head, tail]);
    assert_eq!(warnings(&split, JPEG_LS), (1, Vec::new()));
}

#[test]
fn native_pixels_of_another_depth_or_number_of_samples_are_refused() {
    let decoded = |frames: &str, octets: usize| {
        let object = ObjectBuilder::grey(3, 3, "MONOCHROME2", (8, 8), false);
        let object = object.text(tags::NUMBER_OF_FRAMES, *b"IS", frames);
        object
            .octets(&vec![7; octets])
            .decode(&DecodeOptions::default())
    };
    for (octets, attribute) in [(18, "Bits Allocated"), (28, "Samples per Pixel")] {
        let error = decoded("1 ", octets).expect_err("noise");
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert!(error.message.contains(attribute), "{}", error.message);
        // There may be several frames.
        assert!(decoded("0 ", octets).is_ok() && decoded("2 ", octets).is_ok());
    }
    assert!(decoded("1 ", 10).is_ok() && decoded("1 ", 40).is_ok());
}

/// A size that the file does not have is not a matter of memory.
#[test]
fn a_large_frame_without_its_pixels_is_truncated() {
    let object = ObjectBuilder::grey16(16_384, 16_384, "MONOCHROME2", false);
    let error = object.words(&[7; 1000]).error();
    assert_eq!(error.kind, ErrorKind::Truncated, "{}", error.message);
}

/// Some writers code 12 bits as 16, and an error makes the largest value larger than 12 bits.
#[test]
fn an_error_of_near_lossless_jpeg_ls_does_not_turn_white_into_black() {
    let values = |signed: bool, coded: &[u8]| {
        let object = ObjectBuilder::grey(4, 4, "MONOCHROME2", (16, 12), signed);
        let stream = [NEAR, coded].concat();
        object.fragments(&[&stream]).values(JPEG_LS)
    };
    // Decoded as 4096 and 4097 in the last row.
    assert_eq!(
        values(false, UNSIGNED),
        [
            4095.0, 4095.0, 4088.0, 4094.0, 4095.0, 0.0, 4095.0, 0.0, 3003.0, 4095.0, 4094.0,
            4095.0, 4095.0, 1.0, 1.0, 4095.0
        ]
    );
    // Decoded as 2050.
    assert_eq!(
        values(true, SIGNED),
        [
            2044.0, 2044.0, 2044.0, 2044.0, -2046.0, -2.0, -2045.0, 1.0, -2.0, -2046.0, 2047.0,
            2046.0, 2047.0, -2047.0, 6.0, 2047.0
        ]
    );
    assert_eq!(
        values(true, SIGNED_WITHOUT_EXTENSION)[4..9],
        [-2045.0, -1.0, -2045.0, 1.0, -1.0]
    );
}

/// A fixture whose Bits Allocated, Bits Stored and High Bit are replaced.
fn fixture_of_bits(name: &str, allocated: u8, stored: u8) -> ImageSource {
    let path = format!(
        "{}/../../tests/fixtures/media/{name}.dcm",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut bytes = std::fs::read(path).expect("a fixture");
    for (element, value) in [(0, allocated), (1, stored), (2, stored - 1)] {
        let attribute = [0x28, 0, element, 1, b'U', b'S'];
        let at = bytes.windows(6).position(|w| w == attribute);
        bytes[at.expect("the attribute") + 8] = value;
    }
    ImageSource::from_bytes(bytes).expect("a source")
}

/// Transcoders from 16 bits to 8 forget the attributes. Colour has no window that would make up for it.
#[test]
fn colours_of_fewer_bits_than_the_attributes_say_are_not_black() {
    let shown = |allocated, stored| {
        let source = fixture_of_bits("rgb_jpegls", allocated, stored);
        let shown = source.load(&DecodeOptions::default()).expect("a picture");
        (shown.picture, shown.warnings.to_vec())
    };
    let (right, warnings) = shown(8, 8);
    assert_eq!(warnings, Vec::<String>::new());
    for (allocated, stored) in [(16, 16), (16, 12)] {
        let (picture, warnings) = shown(allocated, stored);
        assert!(picture == right, "{stored}: {:?}", picture.stats());
        assert!(
            warnings[0].contains("but the stream has 8: its colours"),
            "{warnings:?}"
        );
    }
    assert_eq!(shown(16, 8), (right, Vec::new()));
}

#[test]
fn grey_of_fewer_bits_than_the_attributes_say_is_reported() {
    let object = |stored| {
        let object = ObjectBuilder::grey(8, 8, "MONOCHROME2", (16, stored), false);
        object.fragments(&[&jpeg_12()])
    };
    let syntax = "1.2.840.10008.1.2.4.51";
    assert_eq!(warnings(&object(12), syntax), (1, Vec::new()));
    let (_, warnings) = warnings(&object(16), syntax);
    assert!(
        warnings[0].contains("says 16, but the stream has 12"),
        "{warnings:?}"
    );
    assert_eq!(object(16).values(syntax)[..2], [2176.0, 2176.0]);
}

/// The attribute is in capitals by PS3.5 6.2, and native pixels are read in any case.
#[test]
fn a_photometric_interpretation_in_small_letters_means_the_same() {
    // A run of four equal bytes for each of Y, Cb and Cr (PS3.5 annex G).
    let mut stream: Vec<u8> = [3_u32, 64, 66, 68].map(u32::to_le_bytes).concat();
    stream.resize(64, 0);
    stream.extend([253, 81, 253, 90, 253, 240]);
    let shown = |name: &str| {
        let object = ObjectBuilder::color8(2, 2, name, 0).fragments(&[&stream]);
        decode(
            &object.file("1.2.840.10008.1.2.5"),
            &DecodeOptions::default(),
        )
    };
    let (upper, lower) = (shown("YBR_FULL"), shown("ybr_full"));
    let upper = upper.expect("a picture").1;
    assert_eq!(upper.to_rgb()[..3], [238, 14, 14]);
    assert!(lower.expect("a picture").1 == upper);
}

/// Frames in two fragments each, and a table that names the first one only.
#[test]
fn a_table_of_one_entry_does_not_hide_the_other_frames() {
    let stream = [NEAR, UNSIGNED].concat();
    let (head, tail) = stream.split_at(50);
    let object = ObjectBuilder::grey(4, 4, "MONOCHROME2", (16, 12), false)
        .text(tags::NUMBER_OF_FRAMES, *b"IS", "3 ")
        .fragments_with_table(&[0], &[head, tail, head, tail, head, tail]);
    assert_eq!(warnings(&object, JPEG_LS), (3, Vec::new()));
}

#[test]
fn pixels_in_too_many_fragments_are_refused() {
    let fragments = vec![&[][..]; 2 << 20];
    let object = ObjectBuilder::grey16(2, 2, "MONOCHROME2", false).fragments(&fragments);
    let error = object.error();
    assert_eq!(error.kind, ErrorKind::TooLarge, "{}", error.message);
}
