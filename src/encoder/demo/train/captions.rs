//! The vocabulary of the statements and the phrases of the built-in prompt sets.

use std::collections::BTreeSet;

use medivision_tui::prompts::PromptSet;

use super::model::SPECIAL;
use super::statements::{STATEMENTS, TEMPLATES, split};

/// The vocabulary of all captions.
pub struct Captions {
    vocabulary: Vec<String>,
}

impl Captions {
    /// Collects the words of the prompt sets, [`STATEMENTS`] and [`TEMPLATES`].
    pub fn new(sets: &[PromptSet]) -> Self {
        let mut words = BTreeSet::new();
        let mut learn = |text: &str| words.extend(split(text));
        for set in sets {
            set.templates
                .iter()
                .for_each(|text| learn(&text.replace("{}", " ")));
            for condition in &set.conditions {
                condition
                    .phrases
                    .iter()
                    .chain(&condition.absent)
                    .for_each(|text| learn(text));
                learn(&condition.description);
            }
        }
        for text in STATEMENTS.iter().flat_map(|statement| statement.phrases) {
            learn(text);
        }
        for template in TEMPLATES {
            learn(&template.replace("{}", " "));
        }
        let vocabulary = SPECIAL
            .iter()
            .map(|&token| token.to_owned())
            .chain(words)
            .collect();
        Self { vocabulary }
    }

    /// All tokens; a token's id is its index.
    pub fn vocabulary(&self) -> Vec<String> {
        self.vocabulary.clone()
    }
}
