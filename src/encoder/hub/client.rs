//! The hub's HTTP protocol.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::hash::Etag;
use super::{HubCache, HubError};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// Limits connecting, and also the wait for a response's headers.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Limits the transfer of one body, after which the download is resumed; so a connection that died silently ends, too.
const BODY_TIMEOUT: Duration = Duration::from_secs(600);
/// Redirects that are followed per request.
const MAX_REDIRECTS: usize = 8;
/// Maximum size of the list of files.
const MAX_INFO_BYTES: u64 = 16 << 20;

/// The hub's description of a repository at a revision.
#[derive(Debug, Deserialize)]
pub(super) struct RepositoryInfo {
    /// The commit.
    pub(super) sha: String,
    /// The files.
    #[serde(default)]
    pub(super) siblings: Vec<Sibling>,
}

/// A file of a repository.
#[derive(Debug, Deserialize)]
pub(super) struct Sibling {
    pub(super) rfilename: String,
}

/// A file that may be downloaded.
#[derive(Clone, Debug)]
pub(super) struct RemoteFile {
    pub(super) name: String,
    pub(super) etag: Etag,
    pub(super) size: u64,
}

/// A client for one model at one revision.
pub(super) struct HubClient {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    id: String,
    revision: String,
}

impl HubClient {
    /// The only place that creates a network client: code that must stay offline does not call it.
    pub(super) fn new(cache: &HubCache, id: &str, revision: &str) -> Self {
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
            .timeout_recv_body(Some(BODY_TIMEOUT))
            .user_agent(concat!("medivision-tui/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self {
            agent: config.into(),
            endpoint: endpoint
                .unwrap_or_else(|| DEFAULT_ENDPOINT.into())
                .trim_end_matches('/')
                .to_owned(),
            token: cache.token(),
            id: id.to_owned(),
            revision: revision.to_owned(),
        }
    }

    /// The commit of the revision, and its files.
    pub(super) fn info(&self) -> Result<RepositoryInfo, HubError> {
        let revision = self.revision.replace('/', "%2F");
        let url = format!(
            "{}/api/models/{}/revision/{revision}",
            self.endpoint, self.id
        );
        let mut response = self.send(&url, false, None, true)?;
        let response = self.check_status(&url, &mut response)?;
        let mut text = String::new();
        let mut body = response.body_mut().as_reader().take(MAX_INFO_BYTES);
        let fault = |reason: String| HubError::Response {
            url: url.clone(),
            reason,
        };
        body.read_to_string(&mut text)
            .map_err(|e| fault(e.to_string()))?;
        let info: RepositoryInfo = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
        let is_commit = info.sha.len() == 40 && info.sha.bytes().all(|b| b.is_ascii_hexdigit());
        is_commit
            .then_some(info)
            .ok_or_else(|| fault("it names no commit".into()))
    }

    fn file_url(&self, commit: &str, name: &str) -> String {
        let name = name
            .replace('%', "%25")
            .replace(' ', "%20")
            .replace('?', "%3F")
            .replace('#', "%23");
        format!("{}/{}/resolve/{commit}/{name}", self.endpoint, self.id)
    }

    /// The hash and size of a file. The hub itself names them, so a redirect to its storage is not followed.
    pub(super) fn head(&self, commit: &str, name: &str) -> Result<RemoteFile, HubError> {
        let url = self.file_url(commit, name);
        let mut response = self.send(&url, true, None, false)?;
        if !response.status().is_redirection() {
            self.check_status(&url, &mut response)?;
        }
        let fault = |reason: &str| HubError::Response {
            url: url.clone(),
            reason: reason.to_owned(),
        };
        let headers = response.headers();
        let etag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag"));
        let size = header(headers, "x-linked-size").or_else(|| header(headers, "content-length"));
        Ok(RemoteFile {
            name: name.to_owned(),
            etag: etag
                .and_then(Etag::parse)
                .ok_or_else(|| fault("it names no checksum"))?,
            size: size
                .and_then(|n| n.parse().ok())
                .ok_or_else(|| fault("it names no size"))?,
        })
    }

    /// Requests a file's bytes from offset `from` on; true if the body starts there, false if it starts at 0. The inner errors
    /// are temporary and worth another attempt.
    pub(super) fn get(
        &self,
        commit: &str,
        name: &str,
        from: u64,
    ) -> Result<Result<(Response<Body>, bool), String>, HubError> {
        let url = self.file_url(commit, name);
        let range = Some(from).filter(|&from| from > 0);
        let mut response = match self.send(&url, false, range, true) {
            Ok(response) => response,
            Err(HubError::Unreachable { reason, .. }) => return Ok(Err(reason)),
            Err(other) => return Err(other),
        };
        let status = response.status();
        let temporary = || Ok(Err(format!("the hub answered with status {status}")));
        match status.as_u16() {
            206 if from > 0 => Ok(Ok((response, true))),
            200 => Ok(Ok((response, false))),
            // Range not satisfiable: the partial file does not belong to this file. Without a range, 416 makes no sense.
            416 if from > 0 => self.get(commit, name, 0),
            206 | 408 | 416 | 429 | 500.. => temporary(),
            _ => match self.check_status(&url, &mut response) {
                Ok(_) => temporary(),
                Err(error) => Err(error),
            },
        }
    }

    /// Sends a request and follows redirects, to any host or only within the hub. The token is sent to the hub only.
    fn send(
        &self,
        url: &str,
        is_head: bool,
        from: Option<u64>,
        follow_anywhere: bool,
    ) -> Result<Response<Body>, HubError> {
        let mut current = url.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let mut request = if is_head {
                self.agent.head(&current)
            } else {
                self.agent.get(&current)
            };
            if let Some(token) = self.token.as_ref().filter(|_| self.is_on_hub(&current)) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            if let Some(from) = from {
                request = request.header("Range", format!("bytes={from}-"));
            }
            let response = request.header("Accept-Encoding", "identity").call();
            let response = response.map_err(|error| HubError::Unreachable {
                url: current.clone(),
                reason: error.to_string(),
            })?;
            let location = header(response.headers(), "location").map(str::to_owned);
            match location {
                Some(location) if response.status().is_redirection() => {
                    if location.starts_with('/') {
                        current = format!("{}{location}", self.endpoint);
                    } else if follow_anywhere || self.is_on_hub(&location) {
                        current = location;
                    } else {
                        return Ok(response);
                    }
                }
                _ => return Ok(response),
            }
        }
        Err(HubError::Response {
            url: url.to_owned(),
            reason: format!("more than {MAX_REDIRECTS} redirects"),
        })
    }

    /// Whether a URL is below the endpoint; `https://huggingface.co.example` is not.
    fn is_on_hub(&self, url: &str) -> bool {
        url.strip_prefix(&self.endpoint)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Returns a successful response, and turns any other into an error.
    fn check_status<'a>(
        &self,
        url: &str,
        response: &'a mut Response<Body>,
    ) -> Result<&'a mut Response<Body>, HubError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let code = header(response.headers(), "x-error-code")
            .unwrap_or_default()
            .to_owned();
        let detail = header(response.headers(), "x-error-message").unwrap_or_default();
        let (id, has_token) = (self.id.clone(), self.token.is_some());
        Err(match (status.as_u16(), code.as_str()) {
            (_, "RevisionNotFound") => HubError::NoRevision {
                id,
                revision: self.revision.clone(),
            },
            (401 | 403, "GatedRepo") if !has_token => HubError::NoToken(id),
            // To those without access, the hub does not tell a private model from a missing one.
            (404, _) | (401, "RepoNotFound") => HubError::NotFound(id),
            (401, code) if has_token && code != "GatedRepo" => HubError::BadToken,
            (401, _) if !has_token => HubError::NoToken(id),
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
