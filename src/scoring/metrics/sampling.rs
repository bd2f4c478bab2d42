//! Which cases belong together, and bootstrap samples of them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Cases that are drawn, and held out, together: those of one patient, whose images resemble each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseGroups {
    /// The number of each case's group, by first appearance; empty if each case is one of its own.
    by_case: Vec<usize>,
}

impl CaseGroups {
    /// Cases with the same number are a group; see [`patient_groups`](crate::learn::patient_groups) for those of one patient.
    pub fn new(numbers: Vec<usize>) -> Self {
        let mut known: HashMap<usize, usize> = HashMap::new();
        let mut by_case = numbers;
        for number in &mut by_case {
            let next = known.len();
            *number = *known.entry(*number).or_insert(next);
        }
        Self { by_case }
    }

    /// The indices of so many cases by group.
    pub(in crate::scoring) fn members(&self, cases: usize) -> Vec<Vec<usize>> {
        let mut members: Vec<Vec<usize>> = Vec::new();
        for case in 0..cases {
            // Cases beyond those that were named are alone.
            let group = self.by_case.get(case).copied().unwrap_or(members.len());
            if group >= members.len() {
                members.resize_with(group + 1, Vec::new);
            }
            members[group].push(case);
        }
        members
    }

    /// The indices of so many cases in two halves, no group in both: each group, the largest first, belongs to the half with fewer cases.
    pub(in crate::scoring) fn halves(&self, cases: usize) -> [Vec<usize>; 2] {
        let mut halves = [Vec::new(), Vec::new()];
        let mut groups = self.members(cases);
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        for group in groups {
            let smaller = usize::from(halves[1].len() < halves[0].len());
            halves[smaller].extend(group);
        }
        halves
    }
}

/// Hears the number of draws so far before each, and says whether to go on.
pub type DrawProgress<'a> = &'a mut dyn FnMut(usize) -> ControlFlow<()>;

/// How confidence intervals are drawn.
#[derive(Clone, Debug, Default)]
pub struct Bootstrap {
    /// The number of draws; 0 for no intervals.
    pub draws: usize,
    /// The random seed; the same one gives the same intervals.
    pub seed: u64,
    /// What is drawn: whole groups, as many as there are (the cluster bootstrap; Davison & Hinkley 1997, section 3.8).
    pub groups: CaseGroups,
}

impl Bootstrap {
    /// Measures all metrics on the same samples of so many cases, until `progress` ends them.
    pub fn draw(
        &self,
        cases: usize,
        metrics: &mut [&mut dyn SampledMetrics],
        progress: DrawProgress<'_>,
    ) {
        for sample in self.samples(cases, progress) {
            for own in &mut *metrics {
                own.measure(&sample);
            }
        }
    }

    /// Samples of so many cases, until `progress` ends them. None of a single group: it says nothing of how far others would lie
    /// from it.
    pub(in crate::scoring) fn samples(
        &self,
        cases: usize,
        progress: DrawProgress<'_>,
    ) -> impl Iterator<Item = BootstrapSample> {
        let groups = self.groups.members(cases);
        let draws = if groups.len() > 1 { self.draws } else { 0 };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        (0..draws).map_while(move |draw| {
            progress(draw)
                .is_continue()
                .then(|| BootstrapSample::drawn(&groups, cases, &mut rng))
        })
    }
}

/// Metrics that are measured on samples.
pub trait SampledMetrics {
    /// Measures a sample.
    fn measure(&mut self, sample: &BootstrapSample);
}

/// Cases drawn with replacement.
pub struct BootstrapSample {
    /// The index of each.
    pub(in crate::scoring) indices: Vec<usize>,
    /// How often each case was drawn.
    pub(in crate::scoring) counts: Vec<u32>,
}

impl BootstrapSample {
    /// Those of the drawn cases that are at a position in a selection of all.
    pub(super) fn within(&self, positions: &[Option<usize>]) -> Self {
        let found = self.indices.iter().filter_map(|index| positions[*index]);
        let indices: Vec<usize> = found.collect();
        let mut counts = vec![0; positions.iter().flatten().count()];
        for &index in &indices {
            counts[index] += 1;
        }
        Self { indices, counts }
    }

    /// Each of so many cases once.
    pub(in crate::scoring) fn all(cases: usize) -> Self {
        Self {
            indices: (0..cases).collect(),
            counts: vec![1; cases],
        }
    }

    /// As many groups as there are, at random, with all of their cases.
    pub(in crate::scoring) fn drawn(
        groups: &[Vec<usize>],
        cases: usize,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let mut indices = Vec::with_capacity(cases);
        for _ in groups {
            indices.extend(&groups[rng.random_range(0..groups.len())]);
        }
        let mut counts = vec![0; cases];
        for &index in &indices {
            counts[index] += 1;
        }
        Self { indices, counts }
    }
}

/// The mean of the values that count; `None` if none counts, or one that counts has no value: a mean over the others would be of
/// something else.
pub(in crate::scoring) fn mean_of_counted(
    values: impl Iterator<Item = Option<f64>>,
    counts: &[bool],
) -> Option<f64> {
    let counted = values.zip(counts).filter(|(_, counts)| **counts);
    let values: Vec<f64> = counted.map(|(value, _)| value).collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_of_a_patient_are_drawn_together_and_never_in_both_halves() {
        let groups = CaseGroups::new(vec![7, 1, 2, 7, 7, 3]);
        assert_eq!(
            groups.members(6),
            [vec![0, 3, 4], vec![1], vec![2], vec![5]]
        );
        assert_eq!(groups.halves(6), [vec![0, 3, 4], vec![1, 2, 5]]);
        // The largest groups come first, so that halves are as even as they can be.
        let late = CaseGroups::new(vec![0, 1, 2, 2, 2]);
        assert_eq!(late.halves(5), [vec![2, 3, 4], vec![0, 1]]);
        let bootstrap = Bootstrap {
            draws: 50,
            seed: 1,
            groups,
        };
        let mut go_on = |_| ControlFlow::Continue(());
        for sample in bootstrap.samples(6, &mut go_on) {
            let [a, _, _, d, e, _] = sample.counts[..] else {
                panic!("six")
            };
            assert!(a == d && d == e, "{:?}", sample.counts);
        }
    }

    #[test]
    fn without_patients_each_case_is_alone_and_one_alone_is_never_drawn() {
        let bootstrap = Bootstrap {
            draws: 5,
            ..Bootstrap::default()
        };
        let count = |cases, groups: CaseGroups| {
            let bootstrap = Bootstrap {
                groups,
                ..bootstrap.clone()
            };
            let mut go_on = |_| ControlFlow::Continue(());
            bootstrap.samples(cases, &mut go_on).count()
        };
        assert_eq!(CaseGroups::default().halves(5), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(count(2, CaseGroups::default()), 5);
        assert_eq!(count(1, CaseGroups::default()), 0);
        let one = CaseGroups::new(vec![0; 9]);
        assert_eq!(count(9, one), 0);
        // What hears the progress can end the draws.
        let mut stop = |draw| {
            if draw < 3 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        assert_eq!(bootstrap.samples(2, &mut stop).count(), 3);
    }
}
