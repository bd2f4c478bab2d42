use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A temporary folder with the folders `a` and `b`.
fn folders() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    dir
}

/// All files below a folder with their contents.
fn contents(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read_to_string(path).unwrap());
        }
    }
    found
}

fn run(kind: TransferKind, files: &[PathBuf], folder: &Path) -> Transfer {
    transfer(kind, files, folder, &mut |_| true).unwrap()
}

fn take_back(done: &Transfer) -> Transfer {
    undo(done, &mut |_| true)
}

#[test]
fn a_taken_name_gets_a_number_and_undo_restores_what_was() {
    for kind in [TransferKind::Copy, TransferKind::Move] {
        let dir = folders();
        let [own, other, there] = ["a/x.dcm", "a/y.dcm", "b/x.dcm"].map(|p| dir.path().join(p));
        for path in [&own, &other, &there] {
            fs::write(path, path.as_os_str().as_encoded_bytes()).unwrap();
        }
        let before = contents(dir.path());
        let done = run(kind, &[own.clone(), other], &dir.path().join("b"));
        assert_eq!(done.failures, []);
        assert_eq!(done.files[0].to, dir.path().join("b/x-1.dcm"));
        assert_eq!(own.exists(), kind == TransferKind::Copy);
        let undone = take_back(&done);
        assert_eq!((undone.files.len(), undone.failures.len()), (2, 0));
        assert_eq!(contents(dir.path()), before);
    }
}

#[test]
fn what_has_changed_since_is_left_alone() {
    let dir = folders();
    let at = |name: &str| dir.path().join(name);
    for name in ["a/1", "a/2", "a/3"] {
        fs::write(at(name), name).unwrap();
    }
    let all = ["a/1", "a/2", "a/3"].map(at);
    let copied = run(TransferKind::Copy, &all, &at("b"));
    // A copy of the same size and time is another content all the same.
    let times = fs::metadata(at("b/1")).unwrap().modified().unwrap();
    fs::write(at("b/1"), "b/1").unwrap();
    File::options()
        .write(true)
        .open(at("b/1"))
        .unwrap()
        .set_modified(times)
        .unwrap();
    fs::remove_file(at("a/2")).unwrap();
    let undone = take_back(&copied);
    let reasons: Vec<String> = undone.failures.iter().map(ToString::to_string).collect();
    assert!(
        reasons[0].contains("b/2: the original has been changed or is gone"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].contains("b/1: the copy has been changed"),
        "{reasons:?}"
    );
    assert_eq!(undone.files.len(), 1);
    assert!(at("b/1").exists() && at("b/2").exists() && !at("b/3").exists());

    let moved = run(TransferKind::Move, &[at("a/1"), at("a/3")], &at("new"));
    assert!(moved.is_new);
    fs::write(at("a/1"), "another").unwrap();
    let undone = take_back(&moved);
    assert_eq!(undone.failures.len(), 1);
    assert!(
        undone.failures[0].reason.contains("another file is at"),
        "{undone:?}"
    );
    assert_eq!(fs::read_to_string(at("new/1")).unwrap(), "a/1");
    assert_eq!(fs::read_to_string(at("a/1")).unwrap(), "another");
    assert!(at("a/3").exists());
}

#[test]
fn what_cannot_be_transferred_is_named_and_the_rest_goes_on() {
    let dir = folders();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("a/1"), "1").unwrap();
    std::os::unix::fs::symlink("1", at("a/link")).unwrap();
    let all = ["a/gone", "a/link", "b", "a/1"].map(at);
    let moved = run(TransferKind::Move, &all, &at("b"));
    let reasons: Vec<String> = moved.failures.iter().map(ToString::to_string).collect();
    assert!(
        reasons[1].ends_with("a/link: is a link, which is not moved"),
        "{reasons:?}"
    );
    assert!(reasons[2].ends_with("b: is not a file"), "{reasons:?}");
    assert_eq!((reasons.len(), moved.files.len()), (3, 1));
    let again = run(TransferKind::Move, &[at("b/1")], &at("b"));
    assert!(again.failures[0].reason.contains("in this folder already"));
    let no_folder = transfer(
        TransferKind::Copy,
        &[at("b/1")],
        &at("no/folder"),
        &mut |_| true,
    );
    assert!(
        no_folder
            .unwrap_err()
            .to_string()
            .contains("create that first")
    );
    let a_file = transfer(TransferKind::Copy, &[at("b/1")], &at("b/1"), &mut |_| true);
    assert!(a_file.unwrap_err().to_string().contains("not a folder"));
}

#[test]
fn a_stopped_transfer_leaves_whole_files_only() {
    let dir = folders();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("a/1"), "1").unwrap();
    fs::write(at("a/2"), "2").unwrap();
    let all = [at("a/1"), at("a/2")];
    // In the middle of the first file, then after it.
    for (proceeds, expected) in [(0, 0), (1, 1)] {
        let mut left = proceeds;
        let stopped = transfer(TransferKind::Copy, &all, &at("b"), &mut |_| {
            left -= 1;
            left >= 0
        });
        let stopped = stopped.unwrap();
        assert!(stopped.is_stopped);
        assert_eq!(stopped.files.len(), expected);
        assert_eq!(fs::read_dir(at("b")).unwrap().count(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Copies, moves, edits and undos in any order: every content that was there, or was written since, is there.
    #[test]
    fn no_content_is_ever_lost(steps in proptest::collection::vec((0..5u8, 0..4usize, 0..4usize), 1..24)) {
        let dir = folders();
        let paths: Vec<PathBuf> = ["a/x", "a/y.png", "b/x", "b/z"].iter().map(|p| dir.path().join(p)).collect();
        for (at, path) in paths.iter().enumerate() {
            fs::write(path, format!("content {at}")).unwrap();
        }
        let mut known: Vec<String> = contents(dir.path()).into_values().collect();
        let mut done: Vec<Transfer> = Vec::new();
        for (number, (step, first, second)) in steps.into_iter().enumerate() {
            let here: Vec<PathBuf> = contents(dir.path()).into_keys().collect();
            let chosen: Vec<PathBuf> = [first, second].iter().map(|at| here[at % here.len()].clone()).collect();
            let folder = dir.path().join(if second % 2 == 0 { "a" } else { "b" });
            match step {
                0 => done.push(run(TransferKind::Copy, &chosen, &folder)),
                1 => done.push(run(TransferKind::Move, &chosen, &folder)),
                2 => {
                    let text = format!("new {number}");
                    fs::write(folder.join(format!("new {number}")), &text).unwrap();
                    known.push(text);
                }
                _ => if let Some(last) = done.pop() {
                    take_back(&last);
                },
            }
            let now: Vec<String> = contents(dir.path()).into_values().collect();
            for content in &known {
                prop_assert!(now.contains(content), "{content} is lost");
            }
        }
    }
}
