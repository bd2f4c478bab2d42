//! Whether the labels of images that took no part are told better than by guessing.

use super::chance::{Told, count_patients, is_told};
use super::{BalancedAccuracy, HeldOut, Truths, Unproved};
use crate::scoring::softmax;

/// What images that took no part show of scores.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOutProof {
    /// The balanced accuracy, and what guessing gets.
    pub balanced_accuracy: BalancedAccuracy,
    /// Why it does not show that labels can be told at all; `None` if it does.
    pub unproved: Option<Unproved>,
}

impl Truths {
    /// Whether decisions by the second logits of some of the images are better than guesses, with 95 % confidence over patients: the rule
    /// by which reviewed images are judged. Where each condition is decided on by itself, each must be. `conditions`: their names.
    pub fn proof(
        &self,
        (images, patients): (&[usize], &[usize]),
        [before, after]: [&[Vec<f64>]; 2],
        conditions: &[&str],
    ) -> HeldOutProof {
        let groups: Vec<usize> = images.iter().map(|at| patients[*at]).collect();
        let mut problems: Vec<Vec<HeldOut>> = Vec::new();
        let (mut few, mut one_sided, mut guessed) = (None, Vec::new(), Vec::new());
        let count = match self {
            Self::One(_) => 1,
            Self::Any { .. } => conditions.len(),
        };
        for (at, name) in conditions.iter().enumerate().take(count) {
            let own = self.held_out(images, [before, after], at);
            let condition = match self {
                Self::One(_) => None,
                Self::Any { .. } => Some((*name).to_owned()),
            };
            if condition.is_some() && own.iter().all(|image| image.truth == own[0].truth) {
                one_sided.extend(condition);
                continue;
            }
            match is_told(&own, &groups, true) {
                Told::Better => {}
                Told::NoBetter => guessed.push(condition),
                Told::TooFew => few = few.or(Some(condition)),
            }
            problems.push(own);
        }
        let unproved = if let Some(condition) = few {
            let patients = count_patients(&groups);
            Some(Unproved::TooFew {
                patients,
                condition,
            })
        } else if !one_sided.is_empty() {
            Some(Unproved::OneSided(one_sided))
        } else if guessed.is_empty() {
            None
        } else {
            Some(Unproved::Guessed(guessed.into_iter().flatten().collect()))
        };
        let of_image = |at: usize| problems.iter().map(|own| &own[at]).collect();
        let all: Vec<Vec<&HeldOut>> = (0..images.len()).map(of_image).collect();
        HeldOutProof {
            balanced_accuracy: BalancedAccuracy::new(&all, &groups),
            unproved,
        }
    }

    /// The choice of one condition, or between the presence (0) and the absence (1) of the one with this index.
    fn held_out(
        &self,
        images: &[usize],
        [before, after]: [&[Vec<f64>]; 2],
        condition: usize,
    ) -> Vec<HeldOut> {
        let probabilities = |logits: &[f64]| match self {
            Self::One(_) => softmax(logits),
            Self::Any { .. } => softmax(&[logits[condition], 0.0]),
        };
        let rows = images.iter().zip(before.iter().zip(after));
        rows.map(|(at, (before, after))| HeldOut {
            truth: match self {
                Self::One(labels) => labels[*at],
                Self::Any { shown, .. } => usize::from(!shown[*at].contains(&condition)),
            },
            before: probabilities(before),
            after: probabilities(after),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["pneumonia", "normal"];

    /// Logits that choose one of two conditions.
    fn chosen(said: &[usize]) -> Vec<Vec<f64>> {
        let row = |own: &usize| (0..2).map(|at| f64::from(u8::from(at == *own))).collect();
        said.iter().map(row).collect()
    }

    fn turns(count: usize) -> Vec<usize> {
        (0..count).map(|at| at % 2).collect()
    }

    #[test]
    fn decisions_must_be_better_than_guesses_of_enough_patients() {
        let labels = turns(20);
        let truths = Truths::One(labels.clone());
        let images: Vec<usize> = (0..20).collect();
        let guesses = chosen(&[0; 20]);
        let right = chosen(&labels);
        let proof = |patients: &[usize], after: &[Vec<f64>]| {
            truths.proof((&images, patients), [&guesses, after], &NAMES)
        };
        let own = proof(&images, &right);
        assert_eq!(own.unproved, None);
        assert!((own.balanced_accuracy.after.value - 1.0).abs() < 1e-9);
        assert!((own.balanced_accuracy.before.value - 0.5).abs() < 1e-9);
        assert_eq!(
            proof(&images, &guesses).unproved,
            Some(Unproved::Guessed(Vec::new()))
        );
        let few: Vec<usize> = (0..20).map(|at| at % 4).collect();
        assert_eq!(
            proof(&few, &right).unproved,
            Some(Unproved::TooFew {
                patients: 4,
                condition: None
            })
        );
    }

    #[test]
    fn each_condition_must_be_told_where_each_is_decided_on_by_itself() {
        // The first is shown by every other image and told; the second by every third.
        let shown: Vec<Vec<usize>> = (0..30)
            .map(|at| {
                let both = [(at % 2 == 0).then_some(0), (at % 3 == 0).then_some(1)];
                both.into_iter().flatten().collect()
            })
            .collect();
        let logits = |tells_second: bool| -> Vec<Vec<f64>> {
            let row = |shown: &Vec<usize>| {
                let sign = |at: usize| if shown.contains(&at) { 1.0 } else { -1.0 };
                vec![sign(0), if tells_second { sign(1) } else { 1.0 }]
            };
            shown.iter().map(row).collect()
        };
        let truths = |shown: &[Vec<usize>]| Truths::Any {
            conditions: 2,
            shown: shown.to_vec(),
        };
        let images: Vec<usize> = (0..30).collect();
        let proof = |truths: Truths, logits: &[Vec<f64>]| {
            let all = (images.as_slice(), images.as_slice());
            truths.proof(all, [logits, logits], &NAMES).unproved
        };
        assert_eq!(proof(truths(&shown), &logits(true)), None);
        assert_eq!(
            proof(truths(&shown), &logits(false)),
            Some(Unproved::Guessed(vec!["normal".to_owned()]))
        );
        let without: Vec<Vec<usize>> = shown
            .iter()
            .map(|own| own.iter().copied().filter(|at| *at == 0).collect())
            .collect();
        assert_eq!(
            proof(truths(&without), &logits(true)),
            Some(Unproved::OneSided(vec!["normal".to_owned()]))
        );
    }
}
