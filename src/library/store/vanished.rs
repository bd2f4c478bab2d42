//! Names of contents that lead to no file any more: a file was renamed or moved to where its content was just seen.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rusqlite::{Connection, params};

use super::writer::path_bytes;
use crate::watch::RemoteMounts;

/// Maximum number of names of a content that are looked at at once.
const MAX_NAMES: i64 = 1000;
/// Maximum number of links on the way to a file, as in Linux.
const MAX_LINKS: usize = 40;

/// A name of a content, and what tells a file that is renamed: its inode and when it was modified.
struct Name {
    path: PathBuf,
    file: (i64, i64),
}

/// What the file system says of a name, without asking any that may not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Present,
    Gone,
    /// It is gone, and so is everything else in its folder: it may be the place of a file system that is not mounted.
    Emptied,
    Unknown,
}

/// Removes the names of these contents that lead to no file any more.
pub(super) fn drop_names(connection: &Connection, contents: &HashSet<i64>) -> rusqlite::Result<()> {
    let mut names = connection
        .prepare_cached("SELECT path, inode, modified FROM files WHERE content = ?1 LIMIT ?2")?;
    let mut remove =
        connection.prepare_cached("DELETE FROM files WHERE path = ?1 AND content = ?2")?;
    let mut mounts = None;
    for content in contents {
        let name = |row: &rusqlite::Row| {
            let path: Vec<u8> = row.get(0)?;
            Ok(Name {
                path: OsStr::from_bytes(&path).into(),
                file: (row.get(1)?, row.get(2)?),
            })
        };
        let names: Vec<Name> = names
            .query_map([*content, MAX_NAMES], name)?
            .collect::<Result<_, _>>()?;
        if names.len() < 2 {
            continue;
        }
        let mounts = mounts.get_or_insert_with(RemoteMounts::read);
        for path in vanished(&names, &|path| presence(path, mounts)) {
            remove.execute(params![path_bytes(path), content])?;
        }
    }
    Ok(())
}

/// The names that a file has had before it got another one of these. If none is there, it is not known to have been moved.
fn vanished<'a>(names: &'a [Name], presence: &dyn Fn(&Path) -> Presence) -> Vec<&'a Path> {
    let all: Vec<(&Name, Presence)> = names
        .iter()
        .map(|name| (name, presence(&name.path)))
        .collect();
    let present: Vec<&Name> = all
        .iter()
        .filter(|(_, presence)| *presence == Presence::Present)
        .map(|(name, _)| *name)
        .collect();
    let is_gone = |(name, presence): &(&Name, Presence)| match presence {
        Presence::Gone => !present.is_empty(),
        Presence::Emptied => present.iter().any(|other| other.file == name.file),
        Presence::Present | Presence::Unknown => false,
    };
    let gone = all.iter().filter(|name| is_gone(name));
    gone.map(|(name, _)| name.path.as_path()).collect()
}

fn presence(path: &Path, mounts: &RemoteMounts) -> Presence {
    let parts = path.parent().zip(path.file_name());
    let local = parts.and_then(|(folder, name)| Some(local_path(folder, mounts)?.join(name)));
    let Some(path) = local.filter(|path| !mounts.contain(path)) else {
        return Presence::Unknown;
    };
    // What a link leads to may not answer; the link is a file that is there.
    match path.symlink_metadata() {
        Ok(_) => return Presence::Present,
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Presence::Unknown,
        Err(_) => {}
    }
    // Without its folder, the disk may not be there.
    match path.parent().map(std::fs::read_dir) {
        Some(Ok(mut entries)) => match entries.next() {
            Some(_) => Presence::Gone,
            None => Presence::Emptied,
        },
        _ => Presence::Unknown,
    }
}

/// The path without links; `None` if it leads over a remote file system.
fn local_path(path: &Path, mounts: &RemoteMounts) -> Option<PathBuf> {
    let parts = |path: &Path| -> Vec<OsString> {
        let parts = path.components().rev();
        parts.map(|part| part.as_os_str().to_owned()).collect()
    };
    let (mut done, mut rest, mut links) = (PathBuf::new(), parts(path), 0);
    while let Some(part) = rest.pop() {
        if part == Component::ParentDir.as_os_str() {
            done.pop();
            continue;
        }
        // An absolute target begins anew.
        done.push(part);
        if mounts.contain(&done) {
            return None;
        }
        if let Ok(target) = done.read_link() {
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            done.pop();
            rest.extend(parts(&target));
        }
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn name(path: &str, inode: i64) -> Name {
        Name {
            path: path.into(),
            file: (inode, 0),
        }
    }

    #[test]
    fn a_name_goes_if_its_file_is_known_to_have_moved() {
        let states = |path: &Path| match path.to_str() {
            Some("/here") => Presence::Present,
            Some("/gone") => Presence::Gone,
            Some("/unmounted" | "/emptied") => Presence::Emptied,
            _ => Presence::Unknown,
        };
        let names = [
            name("/here", 1),
            name("/gone", 2),
            name("/unmounted", 3),
            name("/emptied", 1),
            name("/share", 4),
        ];
        let gone = vanished(&names, &states);
        assert_eq!(gone, ["/gone", "/emptied"].map(Path::new));
        assert!(vanished(&names[1..], &states).is_empty(), "none is there");
    }

    #[test]
    fn what_is_remote_or_has_no_folder_is_not_asked() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        for folder in ["in", "empty", "share"] {
            fs::create_dir(at(folder)).unwrap();
        }
        fs::write(at("in/a.png"), "").unwrap();
        symlink("share", at("link")).unwrap();
        symlink(at("in"), at("other")).unwrap();
        symlink("loop", at("loop")).unwrap();
        // Only the share would say where it leads.
        symlink("../in", at("share/back")).unwrap();
        let table = format!("1 1 0:1 / {} rw - nfs a rw\n", at("share").display());
        let mounts = RemoteMounts::parse(table.as_bytes());
        for (path, expected) in [
            ("in/a.png", Presence::Present),
            ("in/b.png", Presence::Gone),
            ("other/a.png", Presence::Present),
            ("other/b.png", Presence::Gone),
            ("empty/a.png", Presence::Emptied),
            ("missing/a.png", Presence::Unknown),
            ("share/a.png", Presence::Unknown),
            ("link/a.png", Presence::Unknown),
            ("share/back/a.png", Presence::Unknown),
            ("loop/a.png", Presence::Unknown),
        ] {
            assert_eq!(presence(&at(path), &mounts), expected, "{path}");
        }
    }
}
