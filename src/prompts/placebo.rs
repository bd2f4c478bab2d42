//! Phrases of random words: what a description is worth shows only beside as many words that describe nothing (Roth et al. 2023,
//! "Waffling around for performance").

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::{Condition, PromptSet};

/// Words that say nothing of an image.
const WORDS: &str = "and very small large two several many old new typical example case view left right table river \
    music window yellow morning letter garden bridge summer paper kitchen";
/// Words of a phrase.
const PHRASE_LENGTH: usize = 3;

/// A source of phrases of random words.
#[derive(Clone, Debug)]
pub struct Placebo {
    words: Vec<String>,
    rng: ChaCha8Rng,
}

impl Placebo {
    /// A source of the words that a model knows; `unknown` returns those of a list that it does not. The same seed gives the
    /// same phrases.
    pub fn new(seed: u64, unknown: impl FnOnce(&[String]) -> Vec<String>) -> Self {
        let all: Vec<String> = WORDS.split_whitespace().map(str::to_owned).collect();
        let unknown = unknown(&all);
        let known = all.iter().filter(|word| !unknown.contains(word));
        let known: Vec<String> = known.cloned().collect();
        Self {
            words: if known.is_empty() { all } else { known },
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// The next phrase.
    pub fn phrase(&mut self) -> String {
        let chosen = self.words.choose_multiple(&mut self.rng, PHRASE_LENGTH);
        let chosen: Vec<&str> = chosen.map(String::as_str).collect();
        chosen.join(" ")
    }

    /// As many phrases.
    pub fn phrases(&mut self, count: usize) -> Vec<String> {
        std::iter::repeat_with(|| self.phrase())
            .take(count)
            .collect()
    }

    /// The set with random words instead of its descriptions. Phrases that are the name of their condition stay, so that the
    /// difference is what the descriptions add to the names. It has the set's name, on which it depends what images the built-in
    /// model accepts.
    pub fn set(&mut self, set: &PromptSet) -> PromptSet {
        let mut placebo = set.clone();
        placebo.digest = String::new();
        placebo.file = None;
        for condition in &mut placebo.conditions {
            self.replace(condition);
        }
        placebo
    }

    fn replace(&mut self, condition: &mut Condition) {
        let name = condition.name.to_lowercase();
        for list in [&mut condition.phrases, &mut condition.absent] {
            for phrase in list
                .iter_mut()
                .filter(|phrase| phrase.to_lowercase() != name)
            {
                *phrase = self.phrase();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompts::Prompts;

    #[test]
    fn a_placebo_has_the_size_of_the_set_and_keeps_only_the_names() {
        let prompts = Prompts::select("chest-xray", None).unwrap();
        let set = &prompts.sets()[0];
        let placebo = Placebo::new(1, |_| Vec::new()).set(set);
        assert_eq!(
            (&placebo.name, &placebo.templates),
            (&set.name, &set.templates)
        );
        assert_ne!(placebo.digest, set.digest);
        for (random, own) in placebo.conditions.iter().zip(&set.conditions) {
            assert_eq!(random.name, own.name);
            assert_eq!(random.phrases.len(), own.phrases.len());
            assert_eq!(random.absent.len(), own.absent.len());
            let kept = random
                .phrases
                .iter()
                .filter(|phrase| own.phrases.contains(phrase));
            assert!(kept.eq(own.phrases.iter().filter(|phrase| **phrase == own.name)));
        }
        assert_ne!(placebo, Placebo::new(2, |_| Vec::new()).set(set));
        assert_eq!(placebo, Placebo::new(1, |_| Vec::new()).set(set));
    }

    #[test]
    fn only_words_that_the_model_knows_are_used() {
        let all_but_three = |all: &[String]| all[3..].to_vec();
        let mut phrase = Placebo::new(0, all_but_three).phrase();
        phrase = {
            let mut words: Vec<&str> = phrase.split(' ').collect();
            words.sort_unstable();
            words.join(" ")
        };
        assert_eq!(phrase, "and small very");
        assert_eq!(Placebo::new(0, <[String]>::to_vec).phrases(2).len(), 2);
    }
}
