//! The command `watch` where names and contents change places: renamed files, contents of the same size and time, folders that are
//! replaced or may not be entered.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::SystemTime;

use rustix::process::Signal;
use serde_json::Value;

use crate::command::{Session, picture, write_old_images};
use crate::service::home;

#[test]
fn a_renamed_file_has_a_line_under_its_final_name() {
    let session = Session::new(&[], |_| {});
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    assert_eq!(session.line()["path"], "in/a.png");
    fs::rename(
        session.folder().join("a.png"),
        session.folder().join("b.png"),
    )
    .expect("renamed");
    let line = session.line();
    assert!(
        line["path"] == "in/b.png" && line["label"].is_string(),
        "{line}"
    );
    fs::create_dir(session.folder().join("ward")).expect("a folder");
    fs::rename(
        session.folder().join("b.png"),
        session.folder().join("ward/b.png"),
    )
    .expect("renamed");
    assert_eq!(session.line()["path"], "in/ward/b.png");
    fs::rename(session.folder().join("ward"), session.folder().join("7")).expect("renamed");
    assert_eq!(session.line()["path"], "in/7/b.png");
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
}

#[test]
fn what_is_renamed_twice_at_once_or_swaps_names_has_lines_under_its_final_names() {
    let session = Session::new(&[], |_| {});
    let at = |name: &str| session.folder().join(name);
    fs::create_dir(at("sub")).expect("a folder");
    let names = ["once.png", "one.png", "other.png", "sub/s.png"];
    for (index, name) in names.into_iter().enumerate() {
        fs::write(at(name), picture(index)).expect("written");
    }
    let content_of = |line: &Value| {
        let text = |key: &str| line[key].as_str().expect("text").to_owned();
        (text("path"), text("content"))
    };
    let before: BTreeMap<String, String> =
        names.iter().map(|_| content_of(&session.line())).collect();
    for (from, to) in [
        ("once.png", "twice.png"),
        ("twice.png", "thrice.png"),
        ("one.png", "neither.png"),
        ("other.png", "one.png"),
        ("neither.png", "other.png"),
        ("sub", "sub1"),
        ("sub1", "sub2"),
    ] {
        fs::rename(at(from), at(to)).expect("renamed");
    }
    let mut missing: BTreeMap<String, &String> = [
        ("thrice.png", "once.png"),
        ("one.png", "other.png"),
        ("other.png", "one.png"),
        ("sub2/s.png", "sub/s.png"),
    ]
    .into_iter()
    .map(|(now, then)| (format!("in/{now}"), &before[&format!("in/{then}")]))
    .collect();
    // Lines under the names in between may come as well.
    while !missing.is_empty() {
        let (path, content) = content_of(&session.line());
        if missing.get(&path) == Some(&&content) {
            missing.remove(&path);
        }
    }
    let (code, _, errors) = session.end(Signal::TERM);
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn files_that_leave_before_their_turn_have_no_lines() {
    // More than the engine has at a time.
    const COUNT: usize = 3000;
    // Nobody tells the watch that they have left.
    let session = Session::new(&["--poll", "3600"], |dir| write_old_images(dir, COUNT));
    session.line();
    for index in 0..COUNT {
        fs::remove_file(session.folder().join(format!("{index}.png"))).expect("removed");
    }
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!(code, Some(0), "{errors}");
    let failed: Vec<&String> = rest
        .iter()
        .filter(|line| line.contains("\"error\""))
        .collect();
    assert_eq!(failed.len(), 0, "{:?}", failed.first());
    assert!(rest.len() + 1 < COUNT, "all were read before they left");
    assert!(!errors.contains("failed"), "{errors}");
}

/// Writes an image, and sets its time.
fn write_at(path: &Path, index: usize, time: SystemTime) {
    fs::write(path, picture(index)).expect("written");
    let file = File::options().write(true).open(path).expect("there");
    file.set_modified(time).expect("dated");
}

#[test]
fn other_content_of_the_same_size_and_time_has_a_line() {
    let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    assert_eq!(picture(1).len(), picture(2).len());
    for arguments in [&[][..], &["--poll", "0.2"]] {
        let session = Session::new(arguments, |dir| write_at(&dir.join("a.png"), 1, long_ago));
        let path = session.folder().join("a.png");
        let mut contents = vec![session.line()["content"].clone()];
        // In place.
        write_at(&path, 2, long_ago);
        contents.push(session.line()["content"].clone());
        // By another file, moved over it as by rsync.
        let other = session.folder().join(".a.png");
        write_at(&other, 3, long_ago);
        fs::rename(&other, &path).expect("renamed");
        contents.push(session.line()["content"].clone());
        // The permissions are no other content.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        fs::write(session.folder().join("last.png"), picture(4)).expect("written");
        assert_eq!(session.line()["path"], "in/last.png");
        contents.dedup();
        assert_eq!(contents.len(), 3);
        let (code, rest, errors) = session.end(Signal::TERM);
        assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    }
}

#[test]
fn a_folder_that_may_be_listed_but_not_entered_is_named_and_read_once_it_may_be() {
    let home = home();
    let folder = home.path().join("in/t");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("a.png"), picture(1)).expect("written");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o600)).expect("set");
    let session = Session::at(home, &[]);
    fs::write(session.folder().join("b.png"), picture(2)).expect("written");
    // By then the folder has been tried.
    assert_eq!(session.line()["path"], "in/b.png");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("set");
    assert_eq!(session.line()["path"], "in/t/a.png");
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    let refusal = "in/t: no permission to read this folder";
    assert!(errors.contains(refusal), "{errors}");
}

#[test]
fn a_link_to_the_watched_folder_that_leads_elsewhere_is_followed() {
    let home = tempfile::tempdir().expect("a folder");
    for (name, index) in [("old", 1), ("new", 2)] {
        fs::create_dir(home.path().join(name)).expect("a folder");
        let image = home.path().join(name).join(format!("{name}.png"));
        fs::write(image, picture(index)).expect("written");
    }
    symlink("old", home.path().join("in")).expect("a link");
    let session = Session::at(home, &[]);
    assert_eq!(session.line()["path"], "in/old.png");
    let other = session.home.path().join("link");
    symlink("new", &other).expect("a link");
    fs::rename(&other, session.folder()).expect("replaced");
    assert_eq!(session.line()["path"], "in/new.png");
    // It has the kernel's events of the new folder.
    fs::write(session.home.path().join("new/later.png"), picture(3)).expect("written");
    assert_eq!(session.line()["path"], "in/later.png");
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
}
