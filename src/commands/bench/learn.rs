//! `bench learn`: what learning from a few labels gains on images that took no part, beside other methods on the same labels.

pub(super) mod images;
mod rivals;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::cli::LearnBenchArgs;
use crate::commands::progress::ProgressLine;
use crate::commands::{CommandSetup, Fault, exit, print};
use crate::learn::linear::dot;
use crate::learn::{Fitted, Problem, Shot, fit};
use crate::library::NOTICE;
use crate::media::clean;
use crate::scoring::metrics::{Estimate, bootstrap_mean};
use images::{LabelledImages, LabelledSource, PhantomSubject};
use rivals::Rival as _;

/// The methods, this program's own first.
const METHODS: [&str; 5] = [
    "learn",
    "learn, no gate",
    "linear probe",
    "Tip-Adapter",
    "GDA",
];

/// What was measured.
#[derive(Serialize)]
struct LearnBenchReport {
    model: String,
    model_digest: String,
    prompts: String,
    /// Where the images are from.
    images: String,
    /// The number of images of each condition.
    conditions: Vec<(String, usize)>,
    /// The number of patients, of whom none is on both sides of a split; `None` if some are not known.
    patients: Option<usize>,
    seeds: u64,
    /// The balanced accuracy of zero-shot on the test images of each split: mean and interval over splits.
    zero_shot: Estimate,
    shots: Vec<ShotReport>,
    notice: &'static str,
}

/// What was measured with so many labels of each condition.
#[derive(Serialize)]
struct ShotReport {
    /// Labelled images of each condition; fewer where there are no more.
    shots: u16,
    /// The mean gate of `learn`.
    gate: f64,
    methods: Vec<MethodReport>,
    /// The balanced accuracy of a logistic regression on the same labels that sees global statistics of the images only: mean and
    /// interval over splits.
    control: Estimate,
}

#[derive(Serialize)]
struct MethodReport {
    method: &'static str,
    /// Accuracy less that of zero-shot on the same images, from 0 to 1: mean and interval over splits.
    gain: Estimate,
    /// The lowest gain of all splits.
    worst: f64,
}

/// Measures; returns the exit code.
pub fn run(arguments: &LearnBenchArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let progress = ProgressLine::new();
    progress.message("loading the model");
    let mut encoder = setup.factory(None)().map_err(Fault::unusable)?;
    let source = LabelledSource {
        labels: arguments.labels.as_deref(),
        map: &arguments.map,
        drawn: PhantomSubject::Unseen,
        phantoms: arguments.phantoms,
    };
    let images = LabelledImages::read(&source, setup, encoder.as_mut(), &progress)?;
    if let Some(name) = images.of_one_patient() {
        return Err(Fault::usage(format!(
            "{} has images of one patient only, who cannot be on both sides of a split",
            clean(name)
        )));
    }
    let (control, seen) = images.control();
    let (shots_seen, shots): (Vec<Shot>, Vec<Shot>) = (seen.collect(), images.shots().collect());
    let (mut splits, mut controls) = (Vec::new(), Vec::new());
    for seed in 0..arguments.seeds {
        progress.set(seed, Some(arguments.seeds));
        splits.push(Split::new(&images.problem, &shots, seed));
        controls.push(Split::new(&control, &shots_seen, seed));
    }
    let zero_shot = splits.iter().map(Split::zero_shot);
    let zero_shot: Vec<f64> = zero_shot.collect();
    let mut shots = Vec::new();
    for count in &arguments.shots {
        progress.message(&format!("learning from {count} of each"));
        let control = controls.iter().map(|own| own.control(*count));
        let control: Vec<f64> = control.collect();
        let control = bootstrap_mean(&control);
        shots.push(measure(*count, &splits, &zero_shot, control));
    }
    progress.end();
    let card = encoder.card();
    let report = LearnBenchReport {
        model: card.id.clone(),
        model_digest: card.digest.clone(),
        prompts: images.prompts.clone(),
        images: images.source.clone(),
        conditions: images.counts(),
        patients: images.patients(),
        seeds: arguments.seeds,
        zero_shot: bootstrap_mean(&zero_shot),
        shots,
        notice: NOTICE,
    };
    if arguments.json {
        print::json(&report)?;
    } else {
        print::lines(&table(&report))?;
    }
    Ok(exit::OK)
}

/// A random split: a pool to learn from, and test images.
struct Split<'a> {
    problem: &'a Problem,
    pool: Vec<Shot<'a>>,
    test: Vec<Shot<'a>>,
}

impl<'a> Split<'a> {
    /// About half of the images of each condition are the pool, in a random order. All images of a patient are on one side.
    fn new(problem: &'a Problem, shots: &[Shot<'a>], seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut all = shots.to_vec();
        all.shuffle(&mut rng);
        let of_class = |class: usize| all.iter().filter(|shot| shot.label == class).count();
        let mut wanted: Vec<usize> = (0..problem.texts.len())
            .map(|at| of_class(at) / 2)
            .collect();
        let mut patients: BTreeMap<usize, Vec<Shot>> = BTreeMap::new();
        for shot in &all {
            patients.entry(shot.group).or_default().push(*shot);
        }
        let (mut pool, mut test) = (Vec::new(), Vec::new());
        for shot in &all {
            let Some(own) = patients.remove(&shot.group) else {
                continue;
            };
            let welcome = own.iter().filter(|shot| wanted[shot.label] > 0).count();
            if welcome * 2 > own.len() {
                for shot in &own {
                    wanted[shot.label] = wanted[shot.label].saturating_sub(1);
                }
                pool.extend(own);
            } else {
                test.extend(own);
            }
        }
        pool.sort_by_key(|shot| shot.label);
        pool.shuffle(&mut rng);
        Self {
            problem,
            pool,
            test,
        }
    }

    /// The balanced accuracy of what logistic regression learns from so many labels of each condition; of statistics that are
    /// standardised by the pool.
    fn control(&self, count: u16) -> f64 {
        let scale = Standard::new(&self.pool);
        let (labelled, _) = self.drawn(count);
        let rows: Vec<Vec<f32>> = labelled.iter().map(|shot| scale.of(shot.row)).collect();
        let both = labelled.iter().zip(&rows);
        let labelled: Vec<Shot> = both.map(|(shot, row)| Shot { row, ..*shot }).collect();
        let probe = rivals::probe(self.problem, &labelled);
        self.accuracy(|row| probe.logits(&scale.of(row)))
    }

    fn zero_shot(&self) -> f64 {
        self.accuracy(|row| self.problem.zero_shot(row))
    }

    /// The share of test images whose condition has the highest logit: the mean over the conditions, so that a split in which one
    /// is frequent does not reward guessing it.
    fn accuracy(&self, logits: impl Fn(&[f32]) -> Vec<f64>) -> f64 {
        let is_right = |shot: &&Shot| {
            let logits = logits(shot.row);
            let others = logits.iter().enumerate();
            others
                .filter(|(class, _)| *class != shot.label)
                .all(|(_, other)| *other < logits[shot.label])
        };
        let of_class = |class: usize| {
            let own = self.test.iter().filter(|shot| shot.label == class);
            let count = own.clone().count();
            (count > 0).then(|| own.filter(is_right).count() as f64 / count as f64)
        };
        let shares: Vec<f64> = (0..self.problem.texts.len()).filter_map(of_class).collect();
        shares.iter().sum::<f64>() / shares.len().max(1) as f64
    }

    /// The first images of each condition, with their labels, and all others without.
    fn drawn(&self, count: u16) -> (Vec<Shot<'a>>, Vec<&'a [f32]>) {
        let mut left = vec![count; self.problem.texts.len()];
        let (mut labelled, mut others) = (Vec::new(), Vec::new());
        for shot in &self.pool {
            if left[shot.label] > 0 {
                left[shot.label] -= 1;
                labelled.push(*shot);
            } else {
                others.push(shot.row);
            }
        }
        (labelled, others)
    }
}

/// The mean and the deviation of each number.
struct Standard(Vec<(f32, f32)>);

impl Standard {
    fn new(shots: &[Shot]) -> Self {
        let length = shots.first().map_or(0, |shot| shot.row.len());
        let count = shots.len().max(1) as f32;
        let of = |at: usize| {
            let values = shots.iter().map(|shot| shot.row[at]);
            let mean = values.clone().sum::<f32>() / count;
            let spread = values.map(|own| (own - mean).powi(2)).sum::<f32>() / count;
            (mean, spread.sqrt().max(1e-6))
        };
        Self((0..length).map(of).collect())
    }

    fn of(&self, row: &[f32]) -> Vec<f32> {
        let both = row.iter().zip(&self.0);
        both.map(|(own, (mean, spread))| (own - mean) / spread)
            .collect()
    }
}

/// The logits of an image with what was learned, `gate` of them.
fn mixed(problem: &Problem, fitted: &Fitted, gate: f64, row: &[f32]) -> Vec<f64> {
    let text = problem.zero_shot(row);
    let learned = fitted.directions.iter();
    let learned = learned.map(|own| problem.scale * f64::from(dot(row, own)));
    let both = text.iter().zip(learned);
    both.map(|(text, learned)| (1.0 - gate) * text + gate * learned)
        .collect()
}

fn measure(count: u16, splits: &[Split], zero_shot: &[f64], control: Estimate) -> ShotReport {
    let mut gains = vec![Vec::new(); METHODS.len()];
    let mut gate = 0.0;
    for (split, before) in splits.iter().zip(zero_shot) {
        let (labelled, others) = split.drawn(count);
        let problem = split.problem;
        let accuracies = match fit(problem, &labelled, &others) {
            Ok(fitted) => {
                gate += fitted.gate / splits.len() as f64;
                let of_gate = |gate| split.accuracy(|row| mixed(problem, &fitted, gate, row));
                [of_gate(fitted.gate), of_gate(1.0)]
            }
            Err(_) => [*before; 2],
        };
        let rivals = rivals::all(problem, &labelled);
        let rivals = rivals
            .iter()
            .map(|rival| split.accuracy(|row| rival.logits(row)));
        for (gains, after) in gains.iter_mut().zip(accuracies.into_iter().chain(rivals)) {
            gains.push(after - before);
        }
    }
    let methods = METHODS.iter().zip(gains);
    let methods = methods.map(|(method, gains)| MethodReport {
        method,
        gain: bootstrap_mean(&gains),
        worst: gains.iter().copied().fold(f64::INFINITY, f64::min),
    });
    ShotReport {
        shots: count,
        gate,
        methods: methods.collect(),
        control,
    }
}

fn table(report: &LearnBenchReport) -> String {
    let mut out = String::new();
    let conditions = report.conditions.iter();
    let conditions: Vec<String> = conditions
        .map(|(name, count)| format!("{count} {}", clean(name)))
        .collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "model {}, prompts {}; {}: {}",
        report.model,
        clean(&report.prompts),
        report.images,
        conditions.join(", ")
    );
    let percent = |value: f64| format!("{:.1} %", value * 100.0);
    let points = |value: f64| format!("{:+.1}", value * 100.0);
    let _ = writeln!(
        out,
        "zero-shot balanced accuracy on the half of the images that takes no part, {} splits (mean, 95 % interval): {}",
        report.seeds,
        report.zero_shot.text(percent)
    );
    for own in &report.shots {
        let _ = writeln!(
            out,
            "\n{} labelled of each condition: points of balanced accuracy gained (mean gate {:.2})",
            own.shots, own.gate
        );
        for method in &own.methods {
            let gain = method.gain.text(points);
            let worst = points(method.worst);
            let _ = writeln!(out, "  {:<16}{gain:<28} worst {worst}", method.method);
        }
        let control = own.control.text(percent);
        let _ = writeln!(
            out,
            "  zero-shot and what learn gained: {:.1} %; a control that sees only brightness and contrast gets {control}",
            (report.zero_shot.value + own.methods[0].gain.value) * 100.0
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn problem(length: usize) -> Problem {
        Problem {
            texts: vec![vec![0.0; length]; 2],
            offsets: vec![0.0; 2],
            scale: 1.0,
        }
    }

    /// Twenty images of each of two conditions, four of a patient.
    fn shots(rows: &[Vec<f32>]) -> Vec<Shot<'_>> {
        let all = rows.iter().enumerate();
        all.map(|(at, row)| Shot {
            row,
            label: at % 2,
            group: at / 4,
        })
        .collect()
    }

    #[test]
    fn no_patient_is_on_both_sides_of_a_split() {
        let (problem, rows) = (problem(1), vec![vec![0.0]; 40]);
        let shots = shots(&rows);
        for seed in 0..20 {
            let split = Split::new(&problem, &shots, seed);
            let groups = |side: &[Shot]| side.iter().map(|shot| shot.group).collect::<HashSet<_>>();
            assert!(groups(&split.pool).is_disjoint(&groups(&split.test)));
            assert_eq!(split.pool.len() + split.test.len(), 40);
            assert!(
                (12..=28).contains(&split.pool.len()),
                "{}",
                split.pool.len()
            );
        }
    }

    #[test]
    fn the_control_finds_what_brightness_tells_and_nothing_else() {
        let problem = problem(2);
        // The second number is noise.
        let noise = |at: usize| (at * 37 % 41) as f32 / 41.0;
        let bright = |at: usize| vec![0.4 + 0.1 * (at % 2) as f32, noise(at)];
        let told: Vec<Vec<f32>> = (0..40).map(bright).collect();
        let same: Vec<Vec<f32>> = (0..40).map(|at| vec![noise(at + 3), noise(at)]).collect();
        let reached = |rows: &[Vec<f32>]| {
            let all = (0..10).map(|seed| Split::new(&problem, &shots(rows), seed).control(8));
            all.sum::<f64>() / 10.0
        };
        assert!(reached(&told) > 0.99, "{}", reached(&told));
        assert!((0.3..0.7).contains(&reached(&same)), "{}", reached(&same));
    }
}
