//! What a model is for: which prompt set an image is scored by, and whether it is scored at all.

use crate::encoder::{ModelCard, TaughtFindings};
use crate::prompts::{self, ImageTraits, PromptSet, Prompts};
use crate::scoring::{Decision, Mode, Scorer, Verdict};

/// What the built-in model does not do.
const NO_FINDINGS: &str =
    "the built-in model judges findings of real images only where labels have taught it";

/// What does.
const OTHER_MODEL: &str = "`medivision-tui models pull biomedclip` gets a model for findings, `learn` makes this one learn them from labels of yours";

/// What the built-in model, or one that was fine-tuned from it, does not do.
fn limits(taught: Option<&TaughtFindings>) -> String {
    match taught {
        None => NO_FINDINGS.to_owned(),
        Some(TaughtFindings {
            kind: Some(kind),
            prompts,
            mode,
            ..
        }) => {
            let mode = match mode {
                Mode::Single => "",
                Mode::Multi => " with `--mode multi`",
            };
            format!(
                "this model, fine-tuned from the built-in one, judges findings of real images only of the kind {kind}, and under \
                 the prompts {prompts} that it was trained with{mode}"
            )
        }
        Some(_) => "this model, fine-tuned from the built-in one with phantoms, judges no findings of real images".to_owned(),
    }
}

/// Reads the kind of an image, where anything depends on it.
#[derive(Clone)]
pub(super) struct KindReader {
    scorer: Option<Scorer>,
    /// The condition for images of none of the kinds.
    other: Option<String>,
}

/// How the images of a file are judged.
pub(super) struct Reading {
    /// The index of the prompt set.
    pub(super) set: usize,
    /// Why they are rejected, if they are.
    reason: Option<String>,
    /// The kinds that their DICOM attributes exclude, where the set tells kinds.
    excluded: Vec<&'static str>,
}

impl Reading {
    fn new(set: usize, reason: Option<String>) -> Self {
        Self {
            set,
            reason,
            excluded: Vec::new(),
        }
    }

    /// The same, with another reason why the images are rejected, if there is one and they are not rejected already.
    pub(super) fn or_rejected(mut self, reason: impl FnOnce(usize) -> Option<String>) -> Self {
        let set = self.set;
        self.reason = self.reason.or_else(|| reason(set));
        self
    }

    /// The same, with the kinds that the attributes exclude where `set` tells kinds.
    pub(super) fn excluding(self, set: &PromptSet, traits: ImageTraits) -> Self {
        let excluded = set.tells_kinds().then(|| traits.contradicted_kinds());
        Self {
            excluded: excluded.unwrap_or_default(),
            ..self
        }
    }

    /// The verdict: rejected if the model is not meant for the image, and uncertain if the attributes exclude the kind that it looks like.
    pub(super) fn judged(&self, verdict: Verdict) -> Verdict {
        match &self.reason {
            Some(reason) => verdict.reject(reason.clone()),
            None if self.excluded.contains(&verdict.label.as_str()) => Verdict {
                decision: Decision::Uncertain,
                ..verdict
            },
            None => verdict,
        }
    }
}

impl KindReader {
    /// `scorers`: those of the prompts' sets, in their order; `encode` makes another.
    pub(super) fn new(
        prompts: &Prompts,
        scorers: &[Scorer],
        card: &ModelCard,
        encode: &mut dyn FnMut(&PromptSet) -> Result<Scorer, String>,
    ) -> Result<Self, String> {
        let is_needed = card.builtin.is_some() || card.kinds.len() > 1 || prompts.is_auto();
        if !is_needed {
            return Ok(Self {
                scorer: None,
                other: None,
            });
        }
        let (scorer, set) = if let Some(index) = prompts.kinds() {
            (scorers[index].clone(), prompts.sets()[index].clone())
        } else {
            let set = prompts::kinds().map_err(|error| error.to_string())?;
            (encode(&set)?, set)
        };
        let mut conditions = set.conditions.into_iter();
        Ok(Self {
            scorer: Some(scorer),
            other: conditions.find(|c| c.other).map(|c| c.name),
        })
    }

    /// Chooses the prompt set for the images of a file, and says whether the model is meant for them. `embeddings`: those of its
    /// frames; `taught`: for each prompt set the kind of real images whose findings reviews have taught.
    pub(super) fn read<'a>(
        &self,
        prompts: &Prompts,
        card: &ModelCard,
        traits: ImageTraits,
        is_synthetic: bool,
        taught: &[Option<String>],
        embeddings: impl Iterator<Item = &'a [f32]>,
    ) -> Reading {
        let seen = self.kind(embeddings);
        let certain = seen
            .as_ref()
            .filter(|kind| kind.decision == Decision::Confident)
            .map(|kind| kind.label.as_str());
        if let Some(facts) = &card.builtin
            && !is_synthetic
        {
            let has_earned = |kind: &str, set: usize| {
                taught[set].as_deref() == Some(kind)
                    || facts.has_earned(kind, &prompts.sets()[set].name)
            };
            let limits = limits(facts.taught.as_ref());
            let built_in = BuiltIn {
                id: &card.id,
                other: self.other.as_deref(),
                has_earned,
                limits: &limits,
            };
            return built_in.real_image(prompts, traits, seen.as_ref());
        }
        let by_attributes = traits.kind_by_attributes();
        let kind = match card.kinds {
            // A phantom is of one of the kinds.
            _ if card.builtin.is_some() => by_attributes.or(seen.as_ref().and_then(|kind| {
                let mut likely = kind.scores.iter().map(|score| score.condition.as_str());
                likely.find(|condition| Some(*condition) != self.other.as_deref())
            })),
            // A model for one kind cannot tell it from others.
            [only] => by_attributes.or((!traits.contradicts_kind(only)).then_some(only)),
            _ => by_attributes.or(certain),
        };
        let set = prompts.choose(traits.with_kind(kind));
        let reason = (!is_synthetic).then(|| unsuited(card, traits, kind));
        let reason = reason.flatten();
        Reading::new(set, reason)
    }

    /// The kind of an image, if it is certain, and is one of those that have a name.
    pub(super) fn certain_kind(&self, embedding: &[f32]) -> Option<String> {
        let kind = self.kind(std::iter::once(embedding))?;
        let is_named = Some(&kind.label) != self.other.as_ref();
        (kind.decision == Decision::Confident && is_named).then_some(kind.label)
    }

    /// The verdict about the kind of a file's images; `None` where it does not matter, or if there is none.
    pub(super) fn kind<'a>(&self, embeddings: impl Iterator<Item = &'a [f32]>) -> Option<Verdict> {
        let scorer = self.scorer.as_ref()?;
        let mut verdicts: Vec<Verdict> = embeddings.map(|row| scorer.verdict(row)).collect();
        match verdicts.len() {
            0 => None,
            1 => verdicts.pop(),
            _ => Some(scorer.aggregate(&verdicts)),
        }
    }
}

/// Why a model is not meant for a real image: its kind is none of the model's, or its DICOM attributes exclude all of these.
fn unsuited(card: &ModelCard, traits: ImageTraits, kind: Option<&str>) -> Option<String> {
    if card.kinds.is_empty() {
        return None;
    }
    let own: Vec<&str> = card.kinds.iter().map(String::as_str).collect();
    let what = match kind.filter(|kind| !own.contains(kind)) {
        Some(kind) => kind.to_owned(),
        None => excluding_words(traits, &own)?,
    };
    Some(not_for(&card.id, &what, &own))
}

/// The DICOM attributes that exclude all of these kinds, in words.
fn excluding_words(traits: ImageTraits, kinds: &[&str]) -> Option<String> {
    // The modality alone, if it suffices: there are fewer of them to tell of many images.
    let modality = ImageTraits {
        body_part: None,
        ..traits
    };
    let excludes = |traits: &ImageTraits| kinds.iter().all(|own| traits.contradicts_kind(own));
    let traits = [modality, traits].into_iter().find(excludes)?;
    Some(traits.attribute_words())
}

fn not_for(model: &str, what: &str, kinds: &[&str]) -> String {
    let kinds = kinds.join(", ");
    format!("{model} is not for this kind of image ({what}); it is for: {kinds}")
}

/// How the built-in model judges real images: it says the kind; findings only where it has earned to.
struct BuiltIn<'a, F> {
    /// Its name.
    id: &'a str,
    /// The condition for images of none of the kinds.
    other: Option<&'a str>,
    /// Whether it judges findings of a kind under the set with an index.
    has_earned: F,
    /// What it does not do.
    limits: &'a str,
}

impl<F: Fn(&str, usize) -> bool> BuiltIn<'_, F> {
    fn real_image(
        &self,
        prompts: &Prompts,
        traits: ImageTraits,
        seen: Option<&Verdict>,
    ) -> Reading {
        let certain = seen.filter(|kind| kind.decision == Decision::Confident);
        let certain = certain.map(|kind| kind.label.as_str());
        let earned = |set: usize| certain.filter(|kind| (self.has_earned)(kind, set));
        // Attributes are believed more than pixels.
        let earns = |set: usize| earned(set).is_some_and(|kind| !traits.contradicts_kind(kind));
        let named = prompts.ruled(traits).or((!prompts.is_auto()).then_some(0));
        let chosen = || {
            let found = prompts.choose(traits.with_kind(certain));
            let kinds = || prompts.kinds();
            if earns(found) {
                found
            } else {
                kinds().unwrap_or(found)
            }
        };
        let set = named.unwrap_or_else(chosen);
        if prompts.sets()[set].tells_kinds() || earns(set) {
            return Reading::new(set, None);
        }
        let reason = earned(set).and_then(|kind| self.excluded(traits, kind));
        let reason = reason.unwrap_or_else(|| self.without_findings(seen, certain));
        Reading::new(set, Some(reason))
    }

    /// Why it does not judge findings of an image that looks to be of a kind for which it has earned to.
    fn excluded(&self, traits: ImageTraits, kind: &str) -> Option<String> {
        let told = traits.kind_by_attributes().map(str::to_owned);
        let what = told.or_else(|| excluding_words(traits, &[kind]))?;
        Some(not_for(self.id, &what, &[kind]))
    }

    fn without_findings(&self, seen: Option<&Verdict>, certain: Option<&str>) -> String {
        let limits = self.limits;
        let words = seen.map_or_else(String::new, |seen| {
            let is = if certain.is_some() { "is" } else { "may be" };
            if self.other == Some(seen.label.as_str()) {
                format!("; this {is} of none of the kinds that it knows")
            } else {
                format!("; this {is} of the kind: {}", seen.label)
            }
        });
        format!("{limits}{words}. {OTHER_MODEL}")
    }
}

#[cfg(test)]
pub(super) mod tests;
