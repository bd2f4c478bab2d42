//! The gate: how much of what was learned is used.

use crate::scoring::softmax;

/// Halvings of the interval in which the gate is searched.
const HALVINGS: usize = 20;

/// The logits of a labelled image that took no part.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogitPair {
    /// The index of its condition.
    pub(super) truth: usize,
    /// By the texts.
    pub(super) text: Vec<f64>,
    /// By what the other images say.
    pub(super) learned: Vec<f64>,
}

impl LogitPair {
    /// The probabilities with a gate; with 0 those of the texts.
    pub(super) fn probabilities(&self, gate: f64) -> Vec<f64> {
        if gate <= 0.0 {
            return softmax(&self.text);
        }
        let both = self.text.iter().zip(&self.learned);
        let mixed = both.map(|(text, learned)| (1.0 - gate) * text + gate * learned);
        softmax(&mixed.collect::<Vec<_>>())
    }

    /// How the log-loss grows with the gate.
    fn slope(&self, gate: f64) -> f64 {
        let probabilities = self.probabilities(gate);
        let change = |at: usize| self.learned[at] - self.text[at];
        let expected = probabilities.iter().enumerate();
        expected.map(|(at, p)| p * change(at)).sum::<f64>() - change(self.truth)
    }
}

/// The summed log-loss with a gate.
pub(super) fn loss<'a>(pairs: impl Iterator<Item = &'a LogitPair>, gate: f64) -> f64 {
    let losses = pairs.map(|pair| {
        -pair.probabilities(gate)[pair.truth]
            .max(f64::MIN_POSITIVE)
            .ln()
    });
    losses.sum()
}

/// The gate with the least log-loss, from 0 to 1. The loss is convex, as logits are linear in the gate.
pub(super) fn best<'a>(pairs: impl Iterator<Item = &'a LogitPair> + Clone) -> f64 {
    let slope = |gate: f64| pairs.clone().map(|pair| pair.slope(gate)).sum::<f64>();
    if slope(0.0) >= 0.0 {
        return 0.0;
    }
    if slope(1.0) <= 0.0 {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}
