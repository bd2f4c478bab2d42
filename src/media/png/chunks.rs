//! Reads the chunks of a PNG file: what they say beside the pixels, and whether they are intact.

use std::io::{self, ErrorKind, SeekFrom};

use flate2::Crc;

use crate::error::{MediaError, malformed, truncated};
use crate::orient;
use crate::read::{self, Stream};

/// Bytes before the first chunk.
const SIGNATURE: u64 = 8;
/// Bytes read of a text or EXIF chunk. The SYNTHETIC mark is at the beginning of a text.
const MAX_CHUNK_READ: u64 = 64 << 10;
/// Largest number of chunks read: many times what a file of the largest image has.
const MAX_CHUNKS: usize = 1 << 22;
/// The mark of a synthetic image.
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
    /// Whether rows come in the seven passes of Adam7.
    pub interlaced: bool,
    /// EXIF orientation, 1 to 8. Its chunk may follow the pixels.
    pub orientation: u8,
    /// Whether a text begins with the SYNTHETIC mark.
    pub synthetic: bool,
    /// Whether the checksum of a chunk is wrong.
    pub wrong_checksum: bool,
    /// Whether the end chunk was reached.
    pub ended: bool,
}

impl Chunks {
    /// Walks the chunks to the end of the file. Their content is streamed once, for the checksums.
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
            _ if chunks.width == 0 => Err(malformed("PNG: the header is missing")),
            _ => Ok(chunks),
        }
    }

    /// Whether the chunks are intact.
    pub(super) fn is_intact(&self) -> bool {
        self.ended && !self.wrong_checksum
    }

    /// Whether it is grey of 16 bits.
    pub(super) fn is_deep_grey(&self) -> bool {
        self.depth == 16 && self.kept_channels() == 1
    }

    /// Bytes of a pixel of the decoded image.
    pub(super) fn kept_bytes(&self) -> u64 {
        if self.is_deep_grey() {
            2
        } else {
            self.kept_channels()
        }
    }

    /// Channels of the decoded image, without alpha.
    pub(super) fn kept_channels(&self) -> u64 {
        if matches!(self.color, 0 | 4) { 1 } else { 3 }
    }

    /// Upper bound of the bytes of a decoded pixel before it is reduced.
    pub(super) fn decoded_bytes(&self) -> u64 {
        let channels = if matches!(self.color, 0 | 4) { 2 } else { 4 };
        channels * u64::from(self.depth.div_ceil(8))
    }

    /// Walks the chunks. Ends with an error where the file does, and stops at anything that is not a chunk.
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
            let read_size = match &kind {
                b"IHDR" | b"eXIf" | b"tEXt" | b"iTXt" => length.min(MAX_CHUNK_READ),
                _ => 0,
            };
            let mut body = vec![0; read_size as usize];
            stream.read_exact(&mut body)?;
            crc.update(&body);
            skip_into_crc(stream, length - read_size, &mut crc)?;
            let mut sum = [0; 4];
            stream.read_exact(&mut sum)?;
            self.wrong_checksum |= u32::from_be_bytes(sum) != crc.sum();
            self.read_chunk(kind, &body);
            if self.ended {
                break;
            }
        }
        Ok(())
    }

    fn read_chunk(&mut self, kind: [u8; 4], body: &[u8]) {
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

/// Skips bytes that count into a checksum.
fn skip_into_crc(stream: &mut dyn Stream, mut length: u64, crc: &mut Crc) -> io::Result<()> {
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

/// Whether the keyword or content of a text chunk begins with the mark.
fn is_marked(kind: [u8; 4], body: &[u8]) -> bool {
    let mut parts = body.splitn(2, |&b| b == 0);
    let (keyword, rest) = (parts.next(), parts.next().unwrap_or_default());
    let text = if &kind == b"tEXt" {
        Some(rest)
    } else {
        // Compression flag and method, language and translated keyword precede the text (11.3.3.4).
        match rest {
            [0, _, rest @ ..] => rest.splitn(3, |&b| b == 0).nth(2),
            _ => None,
        }
    };
    keyword.is_some_and(|k| k.starts_with(MARK)) || text.is_some_and(|t| t.starts_with(MARK))
}
