//! From embeddings to results: what this takes of a model is computed once, so that it needs neither the model nor its thread.

use std::path::Path;
use std::sync::Arc;

use super::familiar::Familiarity;
use super::learning::{LearnRequest, LearningSubject, Proposal};
use super::phrases;
use super::purpose::{KindReader, Reading};
use crate::encoder::{Encoder, ModelCard};
use crate::learn::{Learned, LearnedSets};
use crate::library::{self, Failure, ImageContent, Outcome, Provenance, Record};
use crate::media::FrameOrder;
use crate::prompts::{ImageTraits, PromptSet, Prompts};
use crate::scoring::calibration::Calibrations;
use crate::scoring::{Logits, Mode, Score, Scorer, Verdict};

/// The number of a frame, and its unit embedding.
pub(super) type FrameResult = (u32, Result<Arc<[f32]>, Failure>);

/// Prompt sets, encoded by a model.
pub struct Scorers {
    pub(super) prompts: Prompts,
    /// One per prompt set, in the same order.
    scorers: Vec<Scorer>,
    /// The same without what was learned, not calibrated.
    zero_shot: Vec<Scorer>,
    /// The number of reviews from which each has learned.
    learned: Vec<Option<usize>>,
    /// The kind of real images whose findings reviews, or the fine-tuning of the model, have taught under each.
    taught: Vec<Option<String>>,
    /// For phantoms, those by the texts with their calibrations.
    for_phantoms: Vec<Scorer>,
    pub(super) mode: Mode,
    /// The model.
    card: ModelCard,
    kinds: KindReader,
    familiar: Arc<Familiarity>,
}

/// Checks that a model with these parameters can score a set in a mode.
///
/// # Errors
///
/// A sentence that names a condition whose phrases for its absence are missing.
pub fn check_mode(set: &PromptSet, mode: Mode, logits: Logits) -> Result<(), String> {
    if mode == Mode::Multi
        && logits.needs_absent_phrases()
        && let Some(condition) = set.without_absent().first()
    {
        return Err(format!(
            "prompt set `{}`: `{condition}` has no `absent` phrases, which --mode multi needs",
            set.name
        ));
    }
    Ok(())
}

/// What was learned without what is about other conditions or embeddings than those of the model under these prompts, as a file has
/// that was changed by hand; and a sentence about each.
fn fitting(
    learned: &LearnedSets,
    prompts: &Prompts,
    card: &ModelCard,
) -> (LearnedSets, Vec<String>) {
    let mut warnings = Vec::new();
    let mut fits = |own: &&Learned| {
        let is_own = |set: &&PromptSet| set.digest == own.prompts_digest;
        let Some(set) = prompts.sets().iter().find(is_own) else {
            return true;
        };
        let names: Vec<&str> = set.conditions.iter().map(|own| own.name.as_str()).collect();
        let checked = if own.model_digest == card.digest {
            own.check_shape(&names, card.dimension)
        } else {
            Ok(())
        };
        checked
            .map_err(|error| {
                warnings.push(format!(
                    "what was learned under {} is not used: {error}; `learn --undo` takes it back",
                    set.name
                ));
            })
            .is_ok()
    };
    let kept = learned.0.iter().filter(|own| fits(own)).cloned().collect();
    (LearnedSets(kept), warnings)
}

impl Scorers {
    /// Encodes the prompts' texts, and applies what was learned for them and the calibrations that fit. Also returns what the user should know of them, one sentence each.
    ///
    /// # Errors
    ///
    /// A sentence, if a set cannot be used with this model in this mode, or a text cannot be encoded.
    pub fn new(
        prompts: Prompts,
        mode: Mode,
        (calibrations, learned): (&Calibrations, &LearnedSets),
        encoder: &mut dyn Encoder,
    ) -> Result<(Self, Vec<String>), String> {
        let card = encoder.card().clone();
        let logits = Logits {
            scale: card.logit_scale,
            bias: card.logit_bias,
        };
        let left_out = prompts.sets().iter();
        let left_out = left_out.filter_map(|set| check_mode(set, mode, logits).err());
        let left_out: Vec<String> = left_out.collect();
        let prompts = if prompts.is_auto() {
            prompts.without(|set| check_mode(set, mode, logits).is_err())
        } else {
            prompts
        };
        // Those that the user or a rule names.
        for set in prompts.sets() {
            check_mode(set, mode, logits)?;
        }
        let known = card.builtin.as_ref().map(|facts| Arc::clone(&facts.known));
        let mut scorer = |set: &PromptSet| {
            let scorer = Scorer::new(set, mode, logits, |texts| encoder.encode_texts(texts));
            let scorer = scorer.map_err(|error| format!("prompt set `{}`: {error}", set.name))?;
            Ok::<_, String>(scorer.knowing(known.clone()))
        };
        let zero_shot = prompts.sets().iter().map(&mut scorer);
        let zero_shot = zero_shot.collect::<Result<Vec<Scorer>, _>>()?;
        let (learned, mut warnings) = fitting(learned, &prompts, &card);
        let words = |reason: String| format!("{reason}; no image is scored with it");
        warnings.extend(left_out.into_iter().map(words));
        let learned = &learned;
        let tuned = |set: &PromptSet| {
            let facts = card.builtin.as_ref()?;
            facts.taught_kind(&set.digest, mode.for_set(set))
        };
        // Under a set whose findings a model fine-tuned from the built-in one judges in real images, it judges phantoms, too.
        let calibration = |set: &PromptSet, learned: Option<&str>, is_synthetic: bool| {
            let mode = mode.for_set(set);
            let found = calibrations.find(&card.digest, &set.digest, mode, learned)?;
            (tuned(set).is_none() || found.synthetic == is_synthetic).then(|| found.clone())
        };
        let in_use = |scorer: Scorer, set: &PromptSet| {
            let mode = mode.for_set(set);
            let own = learned.find(&card.digest, &set.digest, mode);
            let digest = own.map(Learned::digest);
            let calibration = calibration(set, digest.as_deref(), false);
            let conditions = own.map_or(&[][..], |own| &own.conditions);
            scorer.learning(conditions).calibrated(calibration)
        };
        let both = zero_shot.iter().cloned().zip(prompts.sets());
        let scorers: Vec<Scorer> = both.map(|(scorer, set)| in_use(scorer, set)).collect();
        let for_phantoms = zero_shot
            .iter()
            .zip(prompts.sets())
            .map(|(scorer, set)| scorer.clone().calibrated(calibration(set, None, true)));
        let for_phantoms = for_phantoms.collect();
        let kinds = KindReader::new(&prompts, &scorers, &card, &mut |set| {
            Ok(in_use(scorer(set)?, set))
        })?;
        let own = prompts.sets().iter().map(|set| {
            let own = learned.find(&card.digest, &set.digest, mode.for_set(set));
            let (reviews, kind) = own.map_or((None, None), |own| {
                let reviews = own.changes_scores().then_some(own.reviews);
                (reviews, own.kind.clone())
            });
            (reviews, kind.or_else(|| tuned(set).map(str::to_owned)))
        });
        let (learned, taught) = own.unzip();
        for set in prompts.sets() {
            warnings.extend(phrases::warnings(set, encoder));
        }
        let scorers = Self {
            prompts,
            scorers,
            zero_shot,
            learned,
            taught,
            for_phantoms,
            mode,
            card,
            kinds,
            familiar: Arc::default(),
        };
        Ok((scorers, warnings))
    }

    /// The same scorers, which reject images unlike those that people have reviewed.
    #[must_use]
    pub(super) fn knowing(self, familiar: Arc<Familiarity>) -> Self {
        Self { familiar, ..self }
    }

    /// Which set the images of a file are scored by, and whether they are rejected.
    fn read<'a>(
        &self,
        content: &str,
        traits: ImageTraits,
        is_synthetic: bool,
        embeddings: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Reading {
        let (prompts, card) = (&self.prompts, &self.card);
        let frames = embeddings.clone();
        let taught = &self.taught;
        let reading = self
            .kinds
            .read(prompts, card, traits, is_synthetic, taught, frames);
        if is_synthetic {
            return reading;
        }
        let set = &prompts.sets()[reading.set];
        let reading = reading.excluding(set, traits);
        if card.builtin.is_some() {
            return reading;
        }
        reading.or_rejected(|set| {
            self.familiar
                .reason(&prompts.sets()[set], content, embeddings)
        })
    }

    /// The scorer of a set, and what its results depend on. What real images have taught is not meant for phantoms, and what phantoms
    /// say about findings of the built-in model not for real images.
    fn scorer(&self, set: usize, is_synthetic: bool) -> (&Scorer, Provenance<'_>) {
        let is_taught = self.taught[set].is_some();
        let is_by_phantoms = || {
            let tells_kinds = self.prompts.sets()[set].tells_kinds();
            self.card.builtin.is_some() && !tells_kinds && !is_taught
        };
        let (scorer, learned) = if is_synthetic && is_taught {
            (&self.for_phantoms[set], None)
        } else if !is_synthetic && is_by_phantoms() {
            (&self.zero_shot[set], None)
        } else {
            (&self.scorers[set], self.learned[set])
        };
        let set = &self.prompts.sets()[set];
        let provenance = Provenance {
            card: &self.card,
            prompts: set,
            mode: self.mode.for_set(set),
            calibrated: scorer.is_calibrated(),
            learned,
        };
        (scorer, provenance)
    }

    /// The direction along which a condition of a set scores against its alternative.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    pub(super) fn direction(&self, digest: &str, condition: &str) -> Result<Vec<f32>, String> {
        let sets = self.prompts.sets().iter().zip(&self.scorers);
        let mut sets = sets.filter(|(set, _)| set.digest == digest);
        let (set, scorer) = sets.next().ok_or("the prompts have changed")?;
        let names = set.conditions.iter().map(|condition| &condition.name);
        let at = names.clone().position(|name| name == condition);
        let at = at.ok_or_else(|| {
            let names: Vec<&str> = names.map(String::as_str).collect();
            format!(
                "prompt set `{}` has no condition `{condition}`; it has {}",
                set.name,
                names.join(", ")
            )
        })?;
        scorer.direction(at).ok_or_else(|| {
            format!("`{condition}` is told by its distance to what the model knows, not by regions")
        })
    }

    /// What the texts of a set alone say of an image, not calibrated; nothing without the set.
    pub(super) fn scores_by_texts(&self, digest: &str, embedding: &[f32]) -> Vec<Score> {
        let sets = self.prompts.sets().iter();
        let mut all = sets.zip(&self.zero_shot);
        let found = all.find(|(set, _)| set.digest == digest);
        found.map_or_else(Vec::new, |(_, scorer)| scorer.verdict(embedding).scores)
    }

    /// What tells kinds of image apart.
    pub(super) fn into_kinds(self) -> KindReader {
        self.kinds
    }

    /// What the reviews of a request teach.
    pub(super) fn proposal(&self, request: &LearnRequest) -> Result<Proposal, String> {
        let mut sets = self.prompts.sets().iter();
        let at = sets.position(|set| set.name == request.prompts);
        let at = at.ok_or_else(|| format!("the prompt set {} is not in use", request.prompts))?;
        let subject = LearningSubject {
            card: &self.card,
            set: &self.prompts.sets()[at],
            zero_shot: &self.zero_shot[at],
            in_use: &self.scorers[at],
            kinds: &self.kinds,
            taught: self.taught[at].as_deref(),
            phantoms_taught: self.taught[at].is_none() && self.learned[at].is_some(),
        };
        subject.propose(&request.images)
    }

    /// One outcome per frame of a file, followed by their aggregate if there are several. `order`: the order of the frames in
    /// space.
    pub(super) fn outcomes(
        &self,
        path: &Path,
        content: &ImageContent,
        order: &FrameOrder,
        mut results: Vec<FrameResult>,
    ) -> Vec<Outcome> {
        let embeddings = results.iter().filter_map(|(_, row)| row.as_deref().ok());
        let facts = &content.facts;
        let reading = self.read(&content.hash, facts.traits(), facts.synthetic, embeddings);
        let (scorer, provenance) = self.scorer(reading.set, facts.synthetic);
        let record = |frame, verdict, embedding| {
            let verdict = reading.judged(verdict);
            library::record(path, content, frame, verdict, embedding, &provenance)
        };
        // Failed frames skip the model and so arrive before the others.
        results.sort_by_key(|(frame, _)| order.position(*frame));
        let has_several = results.len() > 1;
        let mut verdicts: Vec<Verdict> = Vec::new();
        let mut outcomes: Vec<Outcome> = Vec::new();
        for (frame, result) in results {
            outcomes.push(result.map(|embedding| {
                let verdict = scorer.verdict(&embedding);
                verdicts.push(verdict.clone());
                record(Some(frame), verdict, Some(embedding))
            }));
        }
        // A file of which all frames failed is one failure.
        if verdicts.is_empty() {
            outcomes.truncate(1);
        }
        if has_several && !verdicts.is_empty() {
            outcomes.push(Ok(record(None, scorer.aggregate(&verdicts), None)));
        }
        outcomes
    }

    /// The records of one file under these prompts; `None` if another model encoded its images.
    pub fn rescored(&self, records: &[Record]) -> Option<Arc<[Record]>> {
        let first = records.first()?;
        if first.model_digest != self.card.digest {
            return None;
        }
        let embeddings = records
            .iter()
            .filter_map(|record| record.embedding.as_deref());
        let reading = self.read(&first.content, first.traits(), first.synthetic, embeddings);
        let (scorer, provenance) = self.scorer(reading.set, first.synthetic);
        let mut verdicts = Vec::new();
        let mut rescored = Vec::with_capacity(records.len());
        for record in records {
            let verdict = match &record.embedding {
                Some(embedding) => {
                    let verdict = scorer.verdict(embedding);
                    if records.len() > 1 {
                        verdicts.push(verdict.clone());
                    }
                    verdict
                }
                // The aggregate comes after its frames.
                None if !verdicts.is_empty() => scorer.aggregate(&verdicts),
                None => return None,
            };
            rescored.push(record.rescored(reading.judged(verdict), &provenance));
        }
        Some(rescored.into())
    }
}
