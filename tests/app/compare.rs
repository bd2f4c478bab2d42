//! Two files side by side.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Graphics, Msg, Quality};
use medivision_tui::engine::{ClassifiedFile, Event};
use medivision_tui::media::ErrorKind;
use medivision_tui::scoring::Decision;

use crate::scene::{Program, failure, file, folder, key, path, record, stamp};
use crate::screens::{at_all_sizes, browsing};

/// Four files with results; the first and the third are compared.
fn compared() -> Program {
    let mut program = Program::new(80, 24);
    program.list(vec![
        folder("sub"),
        file("a"),
        file("b"),
        file("c"),
        file("d"),
    ]);
    program.ready(false);
    program.scan(&["a", "b", "c", "d"]);
    program.answer("a", record("tumor", 0.8, Decision::Confident));
    program.answer("b", record("normal", 0.9, Decision::Confident));
    program.answer("c", record("fracture", 0.6, Decision::Uncertain));
    program.answer("d", failure(ErrorKind::Truncated, "cut"));
    program.press("j jvc");
    program
}

/// The files in the titles, left and right.
fn titles(program: &Program) -> [String; 2] {
    let screen = program.screen(80, 24);
    let title = screen.lines().next().expect("a title").to_owned();
    let (left, right) = title.split_once('┬').expect("two of them");
    [left, right].map(|title| {
        let name = title.trim_matches(|c| c == '─' || c == ' ');
        name.rsplit('/').next().unwrap_or_default().to_owned()
    })
}

#[test]
fn two_files_with_their_scores() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("gj vc");
        program.rest();
        program.show_tiles();
    }));
}

#[test]
fn the_marked_file_stands_beside_the_one_under_the_cursor() {
    let mut program = compared();
    assert_eq!(titles(&program), ["a", "c"]);
    let keys = program.tiles();
    let files: Vec<_> = keys.iter().map(|key| key.path.clone()).collect();
    assert_eq!(files, [path("a"), path("c")]);
    assert!(
        program.wanted().is_none(),
        "the panels' picture is not seen"
    );
    program.send(key(KeyCode::Esc));
    assert!(program.wanted().is_some());
    program.press("jj vc");
    assert_eq!(titles(&program), ["a", "d"], "both are marked");
    program.send(key(KeyCode::Esc));
    program.press("k vc");
    assert!(program.screen(80, 24).contains("more than two"));
}

/// The results of a file scored by other prompts.
fn rescored(program: &mut Program, name: &str) {
    let mut other = record("effusion", 0.62, Decision::Uncertain).expect("a record");
    "chest-xray".clone_into(&mut other.prompts);
    let generation = program.asked(name).expect("it was classified");
    let file = ClassifiedFile {
        path: path(name),
        generation,
        records: vec![other].into(),
    };
    program.send(Msg::Engine(Event::Rescored {
        files: vec![file],
        left: 0,
    }));
}

#[test]
fn one_file_under_two_prompt_sets() {
    insta::assert_snapshot!(at_all_sizes(|program| {
        browsing(program);
        program.press("vc");
        program.rest();
        rescored(program, "chest-001.dcm");
        program.show_tiles();
    }));
}

#[test]
fn one_file_keeps_its_result_on_the_left() {
    let mut program = compared();
    program.send(key(KeyCode::Esc));
    program.press("gj ");
    program.press("kvc");
    let title = |program: &Program| {
        let screen = program.screen(80, 24);
        let words = screen
            .lines()
            .next()
            .unwrap_or_default()
            .replace(['─', '┬'], " ");
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(title(&program), "general a general a");
    rescored(&mut program, "a");
    assert_eq!(title(&program), "general a chest-xray a");
    let screen = program.screen(80, 24);
    let scores = screen.lines().find(|line| line.contains(" effusion  ╌"));
    let scores = scores.expect("a condition of the other set").to_owned();
    let (left, right) = scores.split_once('│').expect("two sides");
    assert!(left.contains('–') && right.contains("62.0%"), "{scores}");
    program.press("j");
    assert!(program.screen(80, 24).contains("p chooses other prompts"));
    assert_eq!(program.press("p"), [Effect::PromptSets]);
}

#[test]
fn without_a_mark_it_says_what_to_do() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("a"), file("b")]);
    let effects = program.press("vc");
    assert_eq!(effects, []);
    assert!(
        program
            .screen(80, 24)
            .contains("mark two files to compare (Space)")
    );
}

#[test]
fn one_side_is_chosen_and_goes_through_the_list() {
    let mut program = compared();
    program.press("j");
    assert_eq!(titles(&program), ["a", "d"]);
    program.press("kk");
    assert_eq!(titles(&program), ["a", "b"]);
    program.press("hjj");
    assert_eq!(titles(&program), ["c", "b"]);
    program.press("g");
    assert_eq!(
        titles(&program),
        ["c", "b"],
        "no file further up than the folder"
    );
    program.press("k");
    program.send(key(KeyCode::Tab));
    program.press("G");
    assert_eq!(titles(&program), ["b", "d"]);
    let asked = program.press("c");
    let again = crate::scene::started(&asked);
    let again: Vec<_> = again.into_iter().map(|job| job.path).collect();
    assert_eq!(again, [path("d")], "the keys are about the side chosen");
    program.send(key(KeyCode::Enter));
    assert_eq!(program.wanted().map(|key| key.path), Some(path("d")));
}

#[test]
fn both_pictures_come_in_half_blocks_and_in_full_at_rest() {
    let mut program = compared();
    program.send(Msg::Graphics(Graphics::Kitty));
    program.press("j");
    let qualities = |program: &Program| -> Vec<Quality> {
        program.tiles().iter().map(|key| key.quality).collect()
    };
    assert_eq!(qualities(&program), [Quality::Fast; 2]);
    program.show_tiles();
    program.rest();
    assert_eq!(qualities(&program), [Quality::Full; 2]);
}

#[test]
fn what_changes_meanwhile_is_seen() {
    let mut program = compared();
    program.send(Msg::Modified {
        path: path("c"),
        stamp: stamp(2),
        picture: true,
    });
    program.answer("c", record("pneumonia", 0.95, Decision::Confident));
    assert!(program.screen(80, 24).contains("pneumonia  confident"));
    program.send(Msg::Renamed {
        from: path("a"),
        to: file("z"),
    });
    assert_eq!(titles(&program), ["z", "c"]);
}

#[test]
fn one_file_on_both_sides_is_said_to_be_one() {
    let mut program = compared();
    program.send(key(KeyCode::Esc));
    program.send(key(KeyCode::Esc));
    program.press("vc");
    let screen = program.screen(120, 24);
    assert!(screen.contains("the same file twice: p"), "{screen}");
}

#[test]
fn a_popup_leaves_both_images_as_they_are() {
    let mut program = compared();
    program.send(Msg::Graphics(Graphics::Sixel));
    program.rest();
    program.show_tiles();
    let before = program.screen(80, 24);
    program.press("p");
    let after = program.screen(80, 24);
    // In the rows above the popup nothing has changed.
    let rows = |screen: &str| {
        screen
            .lines()
            .skip(1)
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(after.contains('╭'), "{after}");
    assert_eq!(rows(&after), rows(&before));
}
