//! Heat maps, and their checks.

use super::*;
use crate::scoring::heat_map::{MapChoice, MapMethod};

fn request(path: &Path, method: MapChoice, generation: u64) -> MapRequest {
    let prompts = settings().prompts;
    let set = &prompts.sets()[0];
    MapRequest {
        path: path.to_owned(),
        frame: 0,
        prompts_digest: set.digest.clone(),
        condition: set.conditions[0].name.clone(),
        method,
        generation,
    }
}

impl TestEngine {
    fn mapped(&self) -> (u64, Result<Arc<PlacedMap>, String>) {
        let mapped = self.events.iter().find_map(|event| match event {
            Event::Mapped {
                generation,
                outcome,
            } => Some((generation, outcome)),
            _ => None,
        });
        mapped.expect("an answer")
    }
}

#[test]
fn a_model_without_maps_of_its_own_has_occlusion_and_the_check_follows() {
    let (_folder, paths) = pictures(1);
    let test = start(Behaviour::Answer, false, settings());
    test.engine.map(request(&paths[0], MapChoice::Auto, 3));
    let (generation, outcome) = test.mapped();
    let placed = outcome.expect("a map");
    assert_eq!((generation, placed.map.method), (3, MapMethod::Occlusion));
    // 9 × 7 pixels, of which the middle 7 × 7 are seen.
    assert!((placed.seen.width - 7.0).abs() < 1.0, "{:?}", placed.seen);
    let check = test.events.iter().find_map(|event| match event {
        Event::MapChecked {
            generation: 3,
            outcome,
        } => Some(outcome),
        _ => None,
    });
    // This model gives all images the same embedding, so that no region matters.
    assert!(!check.expect("an answer").expect("a check").passed);
    test.engine.map(request(&paths[0], MapChoice::Attention, 4));
    let (_, outcome) = test.mapped();
    assert!(outcome.is_err_and(|why| why.contains("no heat map; use occlusion")));
    test.engine.map(request(&paths[0], MapChoice::Eclip, 5));
    let (_, outcome) = test.mapped();
    assert!(outcome.is_err_and(|why| why.contains("no map by Grad-ECLIP; use occlusion")));
    test.finish();
}

#[test]
fn an_unknown_condition_a_missing_file_and_changed_prompts_are_said() {
    let (folder, paths) = pictures(1);
    let test = start(Behaviour::Answer, false, settings());
    let good = request(&paths[0], MapChoice::Auto, 1);
    let cases = [
        (
            MapRequest {
                condition: "gout".to_owned(),
                ..good.clone()
            },
            "no condition `gout`; it has ",
        ),
        (
            MapRequest {
                path: folder.path().join("gone.png"),
                generation: 2,
                ..good.clone()
            },
            "gone",
        ),
        (
            MapRequest {
                prompts_digest: "blake3:other".to_owned(),
                generation: 3,
                ..good
            },
            "prompts have changed",
        ),
    ];
    for (request, said) in cases {
        test.engine.map(request);
        let (_, outcome) = test.mapped();
        let why = outcome.expect_err("no map");
        assert!(why.contains(said) || said == "gone", "{why}");
    }
    test.finish();
}

/// The check of a map ends when another one is requested, and files are classified meanwhile.
#[test]
fn files_are_classified_while_a_check_is_under_way() {
    let (_folder, paths) = pictures(6);
    let test = start(Behaviour::Answer, false, settings());
    test.engine.map(request(&paths[0], MapChoice::Auto, 1));
    for (n, path) in paths.iter().enumerate() {
        test.submit(path, Lane::Bulk, n as u64);
    }
    assert_eq!(test.finish().len(), 6);
}

#[test]
fn phrases_are_explained_with_a_placebo_of_the_same_size() {
    let (_folder, _) = pictures(0);
    let test = start(Behaviour::Answer, false, settings());
    let prompts = settings().prompts;
    let set = &prompts.sets()[0];
    let request = explanation::ExplanationRequest {
        labels: Vec::new(),
        content: String::new(),
        prompts: String::new(),
        reviewer: String::new(),
        prompts_digest: set.digest.clone(),
        scores: Some(Vec::new()),
        embedding: vec![1.0, 0.0].into(),
        others: vec![vec![0.0, 1.0].into(); 12],
        generation: 9,
    };
    let answer = |test: &TestEngine| {
        let answer = test.events.iter().find_map(|event| match event {
            Event::Explained {
                generation,
                outcome,
            } => Some((generation, outcome)),
            _ => None,
        });
        answer.expect("an answer")
    };
    test.engine.explain(request.clone());
    let (generation, outcome) = answer(&test);
    let found = outcome.expect("an explanation");
    assert_eq!((generation, found.compared), (9, 12));
    assert_eq!(found.conditions.len(), set.conditions.len());
    for (condition, found) in set.conditions.iter().zip(&found.conditions) {
        assert_eq!(found.condition, condition.name);
        assert_eq!(found.placebo.phrases.len(), condition.phrases.len());
        let sum: f64 = found.phrases.iter().map(|phrase| phrase.contribution).sum();
        assert!((sum - found.logit).abs() < 1e-5);
    }
    test.engine.explain(explanation::ExplanationRequest {
        labels: Vec::new(),
        embedding: vec![1.0].into(),
        ..request
    });
    let (_, outcome) = answer(&test);
    assert!(outcome.is_err_and(|why| why.contains("another model")));
    test.finish();
}
