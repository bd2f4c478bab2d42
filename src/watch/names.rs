//! Names of files: which are hidden or temporary, and how they appear in messages.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Suffixes that browsers, transfer programs and editors give to incomplete files.
const TEMPORARY_SUFFIXES: [&str; 9] = [
    ".part",
    ".partial",
    ".tmp",
    ".temp",
    ".crdownload",
    ".download",
    ".filepart",
    ".swp",
    "~",
];

/// Whether a file or folder below `root` is ignored under this name: it is hidden, in a hidden folder, or temporary.
pub(super) fn is_ignored(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let hidden = inside
        .components()
        .any(|part| matches!(part, Component::Normal(name) if is_hidden(name)));
    hidden || inside.file_name().is_some_and(is_ignored_name)
}

/// The same for a name in a folder that is not ignored.
pub(super) fn is_ignored_name(name: &OsStr) -> bool {
    is_hidden(name) || is_temporary(name.as_bytes())
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

fn is_temporary(name: &[u8]) -> bool {
    TEMPORARY_SUFFIXES.iter().any(|suffix| {
        let suffix = suffix.as_bytes();
        name.len() >= suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
    })
}

/// A path as text for a message, with control characters replaced.
pub(super) fn display(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "\u{fffd}")
}

/// The system's message for an error, in lower case and without its number.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let plain = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = plain.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_incomplete_files_are_ignored() {
        let ignored =
            |name: &str| is_ignored(Path::new("/in/.cache"), &Path::new("/in/.cache").join(name));
        for name in [
            "a.dcm.part",
            "A.TMP",
            "x.crdownload",
            "a.png~",
            ".a.png.Xy12",
            ".git/a.png",
            "sub/.a/b.png",
        ] {
            assert!(ignored(name), "{name}");
        }
        for name in [
            "a.png",
            "part",
            "sub/a.dcm",
            "a.part.dcm",
            "1.2.840.113619",
            "a.partition",
        ] {
            assert!(!ignored(name), "{name}");
        }
    }
}
