//! The chunks of a PNG file: what they say beside the pixels, and whether they are sound.

use std::io::{self, ErrorKind, SeekFrom};

use flate2::Crc;

use crate::error::{MediaError, malformed, truncated};
use crate::orient;
use crate::read::{self, Stream};

/// Bytes before the first chunk.
const SIGNATURE: u64 = 8;
/// Bytes of a text or EXIF chunk that are looked at: of a text, a mark stands at its beginning.
const LOOKED_AT: u64 = 64 << 10;
/// Most chunks looked at: many times what a file of the largest picture has.
const MAX_CHUNKS: usize = 1 << 22;
const MARK: &[u8] = b"SYNTHETIC";

/// What the chunks of a file say.
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Columns as stored.
    pub width: u32,
    /// Rows as stored.
    pub height: u32,
    /// Bits of a sample.
    depth: u8,
    /// Colour type: 0 grey, 2 RGB, 3 palette, 4 and 6 grey and RGB with alpha (11.2.1).
    color: u8,
    /// Rows come in the seven passes of Adam7.
    pub interlaced: bool,
    /// The EXIF orientation, 1 to 8. Its chunk may follow the pixels.
    pub orientation: u8,
    /// A text begins with the SYNTHETIC mark.
    pub synthetic: bool,
    /// A checksum is not that of its chunk.
    pub wrong_checksum: bool,
    /// The chain of chunks reaches its end.
    pub ended: bool,
}

impl Chunks {
    /// Walks the chunks to the end of the file; what they hold passes by once, for the checksums.
    pub(super) fn read(stream: &mut dyn Stream) -> Result<Self, MediaError> {
        let mut chunks = Self {
            orientation: 1,
            ..Self::default()
        };
        stream
            .seek(SeekFrom::Start(SIGNATURE))
            .map_err(|e| read::io(&e))?;
        match chunks.walk(stream) {
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(read::io(&error)),
            Err(_) if chunks.width == 0 => Err(truncated("PNG: the file ends before its header")),
            _ if chunks.width == 0 => Err(malformed("PNG: there is no header")),
            _ => Ok(chunks),
        }
    }

    /// Nothing is wrong with the chunks.
    pub(super) fn is_sound(&self) -> bool {
        self.ended && !self.wrong_checksum
    }

    /// Channels of the picture that is kept.
    pub(super) fn kept_channels(&self) -> u64 {
        if matches!(self.color, 0 | 4) { 1 } else { 3 }
    }

    /// Most bytes of a decoded pixel before it is reduced to what is kept.
    pub(super) fn decoded_bytes(&self) -> u64 {
        let channels = if matches!(self.color, 0 | 4) { 2 } else { 4 };
        channels * u64::from(self.depth.div_ceil(8))
    }

    /// Ends with an error where the file does, and at what is no chunk.
    fn walk(&mut self, stream: &mut dyn Stream) -> io::Result<()> {
        for _ in 0..MAX_CHUNKS {
            let mut header = [0; 8];
            stream.read_exact(&mut header)?;
            let [l3, l2, l1, l0, kind @ ..] = header;
            // The header comes first (5.6), and kinds are letters (5.3).
            if (self.width == 0 && kind != *b"IHDR") || !kind.iter().all(u8::is_ascii_alphabetic) {
                return Ok(());
            }
            let length = u64::from(u32::from_be_bytes([l3, l2, l1, l0]));
            let mut crc = Crc::new();
            crc.update(&kind);
            let looked_at = match &kind {
                b"IHDR" | b"eXIf" | b"tEXt" | b"iTXt" => length.min(LOOKED_AT),
                _ => 0,
            };
            let mut body = vec![0; looked_at as usize];
            stream.read_exact(&mut body)?;
            crc.update(&body);
            check(stream, length - looked_at, &mut crc)?;
            let mut sum = [0; 4];
            stream.read_exact(&mut sum)?;
            self.wrong_checksum |= u32::from_be_bytes(sum) != crc.sum();
            self.note(kind, &body);
            if self.ended {
                break;
            }
        }
        Ok(())
    }

    fn note(&mut self, kind: [u8; 4], body: &[u8]) {
        match (&kind, body) {
            (
                b"IHDR",
                &[
                    w3,
                    w2,
                    w1,
                    w0,
                    h3,
                    h2,
                    h1,
                    h0,
                    depth,
                    color,
                    _,
                    _,
                    interlace,
                ],
            ) if self.width == 0 => {
                self.width = u32::from_be_bytes([w3, w2, w1, w0]);
                self.height = u32::from_be_bytes([h3, h2, h1, h0]);
                (self.depth, self.color) = (depth, color);
                self.interlaced = interlace == 1;
            }
            (b"eXIf", exif) => self.orientation = orient::orientation(exif),
            (b"tEXt" | b"iTXt", text) => self.synthetic |= is_marked(kind, text),
            (b"IEND", _) => self.ended = true,
            _ => {}
        }
    }
}

/// Passes over bytes that count into a checksum.
fn check(stream: &mut dyn Stream, mut length: u64, crc: &mut Crc) -> io::Result<()> {
    while length > 0 {
        let bytes = stream.fill_buf()?;
        let size = bytes
            .len()
            .min(usize::try_from(length).unwrap_or(usize::MAX));
        if size == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        crc.update(&bytes[..size]);
        stream.consume(size);
        length -= size as u64;
    }
    Ok(())
}

/// Whether a chunk is text whose keyword or content begins with the mark.
fn is_marked(kind: [u8; 4], body: &[u8]) -> bool {
    let mut parts = body.splitn(2, |&b| b == 0);
    let (keyword, rest) = (parts.next(), parts.next().unwrap_or_default());
    let text = if &kind == b"tEXt" {
        Some(rest)
    } else {
        // Compression flag and method, language and translated keyword stand before the text (11.3.3.4).
        match rest {
            [0, _, rest @ ..] => rest.splitn(3, |&b| b == 0).nth(2),
            _ => None,
        }
    };
    keyword.is_some_and(|k| k.starts_with(MARK)) || text.is_some_and(|t| t.starts_with(MARK))
}
