//! The protocol's requests and responses.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::LlmError;
use crate::media::clean;

/// Seed of every request: as far as the server honours it, the same request has the same answer.
pub(super) const SEED: u64 = 0;
/// Maximum number of characters quoted from an answer.
const MAX_QUOTED_CHARS: usize = 120;

/// What begins and ends a block of code in a text.
const FENCE: &str = "```";
/// Some models, or what runs them, begin a text with it.
const BYTE_ORDER_MARK: char = '\u{feff}';

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

/// The parts of a request that not every server accepts, and which of them were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
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

    /// What was sent to make the answer repeatable, in words.
    pub fn sampling(self) -> String {
        match (self.sends_temperature, self.sends_seed) {
            (true, true) => format!("temperature 0, seed {SEED}"),
            (true, false) => "temperature 0, no seed, which the server refused".to_owned(),
            (false, true) => format!("no temperature, which the server refused, seed {SEED}"),
            (false, false) => "neither temperature nor seed, which the server refused".to_owned(),
        }
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
    content: Option<Content>,
    #[serde(default)]
    refusal: Option<String>,
}

/// What a model writes: a text, or of some servers a list of parts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

/// A part; thoughts have another type than the answer.
#[derive(Deserialize)]
struct ContentPart {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

impl Content {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => {
                let is_text = |part: &ContentPart| {
                    matches!(part.kind.as_deref(), None | Some("text" | "output_text"))
                };
                let texts = parts.into_iter().filter(is_text);
                texts.filter_map(|part| part.text).collect()
            }
        }
    }
}

/// The text of a successful response, without thoughts and code fences.
pub(super) fn answer_text(url: &str, response: &str, max_tokens: u32) -> Result<String, LlmError> {
    // Some gateways report the errors of the server behind them with a status of success.
    let fault = |reason: String| match reported_error(response) {
        Some(reason) => LlmError::Server {
            url: url.to_owned(),
            reason,
        },
        None => LlmError::Protocol {
            url: url.to_owned(),
            reason,
        },
    };
    let completion: ChatCompletion =
        serde_json::from_str(response).map_err(|error| fault(quoted(&error.to_string())))?;
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
    let text = choice.message.content.map(Content::into_text);
    let text = text.unwrap_or_default();
    let text = unwrapped(&text);
    if text.is_empty() {
        return Err(LlmError::Nonsense("it is empty".to_owned()));
    }
    Ok(text.to_owned())
}

/// The answer itself: some models think aloud before it, or put it in a code fence, with a sentence before or after that.
fn unwrapped(text: &str) -> &str {
    let text = text.rsplit_once("</think>").map_or(text, |(_, rest)| rest);
    let is_blank = |c: char| c.is_whitespace() || c == BYTE_ORDER_MARK;
    let text = text.trim_matches(is_blank);
    if text.starts_with('{') {
        return text;
    }
    let mut parts = text.split(FENCE);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(block), Some(_), None) => {
            // The language after the fence.
            let block = block.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            block.trim_matches(is_blank)
        }
        _ => text,
    }
}

/// What a server says about an error: the message of OpenAI's form if it has it, else the start of the body.
pub(super) fn error_words(body: &str) -> String {
    let words = reported_error(body).unwrap_or_else(|| {
        let parsed: Option<Value> = serde_json::from_str(body).ok();
        let message = parsed.as_ref().and_then(|value| value["message"].as_str());
        quoted(message.unwrap_or(body))
    });
    if words.is_empty() {
        "it does not say why".to_owned()
    } else {
        words
    }
}

/// The message of an error in OpenAI's form or Ollama's, if the response is one.
fn reported_error(body: &str) -> Option<String> {
    let parsed: Value = serde_json::from_str(body).ok()?;
    let error = &parsed["error"];
    let message = error["message"].as_str().or_else(|| error.as_str());
    message.map(quoted)
}

/// Whether the words of a refusal (status 429) mean that the account may not ask more, however long one waits.
pub(super) fn is_over_quota(body: &str) -> bool {
    let body = body.to_lowercase();
    ["insufficient_quota", "exceeded your current quota"]
        .iter()
        .any(|words| body.contains(words))
}

/// Whether a server says that request and answer together are too long for it: its words mention parameters, but none that
/// could be left out.
pub(super) fn is_too_long(body: &str) -> bool {
    let body = body.to_lowercase();
    let is_limit = body.contains("max_tokens") || body.contains("max_completion_tokens");
    let is_context = [
        "context length",
        "context window",
        "context size",
        "context_length",
    ];
    is_context.iter().any(|words| body.contains(words)) || is_limit && body.contains("too large")
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
            "```JSON\n{}\n```",
            "Here is the JSON:\n\n```json\n{}\n```",
            "```json\n{}\n```\nI hope this helps!",
            "\u{feff}{}",
            "\u{feff}```json {}```",
        ] {
            let response = json!({ "choices": [{ "message": { "content": content } }] });
            assert_eq!(text(&response).as_deref(), Ok("{}"), "{content}");
        }
        // A fence within the answer belongs to it, and of several blocks none is the answer.
        for content in ["{\"a\": \"``` b ```\"}", "```\n1\n``` or ```\n2\n```"] {
            let response = json!({ "choices": [{ "message": { "content": content } }] });
            assert_eq!(text(&response).as_deref(), Ok(content));
        }
    }

    #[test]
    fn the_parts_of_an_answer_are_joined_without_thoughts() {
        let parts = json!([
            { "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] },
            { "type": "reasoning", "text": "hm" },
            { "type": "text", "text": "{\"a\":" },
            { "type": "text", "text": " 1}" },
        ]);
        let response = json!({ "choices": [{ "message": { "content": parts } }] });
        assert_eq!(text(&response).as_deref(), Ok("{\"a\": 1}"));
    }

    #[test]
    fn an_error_with_a_status_of_success_is_told_in_its_words() {
        let failed = json!({ "error": { "message": "model overloaded", "code": 502 } });
        let mut empty = failed.clone();
        empty["choices"] = json!([]);
        for response in [failed, empty] {
            let said = text(&response).unwrap_err().to_string();
            assert!(
                said.contains("reports an error: model overloaded"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_limit_of_the_context_is_no_parameter_that_could_be_left_out() {
        for (said, too_long) in [
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 2448. This model's maximum context length is 2048 tokens",
                true,
            ),
            ("the request exceeds the available context size", true),
            (
                "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
                false,
            ),
        ] {
            assert_eq!(is_too_long(said), too_long, "{said}");
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
