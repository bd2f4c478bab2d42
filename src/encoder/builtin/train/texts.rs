//! Texts about the images of a batch, and the vocabulary of all texts.

use std::collections::BTreeSet;

use medivision_tui::prompts::PromptSet;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::claims::{CLAIMS, kind_phrases};
use super::facts::{Facts, Kind};
use super::statements::{STATEMENTS, TEMPLATES, split};

/// Phrases about tumours that are true of some real tumours only, and the detail of those.
const SPECIFIC: [(&str, &str); 3] = [
    ("glioma", "glioma"),
    ("glioblastoma", "glioma"),
    ("meningioma", "meningioma"),
];

/// Words that say nothing of the image. Training inserts them, so that users' sentences are understood; other words are
/// unknown, and named to the user.
const FILLERS: &str = "and or is are was be has have its this these those on in at by for from to than very large small \
    little both one two several many old new acute chronic mild moderate severe early late suspected probable possible \
    visible view portable lateral oblique supine upright erect ap pa standing male female man woman typical example case";
/// Share of texts with a filler.
const FILLER_SHARE: f64 = 0.15;
/// Share of texts with an unknown word.
const UNKNOWN_SHARE: f64 = 0.05;

/// A random phrase in a random template.
pub fn fill(phrases: &[&str], rng: &mut impl Rng) -> String {
    let phrase = phrases.choose(rng).copied().unwrap_or_default();
    // Half of the texts are phrases alone, as in prompt sets without templates.
    if rng.random_bool(0.5) {
        return phrase.to_owned();
    }
    TEMPLATES
        .choose(rng)
        .map_or_else(String::new, |template| template.replace("{}", phrase))
}

/// Sometimes puts a filler or an unknown word somewhere into a text, so that the model learns to ignore them.
pub fn disturbed(text: String, rng: &mut impl Rng) -> String {
    let fillers: Vec<&str> = FILLERS.split_whitespace().collect();
    let word = if rng.random_bool(UNKNOWN_SHARE) {
        "zzz"
    } else if rng.random_bool(FILLER_SHARE) {
        fillers.choose(rng).copied().unwrap_or_default()
    } else {
        return text;
    };
    let mut words: Vec<&str> = text.split(' ').collect();
    words.insert(rng.random_range(0..=words.len()), word);
    words.join(" ")
}

/// A statement of either list with its truth for a batch.
pub struct TrainingText {
    /// The text.
    pub text: String,
    /// Whether it is true of each image.
    pub truth: Vec<Option<bool>>,
}

impl TrainingText {
    /// Draws a caption about the images of a batch.
    pub fn draw(facts: &[Facts], rng: &mut impl Rng) -> Self {
        let all = STATEMENTS.len() + CLAIMS.len() + Kind::ALL.len();
        let index = rng.random_range(0..all);
        if let Some(statement) = STATEMENTS.get(index) {
            let phrase = statement.phrases.choose(rng).copied().unwrap_or_default();
            let specific = SPECIFIC.iter().find(|(word, _)| phrase.contains(word));
            let truth = |f: &Facts| match (f.cell, specific) {
                (Some(_), Some((_, detail))) if f.kind == Kind::Brain && !f.is_phantom() => {
                    Some(f.has(detail))
                }
                (cell, _) => cell.map(statement.holds),
            };
            return Self {
                text: fill(&[phrase], rng),
                truth: facts.iter().map(truth).collect(),
            };
        }
        if let Some(claim) = CLAIMS.get(index - STATEMENTS.len()) {
            return Self {
                text: fill(claim.phrases, rng),
                truth: facts.iter().map(|f| claim.truth(f)).collect(),
            };
        }
        let kind = Kind::ALL[index - STATEMENTS.len() - CLAIMS.len()];
        Self {
            text: fill(kind_phrases(kind), rng),
            truth: facts.iter().map(|f| Some(f.kind == kind)).collect(),
        }
    }
}

/// All words of the texts, sorted.
pub fn words(sets: &[PromptSet]) -> Vec<String> {
    let mut words = BTreeSet::new();
    let mut learn = |text: &str| words.extend(split(&text.replace("{}", " ")));
    for set in sets {
        set.templates.iter().for_each(|text| learn(text));
        for condition in &set.conditions {
            condition
                .phrases
                .iter()
                .chain(&condition.absent)
                .for_each(|text| learn(text));
            learn(&condition.description);
            learn(&condition.name);
        }
    }
    STATEMENTS
        .iter()
        .flat_map(|s| s.phrases)
        .for_each(|text| learn(text));
    CLAIMS
        .iter()
        .flat_map(|c| c.phrases)
        .for_each(|text| learn(text));
    Kind::ALL
        .iter()
        .flat_map(|&k| kind_phrases(k))
        .for_each(|text| learn(text));
    for text in TEMPLATES {
        learn(text);
    }
    learn(FILLERS);
    words.into_iter().collect()
}
