//! Learning from reviews: what is asked for, before and after side by side, and that accepting and undoing take one key.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Msg};
use medivision_tui::engine::learning::{ImageScore, LearnRequest, MovedImage, Proposal};
use medivision_tui::engine::{Event, RecalledFile};
use medivision_tui::learn::{BalancedAccuracy, Learned, LearnedSets, LearningGain, Method};
use medivision_tui::library::{FileIdentity, Record, Review, ReviewChanges};
use medivision_tui::scoring::calibration::Calibrations;
use medivision_tui::scoring::learned::LearnedCondition;
use medivision_tui::scoring::metrics::Estimate;
use medivision_tui::scoring::{Decision, Mode};

use crate::scene::{Program, file, key, path, record};

const IDENTITY: FileIdentity = FileIdentity {
    size: 1,
    modified: 1_000_000_000,
    changed: 7,
    inode: 7,
};

/// Images a to d with results, of which d is rejected; the model's embedding of each is its own.
fn records(learned: Option<usize>) -> Vec<Record> {
    let result = |name: &str, label: &str, decision| Record {
        content: name.to_owned(),
        learned,
        ..record(label, 0.8, decision).expect("a record")
    };
    vec![
        result("a", "normal", Decision::Confident),
        result("b", "tumor", Decision::Confident),
        result("c", "normal", Decision::Uncertain),
        result("d", "tumor", Decision::Rejected),
    ]
}

fn begin(learned: Option<usize>, blind: bool) -> Program {
    let mut program = Program::reviewing("ana", blind);
    let records = records(learned);
    program.list(records.iter().map(|record| file(&record.content)).collect());
    program.ready(false);
    let files = records.into_iter().map(|record| RecalledFile {
        path: path(&record.content),
        identity: IDENTITY,
        records: vec![record].into(),
    });
    let files = files.collect();
    let missing = Vec::new();
    program.send(Msg::Engine(Event::Recalled { files, missing }));
    let review = |content: &str, reviewer: &str, label: &str| Review {
        content: content.to_owned(),
        prompts: "general".to_owned(),
        reviewer: reviewer.to_owned(),
        path: path(content),
        labels: Some(vec![label.to_owned()]),
        ..Review::default()
    };
    let reviews = vec![
        review("a", "ana", "pneumonia"),
        review("a", "bo", "normal"),
        Review {
            patient: Some("9f".to_owned()),
            ..review("b", "bo", "tumor")
        },
        review("d", "ana", "tumor"),
    ];
    let samples = Vec::new();
    program.send(Msg::ReviewsChanged(ReviewChanges { reviews, samples }));
    program
}

fn asked(effects: Vec<Effect>) -> Option<LearnRequest> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Learn(request) => Some(*request),
        _ => None,
    })
}

/// What would be learned from two reviews, with this gate.
fn proposal(gate: f64) -> Proposal {
    let estimate = |value: f64| Estimate {
        value,
        low: Some(value - 0.04),
        high: Some(value + 0.06),
        draws: None,
    };
    let score = |label: &str, probability| ImageScore {
        label: label.to_owned(),
        probability,
        decision: Decision::Uncertain,
    };
    Proposal {
        learned: Learned {
            format: Learned::FORMAT,
            model: "demo".to_owned(),
            model_digest: "blake3:00".to_owned(),
            prompts: "general".to_owned(),
            prompts_digest: "blake3:00".to_owned(),
            mode: Mode::Single,
            at: "2026-03-01T10:00:00Z".to_owned(),
            method: Method::Transport,
            reviews: 2,
            unlabelled: 40,
            held_out: LearningGain {
                balanced_accuracy: Some(BalancedAccuracy {
                    before: estimate(0.5),
                    after: estimate(0.75),
                    chance: 0.25,
                    gain: Some(estimate(0.25)),
                }),
                images: 2,
                accuracy_before: 0.5,
                accuracy_after: 0.7,
                accuracy_gain: estimate(0.2),
                log_loss_before: 1.2,
                log_loss_after: 0.9,
                log_loss_gain: estimate(0.3),
                log_loss_tempered: Some(1.0),
            },
            conditions: vec![LearnedCondition {
                condition: "pneumonia".to_owned(),
                gate,
                direction: vec![1.0, 0.0].into(),
            }],
            kind: None,
            shots: Vec::new(),
        },
        images: 3,
        other_labels: 0,
        other_kinds: 0,
        rare: Vec::new(),
        moved: vec![
            MovedImage {
                path: path("c"),
                before: score("normal", 0.8),
                after: score("pneumonia", 0.66),
                labels: None,
            },
            MovedImage {
                path: path("a"),
                before: score("normal", 0.8),
                after: score("pneumonia", 0.61),
                labels: Some(vec!["pneumonia".to_owned()]),
            },
        ],
        was_calibrated: false,
    }
}

/// The view with an answer.
fn shown(gate: f64) -> Program {
    shows(proposal(gate))
}

fn shows(proposal: Proposal) -> Program {
    let mut program = begin(None, false);
    let request = asked(program.press(",l")).expect("a request");
    let outcome = Ok(Box::new(proposal));
    let generation = request.generation;
    program.send(Msg::Engine(Event::Learned {
        generation,
        outcome,
    }));
    program
}

#[test]
fn all_images_of_the_set_take_part_with_what_the_reviewer_says_before_others() {
    let mut program = begin(None, false);
    let request = asked(program.press(",l")).expect("a request");
    assert_eq!(request.prompts, "general");
    let mut images: Vec<_> = request
        .images
        .iter()
        .map(|image| {
            (
                image.path.clone(),
                image.labels.clone(),
                image.patients.clone(),
            )
        })
        .collect();
    images.sort();
    let labels = |label: &str| Some(vec![label.to_owned()]);
    assert_eq!(
        images,
        [
            (path("a"), labels("pneumonia"), Vec::new()),
            (path("b"), labels("tumor"), vec!["9f".to_owned()]),
            (path("c"), None, Vec::new()),
        ],
        "the rejected image takes no part"
    );
    assert!(program.screen(80, 24).contains("Learning …"));
    assert_eq!(asked(begin(None, true).press(",l")), None, "not blind");
}

#[test]
fn before_and_after_are_shown_with_what_it_is_worth() {
    let mut program = shown(0.5);
    let screen = program.screen(80, 24);
    for words in [
        "Scores under general are zero-shot.",
        "Learned from 2 reviews and 40 images without one.",
        "accuracy 50 % → 70 %, +20.0",
        "Balanced accuracy 50 (46 to 56) % → 75 (71 to 81) %, where guessing gets 25 %.",
        "2 of 3 images get another label.",
        "(reviewed: pneumonia)",
        "a accepts",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    let row = screen.lines().find(|line| line.contains("pneumonia 66%"));
    assert!(
        row.is_some_and(|row| row.contains("normal 80%")),
        "{screen}"
    );
    // Return goes to the image under the cursor.
    program.press("j");
    program.send(key(KeyCode::Enter));
    let screen = program.screen(80, 24);
    let line = screen.lines().find(|line| line.starts_with('▌'));
    assert!(line.is_some_and(|line| line.contains(" a ")), "{screen}");
}

#[test]
fn one_key_accepts_and_scores_follow() {
    for keys in ["a", ",l"] {
        let mut program = shown(0.5);
        let effects = program.press(keys);
        let kept = effects.iter().find_map(|effect| match effect {
            Effect::KeepLearned(learned) => Some(learned.as_ref().clone()),
            _ => None,
        });
        let learned = kept.unwrap_or_else(|| panic!("{keys}: {effects:?}"));
        let all = LearnedSets(vec![learned]);
        let outcome = Ok((
            Some(all.clone()),
            "scores are learned from 2 reviews".to_owned(),
        ));
        let effects = program.send(Msg::LearnedKept { outcome });
        assert_eq!(effects[0], Effect::UseLearned(all));
        assert!(
            matches!(effects[1], Effect::UsePrompts { .. }),
            "{effects:?}"
        );
        let effects = program.engine_uses(Event::Prompts {
            prompts: "general".to_owned(),
            mode: Mode::Single,
            warnings: Vec::new(),
            revision: 0,
        });
        assert!(
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::Rescore(files) if files.len() == 4))
        );
        let screen = program.screen(100, 24);
        assert!(
            screen.contains("scores are learned from 2 reviews"),
            "{screen}"
        );
    }
}

#[test]
fn what_gains_nothing_cannot_be_accepted_and_a_failure_says_why() {
    let mut program = shown(0.0);
    let screen = program.screen(80, 24);
    for words in ["The reviews add nothing to the texts", "nothing to accept"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    for words in ["Learned from", "a accepts", "u undoes"] {
        assert!(!screen.contains(words), "{words}:\n{screen}");
    }
    assert_eq!(program.press("a"), Vec::new());
    let mut program = begin(None, false);
    let generation = asked(program.press(",l")).expect("a request").generation;
    let outcome = Err("all reviews say the same".to_owned());
    program.send(Msg::Engine(Event::Learned {
        generation,
        outcome,
    }));
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("Nothing was learned: all reviews say the same."),
        "{screen}"
    );
    // The answer to a view that was left is not shown.
    program.send(key(KeyCode::Esc));
    program.send(Msg::Engine(Event::Learned {
        generation,
        outcome: Ok(Box::new(proposal(0.5))),
    }));
    assert!(!program.screen(80, 24).contains("Learned from 2 reviews"));
}

#[test]
fn where_labels_add_nothing_the_texts_may_judge_and_a_loss_is_no_negative_gain() {
    let mut proposal = proposal(0.0);
    proposal.learned.kind = Some("chest radiograph".to_owned());
    let own = &mut proposal.learned.held_out;
    (own.log_loss_before, own.log_loss_after) = (0.58, 0.6);
    own.log_loss_gain = Estimate {
        value: -0.02,
        low: Some(-0.05),
        high: Some(0.01),
        draws: None,
    };
    let mut program = shows(proposal);
    let screen = program.screen(120, 24);
    for words in [
        "The reviews add nothing to the texts; `a` lets the texts alone judge findings of this kind (chest",
        "Tried with 2 reviews",
        "Log-loss 0.58 → 0.60, worse by 0.02 (-0.01 to 0.05).",
        "a accepts",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    let figures = screen.find("Log-loss").expect("figures");
    let verdict = screen.find("The reviews add nothing").expect("a verdict");
    assert!(verdict < figures, "the verdict comes first");
    let kept = program.press("a");
    assert!(
        kept.iter()
            .any(|effect| matches!(effect, Effect::KeepLearned(_)))
    );
}

#[test]
fn one_key_undoes_and_results_say_from_what_they_were_learned() {
    let mut program = begin(Some(12), false);
    program.send(Msg::Resized {
        cols: 200,
        rows: 50,
    });
    let screen = program.screen(200, 50);
    assert!(screen.contains("from 12 reviews"), "{screen}");
    assert!(screen.contains("tumor*"), "in the list: {screen}");
    program.press(",l");
    let screen = program.screen(200, 50);
    assert!(
        screen.contains("learned from 12 reviews") && screen.contains("u undoes what is in use"),
        "{screen}"
    );
    let effects = program.press("u");
    let undone = effects.iter().any(
        |effect| matches!(effect, Effect::UndoLearned(subject) if subject.prompts == "general"),
    );
    assert!(undone, "{effects:?}");
    let outcome = Err("disk full".to_owned());
    program.send(Msg::LearnedKept { outcome });
    let screen = program.screen(200, 50);
    assert!(
        screen.contains("nothing was changed: disk full"),
        "{screen}"
    );
}

#[test]
fn a_key_pressed_twice_changes_what_is_in_use_once() {
    let counted = |effects: &[Effect]| {
        let changes =
            |effect: &&Effect| matches!(effect, Effect::KeepLearned(_) | Effect::UndoLearned(_));
        effects.iter().filter(changes).count()
    };
    for keys in ["aa", "uu", "au"] {
        let mut program = begin(Some(12), false);
        let request = asked(program.press(",l")).expect("asked");
        let (generation, outcome) = (request.generation, Ok(Box::new(proposal(0.4))));
        program.send(Msg::Engine(Event::Learned {
            generation,
            outcome,
        }));
        assert_eq!(counted(&program.press(keys)), 1, "{keys}");
        // Nothing was there to undo: the view stays, nothing is scored again, and the keys work again.
        let outcome = Ok((None, "there is nothing to undo".to_owned()));
        assert_eq!(program.send(Msg::LearnedKept { outcome }), []);
        let screen = program.screen(100, 24);
        assert!(
            screen.contains("What reviews teach") && screen.contains("there is nothing to undo"),
            "{screen}"
        );
        assert_eq!(counted(&program.press("u")), 1, "{keys}");
    }
}

#[test]
fn what_another_process_learned_is_used_and_the_reviews_behind_it_are_told_apart() {
    let mut program = begin(Some(2), false);
    let mut learned = proposal(0.5).learned;
    let first = records(None).remove(0);
    learned.model_digest.clone_from(&first.model_digest);
    learned.prompts_digest.clone_from(&first.prompts_digest);
    learned.mode = first.mode;
    learned.shots = vec!["a".to_owned()];
    let found = |is_in_use| Msg::LearnedFiles {
        learned: LearnedSets(vec![learned.clone()]),
        is_in_use,
        faults: Vec::new(),
    };
    assert_eq!(program.send(found(true)), [], "it is used already");
    let effects = program.send(found(false));
    assert!(
        matches!(&effects[0], Effect::UseLearned(all) if all.0 == [learned.clone()]),
        "{effects:?}"
    );
    assert!(
        matches!(effects[1], Effect::UsePrompts { .. }),
        "{effects:?}"
    );
    program.press(",c");
    let screen = program.screen(100, 30);
    assert!(
        screen.contains("The scores were learned from 1 of these"),
        "{screen}"
    );
}

#[test]
fn results_follow_what_another_process_calibrated() {
    let mut program = begin(Some(2), false);
    let found = |is_in_use| Msg::CalibrationFiles {
        calibrations: Calibrations::default(),
        is_in_use,
        faults: vec!["c.toml: it is not used".to_owned()],
    };
    assert_eq!(program.send(found(true)), [], "as they are in use already");
    assert!(program.screen(100, 30).contains("it is not used"));
    let effects = program.send(found(false));
    let is_put_into_use = matches!(
        &effects[..],
        [Effect::UseCalibrations(_), Effect::UsePrompts { .. }]
    );
    assert!(is_put_into_use, "{effects:?}");
}

#[test]
fn a_view_that_another_process_made_untrue_says_so_and_changes_nothing() {
    let mut program = shown(0.5);
    let mut learned = proposal(0.3).learned;
    let first = records(None).remove(0);
    learned.model_digest.clone_from(&first.model_digest);
    learned.prompts_digest.clone_from(&first.prompts_digest);
    learned.mode = first.mode;
    let found = |learned: &Learned| Msg::LearnedFiles {
        learned: LearnedSets(vec![learned.clone()]),
        is_in_use: false,
        faults: Vec::new(),
    };
    let other = Learned {
        prompts_digest: "blake3:ff".to_owned(),
        ..learned.clone()
    };
    program.send(found(&other));
    assert!(
        program.screen(100, 24).contains("a accepts"),
        "of another set"
    );
    program.send(found(&learned));
    let screen = program.screen(100, 24);
    for words in [
        "Another process has changed what is in use",
        ",l asks again",
    ] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    for words in ["are zero-shot", "a accepts"] {
        assert!(!screen.contains(words), "{words}:\n{screen}");
    }
    assert_eq!(program.press("a"), Vec::new());
    assert_eq!(program.press("u"), Vec::new());
    assert!(program.screen(100, 24).contains("close this and ask again"));
    // Asked again, it is of what is in use.
    program.send(key(KeyCode::Esc));
    assert!(asked(program.press(",l")).is_some());
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let mut program = begin(None, false);
    let fault = "/l/general.toml: it has format 2; this program knows format 1; it is not used";
    let effects = program.send(Msg::LearnedFiles {
        learned: LearnedSets::default(),
        is_in_use: true,
        faults: vec![fault.to_owned()],
    });
    assert_eq!(effects, []);
    let screen = program.screen(140, 24);
    assert!(screen.contains("it has format 2"), "{screen}");
}

#[test]
fn on_a_small_screen_the_keys_stay_and_the_figures_move() {
    let mut program = shown(0.5);
    program.send(Msg::Resized { cols: 40, rows: 12 });
    let screen = program.screen(40, 12);
    assert!(screen.contains("a accepts"), "{screen}");
    assert!(!screen.contains("get another label"), "{screen}");
    let mut found = false;
    for _ in 0..20 {
        program.press("j");
        found |= program.screen(40, 12).contains("get another label");
    }
    assert!(found, "{}", program.screen(40, 12));
    assert!(program.screen(40, 12).contains("a accepts"));
}

#[test]
fn a_verdict_says_what_may_be_chance_and_what_is_in_use_already() {
    let mut of_kind = proposal(0.5);
    of_kind.learned.kind = Some("chest radiograph".to_owned());
    let balanced = of_kind.learned.held_out.balanced_accuracy.as_mut();
    let gain = balanced.and_then(|own| own.gain.as_mut()).expect("a gain");
    gain.low = Some(-0.01);
    let screen = shows(of_kind).screen(120, 24);
    assert!(screen.contains("may be chance: `a`"), "{screen}");
    // Two reviews are in use, and the same two move no image.
    let mut program = begin(Some(2), false);
    let generation = asked(program.press(",l")).expect("a request").generation;
    let mut same = proposal(0.5);
    same.moved.clear();
    program.send(Msg::Engine(Event::Learned {
        generation,
        outcome: Ok(Box::new(same)),
    }));
    let screen = program.screen(120, 24);
    assert!(screen.contains("is in use already"), "{screen}");
    assert!(!screen.contains("a accepts"), "{screen}");
    assert!(screen.contains("u undoes"), "{screen}");
}
