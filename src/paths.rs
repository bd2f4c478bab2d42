//! Paths as keys of a folder tree: what lies below a folder, and how a rename changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

/// The absolute form of a path, by which files are known: without `.` and `..`, and without a slash at its end. Links keep their
/// names, save one that `..` leads out of: that is the folder above its target.
///
/// # Errors
///
/// Fails for an empty path, or if the current folder is needed and gone.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        if component == Component::ParentDir {
            if plain.is_symlink() {
                plain = plain.canonicalize()?;
            }
            plain.pop();
        } else {
            plain.push(component);
        }
    }
    Ok(plain)
}

/// Maximum number of links that lead to a file, as in Linux.
const MAX_LINKS: usize = 40;

/// The file that a path leads to: links in its last component are followed, also if what the last one names does not exist.
pub fn link_target(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(next) = target.read_link() else {
            return target;
        };
        target = target.parent().unwrap_or(Path::new("/")).join(next);
    }
    path.to_owned()
}

/// The keys of `map` that are `path` or lie below it, in order.
pub fn keys_below<'a, V>(
    map: &'a BTreeMap<PathBuf, V>,
    path: &'a Path,
) -> impl Iterator<Item = &'a PathBuf> {
    let range = map.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    range
        .map(|(key, _)| key)
        .take_while(move |key| key.starts_with(path))
}

/// The members of `set` that are `path` or lie below it, in order.
pub fn members_below<'a>(
    set: &'a BTreeSet<PathBuf>,
    path: &'a Path,
) -> impl Iterator<Item = &'a PathBuf> {
    let range = set.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    range.take_while(move |member| member.starts_with(path))
}

/// The new name of `path` after `from` was renamed to `to`; `None` if it is neither `from` nor below it.
pub fn renamed(path: &Path, from: &Path, to: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(from).ok()?;
    // Joining nothing would append a slash.
    Some(if rest.as_os_str().is_empty() {
        to.to_owned()
    } else {
        to.join(rest)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_has_one_absolute_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("far/in")).unwrap();
        symlink(root.join("far/in"), root.join("link")).unwrap();
        for (given, expected) in [
            ("far/in/a.png", "far/in/a.png"),
            ("far/in/", "far/in"),
            ("far//in/./", "far/in"),
            ("other/../far/in", "far/in"),
            ("link/a.png", "link/a.png"),
            ("link/../b", "far/b"),
        ] {
            let found = absolute(&root.join(given)).unwrap();
            assert_eq!(
                found.as_os_str(),
                root.join(expected).as_os_str(),
                "{given}"
            );
        }
        assert_eq!(absolute(Path::new("/../..")).unwrap(), Path::new("/"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute(Path::new("x/..")).unwrap(), here);
    }

    #[test]
    fn links_are_followed_to_a_file_that_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        symlink("second", at("first")).unwrap();
        symlink(at("new"), at("second")).unwrap();
        symlink("round", at("round")).unwrap();
        assert_eq!(link_target(&at("first")), at("new"));
        assert_eq!(link_target(&at("new")), at("new"));
        assert_eq!(link_target(&at("round")), at("round"));
    }

    #[test]
    fn only_the_path_itself_and_what_lies_below_it_is_found() {
        let paths = ["in", "in-between", "in/a", "in/a/b", "in/ab", "out"].map(PathBuf::from);
        let set = BTreeSet::from(paths.clone());
        let map: BTreeMap<_, _> = paths.map(|path| (path, 0)).into();
        for (path, expected) in [
            ("in", &["in", "in/a", "in/a/b", "in/ab"][..]),
            ("in/a", &["in/a", "in/a/b"]),
            ("in/c", &[]),
        ] {
            let expected: Vec<&Path> = expected.iter().map(Path::new).collect();
            assert!(keys_below(&map, Path::new(path)).eq(&expected), "{path}");
            assert!(members_below(&set, Path::new(path)).eq(&expected), "{path}");
        }
    }

    #[test]
    fn a_rename_changes_the_folder_and_what_lies_below_it() {
        let renamed = |path: &str| renamed(Path::new(path), Path::new("p"), Path::new("q/r"));
        assert_eq!(renamed("p"), Some("q/r".into()));
        assert_eq!(renamed("p/x/y"), Some("q/r/x/y".into()));
        assert_eq!(renamed("pp/x"), None);
        let text = renamed("p").map(PathBuf::into_os_string);
        assert_eq!(text, Some("q/r".into()), "without a slash at the end");
    }
}
