//! Which codec a stream is of, by its first bytes, and what its header says before anything is decoded.

use jxl_oxide::{InitializeResult, JxlImage};

use crate::codecs::jpeg2000;

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamCodec {
    /// Any JPEG of ITU-T T.81; its own markers say which process.
    Jpeg,
    /// JPEG-LS.
    JpegLs,
    /// JPEG 2000 and High-Throughput JPEG 2000.
    Jpeg2000,
    /// JPEG XL.
    JpegXl,
    /// Run lengths (PS3.5 annex G), which have no header that says their shape.
    Rle,
}

/// Bytes by which [`begins`] knows a stream.
pub(crate) const MAX_MARK: usize = 64;

/// Whether bytes begin as a stream does.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    let marks: [&[u8]; 5] = [
        b"\xff\xd8\xff",
        b"\xff\x4f\xff\x51",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"\xff\x0a",
    ];
    marks.iter().any(|mark| bytes.starts_with(mark)) || begins_run_lengths(bytes)
}

/// A header of run lengths (PS3.5 G.5): up to fifteen offsets in ascending order, the first right behind it, and zeros.
fn begins_run_lengths(bytes: &[u8]) -> bool {
    let words = bytes.as_chunks::<4>().0.iter().copied();
    let words: Vec<u32> = words.map(u32::from_le_bytes).take(16).collect();
    let [count @ 1..=15, 64, ..] = words[..] else {
        return false;
    };
    let (offsets, rest) = words[1..].split_at((count as usize).min(words.len() - 1));
    words.len() == 16 && offsets.is_sorted() && rest.iter().all(|word| *word == 0)
}

/// What the header of a stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamHeader {
    /// The codec.
    pub coding: StreamCodec,
    /// Columns and rows.
    pub size: (u32, u32),
    /// Samples of a pixel.
    pub samples: u16,
    /// Bits of a sample.
    pub precision: u16,
}

impl StreamHeader {
    /// The header at the beginning of `bytes`; `None` where no stream known here begins.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        match StreamCodec::of(bytes)? {
            StreamCodec::Jpeg2000 => jpeg2000::header(bytes),
            StreamCodec::JpegXl => jpegxl(bytes),
            StreamCodec::Jpeg | StreamCodec::JpegLs => frame_header(bytes),
            StreamCodec::Rle => None,
        }
    }
}

impl StreamCodec {
    /// The codec whose streams begin so. Run lengths have no such mark.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let begins = |mark: &[u8]| bytes.starts_with(mark);
        if begins(b"\xff\x4f\xff\x51") || begins(b"\0\0\0\x0cjP  ") {
            return Some(Self::Jpeg2000);
        }
        if begins(b"\xff\x0a") || begins(b"\0\0\0\x0cJXL ") {
            return Some(Self::JpegXl);
        }
        frame_header(bytes).map(|header| header.coding)
    }
}

/// The frame header of a JPEG or JPEG-LS stream (T.81 B.2.2, T.87 C.2.2).
fn frame_header(bytes: &[u8]) -> Option<StreamHeader> {
    if !bytes.starts_with(b"\xff\xd8") {
        return None;
    }
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        let coding = match marker {
            0xff => {
                at += 1;
                continue;
            }
            0xf7 => StreamCodec::JpegLs,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => StreamCodec::Jpeg,
            _ => {
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
                continue;
            }
        };
        let &[precision, h1, h0, w1, w0, count] = bytes.get(at + 4..at + 10)? else {
            return None;
        };
        let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
        return Some(StreamHeader {
            coding,
            size: (side(w1, w0), side(h1, h0)),
            samples: u16::from(count),
            precision: u16::from(precision),
        });
    }
    None
}

/// As jxl-oxide reads it, from as many bytes as it asks for.
fn jpegxl(bytes: &[u8]) -> Option<StreamHeader> {
    const STEP: usize = 4096;
    let mut uninitialized = JxlImage::builder().build_uninit();
    for part in bytes.chunks(STEP) {
        uninitialized.feed_bytes(part).ok()?;
        match uninitialized.try_init().ok()? {
            InitializeResult::NeedMoreData(more) => uninitialized = more,
            InitializeResult::Initialized(image) => {
                let metadata = &image.image_header().metadata;
                return Some(StreamHeader {
                    coding: StreamCodec::JpegXl,
                    size: (image.width(), image.height()),
                    samples: if metadata.grayscale() { 1 } else { 3 },
                    precision: u16::try_from(metadata.bit_depth.bits_per_sample()).ok()?,
                });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_known_by_its_markers() {
        let jpeg =
            b"\xff\xd8\xff\xfe\x00\x04ab\xff\xff\xc1\x00\x0b\x0c\x00\x05\x00\x07\x01\x01\x11\x00";
        let header = StreamHeader {
            coding: StreamCodec::Jpeg,
            size: (7, 5),
            samples: 1,
            precision: 12,
        };
        assert_eq!(StreamHeader::read(jpeg), Some(header));
        let mut jpegls = jpeg.to_vec();
        jpegls[10] = 0xf7;
        assert_eq!(StreamCodec::of(&jpegls), Some(StreamCodec::JpegLs));
        assert_eq!(StreamCodec::of(&jpeg[..12]), None);
        assert_eq!(StreamCodec::of(b"\xff\x0a\x00"), Some(StreamCodec::JpegXl));
        assert_eq!(StreamCodec::of(b"\x01\0\0\0\x40\0\0\0"), None);
        let mut rle = [0; 64];
        (rle[0], rle[4], rle[8]) = (2, 64, 90);
        assert!(begins(&rle) && begins(jpeg) && !begins(&rle[..60]));
        rle[12] = 1;
        assert!(!begins(&rle));
    }
}
