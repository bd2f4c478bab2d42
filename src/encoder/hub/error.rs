//! Why a model cannot be downloaded or imported, in sentences that say what to do.

use std::fmt;
use std::path::PathBuf;

use super::format_bytes;

/// The user's token.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) source: TokenSource,
}

/// Where a token is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// This environment variable.
    Variable(&'static str),
    /// The file in which `hf auth login` stores it.
    File(PathBuf),
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl TokenSource {
    /// What to do about a token that the hub rejects.
    fn remedy(&self) -> String {
        match self {
            Self::Variable(name) => format!(
                "create a new one at https://huggingface.co/settings/tokens, or unset {name}"
            ),
            Self::File(_) => {
                "log in again with `hf auth login`, or set HF_TOKEN to a token with read access"
                    .to_owned()
            }
        }
    }
}

/// Why a model cannot be downloaded. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The network must not be used.
    #[error(
        "`{0}` is not in the cache, or not completely, and would have to be downloaded, which --offline or HF_HUB_OFFLINE forbids; pull it on a machine with network access, and copy the cache"
    )]
    Offline(String),
    /// Not a valid model id.
    #[error(
        "`{0}` is not a model id; ids look like `microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224`, see `medivision-tui models list`"
    )]
    InvalidId(String),
    /// The model is gated, and there is no token.
    #[error(
        "`{0}` is gated: accept its terms at https://huggingface.co/{0}, create a token with read access at https://huggingface.co/settings/tokens, and set HF_TOKEN to it (or log in with `hf auth login`)"
    )]
    NoToken(String),
    /// The model is gated, and the token has no access to it.
    #[error(
        "the token in use may not read `{id}`{}; accept its terms at https://huggingface.co/{id} with the token's account, or use another token (a fine-grained one must allow gated repositories)", if detail.is_empty() { String::new() } else { format!(" (the hub says: {detail})") }
    )]
    NotAllowed {
        /// The model.
        id: String,
        /// The hub's error message; may be empty.
        detail: String,
    },
    /// The token is invalid.
    #[error("the hub does not accept the token in {}; {}", .0, .0.remedy())]
    BadToken(TokenSource),
    /// There is no such model, or it is private.
    #[error(
        "the hub has no model `{0}`, or shows it only to those with access; check the spelling, or for a private model use a token that may read it (HF_TOKEN, or `hf auth login`)"
    )]
    NotFound(String),
    /// A host refused a request, and did not answer as the hub does.
    #[error(
        "{host} refused the download (status {status}), perhaps a proxy or web filter in its place; have this host allowed, or bring the model by hand (`models import`)"
    )]
    Refused {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// There is no such branch, tag or commit.
    #[error(
        "`{id}` has no revision `{revision}`; leave out --revision, or see https://huggingface.co/{id}/tree/main"
    )]
    NoRevision {
        /// The model.
        id: String,
        /// The requested revision.
        revision: String,
    },
    /// The repository's files do not have a supported layout.
    #[error("`{id}` cannot be used: {reason}")]
    Layout {
        /// The model.
        id: String,
        /// Which files are missing, or what is wrong with them.
        reason: String,
    },
    /// The disk is full.
    #[error("{} needs {} more space, but only {} are free; free some space, or set HF_HOME to a folder on a larger disk", folder.display(), format_bytes(*need), format_bytes(*free))]
    NoSpace {
        /// The cache's folder.
        folder: PathBuf,
        /// Bytes still to be downloaded.
        need: u64,
        /// Bytes free.
        free: u64,
    },
    /// The connection failed repeatedly.
    #[error("the download of {file} failed: {reason}; try again, it resumes where it stopped")]
    Broken {
        /// The file.
        file: String,
        /// The last reason.
        reason: String,
    },
    /// A downloaded file does not match the hub's hash.
    #[error(
        "{file} arrived damaged (its checksum is {found}, the hub's is {expected}) and was removed; try again{}", mirror.as_ref().map_or_else(String::new, |host| format!(", and if it happens again, use another mirror than {host}, which may name something else than the hub's checksums"))
    )]
    Damaged {
        /// The file.
        file: String,
        /// The hash of the downloaded bytes.
        found: String,
        /// The hash that the hub names.
        expected: String,
        /// The host of the mirror in use, if it is one.
        mirror: Option<String>,
    },
    /// A file to import does not match the hash that its own name is.
    #[error(
        "{file} is damaged: its checksum is {found}, but was {expected}; copy it here again, or pull it again where it came from"
    )]
    Altered {
        /// The file.
        file: String,
        /// The hash of the file's bytes.
        found: String,
        /// The hash that is its name in the cache.
        expected: String,
    },
    /// The hub cannot be reached.
    #[error(
        "{url} cannot be reached: {reason}; check the network and the proxy (HTTPS_PROXY), use a mirror (HF_ENDPOINT), or bring the model by hand (`models import`)"
    )]
    Unreachable {
        /// The requested URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// The certificate of the hub is not one that this machine trusts.
    #[error(
        "{url} cannot be trusted: {reason}; if your organisation inspects connections, install its certificate on this machine, or set SSL_CERT_FILE to a file that contains it"
    )]
    Certificate {
        /// The requested URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// `HF_ENDPOINT` is not a URL.
    #[error(
        "HF_ENDPOINT is `{endpoint}`, which is not an address: {reason}; set it to one like https://huggingface.co, or unset it"
    )]
    Endpoint {
        /// Its value.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// The hub failed, or asked to wait, in every attempt.
    #[error("{url} failed repeatedly: {reason}; try again later")]
    Busy {
        /// The requested URL.
        url: String,
        /// The last reason.
        reason: String,
    },
    /// The hub answered with an error status that none of the above explains.
    #[error("{url} answered with status {status}{}", if detail.is_empty() { String::new() } else { format!(": {detail}") })]
    Status {
        /// The requested URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The hub's error message; may be empty.
        detail: String,
    },
    /// A response that a hub does not give.
    #[error("{url} gave an unexpected response: {reason}")]
    Response {
        /// The requested URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A file of the cache cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The user interrupted the download.
    #[error("interrupted; try again, it resumes where it stopped")]
    Interrupted,
}

impl HubError {
    pub(super) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}
