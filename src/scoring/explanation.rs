//! Why a condition scores as it does: its logit as the sum of what its phrases contribute.
//!
//! A condition's direction is the mean *m* of the unit embeddings *t* of its texts, scaled to unit length, so with *n* texts the
//! logit of an image *e* is `scale · e·m / |m| = Σ scale · e·t / (n · |m|)`: exactly a sum over texts, and over phrases. It says how
//! similar the image is to each phrase, not why the image is so: random words often help as much as descriptions (Roth et al.
//! 2023), so a placebo belongs beside it.

use super::{Logits, dot, mean_direction};

/// What one phrase contributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhraseShare {
    /// Its part of the condition's logit; those of all phrases add up to the logit without its bias.
    pub contribution: f64,
    /// How much of the condition's lead over the others it makes up; those of all phrases add up to the lead.
    pub lead: f64,
}

/// The embeddings of the texts of one condition: every phrase in every template.
#[derive(Clone, Debug)]
pub struct ConditionTexts {
    /// Unit rows, `[templates · phrases, d]`: all phrases in the first template, then all in the second one.
    rows: Vec<Vec<f32>>,
    phrases: usize,
    /// `|m|`: the length of the mean of the rows.
    length: f64,
}

impl ConditionTexts {
    /// Joins the rows of some phrases, in the order of [`crate::prompts::PromptSet::texts`].
    pub fn new(rows: Vec<Vec<f32>>, phrases: usize) -> Self {
        let direction = mean_direction(&rows);
        // The mean along its own direction is its length.
        let along: f64 = rows.iter().map(|row| dot(row, &direction)).sum();
        Self {
            length: along / rows.len().max(1) as f64,
            phrases: phrases.max(1),
            rows,
        }
    }

    /// The cosine of an image and the condition's text embedding.
    pub fn similarity(&self, embedding: &[f32]) -> f64 {
        let sum: f64 = self.rows.iter().map(|row| dot(embedding, row)).sum();
        sum / (self.rows.len().max(1) as f64 * self.length.max(f64::MIN_POSITIVE))
    }

    /// What each phrase contributes to the logit of an image.
    pub fn contributions(&self, logits: Logits, embedding: &[f32]) -> Vec<f64> {
        let mut sums = vec![0.0; self.phrases];
        for (at, row) in self.rows.iter().enumerate() {
            sums[at % self.phrases] += dot(embedding, row);
        }
        let divisor = self.rows.len().max(1) as f64 * self.length.max(f64::MIN_POSITIVE);
        sums.into_iter()
            .map(|sum| logits.scale * sum / divisor)
            .collect()
    }
}

/// The shares of the phrases of each condition, in their order. The lead of a condition is its logit less the mean over the phrases
/// of all others, each phrase counted as if it were alone.
pub fn explain(
    conditions: &[ConditionTexts],
    logits: Logits,
    embedding: &[f32],
) -> Vec<Vec<PhraseShare>> {
    let contributions: Vec<Vec<f64>> = conditions
        .iter()
        .map(|condition| condition.contributions(logits, embedding))
        .collect();
    let shares = |at: usize| shares(&contributions, at, &contributions[at]);
    (0..conditions.len()).map(shares).collect()
}

/// The shares of a placebo for the condition at an index: as if its phrases stood in place of the condition's, so that their leads
/// differ by what their logits differ by.
pub fn explain_placebo(
    conditions: &[ConditionTexts],
    at: usize,
    placebo: &ConditionTexts,
    logits: Logits,
    embedding: &[f32],
) -> Vec<PhraseShare> {
    let contributions: Vec<Vec<f64>> = conditions
        .iter()
        .map(|condition| condition.contributions(logits, embedding))
        .collect();
    shares(
        &contributions,
        at,
        &placebo.contributions(logits, embedding),
    )
}

/// `own`: the index of the condition among all, which is not compared with itself.
fn shares(all: &[Vec<f64>], own: usize, contributions: &[f64]) -> Vec<PhraseShare> {
    let others = all.iter().enumerate().filter(|(at, _)| *at != own);
    let alone = others.flat_map(|(_, phrases)| {
        let count = phrases.len() as f64;
        phrases.iter().map(move |contribution| contribution * count)
    });
    let (sum, count) = alone.fold((0.0, 0_u32), |(sum, count), logit| (sum + logit, count + 1));
    let mean = sum / f64::from(count.max(1));
    let each = mean / contributions.len().max(1) as f64;
    let share = |&contribution: &f64| PhraseShare {
        contribution,
        lead: contribution - each,
    };
    contributions.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(row: &[f32]) -> Vec<f32> {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
        row.iter().map(|x| x / length).collect()
    }

    /// Conditions of one to four phrases in two templates, and an image.
    fn case() -> impl Strategy<Value = (Vec<ConditionTexts>, Vec<f32>)> {
        let row = || prop::collection::vec(-1.0_f32..1.0, 8).prop_map(|row| unit(&row));
        let condition = (1..5_usize).prop_flat_map(move |phrases| {
            let rows = prop::collection::vec(row(), 2 * phrases);
            rows.prop_map(move |rows| ConditionTexts::new(rows, phrases))
        });
        (prop::collection::vec(condition, 2..5), row())
    }

    const LOGITS: Logits = Logits {
        scale: 100.0,
        bias: None,
    };

    proptest! {
        #[test]
        fn contributions_add_up_to_the_logit_and_leads_to_the_lead((conditions, image) in case()) {
            let shares = explain(&conditions, LOGITS, &image);
            let logit = |condition: &ConditionTexts| {
                100.0 * dot(&image, &mean_direction(&condition.rows))
            };
            for (at, (condition, shares)) in conditions.iter().zip(&shares).enumerate() {
                // Random phrases may cancel out; then there is no direction.
                prop_assume!(condition.length > 0.05);
                let sum: f64 = shares.iter().map(|share| share.contribution).sum();
                prop_assert!((sum - logit(condition)).abs() < 1e-4, "{sum} {}", logit(condition));
                let phrases = conditions.iter().enumerate().filter(|(other, _)| *other != at);
                let alone: Vec<f64> = phrases
                    .flat_map(|(_, other)| {
                        let parts = other.contributions(LOGITS, &image);
                        let count = parts.len() as f64;
                        parts.into_iter().map(move |part| part * count)
                    })
                    .collect();
                let mean = alone.iter().sum::<f64>() / alone.len() as f64;
                let lead: f64 = shares.iter().map(|share| share.lead).sum();
                prop_assert!((lead - (sum - mean)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_phrase_that_an_image_resembles_contributes_most_and_a_placebo_little() {
        let axis = |at: usize| {
            let mut row = vec![0.0_f32; 6];
            row[at] = 1.0;
            row
        };
        let conditions = [
            ConditionTexts::new(vec![axis(0), axis(1)], 2),
            ConditionTexts::new(vec![axis(2), axis(3)], 2),
        ];
        let image = unit(&[1.0, 0.1, 0.1, 0.0, 0.0, 0.0]);
        let shares = explain(&conditions, LOGITS, &image);
        assert!(shares[0][0].contribution > 9.0 * shares[0][1].contribution);
        assert!(shares[0].iter().map(|share| share.lead).sum::<f64>() > 0.0);
        assert!(shares[1].iter().map(|share| share.lead).sum::<f64>() < 0.0);
        let placebo = ConditionTexts::new(vec![axis(4), axis(5)], 2);
        for (at, shares) in shares.iter().enumerate() {
            let placebo = explain_placebo(&conditions, at, &placebo, LOGITS, &image);
            assert!(placebo.iter().all(|share| share.contribution.abs() < 1e-9));
            let total = |part: fn(&PhraseShare) -> f64| {
                shares.iter().map(part).sum::<f64>() - placebo.iter().map(part).sum::<f64>()
            };
            let (logit, lead) = (total(|share| share.contribution), total(|share| share.lead));
            assert!((lead - logit).abs() < 1e-9, "{at}: {lead} {logit}");
        }
    }
}
