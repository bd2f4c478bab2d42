//! From which probability a label is confident.

use serde::{Deserialize, Serialize};

use super::MAX_ERROR;

/// Labelled images that a confident label needs at least: with fewer, [`MAX_ERROR`] would be less than one image.
pub const MIN_BACKING: usize = 20;
/// How many of [`MIN_BACKING`] images that are neighbours by their probability may have a wrong label: one in five.
const MAX_WRONG_NEIGHBOURS: usize = MIN_BACKING / 5;

/// From which probability a label is confident, and what that means for labelled images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelConfidence {
    /// The probability from which the label is confident; `None` if from none.
    pub confident_from: Option<f64>,
    /// Share of the images with this label that are confident.
    pub confident: f64,
    /// Share of these that are wrong.
    pub wrong: f64,
}

impl LabelConfidence {
    /// The least probability, not below `floor`, from which at least [`MIN_BACKING`] labels are confident, of which at most
    /// [`MAX_ERROR`] are wrong, and above which never more than one in five of [`MIN_BACKING`] neighbours is: labels near it are not
    /// carried by those far above. `labels`: the probability of each, and whether it is right; equal ones in a random order.
    pub(super) fn of(labels: &[(f64, bool)], floor: f64) -> Self {
        let mut sorted = labels.to_vec();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let wrong_among = |labels: &[(f64, bool)]| labels.iter().filter(|own| !own.1).count();
        let mut found = Self::default();
        for count in MIN_BACKING..=sorted.len() {
            let probability = sorted[count - 1].0;
            let neighbours = &sorted[count - MIN_BACKING..count];
            if probability < floor || wrong_among(neighbours) > MAX_WRONG_NEIGHBOURS {
                break;
            }
            // Equal probabilities are on the same side.
            let next = sorted.get(count);
            let is_last = next.is_none_or(|(next, _)| *next < probability);
            let wrong = wrong_among(&sorted[..count]) as f64 / count as f64;
            if is_last && wrong <= MAX_ERROR {
                found = Self {
                    confident_from: Some(probability),
                    confident: count as f64 / sorted.len() as f64,
                    wrong,
                };
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels of falling probability from 0.99 in steps of 0.001, of which some are wrong.
    fn labels(count: usize, is_wrong: impl Fn(usize) -> bool) -> Vec<(f64, bool)> {
        let all = (0..count).map(|at| (0.99 - 0.001 * at as f64, !is_wrong(at)));
        all.collect()
    }

    #[test]
    fn fewer_than_twenty_labels_are_never_confident() {
        let lucky = labels(19, |_| false);
        assert_eq!(LabelConfidence::of(&lucky, 0.5), LabelConfidence::default());
        let found = LabelConfidence::of(&labels(20, |_| false), 0.5);
        assert_eq!((found.confident, found.wrong), (1.0, 0.0));
        // One right label above wrong ones says nothing.
        let one = labels(40, |at| at > 0);
        assert_eq!(LabelConfidence::of(&one, 0.5).confident_from, None);
    }

    #[test]
    fn labels_far_above_do_not_carry_wrong_ones_at_the_end() {
        // Of 400 labels the last twenty, half of them wrong, make 2.5 % in all.
        let all = labels(400, |at| at >= 380 && at % 2 == 0);
        let found = LabelConfidence::of(&all, 0.5);
        let from = found.confident_from.unwrap();
        let near = all
            .iter()
            .filter(|(p, _)| (from..from + 0.0195).contains(p));
        let wrong = near.filter(|(_, is_right)| !is_right).count();
        assert!(wrong <= 4, "{from} {wrong}");
        assert!(from > all[395].0, "{from}");
    }

    #[test]
    fn nothing_below_the_floor_is_confident() {
        let all = labels(400, |_| false);
        let from = LabelConfidence::of(&all, 0.7).confident_from.unwrap();
        assert!((0.7..0.702).contains(&from), "{from}");
        assert_eq!(LabelConfidence::of(&all, 0.99).confident_from, None);
    }
}
