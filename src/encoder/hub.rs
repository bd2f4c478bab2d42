//! Models from the Hugging Face hub, in the cache that its other clients share.
//!
//! The layout is `huggingface_hub`'s: `models--ORG--NAME/blobs/ETAG`, `snapshots/COMMIT/FILE` (a link to a blob) and
//! `refs/REVISION`. What is missing from other clients of this language is done here: a broken download goes on where it
//! ended, every file is checked against the hub's own hash, and nothing gets its final name before that.

mod cache;
mod client;
mod fetch;
mod hash;

use std::path::PathBuf;

pub use cache::{Cache, Snapshot, offline_by_environment};
pub use fetch::{Pull, Step, pull};

/// The revision that is meant when none is given.
pub const MAIN: &str = "main";

/// Why a model cannot be had. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The network must not be used.
    #[error(
        "`{0}` would have to be fetched, and --offline or HF_HUB_OFFLINE forbids that; pull it on a machine with a network, and copy the cache"
    )]
    Offline(String),
    /// No id has this form.
    #[error(
        "`{0}` is not a model id; ids look like `microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224`, see `medivision-tui models list`"
    )]
    NoId(String),
    /// Gated, and nobody asks.
    #[error(
        "`{0}` is gated: accept its terms at https://huggingface.co/{0}, make a token that may read at https://huggingface.co/settings/tokens, and set HF_TOKEN to it (or log in with `hf auth login`)"
    )]
    NoToken(String),
    /// Gated, and whoever asks may not.
    #[error(
        "the token in use may not read `{0}`: accept its terms at https://huggingface.co/{0} with the token's account, or use another token"
    )]
    NotAllowed(String),
    /// The token is not one.
    #[error(
        "the hub does not know the token in use; make a new one at https://huggingface.co/settings/tokens, or unset HF_TOKEN"
    )]
    BadToken,
    /// There is no such model, or it is private.
    #[error(
        "the hub has no model `{0}` (or it is private, and the token in use may not see it); look at the spelling"
    )]
    NotFound(String),
    /// There is no such branch, tag or commit.
    #[error(
        "`{id}` has no revision `{revision}`; leave out --revision, or look at https://huggingface.co/{id}/tree/main"
    )]
    NoRevision {
        /// The model.
        id: String,
        /// What was asked for.
        revision: String,
    },
    /// The repository's layout is unknown.
    #[error("`{id}` cannot be used: {reason}")]
    Layout {
        /// The model.
        id: String,
        /// What is missing.
        reason: String,
    },
    /// The disk is too small.
    #[error("{} needs {} more, and {} are free; free some, or set HF_HOME to a folder on a larger disk", folder.display(), bytes(*need), bytes(*free))]
    NoSpace {
        /// Where it should go.
        folder: PathBuf,
        /// Bytes still to come.
        need: u64,
        /// Bytes free.
        free: u64,
    },
    /// The connection broke again and again.
    #[error("the download of {file} broke off: {reason}; try again, it goes on where it ended")]
    Broken {
        /// The file.
        file: String,
        /// The last reason.
        reason: String,
    },
    /// What came is not what the hub says it is.
    #[error(
        "{file} arrived damaged (its checksum is {found}, the hub's is {expected}) and was removed; try again"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Hash of what came.
        found: String,
        /// The hub's.
        expected: String,
    },
    /// The hub cannot be reached.
    #[error(
        "{url} cannot be reached: {reason}; look at the network and the proxy (HTTPS_PROXY), or use a mirror (HF_ENDPOINT)"
    )]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The hub answers something else.
    #[error("{url} answered {status}{}", if detail.is_empty() { String::new() } else { format!(": {detail}") })]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// What it says.
        detail: String,
    },
    /// An answer that no hub gives.
    #[error("{url} gave an answer that is not understood: {reason}")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A file of the cache cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The user has enough.
    #[error("interrupted; try again, it goes on where it ended")]
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

/// `ORG/NAME` of letters, digits and `-._`.
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

/// A branch, tag or commit; `refs/pr/1` is one too.
fn is_revision(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['/', '-', '.'])
        && !text.contains("..")
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c))
}

/// A number of bytes for people.
pub fn bytes(count: u64) -> String {
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
    fn ids_are_told_from_paths() {
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
    fn sizes_are_readable() {
        assert_eq!(bytes(12), "12 bytes");
        assert_eq!(bytes(784_000_000), "784 MB");
        assert_eq!(bytes(3_513_000_000), "3.5 GB");
    }
}
