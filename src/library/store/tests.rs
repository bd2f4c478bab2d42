use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::library::{Record, ResultSelection, export};

const LONG: Duration = Duration::from_secs(60);
const IDENTITY: FileIdentity = FileIdentity {
    size: 1,
    modified: 2,
    changed: 3,
    inode: 4,
};

fn numbers(n: u32) -> Arc<[f32]> {
    [n as f32, 0.5, -1e-30].into()
}

fn content(hash: &str) -> Arc<ImageContent> {
    let facts = ImageFacts {
        kind: FileFormat::Dicom,
        width: 4,
        height: 3,
        frames: 2,
        synthetic: false,
        modality: Some("CT".to_owned()),
        body_part: None,
        order: vec![1, 0],
        origin: DicomOrigin {
            instance: Some("1.2.3".to_owned()),
            ..DicomOrigin::default()
        },
        version: FACTS_VERSION,
    };
    Arc::new(ImageContent {
        hash: hash.to_owned(),
        facts,
    })
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("data/library.sqlite3");
    (home, file)
}

fn library(file: &Path) -> Library {
    Library::at(file.to_owned(), None)
}

/// The faults that a library reports.
fn faults(library: &Library) -> Arc<Mutex<Vec<String>>> {
    let faults: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&faults);
    library.report_faults_to(Box::new(move |sentence| {
        heard.lock().unwrap().push(sentence.to_owned());
    }));
    faults
}

fn put(library: &Library, hash: &str, frame: u32, model: &str, n: u32) {
    library.put_embedding(content(hash), frame, model, numbers(n));
}

#[test]
fn a_file_that_is_removed_or_replaced_under_the_program_is_told_once() {
    for replaced in [false, true] {
        let (_home, path) = file();
        let library = library(&path);
        let faults = faults(&library);
        put(&library, "blake3:1", 0, "m", 1);
        library.flush(LONG);
        assert!(faults.lock().unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
        if replaced {
            std::fs::write(&path, "").unwrap();
        }
        for n in [2, 3] {
            put(&library, "blake3:1", n, "m", n);
            library.flush(LONG);
        }
        let told = faults.lock().unwrap().clone();
        assert!(
            told.len() == 1 && told[0].contains("was removed or replaced"),
            "{told:?}"
        );
    }
}

#[test]
fn embeddings_are_there_after_a_restart_in_a_private_file() {
    let (_home, path) = file();
    let first = library(&path);
    assert_eq!(first.embedding("blake3:1", 0, "m"), None);
    for (frame, model, n) in [(0, "m", 1), (7, "m", 2), (0, "n", 3), (0, "m", 4)] {
        put(&first, "blake3:1", frame, model, n);
    }
    first.flush(LONG);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    for library in [&first, &library(&path)] {
        let get = |frame, model| library.embedding("blake3:1", frame, model);
        assert_eq!(
            get(0, "m"),
            Some(numbers(4).to_vec()),
            "the last one counts"
        );
        assert_eq!(get(7, "m"), Some(numbers(2).to_vec()));
        assert_eq!(get(0, "n"), Some(numbers(3).to_vec()));
        assert_eq!(
            (get(1, "m"), library.embedding("blake3:2", 0, "m")),
            (None, None)
        );
    }
}

#[test]
fn a_file_whose_facts_are_of_an_earlier_version_is_read_again_and_its_embeddings_are_still_found() {
    let (_home, path) = file();
    let first = library(&path);
    let image = Path::new("/in/a.dcm");
    first.note_file(image, IDENTITY, content("blake3:1"));
    put(&first, "blake3:1", 0, "m", 1);
    first.flush(LONG);
    let earlier = r#"{"kind":"dicom","width":4,"height":3,"frames":2,"synthetic":false,"modality":"CT","body_part":null,"order":[1,0]}"#;
    let connection = Connection::open(&path).unwrap();
    connection
        .execute("UPDATE contents SET facts = ?1", [earlier])
        .unwrap();
    assert_eq!(first.content(image, IDENTITY), None);
    assert_eq!(
        first.embedding("blake3:1", 0, "m"),
        Some(numbers(1).to_vec())
    );
    first.note_file(image, IDENTITY, content("blake3:1"));
    first.flush(LONG);
    assert_eq!(
        first.content(image, IDENTITY),
        Some((*content("blake3:1")).clone())
    );
}

#[test]
fn a_moved_file_is_known_where_it_is_and_only_there() {
    let (home, path) = file();
    let library = library(&path);
    let at = |name: &str| home.path().join(name);
    for name in ["old", "copy"] {
        std::fs::write(at(name), "image").unwrap();
        library.note_file(&at(name), IDENTITY, content("blake3:1"));
    }
    std::fs::rename(at("old"), at("moved")).unwrap();
    library.note_moved(&at("old"), &at("moved"));
    library.flush(LONG);
    let names = || column::<Vec<u8>>(&path, "SELECT path FROM files ORDER BY path");
    let bytes = |name: &str| writer::path_bytes(&at(name)).to_vec();
    assert_eq!(names(), [bytes("copy"), bytes("moved")]);
    // Nobody has said that this one was renamed.
    std::fs::rename(at("moved"), at("renamed")).unwrap();
    library.note_file(&at("renamed"), IDENTITY, content("blake3:1"));
    library.flush(LONG);
    assert_eq!(names(), [bytes("copy"), bytes("renamed")]);
}

#[test]
fn an_unchanged_file_is_known_by_its_path_and_a_changed_one_is_not() {
    let (_home, path) = file();
    let first = library(&path);
    let image = Path::new("/in/a.dcm");
    first.note_file(image, IDENTITY, content("blake3:1"));
    first.flush(LONG);
    let second = library(&path);
    assert_eq!(
        second.content(image, IDENTITY),
        Some((*content("blake3:1")).clone())
    );
    let changed = [
        FileIdentity {
            size: 9,
            ..IDENTITY
        },
        FileIdentity {
            modified: 9,
            ..IDENTITY
        },
        FileIdentity {
            changed: 9,
            ..IDENTITY
        },
        FileIdentity {
            inode: 9,
            ..IDENTITY
        },
    ];
    for identity in changed {
        assert_eq!(second.content(image, identity), None, "{identity:?}");
    }
    assert_eq!(second.content(Path::new("/in/b.dcm"), IDENTITY), None);
    second.note_file(image, changed[0], content("blake3:2"));
    second.flush(LONG);
    let now = second
        .content(image, changed[0])
        .map(|content| content.hash);
    assert_eq!(now.as_deref(), Some("blake3:2"));
    assert_eq!(second.content(image, IDENTITY), None, "one content a path");
}

#[test]
fn the_oldest_embeddings_are_removed_beyond_the_limit() {
    let (_home, path) = file();
    let library = Library {
        max_embeddings: 10,
        ..library(&path)
    };
    for n in 0..25 {
        put(&library, &n.to_string(), 0, "m", n);
    }
    library.flush(LONG);
    let there = (0..25).filter(|n| library.embedding(&n.to_string(), 0, "m").is_some());
    assert_eq!(there.collect::<Vec<u32>>(), (15..25).collect::<Vec<_>>());
    let review = Review {
        content: "16".to_owned(),
        labels: Some(Vec::new()),
        ..Review::default()
    };
    let request = ReviewRequest::Store(Box::new(review));
    library.review(&request).unwrap();
    for n in 25..35 {
        put(&library, &n.to_string(), 0, "m", n);
    }
    library.flush(LONG);
    let kept = (0..25).filter(|n| library.embedding(&n.to_string(), 0, "m").is_some());
    assert_eq!(kept.collect::<Vec<u32>>(), [16], "it was reviewed");
}

#[test]
fn a_damaged_file_is_set_aside_and_reported() {
    let (home, path) = file();
    std::fs::create_dir(home.path().join("data")).unwrap();
    let damaged = vec![b'x'; 5000];
    std::fs::write(&path, &damaged).unwrap();
    let library = library(&path);
    let faults = faults(&library);
    put(&library, "a", 0, "m", 1);
    library.flush(LONG);
    assert!(library.embedding("a", 0, "m").is_some());
    let faults = faults.lock().unwrap();
    assert!(
        faults.len() == 1 && faults[0].contains("is damaged"),
        "{faults:?}"
    );
    let entries = std::fs::read_dir(home.path().join("data")).unwrap();
    let aside = entries.map(|entry| entry.unwrap().path());
    let aside = aside.filter(|path| path.to_string_lossy().contains(".damaged-"));
    let aside: Vec<PathBuf> = aside.collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(std::fs::read(&aside[0]).unwrap(), damaged);
}

#[test]
fn a_newer_library_and_a_database_of_others_are_refused_and_stay_as_they_are() {
    for (newer, expected) in [(true, "a newer version"), (false, "not a library")] {
        let (home, path) = file();
        if newer {
            library(&path).note_file(Path::new("/a"), IDENTITY, content("a"));
            let first = library(&path);
            put(&first, "a", 0, "m", 1);
            first.flush(LONG);
            let other = Connection::open(&path).unwrap();
            other.pragma_update(None, "user_version", 99).unwrap();
        } else {
            std::fs::create_dir(home.path().join("data")).unwrap();
            let other = Connection::open(&path).unwrap();
            other.execute_batch("CREATE TABLE notes (text)").unwrap();
        }
        let refused = library(&path);
        let faults = faults(&refused);
        put(&refused, "b", 0, "m", 2);
        refused.flush(LONG);
        assert_eq!(refused.embedding("b", 0, "m"), None);
        let faults = faults.lock().unwrap();
        assert!(
            faults.len() == 1 && faults[0].contains(expected),
            "{faults:?}"
        );
        let other = Connection::open(&path).unwrap();
        let table = if newer { "embeddings" } else { "notes" };
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = other.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, i64::from(newer), "untouched");
    }
}

#[test]
fn a_library_that_cannot_be_made_remembers_nothing_and_blocks_nobody() {
    let (home, path) = file();
    std::fs::write(home.path().join("data"), "a file").unwrap();
    let library = library(&path);
    put(&library, "a", 0, "m", 1);
    library.flush(LONG);
    assert_eq!(library.embedding("a", 0, "m"), None);
    let faults = faults(&library);
    assert_eq!(faults.lock().unwrap().len(), 1, "told also afterwards");
}

#[test]
fn the_file_of_earlier_versions_is_taken_over_once() {
    let (home, path) = file();
    let previous = home.path().join("embeddings.sqlite3");
    let old = Connection::open(&previous).unwrap();
    old.execute_batch(
        "CREATE TABLE embeddings (key BLOB NOT NULL UNIQUE, embedding BLOB NOT NULL)",
    )
    .unwrap();
    let key = schema::previous_key("blake3:1", 3, "m");
    let bytes: Vec<u8> = numbers(5).iter().flat_map(|n| n.to_le_bytes()).collect();
    old.execute(
        "INSERT INTO embeddings VALUES (?1, ?2)",
        params![key.as_slice(), bytes],
    )
    .unwrap();
    drop(old);
    let library = Library::at(path, Some(previous.clone()));
    assert_eq!(
        library.embedding("blake3:1", 3, "m"),
        Some(numbers(5).to_vec())
    );
    assert_eq!(library.embedding("blake3:1", 2, "m"), None);
    assert!(!previous.exists());
}

#[test]
fn several_processes_write_and_read_one_library_at_once() {
    let (_home, path) = file();
    let libraries: Vec<_> = (0..3).map(|_| library(&path)).collect();
    let all_faults: Vec<_> = libraries.iter().map(faults).collect();
    std::thread::scope(|scope| {
        for (own, library) in libraries.iter().enumerate() {
            scope.spawn(move || {
                for n in 0..200 {
                    put(library, &format!("{own} {n}"), 0, "m", n);
                    library.embedding(&format!("{} {n}", (own + 1) % 3), 0, "m");
                }
                library.flush(LONG);
            });
        }
    });
    let all = (0..3).flat_map(|own| (0..200).map(move |n| format!("{own} {n}")));
    for hash in all {
        assert!(libraries[0].embedding(&hash, 0, "m").is_some(), "{hash}");
    }
    assert!(
        all_faults
            .iter()
            .all(|faults| faults.lock().unwrap().is_empty())
    );
}

#[test]
fn processes_that_make_a_library_at_the_same_moment_all_get_to_use_it() {
    for round in 0..20 {
        let (_home, path) = file();
        let start = std::sync::Barrier::new(6);
        let refused = std::thread::scope(|scope| {
            let opened: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        // It is closed at once: the last one that leaves changes the journal, too.
                        schema::open(&path, &|_| {}).err()
                    })
                })
                .collect();
            let refused = opened.into_iter().filter_map(|one| one.join().unwrap());
            refused.map(|error| error.to_string()).collect::<Vec<_>>()
        });
        assert!(refused.is_empty(), "round {round}: {refused:?}");
    }
}

#[test]
fn forgetting_a_file_forgets_its_content_under_every_name() {
    let (home, path) = file();
    let library = library(&path);
    let note = |name: &str, hash: &str| library.note_file(Path::new(name), IDENTITY, content(hash));
    for (name, hash) in [
        ("/in/a", "1"),
        ("/in/copy of a", "1"),
        ("/in/b", "2"),
        ("/in/c/d", "3"),
        ("/in/c-other", "4"),
    ] {
        note(name, hash);
        put(&library, hash, 0, "m", 1);
        put(&library, hash, 1, "m", 1);
    }
    library.flush(LONG);
    let forgotten = |contents, files, embeddings| Forgotten {
        contents,
        files,
        embeddings,
    };
    assert_eq!(
        library.forget_path(Path::new("/in/a")).unwrap(),
        forgotten(1, 2, 2)
    );
    assert_eq!(library.content(Path::new("/in/copy of a"), IDENTITY), None);
    assert_eq!(library.embedding("1", 0, "m"), None);
    assert_eq!(
        library.forget_path(Path::new("/in/c")).unwrap(),
        forgotten(1, 1, 2)
    );
    assert!(
        library
            .content(Path::new("/in/c-other"), IDENTITY)
            .is_some()
    );
    assert_eq!(library.forget_hash("2").unwrap(), forgotten(1, 1, 2));
    assert_eq!(library.forget_hash("2").unwrap(), Forgotten::default());
    let state = library.state().unwrap().unwrap();
    assert_eq!((state.files, state.contents, state.embeddings), (1, 1, 2));
    library.vacuum().unwrap();
    for entry in std::fs::read_dir(home.path().join("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let name = b"copy of a";
        let found = bytes.windows(name.len()).any(|window| window == name);
        assert!(!found, "the name is still in a file");
    }
}

#[test]
fn a_backup_is_a_library_of_its_own_and_overwrites_nothing() {
    let (home, path) = file();
    let library = library(&path);
    put(&library, "1", 0, "m", 1);
    library.flush(LONG);
    let copy = home.path().join("copy");
    library.backup(&copy).unwrap();
    assert!(library.backup(&copy).is_err());
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let copy = super::Library::at(copy, None);
    assert_eq!(copy.embedding("1", 0, "m"), Some(numbers(1).to_vec()));
    assert_eq!(copy.check().unwrap(), Vec::<String>::new());
}

#[test]
fn damage_within_the_file_is_found() {
    let (_home, path) = file();
    let first = library(&path);
    for n in 0..2000 {
        put(&first, &n.to_string(), 0, "m", n);
    }
    first.flush(LONG);
    first.vacuum().unwrap();
    drop(first);
    let connection = Connection::open(&path).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let mut bytes = std::fs::read(&path).unwrap();
    let page = 16_384;
    for n in 4..bytes.len() / page {
        bytes[n * page..n * page + 200].fill(0xFF);
    }
    std::fs::write(&path, bytes).unwrap();
    let damaged = library(&path);
    let faults = damaged.check();
    assert!(faults.map_or(true, |faults| !faults.is_empty()));
}

/// A record of a content's frame, as the output formats test it.
fn record(hash: &str, frame: Option<u32>) -> Record {
    let decision = crate::scoring::Decision::Confident;
    Record {
        content: hash.to_owned(),
        frame,
        ..crate::library::export::tests::record(decision)
    }
}

/// The first column of each row.
fn column<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> Vec<T> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_library_of_an_earlier_version_keeps_what_it_holds() {
    let (home, path) = file();
    std::fs::create_dir(home.path().join("data")).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(schema::MIGRATIONS[0]).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 0x4D56544C; PRAGMA user_version = 1;
         INSERT INTO contents VALUES (1, 'blake3:1', '{}');
         INSERT INTO models VALUES (1, 'm');",
    )
    .unwrap();
    let bytes: Vec<u8> = numbers(5).iter().flat_map(|n| n.to_le_bytes()).collect();
    let sql = "INSERT INTO embeddings VALUES (1, 1, 1, 0, ?1)";
    old.execute(sql, [bytes]).unwrap();
    drop(old);
    let library = library(&path);
    assert_eq!(
        library.embedding("blake3:1", 0, "m"),
        Some(numbers(5).to_vec())
    );
    library.put_results(vec![[record("blake3:1", Some(0))].into()]);
    library.flush(LONG);
    assert_eq!(library.state().unwrap().unwrap().results, 1);
}

#[test]
fn other_processes_learn_which_files_got_results() {
    let (_home, path) = file();
    let (own, other) = (library(&path), library(&path));
    let files = |names: &[&str], content: &str| {
        let files = names.iter().map(|name| FileWithResult {
            path: PathBuf::from(name),
            content: content.to_owned(),
        });
        files.collect::<Vec<_>>()
    };
    assert_eq!(other.changes(0), Some((vec![], 0)));
    for (name, hash) in [("/in/b", "1"), ("/in/copy of b", "1"), ("/in/a", "2")] {
        own.note_file(Path::new(name), IDENTITY, content(hash));
    }
    let results = |hash: &str| vec![Arc::from([record(hash, Some(0)), record(hash, None)])];
    own.put_results(results("1"));
    own.put_results(results("unknown"));
    own.flush(LONG);
    let (changed, position) = other.changes(0).unwrap();
    assert_eq!(changed, files(&["/in/b", "/in/copy of b"], "1"));
    assert_eq!(other.changes(position), Some((vec![], position)));
    assert_eq!(other.changes(i64::MAX), Some((vec![], position)));
    own.put_results(results("1"));
    own.put_results(results("2"));
    own.flush(LONG);
    let (changed, _) = other.changes(position).unwrap();
    let expected = files(&["/in/a"], "2");
    assert_eq!(changed, expected, "the same result is no change");
    assert_eq!(own.state().unwrap().unwrap().results, 4);
}

/// All results in the library, in their order; `all`: not only the last one of each frame.
fn stored(library: &Library, all: bool) -> Vec<Record> {
    let mut found = Vec::new();
    let selection = ResultSelection {
        all,
        ..ResultSelection::default()
    };
    library
        .stored_results(&selection, &mut |_, record| {
            found.push(record);
            true
        })
        .unwrap();
    found
}

#[test]
fn a_result_that_says_something_else_replaces_the_one_before_and_is_a_change() {
    let (_home, path) = file();
    let library = library(&path);
    library.note_file(Path::new("/in/a"), IDENTITY, content("1"));
    let put = |record: &Record| {
        library.put_results(vec![[record.clone()].into()]);
        library.flush(LONG);
    };
    let first = record("1", Some(0));
    assert!(!first.calibrated && first.learned.is_none());
    put(&first);
    let (_, position) = library.changes(0).unwrap();
    // The time alone makes no other result of it.
    let mut again = first.clone();
    again.at = "2031-01-31T10:00:00Z".to_owned();
    put(&again);
    assert_eq!(stored(&library, true)[0].at, first.at);
    assert_eq!(library.changes(position), Some((vec![], position)));
    again.verdict.probability -= 0.01;
    put(&again);
    let found = stored(&library, true);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].verdict.probability, &found[0].at),
        (again.verdict.probability, &again.at)
    );
    let (changed, last) = library.changes(position).unwrap();
    assert_eq!(changed.len(), 1);
    assert!(last > position);
}

#[test]
fn the_result_that_was_computed_last_is_the_last_one_also_if_it_says_what_it_said_before() {
    let (_home, path) = file();
    let library = library(&path);
    library.note_file(Path::new("/in/a"), IDENTITY, content("1"));
    let put = |prompts: &str, at: &str| {
        let of = |frame| Record {
            prompts: prompts.to_owned(),
            at: at.to_owned(),
            ..record("1", frame)
        };
        library.put_results(vec![[of(Some(0)), of(None)].into()]);
        library.flush(LONG);
    };
    // All within one second.
    let at = "2031-01-31T10:00:00Z";
    for prompts in ["general", "chest-xray"] {
        put(prompts, at);
    }
    let (_, position) = library.changes(0).unwrap();
    for prompts in ["general", "chest-xray", "general"] {
        put(prompts, at);
        let last = stored(&library, false).into_iter();
        let last: Vec<String> = last.map(|record| record.prompts).collect();
        assert_eq!(last, [prompts, prompts]);
    }
    assert_eq!(library.changes(position), Some((vec![], position)));
    assert_eq!(stored(&library, true).len(), 4);
    put("general", "2032-01-31T10:00:00Z");
    assert_eq!(stored(&library, false)[0].at, at, "nothing is written");
}

#[test]
fn results_of_an_earlier_version_are_in_the_order_of_their_numbers_until_computed_again() {
    let (home, path) = file();
    std::fs::create_dir(home.path().join("data")).unwrap();
    let library = library(&path);
    library.note_file(Path::new("/in/a"), IDENTITY, content("1"));
    let of = |prompts: &str| Record {
        prompts: prompts.to_owned(),
        ..record("1", Some(0))
    };
    library.put_results(vec![[of("b")].into(), [of("a")].into()]);
    library.flush(LONG);
    let old = Connection::open(&path).unwrap();
    old.execute("UPDATE results SET recency = 0", []).unwrap();
    assert_eq!(stored(&library, false)[0].prompts, "a");
    library.put_results(vec![[of("b")].into()]);
    library.flush(LONG);
    assert_eq!(stored(&library, false)[0].prompts, "b");
}

#[test]
fn the_oldest_results_are_forgotten_and_replaced_ones_do_not_count() {
    let (_home, path) = file();
    let library = library(&path);
    for hash in ["1", "2", "3"] {
        library.note_file(&Path::new("/in").join(hash), IDENTITY, content(hash));
        library.put_results(vec![[record(hash, Some(0))].into()]);
    }
    for change in 1..5 {
        let mut again = record("3", Some(0));
        again.verdict.probability = f64::from(change) / 10.0;
        library.put_results(vec![[again].into()]);
    }
    library.flush(LONG);
    let left = |max: i64| {
        let mut connection = Connection::open(&path).unwrap();
        let change = connection.transaction().unwrap();
        results::forget_oldest(&change, max).unwrap();
        change.commit().unwrap();
        let all = stored(&library, true).into_iter();
        all.map(|record| record.content).collect::<Vec<_>>()
    };
    assert_eq!(left(3), ["1", "2", "3"]);
    assert_eq!(left(2), ["2", "3"]);
}

#[test]
fn every_line_is_in_the_audit_until_its_content_is_forgotten() {
    let (_home, path) = file();
    let library = Arc::new(library(&path));
    library.note_file(Path::new("/in/a"), IDENTITY, content("blake3:1"));
    let output = OutputId::stdout(Path::new("/in"));
    let event = AuditEvent::Printed;
    let mut log = OutputLog::new(Arc::clone(&library), event, Some(output.clone()));
    let outcomes = [
        Ok(record("blake3:1", Some(0))),
        Ok(record("blake3:1", None)),
        Ok(record("blake3:2", Some(0))),
        Err(crate::media::MediaError::new(crate::media::ErrorKind::Truncated, "/in/c ends").into()),
    ];
    let mut written = export::WrittenLines::remembered(HashSet::new());
    for outcome in &outcomes {
        let key = written.key(Path::new("/in/a"), outcome).unwrap();
        assert!(written.insert(key));
        log.add(Some(key), outcome);
    }
    library.flush(LONG);
    assert_eq!(library.lines(&output).len(), 0, "not flushed yet");
    log.flushed();
    library.flush(LONG);
    assert_eq!(library.lines(&output).len(), 4);
    let rows = "SELECT event || ' ' || ifnull(hash, '-') || ' ' || ifnull(frame, '-') || ' ' || ifnull(label, '-') || ' ' || \
                ifnull(error, '-') || ' ' || ifnull(model, '-') FROM audit_log";
    let model = record("", None).model;
    let label = record("", None).verdict.label;
    let expected = [
        format!("printed blake3:1 0 {label} - {model}"),
        format!("printed blake3:1 -1 {label} - {model}"),
        format!("printed blake3:2 0 {label} - {model}"),
        "printed - - - truncated -".to_owned(),
    ];
    assert_eq!(column::<String>(&path, rows), expected);
    let changed = Connection::open(&path).unwrap();
    assert!(changed.execute("UPDATE audit SET label = 'x'", []).is_err());
    library.forget_hash("blake3:1").unwrap();
    let left = [&expected[2], &expected[3], "forgotten - - - - -"];
    assert_eq!(column::<String>(&path, rows), left);
    assert_eq!(library.lines(&output).len(), 2);
}

#[test]
fn an_output_that_was_rotated_goes_on_and_one_that_was_replaced_begins_anew() {
    let (home, path) = file();
    let library = library(&path);
    let output = |name: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, "").unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        OutputId::file(&home.path().join("out"), &metadata)
    };
    let (first, second) = (output("1"), output("2"));
    let keys = [[1; 16], [2; 16]];
    library.output_goes_on(first.clone(), keys.to_vec());
    assert_eq!(library.lines(&first), HashSet::from(keys));
    assert_eq!(library.lines(&second), HashSet::new());
    library.output_goes_on(second.clone(), vec![[3; 16]]);
    assert_eq!(library.lines(&second), HashSet::from([[3; 16]]));
    assert_eq!(library.lines(&first), HashSet::new());
}

#[test]
fn another_content_with_the_same_sop_instance_uid_is_reported_once() {
    let (_home, path) = file();
    let first = library(&path);
    let conflicts = |library: &Library| {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let own = Arc::clone(&heard);
        library.report_conflicts_to(Box::new(move |sentence| {
            own.lock().unwrap().push(sentence.to_owned());
        }));
        heard
    };
    let heard = conflicts(&first);
    let instance = |hash: &str, uid: &str| {
        let mut content = (*content(hash)).clone();
        content.facts.origin.instance = Some(uid.to_owned());
        Arc::new(content)
    };
    let note = |library: &Library, name: &str, hash: &str, uid: &str| {
        library.note_instance(Path::new(name), instance(hash, uid));
        library.flush(LONG);
    };
    note(&first, "/in/a", "1", "1.2");
    note(&first, "/in/copy of a", "1", "1.2");
    note(&first, "/in/b", "2", "1.3");
    assert_eq!(*heard.lock().unwrap(), Vec::<String>::new());
    note(&first, "/in/c", "3", "1.2");
    note(&first, "/in/b", "4", "1.3");
    let second = library(&path);
    let again = conflicts(&second);
    note(&second, "/in/c", "3", "1.2");
    assert_eq!(*again.lock().unwrap(), Vec::<String>::new(), "once");
    assert_eq!(
        *heard.lock().unwrap(),
        [
            "/in/c: has the SOP Instance UID of /in/a, but another content",
            "/in/b: was replaced by another content with the same SOP Instance UID",
        ]
    );
}

fn measurement(key: &str, mean: f64) -> StoredMeasurement {
    use crate::media::measure::{Figure, FigureKind, Measured, RegionStatistics};
    let statistics = RegionStatistics {
        pixels: 12,
        mean,
        deviation: 0.1 + 0.2,
        min: -1024.0,
        max: 1e-7,
    };
    StoredMeasurement {
        key: key.to_owned(),
        frame: 3,
        figure: Figure {
            kind: FigureKind::Ellipse,
            points: vec![[0.5, 1.5], [20.5, 11.5]],
        },
        measured: Measured {
            statistics: Some(statistics),
            ..Measured::default()
        },
        unit: Some("HU".to_owned()),
        author: "doe".to_owned(),
        at: "2026-01-31T10:00:00Z".to_owned(),
    }
}

#[test]
fn measurements_are_there_after_a_restart_under_their_content() {
    let (_home, path) = file();
    let first = library(&path);
    let put = |hash: &str, key: &str, mean: f64| {
        let content = content(&format!("blake3:{hash}"));
        let stored = first.put_measurement(&content, &measurement(key, mean));
        stored.unwrap();
    };
    assert_eq!(first.measurements("blake3:1"), []);
    for (hash, key, mean) in [("1", "a", 1.0), ("1", "b", 2.5), ("2", "c", 3.0)] {
        put(hash, key, mean);
    }
    put("1", "a", 7.0);
    put("1", "d", 4.0);
    first.remove_measurement("d").unwrap();
    first.remove_measurement("unknown").unwrap();
    for library in [&first, &library(&path)] {
        let expected = [measurement("a", 7.0), measurement("b", 2.5)];
        assert_eq!(library.measurements("blake3:1"), expected);
        assert_eq!(library.measurements("blake3:2"), [measurement("c", 3.0)]);
    }
    first.forget_hash("blake3:1").unwrap();
    assert_eq!(first.measurements("blake3:1"), []);
    assert_eq!(first.measurements("blake3:2").len(), 1);
}

#[test]
fn an_internal_error_of_the_writer_is_told_and_it_goes_on() {
    let (_home, path) = file();
    let library = library(&path);
    let faults = faults(&library);
    library.report_conflicts_to(Box::new(|_| panic!("requested by the test")));
    for hash in ["blake3:1", "blake3:2"] {
        let mut content = (*content(hash)).clone();
        content.facts.origin.instance = Some("1.2.3".to_owned());
        library.note_instance(Path::new(hash), Arc::new(content));
    }
    assert!(!library.flush(LONG), "it was lost");
    let told = faults.lock().unwrap().clone();
    assert!(
        told.len() == 1 && told[0].contains("internal error"),
        "{told:?}"
    );
    put(&library, "blake3:1", 0, "m", 1);
    assert!(library.flush(LONG));
    assert!(library.embedding("blake3:1", 0, "m").is_some());
}

mod damage;
