//! What a model does not understand of a prompt set.

use crate::encoder::Encoder;
use crate::prompts::PromptSet;

/// Characters of a quoted phrase.
const MAX_QUOTE: usize = 60;

/// What the user should know of a set before it is used with this model, one sentence each: words that the model does not
/// have, and phrases that it does not read in full.
pub fn warnings(set: &PromptSet, encoder: &dyn Encoder) -> Vec<String> {
    let phrases = set.conditions.iter();
    let phrases = phrases.flat_map(|condition| condition.phrases.iter().chain(&condition.absent));
    let phrases: Vec<String> = phrases.cloned().collect();
    let (name, model) = (&set.name, &encoder.card().id);
    let unknown = encoder.unknown_words(&set.texts(&phrases));
    let unknown = (!unknown.is_empty()).then(|| {
        let words = unknown.join(", ");
        format!("prompt set `{name}`: the {model} model does not know: {words}")
    });
    let too_long = phrases.iter().filter_map(|phrase| {
        let mut texts = set.texts(std::slice::from_ref(phrase)).into_iter();
        let cut = texts.find_map(|text| encoder.cut_off(&text))?;
        Some(format!(
            "prompt set `{name}`: the {model} model reads {} tokens; of the phrase `{}` it does not see `{}`",
            cut.context,
            start_of(phrase),
            start_of(&cut.rest),
        ))
    });
    unknown.into_iter().chain(too_long).collect()
}

fn start_of(text: &str) -> String {
    let mut start: String = text.chars().take(MAX_QUOTE).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    start
}
