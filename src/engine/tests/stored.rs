//! Embeddings in the store are not computed again.

use super::*;
use crate::library::EmbeddingStore;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media")
}

/// Classifies all fixtures; returns the outcomes, and the number of images that the model encoded.
fn run(
    store: Option<Arc<EmbeddingStore>>,
    synthetic_only: bool,
    settings: Settings,
) -> (BTreeMap<PathBuf, Vec<Outcome>>, usize) {
    let settings = Settings {
        embeddings: store.clone(),
        ..settings
    };
    let TestEngine {
        engine,
        events,
        batches,
    } = start(Behaviour::Answer, synthetic_only, settings);
    for (generation, entry) in (0..).zip(std::fs::read_dir(folder()).unwrap()) {
        let job = Job {
            path: entry.unwrap().path(),
            lane: Lane::Bulk,
            generation,
        };
        engine.submit(job).unwrap();
    }
    engine.finish();
    if let Some(store) = store {
        store.flush(Duration::from_secs(60));
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

#[test]
fn the_next_engine_gives_the_same_results_from_stored_embeddings() {
    let home = tempfile::tempdir().unwrap();
    let store = || Some(Arc::new(EmbeddingStore::at(home.path().join("store"))));
    let all = || Settings {
        frames: FrameSelection::All,
        ..settings()
    };
    let (first, computed) = run(store(), false, all());
    assert!(computed > 100, "{computed} frames");
    let (second, again) = run(store(), false, all());
    assert_eq!(again, 0, "frames encoded twice");
    assert_eq!(first, second);
    let other = Settings {
        exact: true,
        ..all()
    };
    assert!(
        run(store(), false, other).1 >= computed,
        "other preprocessing"
    );
    assert_eq!(run(None, false, all()), (first, computed));
}

#[test]
fn embeddings_of_a_model_for_phantoms_are_not_stored() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("store");
    let (_, computed) = run(
        Some(Arc::new(EmbeddingStore::at(file.clone()))),
        true,
        settings(),
    );
    assert!(computed > 10 && !file.exists());
}
