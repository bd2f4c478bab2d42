//! Drafts of prompt sets: phrases that something else wrote, cleaned and linted before they become a set.

mod modality;

use super::{Condition, DEFAULT_MIN_MARGIN, DEFAULT_MIN_PROBABILITY, PromptSet};
pub use modality::DraftModality;

/// Maximum number of words of a phrase; the contexts of most models hold about twice as many.
const MAX_WORDS: usize = 30;
/// Words that negate what follows.
const NEGATIONS: [&str; 14] = [
    "no", "not", "cannot", "without", "none", "nothing", "absent", "absence", "lack", "lacks",
    "lacking", "never", "neither", "nor",
];
/// The end of contractions that negate: `isn't`.
const NEGATING_END: &str = "n't";
/// Pairs of words that negate what follows.
const NEGATING_PAIRS: [[&str; 2]; 4] = [
    ["free", "of"],
    ["free", "from"],
    ["negative", "for"],
    ["devoid", "of"],
];
/// The apostrophes of typewriters and of typesetting.
const APOSTROPHES: [char; 2] = ['\'', '’'];
/// Names of the healthy condition.
const NORMAL_NAMES: [&str; 6] = [
    "normal",
    "healthy",
    "no finding",
    "no findings",
    "unremarkable",
    "negative",
];

/// Whether a condition of this name is the healthy one.
pub fn is_normal_name(name: &str) -> bool {
    NORMAL_NAMES.contains(&name.trim().to_lowercase().as_str())
}

/// Whether two names are those of one condition, whatever their case.
pub fn is_same_name(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

/// The names of conditions as `base` spells them; its healthy condition goes by any name of one.
pub fn names_in(base: &PromptSet, named: &[String]) -> Vec<String> {
    let normal = base.conditions.iter().find(|condition| condition.normal);
    let names = named.iter().map(|name| {
        let mut known = base.conditions.iter();
        let same = known.find(|condition| is_same_name(&condition.name, name));
        let same = same.or(normal.filter(|_| is_normal_name(name)));
        same.map_or_else(|| name.clone(), |condition| condition.name.clone())
    });
    names.collect()
}

/// Why a phrase is left out of a draft.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PhraseFault {
    /// It says what is not there, which models of the CLIP family read as what is there.
    #[error("“{0}” negates, which these models do not read")]
    Negation(String),
    /// It names its own condition, which the first phrase does already.
    #[error("it names the condition again")]
    OwnName,
    /// It names another condition of the set.
    #[error("it names another condition, {0}")]
    OtherName(String),
    /// The same words are among the phrases before it.
    #[error("it repeats “{0}”")]
    Repetition(String),
    /// To the model it means the same as a phrase before it.
    #[error("to the model it is “{other}” again (cosine {cosine:.3})")]
    Similar {
        /// The other phrase.
        other: String,
        /// The cosine of their embeddings.
        cosine: f64,
    },
    /// The model does not read all of it.
    #[error("the model reads only {0} tokens, and it has more")]
    CutOff(usize),
    /// It is longer than a phrase.
    #[error("it has {0} words, more than {MAX_WORDS}")]
    TooLong(usize),
}

/// A phrase that was left out.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// The condition's name.
    pub condition: String,
    /// The phrase.
    pub phrase: String,
    /// Why.
    pub fault: PhraseFault,
}

/// Conditions with drafted phrases, and what was left out of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DraftedPhrases {
    /// The conditions. Except for the healthy one, the first phrase of each is its name.
    pub conditions: Vec<Condition>,
    /// What was left out, in the order of the draft.
    pub left_out: Vec<LeftOut>,
}

/// What a draft would leave out of a set: its phrases are looked at, but stay. The first phrase of a condition that names it is as good
/// as any.
pub fn faults(set: &PromptSet) -> Vec<LeftOut> {
    let conditions = set.conditions.iter().filter(|condition| !condition.other);
    let mut left_out = DraftedPhrases::new(conditions.cloned().collect()).left_out;
    let mut named: Vec<String> = Vec::new();
    left_out.retain(|left| {
        let is_first = left.fault == PhraseFault::OwnName && !named.contains(&left.condition);
        if is_first {
            named.push(left.condition.clone());
        }
        !is_first
    });
    left_out
}

impl DraftedPhrases {
    /// Cleans drafted phrases, and leaves out those that say nothing to a model.
    pub fn new(drafted: Vec<Condition>) -> Self {
        let names: Vec<String> = drafted
            .iter()
            .filter(|c| !c.normal)
            .map(|c| c.name.clone())
            .collect();
        let mut draft = Self::default();
        for condition in drafted {
            draft.add(condition, &names);
        }
        draft
    }

    fn add(&mut self, drafted: Condition, names: &[String]) {
        let (name, is_normal) = (drafted.name.clone(), drafted.normal);
        let mut phrases = if is_normal {
            Vec::new()
        } else {
            vec![name.clone()]
        };
        for phrase in cleaned(&drafted.phrases) {
            let known = self
                .conditions
                .iter()
                .flat_map(|c| &c.phrases)
                .chain(&phrases);
            let fault = presence_fault(&phrase, &name, is_normal, names)
                .or_else(|| repetition(&phrase, known));
            self.keep(&mut phrases, &name, phrase, fault);
        }
        if phrases.is_empty() {
            phrases.push(name.clone());
        }
        let mut absent: Vec<String> = Vec::new();
        for phrase in cleaned(&drafted.absent) {
            let fault = length_fault(&phrase)
                .or_else(|| repetition(&phrase, phrases.iter().chain(&absent)));
            self.keep(&mut absent, &name, phrase, fault);
        }
        self.conditions.push(Condition {
            description: clean_line(&drafted.description),
            phrases,
            absent,
            ..drafted
        });
    }

    fn keep(
        &mut self,
        list: &mut Vec<String>,
        condition: &str,
        phrase: String,
        fault: Option<PhraseFault>,
    ) {
        match fault {
            None => list.push(phrase),
            Some(fault) => self.left_out.push(LeftOut {
                condition: condition.to_owned(),
                phrase,
                fault,
            }),
        }
    }

    /// Leaves out what `fault` finds wrong, but no name of a condition. It gets each phrase with those that were kept before it, of its own condition and list.
    pub fn leave_out<E>(
        &mut self,
        mut fault: impl FnMut(&str, &[String]) -> Result<Option<PhraseFault>, E>,
    ) -> Result<(), E> {
        for condition in &mut self.conditions {
            for list in [&mut condition.phrases, &mut condition.absent] {
                let mut kept: Vec<String> = Vec::with_capacity(list.len());
                for phrase in list.drain(..) {
                    // A description may well mean its name.
                    let names = kept.iter().take_while(|kept| **kept == condition.name);
                    let found = if phrase == condition.name {
                        None
                    } else {
                        fault(&phrase, &kept[names.count()..])?
                    };
                    match found {
                        None => kept.push(phrase),
                        Some(fault) => self.left_out.push(LeftOut {
                            condition: condition.name.clone(),
                            phrase,
                            fault,
                        }),
                    }
                }
                *list = kept;
            }
            if condition.phrases.is_empty() {
                condition.phrases.push(condition.name.clone());
            }
        }
        Ok(())
    }

    /// The conditions of which nothing but the name is left.
    pub fn without_phrases(&self) -> Vec<&str> {
        let bare = self
            .conditions
            .iter()
            .filter(|c| c.phrases == [c.name.as_str()]);
        bare.map(|c| c.name.as_str()).collect()
    }

    /// The set: a new one for images of the modality, or `base` with these conditions instead of its own of the same names. A
    /// healthy condition of `base` stays the only one.
    pub fn to_set(
        &self,
        name: &str,
        modality: &DraftModality,
        base: Option<&PromptSet>,
    ) -> PromptSet {
        let words = if modality.words.is_empty() {
            "a medical image"
        } else {
            &modality.words
        };
        let new = || PromptSet {
            name: name.to_owned(),
            title: name.to_owned(),
            modalities: modality.codes.clone(),
            body_parts: Vec::new(),
            kinds: Vec::new(),
            templates: vec!["{}".to_owned(), format!("{words} showing {{}}")],
            min_probability: DEFAULT_MIN_PROBABILITY,
            min_margin: DEFAULT_MIN_MARGIN,
            conditions: Vec::new(),
            digest: String::new(),
            file: None,
        };
        let mut set = base.cloned().unwrap_or_else(new);
        name.clone_into(&mut set.name);
        let has_normal = set.conditions.iter().any(|condition| condition.normal);
        for drafted in &self.conditions {
            let mut places = set.conditions.iter_mut();
            let place = places.find(|c| is_same_name(&c.name, &drafted.name));
            match place {
                Some(condition) => {
                    condition.phrases.clone_from(&drafted.phrases);
                    condition.absent.clone_from(&drafted.absent);
                    if condition.description.is_empty() {
                        condition.description.clone_from(&drafted.description);
                    }
                }
                None => set.conditions.push(Condition {
                    normal: drafted.normal && !has_normal,
                    ..drafted.clone()
                }),
            }
        }
        set
    }
}

/// What is wrong with a phrase for the presence of a condition.
fn presence_fault(
    phrase: &str,
    name: &str,
    is_normal: bool,
    names: &[String],
) -> Option<PhraseFault> {
    if let Some(word) = negation(phrase) {
        return Some(PhraseFault::Negation(word));
    }
    let words = words(phrase);
    if !is_normal && names_condition(&words, name) {
        return Some(PhraseFault::OwnName);
    }
    let others = names.iter().filter(|other| *other != name);
    // "pleural effusion" may be part of the name "pleural effusion with loculation" that is being described.
    let mut others = others.filter(|other| !names_condition(&self::words(name), other));
    if let Some(other) = others.find(|other| names_condition(&words, other)) {
        return Some(PhraseFault::OtherName(other.clone()));
    }
    length_fault(phrase)
}

/// The word, or pair of words, by which a phrase negates.
fn negation(phrase: &str) -> Option<String> {
    let words = words(&without_numbers(phrase));
    let negates =
        |word: &&String| NEGATIONS.contains(&word.as_str()) || word.ends_with(NEGATING_END);
    let is_pair = |pair: &&[String]| NEGATING_PAIRS.iter().any(|known| *pair == known.as_slice());
    let word = words.iter().find(negates).cloned();
    let pair = || words.windows(2).find(is_pair).map(|pair| pair.join(" "));
    word.or_else(pair)
}

/// A phrase without the abbreviation of "number": `No. 3 rib`, `No.3`.
fn without_numbers(phrase: &str) -> String {
    let is_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let tokens: Vec<&str> = phrase.split_whitespace().collect();
    let is_number = |at: usize| {
        let after = tokens[at]
            .get(..3)
            .filter(|start| start.eq_ignore_ascii_case("no."));
        after.is_some_and(|_| match &tokens[at][3..] {
            "" => tokens.get(at + 1).is_some_and(|next| is_digit(next)),
            rest => is_digit(rest),
        })
    };
    let kept = (0..tokens.len()).filter(|at| !is_number(*at));
    kept.map(|at| tokens[at]).collect::<Vec<_>>().join(" ")
}

fn length_fault(phrase: &str) -> Option<PhraseFault> {
    let count = words(phrase).len();
    (count > MAX_WORDS).then_some(PhraseFault::TooLong(count))
}

fn repetition<'a>(
    phrase: &str,
    known: impl IntoIterator<Item = &'a String>,
) -> Option<PhraseFault> {
    let own = words(phrase);
    let mut known = known.into_iter();
    let same = known.find(|other| words(other) == own)?;
    Some(PhraseFault::Repetition(same.clone()))
}

/// The words in lower case, without punctuation; apostrophes within them are straight.
fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !(c.is_alphanumeric() || APOSTROPHES.contains(&c)));
    let parts = parts.map(|part| part.trim_matches(APOSTROPHES));
    let parts = parts.filter(|part| !part.is_empty());
    parts
        .map(|part| part.to_lowercase().replace(APOSTROPHES, "'"))
        .collect()
}

/// Whether a condition's name is among the words, in the singular or plural.
fn names_condition(phrase: &[String], name: &str) -> bool {
    let name = words(name);
    let is_same = |a: &str, b: &str| {
        a == b || a.strip_suffix('s') == Some(b) || b.strip_suffix('s') == Some(a)
    };
    !name.is_empty()
        && phrase
            .windows(name.len())
            .any(|part| part.iter().zip(&name).all(|(a, b)| is_same(a, b)))
}

/// Phrases without the marks of a list; empty ones are dropped.
fn cleaned(phrases: &[String]) -> Vec<String> {
    let all = phrases.iter().map(|phrase| clean_phrase(phrase));
    all.filter(|phrase| phrase.chars().any(char::is_alphanumeric))
        .collect()
}

fn clean_phrase(text: &str) -> String {
    let line = clean_line(text);
    let unmarked = line.trim_start_matches(['-', '*', '•', '–', '—', ' ']);
    // A number of a list, such as `1.` or `2)`, but not "3 cm mass".
    let digits = unmarked.trim_start_matches(|c: char| c.is_ascii_digit());
    let unnumbered = if digits.len() < unmarked.len() {
        digits
            .strip_prefix(['.', ')'])
            .filter(|rest| rest.starts_with(' '))
    } else {
        None
    };
    let ends = |c: char| c.is_whitespace() || ".,;:\"'“”‘’`".contains(c);
    unnumbered.unwrap_or(unmarked).trim_matches(ends).to_owned()
}

/// One line without control characters.
fn clean_line(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    crate::media::clean(&words.join(" "))
}

#[cfg(test)]
#[path = "draft/tests.rs"]
mod tests;
