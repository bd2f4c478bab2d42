use super::*;
use crate::ErrorKind;

/// The example of annex G, packed and unpacked.
const PACKED: [u8; 16] = [
    0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x80, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa,
];
const PLAIN: [u8; 24] = [
    0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22, 0xaa, 0xaa,
    0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
];

fn frame(segments: &[&[u8]]) -> Vec<u8> {
    let mut header = vec![segments.len() as u32];
    let mut at = HEADER as u32;
    for segment in segments {
        header.push(at);
        at += segment.len() as u32;
    }
    header.resize(HEADER / 4, 0);
    let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(segments.concat());
    bytes
}

fn decoded(
    segments: &[&[u8]],
    pixels: u32,
    samples: usize,
    allocated: u16,
) -> Result<Vec<u8>, MediaError> {
    let shape = FrameShape {
        columns: pixels,
        rows: 1,
        samples,
        allocated,
    };
    let mut out = Vec::new();
    decode(&frame(segments), &shape, &mut out).map(|()| out)
}

#[test]
fn the_example_of_the_standard_is_decoded() {
    assert_eq!(decoded(&[&PACKED], 24, 1, 8).as_deref(), Ok(&PLAIN[..]));
    let more = decoded(&[&PACKED], 25, 1, 8).map_err(|e| e.kind);
    assert_eq!(more, Err(ErrorKind::Truncated));
}

#[test]
fn segments_are_bytes_of_samples_most_significant_first() {
    let planes: [&[u8]; 6] = [
        &[1, 1, 2],
        &[1, 3, 4],
        &[1, 5, 6],
        &[1, 7, 8],
        &[1, 9, 10],
        &[1, 11, 12],
    ];
    assert_eq!(decoded(&planes[..2], 2, 1, 16), Ok(vec![3, 1, 4, 2]));
    assert_eq!(decoded(&planes[..3], 2, 3, 8), Ok(vec![1, 3, 5, 2, 4, 6]));
    assert_eq!(
        decoded(&planes, 2, 3, 16),
        Ok(vec![3, 1, 7, 5, 11, 9, 4, 2, 8, 6, 12, 10])
    );
    assert_eq!(
        decoded(&planes[..4], 2, 1, 32),
        Ok(vec![7, 5, 3, 1, 8, 6, 4, 2])
    );
    assert_eq!(decoded(&[&[0, 0b0000_0101]], 3, 1, 1), Ok(vec![1, 0, 1]));
}

#[test]
fn runs_may_reach_beyond_a_band() {
    let size = 3 * BAND + 77;
    let plain: Vec<u8> = (0..size).map(|n| (n / 101) as u8).collect();
    let mut packed = Vec::new();
    for run in plain.chunk_by(|a, b| a == b) {
        packed.extend([(257 - run.len()) as u8, run[0]]);
    }
    let literal: Vec<u8> = plain
        .chunks(128)
        .flat_map(|part| std::iter::once(part.len() as u8 - 1).chain(part.iter().copied()))
        .collect();
    let woven: Vec<u8> = plain.iter().flat_map(|&byte| [byte, byte]).collect();
    assert_eq!(decoded(&[&packed, &literal], size as u32, 1, 16), Ok(woven));
    assert_eq!(decoded(&[&literal], size as u32, 1, 8), Ok(plain));
}

#[test]
fn a_frame_that_the_bytes_cannot_hold_is_refused_before_allocation() {
    let shape = FrameShape {
        columns: 16_384,
        rows: 16_384,
        samples: 1,
        allocated: 16,
    };
    let mut out = Vec::new();
    let error = decode(&frame(&[&PACKED, &PACKED]), &shape, &mut out);
    assert_eq!(error.map_err(|e| e.kind), Err(ErrorKind::Truncated));
    assert_eq!(out.capacity(), 0);
}

#[test]
fn cut_and_damaged_frames_are_errors() {
    let whole = frame(&[&PACKED, &PACKED]);
    let shape = FrameShape {
        columns: 24,
        rows: 1,
        samples: 1,
        allocated: 16,
    };
    for length in 0..whole.len() {
        let error = decode(&whole[..length], &shape, &mut Vec::new());
        assert_eq!(error.map_err(|e| e.kind), Err(ErrorKind::Truncated));
    }
    for at in 0..whole.len() {
        for flip in 1..=255 {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            // The result does not matter, only that there is one.
            let _ = decode(&damaged, &shape, &mut Vec::new());
        }
    }
}
