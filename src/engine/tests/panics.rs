//! What an engine does that panics where no model or decoder is to blame.

use std::sync::atomic::AtomicBool;

use super::*;

/// An engine whose threads panic when they send certain events.
fn fragile(panics: impl Fn(&Event) -> bool + Send + Sync + 'static) -> TestEngine {
    let (batches, seen) = unbounded();
    let (sender, events) = unbounded();
    let factory: Factory = Box::new(move || {
        Ok(Box::new(FakeEncoder {
            card: card("cpu", false),
            behaviour: Behaviour::Answer,
            batches: batches.clone(),
            pending: None,
        }))
    });
    let handler = move |event| {
        assert!(!panics(&event), "requested by the test");
        drop(sender.send(event));
    };
    TestEngine {
        engine: Engine::start(factory, settings(), Arc::new(handler)),
        events,
        batches: seen,
    }
}

#[test]
fn a_panic_of_the_engine_thread_is_reported_and_every_job_ends_once() {
    let (_folder, paths) = pictures(1);
    let test = fragile(|event| matches!(event, Event::Rate { .. }));
    // More than the queues of prepared frames hold.
    let mut accepted = 0;
    for generation in 0..1000 {
        let job = Job {
            path: paths[0].clone(),
            lane: Lane::Bulk,
            generation,
        };
        accepted += usize::from(test.engine.submit(job).is_ok());
    }
    test.engine.finish();
    let mut ends = BTreeMap::new();
    let mut failures = 0;
    for event in &test.events {
        match event {
            Event::Done { generation, .. } | Event::Dropped { generation } => {
                *ends.entry(generation).or_insert(0) += 1;
            }
            Event::Failed { message } => {
                assert!(message.contains("internal error"), "{message}");
                failures += 1;
            }
            _ => {}
        }
    }
    assert_eq!(failures, 1);
    assert!(ends.len() >= accepted && ends.values().all(|count| *count == 1));
}

#[test]
fn what_is_asked_of_an_engine_that_has_panicked_is_refused() {
    let (_folder, paths) = pictures(1);
    let test = fragile(|event| matches!(event, Event::Rate { .. }));
    test.submit(&paths[0], Lane::Interactive, 0);
    let until = |wanted: &dyn Fn(&Event) -> bool| {
        let limit = Duration::from_secs(60);
        while !wanted(&test.events.recv_timeout(limit).expect("an answer")) {}
    };
    until(&|event| matches!(event, Event::Failed { .. }));
    test.engine.compare(SimilarityRequest {
        terms: vec![(QuerySubject::Text("a hand".to_owned()), 1.0)],
        images: Vec::new(),
        generation: 7,
    });
    until(&|event| {
        matches!(
            event,
            Event::Compared {
                generation: 7,
                outcome: Err(_)
            }
        )
    });
    let (draft, set) = lint::drafted();
    let refused = test.engine.linter().lint(draft, set, || false);
    assert_eq!(refused.unwrap_err(), "there is no model");
}

#[test]
fn a_panic_of_the_scoring_thread_ends_one_request_only() {
    let is_first = AtomicBool::new(true);
    let test = fragile(move |event| {
        matches!(event, Event::Recalled { .. }) && is_first.swap(false, Ordering::Relaxed)
    });
    for path in ["a.png", "b.png"] {
        test.engine.recall(vec![path.into()]);
        let answer = test.events.iter().find_map(|event| match event {
            Event::Recalled { files, missing } => Some((files, missing)),
            _ => None,
        });
        assert_eq!(answer, Some((Vec::new(), vec![path.into()])));
    }
}
