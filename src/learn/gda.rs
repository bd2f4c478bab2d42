//! Gaussian discriminant analysis with a common covariance, beside the texts (Wang et al. 2024, arXiv 2402.04087).

use super::linear::{add, cholesky, dot, solve_lower, solve_upper};
use super::{Problem, Shot};

/// The ridge with which all labelled images are made to have the same dot product with one direction.
const COMMON_RIDGE: f64 = 1e-2;

/// What discriminant analysis adds to the logits of the texts.
pub(crate) struct Gda {
    weights: Vec<Vec<f32>>,
    offsets: Vec<f64>,
}

impl Gda {
    /// Estimates means and covariance from labelled images.
    pub(crate) fn new(problem: &Problem, shots: &[Shot]) -> Self {
        let length = problem.texts.first().map_or(0, Vec::len);
        let means: Vec<Vec<f32>> = (0..problem.texts.len())
            .map(|class| {
                let own = shots.iter().filter(|shot| shot.label == class);
                let mut own = mean(own.map(|shot| shot.row));
                own.resize(length, 0.0);
                own
            })
            .collect();
        let mut scatter = vec![0.0; length * length];
        for shot in shots {
            let own = less(shot.row, &means[shot.label]);
            for (i, a) in own.iter().enumerate() {
                let row = scatter[i * length..=i * length + i].iter_mut();
                for (sum, b) in row.zip(&own) {
                    *sum += f64::from(*a) * f64::from(*b);
                }
            }
        }
        // The ridge estimate of the inverse (Kubokawa and Srivastava 2008): d·((n − 1)·Σ + tr(Σ)·I)⁻¹.
        let freedom = (shots.len() as f64 - 1.0).max(1.0);
        let trace = (0..length).map(|i| scatter[i * length + i]).sum::<f64>() / freedom;
        for i in 0..length {
            scatter[i * length + i] += trace.max(1e-9);
        }
        let factor = cholesky(&scatter, length);
        let (mut weights, mut offsets) = (Vec::new(), Vec::new());
        for mean in &means {
            let wide: Vec<f64> = mean.iter().map(|v| f64::from(*v)).collect();
            let solved = solve_upper(&factor, &solve_lower(&factor, &wide));
            let own: Vec<f32> = solved.iter().map(|v| (v * length as f64) as f32).collect();
            offsets.push(-0.5 * f64::from(dot(&own, mean)));
            weights.push(own);
        }
        Self { weights, offsets }
    }

    /// What is added to the logit of each condition.
    pub(crate) fn terms(&self, row: &[f32]) -> impl Iterator<Item = f64> {
        let both = self.weights.iter().zip(&self.offsets);
        both.map(|(weights, offset)| f64::from(dot(weights, row)) + offset)
    }

    /// A direction for each condition, whose logit is `scale × direction · embedding`: that of its text and of these terms. A
    /// direction has no offset; it becomes part of one along which all labelled images are as near to 1 as can be.
    pub(super) fn directions(&self, problem: &Problem, shots: &[Shot]) -> Vec<Vec<f32>> {
        let common = common_direction(shots, problem.texts.first().map_or(0, Vec::len));
        let mean = self.offsets.iter().sum::<f64>() / self.offsets.len().max(1) as f64;
        let parts = problem.texts.iter().zip(&self.weights).zip(&self.offsets);
        let directions = parts.map(|((text, weights), offset)| {
            let mut own = text.clone();
            add(&mut own, (1.0 / problem.scale) as f32, weights);
            // Only differences of offsets count, and the smaller they are, the less of them is lost.
            add(&mut own, ((offset - mean) / problem.scale) as f32, &common);
            own
        });
        directions.collect()
    }
}

/// The direction `v` with the least `|X·v − 1|² + λ·|v|²`.
fn common_direction(shots: &[Shot], length: usize) -> Vec<f32> {
    let mut gram = vec![0.0; length * length];
    let mut sums = vec![0.0; length];
    for shot in shots {
        for (i, value) in shot.row.iter().enumerate() {
            let value = f64::from(*value);
            sums[i] += value;
            let row = gram[i * length..=i * length + i].iter_mut();
            row.zip(shot.row)
                .for_each(|(sum, other)| *sum += value * f64::from(*other));
        }
    }
    for i in 0..length {
        gram[i * length + i] += COMMON_RIDGE;
    }
    let factor = cholesky(&gram, length);
    let solved = solve_upper(&factor, &solve_lower(&factor, &sums));
    solved.into_iter().map(|value| value as f32).collect()
}

/// The mean of rows; nothing without any.
pub(crate) fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let rows: Vec<&[f32]> = rows.collect();
    let mut sum = vec![0.0; rows.first().map_or(0, |row| row.len())];
    for row in &rows {
        add(&mut sum, 1.0 / rows.len() as f32, row);
    }
    sum
}

/// The difference of two rows.
pub(crate) fn less(row: &[f32], other: &[f32]) -> Vec<f32> {
    let mut own = row.to_vec();
    add(&mut own, -1.0, other);
    own
}
