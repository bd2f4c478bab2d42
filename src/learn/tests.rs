//! What a user relies on: no harm without evidence, gains with it, and the same numbers every time.

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::linear::{dot, normalize};
use super::*;
use crate::scoring::{Mode, Scorer};

const LENGTH: usize = 24;

/// Images around the centre of each condition, in a direction that all share, as embeddings are.
struct World {
    centres: Vec<Vec<f32>>,
    rng: ChaCha8Rng,
}

impl World {
    fn new(classes: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut centre = || -> Vec<f32> {
            let mut row: Vec<f32> = (0..LENGTH).map(|_| rng.random_range(-1.0..1.0)).collect();
            normalize(&mut row);
            row
        };
        let common = centre();
        let centres = (0..classes).map(|_| {
            let mut row = common.clone();
            linear::add(&mut row, 0.7, &centre());
            normalize(&mut row);
            row
        });
        let centres = centres.collect();
        Self { centres, rng }
    }

    fn near(&mut self, centre: &[f32], spread: f32) -> Vec<f32> {
        let mut row: Vec<f32> = centre.to_vec();
        for value in &mut row {
            *value += spread * self.rng.random_range(-1.0..1.0);
        }
        normalize(&mut row);
        row
    }

    fn images(&mut self, each: usize) -> Vec<(Vec<f32>, usize)> {
        let classes = self.centres.len();
        let labels = (0..each * classes).map(|at| at % classes);
        let labels: Vec<usize> = labels.collect();
        let draw = |label: usize| {
            let centre = self.centres[label].clone();
            (self.near(&centre, 0.22), label)
        };
        labels.into_iter().map(draw).collect()
    }

    /// Texts that lie at some distance from the centres.
    fn problem(&mut self, error: f32) -> Problem {
        let centres = self.centres.clone();
        let texts = centres.iter().map(|centre| self.near(centre, error));
        Problem {
            texts: texts.collect(),
            offsets: vec![0.0; centres.len()],
            scale: 20.0,
        }
    }
}

fn shots(images: &[(Vec<f32>, usize)]) -> Vec<Shot<'_>> {
    let all = images.iter().enumerate();
    let shots = all.map(|(group, (row, label))| Shot {
        row,
        label: *label,
        group,
    });
    shots.collect()
}

fn rows(images: &[(Vec<f32>, usize)]) -> Vec<&[f32]> {
    images.iter().map(|(row, _)| row.as_slice()).collect()
}

/// The share of images whose label is found.
fn accuracy(problem: &Problem, fitted: Option<&Fitted>, images: &[(Vec<f32>, usize)]) -> f64 {
    let is_right = |(row, label): &&(Vec<f32>, usize)| {
        let text = problem.zero_shot(row);
        let learned = fitted.map_or(text.clone(), |fitted| {
            let directions = fitted.directions.iter();
            let scores = directions.map(|own| problem.scale * f64::from(dot(own, row)));
            scores.collect()
        });
        let pair = LogitPair {
            truth: *label,
            text,
            learned,
        };
        let mixed = pair.probabilities(fitted.map_or(0.0, |fitted| fitted.gate));
        mixed.iter().all(|p| *p <= mixed[*label])
    };
    images.iter().filter(is_right).count() as f64 / images.len() as f64
}

#[test]
fn a_few_labels_repair_weak_texts_with_and_without_unlabelled_images() {
    let (mut gains, mut gains_alone) = (Vec::new(), Vec::new());
    for seed in 0..10 {
        let mut world = World::new(4, seed);
        let problem = world.problem(0.35);
        let (labelled, others, test) = (world.images(4), world.images(50), world.images(100));
        let before = accuracy(&problem, None, &test);
        let fitted = fit(&problem, &shots(&labelled), &rows(&others)).unwrap();
        gains.push(accuracy(&problem, Some(&fitted), &test) - before);
        let alone = fit(&problem, &shots(&labelled), &[]).unwrap();
        assert_eq!(alone.method, Method::Ridge);
        gains_alone.push(accuracy(&problem, Some(&alone), &test) - before);
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    assert!(mean(&gains) > 0.1, "{gains:?}");
    assert!(mean(&gains_alone) > 0.05, "{gains_alone:?}");
}

#[test]
fn one_label_of_each_condition_does_not_spoil_good_texts() {
    let mut lost = 0.0;
    for seed in 0..20 {
        let mut world = World::new(4, seed);
        let problem = world.problem(0.05);
        let (labelled, others, test) = (world.images(1), world.images(20), world.images(100));
        for unlabelled in [rows(&others), Vec::new()] {
            let fitted = fit(&problem, &shots(&labelled), &unlabelled).unwrap();
            let both = [None, Some(&fitted)].map(|own| accuracy(&problem, own, &test));
            lost += (both[0] - both[1]) / 40.0;
        }
    }
    assert!(lost < 0.01, "{lost}");
}

#[test]
fn what_does_harm_to_images_that_took_no_part_is_no_gain() {
    let held_out = |before: f64, after: f64| HeldOut {
        truth: 1,
        before: vec![1.0 - before, before],
        after: vec![1.0 - after, after],
    };
    assert!(is_gain(&[held_out(0.4, 0.9), held_out(0.5, 0.45)]));
    assert!(!is_gain(&[held_out(0.9, 0.4), held_out(0.45, 0.5)]));
    assert!(!is_gain(&[held_out(0.5, 0.5)]));
}

#[test]
fn what_is_refused_says_why() {
    let mut world = World::new(2, 1);
    let problem = world.problem(0.1);
    let images = world.images(2);
    assert_eq!(fit(&problem, &[], &[]).unwrap_err(), LearnError::NoLabels);
    let same: Vec<Shot> = shots(&images)
        .into_iter()
        .filter(|s| s.label == 0)
        .collect();
    assert_eq!(fit(&problem, &same, &[]).unwrap_err(), LearnError::OneLabel);
    let short = [0.5_f32; 3];
    let error = fit(&problem, &shots(&images), &[&short]).unwrap_err();
    assert_eq!(error, LearnError::Length(3, LENGTH));
}

/// The largest difference of the logits that ridge regression gives images without their groups from those that it gives them after
/// learning from the others alone.
fn largest_error(problem: &Problem, all: &[Shot]) -> f64 {
    let fits = ridge::Ridge::new(all).fits(problem, all);
    let mut largest = 0.0_f64;
    for (at, shot) in all.iter().enumerate() {
        let others: Vec<Shot> = all
            .iter()
            .filter(|own| own.group != shot.group)
            .copied()
            .collect();
        let alone = ridge::Ridge::new(&others).fits(problem, &others);
        for (fit, alone) in fits.iter().zip(&alone) {
            for (direction, logit) in alone.directions.iter().zip(&fit.held_out[at]) {
                let found = problem.scale * f64::from(dot(direction, shot.row));
                largest = largest.max((found - logit).abs());
            }
        }
    }
    largest
}

#[test]
fn ridge_leaves_groups_out_exactly_by_images_and_by_numbers() {
    let mut world = World::new(3, 5);
    let problem = world.problem(0.3);
    // One image more than an embedding has numbers is solved for by numbers, and without it by images.
    let images = world.images(10);
    for count in [12, LENGTH, LENGTH + 1, 30] {
        let mut all = shots(&images[..count]);
        let error = largest_error(&problem, &all);
        assert!(error < 2e-3, "{count} images: {error}");
        for shot in &mut all {
            shot.group /= 3;
        }
        let error = largest_error(&problem, &all);
        assert!(error < 2e-3, "{count} images in threes: {error}");
    }
}

#[test]
fn a_patient_of_more_images_than_numbers_is_left_out_exactly() {
    let mut world = World::new(2, 13);
    let problem = world.problem(0.2);
    let images = world.images(40);
    let mut all = shots(&images);
    for (at, shot) in all.iter_mut().enumerate() {
        // Fifty images of one patient, each of which has 24 numbers, and thirty of others.
        shot.group = if at < 50 { 0 } else { at };
    }
    let error = largest_error(&problem, &all);
    assert!(error < 2e-3, "{error}");
}

#[test]
fn images_of_one_patient_do_not_examine_each_other() {
    // Two patients of each label, all slices of a patient being nearly the same, and labels that mean nothing.
    let mut world = World::new(2, 11);
    let problem = world.problem(0.1);
    let mut images = Vec::new();
    for patient in 0..4 {
        let centre = world.centres[patient / 2].clone();
        let place = world.near(&centre, 0.4);
        images.extend((0..10).map(|_| (world.near(&place, 0.01), patient % 2)));
    }
    let mut all = shots(&images);
    let right = |all: &[Shot]| {
        let fitted = fit(&problem, all, &[]).unwrap();
        let right = fitted
            .held_out
            .iter()
            .filter(|own| own.after[own.truth] > 0.5);
        right.count()
    };
    assert_eq!(right(&all), 40, "each is told by the next slice");
    for shot in &mut all {
        shot.group /= 10;
    }
    assert!(right(&all) <= 20, "{}", right(&all));
}

#[test]
fn many_labels_are_learned_by_the_better_method() {
    let mut world = World::new(4, 9);
    let problem = world.problem(0.35);
    let (labelled, others, test) = (world.images(40), world.images(50), world.images(100));
    let fitted = fit(&problem, &shots(&labelled), &rows(&others)).unwrap();
    let learned = accuracy(&problem, Some(&fitted), &test);
    for unlabelled in [rows(&others), Vec::new()] {
        let directions = if unlabelled.is_empty() {
            let shots = shots(&labelled);
            let fits = ridge::Ridge::new(&shots).fits(&problem, &shots);
            let last = fits.into_iter().last();
            last.map_or(Vec::new(), |fit| fit.directions)
        } else {
            directions(&problem, &shots(&labelled), &unlabelled)
        };
        let alone = Fitted {
            directions,
            gate: 1.0,
            ..fitted.clone()
        };
        let alone = accuracy(&problem, Some(&alone), &test);
        assert!(learned >= alone - 0.01, "{learned} {alone}");
    }
}

#[test]
fn transport_leaves_one_out_exactly_where_each_image_is_its_own_fold() {
    let mut world = World::new(3, 6);
    let problem = world.problem(0.3);
    let (images, others) = (world.images(4), world.images(20));
    let (all, others) = (shots(&images), rows(&others));
    let folds = folds(&all, MAX_FOLDS);
    assert_eq!(folds.iter().max(), Some(&(all.len() - 1)));
    let transport = transport::Transport::new(&problem, &others);
    let held_out = transport.held_out(&all, &folds);
    for (at, logits) in held_out.iter().enumerate() {
        let mut rest = all.clone();
        let left_out = rest.remove(at);
        let directions = transport.directions(&rest, None);
        for (direction, logit) in directions.iter().zip(logits) {
            let found = problem.scale * f64::from(dot(direction, left_out.row));
            assert!((found - logit).abs() < 1e-3, "{found} {logit}");
        }
    }
}

#[test]
fn folds_are_few_and_hold_all_labels_alike() {
    let mut world = World::new(2, 7);
    let images = world.images(40);
    let folds = folds(&shots(&images), MAX_FOLDS);
    for fold in 0..MAX_FOLDS {
        let labels: Vec<usize> = folds
            .iter()
            .zip(&images)
            .filter(|(own, _)| **own == fold)
            .map(|(_, image)| image.1)
            .collect();
        assert_eq!(labels.len(), 5, "fold {fold}");
        assert!(labels.contains(&0) && labels.contains(&1), "fold {fold}");
    }
}

#[test]
fn the_comparison_counts_images_and_its_intervals_hold_the_gain() {
    let held_out = |before: f64, after: f64| HeldOut {
        truth: 0,
        before: vec![before, 1.0 - before],
        after: vec![after, 1.0 - after],
    };
    let all: Vec<HeldOut> = (0..20)
        .map(|at| held_out(0.4, if at < 15 { 0.8 } else { 0.3 }))
        .collect();
    let images: Vec<Vec<&HeldOut>> = all.iter().map(|own| vec![own]).collect();
    let found = LearningGain::new(&images, &(0..20).collect::<Vec<_>>()).unwrap();
    assert_eq!((found.images, found.accuracy_before), (20, 0.0));
    assert!((found.accuracy_after - 0.75).abs() < 1e-12);
    let gain = found.accuracy_gain;
    assert!(gain.low.unwrap() > 0.5 && gain.low.unwrap() < 0.75 && gain.high.unwrap() > 0.75);
    let fall = -(0.4_f64.ln()) + 0.75 * 0.8_f64.ln() + 0.25 * 0.3_f64.ln();
    assert!((found.log_loss_gain.value - fall).abs() < 1e-12);
    assert!(LearningGain::new(&[], &[]).is_none());
}

proptest! {
    /// Each image is shared out whole, and the conditions get what was asked for as nearly as the last half step leaves it.
    #[test]
    fn transport_keeps_the_mass_of_images_and_meets_the_marginal(
        seed in 0_u64..500, images in 8_usize..60, skew in 0.05_f64..0.95,
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut shares: Vec<f64> = (0..images * 2).map(|_| rng.random_range(0.05..1.0)).collect();
        let marginal = [skew, 1.0 - skew];
        transport::assign(&mut shares, &marginal);
        let mut mass = [0.0; 2];
        for row in shares.chunks(2) {
            prop_assert!((row[0] + row[1] - 1.0).abs() < 1e-9);
            mass[0] += row[0] / images as f64;
            mass[1] += row[1] / images as f64;
        }
        prop_assert!((mass[0] - skew).abs() < 0.02, "{mass:?} {skew}");
    }

    /// No gate between has less loss, and without a gain it is shut.
    #[test]
    fn the_gate_has_the_least_loss(seed in 0_u64..500, count in 1_usize..12) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut logits = || (0..3).map(|_| rng.random_range(-4.0..4.0)).collect::<Vec<f64>>();
        let pairs: Vec<LogitPair> = (0..count)
            .map(|at| LogitPair { truth: at % 3, text: logits(), learned: logits() })
            .collect();
        let loss = |gate: f64| -> f64 {
            pairs.iter().map(|pair| -pair.probabilities(gate)[pair.truth].ln()).sum()
        };
        let best = gate::best(pairs.iter());
        for step in 0..=20 {
            let gate = f64::from(step) / 20.0;
            prop_assert!(loss(best) <= loss(gate) + 1e-6, "{best} {gate}");
        }
        let same: Vec<LogitPair> = pairs
            .iter()
            .map(|pair| LogitPair { learned: pair.text.clone(), ..pair.clone() })
            .collect();
        prop_assert_eq!(gate::best(same.iter()).to_bits(), 0);
    }

    /// The order of images does not matter beyond rounding, and the same images give the same bits.
    #[test]
    fn learning_is_repeatable(seed in 0_u64..200) {
        let mut world = World::new(3, seed);
        let problem = world.problem(0.3);
        let (labelled, others) = (world.images(3), world.images(12));
        let first = fit(&problem, &shots(&labelled), &rows(&others)).unwrap();
        let again = fit(&problem, &shots(&labelled), &rows(&others)).unwrap();
        prop_assert_eq!(&first, &again);
        let turned: Vec<&[f32]> = rows(&others).into_iter().rev().collect();
        let other = fit(&problem, &shots(&labelled), &turned).unwrap();
        prop_assert!((first.gate - other.gate).abs() < 0.02);
    }
}

/// Three findings, each on its own: the texts point elsewhere than what the findings look like, and are weak.
fn several() -> Scorer {
    const SET: &str = r#"
name = "several"
[[condition]]
name = "effusion"
phrases = ["effusion"]
absent = ["no effusion"]
[[condition]]
name = "mass"
phrases = ["mass"]
absent = ["no mass"]
[[condition]]
name = "device"
phrases = ["device"]
absent = ["no device"]
"#;
    let set = crate::prompts::PromptSet::parse(SET, "several.toml").unwrap();
    let logits = crate::scoring::Logits {
        scale: 20.0,
        bias: None,
    };
    let scorer = Scorer::new(&set, Mode::Multi, logits, |texts| {
        let row = |text: &String| {
            let axis = match text.rsplit(' ').next() {
                Some("effusion") => 10,
                Some("mass") => 11,
                _ => 12,
            };
            let mut row = vec![0.3; LENGTH];
            row[axis] = if text.starts_with("no ") { -1.0 } else { 1.0 };
            normalize(&mut row);
            row
        };
        Ok::<_, std::convert::Infallible>(texts.iter().map(row).collect())
    });
    scorer.unwrap()
}

/// Images of which any may show an effusion (along the first axis), a mass (along the second), both or neither.
fn with_findings(count: usize, seed: u64) -> Vec<(Vec<f32>, Vec<String>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let one = |at: usize| {
        let mut row: Vec<f32> = (0..LENGTH)
            .map(|_| 0.2 + 0.1 * rng.random_range(-1.0..1.0))
            .collect();
        let findings = [
            ("effusion", at.is_multiple_of(2)),
            ("mass", at.is_multiple_of(3)),
        ];
        for (axis, (_, is_there)) in findings.iter().enumerate() {
            row[axis] += if *is_there { 0.6 } else { -0.2 };
        }
        normalize(&mut row);
        let said = findings.iter().filter(|(_, is_there)| *is_there);
        (row, said.map(|(name, _)| (*name).to_owned()).collect())
    };
    (0..count).map(one).collect()
}

/// The conditions that a verdict finds.
fn found(scorer: &Scorer, row: &[f32]) -> Vec<String> {
    let verdict = scorer.verdict(row);
    let present = verdict.scores.iter().filter(|score| score.is_present());
    let mut names: Vec<String> = present.map(|score| score.condition.clone()).collect();
    names.sort();
    names
}

#[test]
fn images_of_one_patient_teach_nothing_as_none_can_be_held_out() {
    let marks = ["p".to_owned()];
    let reviewed = with_findings(48, 1);
    let images: Vec<ReviewedImage> = reviewed
        .iter()
        .map(|(row, labels)| ReviewedImage {
            embedding: row,
            labels: Some(labels),
            patients: &marks,
        })
        .collect();
    assert_eq!(learn(&several(), &images), Err(LearnError::OnePatient));
}

#[test]
fn a_condition_of_which_nothing_is_learned_counts_as_it_is_scored() {
    // Effusions can be told; who has a mass is said by a coin.
    let mut reviewed = with_findings(60, 1);
    for (at, (_, labels)) in reviewed.iter_mut().enumerate() {
        labels.retain(|own| own != "mass");
        labels.extend((at * 7 % 11 < 5).then(|| "mass".to_owned()));
    }
    let images: Vec<ReviewedImage> = reviewed
        .iter()
        .map(|(row, labels)| ReviewedImage {
            embedding: row,
            labels: Some(labels),
            patients: &[],
        })
        .collect();
    let lesson = learn(&several(), &images).unwrap();
    let gates: Vec<(&str, bool)> = lesson
        .conditions
        .iter()
        .map(|own| (own.condition.as_str(), own.gate > 0.0))
        .collect();
    assert_eq!(gates, [("effusion", true), ("mass", false)]);
    let scorer = several();
    let is_right = |condition: &str, score: f64, labels: &[String]| {
        (score > 0.5) == labels.iter().any(|own| own == condition)
    };
    let by_texts = |condition: &str| {
        let right = reviewed.iter().filter(|(row, labels)| {
            let scores = scorer.verdict(row).scores;
            let own = scores
                .iter()
                .find(|own| own.condition == condition)
                .unwrap();
            is_right(condition, own.probability, labels)
        });
        right.count() as f64 / reviewed.len() as f64
    };
    let [effusion, mass] = ["effusion", "mass"].map(by_texts);
    let own = lesson.comparison;
    assert!((own.accuracy_before - f64::midpoint(effusion, mass)).abs() < 1e-9);
    // All that can have changed is what is told of effusions, of which none is wrong.
    let after = own.accuracy_after;
    assert!((after - f64::midpoint(1.0, mass)).abs() < 0.02, "{after}");
}

#[test]
fn reviews_with_several_labels_teach_each_condition_by_itself() {
    let zero_shot = several();
    let reviewed = with_findings(48, 1);
    let images: Vec<ReviewedImage> = reviewed
        .iter()
        .map(|(row, labels)| ReviewedImage {
            embedding: row,
            labels: Some(labels),
            patients: &[],
        })
        .collect();
    let lesson = learn(&zero_shot, &images).unwrap();
    let taught: Vec<&str> = lesson
        .conditions
        .iter()
        .map(|own| own.condition.as_str())
        .collect();
    // No review says that a device is there, so nothing can be learned of devices.
    assert_eq!(taught, ["effusion", "mass"]);
    assert_eq!(lesson.reviews, 48);
    let learned = zero_shot.clone().learning(&lesson.conditions);
    let others = with_findings(120, 2);
    let is_right = |scorer: &Scorer, labels: &[String], row: &[f32]| {
        let found = found(scorer, row);
        let of = |name: &str| {
            let is_in = |list: &[String]| list.iter().any(|own| own == name);
            is_in(&found) == is_in(labels)
        };
        usize::from(of("effusion")) + usize::from(of("mass"))
    };
    let right = |scorer: &Scorer| -> usize {
        let all = others.iter();
        all.map(|(row, labels)| is_right(scorer, labels, row)).sum()
    };
    let (before, after) = (right(&zero_shot), right(&learned));
    assert!(
        after >= 228 && after > before + 40,
        "{before} {after} of 240"
    );
    let score = |scorer: &Scorer| {
        let scores = scorer.verdict(&others[0].0).scores;
        scores.into_iter().find(|score| score.condition == "device")
    };
    assert_eq!(score(&learned), score(&zero_shot), "as before");
}
