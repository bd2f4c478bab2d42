//! Other methods that learn from a few labels, each with the settings of its authors, as there are no images to choose others by.

use crate::learn::linear::{add, cholesky, dot, solve_lower, solve_upper};
use crate::learn::{Problem, Shot};
use crate::scoring::softmax;

/// A method that has learned.
pub(super) trait Rival {
    /// The logits of an image.
    fn logits(&self, row: &[f32]) -> Vec<f64>;
}

/// All methods, in the order of the report, after learning from these images.
pub(super) fn all<'a>(problem: &'a Problem, shots: &'a [Shot<'a>]) -> [Box<dyn Rival + 'a>; 3] {
    [
        Box::new(LinearProbe::new(problem, shots)),
        Box::new(TipAdapter { problem, shots }),
        Box::new(Gda::new(problem, shots)),
    ]
}

/// Logistic regression from nothing (Radford et al. 2021), by gradient descent with a little shrinkage.
struct LinearProbe {
    mean: Vec<f32>,
    /// How much longer differences from the mean are made, so that they are of unit length on average.
    stretch: f32,
    weights: Vec<Vec<f32>>,
    offsets: Vec<f64>,
}

const PROBE_STEPS: usize = 400;
const PROBE_RATE: f64 = 1.0;
const PROBE_SHRINKAGE: f64 = 1e-3;

impl LinearProbe {
    fn new(problem: &Problem, shots: &[Shot]) -> Self {
        let mean = mean(shots.iter().map(|shot| shot.row));
        let lengths = shots.iter().map(|shot| {
            let own = centred(shot.row, &mean);
            f64::from(dot(&own, &own)).sqrt()
        });
        let length = lengths.sum::<f64>() / shots.len().max(1) as f64;
        let classes = problem.texts.len();
        let mut probe = Self {
            stretch: (1.0 / length.max(1e-9)) as f32,
            weights: vec![vec![0.0; mean.len()]; classes],
            offsets: vec![0.0; classes],
            mean,
        };
        let rows: Vec<Vec<f32>> = shots.iter().map(|shot| probe.standard(shot.row)).collect();
        for _ in 0..PROBE_STEPS {
            let mut slopes = vec![vec![0.0; probe.mean.len()]; classes];
            let mut shifts = vec![0.0; classes];
            for (row, shot) in rows.iter().zip(shots) {
                let probabilities = softmax(&probe.scores(row));
                for (class, p) in probabilities.into_iter().enumerate() {
                    let error = p - f64::from(u8::from(class == shot.label));
                    add(&mut slopes[class], error as f32, row);
                    shifts[class] += error;
                }
            }
            let step = PROBE_RATE / shots.len().max(1) as f64;
            for class in 0..classes {
                let weights = &mut probe.weights[class];
                for weight in weights.iter_mut() {
                    *weight *= (1.0 - PROBE_RATE * PROBE_SHRINKAGE) as f32;
                }
                add(weights, -step as f32, &slopes[class]);
                probe.offsets[class] -= step * shifts[class];
            }
        }
        probe
    }

    fn standard(&self, row: &[f32]) -> Vec<f32> {
        let mut own = centred(row, &self.mean);
        for value in &mut own {
            *value *= self.stretch;
        }
        own
    }

    fn scores(&self, row: &[f32]) -> Vec<f64> {
        let both = self.weights.iter().zip(&self.offsets);
        both.map(|(weights, offset)| f64::from(dot(weights, row)) + offset)
            .collect()
    }
}

impl Rival for LinearProbe {
    fn logits(&self, row: &[f32]) -> Vec<f64> {
        self.scores(&self.standard(row))
    }
}

/// A cache of labelled images beside the texts, without training (Zhang et al. 2022).
struct TipAdapter<'a> {
    problem: &'a Problem,
    shots: &'a [Shot<'a>],
}

/// The weight of the cache, and how fast it falls with distance.
const TIP_ALPHA: f64 = 1.0;
const TIP_BETA: f64 = 5.5;

impl Rival for TipAdapter<'_> {
    fn logits(&self, row: &[f32]) -> Vec<f64> {
        let mut logits = self.problem.zero_shot(row);
        for shot in self.shots {
            let distance = 1.0 - f64::from(dot(row, shot.row));
            logits[shot.label] += TIP_ALPHA * (-TIP_BETA * distance).exp();
        }
        logits
    }
}

/// Gaussian discriminant analysis with a common covariance, beside the texts (Wang et al. 2024).
struct Gda<'a> {
    problem: &'a Problem,
    weights: Vec<Vec<f32>>,
    offsets: Vec<f64>,
}

/// The weight beside the texts.
const GDA_ALPHA: f64 = 1.0;

impl<'a> Gda<'a> {
    fn new(problem: &'a Problem, shots: &[Shot]) -> Self {
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
            let own = centred(shot.row, &means[shot.label]);
            for (i, a) in own.iter().enumerate() {
                for (j, b) in own.iter().enumerate().take(i + 1) {
                    scatter[i * length + j] += f64::from(*a) * f64::from(*b);
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
        Self {
            problem,
            weights,
            offsets,
        }
    }
}

impl Rival for Gda<'_> {
    fn logits(&self, row: &[f32]) -> Vec<f64> {
        let mut logits = self.problem.zero_shot(row);
        let both = self.weights.iter().zip(&self.offsets);
        for (logit, (weights, offset)) in logits.iter_mut().zip(both) {
            *logit += GDA_ALPHA * (f64::from(dot(weights, row)) + offset);
        }
        logits
    }
}

/// The mean of rows; zeros without any.
fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let rows: Vec<&[f32]> = rows.collect();
    let mut sum = vec![0.0; rows.first().map_or(0, |row| row.len())];
    for row in &rows {
        add(&mut sum, 1.0 / rows.len() as f32, row);
    }
    sum
}

fn centred(row: &[f32], mean: &[f32]) -> Vec<f32> {
    let mut own = row.to_vec();
    add(&mut own, -1.0, mean);
    own
}
