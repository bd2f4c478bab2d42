//! Sends a request, and sends it again where that helps.

use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use ureq::{Agent, Timeout};

use super::chat::{ChatRequest, Dialect, answer_text, error_words, is_over_quota, is_too_long};
use super::secrets::Secrets;
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

/// What a model answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatAnswer<T> {
    /// As it was read.
    pub content: T,
    /// How it was asked for in the end.
    pub sent: Dialect,
}

/// A response of any status.
struct Reply {
    status: u16,
    retry_after: Option<Duration>,
    /// Without the keys that the request was sent with.
    body: String,
}

impl Reply {
    /// Whether the same request may succeed later.
    fn is_busy(&self) -> bool {
        match self.status {
            // A pause that is named ends.
            429 => self.retry_after.is_some() || !is_over_quota(&self.body),
            // 529 is not of HTTP, but in use for an overload.
            408 | 502..=504 | 529 => true,
            _ => false,
        }
    }
}

impl Client {
    /// Creates a client; nothing is sent yet.
    pub fn new(endpoint: Endpoint) -> Self {
        let timeouts = RequestTimeouts {
            resolve: connect_timeout(&endpoint),
            connect: connect_timeout(&endpoint),
            response: endpoint.timeout,
            read: None,
            body: Some(endpoint.timeout),
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
    /// know schemas, or ignores them, is asked for a JSON object, and failing that for JSON in words alone. All of it together may take
    /// as long as the endpoint's time limit.
    ///
    /// # Errors
    ///
    /// Each says what to do.
    pub fn complete<T>(
        &self,
        request: &ChatRequest,
        read: impl Fn(&str) -> Result<T, String>,
        report: ChatProgressCallback,
    ) -> Result<ChatAnswer<T>, LlmError> {
        let mut dialect = Dialect::default();
        let deadline = Instant::now() + self.endpoint.timeout;
        loop {
            let body = request.body_in(&self.endpoint.model, dialect).to_string();
            let reply = self.send_patiently(&body, deadline, report)?;
            match reply.status {
                200..=299 => {}
                400 | 413 | 422 if is_too_long(&reply.body) => return Err(self.too_long(&reply)),
                400 | 422 | 501 if dialect.adapt(&reply.body) => continue,
                // Some fail at a schema that they cannot turn into a grammar.
                500 if dialect.has_schema() => {
                    dialect.simplify_format();
                    continue;
                }
                _ => return Err(self.fault(&reply)),
            }
            let text = answer_text(self.endpoint.url(), &reply.body, request.max_tokens);
            match text.and_then(|text| read(&text).map_err(LlmError::Nonsense)) {
                // Some servers ignore in silence how the form of the answer is asked for.
                Err(LlmError::Nonsense(_)) if dialect.simplify_format() => {}
                answer => {
                    return answer.map(|content| ChatAnswer {
                        content,
                        sent: dialect,
                    });
                }
            }
        }
    }

    /// Sends a request until the server is not busy.
    fn send_patiently(
        &self,
        body: &str,
        deadline: Instant,
        report: ChatProgressCallback,
    ) -> Result<Reply, LlmError> {
        let mut attempt = 1;
        loop {
            let reply = self.send(body.to_owned(), deadline, report)?;
            if !reply.is_busy() {
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
            if Instant::now() + time >= deadline {
                let limit = self.endpoint.timeout.as_secs_f64();
                return Err(busy(format!(
                    "{reason}, and the limit of {limit} s for an answer leaves no time to wait"
                )));
            }
            pause(time, report)?;
            attempt += 1;
        }
    }

    /// Sends one request. If the user interrupts it, its thread is left behind; it ends with the connection or the time limit.
    fn send(
        &self,
        body: String,
        deadline: Instant,
        report: ChatProgressCallback,
    ) -> Result<Reply, LlmError> {
        let (sender, receiver) = bounded(1);
        let (agent, endpoint) = (self.agent.clone(), self.endpoint.clone());
        let left = deadline.saturating_duration_since(Instant::now());
        let thread = std::thread::Builder::new().name("language-model".into());
        let started = thread.spawn(move || drop(sender.send(post(&agent, &endpoint, left, &body))));
        started.map_err(|error| self.unreachable(error.to_string()))?;
        loop {
            match receiver.recv_timeout(WAIT_SLICE) {
                Ok(reply) => return reply,
                // The request's own limits know better what took too long, so they come first.
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline + WAIT_SLICE => {
                    return Err(timed_out(&self.endpoint));
                }
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

    fn too_long(&self, reply: &Reply) -> LlmError {
        LlmError::Context {
            url: self.endpoint.url().to_owned(),
            reason: error_words(&reply.body),
        }
    }

    /// The error of a response that is none of the busy ones.
    fn fault(&self, reply: &Reply) -> LlmError {
        let url = self.endpoint.url().to_owned();
        let reason = error_words(&reply.body);
        match reply.status {
            401 | 403 => LlmError::Key { url, reason },
            402 | 429 => LlmError::Quota { url, reason },
            500 => LlmError::Server { url, reason },
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
fn post(agent: &Agent, endpoint: &Endpoint, left: Duration, body: &str) -> Result<Reply, LlmError> {
    let mut request = agent
        .post(endpoint.url.as_str())
        .header("Content-Type", "application/json")
        .header("Accept", "application/json");
    if let Some(key) = &endpoint.key {
        request = request.header("Authorization", format!("Bearer {key}"));
    }
    let limited = request
        .config()
        .timeout_recv_response(Some(left))
        .timeout_recv_body(Some(left))
        .build();
    let mut response = limited
        .send(body)
        .map_err(|error| failure(endpoint, &error))?;
    let status = response.status().as_u16();
    let retry_after = header(response.headers(), "retry-after").and_then(retry_after);
    let mut bytes = Vec::new();
    let mut reader = response.body_mut().as_reader().take(MAX_RESPONSE_BYTES + 1);
    reader.read_to_end(&mut bytes).map_err(|error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(ureq::Error::Timeout(_)) => timed_out(endpoint),
            _ if error.kind() == ErrorKind::TimedOut => timed_out(endpoint),
            Some(inner) => broken_off(endpoint, inner.to_string()),
            None => broken_off(endpoint, error.to_string()),
        }
    })?;
    let protocol = |reason: String| LlmError::Protocol {
        url: endpoint.url().to_owned(),
        reason,
    };
    if bytes.len() as u64 > MAX_RESPONSE_BYTES {
        let limit = MAX_RESPONSE_BYTES >> 20;
        return Err(protocol(format!("its response is longer than {limit} MiB")));
    }
    let body = match String::from_utf8(bytes) {
        Ok(body) => body,
        // Phrases with characters missing would be saved as if the model had written them so.
        Err(_) if (200..300).contains(&status) => {
            return Err(protocol("its response is not UTF-8".to_owned()));
        }
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    Ok(Reply {
        status,
        retry_after,
        body: Secrets::of(endpoint).hidden_in(body, (200..300).contains(&status)),
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
        // There was a connection.
        ureq::Error::Io(error) if is_disconnection(error.kind()) => {
            return broken_off(endpoint, error.to_string());
        }
        ureq::Error::Protocol(error) => {
            return LlmError::Protocol {
                url: endpoint.url().to_owned(),
                reason: error.to_string(),
            };
        }
        other => other.to_string(),
    };
    LlmError::Unreachable {
        url: endpoint.url().to_owned(),
        reason,
    }
}

fn is_disconnection(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
    )
}

fn broken_off(endpoint: &Endpoint, reason: String) -> LlmError {
    LlmError::BrokenOff {
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
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use serde_json::json;

    use super::*;
    use crate::llm::{LlmSettings, Message};

    /// What becomes of a request to a server that gives these responses, of a status line's rest and a body each, one after the other, the last
    /// one ever again; with the number of requests. The model is to say `yes`.
    fn asked(timeout: Duration, responses: &[(&str, &[u8])]) -> (Result<(), LlmError>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = LlmSettings {
            url: Some(format!("http://{}", listener.local_addr().unwrap())),
            model: Some("m".into()),
            timeout: Some(timeout),
            offline: true,
        };
        let responses: Vec<_> = responses
            .iter()
            .map(|(head, body)| (format!("HTTP/1.1 {head}\r\n\r\n"), body.to_vec()))
            .collect();
        let (seen, count) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                seen.send(()).unwrap();
                let mut reader = BufReader::new(&stream);
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let start = head.len();
                    reader.read_line(&mut head).unwrap();
                    if let Some(("content-length", value)) =
                        head[start..].to_lowercase().trim().split_once(": ")
                    {
                        length = value.parse().unwrap();
                    }
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                let (head, body) = &responses[number.min(responses.len() - 1)];
                // The client may have left.
                let _ = (&stream).write_all(&[head.as_bytes(), body].concat());
            }
        });
        let client = Client::new(settings.endpoint_with_key(None).unwrap());
        let request = ChatRequest {
            messages: vec![Message {
                role: "user",
                content: "?".into(),
            }],
            schema: ("answer", json!({ "type": "object" })),
            max_tokens: 10,
        };
        let read = |text: &str| match text {
            "yes" => Ok(()),
            other => Err(format!("it says {other}")),
        };
        let answer = client.complete(&request, read, &mut |_| ControlFlow::Continue(()));
        (
            answer.map(|answer| answer.content),
            count.try_iter().count(),
        )
    }

    fn said(text: &str) -> Vec<u8> {
        json!({ "choices": [{ "message": { "content": text } }] })
            .to_string()
            .into_bytes()
    }

    const OK: &str = "200 OK\r\nConnection: close";
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn an_unusable_answer_is_asked_for_in_every_form() {
        let no = said("no");
        let (answer, count) = asked(LONG, &[(OK, &no), (OK, &no), (OK, &said("yes"))]);
        assert_eq!((answer, count), (Ok(()), 3));
        let (answer, count) = asked(LONG, &[(OK, &no)]);
        assert_eq!(answer, Err(LlmError::Nonsense("it says no".into())));
        assert_eq!(count, 3);
    }

    #[test]
    fn what_no_pause_mends_is_told_at_once_in_the_words_of_the_server() {
        let failing = |status: &str, words: &str| {
            let body = json!({ "error": { "message": words } }).to_string();
            let head = format!("{status} X\r\nConnection: close");
            let (answer, count) = asked(LONG, &[(&head, body.as_bytes())]);
            (answer.unwrap_err().to_string(), count)
        };
        for (status, words, advice, requests) in [
            ("500", "out of memory", "see the server's log", 2),
            ("429", "You exceeded your current quota", "billing", 1),
            ("402", "Insufficient credits", "billing", 1),
            (
                "400",
                "max_completion_tokens is too large: the context length is 2048",
                "fewer conditions",
                1,
            ),
        ] {
            let (said, count) = failing(status, words);
            assert!(said.contains(words) && said.contains(advice), "{said}");
            assert!(!said.contains("busy"), "{said}");
            assert_eq!(count, requests, "{said}");
        }
        let (answer, _) = asked(
            LONG,
            &[
                ("500 X\r\nConnection: close", b"grammar"),
                (OK, &said("yes")),
            ],
        );
        assert_eq!(answer, Ok(()));
    }

    #[test]
    fn a_response_that_is_not_whole_or_no_text_is_no_answer() {
        let said = |head: &str, body: &[u8]| asked(LONG, &[(head, body)]).0.unwrap_err();
        let cut = said("200 OK\r\nContent-Length: 500", b"{");
        assert!(matches!(cut, LlmError::BrokenOff { .. }), "{cut}");
        let long = vec![b' '; usize::try_from(MAX_RESPONSE_BYTES).unwrap() + 1];
        let long = said(OK, &long).to_string();
        assert!(long.contains("longer than 4 MiB"), "{long}");
        let latin = said(
            OK,
            b"{\"choices\": [{\"message\": {\"content\": \"h\xe4zy\"}}]}",
        );
        assert!(latin.to_string().contains("not UTF-8"), "{latin}");
    }

    #[test]
    fn all_attempts_together_end_at_the_time_limit() {
        let busy = "503 X\r\nRetry-After: 2\r\nConnection: close";
        let (answer, count) = asked(Duration::from_secs(1), &[(busy, b"loading")]);
        let said = answer.unwrap_err().to_string();
        assert!(
            said.contains("loading") && said.contains("limit of 1 s"),
            "{said}"
        );
        assert_eq!(count, 1);
    }

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
