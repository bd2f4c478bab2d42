use std::io::Write as _;

use flate2::Crc;
use flate2::write::ZlibEncoder;

use super::*;
use crate::{DecodeOptions, ImageSource};

/// First column and row, and steps across and down, of the passes of Adam7 (8.2); one of all pixels otherwise.
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

/// A file in the making: `depth` bits, a colour type, and samples by place and channel.
struct PngBuilder {
    size: (usize, usize),
    depth: u8,
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

    /// The samples of a row, the filter's byte before them.
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

    /// What is to be shown: high bytes, grey stretched to eight bits, no alpha.
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
    open(bytes)
        .decode()
        .expect("a picture")
        .pixels
        .bytes()
        .to_vec()
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

/// The place of a chunk's length.
fn place(bytes: &[u8], kind: [u8; 4]) -> usize {
    bytes.windows(4).position(|w| w == kind).expect("a chunk") - 4
}

#[test]
fn every_kind_of_samples_is_shown_whole_and_row_by_row() {
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
                let drawing = PngBuilder {
                    size,
                    depth,
                    color,
                    interlaced,
                };
                let what = format!("{color} {depth} {interlaced} {size:?}");
                let bytes = drawing.file();
                let png = open(&bytes);
                assert_eq!(png.info().warnings.len(), 0, "{what}");
                assert_eq!(shown(&bytes), drawing.expected(), "{what}");
                let rows = rows::decode(&png.stored, &png.chunks).expect("rows");
                assert_eq!(rows.bytes(), drawing.expected(), "{what}");
            }
        }
    }
}

#[test]
fn a_file_without_end_or_with_a_wrong_checksum_is_shown_with_a_warning() {
    let whole = PngBuilder::GREY.file();
    let pixels = PngBuilder::GREY.expected();
    let end = place(&whole, *b"IEND");
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
fn pixels_that_are_cut_off_are_truncated_with_and_without_an_end() {
    let drawing = PngBuilder {
        size: (64, 64),
        ..PngBuilder::GREY
    };
    let whole = drawing.file();
    let begin = place(&whole, *b"IDAT");
    for length in [20, begin, begin + 6, begin + 300, whole.len() - 40] {
        assert_eq!(
            kind(&whole[..length]),
            Some(ErrorKind::Truncated),
            "{length} bytes"
        );
    }
    // A stream that ends as it should, but early.
    let rows = drawing.pixels();
    for length in [0, 65, rows.len() - 1] {
        let pixels = chunk(*b"IDAT", &deflated(&rows[..length]));
        let bytes = [drawing.head(), pixels, chunk(*b"IEND", b"")].concat();
        assert_eq!(
            kind(&bytes),
            Some(ErrorKind::Truncated),
            "{length} bytes of pixels"
        );
    }
}

#[test]
fn what_contradicts_the_format_is_malformed() {
    let mut stream = PngBuilder::GREY.file();
    let at = place(&stream, *b"IDAT") + 8;
    stream[at] ^= 0xff;
    let no_palette = PngBuilder {
        color: 3,
        ..PngBuilder::GREY
    };
    let mut no_palette = no_palette.file();
    let at = place(&no_palette, *b"PLTE");
    no_palette.drain(at..at + 768 + 12);
    let no_header = [&b"\x89PNG\r\n\x1a\n"[..], &chunk(*b"IEND", b"")].concat();
    for bytes in [stream, no_palette, no_header] {
        assert_eq!(kind(&bytes), Some(ErrorKind::Malformed));
    }
}

#[test]
fn the_default_picture_of_an_animation_is_shown() {
    let drawing = PngBuilder::GREY;
    let control = |number: u8| {
        let place = [
            0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0,
        ];
        chunk(*b"fcTL", &[&[0, 0, 0, number][..], &place].concat())
    };
    let second = [&[0, 0, 0, 2][..], &deflated(&[0; 18])].concat();
    let bytes = [
        drawing.head(),
        chunk(*b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
        control(0),
        chunk(*b"IDAT", &deflated(&drawing.pixels())),
        control(1),
        chunk(*b"fdAT", &second),
        chunk(*b"IEND", b""),
    ]
    .concat();
    assert_eq!(shown(&bytes), drawing.expected());
}

/// Neither more pixels than there is room for nor a colour profile that inflates to more than is allowed is any harm.
#[test]
fn what_inflates_beyond_reason_is_left() {
    let drawing = PngBuilder::GREY;
    let much = deflated(&vec![0; 80 << 20]);
    let profile = [&b"x\0\0"[..], &much].concat();
    let pixels = deflated(&[drawing.pixels(), vec![0; 80 << 20]].concat());
    let bytes = [
        drawing.head(),
        chunk(*b"iCCP", &profile),
        chunk(*b"zTXt", &profile),
        chunk(*b"IDAT", &pixels),
        chunk(*b"IEND", b""),
    ]
    .concat();
    assert_eq!(shown(&bytes), drawing.expected());
}

#[test]
fn a_size_beyond_the_limit_is_refused_by_the_header() {
    let drawing = PngBuilder {
        size: (1 << 20, 1 << 20),
        ..PngBuilder::GREY
    };
    assert_eq!(kind(&drawing.head()), Some(ErrorKind::TooLarge));
}

#[test]
fn grey_is_counted_with_its_rendering_and_colours_need_none() {
    // The header says it all; the tables of the decoder are small beside these pixels.
    let pixels = 10_000 * 10_000;
    for (color, bytes) in [(0, 2), (2, 3)] {
        let drawing = PngBuilder {
            size: (10_000, 10_000),
            color,
            ..PngBuilder::GREY
        };
        let file = [drawing.head(), chunk(*b"IDAT", b""), chunk(*b"IEND", b"")].concat();
        assert_eq!(open(&file).cost() / pixels, bytes, "colour type {color}");
    }
}

/// The picture with one more chunk before its end.
fn with(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = PngBuilder::GREY.file();
    let end = place(&bytes, *b"IEND");
    bytes.splice(end..end, chunk(kind, body));
    bytes
}

#[test]
fn a_mark_in_text_is_found_behind_the_pixels_too() {
    for (kind, body, marked) in [
        (b"tEXt", b"Comment\0SYNTHETIC phantom".as_slice(), true),
        (b"tEXt", b"SYNTHETIC\0yes", true),
        (b"iTXt", b"Comment\0\0\0\0\0SYNTHETIC", true),
        (b"tEXt", b"Comment\0not SYNTHETIC", false),
    ] {
        let info = open(&with(*kind, body)).info();
        assert_eq!(info.synthetic, marked, "{}", String::from_utf8_lossy(body));
        assert_eq!((info.width, info.height), (5, 3));
    }
}

#[test]
fn a_turned_picture_is_probed_as_it_is_shown() {
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
    let png = open(&with(*b"eXIf", exif));
    let (info, picture) = (png.info(), png.decode().expect("a picture"));
    assert_eq!((info.width, info.height), (3, 5));
    assert_eq!((picture.width, picture.height), (3, 5));
}

/// The decoder's own words show how Rust writes types.
#[test]
fn damage_is_told_in_words() {
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
            "PNG: a chunk that is needed is not known",
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
