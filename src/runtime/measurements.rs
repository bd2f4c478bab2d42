//! Stores measurements in the library, and looks up those of a file's content, on threads of their own.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};

use super::folders::{MsgSender, spawn};
use super::storing::Backlog;
use crate::app::{Effect, FoundFile, Measurement, MeasurementId, Msg, Severity, Stamp};
use crate::library::{self, FileIdentity, ImageContent, ImageFacts, Library, StoredMeasurement};
use crate::media;

/// Something to store.
enum MeasurementRequest {
    Keep(FoundFile, Box<Measurement>),
    Remove(MeasurementId),
    /// Everything before is done; then this sender is dropped.
    Finish(#[allow(dead_code, reason = "dropping it is the answer")] Sender<()>),
}

/// Stores measurements in the order of the requests. There are as many as a person makes, so none has to wait.
#[derive(Clone)]
pub(super) struct MeasurementWriter {
    library: Arc<Library>,
    requests: Sender<MeasurementRequest>,
    /// The changes that are not stored.
    pub(super) backlog: Backlog,
}

impl MeasurementWriter {
    /// Starts the thread.
    pub(super) fn start(library: Arc<Library>, send: MsgSender) -> Self {
        let (requests, received) = unbounded();
        let report = Arc::clone(&send);
        let written = Arc::clone(&library);
        let backlog = Backlog::default();
        let open = backlog.clone();
        spawn("measurements", &report, move || {
            let keys = Keys::new();
            for request in received {
                let done = match request {
                    MeasurementRequest::Keep(file, measurement) => {
                        keep(&written, &keys, &file, *measurement).map_err(|reason| {
                            let name = file.path.display();
                            format!("{name}: {reason}; its measurement is not stored")
                        })
                    }
                    MeasurementRequest::Remove(id) => {
                        written.remove_measurement(&keys.of(&id)).map_err(|error| {
                            let file = written.file().display();
                            format!("{file}: {error}; a measurement is not removed from it")
                        })
                    }
                    MeasurementRequest::Finish(done) => {
                        drop(done);
                        continue;
                    }
                };
                let severity = Severity::Error;
                match done {
                    Err(text)
                        if !send(Msg::Report {
                            severity,
                            text: text.clone(),
                        }) =>
                    {
                        open.fail(text);
                    }
                    _ => open.settle(),
                }
            }
        });
        Self {
            library,
            requests,
            backlog,
        }
    }

    /// Stores or removes a measurement; other effects do nothing.
    pub(super) fn perform(&self, effect: Effect) {
        let request = match effect {
            Effect::KeepMeasurement { file, measurement } => {
                MeasurementRequest::Keep(file, measurement)
            }
            Effect::RemoveMeasurement(id) => MeasurementRequest::Remove(id),
            _ => return,
        };
        self.backlog.add();
        if self.requests.send(request).is_err() {
            self.backlog.fail("their thread has ended".to_owned());
        }
    }

    /// Looks up the measurements of a file, if the library knows its content.
    pub(super) fn read(&self, file: FoundFile, send: MsgSender) {
        let library = Arc::clone(&self.library);
        let answer = Arc::clone(&send);
        spawn("stored-measurements", &answer, move || {
            let identity = FileIdentity::of(&file.path);
            let content = identity.and_then(|identity| library.content(&file.path, identity));
            let Some(content) = content else { return };
            let stored = library.measurements(&content.hash).into_iter();
            let all: Vec<Measurement> = stored.map(from_stored).collect();
            if !all.is_empty() {
                send(Msg::Measurements { file, all });
            }
        });
    }

    /// Waits at most `timeout` until nothing waits any more; false if something still does.
    pub(super) fn finish(&self, timeout: Duration) -> bool {
        let (done, ended) = bounded::<()>(0);
        let is_sent = self.requests.send(MeasurementRequest::Finish(done)).is_ok();
        !is_sent || ended.recv_timeout(timeout) != Err(RecvTimeoutError::Timeout)
    }
}

/// The keys of measurements in the library: those of this session have a number of their own.
struct Keys {
    session: u64,
}

impl Keys {
    fn new() -> Self {
        Self {
            session: rand::random(),
        }
    }

    fn of(&self, id: &MeasurementId) -> String {
        match id {
            MeasurementId::New(number) => format!("{:016x}-{number}", self.session),
            MeasurementId::Stored(key) => key.to_string(),
        }
    }
}

/// Stores a measurement on the content of a file. The error is a sentence without its end.
fn keep(
    library: &Library,
    keys: &Keys,
    file: &FoundFile,
    measurement: Measurement,
) -> Result<(), String> {
    let gone = || "the file cannot be read any more".to_owned();
    let identity = FileIdentity::of(&file.path).ok_or_else(gone)?;
    if Stamp::from(identity) != file.stamp {
        return Err("the file has changed since".to_owned());
    }
    let content = content(library, file, identity)?;
    let key = keys.of(&measurement.id);
    let Measurement {
        frame,
        figure,
        measured,
        unit,
        author,
        ..
    } = measurement;
    let stored = StoredMeasurement {
        key,
        frame,
        figure,
        measured,
        unit,
        author: author.unwrap_or_default(),
        at: library::now(),
    };
    let put = library.put_measurement(&content, &stored);
    put.map_err(|error| format!("{}: {error}", library.file().display()))
}

/// The content of a file: as the library knows it, else by reading the file.
fn content(
    library: &Library,
    file: &FoundFile,
    identity: FileIdentity,
) -> Result<ImageContent, String> {
    if let Some(known) = library.content(&file.path, identity) {
        return Ok(known);
    }
    let source = media::open(&file.path).map_err(|error| error.message)?;
    let content = ImageContent {
        hash: source.content().map_err(|error| error.message)?,
        facts: ImageFacts::new(source.info(), source.frame_order()),
    };
    // Noted, so that the measurements are found when the file is seen again.
    library.note_file(&file.path, identity, Arc::new(content.clone()));
    Ok(content)
}

fn from_stored(stored: StoredMeasurement) -> Measurement {
    Measurement {
        id: MeasurementId::Stored(stored.key.into()),
        frame: stored.frame,
        figure: stored.figure,
        measured: stored.measured,
        unit: stored.unit,
        author: Some(stored.author),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;
    use crate::app::Stamp;
    use crate::media::measure::{Figure, FigureKind, Measured};

    const LONG: Duration = Duration::from_secs(60);

    fn measurement(number: u64) -> Box<Measurement> {
        Box::new(Measurement {
            id: MeasurementId::New(number),
            frame: 0,
            figure: Figure {
                kind: FigureKind::Length,
                points: vec![[1.5, 1.5], [9.5, 4.5]],
            },
            measured: Measured::default(),
            unit: None,
            author: None,
        })
    }

    fn found(path: &Path) -> FoundFile {
        let identity = FileIdentity::of(path).expect("the file is there");
        FoundFile {
            path: path.to_owned(),
            stamp: Stamp::from(identity),
        }
    }

    /// A file, a library without it, and the sentences said.
    fn scene(
        home: &Path,
    ) -> (
        std::path::PathBuf,
        Arc<Library>,
        Arc<Mutex<Vec<String>>>,
        MsgSender,
    ) {
        let file = home.join("ct.dcm");
        let fixture = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/media/related/ct1.dcm"
        );
        std::fs::copy(fixture, &file).expect("copied");
        let library = Arc::new(Library::at(home.join("library"), None));
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&said);
        let send: MsgSender = Arc::new(move |msg| {
            if let Msg::Report { text, .. } = msg {
                heard.lock().expect("not poisoned").push(text);
            }
            true
        });
        (file, library, said, send)
    }

    #[test]
    fn what_is_measured_is_found_under_another_name_of_the_content() {
        let home = tempfile::tempdir().expect("a folder");
        let (file, library, said, send) = scene(home.path());
        let writer = MeasurementWriter::start(Arc::clone(&library), Arc::clone(&send));
        for number in 0..3 {
            writer.perform(Effect::KeepMeasurement {
                file: found(&file),
                measurement: measurement(number),
            });
        }
        writer.perform(Effect::RemoveMeasurement(MeasurementId::New(1)));
        writer.finish(LONG);
        let copy = home.path().join("copy.dcm");
        std::fs::copy(&file, &copy).expect("copied");
        let hash = media::open(&copy).and_then(|source| source.content());
        let stored = library.measurements(&hash.expect("read"));
        assert_eq!(stored.len(), 2);
        assert_eq!(stored[0].figure, measurement(0).figure);
        assert_ne!(stored[0].key, stored[1].key);
        assert_eq!(*said.lock().expect("not poisoned"), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_has_changed_since_keeps_no_measurement_and_says_so() {
        let home = tempfile::tempdir().expect("a folder");
        let (file, library, said, send) = scene(home.path());
        let before = found(&file);
        let other = file.with_file_name("ct2.dcm");
        std::fs::write(&other, b"something else").expect("written");
        std::fs::rename(&other, &file).expect("renamed");
        let writer = MeasurementWriter::start(library, send);
        writer.perform(Effect::KeepMeasurement {
            file: before,
            measurement: measurement(0),
        });
        writer.finish(LONG);
        let said = said.lock().expect("not poisoned");
        assert!(
            said[0].contains("ct.dcm: the file has changed since"),
            "{said:?}"
        );
    }
}
