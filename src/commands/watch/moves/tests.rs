use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::commands::watch::reported::ReportCause;
use crate::library::export::tests::record;
use crate::library::{Failure, Outcome};
use crate::media::{ErrorKind as MediaErrorKind, FileContent};

/// A temporary folder with the watched folder `in`.
struct TestFolders(TempDir);

impl TestFolders {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        Self(dir)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn target(&self, template: &str) -> Result<MoveTarget, String> {
        MoveTarget::new(&self.at(template), &self.at("in"))
    }

    /// Writes a file and returns it as classified with a label.
    fn classified(&self, name: &str, content: &str, label: &str) -> MovableFile {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let found = fs::metadata(&path).unwrap();
        MovableFile {
            reported: ReportedFile {
                stamp: FileStamp::new(&found),
                is_closed: true,
                cause: ReportCause::NewContent,
            },
            path,
            label: label.to_owned(),
            content: Some(format!(
                "blake3:{}",
                blake3::hash(content.as_bytes()).to_hex()
            )),
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_else(|error| format!("{name}: {error}"))
    }
}

#[test]
fn the_path_below_the_watched_folder_is_kept_below_the_label() {
    let folders = TestFolders::new();
    let target = folders.target("done/{label}").unwrap();
    let file = folders.classified("in/ward/7/a.dcm", "a", "pneumonia");
    let to = folders.at("done/pneumonia/ward/7/a.dcm");
    assert_eq!(target.move_file(&file).unwrap(), Moved::To(to));
    assert_eq!(folders.read("done/pneumonia/ward/7/a.dcm"), "a");
    assert!(!file.path.exists());
    assert!(folders.at("in/ward/7").is_dir());
}

#[test]
fn a_taken_name_gets_a_number_even_if_the_content_is_the_same() {
    let folders = TestFolders::new();
    let target = folders.target("done").unwrap();
    for (name, expected) in [
        ("a.dcm", ["a.dcm", "a-1.dcm", "a-2.dcm"]),
        ("README", ["README", "README-1", "README-2"]),
        ("1.2.840.7", ["1.2.840.7", "1.2.840.7-1", "1.2.840.7-2"]),
    ] {
        for (content, expected) in ["same", "same", "other"].into_iter().zip(expected) {
            let file = folders.classified(&format!("in/{name}"), content, "x");
            let to = folders.at("done").join(expected);
            assert_eq!(target.move_file(&file).unwrap(), Moved::To(to.clone()));
            assert_eq!(fs::read_to_string(to).unwrap(), content);
        }
    }
}

#[test]
fn no_label_leads_out_of_the_folder() {
    let folders = TestFolders::new();
    let target = folders.target("done/{label}/x").unwrap();
    let long = "ü".repeat(300);
    for label in [
        "..",
        ".",
        "",
        "../../etc",
        "/etc",
        "a/b",
        "a\0b\n",
        ".hidden",
        "{label}",
        &long,
    ] {
        let file = folders.classified("in/a.png", "a", label);
        let Moved::To(path) = target.move_file(&file).unwrap() else {
            panic!("{label:?} is not moved");
        };
        let path = fs::canonicalize(path).unwrap();
        let inside = path.strip_prefix(fs::canonicalize(folders.at("done")).unwrap());
        let parts: Vec<_> = inside.expect(label).components().collect();
        assert_eq!(parts.len(), 3, "{label:?}: {path:?}");
        let first = parts[0].as_os_str().as_bytes();
        assert!(
            first.len() <= 255 && first[0] != b'.',
            "{label:?}: {path:?}"
        );
    }
}

#[test]
fn a_target_in_the_watched_folder_is_refused_also_through_links() {
    let folders = TestFolders::new();
    symlink("in", folders.at("link")).unwrap();
    fs::create_dir(folders.at("in/sub")).unwrap();
    symlink("in/sub", folders.at("deep")).unwrap();
    for template in [
        "in/{label}",
        "in",
        "in/new/{label}",
        "link/{label}",
        "deep/new/{label}",
        "elsewhere/../in/{label}",
    ] {
        let error = folders.target(template).unwrap_err();
        assert!(
            error.contains("lies in the watched folder"),
            "{template}: {error}"
        );
    }
    for template in ["in-other/{label}", "{label}", "new/{label}"] {
        assert!(folders.target(template).is_ok(), "{template}");
    }
    // A link that appears later, or that only one label leads to.
    let target = folders.target("new/{label}").unwrap();
    fs::create_dir(folders.at("new")).unwrap();
    symlink(folders.at("in/sub"), folders.at("new/tumor")).unwrap();
    let file = folders.classified("in/a.png", "a", "tumor");
    let error = target.move_file(&file).unwrap_err().to_string();
    assert!(
        error.contains("a.png") && error.contains("watched folder"),
        "{error}"
    );
    assert!(file.path.exists());
}

#[test]
fn a_file_that_is_not_the_classified_one_stays() {
    let folders = TestFolders::new();
    let target = folders.target("done/{label}").unwrap();
    let file = folders.classified("in/a.png", "before", "x");
    fs::write(&file.path, "changed").unwrap();
    assert_eq!(target.move_file(&file).unwrap(), Moved::Stays);
    // The same size and another time: the content decides.
    let file = folders.classified("in/b.png", "before", "x");
    fs::write(&file.path, "after!").unwrap();
    let later = SystemTime::now() + Duration::from_secs(5);
    let touch = |path: &Path| {
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(later)
    };
    touch(&file.path).unwrap();
    assert_eq!(target.move_file(&file).unwrap(), Moved::Stays);
    let file = folders.classified("in/c.png", "before", "x");
    touch(&file.path).unwrap();
    assert!(matches!(target.move_file(&file).unwrap(), Moved::To(_)));
    // Its name may be all that is known.
    let file = folders.classified("in/d.png", "before", "x");
    fs::remove_file(&file.path).unwrap();
    assert_eq!(target.move_file(&file).unwrap(), Moved::Gone);
    symlink(folders.at("in/b.png"), &file.path).unwrap();
    assert_eq!(target.move_file(&file).unwrap(), Moved::Stays);
    assert_eq!(fs::read_dir(folders.at("done/x")).unwrap().count(), 1);
}

#[test]
fn a_file_that_may_have_a_writer_is_moved_once_it_has_none_or_is_quiet() {
    let folders = TestFolders::new();
    let mut target = folders.target("done/{label}").unwrap();
    let mut file = folders.classified("in/a.png", "half", "x");
    let writer = fs::File::options().write(true).open(&file.path).unwrap();
    let later = target.move_file(&file).unwrap();
    assert_eq!(later, Moved::Later(WRITER_WAIT, WriterPresence::Present));
    drop(writer);
    // The writer is on another machine, or its files belong to another user.
    target.writer_of = |_| WriterPresence::Unknown;
    file.reported.is_closed = false;
    let Moved::Later(wait, WriterPresence::Unknown) = target.move_file(&file).unwrap() else {
        panic!("it is not moved yet");
    };
    assert!(wait <= MIN_QUIET_TIME && wait + Duration::from_secs(60) > MIN_QUIET_TIME);
    assert_eq!(folders.read("in/a.png"), "half");
    file.reported.is_closed = true;
    assert!(matches!(target.move_file(&file).unwrap(), Moved::To(_)));
}

#[test]
fn other_content_of_the_same_size_and_time_stays() {
    let folders = TestFolders::new();
    let target = folders.target("done/{label}").unwrap();
    let mut file = folders.classified("in/a.png", "before", "x");
    let modified = file.reported.stamp.modified.unwrap();
    fs::write(&file.path, "after!").unwrap();
    let written = fs::File::options().write(true).open(&file.path).unwrap();
    written.set_modified(modified).unwrap();
    drop(written);
    assert_eq!(target.move_file(&file).unwrap(), Moved::Stays);
    // Of a file that failed, no content is known.
    file.content = None;
    assert_eq!(target.move_file(&file).unwrap(), Moved::Stays);
    assert_eq!(folders.read("in/a.png"), "after!");
}

#[test]
fn where_inode_numbers_mean_nothing_size_and_time_tell_a_file_that_failed() {
    let folders = TestFolders::new();
    let target = folders.target("done/{label}").unwrap();
    for (name, status_changed) in [("a.png", None), ("b.png", Some(0))] {
        let mut file = folders.classified(&format!("in/{name}"), "broken", "failed");
        file.content = None;
        file.reported.stamp.inode = 0;
        let stamp = &mut file.reported.stamp;
        stamp.status_changed = status_changed.unwrap_or(stamp.status_changed);
        let to = folders.at("done/failed").join(name);
        assert_eq!(target.move_file(&file).unwrap(), Moved::To(to));
    }
    // The content of others is compared if the time of change is another one.
    let mut file = folders.classified("in/c.png", "before", "x");
    file.reported.stamp.inode = 0;
    file.reported.stamp.status_changed = 0;
    file.content = Some("blake3:other".to_owned());
    assert_eq!(target.move_file(&file).unwrap(), Moved::Stays);
    // A file that was written to stays.
    let mut file = folders.classified("in/d.png", "before", "failed");
    file.content = None;
    file.reported.stamp.inode = 0;
    let later = SystemTime::now() + Duration::from_secs(5);
    let written = fs::File::options().write(true).open(&file.path).unwrap();
    written.set_modified(later).unwrap();
    drop(written);
    assert_eq!(target.move_file(&file).unwrap(), Moved::Stays);
}

#[test]
fn a_move_that_fails_names_both_and_the_file_stays() {
    let folders = TestFolders::new();
    let target = folders.target("done/{label}").unwrap();
    fs::write(folders.at("done"), "a file").unwrap();
    let file = folders.classified("in/a.png", "a", "x");
    let error = target.move_file(&file).unwrap_err().to_string();
    assert!(
        error.contains("in/a.png") && error.contains("done/x"),
        "{error}"
    );
    assert_eq!(folders.read("in/a.png"), "a");
}

#[test]
fn the_folder_is_that_of_the_aggregate_and_of_a_failure() {
    let reported = TestFolders::new().classified("in/a", "a", "").reported;
    let label = |outcomes: &[Outcome]| {
        MovableFile::new(Path::new("a"), reported, outcomes)
            .unwrap()
            .label
    };
    let mut frame = record(Decision::Confident);
    frame.verdict.label = "tumor".to_owned();
    let aggregate = record(Decision::Uncertain);
    assert_eq!(label(&[Ok(frame.clone()), Ok(aggregate)]), "pneumonia");
    let rejected = record(Decision::Rejected);
    assert_eq!(label(&[Ok(rejected)]), "rejected");
    let failure = Failure {
        kind: MediaErrorKind::Truncated,
        message: String::new(),
        content: FileContent::Image,
    };
    assert_eq!(label(&[Err(failure), Ok(frame)]), "failed");
}
