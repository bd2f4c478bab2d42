//! `train`: a linear probe, or low-rank changes of the image tower, from labelled images.

mod alike;
mod conditions;
mod curve;
mod data;
mod folder;
mod images;
mod labels;
mod lora;
mod lora_report;
mod probe;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

pub(super) use conditions::{ScoreSeparations, TrainedCondition, TrainingKind};
pub(super) use data::ScoredModel;
pub(super) use images::prepare;
pub(super) use labels::{patients, prompt_set, read_files, truths};
pub(super) use probe::patient_numbers;
pub(super) use report::{WORTHWHILE_GAIN, area_gain, gain};

use super::{CommandSetup, Fault, on_signals};
use crate::cli::{TrainArgs, TrainMethod};

/// Carries the command out; returns the exit code.
pub fn run(arguments: &TrainArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    match &arguments.method {
        TrainMethod::Probe(probe) => probe::run(probe, setup),
        TrainMethod::Lora(lora) => lora::run(lora, setup),
    }
}

/// Whether a signal asks for the end.
#[derive(Clone)]
struct TrainingStop(Arc<AtomicBool>);

impl TrainingStop {
    /// Raised by SIGINT and SIGTERM from now on.
    fn on_signals() -> Result<Self, Fault> {
        let flag = Self(Arc::new(AtomicBool::new(false)));
        let raised = flag.clone();
        on_signals(&[SIGINT, SIGTERM], move || {
            raised.0.store(true, Ordering::Relaxed);
        })?;
        Ok(flag)
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
