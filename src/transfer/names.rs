//! Names for files in a folder where theirs may be taken.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Number of names that are tried for a file.
const MAX_NAMES: usize = 100_000;

/// Places a file in a folder under its name or, where that is taken, with the first number that is free: `a.dcm`, `a-1.dcm`.
/// Returns the path and what `place` returned for it.
///
/// # Errors
///
/// Those of `place`, but [`ErrorKind::AlreadyExists`] leads to the next name.
pub fn with_free_name<T>(
    folder: &Path,
    name: &OsStr,
    mut place: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    for number in 0..MAX_NAMES {
        let target = folder.join(numbered(name, number));
        match place(&target) {
            Ok(placed) => return Ok((target, placed)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many files have this name there"))
}

/// A name with a number before its extension; without one for 0. The last part of a UID is no extension.
fn numbered(name: &OsStr, number: usize) -> OsString {
    if number == 0 {
        return name.to_owned();
    }
    let path = Path::new(name);
    let has_letter = |part: &&OsStr| part.as_bytes().iter().any(u8::is_ascii_alphabetic);
    let extension = path.extension().filter(has_letter);
    let stem = extension.and(path.file_stem()).unwrap_or(name);
    let mut numbered = stem.to_owned();
    numbered.push(format!("-{number}"));
    if let Some(extension) = extension {
        numbered.push(".");
        numbered.push(extension);
    }
    numbered
}
