//! The phrases behind the scores of an image.

use std::sync::Arc;

use medivision_tui::app::{Effect, Msg};
use medivision_tui::engine::explanation::{
    ExplainedPhrase, ExplainedScore, ExplanationRequest, PhraseExplanation, PlaceboScore,
    SimilarityPair,
};
use medivision_tui::engine::{Event, RecalledFile};
use medivision_tui::library::neighbours::Neighbours;
use medivision_tui::library::{FileIdentity, Outcome};
use medivision_tui::scoring::Decision;

use crate::scene::{Film, Program, file, path, record};

const IDENTITY: FileIdentity = FileIdentity {
    size: 1,
    modified: 1_000_000_000,
    changed: 7,
    inode: 7,
};

/// A result of a content, with an embedding.
fn embedded(content: &str, decision: Decision) -> Outcome {
    let mut record = record("tumor", 0.9, decision)?;
    content.clone_into(&mut record.content);
    record.embedding = Some(Arc::from([1.0, 0.0]));
    Ok(record)
}

pub fn classified() -> Program {
    let mut program = Program::new(100, 30);
    program.list(["a.png", "b.png", "c.png"].map(file).into());
    program.ready(false);
    program.scan(&["a.png", "b.png", "c.png"]);
    program.answer("a.png", embedded("blake3:1", Decision::Confident));
    program.answer("b.png", embedded("blake3:2", Decision::Confident));
    program.answer("c.png", embedded("blake3:1", Decision::Rejected));
    program
}

pub fn request(effects: &[Effect]) -> Option<ExplanationRequest> {
    effects.iter().find_map(|effect| match effect {
        Effect::Explain(request) => Some(request.clone()),
        _ => None,
    })
}

pub fn explanation() -> PhraseExplanation {
    let phrase = |phrase: &str, lead: f64| ExplainedPhrase {
        phrase: phrase.to_owned(),
        contribution: lead,
        lead,
        percentile: Some(0.75),
    };
    PhraseExplanation {
        neighbours: Ok(Neighbours::default()),
        compared: 12,
        conditions: vec![ExplainedScore {
            bias: None,
            by_distance: false,
            condition: "tumor".to_owned(),
            probability: 0.9,
            logit: 3.0,
            lead: 2.5,
            pair: Some(SimilarityPair {
                present: 0.284,
                absent: 0.253,
                delta: 0.031,
            }),
            threshold: Some(0.62),
            phrases: vec![phrase("a round mass", 2.0), phrase("a lesion", -0.5)],
            placebo: PlaceboScore {
                phrases: vec!["river paper old".to_owned(), "two gardens".to_owned()],
                logit: 0.5,
                lead: 0.4,
            },
        }],
    }
}

#[test]
fn the_key_for_why_shows_the_phrases_of_a_classified_image_beside_a_placebo() {
    let mut program = classified();
    let asked = request(&program.press("e")).expect("a request");
    assert_eq!(asked.others.len(), 1, "neither itself nor its copy");
    program.send(Msg::Engine(Event::Explained {
        generation: asked.generation,
        outcome: Ok(explanation()),
    }));
    let screen = program.screen(100, 30);
    for words in [
        "tumor 90 % (present from 62 %), lead +2.50",
        "Δ +0.031 (present 0.284, absent 0.253)",
        "+2.00 ██████████ a round mass (more than in 75 % of 12 here)",
        "-0.50 ███        a lesion",
        "+0.20 █          placebo: river paper old; two gardens",
        "compare with the placebo",
    ] {
        assert!(screen.contains(words), "{words}\n{screen}");
    }
    assert!(!screen.contains("because"));
    program.press("e");
    assert!(!program.screen(100, 30).contains("placebo"));
}

#[test]
fn of_learned_scores_it_is_said_that_the_texts_alone_are_explained() {
    let mut program = Program::new(100, 30);
    program.list(vec![file("a.png")]);
    program.ready(false);
    program.scan(&["a.png"]);
    let learned = embedded("tumor", Decision::Confident).map(|mut record| {
        record.learned = Some(23);
        "lymphadenopathy of the mediastinum".clone_into(&mut record.verdict.label);
        record
    });
    program.answer("a.png", learned);
    let list = program.screen(80, 24);
    assert!(list.contains("…*"), "a long label leaves room:\n{list}");
    let asked = request(&program.press("e")).expect("a request");
    assert_eq!(asked.scores, None, "not the learned ones");
    program.send(Msg::Engine(Event::Explained {
        generation: asked.generation,
        outcome: Ok(explanation()),
    }));
    let screen = program.screen(100, 30);
    assert!(screen.contains("learned from 23 reviews"), "{screen}");
}

#[test]
fn a_rejected_image_is_not_explained_and_a_late_answer_opens_nothing() {
    let mut program = classified();
    let asked = request(&program.press("e")).expect("a request");
    // Another popup has been opened meanwhile.
    program.press("?");
    program.send(Msg::Engine(Event::Explained {
        generation: asked.generation,
        outcome: Ok(explanation()),
    }));
    assert!(!program.screen(100, 30).contains("placebo"));
    program.press("?");
    program.press("jj");
    assert!(request(&program.press("e")).is_none());
    let screen = program.screen(100, 30);
    assert!(screen.contains("not for this image"), "{screen}");
}

#[test]
fn the_frame_in_sight_is_explained() {
    let mut program = Program::reviewing("ana", false);
    program.list(vec![file("a.dcm")]);
    program.ready(false);
    let frame = |number: u32| {
        let mut record = embedded("tumor", Decision::Confident).expect("a result");
        record.frame = Some(number);
        record.embedding = Some(Arc::from([number as f32, 1.0]));
        record
    };
    let aggregate = record("tumor", 0.9, Decision::Confident).expect("a result");
    program.send(Msg::Engine(Event::Recalled {
        files: vec![RecalledFile {
            path: path("a.dcm"),
            identity: IDENTITY,
            records: vec![frame(0), frame(1), aggregate].into(),
        }],
        missing: Vec::new(),
    }));
    program.rest();
    let film = Film {
        frames: 2,
        ..Film::default()
    };
    program.show_as(&film);
    let asked = request(&program.press("e")).expect("a request");
    assert_eq!(asked.embedding.as_ref(), [0.0, 1.0]);
    program.press("]");
    program.show_as(&film);
    let asked = request(&program.press("e")).expect("a request");
    assert_eq!(asked.embedding.as_ref(), [1.0, 1.0]);
    program.send(Msg::Engine(Event::Explained {
        generation: asked.generation,
        outcome: Ok(explanation()),
    }));
    let screen = program.screen(100, 24);
    assert!(screen.contains("a.dcm, frame 2"), "{screen}");
}
