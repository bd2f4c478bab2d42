//! Whether what was learned is better than the texts on labelled images that took no part.
//!
//! Learned logits may be nothing but the texts' at another temperature, which makes probabilities better and tells nothing apart. So what
//! was learned is better only if the log-loss is less than by the texts and the balanced accuracy no smaller, and if one of the two shows
//! more than a temperature: a larger balanced accuracy, which no temperature changes, or less log-loss than the texts have at the
//! temperature that suits the same images best. All are judged by their values on these images; the intervals beside them say how sure
//! that is.

use super::HeldOut;
use super::chance::Recalls;

/// The least probability that counts: an image is not infinitely wrong.
pub(super) const MIN_PROBABILITY: f64 = 1e-12;
/// The largest factor of the texts' logits that is tried.
const MAX_FACTOR: f64 = 64.0;
/// Halvings of the interval in which the factor is searched.
const HALVINGS: usize = 40;

/// Whether images are scored better with what the others say than by the texts.
pub(super) fn is_gain(held_out: &[HeldOut]) -> bool {
    let sum = |rows: &mut dyn Iterator<Item = &Vec<f64>>| -> f64 {
        let pairs = rows.zip(held_out);
        pairs.map(|(row, own)| loss(row, own.truth)).sum()
    };
    let tempered = tempered(held_out.iter());
    let after = sum(&mut held_out.iter().map(|own| &own.after));
    let before = sum(&mut held_out.iter().map(|own| &own.before));
    // Rounding is no gain.
    let is_less = |than: f64| after < than - 1e-9;
    let recall = |after| Recalls::new(held_out.iter().map(|own| (own, 0)), after).balanced();
    let change = recall(true) - recall(false);
    let is_more_than_temperature = change > 1e-12 || is_less(sum(&mut tempered.iter()));
    is_less(before) && change > -1e-12 && is_more_than_temperature
}

/// The negative logarithm of the probability of what is true.
pub(super) fn loss(probabilities: &[f64], truth: usize) -> f64 {
    -probabilities[truth].max(MIN_PROBABILITY).ln()
}

/// The probabilities of each image by the texts at the temperature with which these images have the least log-loss.
pub(super) fn tempered<'a>(images: impl Iterator<Item = &'a HeldOut>) -> Vec<Vec<f64>> {
    // Logarithms of probabilities are logits but for what all conditions share.
    let logits = images.map(|own| {
        let logits = own.before.iter().map(|p| p.max(f64::MIN_POSITIVE).ln());
        (own.truth, logits.collect::<Vec<f64>>())
    });
    let logits: Vec<(usize, Vec<f64>)> = logits.collect();
    let at = |factor: f64, row: &[f64]| {
        let scaled: Vec<f64> = row.iter().map(|logit| factor * logit).collect();
        crate::scoring::softmax(&scaled)
    };
    // How the log-loss, which is convex in the factor, grows with it.
    let slope = |factor: f64| -> f64 {
        let of_image = |(truth, row): &(usize, Vec<f64>)| {
            let expected = at(factor, row).into_iter().zip(row);
            expected.map(|(p, logit)| p * logit).sum::<f64>() - row[*truth]
        };
        logits.iter().map(of_image).sum()
    };
    let (mut low, mut high) = (0.0, MAX_FACTOR);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    logits.iter().map(|(_, row)| at(high, row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::softmax;

    /// Images of two conditions by the difference of their logits, before and after.
    fn images(all: &[(usize, f64, f64)]) -> Vec<HeldOut> {
        let image = |(truth, before, after): &(usize, f64, f64)| HeldOut {
            truth: *truth,
            before: softmax(&[*before, 0.0]),
            after: softmax(&[*after, 0.0]),
        };
        all.iter().map(image).collect()
    }

    #[test]
    fn a_gain_is_better_than_the_texts_at_any_temperature() {
        // Texts that are far too sure, of which one image in four is wrong.
        let texts = [
            (0, 6.0),
            (0, 6.0),
            (0, 6.0),
            (0, -6.0),
            (1, -6.0),
            (1, -6.0),
            (1, -6.0),
            (1, 6.0),
        ];
        let learned = |factor: f64, shift: f64| {
            let all = texts.map(|(truth, logit)| {
                let sign = if truth == 0 { 1.0 } else { -1.0 };
                (truth, logit, factor * logit + sign * shift)
            });
            images(&all)
        };
        let cooler = learned(0.2, 0.0);
        let sum = |pick: &dyn Fn(&HeldOut) -> f64| cooler.iter().map(pick).sum::<f64>();
        assert!(sum(&|own| loss(&own.after, own.truth)) < sum(&|own| loss(&own.before, own.truth)));
        assert!(!is_gain(&cooler), "only the temperature differs");
        assert!(is_gain(&learned(0.2, 0.5)), "something is told apart");
        assert!(!is_gain(&learned(1.0, 0.0)), "nothing differs");
        let found = images(&[(0, -4.0, 0.2), (0, -4.0, -1.5), (1, -4.0, -0.1)]);
        assert!(is_gain(&found), "a label more is right");
        let tempered = tempered(cooler.iter());
        // Three of four are right: that is the probability that fits.
        assert!((tempered[0][0] - 0.75).abs() < 1e-6, "{tempered:?}");
    }

    #[test]
    fn surer_scores_with_fewer_right_labels_are_no_gain() {
        let mut all = vec![(0, -0.1, 2.0); 6];
        all.extend([(1, -0.1, -2.0); 6]);
        assert!(is_gain(&images(&all)));
        // Of the frequent condition much is gained, of the rare one the last right label is lost.
        let mut all = vec![(0, 0.1, 3.0); 20];
        all.push((1, -0.1, 0.1));
        assert!(!is_gain(&images(&all)));
    }
}
