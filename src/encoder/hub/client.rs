//! The hub's HTTP protocol.

use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::Response;
use ureq::{Agent, Body};
use url::Url;

use super::hash::Etag;
use super::redirect::redirect_target;
use super::{HubCache, HubError};
use crate::http::{self, ProxyUse, RequestTimeouts, header, retry_after};

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

/// Why a request failed.
pub(super) enum RequestError {
    /// It may succeed later.
    Temporary {
        /// The URL and what happened.
        url: String,
        reason: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// It will not.
    Permanent(HubError),
}

impl From<HubError> for RequestError {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Unreachable { url, reason } => Self::Temporary {
                url,
                reason,
                retry_after: None,
            },
            other => Self::Permanent(other),
        }
    }
}

/// What the responses to a chain of HEAD requests say of a file.
#[derive(Default)]
struct FileFacts {
    etag: Option<Etag>,
    size: Option<u64>,
}

impl FileFacts {
    /// Adds what a response says. A redirect names the file's hash and size in the hub's own headers; its `ETag` and
    /// `Content-Length` describe the redirect itself.
    fn add(&mut self, response: &Response<Body>) {
        let own = |name| header(response.headers(), name);
        let last = |name| own(name).filter(|_| response.status().is_success());
        let etag = || own("x-linked-etag").or_else(|| last("etag"));
        let size = || own("x-linked-size").or_else(|| last("content-length"));
        self.etag = self.etag.take().or_else(|| Etag::parse(etag()?));
        self.size = self.size.or_else(|| size()?.parse().ok());
    }
}

/// A client for one model at one revision.
pub(super) struct HubClient {
    agent: Agent,
    endpoint: Url,
    token: Option<String>,
    id: String,
    revision: String,
}

impl HubClient {
    /// The only place that creates a client of the hub: code that must stay offline does not call it.
    pub(super) fn new(cache: &HubCache, id: &str, revision: &str) -> Result<Self, HubError> {
        let endpoint = std::env::var("HF_ENDPOINT")
            .ok()
            .filter(|url| !url.is_empty())
            .unwrap_or_else(|| DEFAULT_ENDPOINT.into());
        let fault = |reason: String| HubError::Endpoint {
            endpoint: endpoint.clone(),
            reason,
        };
        let url = Url::parse(&endpoint).map_err(|e| fault(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(fault("neither http nor https".into()));
        }
        let timeouts = RequestTimeouts {
            resolve: RESPONSE_TIMEOUT,
            connect: RESPONSE_TIMEOUT,
            response: RESPONSE_TIMEOUT,
            body: BODY_TIMEOUT,
        };
        Ok(Self {
            agent: http::agent(timeouts, ProxyUse::Environment),
            endpoint: url,
            token: cache.token(),
            id: id.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// The commit of the revision, and its files. A hub that cannot be reached at all is a permanent error: this is the first
    /// request.
    pub(super) fn info(&self) -> Result<RepositoryInfo, RequestError> {
        let id = self.id.split('/');
        let parts = ["api", "models"].into_iter().chain(id);
        let url = self.url(parts.chain(["revision", &self.revision]));
        let mut response = self
            .send(url.clone(), None)
            .map_err(RequestError::Permanent)?;
        let response = self.check_status(&url, &mut response)?;
        let mut text = String::new();
        let mut body = response.body_mut().as_reader().take(MAX_INFO_BYTES);
        let fault = |reason: String| HubError::Response {
            url: url.to_string(),
            reason,
        };
        body.read_to_string(&mut text)
            .map_err(|e| fault(e.to_string()))?;
        if is_web_page(&text) {
            let reason = "it is a web page, not a hub's answer; log in to the network or the proxy that sends it, then try again";
            return Err(fault(reason.to_owned()).into());
        }
        let info: RepositoryInfo = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
        let is_commit = info.sha.len() == 40 && info.sha.bytes().all(|b| b.is_ascii_hexdigit());
        let named = is_commit.then_some(info);
        Ok(named.ok_or_else(|| fault("it names no commit".into()))?)
    }

    /// The URL of these path segments below the endpoint, which may have a path of its own.
    fn url<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.endpoint.clone();
        // Only a URL that cannot be a base has no segments; http and https always can.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn file_url(&self, commit: &str, name: &str) -> Url {
        let id = self.id.split('/');
        self.url(id.chain(["resolve", commit, name]))
    }

    /// The hash and size of a file. The hub names both when it redirects to its storage, which is then not asked; a mirror may
    /// redirect to the hub without naming them, which is followed.
    pub(super) fn head(&self, commit: &str, name: &str) -> Result<RemoteFile, RequestError> {
        let url = self.file_url(commit, name);
        let (mut current, mut facts) = (url.clone(), FileFacts::default());
        for _ in 0..MAX_REDIRECTS {
            let mut response = self.request(&current, true, None)?;
            facts.add(&response);
            if let (Some(etag), Some(size)) = (&facts.etag, facts.size) {
                return Ok(RemoteFile {
                    name: name.to_owned(),
                    etag: etag.clone(),
                    size,
                });
            }
            if let Some(next) = redirect_target(&current, &response)? {
                current = next;
                continue;
            }
            self.check_status(&current, &mut response)?;
            let what = facts
                .etag
                .map_or("it names no checksum", |_| "it names no size");
            return Err(RequestError::Permanent(HubError::Response {
                url: current.to_string(),
                reason: what.to_owned(),
            }));
        }
        Err(too_many_redirects(&url).into())
    }

    /// Requests a file's bytes from offset `from` on; true if the body starts there, false if it starts at 0.
    pub(super) fn get(
        &self,
        commit: &str,
        file: &RemoteFile,
        from: u64,
    ) -> Result<(Response<Body>, bool), RequestError> {
        let url = self.file_url(commit, &file.name);
        let range = Some(from).filter(|&from| from > 0);
        let mut response = self.send(url.clone(), range)?;
        let status = response.status();
        match status.as_u16() {
            206 if from > 0 => {
                check_range(&response, file, from).map_err(|reason| fault(&url, reason))?;
                Ok((response, true))
            }
            200 => {
                check_length(&response, file).map_err(|reason| fault(&url, reason))?;
                Ok((response, false))
            }
            // Range not satisfiable: the partial file does not belong to this file. Without a range, 416 makes no sense.
            416 if from > 0 => self.get(commit, file, 0),
            206 | 416 => Err(temporary(&url, &response)),
            _ => match self.check_status(&url, &mut response) {
                Ok(response) => Err(temporary(&url, response)),
                Err(error) => Err(error),
            },
        }
    }

    /// Sends a GET request and follows redirects to any host.
    fn send(&self, url: Url, from: Option<u64>) -> Result<Response<Body>, HubError> {
        let mut current = url.clone();
        for _ in 0..MAX_REDIRECTS {
            let response = self.request(&current, false, from)?;
            match redirect_target(&current, &response)? {
                Some(next) => current = next,
                None => return Ok(response),
            }
        }
        Err(too_many_redirects(&url))
    }

    /// Sends one request. The token is sent to the endpoint's host only.
    fn request(
        &self,
        url: &Url,
        is_head: bool,
        from: Option<u64>,
    ) -> Result<Response<Body>, HubError> {
        let mut request = if is_head {
            self.agent.head(url.as_str())
        } else {
            self.agent.get(url.as_str())
        };
        let is_hub = url.origin() == self.endpoint.origin();
        if let Some(token) = self.token.as_ref().filter(|_| is_hub) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(from) = from {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.header("Accept-Encoding", "identity").call();
        response.map_err(|error| HubError::Unreachable {
            url: url.to_string(),
            reason: error.to_string(),
        })
    }

    /// Returns a successful response, and turns any other into an error.
    fn check_status<'a>(
        &self,
        url: &Url,
        response: &'a mut Response<Body>,
    ) -> Result<&'a mut Response<Body>, RequestError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if matches!(status.as_u16(), 408 | 429 | 500..) {
            return Err(temporary(url, response));
        }
        let code = header(response.headers(), "x-error-code")
            .unwrap_or_default()
            .to_owned();
        let detail = header(response.headers(), "x-error-message").unwrap_or_default();
        let (id, has_token) = (self.id.clone(), self.token.is_some());
        Err(RequestError::Permanent(
            match (status.as_u16(), code.as_str()) {
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
                    url: url.to_string(),
                    status,
                    detail: crate::media::clean(detail),
                },
            },
        ))
    }
}

/// Whether a text is HTML, as networks answer that want a log-in first.
fn is_web_page(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

fn temporary(url: &Url, response: &Response<Body>) -> RequestError {
    RequestError::Temporary {
        url: url.to_string(),
        reason: format!("the hub answered with status {}", response.status()),
        retry_after: header(response.headers(), "retry-after").and_then(retry_after),
    }
}

fn fault(url: &Url, reason: String) -> HubError {
    HubError::Response {
        url: url.to_string(),
        reason,
    }
}

fn too_many_redirects(url: &Url) -> HubError {
    fault(url, format!("more than {MAX_REDIRECTS} redirects"))
}

/// Refuses a body of another length than the hub announced: a proxy's error page, for one.
fn check_length(response: &Response<Body>, file: &RemoteFile) -> Result<(), String> {
    let length = header(response.headers(), "content-length").and_then(|n| n.parse().ok());
    match length {
        Some(length) if length != file.size => Err(other_size(file, length)),
        _ => Ok(()),
    }
}

/// Refuses a part that starts elsewhere than requested, or is part of a file of another length than the hub announced.
fn check_range(response: &Response<Body>, file: &RemoteFile, from: u64) -> Result<(), String> {
    let Some(range) = header(response.headers(), "content-range") else {
        return Ok(());
    };
    let parts = range
        .strip_prefix("bytes ")
        .and_then(|range| range.split_once('/'));
    let start = parts.and_then(|(part, _)| part.split_once('-')?.0.parse::<u64>().ok());
    if start != Some(from) {
        return Err(format!(
            "it sent `{range}` instead of the bytes from {from} on"
        ));
    }
    match parts.and_then(|(_, total)| total.parse::<u64>().ok()) {
        Some(total) if total != file.size => Err(other_size(file, total)),
        _ => Ok(()),
    }
}

fn other_size(file: &RemoteFile, found: u64) -> String {
    let (name, size) = (&file.name, file.size);
    format!(
        "{name} has {found} bytes there, but {size} according to the hub; a proxy or mirror may have sent something else"
    )
}
