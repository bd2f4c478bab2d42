//! The protocol's requests and responses.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::LlmError;
use crate::media::clean;

/// Seed of every request: as far as the server honours it, the same request has the same answer.
pub(super) const SEED: u64 = 0;
/// Maximum number of characters quoted from an answer.
const MAX_QUOTED_CHARS: usize = 120;

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system` or `user`.
    pub role: &'static str,
    /// The text.
    pub content: String,
}

/// What a model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The conversation.
    pub messages: Vec<Message>,
    /// The name and the JSON schema of the answer.
    pub schema: (&'static str, Value),
    /// Maximum length of the answer in tokens.
    pub max_tokens: u32,
}

/// How the form of the answer is asked for; each is understood by more servers than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerFormat {
    Schema,
    JsonObject,
    /// By the words of the messages alone.
    Unstated,
}

/// The parts of a request that not every server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    format: AnswerFormat,
    /// Newer models of OpenAI count the tokens of their thoughts, too, and have another name for the limit.
    counts_thoughts: bool,
    sends_temperature: bool,
    sends_seed: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            format: AnswerFormat::Schema,
            counts_thoughts: false,
            sends_temperature: true,
            sends_seed: true,
        }
    }
}

impl Dialect {
    /// Leaves out what the server says that it does not accept; false if nothing is left to leave out.
    pub(super) fn adapt(&mut self, said: &str) -> bool {
        let said = said.to_lowercase();
        if said.contains("max_completion_tokens") && !self.counts_thoughts {
            self.counts_thoughts = true;
        } else if said.contains("temperature") && self.sends_temperature {
            self.sends_temperature = false;
        } else if said.contains("seed") && self.sends_seed {
            self.sends_seed = false;
        } else {
            return self.simplify_format();
        }
        true
    }

    /// Asks for the form of the answer in a way that more servers understand; false if there is none.
    pub(super) fn simplify_format(&mut self) -> bool {
        self.format = match self.format {
            AnswerFormat::Schema => AnswerFormat::JsonObject,
            AnswerFormat::JsonObject => AnswerFormat::Unstated,
            AnswerFormat::Unstated => return false,
        };
        true
    }

    /// Whether the server was given the schema.
    pub(super) fn has_schema(self) -> bool {
        self.format == AnswerFormat::Schema
    }
}

impl ChatRequest {
    /// The body of the first request, as the user is shown it before it is sent.
    pub fn body(&self, model: &str) -> Value {
        self.body_in(model, Dialect::default())
    }

    /// The body in what the server understands.
    pub(super) fn body_in(&self, model: &str, dialect: Dialect) -> Value {
        let mut body = json!({ "model": model, "messages": self.messages, "stream": false });
        if dialect.sends_temperature {
            body["temperature"] = json!(0);
        }
        if dialect.sends_seed {
            body["seed"] = json!(SEED);
        }
        let limit = if dialect.counts_thoughts {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        body[limit] = json!(self.max_tokens);
        let (name, schema) = &self.schema;
        match dialect.format {
            AnswerFormat::Schema => {
                let schema = json!({ "name": name, "strict": true, "schema": schema });
                body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
            }
            AnswerFormat::JsonObject => body["response_format"] = json!({ "type": "json_object" }),
            AnswerFormat::Unstated => {}
        }
        body
    }
}

/// The parts of a response that matter.
#[derive(Deserialize)]
struct ChatCompletion {
    choices: Vec<ChatChoice>,
}

#[derive(Deserialize)]
struct ChatChoice {
    message: Answer,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// The text of a successful response, without thoughts and code fences.
pub(super) fn answer_text(url: &str, response: &str, max_tokens: u32) -> Result<String, LlmError> {
    let fault = |reason: String| LlmError::Protocol {
        url: url.to_owned(),
        reason,
    };
    let completion: ChatCompletion =
        serde_json::from_str(response).map_err(|error| fault(error.to_string()))?;
    let choice = completion.choices.into_iter().next();
    let choice = choice.ok_or_else(|| fault("it has no `choices`".to_owned()))?;
    if let Some(refusal) = choice.message.refusal.filter(|text| !text.is_empty()) {
        return Err(LlmError::Refused(quoted(&refusal)));
    }
    match choice.finish_reason.as_deref() {
        Some("length") => return Err(LlmError::Truncated(max_tokens)),
        Some("content_filter") => return Err(LlmError::Refused("content filter".to_owned())),
        _ => {}
    }
    let text = choice.message.content.unwrap_or_default();
    let text = unwrapped(&text);
    if text.is_empty() {
        return Err(LlmError::Nonsense("it is empty".to_owned()));
    }
    Ok(text.to_owned())
}

/// The answer itself: some models think aloud before it, or put it in a code fence.
fn unwrapped(text: &str) -> &str {
    let text = text.rsplit_once("</think>").map_or(text, |(_, rest)| rest);
    let text = text.trim();
    let fenced = text
        .strip_prefix("```json")
        .or_else(|| text.strip_prefix("```"));
    let inner = fenced.and_then(|rest| rest.strip_suffix("```"));
    inner.unwrap_or(text).trim()
}

/// What a server says about an error: the message of OpenAI's form if it has it, else the start of the body.
pub(super) fn error_words(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let error = parsed.as_ref().map(|value| &value["error"]);
    let message = error.and_then(|error| error["message"].as_str().or_else(|| error.as_str()));
    let other = parsed.as_ref().and_then(|value| value["message"].as_str());
    let words = quoted(message.or(other).unwrap_or(body));
    if words.is_empty() {
        "it does not say why".to_owned()
    } else {
        words
    }
}

/// The start of a text of the server, safe to show.
pub(super) fn quoted(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = clean(&words.join(" "));
    let mut start: String = line.chars().take(MAX_QUOTED_CHARS).collect();
    if start.len() < line.len() {
        start.push('…');
    }
    start.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ChatRequest {
        ChatRequest {
            messages: vec![Message {
                role: "user",
                content: "?".into(),
            }],
            schema: ("answer", json!({ "type": "object" })),
            max_tokens: 10,
        }
    }

    fn text(response: &Value) -> Result<String, LlmError> {
        answer_text("http://x/", &response.to_string(), 10)
    }

    #[test]
    fn a_request_is_deterministic_and_gives_up_what_the_server_does_not_know() {
        let mut dialect = Dialect::default();
        let body = request().body_in("m", dialect);
        assert_eq!(
            (&body["temperature"], &body["seed"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(body["response_format"]["type"], "json_schema");
        assert_eq!(body["max_tokens"], 10);
        for (said, path, now) in [
            (
                "Use 'max_completion_tokens' instead",
                "max_completion_tokens",
                json!(10),
            ),
            (
                "Unsupported value: 'temperature'",
                "temperature",
                Value::Null,
            ),
            ("unknown field `seed`", "seed", Value::Null),
            (
                "response_format json_schema is not supported",
                "response_format",
                json!({ "type": "json_object" }),
            ),
            ("bad request", "response_format", Value::Null),
        ] {
            assert!(dialect.adapt(said));
            assert_eq!(request().body_in("m", dialect)[path], now, "{said}");
        }
        assert!(!dialect.adapt("bad request"));
    }

    #[test]
    fn the_answer_is_found_among_thoughts_and_fences() {
        for content in [
            "{}",
            " {} \n",
            "```json\n{}\n```",
            "```\n{}```",
            "<think>{ not this }</think>\n{}",
        ] {
            let response = json!({ "choices": [{ "message": { "content": content } }] });
            assert_eq!(text(&response).as_deref(), Ok("{}"), "{content}");
        }
    }

    #[test]
    fn an_answer_that_is_none_is_told_apart() {
        let choice = |choice: Value| json!({ "choices": [choice] });
        let cut = choice(json!({ "message": { "content": "{" }, "finish_reason": "length" }));
        assert_eq!(text(&cut), Err(LlmError::Truncated(10)));
        let declined = choice(json!({ "message": { "content": null, "refusal": "I cannot." } }));
        assert_eq!(text(&declined), Err(LlmError::Refused("I cannot".into())));
        let filtered = choice(json!({ "message": {}, "finish_reason": "content_filter" }));
        assert!(matches!(text(&filtered), Err(LlmError::Refused(_))));
        let empty = choice(json!({ "message": { "content": "<think>hm</think>" } }));
        assert!(matches!(text(&empty), Err(LlmError::Nonsense(_))));
        for other in [json!({ "choices": [] }), json!({ "html": 1 })] {
            assert!(matches!(text(&other), Err(LlmError::Protocol { .. })));
        }
    }

    #[test]
    fn the_words_of_an_error_are_found_in_every_common_form_and_are_safe() {
        for (body, words) in [
            (r#"{"error":{"message":"No such model."}}"#, "No such model"),
            (r#"{"error":"model not found"}"#, "model not found"),
            (r#"{"message":"bad"}"#, "bad"),
            ("<html>\n 502 </html>", "<html> 502 </html>"),
            ("\u{1b}[2J", "\u{fffd}[2J"),
            ("", "it does not say why"),
        ] {
            assert_eq!(error_words(body), words);
        }
    }
}
