//! Ridge regression that starts at the texts: the smallest change of the directions with which labelled images get their labels.
//!
//! For labelled images `X` `[n, d]`, directions `T` of the texts and targets `Y` `[n, conditions]`, both as cosines, it is
//! `W = T + (Y − X·Tᵀ)ᵀ·(X·Xᵀ + λ)⁻¹·X`. Scores are centred over the conditions of each image, as only differences count.

use super::linear::{add, cholesky, dot, solve_lower, solve_upper};
use super::{Problem, Shot};

/// λ, for embeddings of unit length.
const PENALTY: f64 = 0.5;
/// The probability that a labelled image shall have for its condition.
const TARGET: f64 = 0.9;

/// A direction for each condition, and the learned logits of each shot without its label: exact leave-one-out (Allen 1974).
pub(super) fn fit(problem: &Problem, shots: &[Shot]) -> (Vec<Vec<f32>>, Vec<Vec<f64>>) {
    let residuals: Vec<Vec<f64>> = shots.iter().map(|shot| residual(problem, shot)).collect();
    let length = problem.texts.first().map_or(0, Vec::len);
    let changes = if shots.len() <= length {
        by_images(shots, &residuals)
    } else {
        by_numbers(shots, &residuals, length)
    };
    let mut learned: Vec<Vec<f64>> = shots.iter().map(|s| centred(problem, s.row)).collect();
    let mut directions = centred_texts(problem);
    for (class, (direction, change)) in directions.iter_mut().zip(changes).enumerate() {
        add(direction, 1.0, &change.direction);
        for (row, value) in learned.iter_mut().zip(change.left_out) {
            row[class] = problem.scale * (row[class] + value);
        }
    }
    (directions, learned)
}

/// How the direction of a condition changes.
struct DirectionChange {
    direction: Vec<f32>,
    /// The change of each image's score, without its label.
    left_out: Vec<f64>,
}

/// Solves for the weights of images, `(X·Xᵀ + λ)⁻¹`: quick for few of them.
fn by_images(shots: &[Shot], residuals: &[Vec<f64>]) -> Vec<DirectionChange> {
    let n = shots.len();
    let mut kernel = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            kernel[i * n + j] = f64::from(dot(shots[i].row, shots[j].row));
        }
        kernel[i * n + i] += PENALTY;
    }
    let factor = cholesky(&kernel, n);
    let leverages = leverages(&factor, n);
    of_each_class(residuals, |targets| {
        let weights = solve_upper(&factor, &solve_lower(&factor, targets));
        let mut direction = vec![0.0; shots.first().map_or(0, |shot| shot.row.len())];
        for (weight, shot) in weights.iter().zip(shots) {
            add(&mut direction, *weight as f32, shot.row);
        }
        // What the others say of an image is its target less the weight over the diagonal of the inverse.
        let parts = targets.iter().zip(&weights).zip(&leverages);
        let left_out = parts.map(|((target, weight), leverage)| target - weight / leverage);
        DirectionChange {
            direction,
            left_out: left_out.collect(),
        }
    })
}

/// Solves for the numbers of a direction, `(Xᵀ·X + λ)⁻¹·Xᵀ`, which is the same: quick for many images.
fn by_numbers(shots: &[Shot], residuals: &[Vec<f64>], d: usize) -> Vec<DirectionChange> {
    let mut gram = vec![0.0; d * d];
    for shot in shots {
        for (i, value) in shot.row.iter().enumerate() {
            let value = f64::from(*value);
            let row = gram[i * d..=i * d + i].iter_mut().zip(shot.row);
            row.for_each(|(sum, other)| *sum += value * f64::from(*other));
        }
    }
    for i in 0..d {
        gram[i * d + i] += PENALTY;
    }
    let factor = cholesky(&gram, d);
    let wide = |row: &[f32]| row.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
    // The diagonal of X·(Xᵀ·X + λ)⁻¹·Xᵀ.
    let leverages: Vec<f64> = shots
        .iter()
        .map(|shot| {
            solve_lower(&factor, &wide(shot.row))
                .iter()
                .map(|v| v * v)
                .sum()
        })
        .collect();
    of_each_class(residuals, |targets| {
        let mut sums = vec![0.0; d];
        for (target, shot) in targets.iter().zip(shots) {
            for (sum, value) in sums.iter_mut().zip(shot.row) {
                *sum += target * f64::from(*value);
            }
        }
        let direction = solve_upper(&factor, &solve_lower(&factor, &sums));
        let direction: Vec<f32> = direction.into_iter().map(|v| v as f32).collect();
        let parts = targets.iter().zip(shots).zip(&leverages);
        let left_out = parts.map(|((target, shot), leverage)| {
            let all = f64::from(dot(&direction, shot.row));
            target - (target - all) / (1.0 - leverage).max(1e-9)
        });
        let left_out = left_out.collect();
        DirectionChange {
            direction,
            left_out,
        }
    })
}

/// Calls `solve` with the targets of each class.
fn of_each_class(
    residuals: &[Vec<f64>],
    solve: impl Fn(&[f64]) -> DirectionChange,
) -> Vec<DirectionChange> {
    let classes = residuals.first().map_or(0, Vec::len);
    let targets = |class: usize| residuals.iter().map(|row| row[class]).collect::<Vec<f64>>();
    (0..classes).map(|class| solve(&targets(class))).collect()
}

/// The diagonal of the inverse of `L·Lᵀ`.
fn leverages(factor: &[f64], n: usize) -> Vec<f64> {
    let mut diagonal = vec![0.0; n];
    for column in 0..n {
        let mut unit = vec![0.0; n];
        unit[column] = 1.0;
        let inverse = solve_lower(factor, &unit);
        diagonal[column] = inverse.iter().map(|value| value * value).sum();
    }
    diagonal
}

/// The texts less their mean, in units of cosine; what an offset says is not part of a direction.
fn centred_texts(problem: &Problem) -> Vec<Vec<f32>> {
    let count = problem.texts.len() as f32;
    let mut mean = vec![0.0; problem.texts.first().map_or(0, Vec::len)];
    for text in &problem.texts {
        add(&mut mean, 1.0 / count, text);
    }
    let texts = problem.texts.iter().map(|text| {
        let mut own = text.clone();
        add(&mut own, -1.0, &mean);
        own
    });
    texts.collect()
}

/// The cosines of an image with the texts, less their mean.
fn centred(problem: &Problem, row: &[f32]) -> Vec<f64> {
    let cosines = problem.texts.iter().map(|text| f64::from(dot(row, text)));
    let cosines: Vec<f64> = cosines.collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    cosines.into_iter().map(|cosine| cosine - mean).collect()
}

/// What a labelled image's scores lack to give its condition the probability [`TARGET`], the others sharing the rest.
fn residual(problem: &Problem, shot: &Shot) -> Vec<f64> {
    let classes = problem.texts.len() as f64;
    let margin = (TARGET * (classes - 1.0) / (1.0 - TARGET)).ln() / problem.scale;
    let cosines = centred(problem, shot.row).into_iter().enumerate();
    let lacking = cosines.map(|(class, cosine)| {
        let wanted = if class == shot.label { margin } else { 0.0 };
        wanted - margin / classes - cosine
    });
    lacking.collect()
}
