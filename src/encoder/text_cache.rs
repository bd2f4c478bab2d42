//! A cache of text embeddings on disk: the same prompts are used with the same model again and again, and the pages of its
//! text tower then need not be read.
//!
//! One file per list of texts, named by the hash of model, precision, device and texts. It contains the number of rows, their
//! length, the rows as f32, and the hash of all this, little-endian. A damaged file counts as missing.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of a hash.
const HASH_BYTES: usize = blake3::OUT_LEN;

/// The cached embeddings of one model.
pub(super) struct TextCache {
    folder: PathBuf,
    model: String,
}

impl TextCache {
    /// A cache in `folder`. `model` identifies everything but the text that a text's embedding depends on.
    pub(super) fn new(folder: &Path, model: String) -> Self {
        let folder = folder.to_owned();
        Self { folder, model }
    }

    fn path(&self, texts: &[String]) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        for text in std::iter::once(&self.model).chain(texts) {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        self.folder.join(hasher.finalize().to_hex().as_str())
    }

    /// The rows stored for exactly these texts.
    pub(super) fn get(&self, texts: &[String]) -> Option<Vec<Vec<f32>>> {
        let bytes = fs::read(self.path(texts)).ok()?;
        let (body, hash) = bytes.split_last_chunk::<HASH_BYTES>()?;
        if blake3::hash(body).as_bytes() != hash {
            return None;
        }
        let (rows, body) = body.split_first_chunk::<4>()?;
        let (width, body) = body.split_first_chunk::<4>()?;
        let (rows, width) = (u32::from_le_bytes(*rows), u32::from_le_bytes(*width));
        let (numbers, rest) = body.as_chunks::<4>();
        let is_complete = rows as usize == texts.len()
            && width > 0
            && numbers.len() == rows as usize * width as usize
            && rest.is_empty();
        let numbers: Vec<f32> = numbers.iter().map(|&b| f32::from_le_bytes(b)).collect();
        is_complete.then(|| {
            numbers
                .chunks(width as usize)
                .map(<[f32]>::to_vec)
                .collect()
        })
    }

    /// Stores the rows for these texts. Errors are only logged: the rows are then computed again next time.
    pub(super) fn put(&self, texts: &[String], rows: &[Vec<f32>]) {
        let Some(width) = rows.first().map(Vec::len) else {
            return;
        };
        let mut bytes = Vec::with_capacity(8 + rows.len() * width * 4 + HASH_BYTES);
        bytes.extend((rows.len() as u32).to_le_bytes());
        bytes.extend((width as u32).to_le_bytes());
        bytes.extend(
            rows.iter()
                .flatten()
                .flat_map(|number| number.to_le_bytes()),
        );
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        let path = self.path(texts);
        let partial = path.with_extension(std::process::id().to_string());
        let done = fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&partial, bytes))
            .and_then(|()| fs::rename(&partial, &path));
        if let Err(error) = done {
            tracing::debug!("{}: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn rows_are_found_for_the_same_model_and_texts_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TextCache::new(folder.path(), "m".into());
        let rows = vec![vec![0.5, -1.0], vec![f32::MIN_POSITIVE, 3.25]];
        let asked = texts(&["a", "bc"]);
        assert_eq!(cache.get(&asked), None);
        cache.put(&asked, &rows);
        assert_eq!(cache.get(&asked), Some(rows));
        for other in [["ab", "c"], ["bc", "a"]] {
            assert_eq!(cache.get(&texts(&other)), None);
        }
        assert_eq!(TextCache::new(folder.path(), "n".into()).get(&asked), None);
    }

    #[test]
    fn a_damaged_file_counts_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TextCache::new(folder.path(), "m".into());
        let asked = texts(&["a"]);
        cache.put(&asked, &[vec![1.0, 2.0, 3.0]]);
        let whole = fs::read(cache.path(&asked)).unwrap();
        for length in 0..whole.len() {
            fs::write(cache.path(&asked), &whole[..length]).unwrap();
            assert_eq!(cache.get(&asked), None, "{length}");
        }
        let mut changed = whole;
        changed[9] ^= 1;
        fs::write(cache.path(&asked), changed).unwrap();
        assert_eq!(cache.get(&asked), None);
    }
}
