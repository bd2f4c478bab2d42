//! Writes the results on screen to a file, on a thread of its own.

use std::collections::HashSet;
use std::fs::Permissions;
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::folders::{MsgSender, spawn};
use crate::app::{Msg, Severity};
use crate::library::export::{ResultColumns, TableFormat, TableWriter};
use crate::library::{AuditEvent, Library, OutputLog, Record};

/// Interval between two reports of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Writes results to a new file, until `stopped`; `held` is dropped at the end. Reports progress, and how it ended.
pub(super) fn export(
    file: PathBuf,
    results: Vec<(PathBuf, Arc<[Record]>)>,
    library: Option<Arc<Library>>,
    (stopped, held): (Arc<AtomicBool>, Sender<()>),
    send: MsgSender,
) {
    let answer = Arc::clone(&send);
    spawn("export", &answer, move || {
        let _held = held;
        let report = |severity, text| {
            let _ = send(Msg::Report { severity, text });
        };
        let log = library.map(|library| OutputLog::new(library, AuditEvent::Exported, None));
        let shown = file.display();
        let mut last = Instant::now();
        let written = write(&file, results, log, |done, all| {
            if last.elapsed() >= PROGRESS_INTERVAL {
                last = Instant::now();
                report(Severity::Info, format!("{shown}: {done} of {all} results"));
            }
            !stopped.load(Ordering::Relaxed)
        });
        match written {
            Ok(Some(count)) => report(Severity::Info, format!("{count} results in {shown}")),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => report(
                Severity::Error,
                format!("{shown} is there already; choose another name"),
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = file.parent().unwrap_or(&file).display();
                let text = format!("there is no folder {folder}; create it, or choose another");
                report(Severity::Error, text);
            }
            Err(error) => report(Severity::Error, format!("{shown}: {error}")),
        }
    });
}

/// Writes a new file, which gets its name when it is complete. `proceed` is told the number of results written, and of all;
/// `None` once it returns false.
fn write(
    file: &Path,
    results: Vec<(PathBuf, Arc<[Record]>)>,
    log: Option<OutputLog>,
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> io::Result<Option<usize>> {
    if file.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let beside = tempfile::Builder::new()
        .prefix(".medivision-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(file.parent().unwrap_or(Path::new(".")));
    let beside = beside.map_err(|error| io::Error::from(error.kind()))?;
    let mut records = results.iter().flat_map(|(_, records)| records.iter());
    let has_threshold = |record: &Record| {
        let mut scores = record.verdict.scores.iter();
        scores.any(|score| score.threshold.is_some())
    };
    let columns = ResultColumns {
        conditions: conditions(&results),
        learned: records.clone().any(|record| record.learned.is_some()),
        present: records.any(has_threshold),
    };
    let all = results.iter().map(|(_, records)| records.len()).sum();
    let out = BufWriter::new(beside.as_file());
    let format = TableFormat::of_file(file).unwrap_or_default();
    let mut writer = TableWriter::new(out, format, columns, log)?;
    let mut done = 0;
    for (path, records) in results {
        for record in records.iter() {
            writer.write(&path, record.clone())?;
            done += 1;
            if !proceed(done, all) {
                return Ok(None);
            }
        }
    }
    writer.finish()?;
    beside.as_file().sync_all()?;
    beside
        .persist_noclobber(file)
        .map_err(|error| error.error)?;
    Ok(Some(done))
}

/// The names of all conditions, by name within the results that have the same.
fn conditions(results: &[(PathBuf, Arc<[Record]>)]) -> Vec<String> {
    let (mut seen, mut conditions) = (HashSet::new(), Vec::new());
    for record in results.iter().flat_map(|(_, records)| records.iter()) {
        if !seen.insert(&record.prompts_digest) {
            continue;
        }
        let scores = record.verdict.scores.iter();
        let mut names: Vec<&String> = scores.map(|score| &score.condition).collect();
        names.sort_unstable();
        for name in names {
            if !conditions.contains(name) {
                conditions.push(name.clone());
            }
        }
    }
    conditions
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::TryRecvError;

    use super::*;
    use crate::library::export::tests::record;
    use crate::scoring::Decision;

    #[test]
    fn a_file_is_written_whole_or_not_at_all_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let results = || {
            let records: Arc<[Record]> = [record(Decision::Confident)].into();
            vec![
                (PathBuf::from("a"), Arc::clone(&records)),
                (PathBuf::from("b"), records),
            ]
        };
        let written = write(&at("out.csv"), results(), None, |_, all| all == 2);
        assert_eq!(written.unwrap(), Some(2));
        let text = std::fs::read_to_string(at("out.csv")).unwrap();
        assert!(text.starts_with("path,frame,label,"), "{text}");
        let rows = csv::Reader::from_reader(text.as_bytes()).into_records();
        assert_eq!(rows.count(), 2, "{text}");
        let again = write(&at("out.csv"), results(), None, |_, _| true);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let stopped = write(&at("other.jsonl"), results(), None, |done, _| done < 1);
        assert_eq!(stopped.unwrap(), None);
        assert!(write(&at("no/such/folder.csv"), results(), None, |_, _| true).is_err());
        let names = std::fs::read_dir(folder.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["out.csv"]);
    }

    #[test]
    fn the_end_of_the_program_leaves_no_part_of_an_export() {
        let folder = tempfile::tempdir().unwrap();
        let records: Arc<[Record]> = [record(Decision::Confident)].into();
        let results: Vec<_> = (0..200_000)
            .map(|n| (PathBuf::from(n.to_string()), Arc::clone(&records)))
            .collect();
        // The program ends as soon as so many bytes have been written.
        for bytes in [0, 1, 1_000_000] {
            let (held, ended) = crossbeam_channel::bounded::<()>(0);
            let stopped = Arc::<AtomicBool>::default();
            let file = folder.path().join("out.jsonl");
            let stop = (Arc::clone(&stopped), held);
            export(file, results.clone(), None, stop, Arc::new(|_| true));
            let written = || {
                let mut files = std::fs::read_dir(folder.path()).unwrap();
                let file = files.next()?.unwrap().metadata();
                file.ok().map(|file| file.len())
            };
            let goes_on = || ended.try_recv() == Err(TryRecvError::Empty);
            while goes_on() && written().is_none_or(|written| written < bytes) {
                std::thread::yield_now();
            }
            stopped.store(true, Ordering::Relaxed);
            assert!(ended.recv().is_err(), "the export has ended");
            let left = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(left, 0, "after {bytes} bytes");
        }
    }
}
