//! `calibrate`: fits probabilities and thresholds to known labels, and keeps what was found beside the library.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::eval::{ClassifiedLabels, LabelledCases, LabelledScores, with_outcomes};
use super::{CommandSetup, Fault, exit, print, shown};
use crate::cli;
use crate::learn::{Learned, LearnedSets};
use crate::library::{calibrations, now};
use crate::scoring::Mode;
use crate::scoring::calibration::{
    COVERAGE, Calibration, CalibrationError, Calibrations, FittedCalibration, MixCalibration,
    SingleCalibration, fit, fit_each,
};

/// What is printed.
#[derive(Serialize)]
struct CalibrationReport<'a> {
    #[serde(flatten)]
    calibration: &'a Calibration,
    /// Images that failed.
    failed: usize,
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
    // Scores as the model gives them, whatever was fitted before. They are none for the library; and what was learned meanwhile
    // has no part in them.
    let learned = setup.learned();
    let scores = LabelledScores {
        calibrations: Calibrations::default(),
        learned: learned.clone(),
        are_stored: false,
    };
    with_outcomes(&arguments.labelled, setup, scores, |all| {
        calibrate(arguments, folder, &learned, all)
    })
}

fn calibrate(
    arguments: &cli::CalibrateArgs,
    folder: Option<PathBuf>,
    learned: &LearnedSets,
    classified: &ClassifiedLabels,
) -> Result<u8, Fault> {
    if classified.interrupted {
        return Err(Fault::unusable("nothing was calibrated"));
    }
    let all = classified.cases();
    let Some(record) = all.sample() else {
        return Err(all.none_classified());
    };
    let fitted = fitted(&all, classified.mode);
    let FittedCalibration {
        error_before,
        error_after,
        single,
        conditions,
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
        at: now(),
        images: all.images.len(),
        error_before,
        error_after,
        single,
        conditions,
    };
    let file = folder.map(|folder| {
        let saved = calibrations::save(&folder, &calibration);
        saved.map_err(|error| Fault::unusable(format!("{}: {error}", shown(&folder))))
    });
    let file = file.transpose()?.map(|file| shown(&file));
    if arguments.json {
        print::json(&CalibrationReport {
            calibration: &calibration,
            failed: all.failed,
            file,
        })?;
    } else {
        print::lines(&table(&calibration, file.as_deref()))?;
    }
    Ok(if all.failed > 0 {
        exit::SOME_FAILED
    } else {
        exit::OK
    })
}

/// Fits the scores as a mode has them.
fn fitted(all: &LabelledCases, mode: Mode) -> Result<FittedCalibration, CalibrationError> {
    // Halves of the images are fitted apart from each other, and must not differ in their labels.
    match mode {
        Mode::Single => {
            let mut cases = all.of_one().unwrap_or_default();
            shuffle(&mut cases);
            fit(&all.names, &all.normal, &cases)
        }
        Mode::Multi => {
            let mut cases = all.of_any();
            shuffle(&mut cases);
            fit_each(&all.names, &all.normal, &cases)
        }
    }
}

fn table(calibration: &Calibration, file: Option<&str>) -> String {
    let mut out = String::new();
    // Never rounded up to certainty.
    let percent = |share: f64| match format!("{:.1}", share * 100.0).as_str() {
        "100.0" if share < 1.0 => "over 99.9 %".to_owned(),
        figure => format!("{figure} %"),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "model {}, prompts {}{}: {} labelled images",
        calibration.model,
        calibration.prompts,
        if calibration.learned.is_some() {
            ", learned scores"
        } else {
            ""
        },
        calibration.images
    );
    let _ = writeln!(
        out,
        "calibration error  {:.3} before, {:.3} on images held out",
        calibration.error_before, calibration.error_after
    );
    if let Some(single) = &calibration.single {
        let SingleCalibration {
            temperature,
            confident_from,
            confident,
            wrong,
            answers,
            mix,
        } = single;
        let _ = writeln!(out, "temperature        {temperature:.3}");
        let _ = match confident_from {
            Some(from) => writeln!(
                out,
                "confident          from {}: {} of the images, of which {} are wrong",
                percent(*from),
                percent(*confident),
                percent(*wrong)
            ),
            None => writeln!(
                out,
                "confident          none: at no probability are few enough labels wrong"
            ),
        };
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
    for condition in &calibration.conditions {
        let _ = writeln!(
            out,
            "{}: there from {}, by {} images (slope {:.3}, offset {:.3})",
            condition.condition,
            percent(condition.threshold),
            condition.positives,
            condition.slope,
            condition.offset
        );
    }
    let _ = match file {
        Some(file) => writeln!(out, "kept in {file}"),
        None => writeln!(out, "not kept"),
    };
    out
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
        "offered; nothing is known of its worth without both normal and abnormal images"
    } else {
        "offered: right labels on images held out "
    };
    format!("adjusting a mix    {what}{}", checks.join(", "))
}

/// Puts cases in a random order, always the same.
fn shuffle<T>(cases: &mut [T]) {
    use rand::SeedableRng;
    use rand::seq::SliceRandom;
    cases.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(0));
}
