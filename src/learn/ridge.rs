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
    let residuals: Vec<Vec<f64>> = shots.iter().map(|shot| residual(problem, shot)).collect();
    let mut learned: Vec<Vec<f64>> = shots.iter().map(|s| centred(problem, s.row)).collect();
    let mut directions = centred_texts(problem);
    for (class, direction) in directions.iter_mut().enumerate() {
        let targets: Vec<f64> = residuals.iter().map(|row| row[class]).collect();
        let weights = solve_upper(&factor, &solve_lower(&factor, &targets));
        for (at, shot) in shots.iter().enumerate() {
            add(direction, weights[at] as f32, shot.row);
            // What the others say of it is its target less the weight over the diagonal of the inverse.
            let missing = weights[at] / leverages[at];
            learned[at][class] += targets[at] - missing;
        }
    }
    for row in &mut learned {
        for logit in row {
            *logit *= problem.scale;
        }
    }
    (directions, learned)
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
