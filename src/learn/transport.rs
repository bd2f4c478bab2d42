//! SS-Text-U: directions from texts, labelled images, and unlabelled images that optimal transport assigns to conditions
//! (arXiv 2603.02959). The closed form of a condition's direction, before it is scaled to unit length, is
//!
//! ```text
//! text + s·n/(2N) · Σ labelled + s/M · Σ assignment × unlabelled
//! ```
//!
//! with `s` the factor from cosine to logit, `n` of `N` labelled images of the condition, and `M` unlabelled ones. Directions and
//! assignments follow from each other in turn. The share of each condition among the unlabelled is not that among the labelled, as
//! in the paper: what people correct is no random sample.

use super::linear::{add, add_weighted, dot, normalize, products};
use super::{Problem, Shot};

/// Rounds of assigning images and moving directions.
const ROUNDS: usize = 3;
/// Iterations of Sinkhorn and Knopp.
const ITERATIONS: usize = 10;
/// Labelled images of each condition that are counted beside the real ones.
const SMOOTHING: f64 = 1.0;
/// Shares of an image that are too small to move a direction.
const MIN_SHARE: f64 = 1e-4;
/// The least mass of a condition: none is divided by zero.
const MIN_MASS: f64 = 1e-30;

/// Unlabelled images, and what texts say of them.
pub(super) struct Transport<'a> {
    problem: &'a Problem,
    unlabelled: &'a [&'a [f32]],
    /// Probabilities by the texts, `[images, conditions]`.
    zero_shot: Vec<f64>,
    /// The mean of these.
    mean: Vec<f64>,
}

/// The number and the sum of labelled images, by condition.
struct ShotSums {
    counts: Vec<usize>,
    sums: Vec<Vec<f32>>,
}

impl ShotSums {
    fn new<'a>(problem: &Problem, shots: impl Iterator<Item = &'a Shot<'a>>) -> Self {
        let mut all = Self {
            counts: vec![0; problem.texts.len()],
            sums: problem.texts.iter().map(|t| vec![0.0; t.len()]).collect(),
        };
        for shot in shots {
            all.counts[shot.label] += 1;
            add(&mut all.sums[shot.label], 1.0, shot.row);
        }
        all
    }

    /// Texts and labelled images: what directions are without unlabelled ones, not of unit length. `without`: images among them to leave
    /// out.
    fn anchors(&self, problem: &Problem, without: Option<&Self>) -> Vec<Vec<f32>> {
        let count = |own: &Self| own.counts.iter().sum::<usize>();
        let total = count(self) - without.map_or(0, count);
        let anchor = |at: usize| {
            let mut anchor = problem.texts[at].clone();
            let count = self.counts[at] - without.map_or(0, |own| own.counts[at]);
            let factor = problem.scale * count as f64 / (2.0 * total.max(1) as f64);
            add(&mut anchor, factor as f32, &self.sums[at]);
            if let Some(own) = without {
                add(&mut anchor, -factor as f32, &own.sums[at]);
            }
            anchor
        };
        (0..problem.texts.len()).map(anchor).collect()
    }
}

impl<'a> Transport<'a> {
    pub(super) fn new(problem: &'a Problem, unlabelled: &'a [&'a [f32]]) -> Self {
        let cosines = products(unlabelled, &problem.texts);
        let zero_shot = probabilities(&cosines, problem.scale, &problem.offsets);
        let mut mean = vec![0.0; problem.texts.len()];
        for row in zero_shot.chunks_exact(mean.len()) {
            for (sum, p) in mean.iter_mut().zip(row) {
                *sum += p / unlabelled.len() as f64;
            }
        }
        Self {
            problem,
            unlabelled,
            zero_shot,
            mean,
        }
    }

    /// A unit direction for each condition. `left_out`: the fold of each shot, and the fold without which they are made.
    pub(super) fn directions(
        &self,
        shots: &[Shot],
        left_out: Option<(&[usize], usize)>,
    ) -> Vec<Vec<f32>> {
        let sums = ShotSums::new(self.problem, kept(shots, left_out));
        let anchors = sums.anchors(self.problem, None);
        directions(&anchors, &self.pulls(&sums, &anchors))
    }

    /// The learned logits of each shot without its label. The assignment of unlabelled images is made without its whole fold,
    /// the sum of labelled images without its group alone.
    pub(super) fn held_out(&self, shots: &[Shot], folds: &[usize]) -> Vec<Vec<f64>> {
        let all = ShotSums::new(self.problem, shots.iter());
        let groups = super::groups(shots);
        let mut logits = vec![Vec::new(); shots.len()];
        for fold in 0..folds.iter().max().map_or(0, |last| last + 1) {
            let others = ShotSums::new(self.problem, kept(shots, Some((folds, fold))));
            let anchors = others.anchors(self.problem, None);
            let pulls = self.pulls(&others, &anchors);
            for members in groups.iter().filter(|own| folds[own[0]] == fold) {
                let group = ShotSums::new(self.problem, members.iter().map(|at| &shots[*at]));
                let own = directions(&all.anchors(self.problem, Some(&group)), &pulls);
                for at in members {
                    let scores = own.iter().map(|own| f64::from(dot(own, shots[*at].row)));
                    logits[*at] = scores.map(|score| self.problem.scale * score).collect();
                }
            }
        }
        logits
    }

    /// What unlabelled images add to each direction.
    fn pulls(&self, sums: &ShotSums, anchors: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let marginal = self.marginal(&sums.counts);
        let mut shares = self.zero_shot.clone();
        let mut pulls = Vec::new();
        for round in 0..ROUNDS {
            if round > 0 {
                shares = self.scores(&directions(anchors, &pulls));
            }
            assign(&mut shares, &marginal);
            pulls = self.weighted_sums(&shares);
        }
        pulls
    }

    /// The expected share of each condition: half the mean of what texts say, half the smoothed shares of the labels.
    fn marginal(&self, counts: &[usize]) -> Vec<f64> {
        let total = counts.iter().sum::<usize>() as f64 + SMOOTHING * counts.len() as f64;
        let both = self.mean.iter().zip(counts);
        let share = |count: usize| (count as f64 + SMOOTHING) / total;
        both.map(|(mean, count)| f64::midpoint(*mean, share(*count)))
            .collect()
    }

    /// The probabilities of the unlabelled images by these directions.
    fn scores(&self, directions: &[Vec<f32>]) -> Vec<f64> {
        let cosines = products(self.unlabelled, directions);
        probabilities(&cosines, self.problem.scale, &vec![0.0; directions.len()])
    }

    fn weighted_sums(&self, shares: &[f64]) -> Vec<Vec<f32>> {
        let texts = self.problem.texts.iter();
        let mut sums: Vec<Vec<f32>> = texts.map(|text| vec![0.0; text.len()]).collect();
        let factor = self.problem.scale / self.unlabelled.len() as f64;
        let weights: Vec<f32> = shares.iter().map(|share| (factor * share) as f32).collect();
        let min = (factor * MIN_SHARE) as f32;
        add_weighted(&mut sums, self.unlabelled, &weights, min);
        sums
    }
}

/// The softmax of each row of cosines `[images, conditions]`, scaled, with an offset for each condition.
fn probabilities(cosines: &[f32], scale: f64, offsets: &[f64]) -> Vec<f64> {
    let mut all = Vec::with_capacity(cosines.len());
    for row in cosines.chunks_exact(offsets.len()) {
        let from = all.len();
        let logits = row.iter().zip(offsets);
        all.extend(logits.map(|(cosine, offset)| scale * f64::from(*cosine) + offset));
        let own = &mut all[from..];
        let highest = own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        for value in own.iter_mut() {
            *value = (*value - highest).exp();
            sum += *value;
        }
        for value in own {
            *value /= sum;
        }
    }
    all
}

/// The shots that are not of the fold that is left out.
fn kept<'a>(
    shots: &'a [Shot<'a>],
    left_out: Option<(&'a [usize], usize)>,
) -> impl Iterator<Item = &'a Shot<'a>> {
    let is_kept = move |at: usize| left_out.is_none_or(|(folds, fold)| folds[at] != fold);
    let all = shots.iter().enumerate();
    all.filter(move |(at, _)| is_kept(*at))
        .map(|(_, shot)| shot)
}

fn directions(anchors: &[Vec<f32>], pulls: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let both = anchors.iter().zip(pulls);
    let sum = both.map(|(anchor, pull)| {
        let mut sum = anchor.clone();
        add(&mut sum, 1.0, pull);
        normalize(&mut sum);
        sum
    });
    sum.collect()
}

/// Turns probabilities `[images, conditions]` into shares of each image that add up to 1, and over all images nearly to the
/// marginal: entropic optimal transport (Cuturi 2013) by Sinkhorn's iterations.
pub(super) fn assign(shares: &mut [f64], marginal: &[f64]) {
    let classes = marginal.len();
    let images = (shares.len() / classes) as f64;
    for _ in 0..ITERATIONS {
        let mut masses = vec![0.0; classes];
        for row in shares.chunks_exact(classes) {
            for (mass, share) in masses.iter_mut().zip(row) {
                *mass += share;
            }
        }
        let masses = masses.iter().zip(marginal);
        let factors: Vec<f64> = masses
            .map(|(mass, wanted)| wanted * images / mass.max(MIN_MASS))
            .collect();
        for row in shares.chunks_exact_mut(classes) {
            for (share, factor) in row.iter_mut().zip(&factors) {
                *share *= factor;
            }
            let sum = row.iter().sum::<f64>().max(MIN_MASS);
            for share in row {
                *share /= sum;
            }
        }
    }
}
