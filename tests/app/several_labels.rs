//! Images that may have several labels: the key that switches, the bars of all conditions, and filters.

use medivision_tui::app::{Effect, Msg};
use medivision_tui::engine::{Event, RecalledFile};
use medivision_tui::library::{FileIdentity, Record, ReviewRequest};
use medivision_tui::prompts::{PromptSet, Prompts};
use medivision_tui::scoring::{Decision, Mode};

use crate::scene::{Program, file, path, record};

const IDENTITY: FileIdentity = FileIdentity {
    size: 1,
    modified: 1_000_000_000,
    changed: 7,
    inode: 7,
};

/// The mode that a key asks the engine for.
fn requested(effects: &[Effect]) -> Option<Mode> {
    effects.iter().find_map(|effect| match effect {
        Effect::UsePrompts { mode, .. } => Some(*mode),
        _ => None,
    })
}

fn used(program: &mut Program, mode: Mode) -> Vec<Effect> {
    program.engine_uses(Event::Prompts {
        prompts: "general".to_owned(),
        mode,
        warnings: Vec::new(),
        revision: 0,
    })
}

/// A result in which each condition stands for itself.
fn separate(scores: [(&str, f64); 4]) -> Record {
    let mut record = record(scores[0].0, scores[0].1, Decision::Confident).expect("a result");
    record.mode = Mode::Multi;
    "general".clone_into(&mut record.prompts);
    let template = record.verdict.scores[0].clone();
    let scores = scores.map(|(name, probability)| {
        let mut score = template.clone();
        (score.condition, score.probability) = (name.to_owned(), probability);
        score.normal = name == "normal";
        score
    });
    record.verdict.scores = scores.to_vec();
    record
}

fn program() -> Program {
    let records = [
        (
            "a.png",
            [
                ("pneumonia", 0.9),
                ("tumor", 0.7),
                ("fracture", 0.1),
                ("normal", 0.0),
            ],
        ),
        (
            "b.png",
            [
                ("normal", 0.8),
                ("fracture", 0.4),
                ("tumor", 0.1),
                ("pneumonia", 0.0),
            ],
        ),
    ];
    let mut program = Program::reviewing("ana", false);
    program.list(records.iter().map(|(name, _)| file(name)).collect());
    program.ready(false);
    let files = records.map(|(name, scores)| RecalledFile {
        path: path(name),
        identity: IDENTITY,
        records: vec![separate(scores)].into(),
    });
    let (files, missing) = (files.to_vec(), Vec::new());
    program.send(Msg::Engine(Event::Recalled { files, missing }));
    program
}

#[test]
fn a_key_switches_to_several_labels_and_back_and_all_results_are_scored_again() {
    let mut program = program();
    let effects = program.press(",m");
    assert_eq!(requested(&effects), Some(Mode::Multi));
    let effects = used(&mut program, Mode::Multi);
    assert!(
        matches!(effects.as_slice(), [Effect::Rescore(files)] if files.len() == 2),
        "{effects:?}"
    );
    let screen = program.screen(100, 24);
    assert!(screen.contains("several labels"), "{screen}");
    assert_eq!(requested(&program.press("T")), Some(Mode::Single));
}

#[test]
fn the_next_run_begins_with_several_labels_if_the_last_one_ended_so() {
    let mut program = program();
    program.press(",m");
    used(&mut program, Mode::Multi);
    let left = program
        .press("q")
        .into_iter()
        .find_map(|effect| match effect {
            Effect::PersistFolder { state, .. } => Some(state),
            _ => None,
        });
    let mut again = Program::left(left.expect("the folder's state is kept"));
    again.list(vec![file("a.png")]);
    // Before there is a model, nothing can be asked for, and nothing is forgotten.
    let unchanged = again.press("q").into_iter().any(|effect| {
        matches!(effect, Effect::PersistFolder { state, .. } if state.layout.mode == Mode::Multi)
    });
    assert!(unchanged);
    assert_eq!(requested(&again.ready(false)), Some(Mode::Multi));
    // A set that cannot have several labels leaves one, and another model is not asked for several.
    again.engine_uses(Event::PromptsFailed {
        revision: 0,
        message: "`tumor` has no `absent` phrases".to_owned(),
    });
    assert_eq!(requested(&again.ready(false)), None);
}

#[test]
fn a_prompt_set_that_cannot_have_several_labels_leaves_the_mode() {
    let mut program = program();
    program.press(",m");
    program.engine_uses(Event::PromptsFailed {
        revision: 0,
        message: "`tumor` has no `absent` phrases".to_owned(),
    });
    let screen = program.screen(100, 24);
    assert!(screen.contains("no `absent` phrases"), "{screen}");
    assert_eq!(requested(&program.press(",m")), Some(Mode::Multi));
}

#[test]
fn a_file_that_is_edited_is_used_in_the_mode_in_use() {
    let mut program = program();
    program.press(",m");
    used(&mut program, Mode::Multi);
    let set = medivision_tui::prompts::PromptSet::parse(
        "name = \"general\"\n[[condition]]\nname = \"a\"\nphrases = [\"x\"]\n[[condition]]\nname = \"b\"\nphrases = [\"y\"]\n",
        "general.toml",
    );
    let effects = program.send(Msg::PromptsEdited {
        revision: 1,
        prompts: set.map(medivision_tui::prompts::Prompts::only).ok(),
        fault: None,
    });
    assert_eq!(requested(&effects), Some(Mode::Multi));
}

#[test]
fn the_list_shows_all_labels_and_a_bar_of_each_condition_in_the_order_of_the_set() {
    let program = program();
    let screen = program.screen(160, 24);
    let row = |name: &str| {
        let found = screen
            .lines()
            .find(|line| line.contains(&format!("● {name}")));
        found.unwrap_or_default().to_owned()
    };
    assert!(row("a.png").contains("pneumonia, tumor"), "{screen}");
    // normal, pneumonia, tumor, fracture
    assert!(row("a.png").contains("▁▇▆▂"), "{screen}");
    assert!(row("b.png").contains("▇▁▂▄"), "{screen}");
}

#[test]
fn tiles_show_a_bar_of_each_condition() {
    let mut program = program();
    program.press("vvv");
    let grid = (0..4).find_map(|_| {
        let screen = program.screen(100, 24);
        program.press("v");
        screen.contains("▁▇▆▂").then_some(screen)
    });
    assert!(grid.is_some());
}

#[test]
fn filters_find_each_label_and_the_probability_of_a_condition() {
    for (filter, shown, hidden) in [
        ("label:tumor", "a.png", "b.png"),
        ("p(fracture)>0.3", "b.png", "a.png"),
        ("p(tum)>=0.7", "a.png", "b.png"),
        ("!p(=tumor)>=0.7", "b.png", "a.png"),
    ] {
        let mut program = program();
        program.press(&format!("/{filter}"));
        let screen = program.screen(160, 24);
        let list: String = screen
            .lines()
            .filter_map(|line| line.split('│').next())
            .collect();
        assert!(
            list.contains(shown) && !list.contains(hidden),
            "{filter}:\n{screen}"
        );
    }
}

#[test]
fn a_refused_mode_is_not_kept_for_a_model_to_come() {
    let mut program = program();
    program.press(",m");
    let effects = program.engine_uses(Event::PromptsFailed {
        revision: 0,
        message: "`tumor` has no `absent` phrases".to_owned(),
    });
    let [Effect::KeepPrompts { mode, .. }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(*mode, Mode::Single);
}

#[test]
fn a_refusal_that_comes_late_leaves_what_was_asked_for_since() {
    let mut program = program();
    let asked = |effects: Vec<Effect>| {
        effects.into_iter().find_map(|effect| match effect {
            Effect::UsePrompts { revision, .. } => Some(revision),
            _ => None,
        })
    };
    let first = asked(program.press(",m")).expect("asked");
    let ward = PromptSet {
        name: "ward".to_owned(),
        file: Some("/home/u/ward.toml".into()),
        ..Prompts::select("general", None).expect("shipped").sets()[0].clone()
    };
    program.send(Msg::PromptSetEdited(Ok(Some(ward))));
    let late = program.send(Msg::Engine(Event::PromptsFailed {
        revision: first,
        message: "no".to_owned(),
    }));
    assert_eq!(late, []);
    program.engine_uses(Event::Prompts {
        prompts: "ward".to_owned(),
        mode: Mode::Single,
        warnings: Vec::new(),
        revision: 0,
    });
    let effects = program.press(",m");
    let is_ward = |effect: &Effect| matches!(effect, Effect::UsePrompts { prompts, .. } if prompts.name() == "ward");
    assert!(effects.iter().any(is_ward), "{effects:?}");
}

#[test]
fn operating_points_decide_what_is_accepted_where_there_are_any() {
    let accepted = |scores: [(&str, f64); 4], label: &str, points: [Option<f64>; 4]| {
        let mut program = Program::reviewing("ana", false);
        let mut record = separate(scores);
        label.clone_into(&mut record.verdict.label);
        for (score, point) in record.verdict.scores.iter_mut().zip(points) {
            score.threshold = point;
        }
        program.list(vec![file("a.png")]);
        program.ready(false);
        program.send(Msg::Engine(Event::Recalled {
            files: vec![RecalledFile {
                path: path("a.png"),
                identity: IDENTITY,
                records: vec![record].into(),
            }],
            missing: Vec::new(),
        }));
        let reviewed = program
            .press(",,")
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Review {
                    request: ReviewRequest::Store(review),
                    ..
                } => review.labels,
                _ => None,
            });
        reviewed.expect("a review").join(" ")
    };
    let (low, high) = (Some(0.2), Some(0.6));
    let both = [
        ("tumor", 0.7),
        ("normal", 0.6),
        ("fracture", 0.4),
        ("pneumonia", 0.1),
    ];
    assert_eq!(
        accepted(both, "tumor", [None; 4]),
        "tumor",
        "one half decides, and normal is not said beside a finding"
    );
    // The normal condition has none, and is claimed only if no other is.
    let found = [
        ("normal", 0.8),
        ("tumor", 0.3),
        ("fracture", 0.1),
        ("pneumonia", 0.1),
    ];
    assert_eq!(accepted(found, "tumor", [None, low, high, high]), "tumor");
    let nothing = [
        ("normal", 0.45),
        ("tumor", 0.1),
        ("fracture", 0.1),
        ("pneumonia", 0.1),
    ];
    assert_eq!(
        accepted(nothing, "normal", [None, low, high, high]),
        "normal"
    );
    let unknown = [
        ("tumor", 0.4),
        ("effusion", 0.3),
        ("fracture", 0.1),
        ("pneumonia", 0.1),
    ];
    assert_eq!(
        accepted(unknown, "tumor", [None; 4]),
        "",
        "nothing says that it is normal"
    );
}
