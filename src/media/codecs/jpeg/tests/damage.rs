//! Streams that end early, claim too much or contradict themselves give an error that names the fault before it costs
//! memory or time. Streams that are merely untidy are shown.

use crate::codecs::jpeg::headers::SegmentWalk;
use crate::codecs::jpeg::tests::{fixtures, probe};
use crate::codecs::jpeg::*;
use crate::error::ErrorKind;

/// Markers.
const SOI: &[u8] = b"\xff\xd8";
const EOI: &[u8] = b"\xff\xd9";

fn shown(file: &[u8]) -> Result<Picture, ErrorKind> {
    decode(file, &DecodeOptions::default()).map_err(|error| error.kind)
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).expect("a file")
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).expect("a short body");
    [&[0xff, marker][..], &length.to_be_bytes(), body].concat()
}

/// A frame header with components that are not subsampled, each with its own identifier.
fn frame(marker: u8, precision: u8, (width, height): (u16, u16), components: u8) -> Vec<u8> {
    let size = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let mut body = [&[precision][..], &size, &[components]].concat();
    body.extend((1..=components).flat_map(|id| [id, 0x11, 0]));
    segment(marker, &body)
}

/// Quantisation by 1, and Huffman tables of a single code: the bit 0 is a DC difference of zero, and the AC symbol
/// `ac`.
fn tables(ac: u8) -> Vec<u8> {
    let mut table = [0; 17];
    table[1] = 1;
    let dc = [&table[..], &[0]].concat();
    table[0] = 0x10;
    let ac = [&table[..], &[ac]].concat();
    let quantisation = [&[0][..], &[1; 64]].concat();
    [
        segment(0xdb, &quantisation),
        segment(0xc4, &dc),
        segment(0xc4, &ac),
    ]
    .concat()
}

/// A scan of some components, with the band and bits given by `progression`.
fn scan(components: &[u8], progression: [u8; 3], coded: &[u8]) -> Vec<u8> {
    let mut body = vec![components.len() as u8];
    body.extend(components.iter().flat_map(|&id| [id, 0]));
    body.extend(progression);
    [&segment(0xda, &body)[..], coded].concat()
}

/// A flat grey image: every block takes two bits, the fewest possible.
fn flat(size: (u16, u16), coded: &[u8]) -> Vec<u8> {
    [
        SOI,
        &tables(0),
        &frame(0xc0, 8, size, 1),
        &scan(&[1], [0, 63, 0], coded),
        EOI,
    ]
    .concat()
}

#[test]
fn a_cut_stream_with_an_end_marker_is_truncated() {
    for name in [
        "grey.jpg",
        "rgb_420_q75.jpg",
        "rgb_444_q95.jpg",
        "cmyk.jpg",
        "restart.jpg",
        "progressive_420.jpg",
        "grey_progressive.jpg",
        "orientation_6.jpg",
    ] {
        let whole = fixture(name);
        let mut walk = SegmentWalk::new(&whole);
        let (mut begin, mut ends) = (None, Vec::new());
        while let Some((marker, _)) = walk.next() {
            // Half a marker counts as a fill byte.
            ends.extend([walk.marker_at, walk.marker_at + 1]);
            if marker == 0xda {
                begin = begin.or(Some(walk.at));
            }
        }
        let begin = begin.expect("a scan");
        let cuts = (begin..whole.len() - 2).rev().step_by(3);
        for length in cuts.filter(|length| !ends.contains(length)) {
            let closed = [&whole[..length], EOI].concat();
            for scale in [Scale::Full, Scale::Eighth] {
                let options = DecodeOptions {
                    scale,
                    ..DecodeOptions::default()
                };
                let Err(error) = decode(&closed, &options) else {
                    panic!("{name}: {length} of {} bytes are a picture", whole.len());
                };
                assert_eq!(
                    error.kind,
                    ErrorKind::Truncated,
                    "{name}: {length} of {} bytes",
                    whole.len()
                );
            }
        }
    }
}

#[test]
fn a_complete_stream_may_be_untidy() {
    for name in [
        "grey.jpg",
        "rgb_420_q75.jpg",
        "restart.jpg",
        "progressive_420.jpg",
    ] {
        let whole = fixture(name);
        let picture = shown(&whole).expect("a picture");
        let body = &whole[..whole.len() - 2];
        for (end, what) in [
            (&b""[..], "no end marker"),
            (b"\xff\xff\xff\xd9", "fill bytes"),
            (b"\x00\x2a\xff\xd9", "stray bytes"),
            (b"\xff\xd9\x00\x00 and more", "data behind the end"),
        ] {
            let untidy = [body, end].concat();
            assert!(shown(&untidy) == Ok(picture.clone()), "{name}: {what}");
            let warned = !probe(&untidy).expect("a picture").warnings.is_empty();
            assert_eq!(warned, end.is_empty(), "{name}: {what}");
        }
    }
}

#[test]
fn a_missing_restart_interval_is_detected() {
    let whole = fixture("restart.jpg");
    let markers: Vec<usize> = (0..whole.len() - 1)
        .filter(|&at| whole[at] == 0xff && matches!(whole[at + 1], 0xd0..=0xd7))
        .collect();
    assert!(markers.len() > 2);
    for pair in markers.windows(2) {
        let without = [&whole[..pair[0]], &whole[pair[1]..]].concat();
        assert_eq!(shown(&without).err(), Some(ErrorKind::Truncated));
    }
}

#[test]
fn a_progressive_image_without_its_last_passes_is_shown_if_it_has_an_end_marker() {
    let whole = fixture("progressive_420.jpg");
    let mut walk = SegmentWalk::new(&whole);
    let mut scans = Vec::new();
    while let Some((marker, _)) = walk.next() {
        if marker == 0xda {
            scans.push(walk.marker_at);
        }
    }
    assert!(scans.len() > 3);
    for &end in &scans[1..] {
        assert_eq!(
            shown(&whole[..end]).err(),
            Some(ErrorKind::Truncated),
            "no end marker says that this is all"
        );
        let closed = [&whole[..end], EOI].concat();
        assert!(shown(&closed).is_ok());
        assert_eq!(probe(&closed).expect("a picture").warnings.len(), 1);
        // In DICOM nothing could say that the image is coarse.
        let headers = JpegHeaders::read(&closed).expect("headers");
        let error = components(&closed, &headers).err().expect("not all passes");
        assert_eq!(error.kind, ErrorKind::Truncated);
    }
    assert!(probe(&whole).expect("a picture").warnings.is_empty());
    let none = [&whole[..scans[0]], EOI].concat();
    assert_eq!(shown(&none).err(), Some(ErrorKind::Truncated));
}

#[test]
fn every_component_needs_its_scan() {
    let color = |scans: &[Vec<u8>]| {
        let frame = frame(0xc0, 8, (8, 8), 3);
        [SOI, &tables(0), &frame, &scans.concat(), EOI].concat()
    };
    let scans = [1, 2, 3].map(|id| scan(&[id], [0, 63, 0], &[0]));
    assert!(shown(&color(&scans)).is_ok());
    assert_eq!(shown(&color(&scans[..2])).err(), Some(ErrorKind::Truncated));
}

#[test]
fn a_stream_may_be_as_short_as_its_codes_allow() {
    // Two bits a block.
    let coded = vec![0; 2048 * 2048 / 64 / 4];
    let picture = shown(&flat((2048, 2048), &coded)).expect("a picture");
    assert!(picture.pixels == Pixels::Luma(vec![128; 2048 * 2048]));
    let cut = flat((2048, 2048), &coded[1..]);
    assert_eq!(shown(&cut).err(), Some(ErrorKind::Truncated));
}

#[test]
fn an_image_that_a_small_stream_cannot_hold_costs_nothing() {
    let begun = std::time::Instant::now();
    let huge = (16_383, 16_383);
    let sequential = flat(huge, &[0; 500]);
    let lossless = |size, coded: &[u8]| {
        let frame = frame(0xc3, 8, size, 1);
        [SOI, &tables(0), &frame, &scan(&[1], [1, 0, 0], coded), EOI].concat()
    };
    let progressive = [
        SOI,
        &tables(0xe0),
        &frame(0xc2, 8, huge, 4),
        &scan(&[1, 2, 3, 4], [0, 0, 0], &[0; 500]),
        EOI,
    ]
    .concat();
    for file in [sequential, lossless(huge, &[0; 500]), progressive] {
        assert_eq!(shown(&file).err(), Some(ErrorKind::Truncated));
    }
    // A bit a sample is enough.
    let picture = shown(&lossless((16, 4), &[0; 8])).expect("a picture");
    assert!(picture.pixels == Pixels::Luma(vec![128; 64]));
    assert_eq!(
        shown(&lossless((16, 4), &[0; 7])).err(),
        Some(ErrorKind::Truncated)
    );
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn the_number_of_passes_is_bounded_by_the_bytes_of_the_stream() {
    // Every pass over the AC visits all blocks by a single code.
    let picture = |passes: usize| {
        let dc = scan(&[1], [0, 0, 0], &[0; 1024 * 1024 / 64 / 8]);
        let ac = scan(&[1], [1, 63, 0], &[0x40, 0]);
        let frame = frame(0xc2, 8, (1024, 1024), 1);
        let scans = [&dc[..], &ac.repeat(passes)].concat();
        [SOI, &tables(0xe0), &frame, &scans, EOI].concat()
    };
    assert!(shown(&picture(20)).is_ok());
    assert_eq!(shown(&picture(400)).err(), Some(ErrorKind::Malformed));
    assert_eq!(shown(&picture(4000)).err(), Some(ErrorKind::Malformed));
}

#[test]
fn contradictory_segments_are_malformed() {
    let (tables, frame) = (tables(0), frame(0xc0, 8, (8, 8), 1));
    let scan = scan(&[1], [0, 63, 0], &[0]);
    let order = |parts: &[&[u8]]| [SOI, &parts.concat(), EOI].concat();
    assert!(shown(&order(&[&tables, &frame, &scan])).is_ok());
    for (parts, what) in [
        (vec![&tables, &scan, &frame], "a scan before its frame"),
        (vec![&tables, &frame, &frame, &scan], "two frames"),
        (vec![&frame, &scan, &tables], "tables behind the scan"),
    ] {
        let parts: Vec<&[u8]> = parts.into_iter().map(Vec::as_slice).collect();
        assert_eq!(
            shown(&order(&parts)).err(),
            Some(ErrorKind::Malformed),
            "{what}"
        );
    }
    assert_eq!(shown(&flat((0, 8), &[0])).err(), Some(ErrorKind::Malformed));
}

#[test]
fn unusual_segments_are_supported() {
    let (tables, coded) = (tables(0), scan(&[1], [0, 63, 0], &[0]));
    let (plain, open) = (frame(0xc0, 8, (8, 8), 1), frame(0xc0, 8, (8, 0), 1));
    let flat = Ok(Pixels::Luma(vec![128; 64]));
    let pixels = |parts: &[&[u8]]| {
        shown(&[SOI, &tables, &parts.concat(), EOI].concat()).map(|picture| picture.pixels)
    };
    // The height defined behind the scan (DNL, B.2.5), and never at all.
    assert!(pixels(&[&open, &coded, &segment(0xdc, &[0, 8])]) == flat);
    assert_eq!(pixels(&[&open, &coded]).err(), Some(ErrorKind::Malformed));
    // A restart interval beyond the image; 16-bit quantisation, which the baseline process does not have.
    assert!(pixels(&[&segment(0xdd, &[0xff, 0xff]), &plain, &coded]) == flat);
    let wide = segment(0xdb, &[&[0x10][..], &[0, 1].repeat(64)].concat());
    assert!(pixels(&[&wide, &plain, &coded]) == flat);
    // Components with equal identifiers are taken in order.
    let mut same = frame(0xc0, 8, (8, 8), 3);
    (same[10], same[13], same[16]) = (7, 7, 7);
    let scan = scan(&[7, 7, 7], [0, 63, 0], &[0]);
    assert!(pixels(&[&same, &scan]) == Ok(Pixels::Rgb(vec![128; 192])));
}
