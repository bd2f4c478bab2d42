//! A language model behind any server that speaks OpenAI's chat-completions protocol: llama.cpp's, vLLM, Ollama, or a
//! provider's.
//!
//! It is off until the user configures an endpoint. What is sent is built here and nowhere else: names of conditions and a
//! modality ([`DraftRequest`]), or scores and phrases ([`DescriptionRequest`]); never images, paths or data of patients.

mod chat;
mod client;
mod description;
mod draft;
mod secrets;

use std::env::VarError;
use std::net::IpAddr;
use std::time::Duration;

use url::{Host, Url};

pub use chat::{ChatRequest, Dialect, Message};
pub use client::{ChatAnswer, ChatProgress, Client};
pub use description::{DescriptionRequest, ScoredCondition};
pub use draft::{DraftRequest, DraftRequestError};

/// The environment variable with the endpoint's key, which is kept nowhere else.
pub const KEY_VARIABLE: &str = "MEDIVISION_LLM_KEY";
/// How long an answer may take by default; a large model on a CPU needs minutes.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// What the path of an endpoint ends with.
const COMPLETIONS: &str = "chat/completions";

/// Why a language model gave no usable answer. Each message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// There is no endpoint.
    #[error(
        "no language model is configured; set MEDIVISION_LLM_URL to an endpoint such as http://127.0.0.1:8080/v1 (llama.cpp, vLLM, Ollama) and MEDIVISION_LLM_MODEL to the model's name, or both in config.toml under [llm]"
    )]
    NotConfigured,
    /// The model is not named.
    #[error(
        "the language model is not named; set MEDIVISION_LLM_MODEL (or `model` under [llm] in config.toml) to its name at {0}"
    )]
    NoModel(String),
    /// The endpoint is not a URL.
    #[error(
        "the endpoint `{url}` is not an address: {reason}; set MEDIVISION_LLM_URL to one such as http://127.0.0.1:8080/v1"
    )]
    Address {
        /// As configured.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The network must not be used.
    #[error(
        "{0} is on the network, which --offline or HF_HUB_OFFLINE forbids; use a server on this machine, or leave that out"
    )]
    Offline(String),
    /// The key cannot be sent.
    #[error(
        "MEDIVISION_LLM_KEY contains characters that no key has; set it to the key alone, without quotes or line ends"
    )]
    KeyForm,
    /// The server cannot be reached.
    #[error("{url} cannot be reached: {reason}; start the server, or check MEDIVISION_LLM_URL")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// Why.
        reason: String,
    },
    /// No answer came in time.
    #[error(
        "{url} did not answer within {} s; use a smaller model, ask for fewer conditions, or raise `timeout` under [llm] in config.toml", .timeout.as_secs_f64()
    )]
    TimedOut {
        /// The endpoint.
        url: String,
        /// The limit.
        timeout: Duration,
    },
    /// The server was not ready, or asked to wait, in every attempt.
    #[error("{url} is busy: {reason}; try again later")]
    Busy {
        /// The endpoint.
        url: String,
        /// The last answer.
        reason: String,
    },
    /// The server reports an error of its own.
    #[error("{url} reports an error: {reason}; see the server's log, or try again later")]
    Server {
        /// The endpoint.
        url: String,
        /// The server's words.
        reason: String,
    },
    /// The key's account may not ask more.
    #[error(
        "{url} answers no more requests of this key: {reason}; check its plan and billing, or use another server"
    )]
    Quota {
        /// The endpoint.
        url: String,
        /// The server's words.
        reason: String,
    },
    /// Request and answer are longer than the model's context.
    #[error(
        "the model's context at {url} is too short for this request: {reason}; ask for fewer conditions at once, or give the server a larger context"
    )]
    Context {
        /// The endpoint.
        url: String,
        /// The server's words.
        reason: String,
    },
    /// The connection ended before the answer did.
    #[error("the answer of {url} broke off: {reason}; see the server's log, and try again")]
    BrokenOff {
        /// The endpoint.
        url: String,
        /// Why.
        reason: String,
    },
    /// The key is missing, wrong, or may not use the model.
    #[error("{url} does not accept the key: {reason}; set MEDIVISION_LLM_KEY to a valid one")]
    Key {
        /// The endpoint.
        url: String,
        /// The server's words.
        reason: String,
    },
    /// There is no such endpoint, or it has no such model.
    #[error(
        "{url} has no model `{model}`, or is no chat-completions endpoint: {reason}; check MEDIVISION_LLM_URL and MEDIVISION_LLM_MODEL"
    )]
    NotFound {
        /// The endpoint.
        url: String,
        /// The model's name.
        model: String,
        /// The server's words.
        reason: String,
    },
    /// The server refused the request.
    #[error("{url} answered with status {status}: {reason}; see the server's log")]
    Status {
        /// The endpoint.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        reason: String,
    },
    /// The response is not one of the protocol.
    #[error(
        "{url} does not answer as a chat-completions endpoint: {reason}; check MEDIVISION_LLM_URL"
    )]
    Protocol {
        /// The endpoint.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The answer ended at the limit of tokens.
    #[error(
        "the answer was cut off after {0} tokens; ask for fewer conditions at once, give the server a larger context, or use a model that does not think aloud"
    )]
    Truncated(u32),
    /// The model or the provider declined.
    #[error("the model declined to answer{}; word the conditions differently, or use another model", if .0.is_empty() { String::new() } else { format!(" (“{}”)", .0) })]
    Refused(String),
    /// The answer is not what was asked for.
    #[error("the answer is not usable: {0}; try again, or use a more capable model")]
    Nonsense(String),
    /// The user interrupted the request.
    #[error("interrupted")]
    Interrupted,
}

/// The endpoint and the model as the user configured them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LlmSettings {
    /// The endpoint; `None` disables everything that needs a language model.
    pub url: Option<String>,
    /// The model's name there.
    pub model: Option<String>,
    /// How long an answer may take; `None` for [`DEFAULT_TIMEOUT`].
    pub timeout: Option<Duration>,
    /// Whether the network must not be used; servers on this machine are allowed.
    pub offline: bool,
}

/// A valid endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address that requests go to, which may contain a key.
    url: Url,
    /// The address as it is shown.
    shown: String,
    /// The model's name.
    pub(crate) model: String,
    pub(crate) timeout: Duration,
    key: Option<String>,
}

impl LlmSettings {
    /// Whether an endpoint is configured; it may still be wrong.
    pub fn is_configured(&self) -> bool {
        self.url.is_some()
    }

    /// The endpoint with the key of the environment.
    ///
    /// # Errors
    ///
    /// If it is not configured, or wrong, or on the network though that must not be used.
    pub fn endpoint(&self) -> Result<Endpoint, LlmError> {
        self.endpoint_with_key(key_in(std::env::var(KEY_VARIABLE)))
    }

    fn endpoint_with_key(&self, key: Option<String>) -> Result<Endpoint, LlmError> {
        let given = self.url.as_deref().ok_or(LlmError::NotConfigured)?;
        let url = completions_url(given)?;
        let shown = without_values(url.as_str());
        if self.offline && !is_this_machine(&url) {
            return Err(LlmError::Offline(shown));
        }
        let model = self.model.as_deref().map(str::trim).unwrap_or_default();
        if model.is_empty() {
            return Err(LlmError::NoModel(shown));
        }
        let key = key.map(|key| key.trim().to_owned());
        let key = key.filter(|key| !key.is_empty());
        if key
            .as_deref()
            .is_some_and(|key| !key.bytes().all(|b| b.is_ascii_graphic()))
        {
            return Err(LlmError::KeyForm);
        }
        Ok(Endpoint {
            url,
            shown,
            model: model.to_owned(),
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT),
            key,
        })
    }
}

impl Endpoint {
    /// The address that requests go to, as it may be shown: without the values of its query, of which one may be a key.
    pub fn url(&self) -> &str {
        &self.shown
    }

    /// The model's name there.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Whether the endpoint is on this machine.
    pub fn is_local(&self) -> bool {
        is_this_machine(&self.url)
    }
}

/// The key in a variable. One that is not UTF-8 is no key that could be sent: as such it is refused, not left out.
fn key_in(variable: Result<String, VarError>) -> Option<String> {
    match variable {
        Ok(key) => Some(key),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(bytes)) => Some(bytes.to_string_lossy().into_owned()),
    }
}

/// Without the key, which must not reach a log.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.shown)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// The address of the completions below an endpoint: `http://host`, `http://host/v1` or the whole address.
fn completions_url(given: &str) -> Result<Url, LlmError> {
    let fault = |reason: String| LlmError::Address {
        url: crate::media::clean(&without_values(&without_user_info(given))),
        reason,
    };
    let mut url = Url::parse(given.trim()).map_err(|error| fault(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault("neither http nor https".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault(format!(
            "it contains a password, which belongs in {KEY_VARIABLE}"
        )));
    }
    // It is never sent.
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with(COMPLETIONS) {
        let base = if path.is_empty() { "/v1" } else { &path };
        url.set_path(&format!("{base}/{COMPLETIONS}"));
    }
    Ok(url)
}

/// An address whose query has names only: some providers take the key as `?key=…`.
fn without_values(address: &str) -> String {
    let Some((place, query)) = address.split_once('?') else {
        return address.to_owned();
    };
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) => format!("{name}=…"),
        None => "…".to_owned(),
    });
    format!("{place}?{}", parts.collect::<Vec<_>>().join("&"))
}

/// What a user gave as an address, without what may be a name and a password. It need not be a URL.
fn without_user_info(given: &str) -> String {
    let Some((before, host)) = given.rsplit_once('@') else {
        return given.to_owned();
    };
    let scheme = before.split_once("//").map_or("", |(scheme, _)| scheme);
    format!("{scheme}//…@{host}")
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> LlmSettings {
        LlmSettings {
            url: Some(url.to_owned()),
            model: Some("m".to_owned()),
            ..LlmSettings::default()
        }
    }

    #[test]
    fn an_endpoint_may_be_given_with_more_or_less_of_its_path() {
        for (given, full) in [
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080/v1/chat/completions",
            ),
            (
                "http://127.0.0.1:8080/",
                "http://127.0.0.1:8080/v1/chat/completions",
            ),
            (
                "http://127.0.0.1:11434/v1/",
                "http://127.0.0.1:11434/v1/chat/completions",
            ),
            (
                "https://x.example/api/v1/chat/completions",
                "https://x.example/api/v1/chat/completions",
            ),
            (
                "https://x.example/v1?api-version=2",
                "https://x.example/v1/chat/completions?api-version=2",
            ),
        ] {
            let endpoint = settings(given).endpoint_with_key(None).unwrap();
            assert_eq!(endpoint.url.as_str(), full, "{given}");
        }
        for (given, part) in [
            ("localhost:8080", "neither http nor https"),
            ("8080", "not an address"),
            ("https://me:secret@x.example/v1", "MEDIVISION_LLM_KEY"),
            (
                "https://me:sec?ret@x.example/v1",
                "`https://…@x.example/v1`",
            ),
            ("https://me:secret@x.example:99999/v1", "port"),
            ("x.example/v1?key=secret", "`x.example/v1?key=…`"),
        ] {
            let said = settings(given)
                .endpoint_with_key(None)
                .unwrap_err()
                .to_string();
            assert!(said.contains(part), "{said}");
            assert!(!said.contains("sec") && !said.contains("ret@"), "{said}");
        }
    }

    #[test]
    fn a_key_in_the_query_is_sent_and_never_shown() {
        let settings = settings("https://x.example/v1?key=sk-1&sk-2&alt=json#sk-3");
        let endpoint = settings.endpoint_with_key(None).unwrap();
        assert!(endpoint.url.as_str().ends_with("?key=sk-1&sk-2&alt=json"));
        assert_eq!(
            endpoint.url(),
            "https://x.example/v1/chat/completions?key=…&…&alt=…"
        );
        let offline = LlmSettings {
            offline: true,
            ..settings
        };
        let refused = offline.endpoint_with_key(None).unwrap_err();
        for text in [format!("{endpoint:?}"), refused.to_string()] {
            assert!(!text.contains("sk-"), "{text}");
        }
    }

    #[test]
    fn offline_allows_servers_on_this_machine_only() {
        let offline = |url: &str| {
            LlmSettings {
                offline: true,
                ..settings(url)
            }
            .endpoint_with_key(None)
        };
        assert!(offline("http://localhost:1").is_ok_and(|endpoint| endpoint.is_local()));
        assert!(offline("http://[::1]:1").is_ok());
        assert!(matches!(
            offline("https://x.example/v1"),
            Err(LlmError::Offline(_))
        ));
        assert!(matches!(
            offline("http://localhost.example/v1"),
            Err(LlmError::Offline(_))
        ));
    }

    #[test]
    fn without_url_or_model_nothing_is_asked_and_the_key_is_never_shown() {
        let none = LlmSettings::default();
        assert_eq!(none.endpoint_with_key(None), Err(LlmError::NotConfigured));
        let unnamed = LlmSettings {
            model: Some("  ".into()),
            ..settings("http://localhost:1")
        };
        assert!(matches!(
            unnamed.endpoint_with_key(None),
            Err(LlmError::NoModel(_))
        ));
        let endpoint = settings("http://localhost:1")
            .endpoint_with_key(Some(" sk-1\n".into()))
            .unwrap();
        assert_eq!(endpoint.key.as_deref(), Some("sk-1"));
        assert!(!format!("{endpoint:?}").contains("sk-1"));
        let broken = settings("http://localhost:1").endpoint_with_key(Some("a b".into()));
        assert_eq!(broken, Err(LlmError::KeyForm));
        let bytes = std::os::unix::ffi::OsStringExt::from_vec(b"sk-\xff".to_vec());
        let key = key_in(Err(VarError::NotUnicode(bytes)));
        let broken = settings("http://localhost:1").endpoint_with_key(key);
        assert_eq!(broken, Err(LlmError::KeyForm));
    }
}
