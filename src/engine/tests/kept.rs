//! What was computed once is not computed again.

use super::*;
use crate::library::Embeddings;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/media")
}

/// Runs all fixtures through; what became of each, and how many pictures the model was given.
fn run(
    kept: Option<Arc<Embeddings>>,
    synthetic_only: bool,
    settings: Settings,
) -> (BTreeMap<PathBuf, Vec<Outcome>>, usize) {
    let settings = Settings {
        kept: kept.clone(),
        ..settings
    };
    let Bench {
        engine,
        events,
        batches,
    } = bench(Behaviour::Answer, synthetic_only, settings);
    for (generation, entry) in (0..).zip(std::fs::read_dir(folder()).unwrap()) {
        let job = Job {
            path: entry.unwrap().path(),
            lane: Lane::Bulk,
            generation,
        };
        engine.submit(job).unwrap();
    }
    engine.finish();
    if let Some(kept) = kept {
        kept.flush(Duration::from_secs(60));
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
fn the_next_engine_answers_from_what_is_kept_and_says_the_same() {
    let home = tempfile::tempdir().unwrap();
    let kept = || Some(Arc::new(Embeddings::at(home.path().join("kept"))));
    let all = || Settings {
        frames: Frames::All,
        ..settings()
    };
    let (first, computed) = run(kept(), false, all());
    assert!(computed > 100, "{computed} frames");
    let (second, again) = run(kept(), false, all());
    assert_eq!(again, 0, "frames computed twice");
    assert_eq!(first, second);
    let other = Settings {
        exact: true,
        ..all()
    };
    assert!(
        run(kept(), false, other).1 >= computed,
        "another preparation"
    );
    assert_eq!(run(None, false, all()), (first, computed));
}

#[test]
fn of_a_model_for_phantoms_nothing_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("kept");
    let (_, computed) = run(
        Some(Arc::new(Embeddings::at(file.clone()))),
        true,
        settings(),
    );
    assert!(computed > 10 && !file.exists());
}
