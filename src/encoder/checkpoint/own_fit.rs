//! How a checkpoint fits images to its input, read without its weights.

use std::path::Path;

use super::{CheckpointReader, is_chexzero, name};
use crate::encoder::builtin::BuiltinFiles;
use crate::encoder::finetune::adapter;
use crate::encoder::layout::{
    OPEN_CLIP_CONFIG, PREPROCESSOR_CONFIG, folder_of, read, weights_file,
};
use crate::encoder::open_clip::OpenClipConfig;
use crate::encoder::{CheckpointLayout, Fit, ModelSource, Preprocess, catalog};

/// How a checkpoint's files say that images are fitted; `None` if they cannot be read.
pub(in crate::encoder) fn own_fit(path: &Path) -> Option<Fit> {
    if adapter::is_adapter(path) {
        return ModelSource::parse(&adapter::base_name(path)?).own_fit();
    }
    let preprocess = match CheckpointLayout::of(path).ok()? {
        CheckpointLayout::Clip | CheckpointLayout::Siglip => {
            let target = (tch::Device::Cpu, tch::Kind::Float);
            let mut reader = CheckpointReader::new(path, target);
            reader.preprocessing().ok()?
        }
        CheckpointLayout::OpenClip => {
            of_open_clip(&read(&folder_of(path).join(OPEN_CLIP_CONFIG)).ok()?)?
        }
        CheckpointLayout::StateDict => of_weights(path)?,
    };
    Some(preprocess.fit())
}

/// The same of the built-in model.
pub(in crate::encoder) fn of_builtin(files: &BuiltinFiles) -> Option<Fit> {
    Some(of_open_clip(files.config)?.fit())
}

fn of_open_clip(json: &[u8]) -> Option<Preprocess> {
    let config: OpenClipConfig = serde_json::from_slice(json).ok()?;
    let side = config.image_size().max(0) as usize;
    Preprocess::from_open_clip(&config.preprocess_cfg, side).ok()
}

/// That of a file of weights, see `CheckpointReader::state_dict`. The size of the input does not matter.
fn of_weights(path: &Path) -> Option<Preprocess> {
    let file = weights_file(path).ok()?;
    let entry = catalog::find_by_file(&name(path), &file);
    if let Some(architecture) = entry.and_then(|entry| entry.architecture.as_ref()) {
        return of_open_clip(architecture.as_bytes());
    }
    let beside = file.with_file_name(PREPROCESSOR_CONFIG);
    if beside.is_file() {
        return Preprocess::from_json(&read(&beside).ok()?, &beside).ok();
    }
    Some(if is_chexzero(&file) {
        Preprocess::chexzero(1)
    } else {
        Preprocess::open_ai(1)
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::encoder::ModelOptions;

    #[test]
    fn the_fit_is_that_of_the_opened_model() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let sources = [
            ModelSource::Builtin,
            ModelSource::Path(fixtures.join("vit")),
        ];
        for source in sources {
            let opened = source.open(ModelOptions::default()).unwrap();
            assert_eq!(source.own_fit(), Some(opened.preprocess().fit()));
        }
        assert_eq!(ModelSource::Path(PathBuf::from("/nowhere")).own_fit(), None);
        assert_eq!(ModelSource::Missing("a/b".to_owned()).own_fit(), None);
    }
}
