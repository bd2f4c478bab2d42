//! Compares two prompt sets on the same images: `prompts compare`, and `eval` with two sets.

mod files;
mod report;
mod scored;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::run::Interruption;
use super::{CommandSetup, Fault, exit, print, run};
use crate::config::Folders;
use crate::encoder::{Encoder, Fit};
use crate::engine::{self, Factory, FrameSelection, Scorers, Settings};
use crate::learn::LearnedSets;
use crate::prompts::placebo::Placebo;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;
use files::ComparedFile;
pub(super) use files::{below, labelled, unlabelled};
use scored::{CollectedRecords, ScoredFiles};

/// Sets of random words whose mean is the placebo: one alone may be lucky.
const PLACEBOS: u64 = 5;

/// What is compared, and on what.
pub(super) struct ComparisonRequest {
    /// The two sets.
    pub sets: [PromptSet; 2],
    pub files: Vec<ComparedFile>,
    /// The names of the conditions that labels are indices of; `None` without labels.
    pub conditions: Option<Vec<String>>,
    pub mode: Mode,
    pub frames: FrameSelection,
    pub fit: Option<Fit>,
    pub exact: bool,
    pub draws: usize,
    pub seed: u64,
    pub json: bool,
}

/// The two sets by name or file.
pub(super) fn sets(names: [&str; 2], setup: &CommandSetup) -> Result<[PromptSet; 2], Fault> {
    let folder = setup.folders.as_ref().map(Folders::prompts);
    let set = |name: &str| {
        let prompts = Prompts::select(name, folder.as_deref()).map_err(Fault::unusable)?;
        match prompts.sets() {
            [set] => Ok(set.clone()),
            _ => Err(Fault::usage(
                "two prompt sets are compared; `auto` is not one of them",
            )),
        }
    };
    let sets = [set(names[0])?, set(names[1])?];
    if sets[0].digest == sets[1].digest {
        return Err(Fault::usage(format!(
            "{} and {} are the same set",
            names[0], names[1]
        )));
    }
    Ok(sets)
}

/// Compares and prints; returns the exit code.
pub(super) fn run(request: &ComparisonRequest, setup: &CommandSetup) -> Result<u8, Fault> {
    let settings = Settings {
        prompts: Prompts::only(request.sets[0].clone()),
        mode: request.mode,
        calibrations: setup.calibrations(request.fit),
        // Texts are compared, whatever was learned beside them.
        learned: LearnedSets::default(),
        frames: request.frames,
        batch_size: None,
        decode_threads: None,
        exact: request.exact,
        pass_time: engine::BULK_PASS_TIME,
        library: setup.library_with_messages(),
        stores_results: false,
    };
    let (opened, opening) = bounded(1);
    let factory = also_scoring(setup.factory(request.fit), request, opened);
    let paths = request.files.iter().map(|file| file.path.clone());
    let inputs = run::inputs(paths.enumerate());
    let collected = CollectedRecords::new(request.files.len());
    run::classify_and_report(
        factory,
        settings,
        &inputs,
        collected,
        |collected, interruption| print_report(&opening, request, collected, interruption),
    )
}

/// Scores all images by all sets, and prints how they differ; returns the exit code.
fn print_report(
    opening: &Receiver<OpenedScorers>,
    request: &ComparisonRequest,
    collected: &CollectedRecords,
    interruption: &Interruption,
) -> Result<u8, Fault> {
    let scorers = opening.try_recv();
    let scorers = scorers.map_err(|_| Fault::unusable("the model's texts are missing"))?;
    let scorers = scorers.map_err(Fault::unusable)?;
    let scored = ScoredFiles::new(&scorers, request, collected);
    let report = scored.report(request, interruption)?;
    report.print(request.json)?;
    Ok(if report.failed > 0 {
        exit::SOME_FAILED
    } else {
        exit::OK
    })
}

/// The scorers of both sets, then those of the placebos; or why there are none.
type OpenedScorers = Result<Vec<Scorers>, String>;

/// A factory that also encodes the sets and placebos, on the thread that owns the model.
fn also_scoring(
    mut open: Factory,
    request: &ComparisonRequest,
    opened: Sender<OpenedScorers>,
) -> Factory {
    let (sets, mode) = (request.sets.clone(), request.mode);
    let has_labels = request.conditions.is_some();
    Box::new(move || {
        let mut encoder = open()?;
        let scorers = encoded(&sets, mode, has_labels, encoder.as_mut());
        // When a GPU was lost and the model is opened again, nobody waits for it any more.
        let _ = opened.try_send(scorers);
        Ok(encoder)
    })
}

/// Encodes the sets. None is calibrated: what labelled images said of one set is not known of the others.
fn encoded(
    sets: &[PromptSet; 2],
    mode: Mode,
    has_labels: bool,
    encoder: &mut dyn Encoder,
) -> OpenedScorers {
    let mut all: Vec<PromptSet> = sets.to_vec();
    let seeds = if has_labels { 0..PLACEBOS } else { 0..0 };
    for seed in seeds {
        let mut placebo = Placebo::new(seed, |words| encoder.unknown_words(words));
        all.push(placebo.set(&sets[1]));
    }
    let none = (&Calibrations::default(), &LearnedSets::default());
    let mut scorers = Vec::with_capacity(all.len());
    for set in all {
        let (own, warnings) = Scorers::new(Prompts::only(set), mode, none, encoder)?;
        // The engine tells those of the first set.
        if scorers.len() == 1 {
            for warning in warnings {
                print::message(format_args!("warning: {warning}"));
            }
        }
        scorers.push(own);
    }
    Ok(scorers)
}
