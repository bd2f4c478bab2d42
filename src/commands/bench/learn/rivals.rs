//! Other methods that learn from a few labels, each with the settings of its authors, as there are no images to choose others by.

use crate::learn::gda::{Gda, less, mean};
use crate::learn::linear::{add, dot};
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
        Box::new(GdaBesideTexts {
            problem,
            gda: Gda::new(problem, shots),
        }),
    ]
}

/// Logistic regression alone.
pub(super) fn probe(problem: &Problem, shots: &[Shot]) -> impl Rival + use<> {
    LinearProbe::new(problem, shots)
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
            let own = less(shot.row, &mean);
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
        let mut own = less(row, &self.mean);
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

/// Discriminant analysis beside the texts.
struct GdaBesideTexts<'a> {
    problem: &'a Problem,
    gda: Gda,
}

impl Rival for GdaBesideTexts<'_> {
    fn logits(&self, row: &[f32]) -> Vec<f64> {
        let logits = self.problem.zero_shot(row).into_iter();
        let both = logits.zip(self.gda.terms(row));
        both.map(|(text, term)| text + term).collect()
    }
}
