//! Names: which of them are only for the time being, and how they are shown.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// What browsers, transfer programs and editors append to names of files that are not complete.
const TEMPORARY: [&str; 9] = [
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

/// Whether a file or folder is of no interest under this name, seen from `root`: hidden, in a hidden folder, or
/// awaiting its final name.
pub(super) fn is_passing(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let hidden = inside
        .components()
        .any(|part| matches!(part, Component::Normal(name) if name.as_bytes().starts_with(b".")));
    hidden
        || inside
            .file_name()
            .is_some_and(|name| is_temporary(name.as_bytes()))
}

fn is_temporary(name: &[u8]) -> bool {
    TEMPORARY.iter().any(|ending| {
        let ending = ending.as_bytes();
        name.len() >= ending.len() && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
    })
}

/// A path for a message: without control characters.
pub(super) fn shown(path: &Path) -> String {
    path.to_string_lossy().replace(char::is_control, "\u{fffd}")
}

/// The system's word on an error, without its number.
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
    fn names_of_unfinished_files_are_known() {
        let passing =
            |name: &str| is_passing(Path::new("/in/.cache"), &Path::new("/in/.cache").join(name));
        for name in [
            "a.dcm.part",
            "A.TMP",
            "x.crdownload",
            "a.png~",
            ".a.png.Xy12",
            ".git/a.png",
            "sub/.a/b.png",
        ] {
            assert!(passing(name), "{name}");
        }
        for name in [
            "a.png",
            "part",
            "sub/a.dcm",
            "a.part.dcm",
            "1.2.840.113619",
            "a.partition",
        ] {
            assert!(!passing(name), "{name}");
        }
    }
}
