//! Files named on the command line.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Fault, exit, shown};

/// Whether two paths lead to the same file, also through hard or symbolic links. False if one of them does not exist.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// The error of a file that cannot be written.
pub(super) fn unwritable(path: &Path, error: &io::Error) -> Fault {
    Fault {
        code: exit::SOME_FAILED,
        message: format!("{} cannot be written: {error}", shown(path)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_to_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        fs::write(at("a"), "").unwrap();
        fs::write(at("b"), "").unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        symlink("hard", at("soft")).unwrap();
        assert!(is_same_file(&at("a"), &at("soft")));
        assert!(!is_same_file(&at("a"), &at("b")));
        assert!(!is_same_file(&at("none"), &at("none")));
    }
}
