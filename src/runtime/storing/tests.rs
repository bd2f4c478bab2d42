use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::app::{Effect, FoundFile, Measurement, MeasurementId, Msg, Stamp};
use crate::library::{FileIdentity, Review, ReviewRequest};
use crate::media::measure::{Figure, FigureKind, Measured};

const LONG: Duration = Duration::from_secs(60);
/// Time that is up before anybody gives a lock up.
const SHORT: Duration = Duration::from_millis(20);

fn flag(name: &str) -> ReviewRequest {
    ReviewRequest::Store(Box::new(Review {
        content: format!("blake3:{name}"),
        prompts: "kinds".to_owned(),
        reviewer: "doe".to_owned(),
        path: name.into(),
        flagged: true,
        ..Review::default()
    }))
}

fn length(home: &Path) -> Effect {
    let path = home.join("ct.dcm");
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/media/related/ct1.dcm"
    );
    std::fs::copy(fixture, &path).expect("copied");
    let stamp = Stamp::from(FileIdentity::of(&path).expect("there"));
    Effect::KeepMeasurement {
        file: FoundFile { path, stamp },
        measurement: Box::new(Measurement {
            id: MeasurementId::New(1),
            frame: 0,
            figure: Figure {
                kind: FigureKind::Length,
                points: vec![[1.5, 1.5], [9.5, 4.5]],
            },
            measured: Measured::default(),
            unit: None,
            author: None,
        }),
    }
}

/// The threads of a library in this folder, which has been written to; the messages are heard or not.
fn storing(home: &Path, is_heard: bool) -> (Storing, Arc<Library>) {
    let library = Arc::new(Library::at(home.join("library"), None));
    library.review(&flag("before")).expect("stored");
    let send: super::super::folders::MsgSender = Arc::new(move |_: Msg| is_heard);
    let storing = Storing {
        reviews: Some(ReviewWriter::start(Arc::clone(&library), Arc::clone(&send))),
        measurements: Some(MeasurementWriter::start(Arc::clone(&library), send)),
        library: Some(Arc::clone(&library)),
    };
    (storing, library)
}

#[test]
fn what_waits_for_a_locked_library_is_named_and_stored_once_it_is_free() {
    let home = tempfile::tempdir().expect("a folder");
    let (storing, library) = storing(home.path(), false);
    let other = Connection::open(library.file()).expect("open");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let reviews = storing.reviews.as_ref().expect("there");
    reviews.request(flag("a"), None);
    reviews.request(flag("b"), None);
    let measurements = storing.measurements.as_ref().expect("there");
    measurements.perform(length(home.path()));
    let unstored = storing.finish(SHORT).expect_err("the library is locked");
    assert_eq!((unstored.reviews, unstored.measurements), (2, 1));
    assert!(unstored.may_follow);
    let text = unstored.to_string();
    assert!(
        text.starts_with("2 reviews and 1 measurement are not stored: another process"),
        "{text}"
    );
    other.execute_batch("ROLLBACK").expect("free");
    assert_eq!(storing.finish(LONG), Ok(()));
    assert_eq!(library.reviews().expect("read").len(), 3);
    assert_eq!(library.all_measurements().expect("read").len(), 1);
}

#[test]
fn what_cannot_be_stored_is_named_unless_the_user_has_seen_why() {
    for is_heard in [false, true] {
        let home = tempfile::tempdir().expect("a folder");
        let (storing, library) = storing(home.path(), is_heard);
        let other = Connection::open(library.file()).expect("open");
        other
            .execute_batch("DROP TABLE reviews; DROP TABLE measurements")
            .expect("dropped");
        let reviews = storing.reviews.as_ref().expect("there");
        reviews.request(flag("a"), None);
        let measurements = storing.measurements.as_ref().expect("there");
        measurements.perform(length(home.path()));
        let finished = storing.finish(LONG);
        if is_heard {
            assert_eq!(finished, Ok(()));
            continue;
        }
        let unstored = finished.expect_err("there is no table");
        assert_eq!((unstored.reviews, unstored.measurements), (1, 1));
        assert!(!unstored.may_follow && unstored.to_string().contains("no such table"));
    }
}
