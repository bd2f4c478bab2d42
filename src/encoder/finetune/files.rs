//! The files of a fine-tuned model: the merged checkpoint in the layout of its base, and the adapter.

mod layout;
mod tensors;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tch::Tensor;

use super::adapter::AdapterConfig;
use super::base::{FineTuner, Version};
use super::pickle_writer;
use crate::encoder::taught::TAUGHT;
use crate::encoder::{EncoderError, TaughtFindings};
use layout::SavedLayout;
pub(super) use tensors::{TensorFile, write_checkpoint, write_tensors};

/// The folder of the adapter in that of the merged model.
pub fn adapter_folder(model: &Path) -> PathBuf {
    model.join("adapter")
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedModel {
    /// The folder or file to open the merged model by.
    pub merged: PathBuf,
    /// The folder to open the adapter by.
    pub adapter: PathBuf,
    /// The layout's name.
    pub layout: &'static str,
}

impl FineTuner {
    /// Writes the best weights to a folder: merged, with all that belongs to the base's layout, and the adapter alone. `taught`: of which
    /// images it judges findings, if the base is the built-in model or was fine-tuned from it.
    ///
    /// # Errors
    ///
    /// Fails if a file of the base cannot be read, or one of the folder cannot be written.
    pub fn save(
        &self,
        folder: &Path,
        taught: Option<&TaughtFindings>,
    ) -> Result<SavedModel, EncoderError> {
        let layout = SavedLayout::of(&self.origin)?;
        create(folder)?;
        for (name, content) in layout.settings()? {
            write(&folder.join(name), &content)?;
        }
        let adapter = adapter_folder(folder);
        create(&adapter)?;
        if let Some(taught) = taught {
            let content = taught.to_toml()?;
            for folder in [folder, &adapter] {
                write(&folder.join(TAUGHT), content.as_bytes())?;
            }
        }
        let merged = self.merged(Version::Best)?;
        let mut all: BTreeMap<String, Tensor> = BTreeMap::new();
        for (name, tensor) in &self.tensors {
            // What was changed stays in f32, so that nothing of the change is rounded away; the rest is as precise as it was.
            let tensor = match merged.get(name) {
                Some(changed) => changed.shallow_clone(),
                None => tensor.f_to_kind(self.kinds[name])?,
            };
            all.insert(name.clone(), tensor);
        }
        let file = folder.join(layout.weights());
        if file.extension() == Some(OsStr::new("pt")) {
            pickle_writer::write(&file, &all)?;
        } else {
            write_checkpoint(&file, &all)?;
        }
        self.save_adapter(&adapter)?;
        Ok(SavedModel {
            merged: folder.to_owned(),
            adapter,
            layout: layout.name(),
        })
    }

    fn save_adapter(&self, folder: &Path) -> Result<(), EncoderError> {
        let mut tensors = BTreeMap::new();
        for (own, factors) in self.changes.iter().zip(self.best.iter().flatten()) {
            let target = &own.target;
            let rank = factors.a.size()[0];
            // PEFT has the factors of a convolution as two convolutions.
            let spatial = target.input.len() - 1;
            let inputs = [&[rank], target.input.as_slice()].concat();
            let outputs = [&[target.rows.1, rank], vec![1; spatial].as_slice()].concat();
            let [a, b] = super::adapter::names(&target.module);
            tensors.insert(a, factors.a.f_view(inputs.as_slice())?);
            tensors.insert(b, factors.b.f_view(outputs.as_slice())?);
        }
        AdapterConfig::new(self).write(folder, &tensors)
    }
}

pub(super) fn create(folder: &Path) -> Result<(), EncoderError> {
    fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))
}

/// Writes a file, complete or not at all.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), EncoderError> {
    let new = new_name(path);
    fs::write(&new, content).map_err(|error| unwritable(&new, &error))?;
    fs::rename(&new, path).map_err(|error| unwritable(path, &error))
}

/// Where a file is written before it takes its place.
pub(super) fn new_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// The error of a file that cannot be written.
pub(super) fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> EncoderError {
    EncoderError::Output {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// The error of a file that cannot be read.
pub(super) fn fault(path: &Path, error: &dyn std::fmt::Display) -> EncoderError {
    EncoderError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_from_files_that_cannot_be_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("model.safetensors");
        let full = || std::os::unix::fs::symlink("/dev/full", new_name(&path)).unwrap();
        full();
        let tensors = BTreeMap::from([(
            "a".to_owned(),
            Tensor::ones([4096], (Kind::Float, Device::Cpu)),
        )]);
        for written in [
            write(&path, b"content"),
            pickle_writer::write(&path, &tensors),
        ] {
            let error = written.unwrap_err();
            assert!(matches!(error, EncoderError::Output { .. }), "{error}");
            assert!(error.to_string().contains("No space left"), "{error}");
        }
        assert!(!path.exists());
        // The writer of safetensors makes a file of its own.
        let nowhere = home.path().join("missing/training.safetensors");
        let error = write_tensors(&nowhere, &tensors, &0).unwrap_err();
        assert!(matches!(error, EncoderError::Output { .. }), "{error}");
    }
}
