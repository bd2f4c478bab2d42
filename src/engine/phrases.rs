//! Warnings about the parts of a prompt set that a model does not understand.

use std::collections::HashMap;

use crate::encoder::{Encoder, EncoderError};
use crate::prompts::draft::{DraftedPhrases, PhraseFault};
use crate::prompts::{Condition, PromptSet};

/// Maximum number of characters quoted from a phrase.
const MAX_QUOTED_CHARS: usize = 60;

/// How a warning about a prompt set begins.
const ABOUT_SET: &str = "prompt set `";

/// Whether a warning is about a prompt set, and so of no interest to a command whose output does not depend on one.
pub fn is_about_set(warning: &str) -> bool {
    warning.starts_with(ABOUT_SET)
}

/// What the user should know before using a set with this model, one sentence each: words that are missing from the model's
/// vocabulary, and phrases that it does not read in full.
pub fn warnings(set: &PromptSet, encoder: &dyn Encoder) -> Vec<String> {
    let (name, model) = (&set.name, &encoder.card().id);
    let mut warnings = Vec::new();
    // The built-in model tells what is none of the others without phrases.
    let is_read = |condition: &&Condition| !(condition.other && encoder.card().builtin.is_some());
    let conditions = || set.conditions.iter().filter(is_read);
    let phrases: Vec<String> = conditions().flat_map(phrases).cloned().collect();
    let unknown = encoder.unknown_words(&set.texts(&phrases));
    if !unknown.is_empty() {
        let words = unknown.join(", ");
        warnings.push(format!(
            "{ABOUT_SET}{name}`: the {model} model does not know these words: {words}"
        ));
    }
    for condition in conditions() {
        for phrase in self::phrases(condition) {
            let mut texts = set.texts(std::slice::from_ref(phrase)).into_iter();
            let Some(cut) = texts.find_map(|text| encoder.cut_off(&text)) else {
                continue;
            };
            warnings.push(format!(
                "{ABOUT_SET}{name}`, condition `{}`: the {model} model reads only {} tokens; of the phrase `{}` it does not see `{}`",
                condition.name,
                cut.context,
                start_of(phrase),
                end_of(&cut.rest),
            ));
        }
    }
    warnings
}

/// The cosine from which two phrases are the same to a model.
const SAME_COSINE: f64 = 0.95;

/// Leaves out the phrases of a draft that the model does not read in full, or cannot tell from one before them other than the
/// condition's name. `set`: the set that they are for, with the templates.
///
/// # Errors
///
/// If the texts cannot be encoded.
pub fn lint(
    draft: &mut DraftedPhrases,
    set: &PromptSet,
    encoder: &mut dyn Encoder,
) -> Result<(), EncoderError> {
    let mut embeddings: HashMap<String, Vec<f64>> = HashMap::new();
    draft.leave_out(|phrase, kept| {
        let texts = set.texts(&[phrase.to_owned()]);
        if let Some(cut) = texts.iter().find_map(|text| encoder.cut_off(text)) {
            return Ok(Some(PhraseFault::CutOff(cut.context)));
        }
        for text in kept.iter().map(String::as_str).chain([phrase]) {
            if !embeddings.contains_key(text) {
                let rows = encoder.encode_texts(&set.texts(&[text.to_owned()]))?;
                embeddings.insert(text.to_owned(), mean_direction(&rows));
            }
        }
        let own = &embeddings[phrase];
        let cosine = |other: &String| dot(own, &embeddings[other]);
        let nearest = kept.iter().max_by(|a, b| cosine(a).total_cmp(&cosine(b)));
        Ok(nearest.and_then(|other| {
            let cosine = cosine(other);
            (cosine > SAME_COSINE).then(|| PhraseFault::Similar {
                other: other.clone(),
                cosine,
            })
        }))
    })
}

/// The mean of unit vectors, made unit again.
fn mean_direction(rows: &[Vec<f32>]) -> Vec<f64> {
    let dimension = rows.first().map_or(0, Vec::len);
    let sum = |at: usize| rows.iter().map(|row| f64::from(row[at])).sum::<f64>();
    let sums: Vec<f64> = (0..dimension).map(sum).collect();
    let length = dot(&sums, &sums).sqrt().max(f64::MIN_POSITIVE);
    sums.into_iter().map(|x| x / length).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What the user should know before searching for a text with this model, one sentence each.
pub fn query_warnings(text: &str, encoder: &dyn Encoder) -> Vec<String> {
    let model = &encoder.card().id;
    let mut warnings = Vec::new();
    let unknown = encoder.unknown_words(&[text.to_owned()]);
    if !unknown.is_empty() {
        let words = unknown.join(", ");
        warnings.push(format!(
            "the {model} model does not know these words: {words}"
        ));
    }
    if let Some(cut) = encoder.cut_off(text) {
        warnings.push(format!(
            "the {model} model reads only {} tokens; of the text `{}` it does not see `{}`",
            cut.context,
            start_of(text),
            end_of(&cut.rest),
        ));
    }
    warnings
}

/// All phrases of a condition, present and absent.
fn phrases(condition: &Condition) -> impl Iterator<Item = &String> {
    condition.phrases.iter().chain(&condition.absent)
}

fn start_of(text: &str) -> String {
    let mut start: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}

fn end_of(text: &str) -> String {
    let left_out = text.chars().count().saturating_sub(MAX_QUOTED_CHARS);
    let end: String = text.chars().skip(left_out).collect();
    if left_out > 0 {
        format!("…{end}")
    } else {
        end
    }
}
