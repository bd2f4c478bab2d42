//! The state of a training, from which it goes on after it was stopped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::base::FineTuner;
use super::epochs::{TrainingProgress, TrainingState};
use super::files::{TensorFile, write_tensors};
use super::low_rank::Factors;
use crate::encoder::EncoderError;

/// The version of the file.
const FORMAT: u32 = 1;

/// What a state file says beside its tensors.
#[derive(Serialize, Deserialize)]
struct StateHeader {
    format: u32,
    fingerprint: String,
    progress: TrainingProgress,
    has_best: bool,
}

/// The groups of factors that a state consists of.
const CURRENT: &str = "current";
const MEANS: &str = "mean";
const SQUARES: &str = "square";
const BEST: &str = "best";

fn names(group: &str, index: usize) -> [String; 2] {
    ["a", "b"].map(|part| format!("{group}.{index}.{part}"))
}

/// The error of a state that is damaged, with what to do.
fn unreadable(state: &TrainingState, error: EncoderError) -> EncoderError {
    let reason = match error {
        EncoderError::File { reason, .. } => reason,
        other => other.to_string(),
    };
    EncoderError::File {
        path: state.file.clone(),
        reason: format!(
            "the state of the training cannot be read: {reason}; remove it to begin anew, or give another output folder"
        ),
    }
}

impl FineTuner {
    /// Keeps the factors as those of the best epoch.
    pub(super) fn keep_as_best(&mut self) -> Result<(), EncoderError> {
        let _guard = tch::no_grad_guard();
        let copies = self.changes.iter().map(|own| own.factors.copied());
        self.best = Some(copies.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Writes the state, complete or not at all.
    pub(super) fn save_state(
        &self,
        state: &TrainingState,
        progress: &TrainingProgress,
    ) -> Result<(), EncoderError> {
        let mut tensors = BTreeMap::new();
        let mut add = |group: &str, index: usize, factors: &Factors| {
            let [a, b] = names(group, index);
            tensors.insert(a, factors.a.shallow_clone());
            tensors.insert(b, factors.b.shallow_clone());
        };
        for (index, own) in self.changes.iter().enumerate() {
            add(CURRENT, index, &own.factors);
            add(MEANS, index, &own.moments[0]);
            add(SQUARES, index, &own.moments[1]);
        }
        for (index, own) in self.best.iter().flatten().enumerate() {
            add(BEST, index, own);
        }
        let header = StateHeader {
            format: FORMAT,
            fingerprint: state.fingerprint.clone(),
            progress: progress.clone(),
            has_best: self.best.is_some(),
        };
        write_tensors(&state.file, &tensors, &header)
    }

    /// Takes the state of a training from its file; `None` where there is no file.
    pub(super) fn resume(
        &mut self,
        state: &TrainingState,
    ) -> Result<Option<TrainingProgress>, EncoderError> {
        if !state.file.exists() {
            return Ok(None);
        }
        let fault = |reason: &str| EncoderError::File {
            path: state.file.clone(),
            reason: reason.to_owned(),
        };
        let file = TensorFile::read(&state.file).map_err(|error| unreadable(state, error))?;
        let header: StateHeader = file.header().map_err(|error| unreadable(state, error))?;
        if header.format != FORMAT || header.fingerprint != state.fingerprint {
            return Err(fault(
                "it is the state of a training with other images, labels, settings, prompts, another mode or another model; give \
                 another output folder, or remove it to begin anew",
            ));
        }
        let device = self.device;
        let load = |group: &str, index: usize, like: &Factors| -> Result<Factors, EncoderError> {
            let [a, b] = names(group, index);
            let one = |name: &str, like: &Tensor| -> Result<Tensor, EncoderError> {
                let tensor = file.tensor(name)?;
                if tensor.size() != like.size() {
                    return Err(fault("it belongs to another model"));
                }
                Ok(tensor.f_to_device(device)?)
            };
            Ok(Factors {
                a: one(&a, &like.a)?,
                b: one(&b, &like.b)?,
            })
        };
        let mut best = Vec::new();
        for (index, own) in self.changes.iter_mut().enumerate() {
            let factors = load(CURRENT, index, &own.factors)?;
            own.moments = [
                load(MEANS, index, &factors)?,
                load(SQUARES, index, &factors)?,
            ];
            if header.has_best {
                best.push(load(BEST, index, &factors)?);
            }
            own.factors = factors;
        }
        self.best = header.has_best.then_some(best);
        Ok(Some(header.progress))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_state_says_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let state = TrainingState {
            file: home.path().join("training.safetensors"),
            fingerprint: String::new(),
        };
        std::fs::write(&state.file, [0xff; 64]).unwrap();
        let error = TensorFile::read(&state.file).err().unwrap();
        let said = unreadable(&state, error).to_string();
        let file = state.file.display().to_string();
        assert_eq!(said.matches(&file).count(), 1, "{said}");
        assert!(said.contains("remove it to begin anew"), "{said}");
    }

    /// The state is JSON, and a training that goes on is to report the same figures to the bit.
    #[test]
    fn figures_are_read_from_json_to_the_bit() {
        let mut number = 1_u64;
        for _ in 0..20_000 {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let figure = (number >> 11) as f64 / 2_f64.powi(53);
            let text = serde_json::to_string(&figure).unwrap();
            let read: f64 = serde_json::from_str(&text).unwrap();
            assert_eq!(read.to_bits(), figure.to_bits(), "{text}");
        }
    }
}
