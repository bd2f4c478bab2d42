//! Recognises the codec of a stream by its first bytes, and reads its header before anything is decoded.

use crate::codecs::{jpeg2000, jpegxl};

/// The codec of a compressed stream.
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
    /// RLE Lossless (PS3.5 annex G), whose header does not give the shape.
    Rle,
}

/// Bytes at the beginning of a stream in which its header is searched.
pub(crate) const MAX_HEADER: u64 = 1 << 16;
/// Bytes by which [`is_stream_start`] recognises a stream.
pub(crate) const MAX_SIGNATURE: usize = 64;

/// Whether bytes begin like a compressed stream.
pub(crate) fn is_stream_start(bytes: &[u8]) -> bool {
    let marks: [&[u8]; 5] = [
        b"\xff\xd8\xff",
        b"\xff\x4f\xff\x51",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"\xff\x0a",
    ];
    marks.iter().any(|mark| bytes.starts_with(mark)) || is_rle_start(bytes)
}

/// Whether bytes begin with an RLE header (PS3.5 G.5): up to fifteen offsets in ascending order, the first right
/// behind the header, then zeros.
fn is_rle_start(bytes: &[u8]) -> bool {
    let words = bytes.as_chunks::<4>().0.iter().copied();
    let words: Vec<u32> = words.map(u32::from_le_bytes).take(16).collect();
    let [count @ 1..=15, 64, ..] = words[..] else {
        return false;
    };
    let (offsets, rest) = words[1..].split_at((count as usize).min(words.len() - 1));
    words.len() == 16 && offsets.is_sorted() && rest.iter().all(|word| *word == 0)
}

/// The header of a stream.
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
    /// Reads the header at the beginning of `bytes`; `None` if they are no known stream.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        match StreamCodec::recognise(bytes)? {
            StreamCodec::Jpeg2000 => jpeg2000::header(bytes),
            StreamCodec::JpegXl => jpegxl(bytes),
            StreamCodec::Jpeg | StreamCodec::JpegLs => frame_header(bytes),
            StreamCodec::Rle => None,
        }
    }
}

impl StreamCodec {
    /// Recognises the codec by the beginning of a stream. RLE has no signature.
    pub(crate) fn recognise(bytes: &[u8]) -> Option<Self> {
        let is_stream_start = |mark: &[u8]| bytes.starts_with(mark);
        if is_stream_start(b"\xff\x4f\xff\x51") || is_stream_start(b"\0\0\0\x0cjP  ") {
            return Some(Self::Jpeg2000);
        }
        if is_stream_start(b"\xff\x0a") || is_stream_start(b"\0\0\0\x0cJXL ") {
            return Some(Self::JpegXl);
        }
        frame_header(bytes).map(|header| header.coding)
    }
}

/// Reads the frame header of a JPEG or JPEG-LS stream (T.81 B.2.2, T.87 C.2.2).
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

/// Reads the header of a JPEG XL stream.
fn jpegxl(bytes: &[u8]) -> Option<StreamHeader> {
    let image = jpegxl::open(bytes)?;
    let metadata = &image.image_header().metadata;
    Some(StreamHeader {
        coding: StreamCodec::JpegXl,
        size: (image.width(), image.height()),
        samples: if metadata.grayscale() { 1 } else { 3 },
        precision: u16::try_from(metadata.bit_depth.bits_per_sample()).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_recognised_by_its_markers() {
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
        assert_eq!(StreamCodec::recognise(&jpegls), Some(StreamCodec::JpegLs));
        assert_eq!(StreamCodec::recognise(&jpeg[..12]), None);
        assert_eq!(
            StreamCodec::recognise(b"\xff\x0a\x00"),
            Some(StreamCodec::JpegXl)
        );
        assert_eq!(StreamCodec::recognise(b"\x01\0\0\0\x40\0\0\0"), None);
        let mut rle = [0; 64];
        (rle[0], rle[4], rle[8]) = (2, 64, 90);
        assert!(is_stream_start(&rle) && is_stream_start(jpeg) && !is_stream_start(&rle[..60]));
        rle[12] = 1;
        assert!(!is_stream_start(&rle));
    }
}
