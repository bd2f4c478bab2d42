//! Models from the Hugging Face hub, in the cache that its other clients share.
//!
//! The layout is that of `huggingface_hub`: `models--ORG--NAME/blobs/ETAG`, `snapshots/COMMIT/FILE` (a link to a blob) and
//! `refs/REVISION`. In contrast to the other clients in Rust, an interrupted download is resumed, every file is checked
//! against the hub's own hash, and no file gets its final name before that.

mod cache;
mod client;
mod fetch;
mod hash;
mod import;
mod redirect;
mod retry;
mod source_tree;

use std::fmt;
use std::path::PathBuf;

use super::catalog;

pub use cache::{HubCache, Snapshot, is_offline_by_environment};
pub use fetch::{PullOptions, PullProgress, pull};
pub use import::import;

/// The revision that is used if none is given.
pub const MAIN: &str = "main";

/// The user's token.
#[derive(Clone)]
struct Token {
    text: String,
    source: TokenSource,
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
    fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}

/// Whether a text has the form of a model id: `ORG/NAME`, each of ASCII letters, digits and `-._`.
pub fn is_id(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.contains("--")
            && !part.contains("..")
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    text.split_once('/')
        .is_some_and(|(org, name)| part(org) && part(name))
}

/// How the address of a model's page begins, and how open_clip's users write its id.
const ADDRESSES: [&str; 6] = [
    "hf-hub:",
    "hf://",
    "https://huggingface.co/",
    "http://huggingface.co/",
    "https://hf.co/",
    "huggingface.co/",
];

/// Splits `ID` or `ID@REVISION`. The id may also be a short name of the catalogue, and is then replaced by what that means, or the
/// address of the model's page, perhaps with `/tree/REVISION`.
pub fn split_revision(text: &str) -> (&str, Option<&str>) {
    let address = ADDRESSES.iter().find_map(|start| text.strip_prefix(start));
    let address = address.map(|rest| rest.split(['?', '#']).next().unwrap_or(rest));
    let plain = address.map_or(text, |rest| rest.trim_end_matches('/'));
    let page = address.and_then(|_| plain.split_once("/tree/"));
    match page.or_else(|| plain.split_once('@')) {
        Some((id, revision)) => (catalog::id_of(id), Some(revision)),
        None => (catalog::id_of(plain), None),
    }
}

/// Whether a text may be a branch, tag or commit, or a reference such as `refs/pr/1`.
fn is_revision(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['/', '-', '.'])
        && !text.contains("..")
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c))
}

/// Formats a number of bytes for people, in decimal units.
pub fn format_bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} bytes"),
        1_000..1_000_000 => format!("{:.0} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_ids_are_told_from_paths() {
        for id in ["microsoft/BiomedCLIP-PubMedBERT_256", "vinid/plip", "a/b.c"] {
            assert!(is_id(id), "{id}");
        }
        for text in [
            "demo", "./a/b", "/a/b", "a/b/c", "a/", "a/..", "../a", "a b/c", "~/m", "a--b/c",
        ] {
            assert!(!is_id(text), "{text}");
        }
        assert!(
            is_revision("main")
                && is_revision("refs/pr/3")
                && !is_revision("../x")
                && !is_revision("")
        );
    }

    #[test]
    fn an_id_may_be_followed_by_a_revision() {
        let id = "vinid/plip";
        for (text, revision) in [
            ("vinid/plip", None),
            ("plip", None),
            ("plip@v1", Some("v1")),
            ("vinid/plip@refs/pr/1", Some("refs/pr/1")),
            ("hf-hub:vinid/plip", None),
            ("hf-hub:vinid/plip@v1", Some("v1")),
            ("https://huggingface.co/vinid/plip", None),
            ("https://huggingface.co/vinid/plip/", None),
            ("https://huggingface.co/vinid/plip?library=open_clip", None),
            ("https://huggingface.co/vinid/plip/tree/v1", Some("v1")),
            ("huggingface.co/vinid/plip", None),
        ] {
            assert_eq!(split_revision(text), (id, revision), "{text}");
        }
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(format_bytes(12), "12 bytes");
        assert_eq!(format_bytes(784_000_000), "784 MB");
        assert_eq!(format_bytes(3_513_000_000), "3.5 GB");
    }
}
