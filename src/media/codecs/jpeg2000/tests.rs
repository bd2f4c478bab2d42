use super::codestream::Jpeg2000Component;
use super::*;
use crate::ErrorKind;

/// A main header of one tile: start, size, and a coding style.
fn main_header(width: u32, height: u32, components: &[[u8; 3]], transform: u8) -> Vec<u8> {
    tiled_header((width, height), (width, height), components, transform)
}

fn tiled_header(
    (width, height): (u32, u32),
    tile: (u32, u32),
    components: &[[u8; 3]],
    transform: u8,
) -> Vec<u8> {
    let mut stream = b"\xff\x4f\xff\x51".to_vec();
    stream.extend((38 + 3 * components.len() as u16).to_be_bytes());
    stream.extend([0, 0]);
    for value in [width, height, 0, 0, tile.0, tile.1, 0, 0] {
        stream.extend(value.to_be_bytes());
    }
    stream.extend((components.len() as u16).to_be_bytes());
    stream.extend(components.concat());
    stream.extend([0xff, 0x52, 0, 12, 0, 0, 0, 1, transform, 0, 4, 4, 0, 1]);
    stream
}

fn tile_part(length: u32, data: &[u8]) -> Vec<u8> {
    tile_part_of(0, 1, length, data)
}

/// A tile-part of a tile that says that it has `count` of them; 0 if it does not say.
fn tile_part_of(tile: u16, count: u8, length: u32, data: &[u8]) -> Vec<u8> {
    let mut part = b"\xff\x90\x00\x0a".to_vec();
    part.extend(tile.to_be_bytes());
    part.extend(length.to_be_bytes());
    part.extend([0, count]);
    part.extend(data);
    part
}

/// OpenJPEG leaves a missing tile black and takes memory for each that the header claims.
#[test]
fn a_stream_that_lacks_tiles_is_truncated_also_if_it_has_its_end_marker() {
    let header = tiled_header((16, 8), (8, 8), &[[7, 1, 1]], 0);
    let part = |tile, count| tile_part_of(tile, count, 16, b"\xff\x93ab");
    let completeness = |parts: &[Vec<u8>]| {
        let stream = [&header, &parts.concat()[..], END_MARKER].concat();
        Codestream::find(&stream).expect("a header").completeness()
    };
    let end = header.len() + 32;
    assert_eq!(
        completeness(&[part(0, 1), part(1, 1)]),
        Completeness::Whole(end)
    );
    assert_eq!(
        completeness(&[part(1, 0), part(0, 0)]),
        Completeness::Whole(end)
    );
    for missing in [
        vec![part(0, 1)],
        vec![part(1, 1)],
        vec![part(0, 2), part(1, 1)],
        Vec::new(),
    ] {
        assert_eq!(completeness(&missing), Completeness::Cut, "{missing:?}");
    }
    let claims = tiled_header((255, 255), (1, 1), &[[7, 1, 1]], 0);
    let stream = [&claims, &part(0, 1)[..], END_MARKER].concat();
    let shape = FrameShape {
        columns: 255,
        rows: 255,
        samples: 1,
        allocated: 8,
    };
    let error = decode(&stream, &shape, &mut Vec::new()).expect_err("65,024 tiles are missing");
    assert_eq!(error.kind, ErrorKind::Truncated);
    // A length that reaches to the end, without an end marker: what is missing cannot be counted.
    let open = [&claims, &tile_part_of(0, 1, 0, b"\xff\x93ab")[..]].concat();
    let open = Codestream::find(&open).expect("a header");
    assert_eq!(open.completeness(), Completeness::Cut);
    assert_eq!(tile_bytes(&claims, stream.len() as u64), 0);
    let megabytes = tile_bytes(&claims, 1 << 20) >> 20;
    assert!((700..900).contains(&megabytes), "{megabytes}");
}

#[test]
fn the_size_is_checked_before_the_stream_is_decoded() {
    let stream = main_header(70_000, 60_000, &[[7, 1, 1]], 0);
    let shape = FrameShape {
        columns: 512,
        rows: 512,
        samples: 1,
        allocated: 8,
    };
    let decode = |bytes: &[u8]| decode(bytes, &shape, &mut Vec::new());
    let error = decode(&stream).expect_err("another size");
    assert_eq!(error.kind, ErrorKind::Malformed);
    assert!(error.message.contains("70000 × 60000"));
    assert!(decode(b"no stream at all").is_err());
}

#[test]
fn a_stream_is_complete_with_its_last_tile_part() {
    let completeness = |stream: &[u8]| Codestream::find(stream).expect("a header").completeness();
    let header = main_header(8, 8, &[[7, 1, 1]], 0);
    let part = tile_part(16, b"\xff\x93ab");
    let end = header.len() + part.len();
    for tail in [END_MARKER, &[], b"\xff\x64\x00\x04hi\xff\xd9", &[0, 0]] {
        let stream = [&header, &part[..], tail].concat();
        assert_eq!(completeness(&stream), Completeness::Whole(end), "{tail:?}");
    }
    let stream = [&header, &part[..]].concat();
    assert_eq!(completeness(&stream[..end - 1]), Completeness::Cut);
    assert_eq!(completeness(&header), Completeness::Cut);
    let comment = [&header, &b"\xff\x64\xff\xff more"[..]].concat();
    assert_eq!(
        completeness(&comment),
        Completeness::Cut,
        "a segment longer than the stream"
    );
    let open = [&header, &tile_part(0, b"\xff\x93ab")[..]].concat();
    assert_eq!(completeness(&open), Completeness::Unknown);
    assert_eq!(
        completeness(&[&open[..], END_MARKER].concat()),
        Completeness::Whole(end)
    );
}

#[test]
fn components_may_have_a_coarser_grid_than_the_image() {
    let stream = main_header(191, 159, &[[7, 2, 2]], 0);
    let header = header(&stream).expect("a header");
    assert_eq!(header.size, (96, 80));
    let stream = main_header(5, 3, &[[7, 1, 1], [7, 2, 1], [7, 2, 2]], 1);
    let stream = Codestream::find(&stream).expect("a header");
    assert!(stream.transformed);
    let step = |x, y| Jpeg2000Component {
        precision: 8,
        step: (x, y),
    };
    assert_eq!(stream.components, [step(1, 1), step(2, 1), step(2, 2)]);
    assert_eq!(stream.size(step(2, 2)), (3, 2));
    assert_eq!(
        stream.sample_positions(step(2, 2)),
        (vec![0, 0, 1, 1, 2], vec![0, 0, 1])
    );
}

/// The segment of a coding style: layers, and the exponents of precincts from the lowest resolution on.
fn coding_style(layers: u16, precincts: &[u8]) -> Vec<u8> {
    let mut segment = vec![0xff, 0x52, 0, 12 + precincts.len() as u8, 1, 0];
    segment.extend(layers.to_be_bytes());
    segment.extend([0, precincts.len() as u8 - 1, 4, 4, 0, 1]);
    segment.extend(precincts);
    segment
}

/// A stream of 64 × 64 samples with a tile-part of `bytes` zeros, each an empty packet.
fn stream_of_packets(style: &[u8], tile_header: &[u8], bytes: usize) -> Vec<u8> {
    let mut stream = main_header(64, 64, &[[7, 1, 1]], 0);
    stream.truncate(stream.len() - 14);
    stream.extend(style);
    let levels = style[9];
    stream.extend([0xff, 0x5c, 0, 4 + 3 * levels, 0x40]);
    stream.extend(vec![0x40; 1 + 3 * usize::from(levels)]);
    let data = [tile_header, b"\xff\x93", &vec![0; bytes]].concat();
    stream.extend(tile_part(12 + data.len() as u32, &data));
    [&stream[..], END_MARKER].concat()
}

/// OpenJPEG takes memory for each packet and precinct that a few bytes claim, and fills in what is missing.
#[test]
fn a_stream_shorter_than_its_packets_is_truncated() {
    let shape = FrameShape {
        columns: 64,
        rows: 64,
        samples: 1,
        allocated: 8,
    };
    let kind = |style: &[u8], tile_header: &[u8], bytes: usize| {
        let stream = stream_of_packets(style, tile_header, bytes);
        decode(&stream, &shape, &mut Vec::new()).map_err(|error| error.kind)
    };
    let (precincts, layers) = (coding_style(1, &[0]), coding_style(65_535, &[0xff]));
    assert_eq!(kind(&precincts, &[], 64), Err(ErrorKind::Truncated));
    assert_eq!(kind(&layers, &[], 64), Err(ErrorKind::Truncated));
    assert_eq!(kind(&precincts, &[], 4096), Ok(false));
    assert_eq!(kind(&coding_style(1, &[0xff]), &[], 64), Ok(false));
    // A tile with a style of its own, of one component or all.
    assert_eq!(
        kind(&coding_style(1, &[0xff]), &layers, 64),
        Err(ErrorKind::Truncated)
    );
    let component = [0xff, 0x53, 0, 10, 0, 1, 0, 4, 4, 0, 1, 0];
    assert_eq!(
        kind(&coding_style(1, &[0xff]), &component, 64),
        Err(ErrorKind::Truncated)
    );
}

/// What lies behind the beginning of a stream is not counted before it is decoded.
#[test]
fn precincts_that_the_beginning_does_not_tell_of_are_refused() {
    let shape = FrameShape {
        columns: 64,
        rows: 64,
        samples: 1,
        allocated: 8,
    };
    let kind = |stream: &[u8]| decode(stream, &shape, &mut Vec::new()).map_err(|error| error.kind);
    let mut stream = stream_of_packets(&coding_style(1, &[0]), &[], 5120);
    assert_eq!(kind(&stream), Ok(false));
    let style = stream.windows(2).position(|marker| marker == b"\xff\x52");
    let style = style.expect("a coding style");
    let comment = [&b"\xff\x64\xff\xff"[..], &vec![0; 65_533]].concat();
    stream.splice(style..style, comment);
    assert_eq!(kind(&stream), Err(ErrorKind::TooLarge));
    let whole = coding_style(1, &[0xff]);
    let tile = stream_of_packets(&whole, &coding_style(1, &[0]), 5120);
    assert_eq!(kind(&tile), Err(ErrorKind::TooLarge));
    // A change of the order (POC) in a tile does not make up for missing packets.
    let order = [0xff, 0x5f, 0, 9, 0, 0, 0, 1, 1, 1, 0];
    let short = stream_of_packets(&coding_style(1, &[0]), &order, 64);
    assert_eq!(kind(&short), Err(ErrorKind::Truncated));
}

#[test]
fn precincts_are_counted_in_the_memory_of_a_stream() {
    let cost = |style: &[u8], length: u64| {
        let stream = stream_of_packets(style, &[], 64);
        tile_bytes(&stream, length)
    };
    let tile = 12 << 10;
    assert_eq!(cost(&coding_style(1, &[0xff]), 9000), tile + 800 + 2);
    // 64 × 64 precincts in the higher resolution, of three bands, and 32 × 32 in the lower.
    let precincts = 3 * 64 * 64 + 32 * 32;
    let packets = 7 * (64 * 64 + 32 * 32);
    let style = coding_style(7, &[0, 0]);
    assert_eq!(cost(&style, 1 << 20), tile + 800 * precincts + 2 * packets);
    assert_eq!(cost(&style, packets - 1), tile, "it is not decoded");
}
