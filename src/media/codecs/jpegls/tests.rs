use crate::ErrorKind;
use crate::codecs::jpegls::*;

/// The example of T.87 annex H.3: an image of 4 × 4 samples.
const EXAMPLE: &[u8] = &[
    0xff, 0xd8, 0xff, 0xf7, 0x00, 0x0b, 0x08, 0x00, 0x04, 0x00, 0x04, 0x01, 0x01, 0x11, 0x00, 0xff,
    0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x00, 0x6c, 0x80, 0x20, 0x8e,
    0x01, 0xc0, 0x00, 0x00, 0x57, 0x40, 0x00, 0x00, 0x6e, 0xe6, 0x00, 0x00, 0x01, 0xbc, 0x18, 0x00,
    0x00, 0x05, 0xd8, 0x00, 0x00, 0x91, 0x60, 0xff, 0xd9,
];

const SHAPE: FrameShape = FrameShape {
    columns: 4,
    rows: 4,
    samples: 1,
    allocated: 8,
};

#[test]
fn the_example_of_the_standard_is_decoded() {
    let mut decoded = Vec::new();
    decode(EXAMPLE, &SHAPE, &mut decoded).expect("a picture");
    let expected = [
        0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145,
    ];
    assert_eq!(decoded, expected);
}

#[test]
fn a_cut_stream_is_truncated_and_a_damaged_one_does_not_panic() {
    for length in 2..EXAMPLE.len() - 6 {
        let error = decode(&EXAMPLE[..length], &SHAPE, &mut Vec::new()).expect_err("cut");
        assert_eq!(error.kind, ErrorKind::Truncated, "{length}: {error}");
    }
    for at in 0..EXAMPLE.len() {
        for flip in 1..=255 {
            let mut damaged = EXAMPLE.to_vec();
            damaged[at] ^= flip;
            // The result does not matter, only that there is one.
            let _ = decode(&damaged, &SHAPE, &mut Vec::new());
        }
    }
}

#[test]
fn a_size_that_differs_from_the_object_is_refused() {
    let shape = FrameShape {
        columns: 512,
        ..SHAPE
    };
    let error = decode(EXAMPLE, &shape, &mut Vec::new()).expect_err("another size");
    assert_eq!(error.kind, ErrorKind::Malformed);
}

#[test]
fn the_decoder_is_reset_at_a_restart_marker() {
    // The example's scan twice, with a restart marker between: an image of eight lines, the second half like the
    // first.
    let (header, rest) = EXAMPLE.split_at(15);
    let (scan_header, coded) = rest[..rest.len() - 2].split_at(10);
    let mut stream = header.to_vec();
    stream[8] = 8;
    stream.extend([0xff, 0xdd, 0x00, 0x04, 0x00, 0x04]);
    stream.extend([scan_header, coded, &[0xff, 0xd0], coded, &[0xff, 0xd9]].concat());
    let shape = FrameShape { rows: 8, ..SHAPE };
    let mut decoded = Vec::new();
    decode(&stream, &shape, &mut decoded).expect("a picture");
    let (first, second) = decoded.split_at(16);
    assert_eq!(first, second);
    assert_eq!(&first[..4], [0, 0, 90, 74]);
    let end = stream.len() - coded.len() - 4;
    for (cut, kind) in [(end, ErrorKind::Truncated), (end + 4, ErrorKind::Truncated)] {
        let error = decode(&stream[..cut], &shape, &mut Vec::new()).expect_err("cut");
        assert_eq!(error.kind, kind);
    }
    let marker = stream.len() - coded.len() - 3;
    stream[marker] = 0xd3;
    let error = decode(&stream, &shape, &mut Vec::new()).expect_err("another marker");
    assert_eq!(error.kind, ErrorKind::Malformed);
}

/// Otherwise a scan in place of another would leave a component zero.
#[test]
fn a_component_that_is_coded_twice_is_refused() {
    let scan = &EXAMPLE[15..EXAMPLE.len() - 2];
    let stream = |second: u8| {
        let header = [&EXAMPLE[..11], &[2, 1, 0x11, 0, 2, 0x11, 0][..]];
        let mut other = scan.to_vec();
        other[5] = second;
        let mut stream = [&header.concat(), scan, &other, &[0xff, 0xd9]].concat();
        stream[5] += 3;
        stream
    };
    let shape = FrameShape {
        samples: 2,
        ..SHAPE
    };
    let mut decoded = Vec::new();
    decode(&stream(2), &shape, &mut decoded).expect("both components");
    assert_eq!(decoded[..6], [0, 0, 0, 0, 90, 90]);
    let error = decode(&stream(1), &shape, &mut Vec::new()).expect_err("one component twice");
    assert_eq!(error.kind, ErrorKind::Malformed);
}

#[test]
fn a_point_transform_is_undone() {
    let mut stream = EXAMPLE.to_vec();
    stream[24] = 1;
    let mut decoded = Vec::new();
    let shape = FrameShape {
        allocated: 16,
        ..SHAPE
    };
    decode(&stream, &shape, &mut decoded).expect("a picture");
    assert_eq!(decoded[..8], [0, 0, 0, 0, 180, 0, 148, 0]);
}
