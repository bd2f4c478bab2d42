//! Label shift: probabilities for images among which conditions are rarer or more frequent than among those that a classifier was
//! fitted to.
//!
//! Where the images of a condition look alike whatever their share, a probability for another mix follows from Bayes' rule: it is
//! proportional to `p(condition | image) × share here ÷ share there`. The shares here are the most likely ones, found by expectation
//! maximisation over images without labels (Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a classifier to new a
//! priori probabilities", equations 2.4 and 4.2), or they are stated. They begin with [`PRIOR_IMAGES`] images of the mix there, a
//! Dirichlet prior that keeps few images from being taken for all.

/// As many images of the mix there are counted beside those here.
pub const PRIOR_IMAGES: f64 = 2.0;
/// Steps of expectation maximisation at most.
const MAX_STEPS: usize = 2000;
/// A step that changes no share by more is the last one.
const TOLERANCE: f64 = 1e-7;

/// Probabilities under a mix from those under another one (Saerens et al. 2002, equation 2.4). Conditions without a share there keep
/// their probability from being multiplied beyond bounds.
pub fn posterior(probabilities: &[f64], there: &[f64], here: &[f64]) -> Vec<f64> {
    const MIN_SHARE: f64 = 1e-9;
    let both = there.iter().zip(here);
    let weighted = probabilities
        .iter()
        .zip(both)
        .map(|(p, (there, here))| p * here / there.max(MIN_SHARE));
    let weighted: Vec<f64> = weighted.collect();
    let sum: f64 = weighted.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        weighted.iter().map(|own| own / sum).collect()
    } else {
        // What was stated rules out all that is possible: only the shares are left.
        here.to_vec()
    }
}

/// Conditions whose shares together are known. Each condition is in exactly one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConditionGroups(pub(super) Vec<ConditionGroup>);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConditionGroup {
    /// Indices of the conditions.
    pub(super) members: Vec<usize>,
    /// Their share together.
    pub(super) total: f64,
}

impl ConditionGroups {
    /// One group of all: nothing is known.
    pub(super) fn free(conditions: usize) -> Self {
        Self(vec![ConditionGroup {
            members: (0..conditions).collect(),
            total: 1.0,
        }])
    }

    /// Whether no share is to be estimated.
    pub(super) fn are_all_stated(&self) -> bool {
        let is_stated = |group: &ConditionGroup| group.members.len() == 1 || group.total <= 0.0;
        self.0.iter().all(is_stated)
    }
}

/// The most probable shares of conditions among images (Saerens et al. 2002, equation 4.2), with a Dirichlet prior of
/// [`PRIOR_IMAGES`] images of the mix `there`, and with the totals of groups as they were stated. `images`: the probabilities of each
/// under the mix `there`, and for how many images it counts.
pub(super) fn shares<'a>(
    images: impl Iterator<Item = (&'a [f64], f64)> + Clone,
    there: &[f64],
    groups: &ConditionGroups,
) -> Vec<f64> {
    let mut shares = there.to_vec();
    normalise(&mut shares, groups);
    for _ in 0..MAX_STEPS {
        let mut next: Vec<f64> = there.iter().map(|share| share * PRIOR_IMAGES).collect();
        for (row, weight) in images.clone() {
            for (sum, p) in next.iter_mut().zip(posterior(row, there, &shares)) {
                *sum += weight * p;
            }
        }
        normalise(&mut next, groups);
        let steps = next
            .iter()
            .zip(&shares)
            .map(|(next, last)| (next - last).abs());
        let step = steps.fold(0.0, f64::max);
        shares = next;
        if step < TOLERANCE {
            break;
        }
    }
    shares
}

/// Scales the conditions of each group to its total.
fn normalise(shares: &mut [f64], groups: &ConditionGroups) {
    for ConditionGroup { members, total } in &groups.0 {
        let sum: f64 = members.iter().map(|at| shares[*at]).sum();
        for at in members {
            shares[*at] = if sum > 0.0 {
                total * shares[*at] / sum
            } else {
                total / members.len() as f64
            };
        }
    }
}
