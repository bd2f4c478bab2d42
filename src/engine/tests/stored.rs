//! What the library knows is not computed again.

use super::*;
use crate::library::Library;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media")
}

/// Classifies all fixtures; returns the outcomes, and the number of images that the model encoded.
fn run(
    library: Option<Arc<Library>>,
    is_builtin: bool,
    settings: Settings,
) -> (BTreeMap<PathBuf, Vec<Outcome>>, usize) {
    let settings = Settings {
        library: library.clone(),
        ..settings
    };
    let TestEngine {
        engine,
        events,
        batches,
    } = start(Behaviour::Answer, is_builtin, settings);
    for (generation, entry) in (0..).zip(std::fs::read_dir(folder()).unwrap()) {
        let job = Job {
            path: entry.unwrap().path(),
            lane: Lane::Bulk,
            generation,
        };
        engine.submit(job).unwrap();
    }
    engine.finish();
    if let Some(library) = library {
        library.flush(Duration::from_secs(60));
    }
    let mut outcomes = BTreeMap::new();
    for event in events.try_iter() {
        if let Event::Done {
            path,
            outcomes: mut all,
            ..
        } = event
        {
            for record in all.iter_mut().flatten() {
                record.at.clear();
            }
            outcomes.insert(path, all);
        }
    }
    (outcomes, batches.try_iter().sum())
}

/// Waits until files are known by their times: one that was only just written could change again without these telling.
fn until_settled(paths: &[PathBuf]) {
    let is_settled = |path: &PathBuf| {
        let identity = crate::library::FileIdentity::of(path).unwrap();
        identity.tells_changes_after(std::time::SystemTime::now())
    };
    while !paths.iter().all(is_settled) {
        std::thread::yield_now();
    }
}

#[test]
fn the_next_engine_gives_the_same_results_from_stored_embeddings() {
    let home = tempfile::tempdir().unwrap();
    let library = || Some(Arc::new(Library::at(home.path().join("library"), None)));
    let all = || Settings {
        frames: FrameSelection::All,
        ..settings()
    };
    let (first, computed) = run(library(), false, all());
    assert!(computed > 100, "{computed} frames");
    let (second, again) = run(library(), false, all());
    assert_eq!(again, 0, "frames encoded twice");
    assert_eq!(first, second);
    let other = Settings {
        exact: true,
        ..all()
    };
    // Fixtures with the same content: with a library, the second is not encoded if the first is stored by then.
    assert!(run(library(), false, other).1 > 100, "other preprocessing");
    let (without, encoded) = run(None, false, all());
    assert_eq!(without, first);
    assert!(encoded >= computed, "{encoded} of {computed} frames");
}

#[test]
fn an_unchanged_file_is_not_opened_and_a_copy_is_not_encoded() {
    let home = tempfile::tempdir().unwrap();
    let (folder, paths) = pictures(3);
    let classify = |paths: &[PathBuf]| {
        let library = Arc::new(Library::at(home.path().join("library"), None));
        let settings = Settings {
            library: Some(Arc::clone(&library)),
            ..settings()
        };
        // Phantoms are remembered, too.
        let test = start(Behaviour::Answer, true, settings);
        let batches = test.batches.clone();
        for (n, path) in paths.iter().enumerate() {
            test.submit(path, Lane::Bulk, n as u64);
        }
        let done = test.finish();
        library.flush(Duration::from_secs(60));
        let labels = done.into_values().map(|outcomes| {
            let record = outcomes[0].as_ref().unwrap();
            (record.verdict.label.clone(), record.content.clone())
        });
        (
            labels.collect::<Vec<_>>(),
            batches.try_iter().sum::<usize>(),
        )
    };
    until_settled(&paths);
    let (first, encoded) = classify(&paths);
    assert_eq!(encoded, 3);

    let inotify = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::NONBLOCK).unwrap();
    let opened = rustix::fs::inotify::WatchFlags::OPEN;
    for path in &paths {
        rustix::fs::inotify::add_watch(&inotify, path, opened).unwrap();
    }
    assert_eq!(classify(&paths), (first.clone(), 0));
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut events = rustix::fs::inotify::Reader::new(&inotify, &mut buffer);
    let event = events.next();
    assert!(event.is_err(), "a file was opened: {event:?}");

    let copy = folder.path().join("copy.png");
    std::fs::copy(&paths[2], &copy).unwrap();
    image::GrayImage::from_pixel(9, 7, image::Luma([200]))
        .save(&paths[0])
        .unwrap();
    let files = [copy, paths[0].clone()];
    let (labels, encoded) = classify(&files);
    assert_eq!(encoded, 1, "the file with another content");
    assert_eq!(labels[0], first[2]);
    assert_ne!(labels[1].1, first[0].1);
}

#[test]
fn recalled_results_equal_those_of_a_job_and_need_neither_file_nor_model() {
    let home = tempfile::tempdir().unwrap();
    let (folder, mut paths) = pictures(3);
    let library = Arc::new(Library::at(home.path().join("library"), None));
    let settings = || Settings {
        library: Some(Arc::clone(&library)),
        ..settings()
    };
    until_settled(&paths);
    // The model is for phantoms, and rejects these images.
    let first = start(Behaviour::Answer, true, settings());
    for (n, path) in paths.iter().enumerate() {
        first.submit(path, Lane::Bulk, n as u64);
    }
    let done = first.finish();
    library.flush(Duration::from_secs(60));

    // A job keeps the model busy meanwhile.
    let (go, until) = crossbeam_channel::bounded::<()>(0);
    let test = start(Behaviour::Wait(until), true, settings());
    let other = folder.path().join("other.png");
    image::GrayImage::from_pixel(9, 7, image::Luma([200]))
        .save(&other)
        .unwrap();
    test.submit(&other, Lane::Bulk, 0);
    assert_eq!(test.batches.recv(), Ok(1));
    paths.push(other.clone());
    test.engine.recall(paths.clone());
    let (files, missing) = test
        .events
        .iter()
        .find_map(|event| match event {
            Event::Recalled { files, missing } => Some((files, missing)),
            _ => None,
        })
        .unwrap();
    assert_eq!(missing, [other]);
    assert_eq!(files.len(), 3);
    for (n, file) in (0..).zip(files) {
        let mut expected = done[&n][0].clone().unwrap();
        assert_eq!(expected.verdict.decision, Decision::Rejected);
        expected.at.clone_from(&file.records[0].at);
        assert_eq!(*file.records, [expected]);
        assert_eq!(
            Some(file.identity),
            crate::library::FileIdentity::of(&file.path)
        );
    }
    drop(go);
}

#[test]
fn engines_with_different_prompts_that_recall_the_same_files_come_to_rest() {
    let home = tempfile::tempdir().unwrap();
    let (_folder, paths) = pictures(3);
    until_settled(&paths);
    let libraries: Vec<_> = ["general", "chest-xray"]
        .into_iter()
        .map(|prompts| {
            let library = Arc::new(Library::at(home.path().join("library"), None));
            let settings = Settings {
                prompts: Prompts::select(prompts, None).unwrap(),
                library: Some(Arc::clone(&library)),
                ..settings()
            };
            (library, settings)
        })
        .collect();
    let (library, settings) = &libraries[0];
    let first = start(Behaviour::Answer, false, settings.clone());
    for (n, path) in (0..).zip(&paths) {
        first.submit(path, Lane::Bulk, n);
    }
    first.finish();
    library.flush(Duration::from_secs(60));

    let (before, mut position) = library.changes(0).unwrap();
    assert_eq!(before.len(), 3);
    // Only the results of the other prompts are new, and only once.
    for (round, (library, settings)) in libraries.iter().cycle().take(6).enumerate() {
        let test = start(Behaviour::Answer, false, settings.clone());
        let is_ready = |event: &Event| matches!(event, Event::Ready { .. });
        assert!(test.events.iter().any(|event| is_ready(&event)));
        test.engine.recall(paths.clone());
        let recalled = test.events.iter().find_map(|event| match event {
            Event::Recalled { files, .. } => Some(files.len()),
            _ => None,
        });
        assert_eq!(recalled, Some(3));
        test.finish();
        library.flush(Duration::from_secs(60));
        let (changed, last) = library.changes(position).unwrap();
        assert_eq!(changed.len(), if round == 1 { 3 } else { 0 }, "{round}");
        position = last;
    }
}
