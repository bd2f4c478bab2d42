//! Where the tokenizer of a checkpoint is: beside it, or in another repository.

use std::path::{Path, PathBuf};

use super::name;
use crate::encoder::hub::{HubCache, Snapshot};
use crate::encoder::layout::{OPEN_CLIP_CONFIG, TOKENIZERS, read, weights_file};
use crate::encoder::open_clip::OpenClipConfig;
use crate::encoder::pointer::is_present;
use crate::encoder::{CheckpointLayout, EncoderError, catalog};

/// The folder with the tokenizer of a model in `folder`: its own, or a snapshot of the repository `tokenizer`, if one is named.
pub(in crate::encoder) fn described_tokenizer(
    path: &Path,
    folder: &Path,
    tokenizer: Option<&str>,
) -> Result<PathBuf, EncoderError> {
    let id = match tokenizer {
        Some(id) if !has_tokenizer(folder) => id,
        _ => return Ok(folder.to_owned()),
    };
    let missing = || {
        EncoderError::Tokenizer(format!(
            "{} has none of its own; pull the model again, or put the vocab.txt or tokenizer.json of {id} beside its files",
            name(path)
        ))
    };
    Ok(tokenizer_snapshot(path, id).ok_or_else(missing)?.folder)
}

/// The snapshot of a repository that has the tokenizer of the model at `path`: in the cache that contains the model, else in the user's.
pub(in crate::encoder) fn tokenizer_snapshot(path: &Path, id: &str) -> Option<Snapshot> {
    let own = path.ancestors().nth(3).map(HubCache::at);
    let caches = own.into_iter().chain(HubCache::of_user());
    let mut found = caches.filter_map(|cache| cache.find(id, None));
    found.find(|snapshot| has_tokenizer(&snapshot.folder))
}

/// The repository that has the tokenizer of the model in a folder, if its own has none and another is named.
pub(in crate::encoder) fn other_tokenizer(folder: &Path) -> Option<String> {
    if has_tokenizer(folder) {
        return None;
    }
    match CheckpointLayout::of(folder).ok()? {
        CheckpointLayout::StateDict => {
            let file = weights_file(folder).ok()?;
            catalog::find_by_file(&name(folder), &file)?
                .tokenizer
                .clone()
        }
        CheckpointLayout::OpenClip => {
            let json = read(&folder.join(OPEN_CLIP_CONFIG)).ok()?;
            let config: OpenClipConfig = serde_json::from_slice(&json).ok()?;
            config.tokenizer_repository()
        }
        CheckpointLayout::Clip | CheckpointLayout::Siglip => None,
    }
}

/// Whether a folder has a file with a tokenizer.
pub(in crate::encoder) fn has_tokenizer(folder: &Path) -> bool {
    TOKENIZERS.iter().any(|name| is_present(&folder.join(name)))
}
