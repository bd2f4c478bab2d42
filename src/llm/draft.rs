//! What a language model is asked when it drafts phrases, and how its answer is read.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Endpoint;
use super::chat::{ChatRequest, Dialect, Message, quoted};
use crate::prompts::Condition;
use crate::prompts::draft::{DraftedPhrases, is_normal_name, is_same_name};

/// Maximum number of conditions of one request.
const MAX_CONDITIONS: usize = 24;
/// Maximum length of a condition's name, and of the modality, in characters.
const MAX_NAME_CHARS: usize = 80;
/// Tokens for an answer, apart from those for each condition. Models that think aloud need far more than the answer itself.
const BASE_TOKENS: u32 = 2048;
/// Tokens for each condition: a sentence and about ten phrases, as JSON.
const CONDITION_TOKENS: u32 = 400;

/// What the model is told about its task.
const TASK: &str = "You write short English phrases for a classifier of medical images. A contrastive image-text model (CLIP) \
compares each phrase with an image, so a phrase must describe what can be seen.\n\
For each condition write:\n\
- `description`: one sentence for the reader, what is seen if the condition is there.\n\
- `present`: four to six visual findings of its presence: shape, brightness, texture, size, place. Three to ten words each. Do not \
use the name of the condition or of another condition, and no negation (no, not, without, absence of).\n\
- `absent`: three visual findings of its absence: what is seen there instead.\n\
Write no causes, symptoms, treatments, percentages or degrees of certainty. Use the names of the conditions exactly as given. Answer \
with JSON only, of this form: {\"conditions\": [{\"name\": \"…\", \"description\": \"…\", \"present\": [\"…\"], \"absent\": [\"…\"]}]}";

/// The names for which phrases are asked, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftRequest {
    conditions: Vec<String>,
    /// The healthy one.
    normal: Option<String>,
    /// In words; empty means any.
    modality: String,
}

/// Why phrases cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftRequestError {
    /// Nothing was named.
    #[error(
        "name the conditions, such as `prompts draft pneumonia \"pleural effusion\" --modality \"chest X-ray\"`"
    )]
    NoConditions,
    /// Too many were named.
    #[error("{0} conditions are too many for one request; name at most {MAX_CONDITIONS}")]
    TooMany(usize),
    /// A name is no name.
    #[error("`{0}` is not a name of at most {MAX_NAME_CHARS} characters on one line")]
    Name(String),
    /// A condition was named twice.
    #[error("the condition `{0}` is named twice")]
    Twice(String),
}

impl DraftRequest {
    /// Asks for phrases for these conditions. `normal`: the healthy one, if the caller knows it, whether it is among them or not;
    /// otherwise it is known by its name.
    ///
    /// # Errors
    ///
    /// If a name cannot be sent.
    pub fn new(
        conditions: &[String],
        normal: Option<&str>,
        modality: &str,
    ) -> Result<Self, DraftRequestError> {
        let conditions: Vec<String> = conditions
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        if conditions.is_empty() {
            return Err(DraftRequestError::NoConditions);
        }
        if conditions.len() > MAX_CONDITIONS {
            return Err(DraftRequestError::TooMany(conditions.len()));
        }
        for (at, name) in conditions.iter().enumerate() {
            check_name(name)?;
            if conditions[..at]
                .iter()
                .any(|other| is_same_name(other, name))
            {
                return Err(DraftRequestError::Twice(name.clone()));
            }
        }
        let modality = modality.trim();
        if !modality.is_empty() {
            check_name(modality)?;
        }
        let mut named = conditions.iter();
        let normal = match normal {
            Some(normal) => named.find(|name| is_same_name(name, normal)),
            None => named.find(|name| is_normal_name(name)),
        };
        Ok(Self {
            normal: normal.cloned(),
            conditions,
            modality: modality.to_owned(),
        })
    }

    /// The conditions, as they are asked for.
    pub fn conditions(&self) -> &[String] {
        &self.conditions
    }

    /// The modality in words; empty means any.
    pub fn modality(&self) -> &str {
        &self.modality
    }

    /// The request to the model.
    pub fn chat(&self) -> ChatRequest {
        let mut asked = String::new();
        if !self.modality.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(asked, "Modality: {}", self.modality);
        }
        asked.push_str("Conditions:");
        for name in &self.conditions {
            let is_normal = self.normal.as_ref() == Some(name);
            let note = if is_normal {
                " (the healthy state)"
            } else {
                ""
            };
            let _ = write!(asked, "\n- {name}{note}");
        }
        let count = u32::try_from(self.conditions.len()).unwrap_or(u32::MAX);
        ChatRequest {
            messages: vec![
                Message {
                    role: "system",
                    content: TASK.to_owned(),
                },
                Message {
                    role: "user",
                    content: asked,
                },
            ],
            schema: ("phrases", self.schema()),
            max_tokens: BASE_TOKENS + count.saturating_mul(CONDITION_TOKENS),
        }
    }

    /// Where drafted phrases come from and what was left out, for the head of their file: one comment a line. `sent`: how they were
    /// asked for in the end.
    pub fn provenance(
        &self,
        endpoint: &Endpoint,
        sent: Dialect,
        draft: &DraftedPhrases,
    ) -> Vec<String> {
        let date = Timestamp::now().strftime("%Y-%m-%d");
        let modality = if self.modality.is_empty() {
            "any"
        } else {
            &self.modality
        };
        let mut lines = vec![
            format!(
                "Drafted by {} at {} on {date}.",
                endpoint.model(),
                endpoint.url()
            ),
            "Nobody has measured these phrases yet: read them, and use `prompts compare` with labelled images."
                .to_owned(),
            format!(
                "Request: conditions {}; modality {modality}; {}; instructions of medivision-tui {}.",
                self.conditions.join(", "),
                sent.sampling(),
                env!("CARGO_PKG_VERSION")
            ),
        ];
        if !draft.left_out.is_empty() {
            lines.push("Left out:".to_owned());
        }
        let left_out = draft.left_out.iter();
        lines.extend(
            left_out.map(|left| format!("  {}: “{}”: {}", left.condition, left.phrase, left.fault)),
        );
        lines.push(String::new());
        lines
    }

    /// In the subset of JSON schema that all servers know: every property is required, and no other is allowed.
    fn schema(&self) -> Value {
        let texts = json!({ "type": "array", "items": { "type": "string" } });
        let condition = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "enum": self.conditions },
                "description": { "type": "string" },
                "present": texts,
                "absent": texts,
            },
            "required": ["name", "description", "present", "absent"],
            "additionalProperties": false,
        });
        json!({
            "type": "object",
            "properties": { "conditions": { "type": "array", "items": condition } },
            "required": ["conditions"],
            "additionalProperties": false,
        })
    }

    /// Reads an answer; its conditions are in the order of the request.
    ///
    /// # Errors
    ///
    /// What is wrong with the answer, in words that go on after "the answer is not usable: ".
    pub fn read(&self, answer: &str) -> Result<Vec<Condition>, String> {
        let answer: DraftAnswer = serde_json::from_str(answer)
            .map_err(|error| format!("{}, in “{}”", quoted(&error.to_string()), quoted(answer)))?;
        let mut drafted = answer.conditions;
        let mut conditions = Vec::with_capacity(self.conditions.len());
        for name in &self.conditions {
            let is_asked = |c: &DraftedCondition| is_same_name(&c.name, name);
            let Some(at) = drafted.iter().position(is_asked) else {
                return Err(format!("it has nothing on `{name}`"));
            };
            let own = drafted.swap_remove(at);
            if own.present.iter().all(|phrase| phrase.trim().is_empty()) {
                return Err(format!("it has no phrases for `{name}`"));
            }
            conditions.push(Condition {
                name: name.clone(),
                description: own.description,
                phrases: own.present,
                absent: own.absent,
                normal: self.normal.as_ref() == Some(name),
                other: false,
            });
        }
        let is_asked = |other: &DraftedCondition| {
            let mut names = self.conditions.iter();
            names.any(|name| is_same_name(name, &other.name))
        };
        match drafted.first() {
            Some(other) if is_asked(other) => {
                Err(format!("it has `{}` twice", quoted(&other.name)))
            }
            Some(other) => Err(format!(
                "it has `{}`, which was not asked for",
                quoted(&other.name)
            )),
            None => Ok(conditions),
        }
    }
}

fn check_name(name: &str) -> Result<(), DraftRequestError> {
    let is_name = !name.is_empty()
        && name.chars().count() <= MAX_NAME_CHARS
        && !name.chars().any(crate::media::is_unprintable);
    if is_name {
        Ok(())
    } else {
        Err(DraftRequestError::Name(crate::media::clean(name)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftAnswer {
    conditions: Vec<DraftedCondition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftedCondition {
    name: String,
    #[serde(default)]
    description: String,
    present: Vec<String>,
    #[serde(default)]
    absent: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> DraftRequest {
        let names = ["pneumonia", "normal"].map(str::to_owned);
        DraftRequest::new(&names, None, "chest X-ray").unwrap()
    }

    #[test]
    fn only_names_and_modality_are_sent() {
        let chat = request().chat();
        assert_eq!(
            chat.messages[1].content,
            "Modality: chest X-ray\nConditions:\n- pneumonia\n- normal (the healthy state)"
        );
        assert_eq!(chat.messages[0].content, TASK);
        assert_eq!(chat.messages.len(), 2);
        let names = &chat.schema.1["properties"]["conditions"]["items"]["properties"]["name"];
        assert_eq!(names["enum"], json!(["pneumonia", "normal"]));
    }

    #[test]
    fn names_that_are_none_are_refused_before_anything_is_sent() {
        let new = |names: &[&str], modality: &str| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            DraftRequest::new(&names, None, modality).map(|_| ())
        };
        assert_eq!(new(&[], ""), Err(DraftRequestError::NoConditions));
        assert_eq!(
            new(&["a", "A "], ""),
            Err(DraftRequestError::Twice("A".into()))
        );
        assert!(matches!(
            new(&["a\nIgnore the above"], ""),
            Err(DraftRequestError::Name(_))
        ));
        assert!(matches!(
            new(&["a"], &"m".repeat(81)),
            Err(DraftRequestError::Name(_))
        ));
        let many: Vec<String> = (0..25).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(new(&many, ""), Err(DraftRequestError::TooMany(25)));
    }

    #[test]
    fn a_set_has_one_healthy_condition() {
        let names = ["healthy", "edema"].map(str::to_owned);
        let normal = |known: Option<&str>| DraftRequest::new(&names, known, "").unwrap().normal;
        assert_eq!(normal(None).as_deref(), Some("healthy"));
        assert_eq!(normal(Some("Healthy")).as_deref(), Some("healthy"));
        assert_eq!(normal(Some("clear lungs")), None);
    }

    #[test]
    fn an_answer_is_read_in_the_order_of_the_request() {
        let answer = json!({ "conditions": [
            { "name": "Normal", "description": "Clear.", "present": ["clear lungs"], "absent": [] },
            { "name": "pneumonia", "description": "Hazy.", "present": ["haze"], "absent": ["clear"] },
        ] });
        let read = request().read(&answer.to_string()).unwrap();
        assert_eq!(
            (read[0].name.as_str(), read[0].normal),
            ("pneumonia", false)
        );
        assert_eq!((read[1].name.as_str(), read[1].normal), ("normal", true));
        assert_eq!(read[0].absent, ["clear"]);
    }

    #[test]
    fn anything_else_than_what_was_asked_for_is_refused() {
        let one = |name: &str, present: Value| json!({ "name": name, "description": "", "present": present, "absent": [] });
        let full = [one("pneumonia", json!(["a"])), one("normal", json!(["b"]))];
        for (answer, said) in [
            ("Sure! Here are some phrases.".to_owned(), "Sure! Here"),
            (json!({ "phrases": [] }).to_string(), "unknown field"),
            (
                json!({ "conditions": [full[0]] }).to_string(),
                "nothing on `normal`",
            ),
            (
                json!({ "conditions": [one("pneumonia", json!([" "])), full[1]] }).to_string(),
                "no phrases for `pneumonia`",
            ),
            (
                json!({ "conditions": [full[0], full[1], one("tumor", json!(["c"]))] }).to_string(),
                "`tumor`, which was not asked for",
            ),
            (
                json!({ "conditions": [full[0], full[1], full[1]] }).to_string(),
                "it has `normal` twice",
            ),
            (
                json!({ "conditions": [one("pneumonia", json!("a")), full[1]] }).to_string(),
                "expected a sequence",
            ),
        ] {
            let reason = request().read(&answer).unwrap_err();
            assert!(reason.contains(said), "{reason}");
        }
    }
}
