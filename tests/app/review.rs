//! Reviews: what a reviewer decides is shown at once, stored, and moves on.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Msg};
use medivision_tui::engine::{Event, RecalledFile};
use medivision_tui::library::{
    FileIdentity, Record, Review, ReviewChanges, ReviewOutcome, ReviewRequest, SampledImage,
};
use medivision_tui::scoring::{Decision, Mode};

use crate::scene::{Program, alt, ctrl, file, key, path, record};

const IDENTITY: FileIdentity = FileIdentity {
    size: 1,
    modified: 1_000_000_000,
    changed: 7,
    inode: 7,
};

/// The result of an image, whose content is its name.
fn result(name: &str, label: &str, probability: f64, decision: Decision) -> Record {
    let record = record(label, probability, decision).expect("a record");
    Record {
        content: name.to_owned(),
        ..record
    }
}

/// Five images whose results the library knows: by urgency b, d, c, a; e is rejected.
fn five() -> Vec<Record> {
    vec![
        result("a", "normal", 0.9, Decision::Confident),
        result("b", "pneumonia", 0.9, Decision::Confident),
        result("c", "fracture", 0.5, Decision::Uncertain),
        result("d", "tumor", 0.8, Decision::Confident),
        result("e", "tumor", 0.3, Decision::Rejected),
    ]
}

/// Shows these results; the conditions of the prompt set are in another order than that of their names.
fn begin(records: Vec<Record>, blind: bool) -> Program {
    let mut program = Program::reviewing("ana", blind);
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
    program
}

/// The reviews that these effects store.
fn stored(effects: &[Effect]) -> Vec<Review> {
    let requests = effects.iter().filter_map(|effect| match effect {
        Effect::Review { request, .. } => Some(request.clone()),
        _ => None,
    });
    let reviews = requests.filter_map(|request| match request {
        ReviewRequest::Store(review) => Some(*review),
        _ => None,
    });
    reviews.collect()
}

/// Content and labels of the review that keys store.
fn decides(program: &mut Program, keys: &str) -> Option<(String, Option<Vec<String>>)> {
    let reviews = stored(&program.press(keys));
    assert!(reviews.len() <= 1, "{keys}: {reviews:?}");
    let review = reviews.into_iter().next()?;
    Some((review.content, review.labels))
}

#[allow(clippy::unnecessary_wraps)] // As `decides` answers.
fn said(content: &str, labels: &[&str]) -> Option<(String, Option<Vec<String>>)> {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Some((content.to_owned(), Some(labels)))
}

/// The name under the cursor.
fn cursor(program: &Program) -> String {
    let screen = program.screen(100, 24);
    let line = screen.lines().find(|line| line.starts_with('▌'));
    let words = line.unwrap_or_default().split_whitespace();
    let mut names = words.filter(|word| word.len() == 1 && word.is_ascii());
    names.next().unwrap_or_default().to_owned()
}

/// The row of a file, as far as the list goes.
fn row(program: &Program, name: &str) -> String {
    let screen = program.screen(100, 24);
    let mut rows = screen
        .lines()
        .skip(1)
        .map(|line| line.split('│').next().unwrap_or_default());
    let row = rows.find(|row| row.split_whitespace().any(|word| word == name));
    row.unwrap_or_else(|| panic!("{name}:\n{screen}"))
        .to_owned()
}

fn status(program: &Program) -> String {
    let screen = program.screen(100, 24);
    screen.lines().last().unwrap_or_default().trim().to_owned()
}

/// A review of somebody, as the library reports it.
fn review(content: &str, reviewer: &str, label: &str) -> Review {
    Review {
        content: content.to_owned(),
        prompts: "general".to_owned(),
        reviewer: reviewer.to_owned(),
        path: path(content),
        at: "2026-03-01T10:00:00Z".to_owned(),
        labels: Some(vec![label.to_owned()]),
        ..Review::default()
    }
}

fn learn(program: &mut Program, reviews: Vec<Review>) {
    let samples = Vec::new();
    program.send(Msg::ReviewsChanged(ReviewChanges { reviews, samples }));
}

#[test]
fn two_keys_decide_on_an_image_and_move_to_the_next_unreviewed_one() {
    let mut program = begin(five(), false);
    program.press("W");
    assert_eq!(cursor(&program), "b");
    assert_eq!(decides(&mut program, ",,"), said("b", &["pneumonia"]));
    assert_eq!(cursor(&program), "d");
    // By their order in the prompt set: normal, pneumonia, tumor, fracture.
    assert_eq!(decides(&mut program, ",4"), said("d", &["fracture"]));
    assert_eq!(decides(&mut program, ",0"), said("c", &[]));
    assert_eq!(decides(&mut program, ",1"), said("a", &["normal"]));
    assert_eq!(cursor(&program), "e");
    assert_eq!(decides(&mut program, ",,"), None, "it was rejected");
    assert!(status(&program).contains("no result to accept"));
    assert_eq!(decides(&mut program, ",3"), said("e", &["tumor"]));
    assert!(
        status(&program).starts_with("e: tumor · 5 of 5 reviewed; no unreviewed image is left"),
        "{}",
        status(&program)
    );
    for (name, mark) in [
        ("a", "✓●"),
        ("b", "✓●"),
        ("d", "≠●"),
        ("c", "≠◐"),
        ("e", "✓○"),
    ] {
        let row = row(&program, name);
        assert!(row.contains(mark), "{row}");
    }
    insta::assert_snapshot!(program.screen(100, 24));
}

#[test]
fn reviews_carry_who_and_what_and_can_be_corrected_noted_flagged_and_cleared() {
    let mut program = begin(five(), false);
    let reviews = stored(&program.press(",2"));
    let expected = Review {
        at: String::new(),
        ..review("a", "ana", "pneumonia")
    };
    assert_eq!(reviews, [expected]);
    program.press("k,nsee ");
    program.send(key(KeyCode::Char('B')));
    let noted = stored(&program.send(key(KeyCode::Enter)));
    assert_eq!(noted[0].note, "see B");
    assert_eq!(
        noted[0].labels.as_deref(),
        Some(&["pneumonia".to_owned()][..])
    );
    let flagged = stored(&program.press(",f"));
    assert!(flagged[0].flagged && flagged[0].note == "see B");
    assert!(row(&program, "a").contains('⚑'));
    let screen = program.screen(100, 24);
    for words in ["pneumonia, unlike the model", "see B"] {
        assert!(screen.contains(words), "{words}:\n{screen}");
    }
    let cleared = stored(&program.press(",x"));
    assert_eq!(cleared[0].labels, None);
    assert!(cleared[0].flagged);
    assert_eq!(cursor(&program), "a", "none of these moves on");
    assert!(stored(&program.press(",x")).is_empty());
}

#[test]
fn the_leader_shows_its_keys_and_a_wrong_key_does_nothing() {
    let mut program = begin(five(), false);
    program.press(",");
    insta::assert_snapshot!(program.screen(100, 24));
    program.send(key(KeyCode::Esc));
    assert!(!status(&program).contains("accept"));
    assert!(program.press(",q").is_empty(), "the program goes on");
    assert!(
        status(&program).contains("no such key"),
        "{}",
        status(&program)
    );
    program.press(",?");
    assert!(program.screen(100, 40).contains("next unreviewed"));
}

#[test]
fn a_key_with_ctrl_or_alt_means_the_same_after_the_leader_as_without_it() {
    let keys = || [ctrl('c'), ctrl('u'), ctrl('l'), alt('n'), alt('1')];
    for (own, other) in keys().into_iter().zip(keys()) {
        let pressed = format!("{own:?}");
        let mut with_leader = begin(five(), false);
        let mut without = begin(five(), false);
        with_leader.press(",");
        assert_eq!(with_leader.send(own), without.send(other), "{pressed}");
        assert_eq!(with_leader.screen(100, 24), without.screen(100, 24));
    }
}

#[test]
fn digits_have_names_where_no_result_panel_shows_them() {
    let screen = |keys: &str, cols, rows, labels: Mode| {
        let mut records = five();
        for record in &mut records {
            record.mode = labels;
        }
        let mut program = begin(records, false);
        program.send(Msg::Resized { cols, rows });
        program.press(keys);
        program.screen(cols, rows)
    };
    let named = "1 normal  2 pneumonia  3 tumor  4 fracture";
    for (keys, cols, rows) in [("vg,", 100, 24), ("Z,", 100, 24), (",", 60, 15)] {
        let screen = screen(keys, cols, rows, Mode::Single);
        let line = screen.lines().last().unwrap_or_default();
        assert!(line.contains(named), "{keys}:\n{screen}");
    }
    // Where the status line is too short, there are rows above it.
    let narrow = screen(",", 40, 15, Mode::Single);
    let lines: Vec<_> = narrow.lines().rev().take(3).map(str::trim).collect();
    assert_eq!(lines[2], "1 normal · 2 pneumonia · 3 tumor", "{narrow}");
    assert_eq!(lines[1], "4 fracture", "{narrow}");
    assert!(lines[0].starts_with("review:"), "{narrow}");
    let chosen = screen("Z,2", 100, 24, Mode::Multi);
    assert!(
        chosen.contains("1 normal  2✓ pneumonia  3 tumor"),
        "{chosen}"
    );
    let panels = screen(",", 100, 24, Mode::Single);
    assert!(panels.contains("1–4 conditions"), "{panels}");
}

#[test]
fn every_digit_has_its_name_on_a_small_screen_too() {
    let mut records = five();
    for record in &mut records {
        // Much to say about each, as of images that the model has told the kind of.
        record.verdict.description = "Several sentences about what it shows. ".repeat(6);
    }
    let mut program = begin(records, false);
    program.send(Msg::Resized { cols: 80, rows: 24 });
    for reviewed in [false, true] {
        program.press(",");
        let screen = program.screen(80, 24);
        for named in ["1 normal", "2 pneumonia", "3 tumor", "4 fracture"] {
            assert!(screen.contains(named), "{reviewed}, {named}:\n{screen}");
        }
        // Back to the image that was reviewed.
        program.press("1k");
    }
    // A rejected image, which makes no claim, can be reviewed, too.
    let mut program = begin(vec![result("e", "tumor", 0.9, Decision::Rejected)], false);
    program.press(",");
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("3 tumor") && !screen.contains("90.0%"),
        "{screen}"
    );
}

#[test]
fn where_several_conditions_may_apply_digits_choose_and_the_leader_decides() {
    let mut records = five();
    records.truncate(2);
    for record in &mut records {
        record.mode = Mode::Multi;
        record.verdict.scores[1].probability = 0.6;
    }
    let mut program = begin(records, false);
    assert_eq!(decides(&mut program, ",24"), None);
    assert!(
        program.screen(100, 24).contains("2✓ pneumonia"),
        "{}",
        program.screen(100, 24)
    );
    assert_eq!(
        decides(&mut program, ","),
        said("a", &["pneumonia", "fracture"])
    );
    assert_eq!(
        decides(&mut program, ",,"),
        said("b", &["pneumonia"]),
        "a finding is not said to be normal"
    );
    assert!(row(&program, "a").contains('≠') && row(&program, "b").contains('✓'));
}

#[test]
fn what_reaches_its_operating_point_is_accepted_and_named_and_nothing_else() {
    let mut records = five();
    records.truncate(1);
    let record = &mut records[0];
    record.mode = Mode::Multi;
    // Of labels: one condition counts from a fifth, another not before nine tenths.
    for (score, threshold) in record.verdict.scores.iter_mut().zip([0.2, 0.9]) {
        (score.probability, score.threshold) = (0.5, Some(threshold));
    }
    record.verdict.scores.truncate(2);
    let [present, absent] = [0, 1].map(|at| records[0].verdict.scores[at].condition.clone());
    let mut program = begin(records, false);
    let screen = program.screen(110, 40).replace('\n', " ");
    assert!(screen.contains("Present:"), "{screen}");
    assert!(
        screen.contains(&format!("{present} (from 20%)")),
        "{screen}"
    );
    assert!(screen.contains(&format!("absent: {absent}")), "{screen}");
    assert_eq!(decides(&mut program, ",,"), said("a", &[&present]));
}

#[test]
fn a_review_that_cannot_be_stored_is_taken_back_with_the_reason() {
    let mut program = begin(five(), false);
    let effects = program.press(",2");
    let before = effects.into_iter().find_map(|effect| match effect {
        Effect::Review { before, .. } => Some(before),
        _ => None,
    });
    assert!(row(&program, "a").contains('≠'));
    program.send(Msg::ReviewFailed {
        before: before.flatten(),
        message: "the disk is full".to_owned(),
    });
    assert!(!row(&program, "a").contains('≠'));
    assert!(status(&program).contains("not stored: the disk is full"));
}

#[test]
fn undo_asks_the_library_and_shows_what_is_in_force_then() {
    let mut program = begin(five(), false);
    program.press(",2,2");
    let effects = program.press(",u");
    let request = effects.into_iter().find_map(|effect| match effect {
        Effect::Review { request, .. } => Some(request),
        _ => None,
    });
    let request = request.expect("undo is requested");
    assert!(matches!(&request, ReviewRequest::Undo { reviewer, .. } if reviewer == "ana"));
    let outcome = ReviewOutcome::Review(Box::new(Review {
        labels: None,
        ..review("b", "ana", "")
    }));
    program.send(Msg::Reviewed {
        request: request.clone(),
        outcome,
    });
    assert_eq!(cursor(&program), "b");
    assert!(
        status(&program).starts_with("undone: march/b: not reviewed"),
        "{}",
        status(&program)
    );
    assert!(!row(&program, "b").contains('✓') && row(&program, "a").contains('≠'));
    let outcome = ReviewOutcome::Nothing;
    program.send(Msg::Reviewed { request, outcome });
    assert_eq!(
        status(&program).split("  ").next(),
        Some("there is nothing to undo")
    );
}

#[test]
fn the_undo_of_an_import_is_shown_on_all_its_images_and_leaves_the_cursor() {
    let mut program = begin(five(), false);
    program.press(",2,2");
    let before = cursor(&program);
    let undone = ["a", "b"].map(|name| Review {
        labels: None,
        ..review(name, "ana", "")
    });
    program.send(Msg::Reviewed {
        request: ReviewRequest::Undo {
            reviewer: "ana".to_owned(),
            root: path(""),
        },
        outcome: ReviewOutcome::Import(undone.to_vec()),
    });
    assert!(
        status(&program).starts_with("undone: the import of 2 labels"),
        "{}",
        status(&program)
    );
    assert_eq!(cursor(&program), before);
    for name in ["a", "b"] {
        assert!(!row(&program, name).contains(['✓', '≠']), "{name}");
    }
}

#[test]
fn reviews_of_others_are_shown_and_do_not_count_as_mine() {
    let mut program = begin(five(), false);
    learn(
        &mut program,
        vec![review("a", "bo", "tumor"), review("c", "ana", "fracture")],
    );
    assert!(program.screen(100, 24).contains("bo: tumor"));
    assert!(!row(&program, "a").contains('≠') && row(&program, "c").contains('✓'));
    program.press("/reviewed");
    let listed = |program: &Program| {
        let screen = program.screen(100, 24);
        let rows = screen.lines().skip(1).take(5);
        rows.filter(|row| row.contains('%')).count()
    };
    assert_eq!(listed(&program), 1);
    let undone = Review {
        labels: None,
        ..review("c", "ana", "")
    };
    learn(&mut program, vec![undone]);
    assert_eq!(listed(&program), 0, "its review was undone elsewhere");
}

#[test]
fn with_the_filter_on_unreviewed_images_each_decision_leads_to_the_next() {
    let mut program = begin(five(), false);
    program.press("W/!reviewed");
    program.send(key(KeyCode::Enter));
    for name in ["b", "d", "c", "a"] {
        assert_eq!(cursor(&program), name);
        assert_eq!(decides(&mut program, ",1"), said(name, &["normal"]));
    }
    assert_eq!(cursor(&program), "e");
}

#[test]
fn blind_hides_every_result_and_all_that_others_say() {
    let mut program = begin(five(), true);
    learn(&mut program, vec![review("a", "bo", "tumor")]);
    let shows = |program: &Program, step: &str| {
        let screen = program.screen(100, 24);
        let told = [
            "90",
            "bo: ",
            "Nothing out of",
            "confident",
            "uncertain",
            "◐",
            "●",
        ];
        for words in told {
            assert!(!screen.contains(words), "{step} {words}:\n{screen}");
        }
    };
    shows(&program, "list");
    insta::assert_snapshot!(program.screen(100, 24));
    for keys in [
        "W", "vg", "vg", "vc", "vc", "va", ",e", ",c", "su", "/p>0.1",
    ] {
        program.press(keys);
        if !keys.starts_with('/') {
            shows(&program, keys);
        }
    }
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("0 of 5"),
        "no result passes a filter:\n{screen}"
    );
    program.send(key(KeyCode::Esc));
    program.press("sn");
    assert_eq!(
        decides(&mut program, ",,"),
        None,
        "there is nothing to accept"
    );
    let reviews = stored(&program.press(",2"));
    assert!(reviews[0].blind);
    program.press(",b");
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("90%") && screen.contains("pneumonia, unlike the model")
            || screen.contains('≠')
    );
    program.press(",b");
    shows(&program, "blind again");
}

#[test]
fn a_sample_is_drawn_from_what_is_not_reviewed_and_listed() {
    let mut program = begin(five(), false);
    learn(&mut program, vec![review("b", "ana", "tumor")]);
    program.press(",s");
    for _ in 0..2 {
        program.send(key(KeyCode::Backspace));
    }
    program.press("2");
    let effects = program.send(key(KeyCode::Enter));
    let request = effects.into_iter().find_map(|effect| match effect {
        Effect::Review { request, .. } => Some(request),
        _ => None,
    });
    let Some(request @ ReviewRequest::Sample { .. }) = request else {
        panic!("{request:?}");
    };
    if let ReviewRequest::Sample { images, count, .. } = &request {
        let contents: Vec<&str> = images.iter().map(|(content, _)| content.as_str()).collect();
        assert_eq!((contents, *count), (vec!["a", "c", "d", "e"], 2));
    }
    let sampled = ["e", "a"].map(|content| SampledImage {
        content: content.to_owned(),
        prompts: "general".to_owned(),
        reviewer: "ana".to_owned(),
    });
    let outcome = ReviewOutcome::Sampled(sampled.to_vec());
    program.send(Msg::Reviewed { request, outcome });
    assert!(
        status(&program).starts_with("2 images drawn at random"),
        "{}",
        status(&program)
    );
    assert_eq!(cursor(&program), "a");
    program.press(",1");
    assert_eq!(cursor(&program), "e");
}

#[test]
fn disagreements_are_listed_with_the_most_confident_results_first() {
    let mut program = begin(five(), false);
    learn(
        &mut program,
        vec![
            review("a", "ana", "normal"),
            review("c", "ana", "normal"),
            review("d", "ana", "normal"),
            review("e", "ana", "normal"),
        ],
    );
    program.press(",e");
    assert_eq!(cursor(&program), "d");
    program.press("j");
    assert_eq!(cursor(&program), "c");
    program.press("j");
    assert_eq!(cursor(&program), "c", "those are all");
    // Without any, there is nothing to go to.
    let mut program = begin(five(), false);
    let before = program.screen(100, 24);
    let first = before.lines().next();
    program.press(",e");
    let after = program.screen(100, 24);
    assert_eq!(after.lines().next(), first, "no worklist is opened");
    assert!(status(&program).contains("no review differs"));
}

#[test]
fn without_a_library_or_a_result_nothing_is_reviewed() {
    let mut program = Program::new(100, 24);
    program.list(vec![file("a")]);
    program.press(",");
    assert!(status(&program).contains("kept in the library, and there is none"));
    let mut program = begin(Vec::new(), false);
    program.list(vec![file("a")]);
    assert!(stored(&program.press(",1,f,0")).is_empty());
    assert!(status(&program).contains("once it has a result"));
}

#[test]
fn the_agreement_view_counts_and_its_cells_lead_to_their_images() {
    let mut program = begin(five(), false);
    learn(
        &mut program,
        vec![
            review("a", "ana", "normal"),
            review("b", "ana", "normal"),
            review("c", "ana", "fracture"),
            review("e", "ana", "tumor"),
            review("a", "bo", "normal"),
            review("c", "bo", "normal"),
        ],
    );
    program.press(",c");
    insta::assert_snapshot!(program.screen(100, 24));
    let enter = |program: &mut Program| program.send(key(KeyCode::Enter));
    // The categories: fracture, normal, pneumonia, rejected, tumor.
    program.press("l");
    enter(&mut program);
    assert!(status(&program).contains("no image in that cell"));
    program.press("jl");
    enter(&mut program);
    assert_eq!(cursor(&program), "b");
    assert!(program.screen(100, 24).contains("1/1"));
    program.press(",c");
    program.press("GG");
    program.send(key(KeyCode::Right));
    program.send(key(KeyCode::Right));
    program.send(key(KeyCode::Right));
    enter(&mut program);
    assert_eq!(
        cursor(&program),
        "e",
        "reviewed as tumor, rejected by the model"
    );
    program.press(",c");
    learn(&mut program, vec![review("d", "ana", "tumor")]);
    assert!(
        program.screen(100, 24).contains("5 of 5 images"),
        "it follows"
    );
    program.send(key(KeyCode::Esc));
    program.send(key(KeyCode::Esc));
    assert!(!program.screen(100, 24).contains("Agreement"));
}

#[test]
fn what_is_pasted_is_typed_into_a_line_and_presses_no_keys() {
    let mut program = begin(five(), false);
    let effects = program.send(Msg::Pasted(",2,2\rq".to_owned()));
    assert_eq!(effects, [], "nothing is reviewed, and the program goes on");
    assert!(
        status(&program).contains("pasted text"),
        "{}",
        status(&program)
    );
    assert_eq!(cursor(&program), "a");
    program.press("/");
    program.send(Msg::Pasted("tumor\n".to_owned()));
    let line = status(&program);
    assert!(line.contains("tumor"), "{line}");
    // A line break is no Enter: the line is still typed.
    program.press("s");
    let line = status(&program);
    assert!(line.contains("tumors"), "{line}");
}
