//! The built-in model and real images: a reviewer labels findings although the model tells kinds only, and it learns from them.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Msg};
use medivision_tui::engine::learning::LearnRequest;
use medivision_tui::engine::{Event, RecalledFile};
use medivision_tui::library::{FileIdentity, Record, Review, ReviewRequest};
use medivision_tui::prompts::Prompts;
use medivision_tui::scoring::{Decision, Mode, Verdict};

use crate::scene::{Program, file, key, path, record};

const IDENTITY: FileIdentity = FileIdentity {
    size: 1,
    modified: 1_000_000_000,
    changed: 7,
    inode: 7,
};

/// What the built-in model says of a real image under a set; its content is its name.
fn told(name: &str, label: &str, set: &str, decision: Decision) -> Record {
    let found = record(label, 0.9, decision).expect("a record");
    let mut scores = found.verdict.scores.clone();
    if set == "kinds" {
        for (score, kind) in scores
            .iter_mut()
            .zip([label, "chest radiograph", "skin photograph"])
        {
            kind.clone_into(&mut score.condition);
        }
    }
    Record {
        content: name.to_owned(),
        model: "builtin".to_owned(),
        prompts: set.to_owned(),
        modality: None,
        body_part: None,
        verdict: Verdict {
            scores,
            ..found.verdict.clone()
        },
        ..found
    }
}

fn begin(prompts: &str, records: Vec<Record>) -> Program {
    let prompts = Prompts::select(prompts, None).expect("built in");
    let mut program = Program::reviewing_under("ana", prompts);
    program.list(records.iter().map(|record| file(&record.content)).collect());
    program.ready(true);
    let files = records.into_iter().map(|record| RecalledFile {
        path: path(&record.content),
        identity: IDENTITY,
        records: vec![record].into(),
    });
    let files = files.collect();
    let missing = Vec::new();
    program.send(Msg::Engine(Event::Recalled { files, missing }));
    program
}

/// Three chest films and a section of a brain, of which the kind is told.
fn kinds() -> Program {
    let film = |name: &str| told(name, "chest radiograph", "kinds", Decision::Confident);
    let brain = told("d", "brain MRI", "kinds", Decision::Confident);
    begin("auto", vec![film("a"), film("b"), film("c"), brain])
}

fn stored(effects: &[Effect]) -> Vec<Review> {
    let requests = effects.iter().filter_map(|effect| match effect {
        Effect::Review { request, .. } => Some(request.clone()),
        _ => None,
    });
    requests
        .filter_map(|request| match request {
            ReviewRequest::Store(review) => Some(*review),
            _ => None,
        })
        .collect()
}

fn asked(effects: Vec<Effect>) -> Option<LearnRequest> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Learn(request) => Some(*request),
        _ => None,
    })
}

#[test]
fn the_digits_are_the_findings_of_the_kind_that_is_told() {
    let mut program = kinds();
    program.press(",");
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("1 pneumonia") && screen.contains("3 normal"),
        "{screen}"
    );
    let reviews = stored(&program.press("1"));
    assert_eq!(reviews.len(), 1);
    assert_eq!(
        (reviews[0].prompts.as_str(), reviews[0].labels.as_deref()),
        ("chest-xray", Some(&["pneumonia".to_owned()][..]))
    );
    // It counts as reviewed, the cursor has moved on, and nothing disagrees with the kind.
    assert!(program.screen(100, 24).contains("1 of 4 reviewed"));
    program.press(",e");
    assert!(program.screen(100, 24).contains("no review differs"));
}

#[test]
fn what_is_taken_for_none_of_the_kinds_is_reviewed_as_the_most_likely_one() {
    let none = told("a", "none of these", "kinds", Decision::Confident);
    let mut program = begin("auto", vec![none]);
    assert_eq!(stored(&program.press(",1"))[0].prompts, "chest-xray");
}

#[test]
fn a_kind_is_not_accepted_as_a_finding() {
    let mut program = kinds();
    assert_eq!(stored(&program.press(",,")), []);
    let screen = program.screen(100, 24);
    assert!(screen.contains("tells only the kind"), "{screen}");
}

#[test]
fn learning_is_asked_for_under_the_set_of_the_findings() {
    let mut program = kinds();
    program.press(",1,3");
    let request = asked(program.press(",l")).expect("a request");
    assert_eq!(request.prompts, "chest-xray");
    let mut images: Vec<_> = request
        .images
        .iter()
        .map(|image| (image.path.clone(), image.labels.clone()))
        .collect();
    images.sort();
    let labels = |label: &str| Some(vec![label.to_owned()]);
    assert_eq!(
        images,
        [
            (path("a"), labels("pneumonia")),
            (path("b"), labels("normal")),
            (path("c"), None),
        ],
        "an image of another kind takes no part"
    );
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("judges no findings of this kind of image under chest-xray until"),
        "{screen}"
    );
}

#[test]
fn images_rejected_under_a_named_set_teach_it_too() {
    let film = |name: &str| told(name, "pneumonia", "chest-xray", Decision::Rejected);
    let mut program = begin("chest-xray", vec![film("a"), film("b")]);
    assert_eq!(stored(&program.press(",3")).len(), 1);
    let request = asked(program.press(",l")).expect("a request");
    assert_eq!(request.images.len(), 2);
}

#[test]
fn under_the_set_of_kinds_itself_kinds_are_reviewed() {
    let film = told("a", "chest radiograph", "kinds", Decision::Confident);
    let mut program = begin("kinds", vec![film.clone()]);
    let reviews = stored(&program.press(",,"));
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0].prompts, "kinds");
    // So they are after a change of prompts, which is what the reviews follow.
    let mut program = begin("auto", vec![film]);
    program.press("p");
    program.send(Msg::PromptSets(vec![(
        "kinds".to_owned(),
        Ok(Prompts::select("kinds", None).expect("built in").sets()[0].clone()),
    )]));
    program.press("j");
    program.send(key(KeyCode::Enter));
    program.engine_uses(Event::Prompts {
        prompts: "kinds".to_owned(),
        mode: Mode::Single,
        warnings: Vec::new(),
        revision: 0,
    });
    let reviews = stored(&program.press(",,"));
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0].prompts, "kinds");
}
