//! Which files the folder of a checkpoint lacks, as an interrupted download, or a program that needs fewer of them, leaves it.

use std::path::Path;

use super::EncoderError;
use super::checkpoint::{other_tokenizer, tokenizer_snapshot};
use super::clip::ClipConfig;
use super::layout::{
    BYTE_PAIRS, CONFIG, CheckpointLayout, MERGES, OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS,
    PREPROCESSOR_CONFIG, PROCESSOR_CONFIG, SETTINGS, TOKENIZERS, WEIGHTS, is_index,
    open_clip_weights_file, parse, read, shards, weights_file,
};
use super::open_clip::OpenClipConfig;
use super::pointer::is_present;
use super::vocabulary;

/// The names of the files without which the model cannot be opened, or would be read differently; none if it is complete. Where one of
/// several would do, the usual one is named. An error if the folder's layout is not supported.
pub(super) fn missing_files(folder: &Path) -> Result<Vec<String>, EncoderError> {
    let has = |name: &str| is_present(&folder.join(name));
    // The hub's cache has links, whose files may have been removed.
    let is_dangling = |name: &&str| folder.join(name).is_symlink() && !has(name);
    let mut missing: Vec<String> = SETTINGS
        .into_iter()
        .filter(is_dangling)
        .map(str::to_owned)
        .collect();
    if missing
        .iter()
        .any(|name| name == CONFIG || name == OPEN_CLIP_CONFIG)
    {
        return Ok(missing);
    }
    let mut need = |name: &str| {
        if !missing.iter().any(|known| known == name) {
            missing.push(name.to_owned());
        }
    };
    let layout = CheckpointLayout::of(folder)?;
    for name in missing_settings(folder, layout)? {
        need(&name);
    }
    match layout {
        CheckpointLayout::StateDict => {
            let file = weights_file(folder)?;
            if !is_present(&file) {
                need(&file.file_name().unwrap_or_default().to_string_lossy());
            }
        }
        CheckpointLayout::OpenClip => {
            if !open_clip_weights_file(folder).is_ok_and(|file| is_present(&file)) {
                need(OPEN_CLIP_WEIGHTS[0]);
            }
        }
        CheckpointLayout::Clip | CheckpointLayout::Siglip => {
            match WEIGHTS.iter().find(|name| has(name)) {
                Some(index) if is_index(index) => {
                    for shard in shards(&folder.join(index))? {
                        if !has(&shard) {
                            need(&shard);
                        }
                    }
                }
                Some(_) => {}
                None => need("model.safetensors"),
            }
        }
    }
    Ok(missing)
}

/// Of the files beside the weights those without which a model of this layout cannot be opened.
pub(super) fn missing_settings(
    folder: &Path,
    layout: CheckpointLayout,
) -> Result<Vec<String>, EncoderError> {
    let has = |name: &str| is_present(&folder.join(name));
    let mut missing = missing_tokenizer(folder, layout)?
        .into_iter()
        .collect::<Vec<_>>();
    let is_transformers = matches!(layout, CheckpointLayout::Clip | CheckpointLayout::Siglip);
    if is_transformers && !has(PREPROCESSOR_CONFIG) && !has(PROCESSOR_CONFIG) {
        missing.push(PREPROCESSOR_CONFIG.to_owned());
    }
    Ok(missing)
}

/// The tokenizer that is missing, if one is: a file, or that of another repository. CLIP's own vocabulary is built in.
fn missing_tokenizer(
    folder: &Path,
    layout: CheckpointLayout,
) -> Result<Option<String>, EncoderError> {
    let may_be_elsewhere = matches!(
        layout,
        CheckpointLayout::OpenClip | CheckpointLayout::StateDict
    );
    if let Some(id) = other_tokenizer(folder).filter(|_| may_be_elsewhere) {
        let is_there = tokenizer_snapshot(folder, &id).is_some();
        return Ok((!is_there).then(|| format!("the tokenizer of {id}")));
    }
    if layout == CheckpointLayout::StateDict {
        return Ok(None);
    }
    let missing = missing_tokenizer_file(folder, layout)?;
    Ok(missing.map(str::to_owned))
}

/// The tokenizer's file that is missing of those that the model's own folder should have.
fn missing_tokenizer_file(
    folder: &Path,
    layout: CheckpointLayout,
) -> Result<Option<&'static str>, EncoderError> {
    let has = |name: &str| is_present(&folder.join(name));
    if has(TOKENIZERS[0]) {
        return Ok(None);
    }
    let is_open_clip = layout == CheckpointLayout::OpenClip;
    let file = folder.join(if is_open_clip {
        OPEN_CLIP_CONFIG
    } else {
        CONFIG
    });
    let is_built_in = match layout {
        CheckpointLayout::OpenClip => {
            let config: OpenClipConfig = parse(&read(&file)?, &file)?;
            !config.has_own_tokenizer() && config.vocabulary() == vocabulary::TOKEN_COUNT
        }
        CheckpointLayout::Clip => {
            let config: ClipConfig = parse(&read(&file)?, &file)?;
            config.vocabulary() == vocabulary::TOKEN_COUNT && !has(BYTE_PAIRS)
        }
        _ => false,
    };
    let mut single = TOKENIZERS.into_iter().filter(|name| *name != BYTE_PAIRS);
    Ok(if is_built_in || single.any(has) {
        None
    } else if has(BYTE_PAIRS) {
        Some(MERGES).filter(|name| !has(name))
    } else {
        Some(TOKENIZERS[0])
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A copy of a checkpoint of the fixtures without some files.
    fn without(fixture: &str, left_out: &[&str]) -> tempfile::TempDir {
        let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
        let to = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(from.join(fixture)).unwrap().flatten() {
            let name = entry.file_name();
            if !left_out.contains(&&*name.to_string_lossy()) {
                fs::copy(entry.path(), to.path().join(name)).unwrap();
            }
        }
        to
    }

    #[test]
    fn whole_checkpoints_lack_nothing_and_parts_name_what_is_missing() {
        let second = "model-00002-of-00003.safetensors";
        for (fixture, left_out, missing) in [
            ("clip-early", &[][..], &[][..]),
            ("clip-late", &[], &[]),
            ("siglip", &["tokenizer.json"], &[]),
            ("biomedclip", &[], &[]),
            ("trained", &[], &[]),
            ("openai", &[], &[]),
            ("unimed", &[], &[]),
            ("clip-early", &["model.safetensors"], &["model.safetensors"]),
            ("clip-late", &[second], &[second]),
            (
                "clip-early",
                &["tokenizer.json", "preprocessor_config.json"],
                &["tokenizer.json", "preprocessor_config.json"],
            ),
            (
                "siglip",
                &["tokenizer.json", "spiece.model"],
                &["tokenizer.json"],
            ),
            (
                "biomedclip",
                &["tokenizer.json", "open_clip_pytorch_model.bin"],
                &[
                    "the tokenizer of microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract",
                    "open_clip_model.safetensors",
                ],
            ),
        ] {
            let folder = without(fixture, left_out);
            let found = missing_files(folder.path()).unwrap();
            assert_eq!(found, missing, "{fixture} without {left_out:?}");
        }
        assert!(missing_files(without("siglip", &["config.json"]).path()).is_err());
    }

    #[test]
    fn tokens_without_their_merges_and_links_to_nothing_are_missing() {
        let folder = without("clip-early", &["tokenizer.json", "tokenizer_config.json"]);
        fs::write(folder.path().join("vocab.json"), "{}").unwrap();
        let gone = folder.path().join("tokenizer_config.json");
        std::os::unix::fs::symlink("../gone", gone).unwrap();
        assert_eq!(
            missing_files(folder.path()).unwrap(),
            ["tokenizer_config.json", "merges.txt"]
        );
    }
}
