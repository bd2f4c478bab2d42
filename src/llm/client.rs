//! Sends a request, and sends it again where that helps.

use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use ureq::{Agent, Timeout};

use super::chat::{ChatRequest, Dialect, answer_text, error_words};
use super::{Endpoint, LlmError};
use crate::http::{self, ProxyUse, RequestTimeouts, header, retry_after};

/// Limits looking up the host's name, and connecting, whatever the answer may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a response.
const MAX_RESPONSE_BYTES: u64 = 4 << 20;
/// Requests to a busy server before it is given up.
const MAX_BUSY_ATTEMPTS: u32 = 4;
/// The pause after the first of them, unless the server asks for another; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that a server may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// How often a wait looks whether the user interrupts it.
const WAIT_SLICE: Duration = Duration::from_millis(100);

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatProgress {
    /// The model answers.
    Answering,
    /// The server is busy; the next attempt follows after this time.
    Pausing(Duration),
}

/// Receives the progress, about ten times a second; breaking interrupts the request.
pub type ChatProgressCallback<'a> = &'a mut dyn FnMut(ChatProgress) -> ControlFlow<()>;

/// A client of one endpoint.
pub struct Client {
    agent: Agent,
    endpoint: Endpoint,
}

/// A response of any status.
struct Reply {
    status: u16,
    retry_after: Option<Duration>,
    body: String,
}

impl Client {
    /// Creates a client; nothing is sent yet.
    pub fn new(endpoint: Endpoint) -> Self {
        let timeouts = RequestTimeouts {
            resolve: connect_timeout(&endpoint),
            connect: connect_timeout(&endpoint),
            response: endpoint.timeout,
            body: endpoint.timeout,
        };
        // A proxy would take what is meant for this machine elsewhere, the key included.
        let route = if endpoint.is_local() {
            ProxyUse::Direct
        } else {
            ProxyUse::Environment
        };
        Self {
            agent: http::agent(timeouts, route),
            endpoint,
        }
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks the model and reads its answer with `read`, whose error says what is wrong with the answer. A server that does not
    /// know schemas is asked for a JSON object, and failing that for JSON in words alone.
    ///
    /// # Errors
    ///
    /// Each says what to do.
    pub fn complete<T>(
        &self,
        request: &ChatRequest,
        read: impl Fn(&str) -> Result<T, String>,
        report: ChatProgressCallback,
    ) -> Result<T, LlmError> {
        let mut dialect = Dialect::default();
        loop {
            let body = request.body_in(&self.endpoint.model, dialect).to_string();
            let reply = self.send_patiently(&body, report)?;
            match reply.status {
                200..=299 => {}
                400 | 422 | 501 if dialect.adapt(&reply.body) => continue,
                _ => return Err(self.fault(&reply)),
            }
            let text = answer_text(self.endpoint.url(), &reply.body, request.max_tokens);
            match text.and_then(|text| read(&text).map_err(LlmError::Nonsense)) {
                // Older servers ignore the schema in silence, but know the JSON object.
                Err(LlmError::Nonsense(_)) if dialect.has_schema() => {
                    dialect.simplify_format();
                }
                answer => return answer,
            }
        }
    }

    /// Sends a request until the server is not busy.
    fn send_patiently(&self, body: &str, report: ChatProgressCallback) -> Result<Reply, LlmError> {
        let mut attempt = 1;
        loop {
            let reply = self.send(body.to_owned(), report)?;
            if !matches!(reply.status, 408 | 429 | 500 | 502..=504) {
                return Ok(reply);
            }
            let reason = format!("status {}, {}", reply.status, error_words(&reply.body));
            let busy = |reason| LlmError::Busy {
                url: self.endpoint.url().to_owned(),
                reason,
            };
            if attempt == MAX_BUSY_ATTEMPTS {
                return Err(busy(reason));
            }
            let time = reply
                .retry_after
                .unwrap_or(FIRST_PAUSE * 2_u32.pow(attempt - 1));
            if time > MAX_PAUSE {
                let minutes = time.as_secs().div_ceil(60);
                return Err(busy(format!(
                    "{reason}, and asks to wait for {minutes} minutes"
                )));
            }
            pause(time, report)?;
            attempt += 1;
        }
    }

    /// Sends one request. If the user interrupts it, its thread is left behind; it ends with the connection or the time limit.
    fn send(&self, body: String, report: ChatProgressCallback) -> Result<Reply, LlmError> {
        let (sender, receiver) = bounded(1);
        let (agent, endpoint) = (self.agent.clone(), self.endpoint.clone());
        let thread = std::thread::Builder::new().name("language-model".into());
        let started = thread.spawn(move || drop(sender.send(post(&agent, &endpoint, &body))));
        started.map_err(|error| self.unreachable(error.to_string()))?;
        loop {
            match receiver.recv_timeout(WAIT_SLICE) {
                Ok(reply) => return reply,
                Err(RecvTimeoutError::Timeout) => report_wait(ChatProgress::Answering, report)?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.unreachable("internal error".to_owned()));
                }
            }
        }
    }

    fn unreachable(&self, reason: String) -> LlmError {
        LlmError::Unreachable {
            url: self.endpoint.url().to_owned(),
            reason,
        }
    }

    /// The error of a response that is none of the busy ones.
    fn fault(&self, reply: &Reply) -> LlmError {
        let url = self.endpoint.url().to_owned();
        let reason = error_words(&reply.body);
        match reply.status {
            401 | 403 => LlmError::Key { url, reason },
            404 | 405 => LlmError::NotFound {
                url,
                model: self.endpoint.model.clone(),
                reason,
            },
            300..=399 => LlmError::Protocol {
                url,
                reason: format!("it redirects (status {})", reply.status),
            },
            status => LlmError::Status {
                url,
                status,
                reason,
            },
        }
    }
}

/// Sends one request, and waits for the response. The key goes to the endpoint only: redirects are not followed.
fn post(agent: &Agent, endpoint: &Endpoint, body: &str) -> Result<Reply, LlmError> {
    let mut request = agent
        .post(endpoint.url.as_str())
        .header("Content-Type", "application/json")
        .header("Accept", "application/json");
    if let Some(key) = &endpoint.key {
        request = request.header("Authorization", format!("Bearer {key}"));
    }
    let mut response = request
        .send(body)
        .map_err(|error| failure(endpoint, &error))?;
    let status = response.status().as_u16();
    let retry_after = header(response.headers(), "retry-after").and_then(retry_after);
    let mut bytes = Vec::new();
    let mut reader = response.body_mut().as_reader().take(MAX_RESPONSE_BYTES);
    reader.read_to_end(&mut bytes).map_err(|error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(inner) => failure(endpoint, inner),
            None if error.kind() == ErrorKind::TimedOut => timed_out(endpoint),
            None => failure(endpoint, &ureq::Error::Io(error)),
        }
    })?;
    Ok(Reply {
        status,
        retry_after,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// How long looking up the host's name may take, and then connecting.
fn connect_timeout(endpoint: &Endpoint) -> Duration {
    CONNECT_TIMEOUT.min(endpoint.timeout)
}

/// The error of a request without a whole response.
fn failure(endpoint: &Endpoint, error: &ureq::Error) -> LlmError {
    let limit = connect_timeout(endpoint).as_secs_f64();
    let reason = match error {
        ureq::Error::Timeout(Timeout::Resolve) => {
            format!("looking up its name took more than {limit} s")
        }
        ureq::Error::Timeout(Timeout::Connect) => {
            format!("connecting took more than {limit} s")
        }
        ureq::Error::Timeout(_) => return timed_out(endpoint),
        other => other.to_string(),
    };
    LlmError::Unreachable {
        url: endpoint.url().to_owned(),
        reason,
    }
}

fn timed_out(endpoint: &Endpoint) -> LlmError {
    LlmError::TimedOut {
        url: endpoint.url().to_owned(),
        timeout: endpoint.timeout,
    }
}

/// Waits, unless the user interrupts it.
fn pause(time: Duration, report: ChatProgressCallback) -> Result<(), LlmError> {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        report_wait(ChatProgress::Pausing(left), report)?;
        std::thread::sleep(left.min(WAIT_SLICE));
    }
    Ok(())
}

/// Reports a wait; an error if the user interrupts.
fn report_wait(progress: ChatProgress, report: ChatProgressCallback) -> Result<(), LlmError> {
    match report(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(LlmError::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::LlmSettings;

    #[test]
    fn a_model_is_slow_only_if_there_was_a_connection() {
        let settings = LlmSettings {
            url: Some("http://10.0.0.1/v1".into()),
            model: Some("m".into()),
            ..LlmSettings::default()
        };
        let endpoint = settings.endpoint_with_key(None).unwrap();
        let said = |timeout| failure(&endpoint, &ureq::Error::Timeout(timeout)).to_string();
        assert!(said(Timeout::Connect).contains("connecting took more than 10 s"));
        assert!(said(Timeout::Resolve).contains("looking up its name took more than 10 s"));
        for timeout in [Timeout::RecvResponse, Timeout::RecvBody] {
            assert!(said(timeout).contains("did not answer within 300 s"));
        }
    }
}
