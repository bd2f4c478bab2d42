//! The numbers of a calibration.

use super::super::metrics::{Case, MultiLabelCase};
use super::{logarithms, logit};

/// Bins of the expected calibration error.
const BINS: usize = 15;
/// The range in which temperatures and slopes are sought.
const RANGE: (f64, f64) = (0.02, 50.0);
/// Steps of the search, each of which narrows the range by the golden ratio.
const STEPS: usize = 60;
/// Steps of Newton's method for an offset.
const NEWTON_STEPS: usize = 50;

/// Expected calibration error (Guo et al. 2017) of probabilities that are right or wrong, in fifteen bins of equal width; 0
/// without any.
pub fn calibration_error(cases: &[(f64, bool)]) -> f64 {
    let mut bins = [(0.0, 0.0); BINS];
    for (probability, is_right) in cases {
        let bin = ((probability * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += probability;
        bins[bin].1 += f64::from(u8::from(*is_right));
    }
    // The size of a bin cancels out.
    let sum: f64 = bins
        .iter()
        .map(|(stated, right)| (stated - right).abs())
        .sum();
    sum / cases.len().max(1) as f64
}

/// The temperature at which the labels are most likely. They are softened as those of Platt (1999, "Probabilistic outputs for
/// support vector machines", section 2.2), by Laplace's rule of succession: after n labels that all held, the next one holds with a
/// probability of (n + 1) / (n + 2). All labels speak for the one temperature, so that n is their number, and the other conditions
/// share the rest alike. Without that, a few images that are told apart completely would make every probability 1.
pub(super) fn temperature(cases: &[&Case]) -> f64 {
    let held = (cases.len() as f64 + 1.0) / (cases.len() as f64 + 2.0);
    let rows = cases
        .iter()
        .map(|case| (case.truth, logarithms(&case.scores)));
    let rows: Vec<(usize, Vec<f64>)> = rows.collect();
    lowest(|temperature| {
        let losses = rows.iter().map(|(truth, row)| {
            let logits = row.iter().map(|own| own / temperature);
            let highest = logits.clone().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.clone().map(|logit| (logit - highest).exp()).sum();
            let shift = highest + sum.ln();
            let others = (1.0 - held) / (row.len() as f64 - 1.0).max(1.0);
            let all: f64 = logits.map(|logit| logit - shift).sum();
            let own = row[*truth] / temperature - shift;
            -held * own - others * (all - own)
        });
        losses.sum()
    })
}

/// Whether a temperature or slope lies at an end of the range in which it is sought: the best one is further out.
pub(super) fn is_at_bound(value: f64) -> bool {
    const NEAR: f64 = 1e-3;
    (value / RANGE.0 - 1.0).abs() < NEAR || (value / RANGE.1 - 1.0).abs() < NEAR
}

/// The common slope, and the offset of each condition, at which the labels are most likely. The labels are those of Platt: as
/// if each condition had been seen once more, and once less.
pub(super) fn platt(cases: &[&MultiLabelCase], conditions: &[usize]) -> (f64, Vec<f64>) {
    let logits: Vec<Vec<(f64, f64)>> = conditions
        .iter()
        .map(|at| {
            let positives = cases.iter().filter(|case| case.shown[*at]).count() as f64;
            let negatives = cases.len() as f64 - positives;
            let targets = [
                1.0 / (negatives + 2.0),
                (positives + 1.0) / (positives + 2.0),
            ];
            let of_case = |case: &&MultiLabelCase| {
                let target = targets[usize::from(case.shown[*at])];
                (logit(case.scores[*at]), target)
            };
            cases.iter().map(of_case).collect()
        })
        .collect();
    let offsets = |slope: f64| {
        let found = logits.iter().map(|own| offset(own, slope));
        found.collect::<Vec<_>>()
    };
    let slope = lowest(|slope| {
        let both = logits.iter().zip(offsets(slope));
        both.map(|(own, offset)| loss(own, slope, offset)).sum()
    });
    (slope, offsets(slope))
}

/// The offset at which the targets are most likely. The loss is convex.
fn offset(logits: &[(f64, f64)], slope: f64) -> f64 {
    let mut offset = 0.0;
    for _ in 0..NEWTON_STEPS {
        let (mut gradient, mut curvature) = (0.0, 1e-9);
        for (logit, target) in logits {
            let p = 1.0 / (1.0 + (-(slope * logit + offset)).exp());
            gradient += p - target;
            curvature += p * (1.0 - p);
        }
        // Far out the curvature vanishes.
        let step: f64 = (gradient / curvature).clamp(-2.0, 2.0);
        offset -= step;
        if step.abs() < 1e-10 {
            break;
        }
    }
    offset
}

/// The negative log-likelihood of targets, without overflow.
fn loss(logits: &[(f64, f64)], slope: f64, offset: f64) -> f64 {
    let of_one = |(logit, target): &(f64, f64)| {
        let z = slope * logit + offset;
        z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z
    };
    logits.iter().map(of_one).sum()
}

/// Where a function with one minimum is lowest, sought on a logarithmic scale (golden section).
pub(super) fn lowest(mut of: impl FnMut(f64) -> f64) -> f64 {
    let ratio = (5_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
    let mut at = [high - ratio * (high - low), low + ratio * (high - low)];
    let mut values = at.map(|x| of(x.exp()));
    for _ in 0..STEPS {
        if values[0] <= values[1] {
            high = at[1];
            at = [high - ratio * (high - low), at[0]];
            values = [of(at[0].exp()), values[0]];
        } else {
            low = at[0];
            at = [at[1], low + ratio * (high - low)];
            values = [values[1], of(at[1].exp())];
        }
    }
    f64::midpoint(low, high).exp()
}

/// The score that a further case does not exceed with a probability of at least `coverage` (split conformal prediction): the
/// ⌈(n + 1) · coverage⌉-th smallest; 1 if there are too few to say so.
pub(super) fn nonconformity_quantile(mut scores: Vec<f64>, coverage: f64) -> f64 {
    scores.sort_by(f64::total_cmp);
    let rank = ((scores.len() as f64 + 1.0) * coverage).ceil() as usize;
    scores.get(rank.saturating_sub(1)).copied().unwrap_or(1.0)
}
