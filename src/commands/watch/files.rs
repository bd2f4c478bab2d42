//! What is known of each watched file: whether it is at work, to be tried again, or has its line.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::library::Outcome;
use crate::watch::News;
use crate::watch::retry::Retry;

#[derive(Debug, Default)]
struct File {
    /// The newest job for it, until it is done.
    wanted: Option<u64>,
    /// It came while the watch was on: whoever writes it may not have been done.
    fresh: bool,
    /// Content of the last line.
    written: Option<String>,
    /// What the last attempt gave, while another one is waited for.
    held: Option<Vec<Outcome>>,
}

/// The files, so that each content of each gets one line. Times are since any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Files {
    by_name: BTreeMap<PathBuf, File>,
    retry: Retry,
    next: u64,
    /// Jobs handed over and not done.
    open: HashSet<u64>,
    /// Those among them whose file was removed meanwhile.
    orphans: HashSet<u64>,
}

impl Files {
    /// A file is complete, for the first time or anew.
    pub(super) fn ready(&mut self, path: &Path, news: News) {
        self.retry.forget(path);
        let file = self.by_name.entry(path.to_owned()).or_default();
        file.fresh = news != News::There;
        file.held = None;
    }

    /// A file is handed to the engine; the job's generation.
    pub(super) fn submitted(&mut self, path: &Path) -> u64 {
        let generation = self.next;
        self.next += 1;
        self.open.insert(generation);
        self.by_name.entry(path.to_owned()).or_default().wanted = Some(generation);
        generation
    }

    /// A job is done: the outcomes to write, if any. Without `now` nothing is tried again.
    pub(super) fn done(
        &mut self,
        now: Option<Duration>,
        path: &Path,
        generation: u64,
        outcomes: Vec<Outcome>,
    ) -> Option<Vec<Outcome>> {
        self.open.remove(&generation);
        if self.orphans.remove(&generation) {
            // It was read before it went: that is a result. That it is gone is none.
            return outcomes.iter().all(Result::is_ok).then_some(outcomes);
        }
        let file = self.by_name.get_mut(path)?;
        if file.wanted != Some(generation) {
            return None;
        }
        file.wanted = None;
        let failure = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        if let (Some(failure), Some(now), true) = (failure, now, file.fresh)
            && self.retry.failed(now, path, failure.kind)
        {
            file.held = Some(outcomes);
            return None;
        }
        self.retry.forget(path);
        file.held = None;
        let content = outcomes.iter().flatten().next();
        let content = content.map(|record| record.content.clone());
        if content.is_some() && content == file.written {
            return None;
        }
        file.written = content;
        Some(outcomes)
    }

    /// A file or folder is gone.
    pub(super) fn removed(&mut self, path: &Path) {
        for (name, file) in self.take(path) {
            self.retry.forget(&name);
            self.orphans.extend(file.wanted);
        }
    }

    /// A file or folder has another name; the files to hand over again, under their new names.
    pub(super) fn renamed(&mut self, from: &Path, to: &Path) -> Vec<PathBuf> {
        let mut again = Vec::new();
        self.removed(to);
        for (name, mut file) in self.take(from) {
            self.retry.forget(&name);
            let Ok(rest) = name.strip_prefix(from) else {
                continue;
            };
            let name = if rest.as_os_str().is_empty() {
                to.to_owned()
            } else {
                to.join(rest)
            };
            if file.wanted.take().is_some() || file.held.take().is_some() {
                again.push(name.clone());
            }
            self.by_name.insert(name, file);
        }
        again
    }

    /// Files to try again now.
    pub(super) fn due(&mut self, now: Duration) -> Vec<PathBuf> {
        self.retry.due(now)
    }

    /// When to ask [`Self::due`] again.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.retry.next()
    }

    /// No job is at work.
    pub(super) fn are_through(&self) -> bool {
        self.open.is_empty()
    }

    /// Nothing is tried again from now on: what the last attempts gave.
    pub(super) fn give_up(&mut self) -> Vec<(PathBuf, Vec<Outcome>)> {
        self.retry = Retry::default();
        // With a job at work, that one decides.
        let waiting = self.by_name.iter_mut().filter(|(_, f)| f.wanted.is_none());
        waiting
            .filter_map(|(path, file)| Some((path.clone(), file.held.take()?)))
            .collect()
    }

    /// Takes out the file, or the files of the folder, `path`.
    fn take(&mut self, path: &Path) -> Vec<(PathBuf, File)> {
        let range = (Bound::Included(path), Bound::Unbounded);
        let names: Vec<PathBuf> = self
            .by_name
            .range::<Path, _>(range)
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(path))
            .cloned()
            .collect();
        names
            .into_iter()
            .filter_map(|name| self.by_name.remove_entry(&name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Failure;
    use crate::media::ErrorKind;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    fn failed(kind: ErrorKind) -> Vec<Outcome> {
        vec![Err(Failure {
            kind,
            message: String::new(),
            not_picture: false,
        })]
    }

    fn at_work(files: &mut Files, name: &str, news: News) -> u64 {
        files.ready(Path::new(name), news);
        files.submitted(Path::new(name))
    }

    #[test]
    fn a_truncated_newcomer_is_tried_again_before_it_gets_its_line() {
        let mut files = Files::default();
        let path = Path::new("a.dcm");
        let mut generation = at_work(&mut files, "a.dcm", News::New);
        let mut attempts = 1;
        let mut now = Duration::ZERO;
        while files
            .done(Some(now), path, generation, failed(ErrorKind::Truncated))
            .is_none()
        {
            now = files.next_due().expect("it waits");
            assert_eq!(files.due(now), [path]);
            generation = files.submitted(path);
            attempts += 1;
        }
        assert_eq!(attempts, 4);
        assert!(files.are_through());
    }

    #[test]
    fn what_was_damaged_before_is_said_at_once() {
        let mut files = Files::default();
        let generation = at_work(&mut files, "a", News::There);
        let outcome = files.done(
            NOW,
            Path::new("a"),
            generation,
            failed(ErrorKind::Truncated),
        );
        assert!(outcome.is_some());
    }

    #[test]
    fn at_the_end_a_held_failure_is_said() {
        let mut files = Files::default();
        let generation = at_work(&mut files, "a", News::New);
        assert!(
            files
                .done(
                    NOW,
                    Path::new("a"),
                    generation,
                    failed(ErrorKind::Truncated)
                )
                .is_none()
        );
        let left = files.give_up();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].0, Path::new("a"));
        assert_eq!(files.next_due(), None);
    }

    #[test]
    fn a_file_that_changed_meanwhile_gets_the_line_of_its_new_content() {
        let mut files = Files::default();
        let path = Path::new("a");
        let old = at_work(&mut files, "a", News::New);
        let new = at_work(&mut files, "a", News::Changed);
        assert!(
            files
                .done(NOW, path, old, failed(ErrorKind::Unsupported))
                .is_none()
        );
        assert!(!files.are_through());
        assert!(
            files
                .done(NOW, path, new, failed(ErrorKind::Unsupported))
                .is_some()
        );
        assert!(files.are_through());
    }

    #[test]
    fn what_was_at_work_under_another_name_is_handed_over_again() {
        let mut files = Files::default();
        let old = at_work(&mut files, "in/p/a", News::New);
        let again = files.renamed(Path::new("in/p"), Path::new("in/q"));
        assert_eq!(again, [Path::new("in/q/a")]);
        let new = files.submitted(&again[0]);
        assert!(
            files
                .done(NOW, Path::new("in/p/a"), old, failed(ErrorKind::NotFound))
                .is_none()
        );
        assert!(
            files
                .done(NOW, &again[0], new, failed(ErrorKind::Unsupported))
                .is_some()
        );
    }

    #[test]
    fn a_file_that_went_before_it_was_read_yields_no_line() {
        let mut files = Files::default();
        let generation = at_work(&mut files, "a", News::New);
        files.removed(Path::new("a"));
        assert!(
            files
                .done(NOW, Path::new("a"), generation, failed(ErrorKind::NotFound))
                .is_none()
        );
        assert!(files.are_through());
    }
}
