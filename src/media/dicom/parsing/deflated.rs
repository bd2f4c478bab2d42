//! A deflated data set (PS3.5 A.5), inflated only as far as it is read: a small file may hold gigabytes of zeros.

use std::fmt;
use std::io::{self, BufReader, ErrorKind as Io, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::DeflateDecoder;

use crate::error::{ErrorKind, MediaError, malformed, truncated};
use crate::limits::MAX_BYTES;
use crate::read::{Stored, StoredReader};

/// Bytes inflated at a time while skipping.
const SKIP_CHUNK: usize = 64 << 10;

/// A deflated data set.
pub(crate) struct Deflated {
    file: Arc<Stored>,
    /// Offset of the deflated stream in the file.
    start: u64,
    /// Length of the inflated data set.
    length: u64,
    /// Where the last read ended: frames are mostly read in order.
    cursor: Mutex<Option<Cursor>>,
    /// How often a read began before the place where the last one ended.
    #[cfg(test)]
    pub(super) rewinds: std::sync::atomic::AtomicU32,
}

/// An inflating reader and its position in the data set.
struct Cursor {
    decoder: DeflateDecoder<BufReader<StoredReader<Arc<Stored>>>>,
    at: u64,
}

impl Deflated {
    /// Inflates the first `head` bytes and returns them. The rest is only inflated to find its length; it is `None` if
    /// there is none.
    pub(crate) fn open(
        file: Stored,
        start: u64,
        head: u64,
    ) -> Result<(Vec<u8>, Option<Self>), MediaError> {
        let mut deflated = Self {
            file: Arc::new(file),
            start,
            length: MAX_BYTES,
            cursor: Mutex::default(),
            #[cfg(test)]
            rewinds: std::sync::atomic::AtomicU32::default(),
        };
        let mut cursor = deflated.cursor_at(0, None)?;
        let mut bytes = Vec::new();
        let decoder = &mut cursor.decoder;
        let read = decoder.take(head).read_to_end(&mut bytes);
        read.map_err(|e| inflate_error(&e))?;
        cursor.at = bytes.len() as u64;
        while cursor.skip(SKIP_CHUNK)? > 0 {
            if cursor.at > MAX_BYTES {
                return Err(too_large());
            }
        }
        deflated.length = cursor.at;
        let is_all = deflated.length == bytes.len() as u64;
        Ok((bytes, (!is_all).then_some(deflated)))
    }

    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Reads bytes of the inflated data set.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Vec<u8>, MediaError> {
        // A panic elsewhere can only have left the mutex without a cursor.
        let mut last = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cursor = self.cursor_at(range.start, last.take())?;
        let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
        cursor
            .decoder
            .read_exact(&mut bytes)
            .map_err(|e| inflate_error(&e))?;
        cursor.at = range.end.max(range.start);
        *last = Some(cursor);
        Ok(bytes)
    }

    /// Returns a cursor at `at`, starting from a known one if that is not beyond it.
    fn cursor_at(&self, at: u64, known: Option<Cursor>) -> Result<Cursor, MediaError> {
        #[cfg(test)]
        if known.as_ref().is_some_and(|known| known.at > at) {
            self.rewinds
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        let mut cursor = known.filter(|known| known.at <= at).unwrap_or_else(|| {
            let compressed = StoredReader::new(Arc::clone(&self.file), self.start).buffered();
            Cursor {
                decoder: DeflateDecoder::new(compressed),
                at: 0,
            }
        });
        while cursor.at < at {
            let left = usize::try_from(at - cursor.at).unwrap_or(SKIP_CHUNK);
            if cursor.skip(left.min(SKIP_CHUNK))? == 0 {
                return Err(inflate_error(&Io::UnexpectedEof.into()));
            }
        }
        Ok(cursor)
    }

    /// `blake3:<hex>` of the file.
    pub(crate) fn content(&self) -> Result<String, MediaError> {
        self.file.content()
    }
}

impl Cursor {
    /// Inflates and discards up to `size` bytes; returns how many there were.
    fn skip(&mut self, size: usize) -> Result<u64, MediaError> {
        let mut discarded = vec![0; size];
        let read = self
            .decoder
            .read(&mut discarded)
            .map_err(|e| inflate_error(&e))? as u64;
        self.at += read;
        Ok(read)
    }
}

impl fmt::Debug for Deflated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deflated({} bytes)", self.length)
    }
}

/// The error for a stream that cannot be inflated.
fn inflate_error(error: &io::Error) -> MediaError {
    match error.kind() {
        Io::UnexpectedEof => truncated("DICOM: the deflated data set is cut off"),
        _ => malformed(format!("DICOM: the data set cannot be inflated: {error}")),
    }
}

fn too_large() -> MediaError {
    MediaError::new(
        ErrorKind::TooLarge,
        "DICOM: the deflated data set is larger than the limit on files",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// A file that holds `bytes` deflated, behind three other bytes.
    fn file(bytes: &[u8]) -> Stored {
        let mut encoder = DeflateEncoder::new(b"xyz".to_vec(), Compression::fast());
        encoder.write_all(bytes).expect("deflated");
        Stored::Memory(encoder.finish().expect("deflated"))
    }

    fn bytes() -> Vec<u8> {
        (0..300_000_u32).map(|n| (n % 253) as u8).collect()
    }

    #[test]
    fn ranges_can_be_read_in_any_order() {
        let whole = bytes();
        let (head, rest) = Deflated::open(file(&whole), 3, 1000).expect("inflated");
        let rest = rest.expect("a rest");
        assert_eq!((head.as_slice(), rest.len()), (&whole[..1000], 300_000));
        for range in [0..10, 200_000..200_100, 200_100..299_000, 500..501, 7..7] {
            let place = range.start as usize..range.end as usize;
            assert_eq!(rest.read(range).as_deref(), Ok(&whole[place]));
        }
        let error = rest.read(299_999..300_001).expect_err("there is no more");
        assert_eq!(error.kind, ErrorKind::Truncated);
        assert_eq!(rest.read(299_999..300_000).map(|b| b.len()), Ok(1));
    }

    #[test]
    fn a_data_set_within_the_head_has_no_rest() {
        let (head, rest) = Deflated::open(file(&bytes()), 3, 1 << 20).expect("inflated");
        assert!(head == bytes() && rest.is_none());
    }

    #[test]
    fn a_cut_or_damaged_stream_is_reported() {
        let Stored::Memory(whole) = file(&bytes()) else {
            return;
        };
        let kind = |bytes: &[u8]| {
            let opened = Deflated::open(Stored::Memory(bytes.to_vec()), 3, 1000);
            opened.err().map(|error| error.kind)
        };
        let cut = &whole[..whole.len() - 20];
        assert_eq!(kind(cut), Some(ErrorKind::Truncated));
        assert_eq!(kind(&whole[..3]), Some(ErrorKind::Truncated));
        assert_eq!(kind(b"xyz\xff\xff\xff\xff"), Some(ErrorKind::Malformed));
    }
}
