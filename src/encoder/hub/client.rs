//! The hub's HTTP protocol.

use std::cell::Cell;
use std::io::Read;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::Response;
use ureq::{Agent, Body};
use url::Url;

use super::hash::Etag;
use super::redirect::redirect_target;
use super::{HubCache, HubError, Token, TokenSource};
use crate::encoder::NOTICE;
use crate::http::{self, ProxyUse, RequestTimeouts, header, rate_limit_reset, retry_after};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// Limits connecting, and also the wait for a response's headers.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Limits each read of a body, after which the download is resumed. The body as a whole has no limit: where `Range` is ignored, a
/// slow one that is cut could never be completed.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Overrides [`READ_TIMEOUT`], in seconds, as it does for `huggingface_hub`.
const READ_TIMEOUT_VARIABLE: &str = "HF_HUB_DOWNLOAD_TIMEOUT";
/// Added to the time until a used-up quota is filled again, which the hub rounds down.
const RATE_LIMIT_MARGIN: Duration = Duration::from_secs(1);
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
    fn add(&mut self, response: &Response<Body>, file: &str) {
        let own = |name| header(response.headers(), name);
        let last = |name| own(name).filter(|_| response.status().is_success());
        let etag = || own("x-linked-etag").or_else(|| last("etag"));
        let size = || own("x-linked-size").or_else(|| last("content-length"));
        self.etag = self.etag.take().or_else(|| Etag::of_header(etag()?, file));
        self.size = self.size.or_else(|| size()?.parse().ok());
    }
}

/// A client for one model at one revision.
pub(super) struct HubClient {
    agent: Agent,
    endpoint: Url,
    token: Option<Token>,
    /// Whether the hub has rejected the token, which is then not sent any more.
    is_rejected: Cell<bool>,
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
        let own = std::env::var(READ_TIMEOUT_VARIABLE).ok();
        Ok(Self {
            agent: http::agent(timeouts(own.as_deref()), ProxyUse::Environment),
            endpoint: url,
            token: cache.token(),
            is_rejected: Cell::new(false),
            id: id.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// The host of the endpoint, if it is not the hub's own.
    pub(super) fn mirror(&self) -> Option<&str> {
        let hub = Url::parse(DEFAULT_ENDPOINT).ok()?;
        self.endpoint
            .host_str()
            .filter(|&host| Some(host) != hub.host_str())
    }

    /// The commit of the revision, and its files. A hub that cannot be reached at all is a permanent error: this is the first
    /// request. A stored token that the hub rejects, such as that of a log-in that has ended, keeps nobody from public models: it is left out then.
    pub(super) fn info(&self) -> Result<RepositoryInfo, RequestError> {
        let source = match self.requested_info() {
            Err(RequestError::Permanent(HubError::BadToken(source @ TokenSource::File(_)))) => {
                source
            }
            other => return other,
        };
        self.is_rejected.set(true);
        let found = self.requested_info();
        match found {
            Ok(_) => tracing::warn!(
                target: NOTICE,
                "the hub does not accept the token in {source}, so it is not used; `hf auth login` renews it"
            ),
            Err(RequestError::Permanent(HubError::NotFound(_) | HubError::NoToken(_))) => {
                return Err(HubError::BadToken(source).into());
            }
            Err(_) => {}
        }
        found
    }

    fn requested_info(&self) -> Result<RepositoryInfo, RequestError> {
        let id = self.id.split('/');
        let parts = ["api", "models"].into_iter().chain(id);
        let url = self.url(parts.chain(["revision", &self.revision]));
        let sent = self.send(url.clone(), None);
        let (mut response, last) = sent.map_err(RequestError::Permanent)?;
        let response = self.check_status(&last, &mut response)?;
        let mut text = String::new();
        let mut body = response.body_mut().as_reader().take(MAX_INFO_BYTES);
        let fault = |reason: String| HubError::Response {
            url: url.to_string(),
            reason,
        };
        body.read_to_string(&mut text)
            .map_err(|e| unreachable(&url, e.to_string()))?;
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
            facts.add(&response, name);
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
        let (mut response, last) = self.send(url.clone(), range)?;
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
            _ => match self.check_status(&last, &mut response) {
                Ok(response) => Err(temporary(&url, response)),
                Err(error) => Err(error),
            },
        }
    }

    /// Sends a GET request and follows redirects to any host; also returns the URL of the last response.
    fn send(&self, url: Url, from: Option<u64>) -> Result<(Response<Body>, Url), HubError> {
        let mut current = url.clone();
        for _ in 0..MAX_REDIRECTS {
            let response = self.request(&current, false, from)?;
            match redirect_target(&current, &response)? {
                Some(next) => current = next,
                None => return Ok((response, current)),
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
        if let Some(token) = self.token_for(url) {
            request = request.header("Authorization", format!("Bearer {}", token.text));
        }
        if let Some(from) = from {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let response = request.header("Accept-Encoding", "identity").call();
        response.map_err(|error| unreachable(url, error.to_string()))
    }

    fn is_hub(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }

    /// The token that is in use, if any.
    fn token_in_use(&self) -> Option<&Token> {
        self.token.as_ref().filter(|_| !self.is_rejected.get())
    }

    /// The token that a request to this URL carries: no other host than the endpoint's gets it.
    fn token_for(&self, url: &Url) -> Option<&Token> {
        self.token_in_use().filter(|_| self.is_hub(url))
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
        Err(self.refusal(url, response).into())
    }

    /// What an error status means that will not pass. Only the hub names a code or a message; without either, a proxy may have answered
    /// in its place.
    fn refusal(&self, url: &Url, response: &Response<Body>) -> HubError {
        let own = |name| header(response.headers(), name).unwrap_or_default();
        let (code, detail) = (
            own("x-error-code"),
            crate::media::clean(own("x-error-message")),
        );
        let (id, token) = (self.id.clone(), self.token_for(url));
        let is_hubs = self.is_hub(url) || !code.is_empty() || !detail.is_empty();
        match (response.status().as_u16(), code) {
            (_, "RevisionNotFound") => HubError::NoRevision {
                id,
                revision: self.revision.clone(),
            },
            (401 | 403, "GatedRepo") if self.token_in_use().is_none() => HubError::NoToken(id),
            (401 | 403, "GatedRepo") => HubError::NotAllowed { id, detail },
            (401, "RepoNotFound") => HubError::NotFound(id),
            // Where it gets no token, the hub does not tell a private model from a missing one, and names no code.
            (401, _) => match token {
                Some(token) => HubError::BadToken(token.source.clone()),
                None if is_hubs => HubError::NotFound(id),
                None => refused(url, response),
            },
            (403, _) if token.is_some() && !(code.is_empty() && detail.is_empty()) => {
                HubError::NotAllowed { id, detail }
            }
            (403, "") if detail.is_empty() => refused(url, response),
            (404, _) if is_hubs => HubError::NotFound(id),
            (status, _) => HubError::Status {
                url: url.to_string(),
                status,
                detail,
            },
        }
    }
}

/// The time limits of requests; `read` is the user's number of seconds for each read.
fn timeouts(read: Option<&str>) -> RequestTimeouts {
    let seconds = read.and_then(|text| text.trim().parse().ok());
    let own = seconds.filter(|&seconds| seconds > 0);
    RequestTimeouts {
        resolve: RESPONSE_TIMEOUT,
        connect: RESPONSE_TIMEOUT,
        response: RESPONSE_TIMEOUT,
        read: Some(own.map_or(READ_TIMEOUT, Duration::from_secs)),
        body: None,
    }
}

fn refused(url: &Url, response: &Response<Body>) -> HubError {
    HubError::Refused {
        host: url.host_str().unwrap_or_default().to_owned(),
        status: response.status().as_u16(),
    }
}

/// Why a request got no response.
fn unreachable(url: &Url, reason: String) -> HubError {
    let url = url.to_string();
    // So rustls says it, behind ureq's own words.
    if reason.contains("invalid peer certificate") {
        return HubError::Certificate { url, reason };
    }
    HubError::Unreachable { url, reason }
}

/// Whether a text is HTML, as networks answer that want a log-in first.
fn is_web_page(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

fn temporary(url: &Url, response: &Response<Body>) -> RequestError {
    let own = |name| header(response.headers(), name);
    let quota = own("ratelimit").filter(|_| response.status().as_u16() == 429);
    let reset = quota.and_then(rate_limit_reset);
    let reset = reset.map(|time| time.saturating_add(RATE_LIMIT_MARGIN));
    RequestError::Temporary {
        url: url.to_string(),
        reason: format!("the hub answered with status {}", response.status()),
        retry_after: reset.or_else(|| own("retry-after").and_then(retry_after)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_is_limited_and_not_the_length_of_a_download() {
        for (own, seconds) in [
            (None, 60),
            (Some("10"), 10),
            (Some("0"), 60),
            (Some("x"), 60),
        ] {
            let limits = timeouts(own);
            assert_eq!(limits.read, Some(Duration::from_secs(seconds)), "{own:?}");
            assert_eq!(limits.body, None);
        }
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_from_a_hub_out_of_reach() {
        let url = Url::parse("https://huggingface.co/a").unwrap();
        let said = |reason: &str| unreachable(&url, reason.to_owned()).to_string();
        let inspected = said("io: invalid peer certificate: UnknownIssuer");
        assert!(inspected.contains("SSL_CERT_FILE") && inspected.contains("UnknownIssuer"));
        assert!(!said("io: Connection refused").contains("SSL_CERT_FILE"));
    }
}
