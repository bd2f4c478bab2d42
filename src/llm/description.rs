//! A description of an image, rewritten from its scores and phrases. The image itself is never sent.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::json;

use super::chat::{ChatRequest, Message, quoted};

/// Maximum length of a description in characters.
const MAX_CHARS: usize = 1000;
/// Tokens for the answer, thoughts of the model included.
const MAX_TOKENS: u32 = 2048;
/// Conditions and phrases of each that are sent, the highest scores first.
const MAX_CONDITIONS: usize = 6;
const MAX_PHRASES: usize = 4;

/// What the model is told about its task.
const TASK: &str = "You rewrite the output of a zero-shot image classifier as two or three plain English sentences for a \
researcher. You have not seen the image, only scores of conditions, and phrases with their similarity to the image relative to the \
other conditions. Say which condition scores highest and how clearly, and which phrases the image resembles most. Do not add findings, \
causes, advice or a diagnosis, and never say \"because\": a similarity is no reason. Answer with JSON only: {\"text\": \"…\"}";

/// A condition with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredCondition {
    /// Its name.
    pub name: String,
    /// Its probability or score, from 0 to 1.
    pub score: f64,
    /// Its phrases, each with its part of the condition's lead over the others, in logits.
    pub phrases: Vec<(String, f64)>,
}

/// What is told of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct DescriptionRequest {
    /// `confident` or `uncertain`.
    pub decision: &'static str,
    /// Whether the scores are probabilities.
    pub calibrated: bool,
    /// The conditions, the highest score first; the first one is the label.
    pub conditions: Vec<ScoredCondition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescriptionAnswer {
    text: String,
}

impl DescriptionRequest {
    /// The request to the model.
    pub fn chat(&self) -> ChatRequest {
        let scale = if self.calibrated {
            "probabilities"
        } else {
            "scores, not probabilities"
        };
        let mut told = format!(
            "The decision is {}. The numbers are {scale}.",
            self.decision
        );
        for condition in self.conditions.iter().take(MAX_CONDITIONS) {
            // Writing to a string cannot fail.
            let _ = write!(told, "\n{}: {:.2}", condition.name, condition.score);
            let mut phrases: Vec<&(String, f64)> = condition.phrases.iter().collect();
            phrases.sort_by(|a, b| b.1.total_cmp(&a.1));
            for (phrase, lead) in phrases.into_iter().take(MAX_PHRASES) {
                let _ = write!(told, "\n- {phrase}: {lead:+.2}");
            }
        }
        let message = |role, content: String| Message { role, content };
        let schema = json!({
            "type": "object",
            "properties": { "text": { "type": "string" } },
            "required": ["text"],
            "additionalProperties": false,
        });
        ChatRequest {
            messages: vec![message("system", TASK.to_owned()), message("user", told)],
            schema: ("description", schema),
            max_tokens: MAX_TOKENS,
        }
    }

    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// What is wrong with the answer. One that does not name the label describes something else, and one that gives reasons adds what
    /// nobody has seen.
    pub fn read(&self, answer: &str) -> Result<String, String> {
        let answer: DescriptionAnswer =
            serde_json::from_str(answer).map_err(|error| quoted(&error.to_string()))?;
        let words: Vec<&str> = answer.text.split_whitespace().collect();
        let text = crate::media::clean(&words.join(" "));
        let label = self.conditions.first().map_or("", |first| &first.name);
        if text.is_empty() {
            Err("it is empty".to_owned())
        } else if text.chars().count() >= MAX_CHARS {
            Err(format!("it has more than {MAX_CHARS} characters"))
        } else if gives_reasons(&text) {
            Err("it says “because”, but a similarity is no reason".to_owned())
        } else if !text.to_lowercase().contains(&label.to_lowercase()) {
            Err(format!("it does not name the label, {label}"))
        } else {
            Ok(text)
        }
    }
}

fn gives_reasons(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.any(|word| word.eq_ignore_ascii_case("because"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> DescriptionRequest {
        let condition = |name: &str, score, phrases: &[(&str, f64)]| ScoredCondition {
            name: name.to_owned(),
            score,
            phrases: phrases
                .iter()
                .map(|(text, lead)| ((*text).to_owned(), *lead))
                .collect(),
        };
        DescriptionRequest {
            decision: "uncertain",
            calibrated: false,
            conditions: vec![
                condition(
                    "pneumonia",
                    0.61,
                    &[("pneumonia", 0.1), ("hazy opacity", 0.4)],
                ),
                condition("normal", 0.39, &[]),
            ],
        }
    }

    #[test]
    fn scores_and_phrases_are_all_that_is_told() {
        assert_eq!(
            request().chat().messages[1].content,
            "The decision is uncertain. The numbers are scores, not probabilities.\npneumonia: 0.61\n- hazy opacity: +0.40\n- pneumonia: +0.10\nnormal: 0.39"
        );
    }

    #[test]
    fn a_text_about_something_else_is_refused() {
        let read = |text: &str| request().read(&json!({ "text": text }).to_string());
        let good = "Pneumonia scores\nhighest.";
        assert_eq!(read(good).as_deref(), Ok("Pneumonia scores highest."));
        assert!(read("A cat.").is_err() && read(" ").is_err());
        assert!(read(&"pneumonia ".repeat(200)).is_err());
        assert!(request().read("Pneumonia scores highest.").is_err());
        let advice = read("Pneumonia scores highest, because of an opacity: start antibiotics.");
        assert!(advice.is_err_and(|reason| reason.contains("“because”")));
    }
}
