//! Warnings about the parts of a prompt set that a model does not understand.

use crate::encoder::Encoder;
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
