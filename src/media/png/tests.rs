use std::io::Write as _;

use flate2::Crc;
use flate2::write::ZlibEncoder;

use super::*;
use crate::{DecodeOptions, ImageSource};

/// First column and row, and column and row steps, of the passes of Adam7 (8.2).
const ADAM7: [[usize; 4]; 7] = [
    [0, 0, 8, 8],
    [4, 0, 8, 8],
    [0, 4, 4, 8],
    [2, 0, 4, 4],
    [0, 2, 2, 4],
    [1, 0, 2, 2],
    [0, 1, 1, 2],
];

fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(&kind);
    crc.update(body);
    [
        &(body.len() as u32).to_be_bytes(),
        &kind[..],
        body,
        &crc.sum().to_be_bytes(),
    ]
    .concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("deflated");
    encoder.finish().expect("deflated")
}

/// Builds a PNG file of pseudo-random samples.
struct PngBuilder {
    size: (usize, usize),
    /// Bits of a sample.
    depth: u8,
    /// Colour type (11.2.1).
    color: u8,
    interlaced: bool,
}

impl PngBuilder {
    const GREY: Self = Self {
        size: (5, 3),
        depth: 8,
        color: 0,
        interlaced: false,
    };

    fn channels(&self) -> usize {
        [1, 0, 3, 1, 2, 0, 4][usize::from(self.color)]
    }

    fn sample(&self, x: usize, y: usize, channel: usize) -> u16 {
        let noise = ((x * 7919 + y * 104_729 + channel * 1299 + 17) * 2_654_435_761) >> 8;
        (noise as u16) >> (16 - self.depth)
    }

    /// A colour of the palette.
    fn entry(index: u16) -> [u8; 3] {
        [index as u8, 255 - index as u8, (index * 3) as u8]
    }

    /// The packed samples of a row, preceded by the filter byte.
    fn row(&self, y: usize, columns: impl Iterator<Item = usize>) -> Vec<u8> {
        let samples = columns.flat_map(|x| (0..self.channels()).map(move |c| self.sample(x, y, c)));
        let mut bits = Vec::new();
        for sample in samples {
            bits.extend((0..self.depth).rev().map(|bit| sample >> bit & 1 == 1));
        }
        let byte = |bits: &[bool]| {
            let set = bits.iter().enumerate().filter(|(_, bit)| **bit);
            set.map(|(at, _)| 0x80_u8 >> at).sum()
        };
        std::iter::once(0).chain(bits.chunks(8).map(byte)).collect()
    }

    fn pixels(&self) -> Vec<u8> {
        let (width, height) = self.size;
        let rows = |[x, y, across, down]: [usize; 4]| {
            let columns = move || (x..width).step_by(across);
            let lines = (y..height)
                .step_by(down)
                .filter(move |_| columns().len() > 0);
            lines.flat_map(move |line| self.row(line, columns()))
        };
        if self.interlaced {
            ADAM7.into_iter().flat_map(rows).collect()
        } else {
            rows([0, 0, 1, 1]).collect()
        }
    }

    /// Everything before the pixels.
    fn head(&self) -> Vec<u8> {
        let (width, height) = (self.size.0 as u32, self.size.1 as u32);
        let [depth, color, interlaced] = [self.depth, self.color, u8::from(self.interlaced)];
        let rest = [depth, color, 0, 0, interlaced];
        let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &rest].concat();
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.extend(chunk(*b"IHDR", &header));
        if color == 3 {
            let palette = (0..1 << depth).flat_map(Self::entry).collect::<Vec<u8>>();
            bytes.extend(chunk(*b"PLTE", &palette));
        }
        bytes
    }

    fn file(&self) -> Vec<u8> {
        let pixels = chunk(*b"IDAT", &deflated(&self.pixels()));
        [self.head(), pixels, chunk(*b"IEND", b"")].concat()
    }

    /// The expected pixels: high bytes, grey scaled to eight bits, no alpha.
    fn expected(&self) -> Vec<u8> {
        let eight = |sample: u16| match self.depth {
            16 => (sample >> 8) as u8,
            depth => (u32::from(sample) * 255 / ((1 << depth) - 1)) as u8,
        };
        let (width, height) = self.size;
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let shown = |(x, y)| match self.color {
            3 => Self::entry(self.sample(x, y, 0)).to_vec(),
            0 | 4 => vec![eight(self.sample(x, y, 0))],
            _ => (0..3).map(|c| eight(self.sample(x, y, c))).collect(),
        };
        places.flat_map(shown).collect()
    }
}

fn open(bytes: &[u8]) -> Png {
    Png::open(Stored::Memory(bytes.to_vec())).expect("a PNG")
}

fn shown(bytes: &[u8]) -> Vec<u8> {
    in_eight_bits(&open(bytes).decode_pixels().expect("a picture"))
}

fn in_eight_bits(pixels: &PngPixels) -> Vec<u8> {
    match pixels {
        PngPixels::Shallow(pixels) => pixels.bytes().to_vec(),
        PngPixels::Deep(values) => values.iter().map(|value| (value >> 8) as u8).collect(),
    }
}

fn warnings(bytes: &[u8]) -> usize {
    open(bytes).info().warnings.len()
}

fn kind(bytes: &[u8]) -> Option<ErrorKind> {
    let source = ImageSource::from_bytes(bytes.to_vec());
    source
        .and_then(|source| source.load(&DecodeOptions::default()))
        .err()
        .map(|e| e.kind)
}

/// The offset of a chunk, which begins with its length.
fn chunk_offset(bytes: &[u8], kind: [u8; 4]) -> usize {
    bytes.windows(4).position(|w| w == kind).expect("a chunk") - 4
}

#[test]
fn every_sample_type_decodes_alike_whole_and_row_by_row() {
    let depths: [(u8, &[u8]); 5] = [
        (0, &[1, 2, 4, 8, 16]),
        (2, &[8, 16]),
        (3, &[1, 2, 4, 8]),
        (4, &[8, 16]),
        (6, &[8, 16]),
    ];
    for (color, depths) in depths {
        for (&depth, interlaced) in depths.iter().flat_map(|d| [(d, false), (d, true)]) {
            for size in [(1, 1), (5, 3), (3, 9), (17, 10)] {
                let builder = PngBuilder {
                    size,
                    depth,
                    color,
                    interlaced,
                };
                let what = format!("{color} {depth} {interlaced} {size:?}");
                let bytes = builder.file();
                let png = open(&bytes);
                assert_eq!(png.info().warnings.len(), 0, "{what}");
                assert_eq!(shown(&bytes), builder.expected(), "{what}");
                let rows = rows::decode(&png.stored, &png.chunks).expect("rows");
                assert_eq!(in_eight_bits(&rows), builder.expected(), "{what}");
                assert!(Ok(rows) == png.decode_pixels(), "{what}");
            }
        }
    }
}

#[test]
fn a_file_without_end_or_with_a_wrong_checksum_is_shown_with_a_warning() {
    let whole = PngBuilder::GREY.file();
    let pixels = PngBuilder::GREY.expected();
    let end = chunk_offset(&whole, *b"IEND");
    for length in [end, end + 4, end + 9] {
        assert_eq!(shown(&whole[..length]), pixels, "{length} bytes");
        assert_eq!(warnings(&whole[..length]), 1);
    }
    for at in [29, end - 1, end + 8] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        assert_eq!(shown(&bytes), pixels, "byte {at}");
        assert_eq!(warnings(&bytes), 1);
    }
    let source = ImageSource::from_bytes(whole[..end].to_vec()).expect("a source");
    assert!(
        source
            .info()
            .warnings
            .iter()
            .any(|w| w.contains("end chunk"))
    );
}

#[test]
fn missing_pixels_are_truncated_with_and_without_an_end_chunk() {
    let builder = PngBuilder {
        size: (64, 64),
        ..PngBuilder::GREY
    };
    let whole = builder.file();
    let begin = chunk_offset(&whole, *b"IDAT");
    for length in [20, begin, begin + 6, begin + 300, whole.len() - 40] {
        assert_eq!(
            kind(&whole[..length]),
            Some(ErrorKind::Truncated),
            "{length} bytes"
        );
    }
    // A compressed stream that ends regularly, but early.
    let rows = builder.pixels();
    for length in [0, 65, rows.len() - 1] {
        let pixels = chunk(*b"IDAT", &deflated(&rows[..length]));
        let bytes = [builder.head(), pixels, chunk(*b"IEND", b"")].concat();
        assert_eq!(
            kind(&bytes),
            Some(ErrorKind::Truncated),
            "{length} bytes of pixels"
        );
    }
}

#[test]
fn contradictions_to_the_format_are_malformed() {
    let mut stream = PngBuilder::GREY.file();
    let at = chunk_offset(&stream, *b"IDAT") + 8;
    stream[at] ^= 0xff;
    let no_palette = PngBuilder {
        color: 3,
        ..PngBuilder::GREY
    };
    let mut no_palette = no_palette.file();
    let at = chunk_offset(&no_palette, *b"PLTE");
    no_palette.drain(at..at + 768 + 12);
    let no_header = [&b"\x89PNG\r\n\x1a\n"[..], &chunk(*b"IEND", b"")].concat();
    for bytes in [stream, no_palette, no_header] {
        assert_eq!(kind(&bytes), Some(ErrorKind::Malformed));
    }
}

#[test]
fn the_default_image_of_an_animation_is_shown() {
    let builder = PngBuilder::GREY;
    let control = |number: u8| {
        let place = [
            0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0,
        ];
        chunk(*b"fcTL", &[&[0, 0, 0, number][..], &place].concat())
    };
    let second = [&[0, 0, 0, 2][..], &deflated(&[0; 18])].concat();
    let bytes = [
        builder.head(),
        chunk(*b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
        control(0),
        chunk(*b"IDAT", &deflated(&builder.pixels())),
        control(1),
        chunk(*b"fdAT", &second),
        chunk(*b"IEND", b""),
    ]
    .concat();
    assert_eq!(shown(&bytes), builder.expected());
}

/// Neither surplus pixels nor a colour profile that inflates beyond the limit does any harm.
#[test]
fn data_that_inflates_beyond_the_limit_is_ignored() {
    let builder = PngBuilder::GREY;
    let much = deflated(&vec![0; 80 << 20]);
    let profile = [&b"x\0\0"[..], &much].concat();
    let pixels = deflated(&[builder.pixels(), vec![0; 80 << 20]].concat());
    let bytes = [
        builder.head(),
        chunk(*b"iCCP", &profile),
        chunk(*b"zTXt", &profile),
        chunk(*b"IDAT", &pixels),
        chunk(*b"IEND", b""),
    ]
    .concat();
    assert_eq!(shown(&bytes), builder.expected());
}

#[test]
fn a_size_beyond_the_limit_is_refused_from_the_header() {
    let builder = PngBuilder {
        size: (1 << 20, 1 << 20),
        ..PngBuilder::GREY
    };
    assert_eq!(kind(&builder.head()), Some(ErrorKind::TooLarge));
}

#[test]
fn grey_is_counted_with_its_rendering_and_colours_need_none() {
    // The header decides the cost; the decoder's tables are small beside these pixels.
    let pixels = 10_000 * 10_000;
    for (color, depth, bytes) in [(0, 8, 2), (0, 16, 4), (2, 8, 3)] {
        let builder = PngBuilder {
            size: (10_000, 10_000),
            color,
            depth,
            ..PngBuilder::GREY
        };
        let file = [builder.head(), chunk(*b"IDAT", b""), chunk(*b"IEND", b"")].concat();
        assert_eq!(open(&file).cost() / pixels, bytes, "colour type {color}");
    }
}

/// A file with one more chunk before its end.
fn with_chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = PngBuilder::GREY.file();
    let end = chunk_offset(&bytes, *b"IEND");
    bytes.splice(end..end, chunk(kind, body));
    bytes
}

#[test]
fn a_synthetic_mark_is_found_also_behind_the_pixels() {
    for (kind, body, marked) in [
        (b"tEXt", b"Comment\0SYNTHETIC phantom".as_slice(), true),
        (b"tEXt", b"SYNTHETIC\0yes", true),
        (b"iTXt", b"Comment\0\0\0\0\0SYNTHETIC", true),
        (b"tEXt", b"Comment\0not SYNTHETIC", false),
    ] {
        let info = open(&with_chunk(*kind, body)).info();
        assert_eq!(info.synthetic, marked, "{}", String::from_utf8_lossy(body));
        assert_eq!((info.width, info.height), (5, 3));
    }
}

#[test]
fn a_rotated_image_is_described_as_it_is_shown() {
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
    let png = open(&with_chunk(*b"eXIf", exif));
    let frame = png.decode(&mut Warnings::default()).expect("a picture");
    let (info, grey) = (png.info(), frame.grey().expect("grey"));
    assert_eq!((info.width, info.height), (3, 5));
    assert_eq!((grey.width, grey.height), (3, 5));
}

/// The decoder's own messages show how Rust writes types.
#[test]
fn damage_is_reported_in_words() {
    let header = chunk(*b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    let pixels = chunk(*b"IDAT", &deflated(&[0, 7]));
    let end = chunk(*b"IEND", &[]);
    let file = |chunks: &[&[u8]]| [b"\x89PNG\r\n\x1a\n", &chunks.concat()[..]].concat();
    for (bytes, said) in [
        (
            file(&[&header, &chunk(*b"IDAT", b"garbage"), &end]),
            "PNG: the compressed pixels are damaged",
        ),
        (
            file(&[&header, &chunk(*b"ABCD", b"x"), &pixels, &end]),
            "PNG: a required chunk is not supported",
        ),
        (
            file(&[&header, &header, &pixels, &end]),
            "PNG: the chunks contradict each other",
        ),
    ] {
        let frame = ImageSource::from_bytes(bytes).and_then(|source| source.frame(0));
        assert_eq!(frame.expect_err("damaged").message, said);
    }
}

/// A file of one row of 16-bit grey.
fn deep(values: &[u16], extra: &[u8]) -> ImageSource {
    let row: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
    let builder = PngBuilder {
        size: (values.len(), 1),
        depth: 16,
        ..PngBuilder::GREY
    };
    let pixels = chunk(*b"IDAT", &deflated(&[&[0], &row[..]].concat()));
    let bytes = [&builder.head(), extra, &pixels, &chunk(*b"IEND", b"")].concat();
    ImageSource::from_bytes(bytes).expect("a source")
}

/// Values of a CT as DeepLesion stores them, 12 bits, and labels: little or nothing is seen of them in 8 bits.
#[test]
fn deep_grey_that_uses_few_shades_is_reported() {
    let warned = |values: &[u16]| {
        let shown = deep(values, &[]).load(&DecodeOptions::default());
        let warnings = shown.expect("a picture").warnings;
        warnings.iter().any(|w| w.contains("of the 256 shades"))
    };
    assert!(warned(&[31_768, 32_768, 32_800, 32_935]));
    assert!(warned(&[0, 100, 2000, 4095]));
    assert!(warned(&[0, 1, 2, 3]));
    assert!(!warned(&[0, 20_000, 40_000, 65_535]));
}

#[test]
fn deep_grey_is_shown_by_its_high_bytes_and_keeps_its_values_for_a_window() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let source = deep(&all, &[]);
    let load = |window| {
        let options = DecodeOptions {
            window,
            ..DecodeOptions::default()
        };
        let shown = source.load(&options).expect("a picture");
        shown.picture.pixels.bytes().to_vec()
    };
    let high: Vec<u8> = all.iter().map(|value| (value >> 8) as u8).collect();
    assert!(load(None) == high);
    let windowed = load(Some((32_800.0, 400.0)));
    assert_eq!(
        [32_599, 32_800, 33_001].map(|at: usize| windowed[at]),
        [0, 128, 255]
    );
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x02\0\0";
    let mirrored = deep(&[1, 2, 3], &chunk(*b"eXIf", exif));
    let frame = mirrored.frame(0).expect("a frame");
    assert_eq!(frame.grey().and_then(|grey| grey.value(0, 0)), Some(3.0));
}
