//! Files that Git's large-file storage leaves in place of others.

use std::path::Path;

/// How a file begins that stands for another in Git's large-file storage.
const POINTER_START: &[u8] = b"version https://git-lfs.github.com/spec/v1";
/// Maximum size of such a file (its specification).
pub(super) const MAX_POINTER_BYTES: u64 = 1024;
/// What to say of one.
pub(super) const IS_POINTER: &str = "is a Git LFS pointer and not the file itself; fetch that with `git lfs pull`, or download it from the model's page";

/// Whether a file's content is a pointer of Git's large-file storage.
pub(super) fn is_pointer(content: &[u8]) -> bool {
    content.starts_with(POINTER_START)
}

/// Whether a file is there, and not only a pointer to it.
pub(super) fn is_present(path: &Path) -> bool {
    let Ok(data) = path.metadata() else {
        return false;
    };
    let is_small = data.len() <= MAX_POINTER_BYTES;
    data.is_file() && !(is_small && std::fs::read(path).is_ok_and(|content| is_pointer(&content)))
}
