//! What a fine-tuned model is worth on the images held out, beside the texts alone and a probe.

use super::super::alike::unproved_words;
use super::super::conditions::TrainedCondition;
use super::super::probe;
use super::Tuning;
use crate::commands::Fault;
use crate::encoder::PreparedImage;
use crate::encoder::finetune::TrainingImages as _;
use crate::learn::{HeldOutFigures, Probe, TrainingGain};

/// The images held out by texts alone, by a probe and by the fine-tuned model.
pub(super) struct JudgedModels {
    pub(super) zero_shot: HeldOutFigures,
    pub(super) probe: Option<HeldOutFigures>,
    pub(super) lora: HeldOutFigures,
    pub(super) gain_over_zero_shot: TrainingGain,
    pub(super) gain_over_probe: Option<TrainingGain>,
    pub(super) conditions: Vec<TrainedCondition>,
    /// Why the built-in model may not judge more images like these by what it was trained with.
    pub(super) unproved: Option<String>,
}

impl Tuning<'_> {
    /// Compares the texts, a probe and the fine-tuned model on the images held out.
    pub(super) fn judged(&self) -> Result<JudgedModels, Fault> {
        let problem = &self.model.problem;
        let held_out = &self.split.held_out;
        let images: Result<Vec<PreparedImage>, _> =
            held_out.iter().map(|at| self.images.image(*at)).collect();
        let tuned = self.tuner.encode_best(&images.map_err(Fault::unusable)?);
        let tuned = tuned.map_err(Fault::unusable)?;
        let tuned: Vec<Vec<f64>> = tuned.iter().map(|row| problem.zero_shot(row)).collect();
        let before = held_out
            .iter()
            .map(|at| problem.zero_shot(&self.embeddings[*at]));
        let before: Vec<Vec<f64>> = before.collect();
        let patients = &self.patients.0;
        let (embeddings, truths) = (&self.embeddings, &self.truths);
        let fitted = probe::fit(problem, embeddings, truths, patients, &self.split).ok();
        let probe = fitted.as_ref().map(|probe| {
            let all = held_out.iter();
            all.map(|at| probe.logits(problem, &embeddings[*at]))
                .collect::<Vec<_>>()
        });
        let trained = truths.learnable(&self.split.train);
        let trained = trained.as_deref();
        let figures = |logits: &[Vec<f64>]| truths.figures(held_out, logits, trained);
        let gain =
            |a: &[Vec<f64>], b: &[Vec<f64>]| truths.gain((held_out, patients), [a, b], trained);
        let proof = self.proof([&before, &tuned]);
        Ok(JudgedModels {
            unproved: proof.and_then(|own| unproved_words(&own, held_out.len())),
            zero_shot: figures(&before),
            lora: figures(&tuned),
            gain_over_zero_shot: gain(&before, &tuned),
            gain_over_probe: probe.as_ref().map(|own| gain(own, &tuned)),
            conditions: self.conditions(
                fitted.as_ref(),
                [Some(&before), probe.as_ref(), Some(&tuned)],
            ),
            probe: probe.map(|own| figures(&own)),
        })
    }

    /// What is said of each condition; `logits`: zero-shot, by the probe and fine-tuned.
    fn conditions(
        &self,
        probe: Option<&Probe>,
        logits: [Option<&Vec<Vec<f64>>>; 3],
    ) -> Vec<TrainedCondition> {
        let mut all = TrainedCondition::of_set(&self.set, &self.truths, &self.split);
        if let Some(probe) = probe {
            TrainedCondition::add_gates(&mut all, probe);
        }
        for (scores, logits) in ["zero_shot", "probe", "lora"].into_iter().zip(logits) {
            let held_out = (self.split.held_out.as_slice(), self.patients.0.as_slice());
            let own = logits.and_then(|own| self.truths.separations(held_out, own, None));
            TrainedCondition::add_scores(&mut all, scores, own.as_ref());
        }
        all
    }
}
