//! Models from the Hugging Face hub, in the cache that its other clients share.
//!
//! The layout is that of `huggingface_hub`: `models--ORG--NAME/blobs/ETAG`, `snapshots/COMMIT/FILE` (a link to a blob) and
//! `refs/REVISION`. In contrast to the other clients in Rust, an interrupted download is resumed, every file is checked
//! against the hub's own hash, and no file gets its final name before that.

mod cache;
mod client;
mod disk;
mod environment;
mod error;
mod fetch;
mod hash;
mod import;
mod partial;
mod redirect;
mod retry;
mod source_tree;

use super::catalog;

pub use cache::{HubCache, Snapshot};
pub use environment::is_offline_by_environment;
use error::Token;
pub use error::{HubError, TokenSource};
pub use fetch::{PullOptions, PullProgress, pull};
pub use import::import;

/// The revision that is used if none is given.
pub const MAIN: &str = "main";

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
