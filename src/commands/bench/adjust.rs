//! `bench adjust`: what adjusting to a folder's mix does to labels, in folders whose mix is known.

use std::fmt::Write as _;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::learn::images::{LabelledImages, LabelledSource, PhantomSubject};
use crate::cli::AdjustBenchArgs;
use crate::commands::progress::ProgressLine;
use crate::commands::{CommandSetup, Fault, exit, print};
use crate::library::NOTICE;
use crate::media::clean;
use crate::scoring::calibration::{CalibratedConditions, Calibration, fit};
use crate::scoring::metrics::{Case, CaseGroups, Estimate, bootstrap_mean};
use crate::scoring::mix::{Adjuster, MixError};
use crate::scoring::{Mode, Score, softmax};

/// The shares of normal images.
const MIXES: [f64; 6] = [0.5, 0.7, 0.8, 0.9, 0.95, 1.0];

/// What was measured.
#[derive(Serialize)]
struct AdjustBenchReport {
    model: String,
    model_digest: String,
    prompts: String,
    /// Where the images are from.
    images: String,
    /// The number of images of each condition.
    conditions: Vec<(String, usize)>,
    /// Images of a folder.
    folder: usize,
    /// The length of the noise in embeddings.
    noise: f32,
    seeds: u64,
    /// In how many splits the calibration's own check withheld adjusting; there the adjusted labels are those of the scores.
    withheld: usize,
    mixes: Vec<MixReport>,
    notice: &'static str,
}

/// What was measured in folders of one mix: means and intervals over splits, from 0 to 1.
#[derive(Serialize)]
struct MixReport {
    /// The share of normal images.
    normal: f64,
    scores: LabelQuality,
    /// With the slope and the offsets of the calibration, but in its own mix.
    corrected: LabelQuality,
    adjusted: LabelQuality,
    /// Adjusted less unadjusted, folder by folder.
    accuracy_gain: Estimate,
    balanced_accuracy_gain: Estimate,
    /// The share of normal images that was estimated.
    estimated: Estimate,
}

#[derive(Serialize)]
struct LabelQuality {
    accuracy: Estimate,
    /// The mean recall of the conditions that the folder has.
    balanced_accuracy: Estimate,
    /// The share of images called abnormal.
    abnormal: Estimate,
}

/// Measures; returns the exit code.
pub fn run(arguments: &AdjustBenchArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let progress = ProgressLine::new();
    progress.message("loading the model");
    let mut encoder = setup.factory(None)().map_err(Fault::unusable)?;
    let source = LabelledSource {
        labels: arguments.labels.as_deref(),
        map: &arguments.map,
        drawn: PhantomSubject::Known,
        phantoms: arguments.phantoms,
    };
    let images = LabelledImages::read(&source, setup, encoder.as_mut(), &progress)?;
    if images.normal.iter().all(|normal| *normal) || !images.normal.contains(&true) {
        return Err(Fault::usage(
            "there must be images of a normal condition and of others",
        ));
    }
    let (mut folders, mut withheld) = (vec![Vec::new(); MIXES.len()], 0);
    for seed in 0..arguments.seeds {
        progress.set(seed, Some(arguments.seeds));
        let split = CalibrationSplit::new(&images, arguments.noise, seed)?;
        withheld += usize::from(split.is_withheld());
        for (folders, normal) in folders.iter_mut().zip(MIXES) {
            folders.push(split.folder(usize::from(arguments.folder), normal, seed));
        }
    }
    progress.end();
    let card = encoder.card();
    let mixes = MIXES.iter().zip(&folders);
    let report = AdjustBenchReport {
        model: card.id.clone(),
        model_digest: card.digest.clone(),
        prompts: images.prompts.clone(),
        images: images.source.clone(),
        conditions: images.counts(),
        folder: usize::from(arguments.folder),
        noise: arguments.noise,
        seeds: arguments.seeds,
        withheld,
        mixes: mixes.map(|(normal, all)| report(*normal, all)).collect(),
        notice: NOTICE,
    };
    if arguments.json {
        print::json(&report)?;
    } else {
        print::lines(&table(&report))?;
    }
    Ok(exit::OK)
}

/// A calibration with half of the images of each condition, and the other half.
struct CalibrationSplit<'a> {
    images: &'a LabelledImages,
    calibration: Calibration,
    test: Vec<Case>,
}

/// What was measured in a folder: accuracy, balanced accuracy, and the share called abnormal.
#[derive(Clone, Copy)]
struct MixedFolder {
    scores: [f64; 3],
    corrected: [f64; 3],
    adjusted: [f64; 3],
    estimated: f64,
}

impl<'a> CalibrationSplit<'a> {
    fn new(images: &'a LabelledImages, noise: f32, seed: u64) -> Result<Self, Fault> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut cases: Vec<Case> = images
            .shots()
            .map(|shot| {
                let row = noisy(shot.row, noise, &mut rng);
                let scores = softmax(&images.problem.zero_shot(&row));
                let best =
                    |best: usize, at: usize| if scores[at] > scores[best] { at } else { best };
                Case {
                    truth: shot.label,
                    predicted: (0..scores.len()).fold(0, best),
                    scores,
                }
            })
            .collect();
        cases.shuffle(&mut rng);
        let (mut own, mut test) = (Vec::new(), Vec::new());
        for class in 0..images.names.len() {
            let of_class: Vec<&Case> = cases.iter().filter(|case| case.truth == class).collect();
            let (first, rest) = of_class.split_at(of_class.len() / 2);
            own.extend(first.iter().copied().cloned());
            test.extend(rest.iter().copied().cloned());
        }
        own.shuffle(&mut rng);
        let of = CalibratedConditions {
            names: &images.names,
            normal: &images.normal,
            // Confident labels have no part in this.
            min_probability: 0.0,
        };
        let fitted = fit(&of, &own, &CaseGroups::default());
        let fitted = fitted.map_err(Fault::unusable)?;
        Ok(Self {
            images,
            calibration: Calibration {
                model: String::new(),
                model_digest: String::new(),
                prompts: images.prompts.clone(),
                prompts_digest: String::new(),
                mode: Mode::Single,
                learned: None,
                fit: None,
                synthetic: false,
                at: String::new(),
                images: own.len(),
                error_before: fitted.error_before,
                error_after: fitted.error_after,
                single: fitted.single,
                conditions: fitted.conditions,
                normal: fitted.normal,
                left_out: fitted.left_out,
            },
            test,
        })
    }

    fn is_withheld(&self) -> bool {
        let single = self.calibration.single.as_ref();
        let mix = single.and_then(|single| single.mix.as_ref());
        mix.is_some_and(|mix| mix.failed_check().is_some())
    }

    /// Draws a folder with replacement, each abnormal condition alike, and measures.
    fn folder(&self, count: usize, normal: f64, seed: u64) -> MixedFolder {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (normal * 1000.0) as u64);
        let is_normal = |class: usize| self.images.normal[class];
        let of = |class: usize| {
            let own = self.test.iter().filter(|case| case.truth == class);
            own.collect::<Vec<&Case>>()
        };
        let classes: Vec<Vec<&Case>> = (0..self.images.names.len()).map(of).collect();
        let kinds = [true, false].map(|kind| {
            let own = (0..classes.len()).filter(|class| is_normal(*class) == kind);
            own.collect::<Vec<usize>>()
        });
        let normals = (normal * count as f64).round() as usize;
        let drawn = (0..count).filter_map(|at| {
            let kind = &kinds[usize::from(at >= normals)];
            let class = kind[rng.random_range(0..kind.len())];
            classes[class].choose(&mut rng).copied()
        });
        let drawn: Vec<&Case> = drawn.collect();
        self.measured(&drawn)
    }

    fn measured(&self, cases: &[&Case]) -> MixedFolder {
        let names = &self.images.names;
        let plain: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows: Vec<Vec<Score>> = cases
            .iter()
            .map(|case| {
                let calibrated = self.calibration.probabilities(case.scores.clone(), &plain);
                let both = names.iter().zip(calibrated);
                both.map(|(name, probability)| Score {
                    condition: name.clone(),
                    probability,
                    max: None,
                    similarity: 0.0,
                    threshold: None,
                    normal: false,
                    calibrated: false,
                })
                .collect()
            })
            .collect();
        let abnormal = |name: &str| {
            let at = names.iter().position(|own| own == name);
            at.is_some_and(|at| !self.images.normal[at])
        };
        let images = rows.iter().map(AsRef::as_ref);
        let adjuster: Result<Adjuster, MixError> = Adjuster::new(
            &self.images.prompts,
            abnormal,
            Some(&self.calibration),
            images,
            None,
        );
        let before: Vec<usize> = cases.iter().map(|case| case.predicted).collect();
        let label = |label: &str| names.iter().position(|name| name == label).unwrap_or(0);
        let (corrected, after, estimated) = match &adjuster {
            Ok(adjuster) => {
                let after = rows.iter().map(|row| label(&adjuster.adjusted(row).label));
                let corrected = rows.iter().map(|row| label(&adjuster.corrected(row).label));
                let shares = adjuster.mix().shares.iter();
                let normal = shares.filter(|own| !abnormal(&own.condition));
                let normal: f64 = normal.map(|own| own.share).sum();
                (corrected.collect(), after.collect(), normal)
            }
            Err(_) => (before.clone(), before.clone(), f64::NAN),
        };
        MixedFolder {
            scores: self.quality(cases, &before),
            corrected: self.quality(cases, &corrected),
            adjusted: self.quality(cases, &after),
            estimated,
        }
    }

    fn quality(&self, cases: &[&Case], labels: &[usize]) -> [f64; 3] {
        let both = || cases.iter().zip(labels);
        let share = |hits: usize, all: usize| hits as f64 / all.max(1) as f64;
        let right = both().filter(|(case, label)| case.truth == **label).count();
        let recall = |class: usize| {
            let own = both().filter(|(case, _)| case.truth == class);
            let all = own.clone().count();
            let right = own.filter(|(case, label)| case.truth == **label).count();
            (all > 0).then(|| share(right, all))
        };
        let recalls = (0..self.images.names.len()).filter_map(recall);
        let recalls: Vec<f64> = recalls.collect();
        let abnormal = labels.iter().filter(|label| !self.images.normal[**label]);
        [
            share(right, cases.len()),
            recalls.iter().sum::<f64>() / recalls.len().max(1) as f64,
            share(abnormal.count(), cases.len()),
        ]
    }
}

/// A unit embedding with noise of a length, made a unit vector again.
fn noisy(row: &[f32], length: f32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    if length <= 0.0 {
        return row.to_vec();
    }
    // The sum of twelve even draws is nearly normal, with variance 1.
    let mut normal = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    let each = length / (row.len() as f32).sqrt();
    let moved: Vec<f32> = row.iter().map(|own| own + each * normal()).collect();
    let norm = moved.iter().map(|own| own * own).sum::<f32>().sqrt();
    moved.iter().map(|own| own / norm).collect()
}

fn report(normal: f64, folders: &[MixedFolder]) -> MixReport {
    let mean = |of: &dyn Fn(&MixedFolder) -> f64| {
        let values: Vec<f64> = folders
            .iter()
            .map(of)
            .filter(|value| !value.is_nan())
            .collect();
        bootstrap_mean(&values)
    };
    let quality = |of: fn(&MixedFolder) -> &[f64; 3]| LabelQuality {
        accuracy: mean(&|own| of(own)[0]),
        balanced_accuracy: mean(&|own| of(own)[1]),
        abnormal: mean(&|own| of(own)[2]),
    };
    MixReport {
        normal,
        scores: quality(|own| &own.scores),
        corrected: quality(|own| &own.corrected),
        adjusted: quality(|own| &own.adjusted),
        accuracy_gain: mean(&|own| own.adjusted[0] - own.scores[0]),
        balanced_accuracy_gain: mean(&|own| own.adjusted[1] - own.scores[1]),
        estimated: mean(&|own| own.estimated),
    }
}

fn table(report: &AdjustBenchReport) -> String {
    let percent = |value: f64| format!("{:.1} %", value * 100.0);
    let points = |value: f64| format!("{:+.1}", value * 100.0);
    let conditions = report.conditions.iter();
    let conditions: Vec<String> = conditions
        .map(|(name, count)| format!("{count} {}", clean(name)))
        .collect();
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "model {}, prompts {}; {}: {}",
        report.model,
        clean(&report.prompts),
        report.images,
        conditions.join(", ")
    );
    let _ = writeln!(
        out,
        "noise {}; half of them calibrate; {} splits, each with a folder of {} images of every mix (mean, 95 % interval)",
        report.noise, report.seeds, report.folder
    );
    if report.withheld > 0 {
        let _ = writeln!(
            out,
            "in {} splits the calibration's own check withheld adjusting, and labels stay as they are",
            report.withheld
        );
    }
    for own in &report.mixes {
        let _ = writeln!(
            out,
            "\n{} normal (estimated {})",
            percent(own.normal),
            own.estimated.text(percent)
        );
        let (before, corrected, after) = (&own.scores, &own.corrected, &own.adjusted);
        let all = [before, corrected, after];
        let rows = [
            (
                "accuracy",
                all.map(|own| &own.accuracy),
                Some(&own.accuracy_gain),
            ),
            (
                "balanced accuracy",
                all.map(|own| &own.balanced_accuracy),
                Some(&own.balanced_accuracy_gain),
            ),
            ("called abnormal", all.map(|own| &own.abnormal), None),
        ];
        for (name, values, gain) in rows {
            let gain = gain.map_or_else(String::new, |gain| {
                format!("; {} points", gain.text(points))
            });
            let [before, corrected, after] = values.map(|own| percent(own.value));
            let _ = writeln!(
                out,
                "  {name:<18} scores {before}, corrected {corrected}, adjusted {after}{gain}"
            );
        }
    }
    out
}
