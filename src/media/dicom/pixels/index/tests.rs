use super::*;
use crate::ErrorKind;

/// Fragments as they lie in a data set, an item header before each.
fn encapsulated(parts: &[&[u8]]) -> (Body, Vec<Range<u64>>) {
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    for part in parts {
        bytes.extend([0; 8]);
        let start = bytes.len() as u64;
        bytes.extend_from_slice(part);
        ranges.push(start..bytes.len() as u64);
    }
    (Body::whole(bytes), ranges)
}

fn found(offsets: &[u64], parts: &[&[u8]], frames: usize) -> Result<Vec<usize>, ErrorKind> {
    let (body, ranges) = encapsulated(parts);
    frame_starts(offsets, &ranges, &body, frames).map_err(|error| error.kind)
}

const SOI: &[u8] = b"\xff\xd8\xff\xe0";
const EOI: &[u8] = b"..\xff\xd9\0\0";
const BOTH: &[u8] = b"\xff\xd8\xff\xe0..\xff\xd9";

#[test]
fn a_table_is_used_if_it_points_at_fragments() {
    let parts = [SOI, b"more", SOI, SOI, b"more", b"most"];
    assert_eq!(found(&[0, 24, 36], &parts, 3), Ok(vec![0, 2, 3]));
    // A wrong table is ignored, and stream markers decide.
    assert_eq!(found(&[0, 5, 36], &parts, 3), Ok(vec![0, 2, 3]));
    assert_eq!(found(&[0, 0, 0], &parts, 3), Ok(vec![0, 2, 3]));
    assert_eq!(found(&[], &parts, 1), Ok(vec![0]));
}

#[test]
fn a_table_of_another_length_gives_the_frames_that_are_there() {
    let parts = [BOTH, BOTH, BOTH];
    assert_eq!(found(&[0, 16, 32], &parts, 5), Ok(vec![0, 1, 2]));
    assert_eq!(found(&[0, 16, 32], &parts, 2), Ok(vec![0, 1, 2]));
    assert_eq!(found(&[0, 16, 32, 48, 64], &parts, 5), Ok(vec![0, 1, 2]));
    // As many fragments as frames, and a table that stops early: one fragment per frame.
    assert_eq!(found(&[0, 16], &parts, 3), Ok(vec![0, 1, 2]));
}

#[test]
fn a_truncated_file_has_its_first_frames() {
    assert_eq!(found(&[], &[BOTH, BOTH, SOI], 5), Ok(vec![0, 1, 2]));
    let parts = [SOI, EOI, SOI, EOI, SOI];
    assert_eq!(found(&[], &parts, 9), Ok(vec![0, 2, 4]));
    assert_eq!(found(&[], &parts, 4), Ok(vec![0, 2, 4]));
    assert_eq!(found(&[], &[BOTH, BOTH, b"\xff"], 5), Ok(vec![0, 1, 2]));
    assert_eq!(found(&[], &[b"a", b"b"], 3), Ok(vec![0, 1]));
    // RLE streams have a beginning, but no end marker.
    let mut rle = [0; 70];
    (rle[0], rle[4]) = (1, 64);
    assert_eq!(found(&[], &[&rle, &rle], 3), Ok(vec![0, 1]));
    assert_eq!(
        found(&[], &[&rle, b"more", &rle, b"more"], 3),
        Ok(vec![0, 2])
    );
}

#[test]
fn the_first_frame_begins_with_the_first_fragment() {
    let parts: [&[u8]; 4] = [b"\xff\xd8", b"\xff\xe0.\xff\xd9", BOTH, BOTH];
    assert_eq!(found(&[], &parts, 3), Ok(vec![0, 2, 3]));
    // Beginnings and ends contradict each other, and neither matches the number of frames.
    let parts: [&[u8]; 5] = [b"x", SOI, EOI, b"y", EOI];
    assert_eq!(found(&[], &parts, 4), Err(ErrorKind::Malformed));
    assert_eq!(
        found(&[], &[b"x", b"y", b"z"], 2),
        Err(ErrorKind::Malformed)
    );
}

#[test]
fn a_frame_beyond_the_last_is_truncated() {
    let index = FrameIndex::Coded {
        parts: vec![8..16, 24..32, 40..48],
        starts: vec![0, 2],
    };
    assert_eq!(index.fragments(0), Ok(&[8..16, 24..32][..]));
    assert_eq!(index.fragments(1).map(<[_]>::len), Ok(1));
    let missing = index.fragments(2).map_err(|error| error.kind);
    assert_eq!(missing, Err(ErrorKind::Truncated));
}

#[test]
fn a_table_shorter_than_the_frames_yields_to_the_markers() {
    let parts = [SOI, EOI, SOI, EOI, SOI, EOI];
    assert_eq!(found(&[0], &parts, 3), Ok(vec![0, 2, 4]));
    assert_eq!(found(&[0], &parts, 9), Ok(vec![0, 2, 4]));
    // Without markers, the table is all there is.
    assert_eq!(found(&[0, 9], &[b"x", b"y", b"z"], 4), Ok(vec![0, 1]));
    // A table that ends with the file is right about what is left of it.
    assert_eq!(
        found(&[0, 24, 48, 72], &[SOI, SOI, SOI, EOI], 5),
        Ok(vec![0, 2])
    );
}

/// Going back in a deflated data set means to inflate it anew from its beginning.
#[test]
fn markers_are_read_in_one_pass() {
    let short: Vec<u8> = [SOI, &[7; 60], EOI].concat();
    let long: Vec<u8> = [SOI, &[7; 90], EOI].concat();
    let parts: Vec<&[u8]> = (0..40)
        .map(|n| if n % 2 == 0 { &short[..] } else { &long })
        .collect();
    let (body, ranges) = encapsulated(&parts);
    let body = Body::deflated(body.head());
    let markers = StreamMarkers::read(&ranges, &body).expect("markers");
    assert!(markers.begin.iter().chain(&markers.end).all(|found| *found));
    assert_eq!(body.rewinds(), 0);
}
