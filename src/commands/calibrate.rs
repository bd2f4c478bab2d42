//! `calibrate`: fits probabilities and thresholds to known labels, and keeps what was found beside the library.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::eval::{ClassifiedLabels, LabelledCases, LabelledScores, copies_words, with_outcomes};
use super::{CommandSetup, Fault, exit, print, shown};
use crate::cli;
use crate::encoder::Fit;
use crate::learn::{Learned, LearnedSets};
use crate::library::{calibrations, now};
use crate::media::clean;
use crate::prompts::{KINDS, PromptSet, Prompts};
use crate::scoring::Mode;
use crate::scoring::calibration::{
    COVERAGE, CalibratedConditions, Calibration, CalibrationError, Calibrations, FittedCalibration,
    LabelConfidence, MIN_BACKING, MIN_POSITIVES, MixCalibration, SingleCalibration, fit, fit_each,
};
use crate::scoring::metrics::CaseGroups;

/// What is printed.
#[derive(Serialize)]
struct CalibrationReport<'a> {
    #[serde(flatten)]
    calibration: &'a Calibration,
    /// Images that failed.
    failed: usize,
    /// Images that were rejected, and took no part.
    rejected: usize,
    /// Files that are left out as they have the content of another one.
    copies: usize,
    /// Whether a temperature or slope is at the end of the range in which it is sought.
    at_bound: bool,
    /// Where it is kept.
    file: Option<String>,
}

/// Calibrates; returns the exit code.
pub fn run(arguments: &cli::CalibrateArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let folder = setup.library.as_deref().map(calibrations::folder);
    let folder = match (folder, arguments.dry_run) {
        (_, true) => None,
        (Some(folder), false) => Some(folder),
        (None, false) => {
            let text = "what is found is kept beside the library, and --library is none; --dry-run only prints it";
            return Err(Fault::usage(text));
        }
    };
    if setup.prompts.is_default {
        print::message(format_args!(
            "note: this calibrates the prompt set {}; browsing, `classify` and `watch` choose a set for each image, as `--prompts auto` does here",
            setup.prompts.name
        ));
    }
    // They are none for the library; and what was learned meanwhile has no part in them.
    let learned = setup.learned();
    let scores = |calibrations| LabelledScores {
        calibrations,
        learned: learned.clone(),
        are_stored: false,
    };
    let calibration = CalibrationRequest {
        arguments,
        folder,
        fit: setup.other_fit(arguments.labelled.fit),
        learned: &learned,
    };
    let prompts = setup.load_prompts()?;
    let others = of_kinds(setup.calibrations(arguments.labelled.fit), &prompts);
    let chose_kinds = Cell::new(false);
    let code = with_outcomes(&arguments.labelled, setup, scores(others), |all| {
        chose_kinds.set(is_kinds(all.set) && prompts.is_auto());
        if chose_kinds.get() && !all.interruption.left_out_images() {
            return Ok(exit::OK);
        }
        calibration.fit(all)
    })?;
    if !chose_kinds.get() {
        return Ok(code);
    }
    // What chose the set is what is calibrated, and its own scores are wanted as the model gives them.
    let mut setup = setup.clone();
    KINDS.clone_into(&mut setup.prompts.name);
    let scores = scores(Calibrations::default());
    with_outcomes(&arguments.labelled, &setup, scores, |all| {
        calibration.fit(all)
    })
}

fn is_kinds(set: &PromptSet) -> bool {
    set.name == KINDS
}

/// The calibrations by which images are judged while a set is calibrated, whose scores must be as the model gives them: those that tell kinds
/// of image apart, by which images are rejected and sets chosen. None if kinds are what is calibrated.
fn of_kinds(mut all: Calibrations, prompts: &Prompts) -> Calibrations {
    let calibrates_kinds = prompts.sets().len() == 1 && prompts.sets().iter().all(is_kinds);
    all.0
        .retain(|own| own.prompts == KINDS && !calibrates_kinds);
    all
}

/// What is calibrated with the labelled images, and where it is kept.
struct CalibrationRequest<'a> {
    arguments: &'a cli::CalibrateArgs,
    /// `None`: nowhere.
    folder: Option<PathBuf>,
    /// How images are fitted to the model's input, if not as it specifies.
    fit: Option<Fit>,
    learned: &'a LearnedSets,
}

impl CalibrationRequest<'_> {
    /// Calibrates, and prints what is found; returns the exit code.
    fn fit(&self, classified: &ClassifiedLabels) -> Result<u8, Fault> {
        let (arguments, learned) = (self.arguments, self.learned);
        if classified.interruption.left_out_images() {
            return Err(Fault::unusable("nothing was calibrated"));
        }
        let mut all = classified.cases()?;
        all.leave_out_shots(learned)?;
        let Some(record) = all.sample() else {
            return Err(all.none_classified());
        };
        let fitted = fitted(&all, classified);
        let FittedCalibration {
            error_before,
            error_after,
            single,
            conditions,
            normal,
            left_out,
        } = fitted.map_err(Fault::unusable)?;
        let calibration = Calibration {
            model: record.model.clone(),
            model_digest: record.model_digest.clone(),
            prompts: record.prompts.clone(),
            prompts_digest: record.prompts_digest.clone(),
            mode: record.mode,
            learned: learned
                .find(&record.model_digest, &record.prompts_digest, record.mode)
                // What real images teach is not meant for phantoms.
                .filter(|own| own.kind.is_none() || !record.synthetic)
                .map(Learned::digest),
            fit: self.fit.map(|fit| fit.name().to_owned()),
            synthetic: all.are_synthetic(),
            at: now(),
            images: all.images.len(),
            error_before,
            error_after,
            single,
            conditions,
            normal,
            left_out,
        };
        let file = self.folder.as_ref().map(|folder| {
            let saved = calibrations::save(folder, &calibration);
            saved.map_err(|error| Fault::unusable(format!("{}: {error}", shown(folder))))
        });
        let file = file.transpose()?.map(|file| shown(&file));
        if arguments.json {
            print::json(&CalibrationReport {
                calibration: &calibration,
                failed: all.failed,
                rejected: all.rejected.len(),
                copies: all.copies,
                at_bound: calibration.is_at_bound(),
                file,
            })?;
        } else {
            print::lines(&table(&calibration, &all, file.as_deref()))?;
        }
        Ok(if all.failed > 0 {
            exit::SOME_FAILED
        } else {
            exit::OK
        })
    }
}

/// Fits the scores as a mode has them.
fn fitted(
    all: &LabelledCases,
    classified: &ClassifiedLabels,
) -> Result<FittedCalibration, CalibrationError> {
    let of = CalibratedConditions {
        names: &all.names,
        normal: &all.normal,
        min_probability: classified.set.min_probability,
    };
    match classified.mode {
        Mode::Single => {
            let (cases, groups) = shuffled(all, all.of_one().unwrap_or_default());
            fit(&of, &cases, &groups)
        }
        Mode::Multi => {
            let (cases, groups) = shuffled(all, all.of_any());
            fit_each(&of, &cases, &groups)
        }
    }
}

/// The cases in a random order, always the same, and which of them are of one patient. Halves of them are fitted apart from each other,
/// and must not differ in their labels.
fn shuffled<C>(all: &LabelledCases, cases: Vec<C>) -> (Vec<C>, CaseGroups) {
    use rand::SeedableRng;
    use rand::seq::SliceRandom;
    let mut cases: Vec<(C, usize)> = cases.into_iter().zip(all.patients()).collect();
    cases.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(0));
    let (cases, patients) = cases.into_iter().unzip();
    (cases, CaseGroups::new(patients))
}

/// A share in percent, never rounded up to certainty.
fn percent(share: f64) -> String {
    match format!("{:.1}", share * 100.0).as_str() {
        "100.0" if share < 1.0 => "over 99.9 %".to_owned(),
        figure => format!("{figure} %"),
    }
}

fn table(calibration: &Calibration, all: &LabelledCases, file: Option<&str>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "model {}, prompts {}{}: {} labelled images, {} rejected, {} failed{}",
        clean(&calibration.model),
        clean(&calibration.prompts),
        // Of what was learned, nothing may be used.
        if all.images.iter().any(|(_, own)| own.learned.is_some()) {
            ", learned scores"
        } else {
            ""
        },
        calibration.images,
        all.rejected.len(),
        all.failed,
        copies_words(all.copies),
    );
    let _ = writeln!(
        out,
        "calibration error  {:.3} before, {:.3} on images held out",
        calibration.error_before, calibration.error_after
    );
    if calibration.error_after > calibration.error_before {
        out.push_str("note: calibrating makes the error larger on images held out; more labelled images may help\n");
    }
    if let Some(single) = &calibration.single {
        single_lines(&mut out, single);
    }
    condition_lines(&mut out, calibration);
    if calibration.is_at_bound() {
        out.push_str(
            "note: the best temperature or slope lies at or beyond the end of the range that is searched (0.02 to 50): these scores say hardly \
             anything of the labels, or they are hardly spread; do not rely on the probabilities\n",
        );
    }
    let _ = match file {
        Some(file) => writeln!(out, "kept in {file}"),
        None => writeln!(out, "not kept"),
    };
    out
}

/// What is found where one condition applies.
fn single_lines(out: &mut String, single: &SingleCalibration) {
    let SingleCalibration {
        temperature,
        confident_from,
        confident,
        wrong,
        answers,
        mix,
    } = single;
    let confidence = LabelConfidence {
        confident_from: *confident_from,
        confident: *confident,
        wrong: *wrong,
    };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "temperature        {temperature:.3}");
    let _ = writeln!(out, "confident          {}", confidence_words(confidence));
    let _ = writeln!(
        out,
        "answers            the leading label and every other from {}: the true one is among them in at least {}",
        percent(answers.least),
        percent(COVERAGE)
    );
    if let Some(mix) = mix {
        let _ = writeln!(out, "{}", adjusting(mix));
    }
}

/// What is found of conditions of which each is decided on by itself.
fn condition_lines(out: &mut String, calibration: &Calibration) {
    for condition in &calibration.conditions {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{}: there from {}, by {} images (slope {:.3}, offset {:.3}); confident {}",
            clean(&condition.condition),
            percent(condition.threshold),
            condition.positives,
            condition.slope,
            condition.offset,
            confidence_words(condition.confidence.unwrap_or_default())
        );
    }
    for normal in &calibration.normal {
        let _ = writeln!(
            out,
            "{}: where nothing is found, by {} images (slope {:.3}, offset {:.3}); confident {}",
            clean(&normal.condition),
            normal.positives,
            normal.slope,
            normal.offset,
            confidence_words(normal.confidence)
        );
    }
    for left_out in &calibration.left_out {
        let _ = writeln!(
            out,
            "{}: left out, not calibrated: {} of {} images show it, and at least {MIN_POSITIVES} must, but not all",
            clean(&left_out.condition),
            left_out.positives,
            calibration.images
        );
    }
}

/// From when a label is confident, and what that means.
fn confidence_words(confidence: LabelConfidence) -> String {
    match confidence.confident_from {
        Some(from) => format!(
            "from {}: {} of these labels, of which {} are wrong",
            percent(from),
            percent(confidence.confident),
            percent(confidence.wrong)
        ),
        None => format!(
            "from none: at no probability are {MIN_BACKING} labels there of which few enough are wrong"
        ),
    }
}

/// What adjusting to another mix is worth.
fn adjusting(mix: &MixCalibration) -> String {
    let percent = |value: f64| format!("{:.1} %", 100.0 * value);
    let checks = mix.checks.iter().map(|check| {
        format!(
            "{} → {} at {:.0} % normal",
            percent(check.before),
            percent(check.after),
            100.0 * check.normal
        )
    });
    let checks: Vec<String> = checks.collect();
    let what = if mix.failed_check().is_some() {
        "not offered, as it makes labels worse on images held out: right "
    } else if checks.is_empty() {
        "offered; nothing is known of its worth without both normal and abnormal images in a half that is held out"
    } else {
        "offered: right labels on images held out "
    };
    format!("adjusting a mix    {what}{}", checks.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::builtin;

    #[test]
    fn images_are_judged_as_ever_while_a_set_is_calibrated_and_its_own_scores_are_the_models() {
        let left = |name: &str| {
            let prompts = Prompts::select(name, None).unwrap();
            let left = of_kinds(builtin::calibrations(), &prompts).0.into_iter();
            left.map(|own| own.prompts).collect::<Vec<_>>()
        };
        assert!(builtin::calibrations().0.len() > 1);
        assert_eq!(left("chest-xray"), [KINDS]);
        assert_eq!(left("auto"), [KINDS]);
        assert!(left(KINDS).is_empty());
    }
}
