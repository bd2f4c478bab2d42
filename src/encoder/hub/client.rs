//! The hub's protocol over HTTP.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::hash::Etag;
use super::{Cache, HubError};

const ENDPOINT: &str = "https://huggingface.co";
/// To connect, and to get the first byte of an answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// One body, after which a download is resumed: so a connection that went dead without a word ends, too.
const BODY: Duration = Duration::from_secs(600);
/// Redirects in a row.
const REDIRECTS: usize = 8;
/// A list of files, or a sentence about an error.
const TEXT: u64 = 16 << 20;

/// What the hub says of a repository.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    /// The commit.
    pub(super) sha: String,
    /// Its files.
    #[serde(default)]
    pub(super) siblings: Vec<Sibling>,
}

/// A file of it.
#[derive(Debug, Deserialize)]
pub(super) struct Sibling {
    pub(super) rfilename: String,
}

/// A file before it is fetched.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) name: String,
    pub(super) etag: Etag,
    pub(super) size: u64,
}

/// Talks to the hub for one model.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    id: String,
    revision: String,
}

impl Client {
    /// The one place where a network client is made; whoever must stay offline does not come here.
    pub(super) fn new(cache: &Cache, id: &str, revision: &str) -> Self {
        let endpoint = std::env::var("HF_ENDPOINT")
            .ok()
            .filter(|url| !url.is_empty());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(RESPONSE_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .timeout_recv_body(Some(BODY))
            .user_agent(concat!("medivision-tui/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self {
            agent: config.into(),
            endpoint: endpoint
                .unwrap_or_else(|| ENDPOINT.into())
                .trim_end_matches('/')
                .to_owned(),
            token: cache.token(),
            id: id.to_owned(),
            revision: revision.to_owned(),
        }
    }

    /// Commit and files.
    pub(super) fn info(&self) -> Result<Info, HubError> {
        let revision = self.revision.replace('/', "%2F");
        let url = format!(
            "{}/api/models/{}/revision/{revision}",
            self.endpoint, self.id
        );
        let mut answer = self.ask(&url, false, None, true)?;
        let answer = self.good(&url, &mut answer)?;
        let mut text = String::new();
        let mut body = answer.body_mut().as_reader().take(TEXT);
        let fault = |reason: String| HubError::Answer {
            url: url.clone(),
            reason,
        };
        body.read_to_string(&mut text)
            .map_err(|e| fault(e.to_string()))?;
        let info: Info = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
        let hex = info.sha.len() == 40 && info.sha.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then_some(info).ok_or_else(|| fault("no commit".into()))
    }

    fn file_url(&self, commit: &str, name: &str) -> String {
        let name = name
            .replace('%', "%25")
            .replace(' ', "%20")
            .replace('?', "%3F")
            .replace('#', "%23");
        format!("{}/{}/resolve/{commit}/{name}", self.endpoint, self.id)
    }

    /// Hash and size of a file. The hub itself says them; where it sends on to its storage, that is not followed.
    pub(super) fn head(&self, commit: &str, name: &str) -> Result<Remote, HubError> {
        let url = self.file_url(commit, name);
        let mut answer = self.ask(&url, true, None, false)?;
        if !answer.status().is_redirection() {
            self.good(&url, &mut answer)?;
        }
        let fault = |reason: &str| HubError::Answer {
            url: url.clone(),
            reason: reason.to_owned(),
        };
        let headers = answer.headers();
        let etag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag"));
        let size = header(headers, "x-linked-size").or_else(|| header(headers, "content-length"));
        Ok(Remote {
            name: name.to_owned(),
            etag: etag
                .and_then(Etag::parse)
                .ok_or_else(|| fault("no checksum"))?,
            size: size
                .and_then(|n| n.parse().ok())
                .ok_or_else(|| fault("no size"))?,
        })
    }

    /// A file's bytes from `from` on, and whether they begin there (else at 0). Errors of the connection are the inner
    /// ones, to be tried again.
    pub(super) fn get(
        &self,
        commit: &str,
        name: &str,
        from: u64,
    ) -> Result<Result<(Response<Body>, bool), String>, HubError> {
        let url = self.file_url(commit, name);
        let mut answer = match self.ask(&url, false, Some(from).filter(|&from| from > 0), true) {
            Ok(answer) => answer,
            Err(HubError::Unreachable { reason, .. }) => return Ok(Err(reason)),
            Err(other) => return Err(other),
        };
        match answer.status().as_u16() {
            206 if from > 0 => Ok(Ok((answer, true))),
            200 => Ok(Ok((answer, false))),
            // The part that is there is not part of this file. Without one, nothing was asked that could be refused so.
            416 if from > 0 => self.get(commit, name, 0),
            206 | 408 | 416 | 429 | 500.. => {
                Ok(Err(format!("the hub answered {}", answer.status())))
            }
            _ => match self.good(&url, &mut answer) {
                Ok(_) => Ok(Err(format!("the hub answered {}", answer.status()))),
                Err(error) => Err(error),
            },
        }
    }

    /// Asks, and follows redirects: all, or only those that stay on the hub. The token goes to the hub alone.
    fn ask(
        &self,
        url: &str,
        head: bool,
        from: Option<u64>,
        everywhere: bool,
    ) -> Result<Response<Body>, HubError> {
        let mut at = url.to_owned();
        for _ in 0..REDIRECTS {
            let mut request = if head {
                self.agent.head(&at)
            } else {
                self.agent.get(&at)
            };
            if let Some(token) = self.token.as_ref().filter(|_| self.is_ours(&at)) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            if let Some(from) = from {
                request = request.header("Range", format!("bytes={from}-"));
            }
            let answer = request.header("Accept-Encoding", "identity").call();
            let answer = answer.map_err(|error| HubError::Unreachable {
                url: at.clone(),
                reason: error.to_string(),
            })?;
            let place = header(answer.headers(), "location").map(str::to_owned);
            match place {
                Some(place) if answer.status().is_redirection() => {
                    if place.starts_with('/') {
                        at = format!("{}{place}", self.endpoint);
                    } else if everywhere || self.is_ours(&place) {
                        at = place;
                    } else {
                        return Ok(answer);
                    }
                }
                _ => return Ok(answer),
            }
        }
        Err(HubError::Answer {
            url: url.to_owned(),
            reason: "it sends from one place to the next without end".into(),
        })
    }

    /// Below the endpoint; `https://huggingface.co.example` is not.
    fn is_ours(&self, url: &str) -> bool {
        url.strip_prefix(&self.endpoint)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// What a status means.
    fn good<'a>(
        &self,
        url: &str,
        answer: &'a mut Response<Body>,
    ) -> Result<&'a mut Response<Body>, HubError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let code = header(answer.headers(), "x-error-code")
            .unwrap_or_default()
            .to_owned();
        let detail = header(answer.headers(), "x-error-message").unwrap_or_default();
        let (id, signed_in) = (self.id.clone(), self.token.is_some());
        Err(match (status.as_u16(), code.as_str()) {
            (_, "RevisionNotFound") => HubError::NoRevision {
                id,
                revision: self.revision.clone(),
            },
            (401 | 403, "GatedRepo") if !signed_in => HubError::NoToken(id),
            // To whoever may not see it, the hub does not tell a private model from none.
            (404, _) | (401, "RepoNotFound") => HubError::NotFound(id),
            (401, code) if signed_in && code != "GatedRepo" => HubError::BadToken,
            (401, _) if !signed_in => HubError::NoToken(id),
            (401 | 403, _) => HubError::NotAllowed(id),
            (status, _) => HubError::Status {
                url: url.to_owned(),
                status,
                detail: crate::media::clean(detail),
            },
        })
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
