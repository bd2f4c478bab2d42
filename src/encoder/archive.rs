//! PyTorch's checkpoint files: an uncompressed zip of one pickle and the tensors' raw numbers, which can be memory-mapped.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::ops::Range;

use tch::Kind;
use zip::{CompressionMethod, ZipArchive};

use super::pickle;

/// A tensor, and where its numbers lie in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorEntry {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) shape: Vec<i64>,
    pub(super) strides: Vec<i64>,
    /// From its first byte to the end of its last element.
    pub(super) bytes: Range<usize>,
}

/// The contents of a checkpoint file.
#[derive(Debug)]
pub(super) struct Archive {
    /// Whether it is a TorchScript archive, as OpenAI publishes them, and not a plain state dictionary.
    pub(super) is_script: bool,
    pub(super) entries: Vec<TensorEntry>,
}

/// Whether a file begins like a zip archive.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// The message for a file from before PyTorch 1.6, or any other bare pickle.
pub(super) const NOT_ZIPPED: &str = "is a pickle without PyTorch's zip format, which is not supported; convert it with PyTorch: \
    torch.save(torch.load(FILE, weights_only=True), NEW_FILE)";

/// Reads the zip directory and the pickle; the numbers are not touched.
pub(super) fn read(file: &[u8]) -> Result<Archive, String> {
    let mut zip = ZipArchive::new(Cursor::new(file)).map_err(|e| e.to_string())?;
    let root = zip
        .file_names()
        .find_map(|name| {
            name.strip_suffix("/data.pkl")
                .filter(|root| !root.contains('/'))
        })
        .ok_or("is a zip file, but not a checkpoint: it has no data.pkl")?
        .to_owned();
    if text(&mut zip, &format!("{root}/byteorder"))?.is_some_and(|order| order.trim() != "little") {
        return Err("was written on a big-endian machine".into());
    }
    let is_script = zip
        .file_names()
        .any(|name| name.starts_with(&format!("{root}/code/")));
    let pickle = bytes(&mut zip, &format!("{root}/data.pkl"))?.unwrap_or_default();
    let views = pickle::tensors(&pickle).map_err(|e| e.to_string())?;
    let mut storages = HashMap::new();
    let mut entries = Vec::with_capacity(views.len());
    for (name, view) in views {
        let known: Option<Range<usize>> = storages.get(&view.storage).cloned();
        let storage = if let Some(storage) = known {
            storage
        } else {
            let member = format!("{root}/data/{}", view.storage);
            let storage = storage_range(&mut zip, &member, file.len())?;
            storages.insert(view.storage.clone(), storage.clone());
            storage
        };
        entries.push(entry(name, &view, storage)?);
    }
    Ok(Archive { is_script, entries })
}

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// The content of a small member; `None` if there is none of that name.
fn bytes(zip: &mut Zip, name: &str) -> Result<Option<Vec<u8>>, String> {
    let member = match zip.by_name(name) {
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        member => member.map_err(|e| format!("{name}: {e}"))?,
    };
    let mut content = Vec::new();
    let mut limited = member.take(pickle::MAX_PICKLE_BYTES + 1);
    limited
        .read_to_end(&mut content)
        .map_err(|e| format!("{name}: {e}"))?;
    if content.len() as u64 > pickle::MAX_PICKLE_BYTES {
        return Err(format!("{name} is larger than in any checkpoint"));
    }
    Ok(Some(content))
}

fn text(zip: &mut Zip, name: &str) -> Result<Option<String>, String> {
    let content = bytes(zip, name)?;
    Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
}

/// The range of a storage's bytes in the file of `length` bytes.
fn storage_range(zip: &mut Zip, name: &str, length: usize) -> Result<Range<usize>, String> {
    let member = zip.by_name(name).map_err(|e| format!("{name}: {e}"))?;
    if member.compression() != CompressionMethod::Stored {
        return Err(format!("{name} is compressed; checkpoints are not"));
    }
    let (start, size) = (member.data_start() as usize, member.size() as usize);
    let end = start.checked_add(size).filter(|&end| end <= length);
    Ok(start..end.ok_or_else(|| format!("{name} extends beyond the end of the file"))?)
}

/// The element type of that name in PyTorch, and its size in bytes.
fn kind(name: &str) -> Option<(Kind, usize)> {
    Some(match name {
        "Double" => (Kind::Double, 8),
        "Float" => (Kind::Float, 4),
        "Half" => (Kind::Half, 2),
        "BFloat16" => (Kind::BFloat16, 2),
        "Long" => (Kind::Int64, 8),
        "Int" => (Kind::Int, 4),
        _ => return None,
    })
}

/// Locates a view in the file; an error unless its every element lies within `storage`.
fn entry(
    name: String,
    view: &pickle::TensorView,
    storage: Range<usize>,
) -> Result<TensorEntry, String> {
    let (kind, size) = kind(&view.kind)
        .ok_or_else(|| format!("`{name}` has the unsupported type {}", view.kind))?;
    let beyond = || format!("the tensor `{name}` extends beyond its storage");
    let empty = view.shape.contains(&0);
    let mut last = view.offset;
    for (&count, &stride) in view.shape.iter().zip(&view.strides) {
        let reach = count.saturating_sub(1).checked_mul(stride);
        last = reach
            .and_then(|reach| last.checked_add(reach))
            .ok_or_else(beyond)?;
    }
    let elements = if empty {
        view.offset
    } else {
        last.checked_add(1).ok_or_else(beyond)?
    };
    let at = |element: usize| element.checked_mul(size)?.checked_add(storage.start);
    let (from, to) = (
        at(view.offset).ok_or_else(beyond)?,
        at(elements).ok_or_else(beyond)?,
    );
    if from > storage.end || to > storage.end {
        return Err(beyond());
    }
    let whole = |numbers: &[usize]| {
        let all: Result<Vec<i64>, _> = numbers.iter().map(|&n| i64::try_from(n)).collect();
        all.map_err(|_| beyond())
    };
    let (shape, strides) = (whole(&view.shape)?, whole(&view.strides)?);
    // A stride of 0 repeats an element, so that a file of a few bytes could demand all memory.
    let count = view
        .shape
        .iter()
        .try_fold(1_usize, |all, &n| all.checked_mul(n));
    if count.is_none_or(|count| count > storage.len() / size && !empty) {
        return Err(beyond());
    }
    Ok(TensorEntry {
        name,
        kind,
        shape,
        strides,
        bytes: from..to,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> pickle::TensorView {
        pickle::TensorView {
            storage: "0".into(),
            kind: "Float".into(),
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    /// The range of a view into a storage of twelve floats at byte 64 of the file.
    fn located(view: &pickle::TensorView) -> Result<Range<usize>, String> {
        entry("w".into(), view, 64..112).map(|entry| entry.bytes)
    }

    #[test]
    fn views_within_their_storage_are_located() {
        assert_eq!(located(&view(0, &[3, 4], &[4, 1])), Ok(64..112));
        assert_eq!(located(&view(4, &[4, 2], &[1, 4])), Ok(80..112));
        assert_eq!(located(&view(2, &[], &[])), Ok(72..76));
        assert_eq!(located(&view(12, &[0], &[1])), Ok(112..112));
    }

    #[test]
    fn views_beyond_their_storage_are_refused_whatever_their_numbers() {
        for (offset, shape, strides) in [
            (1, &[3, 4][..], &[4, 1][..]),
            (0, &[13], &[1]),
            (0, &[2], &[12]),
            (13, &[0], &[1]),
            (usize::MAX, &[1], &[1]),
            (0, &[usize::MAX], &[usize::MAX]),
            (0, &[usize::MAX, 2], &[0, 0]),
            // One element, repeated a thousand times.
            (0, &[1000], &[0]),
        ] {
            let error = located(&view(offset, shape, strides)).unwrap_err();
            assert!(error.contains("`w`"), "{error}");
        }
    }

    #[test]
    fn a_zip_without_a_pickle_is_refused() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options =
            zip::write::FileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file("holiday/photo.txt", options).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        assert!(is_archive(&bytes));
        assert!(read(&bytes).unwrap_err().contains("no data.pkl"));
    }
}
