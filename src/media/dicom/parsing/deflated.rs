//! A deflated data set (PS3.5 A.5), inflated as far as it is asked for: a small file may hold gigabytes of zeros.

use std::fmt;
use std::io::{self, BufReader, ErrorKind as Io, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::DeflateDecoder;

use crate::error::{ErrorKind, MediaError, malformed, truncated};
use crate::limits::MAX_BYTES;
use crate::read::{At, Stored};

/// Bytes inflated at a time where they are passed over.
const PORTION: usize = 64 << 10;

/// A deflated data set.
pub(crate) struct Deflated {
    file: Arc<Stored>,
    /// Where in the file it begins.
    start: u64,
    /// Length of the data set.
    length: u64,
    /// Where reading went on last: frames are mostly read in their order.
    cursor: Mutex<Option<Cursor>>,
}

/// A place in the data set up to which it was inflated.
struct Cursor {
    decoder: DeflateDecoder<BufReader<At<Arc<Stored>>>>,
    at: u64,
}

impl Deflated {
    /// Inflates the first `head` bytes, and what follows them for its length only; `None` for the rest where there is
    /// none.
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
        };
        let mut cursor = deflated.cursor_at(0, None)?;
        let mut bytes = Vec::new();
        let portion = &mut cursor.decoder;
        let read = portion.take(head).read_to_end(&mut bytes);
        read.map_err(|e| judge(&e))?;
        cursor.at = bytes.len() as u64;
        while cursor.pass(PORTION)? > 0 {
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

    /// Bytes of the data set.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Vec<u8>, MediaError> {
        // A panic elsewhere can only have left a place without a cursor.
        let mut kept = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cursor = self.cursor_at(range.start, kept.take())?;
        let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
        cursor
            .decoder
            .read_exact(&mut bytes)
            .map_err(|e| judge(&e))?;
        cursor.at = range.end.max(range.start);
        *kept = Some(cursor);
        Ok(bytes)
    }

    /// A cursor at a place, by way of one that is not beyond it.
    fn cursor_at(&self, at: u64, known: Option<Cursor>) -> Result<Cursor, MediaError> {
        let mut cursor = known.filter(|known| known.at <= at).unwrap_or_else(|| {
            let compressed = At::new(Arc::clone(&self.file), self.start).buffered();
            Cursor {
                decoder: DeflateDecoder::new(compressed),
                at: 0,
            }
        });
        while cursor.at < at {
            let left = usize::try_from(at - cursor.at).unwrap_or(PORTION);
            if cursor.pass(left.min(PORTION))? == 0 {
                return Err(judge(&Io::UnexpectedEof.into()));
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
    /// Inflates up to so many bytes that nobody needs; how many there were.
    fn pass(&mut self, size: usize) -> Result<u64, MediaError> {
        let mut unneeded = vec![0; size];
        let read = self.decoder.read(&mut unneeded).map_err(|e| judge(&e))? as u64;
        self.at += read;
        Ok(read)
    }
}

impl fmt::Debug for Deflated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deflated({} bytes)", self.length)
    }
}

fn judge(error: &io::Error) -> MediaError {
    match error.kind() {
        Io::UnexpectedEof => truncated("DICOM: the deflated data set is cut off"),
        _ => malformed(format!("DICOM: the data set cannot be inflated: {error}")),
    }
}

fn too_large() -> MediaError {
    MediaError::new(
        ErrorKind::TooLarge,
        "DICOM: the deflated data set is over the limit on files",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// Bytes as a file holds them, behind three others.
    fn file(bytes: &[u8]) -> Stored {
        let mut encoder = DeflateEncoder::new(b"xyz".to_vec(), Compression::fast());
        encoder.write_all(bytes).expect("deflated");
        Stored::Memory(encoder.finish().expect("deflated"))
    }

    fn bytes() -> Vec<u8> {
        (0..300_000_u32).map(|n| (n % 253) as u8).collect()
    }

    #[test]
    fn parts_are_read_in_any_order() {
        let whole = bytes();
        let (head, rest) = Deflated::open(file(&whole), 3, 1000).expect("inflated");
        let rest = rest.expect("a rest");
        assert_eq!((head.as_slice(), rest.len()), (&whole[..1000], 300_000));
        for range in [0..10, 200_000..200_100, 200_100..299_000, 500..501, 7..7] {
            let place = range.start as usize..range.end as usize;
            assert_eq!(rest.read(range).as_deref(), Ok(&whole[place]));
        }
        let error = rest.read(299_999..300_001).expect_err("no more is there");
        assert_eq!(error.kind, ErrorKind::Truncated);
        assert_eq!(rest.read(299_999..300_000).map(|b| b.len()), Ok(1));
    }

    #[test]
    fn one_that_is_all_head_has_no_rest() {
        let (head, rest) = Deflated::open(file(&bytes()), 3, 1 << 20).expect("inflated");
        assert!(head == bytes() && rest.is_none());
    }

    #[test]
    fn one_that_is_cut_or_damaged_says_so() {
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
