//! How far two raters agree on the categories of the same cases.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use serde::Serialize;

/// Two raters, case by case.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// The categories that either has used, by name.
    pub categories: Vec<String>,
    /// Cases by category: of the first rater (row) and of the second one (column).
    pub table: Vec<Vec<usize>>,
    /// Cases that both have rated.
    pub cases: usize,
    /// Cases in which they agree.
    pub same: usize,
}

impl Agreement {
    /// Counts the cases that both have rated, each given by the two categories.
    pub fn of(cases: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for case in cases {
            *counts.entry(case).or_default() += 1;
        }
        let names = counts.keys().flat_map(|(first, second)| [first, second]);
        let mut categories: Vec<String> = names.cloned().collect();
        categories.sort_unstable();
        categories.dedup();
        let place = |name: &String| categories.binary_search(name).unwrap_or_default();
        let mut table = vec![vec![0; categories.len()]; categories.len()];
        for ((first, second), count) in &counts {
            table[place(first)][place(second)] += count;
        }
        Self {
            cases: counts.values().sum(),
            same: (0..categories.len()).map(|at| table[at][at]).sum(),
            categories,
            table,
        }
    }

    /// The share of cases in which they agree; `None` without cases.
    pub fn share(&self) -> Option<f64> {
        (self.cases > 0).then(|| self.same as f64 / self.cases as f64)
    }

    /// The 95 % interval of [`Self::share`] by Wilson's score, which holds for few cases and for shares near 1, too (Wilson 1927).
    pub fn interval(&self) -> Option<(f64, f64)> {
        const Z: f64 = 1.959_963_984_540_054;
        let share = self.share()?;
        let cases = self.cases as f64;
        let scale = 1.0 + Z * Z / cases;
        let centre = (share + Z * Z / (2.0 * cases)) / scale;
        let half =
            Z / scale * (share * (1.0 - share) / cases + Z * Z / (4.0 * cases * cases)).sqrt();
        Some(((centre - half).max(0.0), (centre + half).min(1.0)))
    }

    /// Cohen's kappa: the agreement beyond the one expected by chance, as a share of what is possible beyond it (Cohen 1960). `None`
    /// without cases, or if both have put all cases into the same category.
    pub fn kappa(&self) -> Option<f64> {
        let share = self.share()?;
        let cases = self.cases as f64;
        let expected: f64 = (0..self.categories.len())
            .map(|at| {
                let first: usize = self.table[at].iter().sum();
                let second: usize = self.table.iter().map(|row| row[at]).sum();
                first as f64 / cases * (second as f64 / cases)
            })
            .sum();
        (expected < 1.0).then(|| (share - expected) / (1.0 - expected))
    }
}

/// `35 of 40 the same (87.5%, 95% interval 73.9–94.5%), Cohen's kappa 0.71`.
impl Display for Agreement {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (Some(share), Some((low, high))) = (self.share(), self.interval()) else {
            return write!(f, "no image that both have judged");
        };
        let [share, low, high] = [share, low, high].map(|share| 100.0 * share);
        write!(
            f,
            "{} of {} the same ({share:.1}%, 95% interval {low:.1}–{high:.1}%)",
            self.same, self.cases
        )?;
        match self.kappa() {
            Some(kappa) => write!(f, ", Cohen's kappa {kappa:.2}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(counts: &[(&str, &str, usize)]) -> Agreement {
        let cases = counts.iter().flat_map(|(first, second, count)| {
            std::iter::repeat_n(((*first).to_owned(), (*second).to_owned()), *count)
        });
        Agreement::of(cases)
    }

    #[test]
    fn kappa_and_interval_are_those_of_reference_implementations() {
        // scikit-learn's cohen_kappa_score, and statsmodels' proportion_confint with method="wilson".
        for (counts, kappa, (low, high)) in [
            (
                &[
                    ("y", "y", 20),
                    ("y", "n", 5),
                    ("n", "y", 10),
                    ("n", "n", 15),
                ][..],
                0.4,
                (0.562_496_50, 0.808_964_46),
            ),
            (
                &[
                    ("a", "a", 45),
                    ("a", "b", 15),
                    ("b", "a", 25),
                    ("b", "b", 15),
                ],
                0.130_434_8,
                (0.502_002_59, 0.690_598_71),
            ),
            (
                &[
                    ("a", "a", 7),
                    ("a", "b", 2),
                    ("b", "b", 5),
                    ("b", "c", 1),
                    ("c", "c", 4),
                    ("c", "a", 1),
                ],
                0.693_486_59,
                (0.583_982_57, 0.919_342_34),
            ),
        ] {
            let agreement = agreement(counts);
            let found = agreement.kappa().unwrap();
            assert!((found - kappa).abs() < 1e-6, "{found} {kappa}");
            let found = agreement.interval().unwrap();
            assert!((found.0 - low).abs() < 1e-6, "{found:?}");
            assert!((found.1 - high).abs() < 1e-6, "{found:?}");
        }
    }

    #[test]
    fn nothing_is_claimed_without_cases_or_where_chance_explains_all() {
        let none = agreement(&[]);
        assert_eq!(
            (none.share(), none.kappa(), none.interval()),
            (None, None, None)
        );
        let one = agreement(&[("a", "a", 9)]);
        assert_eq!((one.share(), one.kappa()), (Some(1.0), None));
        assert_eq!(
            agreement(&[("a", "a", 3), ("b", "b", 3)]).kappa(),
            Some(1.0)
        );
    }

    #[test]
    fn the_table_counts_each_pair() {
        let agreement = agreement(&[("b", "a", 2), ("a", "a", 3), ("c", "b", 1)]);
        assert_eq!(agreement.categories, ["a", "b", "c"]);
        assert_eq!(agreement.table, [[3, 0, 0], [2, 0, 0], [0, 1, 0]]);
        assert_eq!((agreement.cases, agreement.same), (6, 3));
    }
}
