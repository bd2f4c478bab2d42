//! Whether a file is the one that was seen before.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long ago a change must be, so that another one would have another time, where times are exact to a clock tick.
const TICK: Duration = Duration::from_millis(50);
/// The same where times are exact to a second or two, as on FAT and some network shares.
const COARSE_TICK: Duration = Duration::from_secs(3);

/// Size, times and number of a file, which change with its content. Times are in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// Bytes.
    pub size: i64,
    /// Time of the last change to the content, which programs may set.
    pub modified: i64,
    /// Time of the last change to the content or anything else, which only the kernel sets.
    pub changed: i64,
    /// The inode number.
    pub inode: i64,
}

impl FileIdentity {
    /// The identity of the file at a path, links followed; `None` if it cannot be determined.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.checked_mul(1_000_000_000)?.checked_add(rest);
        Some(Self {
            size: i64::try_from(metadata.size()).ok()?,
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec())?,
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec())?,
            inode: metadata.ino().cast_signed(),
        })
    }

    /// Whether a content that was read after `opened_at` belongs to this identity, taken just before: it is still the file's
    /// identity `afterwards`, and any change meanwhile would show in it.
    pub fn covers(&self, opened_at: SystemTime, afterwards: Option<Self>) -> bool {
        afterwards == Some(*self) && self.tells_changes_after(opened_at)
    }

    /// Whether any change after `time` would show: the last change was so much earlier that another one has another time.
    pub fn tells_changes_after(&self, time: SystemTime) -> bool {
        let is_coarse = self.changed % 1_000_000_000 == 0;
        let tick = if is_coarse { COARSE_TICK } else { TICK };
        let changed = u64::try_from(self.changed).map(Duration::from_nanos);
        let since = time.duration_since(UNIX_EPOCH).ok().zip(changed.ok());
        since.is_some_and(|(time, changed)| time.saturating_sub(changed) >= tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed_at(nanoseconds: i64) -> FileIdentity {
        FileIdentity {
            size: 1,
            modified: 0,
            changed: nanoseconds,
            inode: 1,
        }
    }

    #[test]
    fn a_change_just_before_could_hide_another_one() {
        let at = |milliseconds| UNIX_EPOCH + Duration::from_millis(milliseconds);
        let exact = changed_at(10_000_000_001);
        assert!(!exact.tells_changes_after(at(10_010)));
        assert!(exact.tells_changes_after(at(10_060)));
        assert!(
            !exact.tells_changes_after(at(9_000)),
            "a clock that was set back"
        );
        let coarse = changed_at(10_000_000_000);
        assert!(!coarse.tells_changes_after(at(12_000)));
        assert!(coarse.tells_changes_after(at(13_000)));
    }

    #[test]
    fn a_content_read_while_the_file_changed_belongs_to_no_identity() {
        let before = changed_at(10_000_000_001);
        let [early, late] = [10_010, 10_100].map(|at| UNIX_EPOCH + Duration::from_millis(at));
        assert!(before.covers(late, Some(before)));
        assert!(!before.covers(early, Some(before)));
        assert!(!before.covers(late, Some(changed_at(10_000_000_002))));
        assert!(!before.covers(late, None));
    }

    #[test]
    fn a_file_that_is_written_again_has_another_identity_even_with_its_time_set_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        std::fs::write(&path, "one").expect("written");
        let first = FileIdentity::of(&path).expect("it is there");
        let modified = std::fs::metadata(&path).and_then(|data| data.modified());
        // Waits for the clock that the file system uses to move on.
        let second = loop {
            std::fs::write(&path, "two").expect("written");
            let file = std::fs::File::options().write(true).open(&path);
            let file = file.expect("opened");
            file.set_modified(*modified.as_ref().expect("a time"))
                .expect("set");
            let now = FileIdentity::of(&path).expect("it is there");
            if now.changed != first.changed {
                break now;
            }
        };
        assert_eq!((second.size, second.modified), (first.size, first.modified));
        assert_ne!(second, first);
        assert_eq!(FileIdentity::of(&folder.path().join("none")), None);
    }
}
