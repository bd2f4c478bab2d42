//! A second look at files that could not be read: who wrote them may not have been done, though nothing told so.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::media::ErrorKind;

/// Waits before the first, second and third further attempt. Together longer than a stalled transfer usually stalls;
/// short enough that a truly damaged file is soon called so.
const WAITS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Keeps the files that are to be tried again. Times are since any fixed moment.
#[derive(Debug, Default)]
pub struct Retry {
    files: HashMap<PathBuf, Attempts>,
}

#[derive(Debug)]
struct Attempts {
    failed: usize,
    /// When to try again; `None` while an attempt is under way.
    due: Option<Duration>,
}

impl Retry {
    /// A failure. True when the file will be [`due`](Self::due) again: nothing need be said about it yet. False when
    /// the failure is final.
    pub fn failed(&mut self, now: Duration, path: &Path, kind: ErrorKind) -> bool {
        if !may_pass(kind) {
            self.files.remove(path);
            return false;
        }
        let attempts = self.files.entry(path.to_owned()).or_insert(Attempts {
            failed: 0,
            due: None,
        });
        let Some(wait) = WAITS.get(attempts.failed) else {
            self.files.remove(path);
            return false;
        };
        attempts.failed += 1;
        attempts.due = Some(now + *wait);
        true
    }

    /// The file could be read, is gone, or is reported anew: what was counted is void.
    pub fn forget(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// The files whose time has come. Each is given once, and then waited for.
    pub fn due(&mut self, now: Duration) -> Vec<PathBuf> {
        let mut due: Vec<PathBuf> = self
            .files
            .iter_mut()
            .filter(|(_, attempts)| attempts.due.is_some_and(|due| due <= now))
            .map(|(path, attempts)| {
                attempts.due = None;
                path.clone()
            })
            .collect();
        due.sort();
        due
    }

    /// When [`due`](Self::due) is to be asked next.
    pub fn next(&self) -> Option<Duration> {
        self.files
            .values()
            .filter_map(|attempts| attempts.due)
            .min()
    }

    /// No file waits or is under way.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// Failures that a writer at work can cause. What is no picture at all, or too large, stays so.
fn may_pass(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Truncated | ErrorKind::Malformed | ErrorKind::Permission | ErrorKind::NotFound
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_truncated_file_is_tried_thrice_and_then_given_up() {
        let mut retry = Retry::default();
        let path = Path::new("a.dcm");
        let mut now = Duration::ZERO;
        for _ in 0..WAITS.len() {
            assert!(retry.failed(now, path, ErrorKind::Truncated));
            assert_eq!(retry.due(now), Vec::<PathBuf>::new());
            now = retry.next().expect("it waits");
            assert_eq!(retry.due(now), [path]);
            assert_eq!(retry.due(now + S), Vec::<PathBuf>::new(), "given once");
        }
        assert!(!retry.failed(now, path, ErrorKind::Truncated));
        assert!(retry.is_empty());
    }

    #[test]
    fn what_no_writer_causes_is_final_at_once() {
        let mut retry = Retry::default();
        assert!(!retry.failed(S, Path::new("a"), ErrorKind::Unsupported));
        assert!(retry.is_empty());
    }

    #[test]
    fn a_new_content_gets_all_attempts_again() {
        let mut retry = Retry::default();
        let path = Path::new("a");
        for _ in 0..WAITS.len() {
            assert!(retry.failed(S, path, ErrorKind::Malformed));
        }
        retry.forget(path);
        assert_eq!(retry.next(), None);
        assert!(retry.failed(S, path, ErrorKind::Malformed));
    }
}
