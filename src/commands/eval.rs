//! `eval`: compares predictions with known labels.

mod adjusted;
mod cases;
pub(super) mod labels;
mod multi_label;
mod report;
mod shots;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::comparison::{self, ComparisonRequest};
use super::mix::MixOptions;
use super::progress::ProgressLine;
use super::run::{self, BatchHandler, Interruption};
use super::{CommandSetup, Fault, shown};
use crate::cli;
use crate::engine::{self, Settings};
use crate::jobs::{End, Ended};
use crate::learn::LearnedSets;
use crate::library::Outcome;
use crate::media::clean;
use crate::prompts::{PromptSet, Prompts};
use crate::scoring::Mode;
use crate::scoring::calibration::Calibrations;
pub(super) use cases::LabelledCases;
use labels::LabelledEach;
pub(in crate::commands) use report::copies_words;

/// Evaluates; returns the exit code.
pub fn run(arguments: &cli::EvalArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let adjusts = arguments.mix.adjust.is_some();
    if let Some(second) = &setup.prompts.second {
        if adjusts {
            return Err(Fault::usage(
                "--adjust is for one prompt set; two are compared by their scores",
            ));
        }
        return compare(arguments, [&setup.prompts.name, second], setup);
    }
    let (calibrations, learned) = (setup.calibrations(arguments.labelled.fit), setup.learned());
    let mix = arguments.mix.adjust.clone().map(|stated| {
        let mix = MixOptions {
            calibrations: learned.calibrations(&calibrations),
            prompts: setup.load_prompts()?,
            stated,
        };
        mix.check(arguments.labelled.mode)?;
        Ok::<_, Fault>(mix)
    });
    let mix = mix.transpose()?;
    let in_use = learned.clone();
    let scores = LabelledScores {
        calibrations,
        learned,
        are_stored: true,
    };
    with_outcomes(&arguments.labelled, setup, scores, |classified| {
        classified.note_shots(&in_use);
        report::print(arguments, mix.as_ref(), classified)
    })
}

/// Compares two prompt sets on the labelled images.
fn compare(arguments: &cli::EvalArgs, names: [&str; 2], setup: &CommandSetup) -> Result<u8, Fault> {
    let labelled = &arguments.labelled;
    let sets = comparison::sets(names, setup)?;
    let labels = (&*labelled.labels, &*labelled.map);
    let (files, conditions) = comparison::labelled(labels, &sets, labelled.mode)?;
    let request = ComparisonRequest {
        sets,
        files,
        conditions: Some(conditions),
        mode: labelled.mode,
        frames: labelled.frames,
        fit: labelled.fit,
        exact: labelled.exact,
        draws: arguments.draws,
        seed: arguments.seed,
        json: arguments.json,
    };
    comparison::run(&request, setup)
}

/// Labelled images with what the model says of them.
pub(super) struct ClassifiedLabels<'a> {
    /// The prompt set whose conditions are the labels.
    pub set: &'a PromptSet,
    /// How its conditions relate. Where one applies, each file has one label.
    pub mode: Mode,
    files: &'a [LabelledEach],
    outcomes: &'a Outcomes,
    pub interruption: &'a Interruption,
}

/// How labelled images are scored.
pub(super) struct LabelledScores {
    pub calibrations: Calibrations,
    pub learned: LearnedSets,
    /// Whether results go to the library; only those that `classify` would give may.
    pub are_stored: bool,
}

/// Classifies labelled images, passes them to `report`, and returns its exit code, or that of an interruption.
pub(super) fn with_outcomes(
    arguments: &cli::LabelledArgs,
    setup: &CommandSetup,
    scores: LabelledScores,
    report: impl FnOnce(&ClassifiedLabels) -> Result<u8, Fault>,
) -> Result<u8, Fault> {
    let prompts = setup.load_prompts()?;
    let takes_several = prompts.sets().iter().any(|set| !set.is_exhaustive());
    let sets = (prompts.sets(), takes_several);
    let (mut files, names) =
        labels::read_any_as(&arguments.labels, sets, &arguments.map, arguments.mode)?;
    let settings = Settings {
        prompts: prompts.clone(),
        mode: arguments.mode,
        calibrations: scores.calibrations,
        learned: scores.learned,
        frames: arguments.frames,
        batch_size: None,
        decode_threads: None,
        exact: arguments.exact,
        pass_time: engine::BULK_PASS_TIME,
        library: setup.library_with_messages(),
        stores_results: scores.are_stored,
    };
    let inputs = run::inputs(files.iter().map(|file| file.path.clone()).enumerate());
    let collected = Collected {
        count: files.len(),
        outcomes: Outcomes::new(),
    };
    let factory = setup.factory(arguments.fit);
    run::classify_and_report(
        factory,
        settings,
        &inputs,
        collected,
        |collected, interruption| {
            let set = set_in_use(&prompts, &collected.outcomes)?;
            let mode = arguments.mode.for_set(set);
            take_labels_of(&mut files, &names, (set, mode))?;
            report(&ClassifiedLabels {
                set,
                mode,
                files: &files,
                outcomes: &collected.outcomes,
                interruption,
            })
        },
    )
}

/// The prompt set of all results. Where one is chosen for each image, these must agree: figures are of one set.
fn set_in_use<'a>(prompts: &'a Prompts, outcomes: &Outcomes) -> Result<&'a PromptSet, Fault> {
    // Sets of one content are the same set, whatever their files are called.
    let mut counts: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for record in outcomes.values().flatten() {
        let own = counts.entry(&record.prompts_digest);
        own.or_insert((&record.prompts, 0)).1 += 1;
    }
    let mut sets = prompts.sets().iter();
    match (prompts.sets(), counts.len()) {
        ([only], _) => return Ok(only),
        (_, 1) => {
            if let Some(chosen) = sets.find(|set| counts.contains_key(&*set.digest)) {
                return Ok(chosen);
            }
        }
        ([first, ..], 0) => return Ok(first),
        _ => {}
    }
    let counts = counts
        .values()
        .map(|(name, count)| format!("{} {count}", clean(name)));
    let counts: Vec<String> = counts.collect();
    Err(Fault::usage(format!(
        "these images choose several prompt sets ({}), and this is about one; name it with --prompts, or give the images of one",
        counts.join(", ")
    )))
}

/// Makes the labels of files, which are indices among `names`, those of the conditions of a set.
fn take_labels_of(
    files: &mut [LabelledEach],
    names: &[String],
    (set, mode): (&PromptSet, Mode),
) -> Result<(), Fault> {
    for file in files {
        file.take_labels_of(names, set).map_err(|reason| {
            Fault::usage(format!(
                "{}: {reason}, which these images choose; use --map, or name a prompt set with --prompts",
                shown(&file.path)
            ))
        })?;
        if mode == Mode::Single && file.labels.len() != 1 {
            return Err(Fault::usage(format!(
                "{}: it has {} labels, and exactly one condition of {}, which these images choose, applies to each; name another prompt \
                 set with --prompts",
                shown(&file.path),
                file.labels.len(),
                clean(&set.name)
            )));
        }
    }
    Ok(())
}

/// The outcome of each file, by its index among the files.
type Outcomes = BTreeMap<usize, Outcome>;

/// Collects the outcomes.
struct Collected {
    /// Number of files.
    count: usize,
    outcomes: Outcomes,
}

impl BatchHandler<(usize, PathBuf), usize> for Collected {
    fn begin(&mut self, (index, path): (usize, PathBuf)) -> Option<(PathBuf, usize)> {
        Some((path, index))
    }

    /// With several frames, the last outcome is their aggregate.
    fn end(&mut self, ended: Ended<usize>, progress: &ProgressLine) -> Result<(), Fault> {
        if let End::Answered(mut all) = ended.end
            && let Some(last) = all.pop()
        {
            let index = ended.waiters.into_iter();
            self.outcomes
                .extend(index.map(|index| (index, last.clone())));
        }
        progress.set(self.outcomes.len() as u64, Some(self.count as u64));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::export::tests::record;

    #[test]
    fn copies_of_a_set_in_the_users_folder_are_the_same_set() {
        let folder = tempfile::tempdir().unwrap();
        let text = include_str!("../../prompts/general.toml");
        std::fs::write(folder.path().join("ward.toml"), text).unwrap();
        let prompts = Prompts::select("auto", Some(folder.path())).unwrap();
        let of_set = |name: &str| {
            let set = prompts.sets().iter().find(|set| set.name == name).unwrap();
            let mut record = record(crate::scoring::Decision::Confident);
            record.prompts.clone_from(&set.name);
            record.prompts_digest.clone_from(&set.digest);
            Ok(record)
        };
        let general = of_set("general");
        let same = prompts.sets().iter();
        let same = same.filter(|set| set.digest == general.as_ref().unwrap().prompts_digest);
        assert_eq!(same.count(), 2);
        let mut outcomes: Outcomes = [(0, general)].into_iter().collect();
        let chosen = set_in_use(&prompts, &outcomes).ok().unwrap();
        assert_eq!(chosen.name, "general");
        outcomes.insert(1, of_set("chest-xray"));
        let message = set_in_use(&prompts, &outcomes).err().unwrap().message;
        assert!(
            message.contains("general 1") && message.contains("chest-xray 1"),
            "{message}"
        );
    }
}
