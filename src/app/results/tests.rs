use super::*;
use crate::jobs::JobCommand;
use crate::media::ErrorKind;
use proptest::prelude::*;

fn stamp(size: u64) -> Stamp {
    Stamp {
        modified: None,
        size,
    }
}

fn ask(results: &mut Results, path: &str, size: u64, certainty: Certainty) -> u64 {
    let path = PathBuf::from(path);
    let stamp = stamp(size);
    results.ask(
        FoundFile { path, stamp },
        Lane::Bulk,
        Reason::Arrived,
        certainty,
    );
    let commands = results.jobs_mut().commands();
    let started = commands
        .into_iter()
        .rev()
        .find_map(|command| match command {
            JobCommand::Start(job) => Some(job.generation),
            _ => None,
        });
    started.expect("it is started")
}

fn unsupported(content: FileContent) -> Vec<Outcome> {
    vec![Err(Failure {
        kind: ErrorKind::Unsupported,
        message: "x".to_owned(),
        content,
    })]
}

#[test]
fn an_answer_about_an_older_content_is_dropped() {
    let mut results = Results::default();
    let old = ask(&mut results, "/d/a", 1, Certainty::Told);
    let new = ask(&mut results, "/d/a", 2, Certainty::Told);
    assert_eq!(results.answer(old, unsupported(FileContent::Image)), None);
    assert_eq!(results.get(Path::new("/d/a")), Some(&FileState::Queued));
    assert!(
        results
            .answer(new, unsupported(FileContent::Image))
            .is_some()
    );
    assert_eq!(
        results.answer(99, unsupported(FileContent::Image)),
        None,
        "never asked"
    );
}

#[test]
fn a_renamed_folder_takes_its_results_along_and_what_was_awaited() {
    let mut results = Results::default();
    let first = ask(&mut results, "/r/a/1", 1, Certainty::Told);
    ask(&mut results, "/r/a/2", 2, Certainty::Told);
    results.answer(first, unsupported(FileContent::Image));
    results.rename(Path::new("/r/a"), Path::new("/r/b/c"));
    let state = |path: &str| results.get(Path::new(path)).map(FileState::status);
    assert_eq!(state("/r/b/c/1"), Some(FileStatus::Failed));
    assert_eq!(state("/r/b/c/2"), Some(FileStatus::Queued));
    assert_eq!(state("/r/a/1"), None);
    assert_eq!(results.tally(Path::new("/r/a")), None);
    let tally = results.tally(Path::new("/r/b"));
    assert_eq!(tally.map(|t| t.count(FileStatus::Failed)), Some(1));
}

#[test]
fn what_came_and_is_no_image_leaves_no_trace_unless_it_was_asked_for() {
    for (certainty, shown, kept) in [
        (Certainty::Told, true, true),
        (Certainty::Assumed, true, false),
        (Certainty::Doubted, false, false),
    ] {
        let mut results = Results::default();
        let generation = ask(&mut results, "/d/notes.txt", 1, certainty);
        let path = Path::new("/d/notes.txt");
        assert_eq!(results.queued_count(), usize::from(shown), "{certainty:?}");
        assert!(results.knows(path, stamp(1)), "it is not asked twice");
        results.answer(generation, unsupported(FileContent::Other));
        assert_eq!(results.get(path).is_some(), kept, "{certainty:?}");
        assert_eq!(results.tally(Path::new("/d")).is_some(), kept);
    }
    let mut results = Results::default();
    let generation = ask(&mut results, "/d/a", 1, Certainty::Doubted);
    results.answer(generation, unsupported(FileContent::Image));
    assert!(results.get(Path::new("/d/a")).is_some(), "it became one");
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u8, bool),
    Answer(u64, bool),
    Remove(u8),
    Rename(u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..6u8, any::<bool>()).prop_map(|(f, d)| Step::Ask(f, d)),
        (0..30u64, any::<bool>()).prop_map(|(g, n)| Step::Answer(g, n)),
        (0..8u8).prop_map(Step::Remove),
        (0..8u8, 0..8u8).prop_map(|(f, t)| Step::Rename(f, t)),
    ];
    prop::collection::vec(step, 0..60)
}

/// Six files in two folders; 6 and 7 are the folders.
fn path(n: u8) -> PathBuf {
    match n {
        6 | 7 => PathBuf::from(format!("/r/{}", n - 6)),
        n => PathBuf::from(format!("/r/{}/{n}", n % 2)),
    }
}

proptest! {
    #[test]
    fn tallies_always_agree_with_the_states(steps in steps()) {
        let mut results = Results::default();
        for step in steps {
            match step {
                Step::Ask(f, doubted) => {
                    let certainty = if doubted { Certainty::Doubted } else { Certainty::Assumed };
                    let found = FoundFile { path: path(f), stamp: stamp(1) };
                    results.ask(found, Lane::Bulk, Reason::Wanted, certainty);
                }
                Step::Answer(g, is_image) => {
                    results.jobs_mut().commands();
                    let content = if is_image { FileContent::Image } else { FileContent::Other };
                    results.answer(g, unsupported(content));
                }
                Step::Remove(f) => results.removed(&path(f)),
                Step::Rename(f, t) if (f < 6) == (t < 6) && f != t => { results.rename(&path(f), &path(t)); }
                Step::Rename(..) => {}
            }
        }
        let mut expected = HashMap::new();
        for (file, known) in &results.files {
            for (dir, state) in file.ancestors().skip(1).zip(std::iter::repeat(&known.state)) {
                if let Some(state) = state {
                    expected.entry(dir.to_owned()).or_insert_with(Tally::default).add(state, false);
                }
            }
        }
        prop_assert_eq!(&results.tallies, &expected);
    }
}
