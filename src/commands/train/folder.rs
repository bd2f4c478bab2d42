//! The output folder of a fine-tuning: that it may be written to, the state in it, and what is written at the end.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{Fault, exit, shown};
use super::lora_report::LoraReport;

/// The state of a training that has not ended.
const STATE: &str = "training.safetensors";
/// What was trained, and how: the sign of a finished training.
const REPORT: &str = "training.json";
/// The model's card.
const CARD: &str = "README.md";

/// The folder.
pub(super) struct OutputFolder<'a>(&'a Path);

impl<'a> OutputFolder<'a> {
    /// Creates the folder, or takes one that is empty or holds a training that was stopped.
    pub(super) fn open(path: &'a Path) -> Result<Self, Fault> {
        let fault = |error: std::io::Error| unwritable(path, &error);
        if path.exists() && !path.is_dir() {
            return Err(Fault::usage(format!(
                "--output {}: a file; give a folder",
                shown(path)
            )));
        }
        fs::create_dir_all(path).map_err(fault)?;
        let own = Self(path);
        if own.state().exists() {
            return Ok(own);
        }
        if path.join(REPORT).exists() {
            return Err(Fault::usage(format!(
                "--output {}: it holds a finished training; give another folder",
                shown(path)
            )));
        }
        let mut names = fs::read_dir(path).map_err(fault)?.flatten();
        // A state that was being written when the program was killed.
        let is_foreign = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            !name.to_string_lossy().starts_with(STATE)
        };
        match names.find(is_foreign) {
            Some(_) => Err(Fault::usage(format!(
                "--output {}: not empty, and no training of this program; give another folder",
                shown(path)
            ))),
            None => Ok(own),
        }
    }

    /// The file of the state.
    pub(super) fn state(&self) -> PathBuf {
        self.0.join(STATE)
    }

    /// Where the model goes.
    pub(super) fn path(&self) -> &Path {
        self.0
    }

    /// Writes the card and the report, and removes the state.
    pub(super) fn finish(&self, report: &LoraReport) -> Result<(), Fault> {
        let fault =
            |name: &str, error: &dyn std::fmt::Display| unwritable(&self.0.join(name), error);
        let json = serde_json::to_string_pretty(report).map_err(|e| fault(REPORT, &e))?;
        if report.model.is_some() {
            fs::write(self.0.join(CARD), report.card()).map_err(|e| fault(CARD, &e))?;
        }
        fs::write(self.0.join(REPORT), json + "\n").map_err(|e| fault(REPORT, &e))?;
        match fs::remove_file(self.state()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(fault(STATE, &error)),
            _ => Ok(()),
        }
    }
}

/// An output that cannot be written.
fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Fault {
    Fault {
        code: exit::SOME_FAILED,
        message: format!("{} cannot be written: {error}", shown(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::EncoderError;

    #[test]
    fn an_output_that_cannot_be_written_is_no_unusable_model() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let below = file.join("model");
        let fault = OutputFolder::open(&below).err().unwrap();
        assert_eq!(fault.code, exit::SOME_FAILED);
        assert!(
            fault.message.contains("cannot be written"),
            "{}",
            fault.message
        );
        let error = |output: bool| {
            let (path, reason) = (file.clone(), "No space left".to_owned());
            if output {
                EncoderError::Output { path, reason }
            } else {
                EncoderError::File { path, reason }
            }
        };
        let codes = [true, false].map(|output| Fault::training(error(output)).code);
        assert_eq!(codes, [exit::SOME_FAILED, exit::UNUSABLE]);
    }
}
