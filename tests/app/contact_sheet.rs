//! What is seen of a folder or study under the cursor: counts, and the images most worth looking at.

use medivision_tui::app::{Effect, Graphics, Msg, Quality};
use medivision_tui::engine::Event;
use medivision_tui::media::ErrorKind;
use medivision_tui::scoring::Decision;

use crate::scene::{Program, failure, file, folder, path, record};

const NAMES: [&str; 6] = ["ct/a", "ct/b", "ct/deep/c", "ct/d", "ct/e", "ct/f"];

/// A folder `ct` of four images with results, one that failed and one that waits, above a file of its own.
fn over_a_folder(program: &mut Program) {
    program.list(vec![folder("ct"), file("x.dcm")]);
    program.scan(&NAMES);
    program.ready(false);
    // If there is a library, it knows none of them.
    let missing = NAMES.into_iter().chain(["x.dcm"]).map(path).collect();
    program.send(Msg::Engine(Event::Recalled {
        files: Vec::new(),
        missing,
    }));
    program.answer("ct/a", record("normal", 0.97, Decision::Confident));
    program.answer("ct/b", record("pneumonia", 0.6, Decision::Uncertain));
    program.answer("ct/deep/c", record("pneumonia", 0.95, Decision::Confident));
    program.answer("ct/d", record("tumor", 0.9, Decision::Rejected));
    program.answer("ct/e", failure(ErrorKind::Truncated, "it ends early"));
    program.press("g");
    program.rest();
}

fn shown(program: &Program) -> Vec<String> {
    let names = program.tiles().into_iter().map(|key| {
        let below = key.path.strip_prefix(path("ct")).map(ToOwned::to_owned);
        below.map(|below| below.display().to_string())
    });
    names
        .map(|name| name.expect("an image of the folder"))
        .collect()
}

#[test]
fn a_folder_shows_its_counts_and_its_most_urgent_images_subfolders_included() {
    let mut program = Program::new(80, 24);
    over_a_folder(&mut program);
    assert_eq!(shown(&program), ["deep/c", "b", "a", "d", "f"]);
    program.show_tiles();
    insta::assert_snapshot!(program.screen(80, 24));
}

#[test]
fn where_the_terminal_has_a_protocol_half_blocks_come_first() {
    let mut program = Program::new(80, 24);
    program.send(Msg::Graphics(Graphics::Kitty));
    over_a_folder(&mut program);
    let qualities: Vec<Quality> = program.tiles().iter().map(|key| key.quality).collect();
    let expected = [[Quality::Fast; 5], [Quality::Half; 5]].concat();
    assert_eq!(qualities, expected);
}

#[test]
fn no_image_is_requested_before_the_cursor_rests_and_none_after_it_has_left() {
    let mut program = Program::new(80, 24);
    over_a_folder(&mut program);
    let effects = program.press("j");
    let tiles = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Tiles(_)));
    assert!(tiles.eq([&Effect::Tiles(Vec::new())]), "{effects:?}");
    let effects = program.press("k");
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Tiles(_)))
    );
    program.rest();
    assert_eq!(shown(&program).len(), 5);
}

#[test]
fn a_result_that_arrives_changes_the_sheet_within_a_second_or_so() {
    let mut program = Program::new(80, 24);
    over_a_folder(&mut program);
    program.answer("ct/f", record("fracture", 0.99, Decision::Confident));
    for _ in 0..3 {
        program.rest();
    }
    let mut images = shown(&program);
    // Those that have arrived are not requested again.
    program.show_tiles();
    program.press("jk");
    program.rest();
    images.extend(shown(&program));
    assert_eq!(program.model.next_tick(), None, "nothing is awaited");
    let screen = program.screen(80, 24);
    let first = screen.find("99%").expect("the new one");
    assert!(first < screen.find("95%").expect("the old one"), "{screen}");
}

#[test]
fn a_blind_reader_sees_neither_labels_nor_which_images_are_urgent() {
    let mut program = Program::reviewing("anna", false);
    over_a_folder(&mut program);
    assert_eq!(shown(&program), ["deep/c", "b", "a", "d", "f"]);
    program.press(",b");
    assert!(!program.screen(100, 24).contains("most urgent"));
    program.rest();
    assert_eq!(shown(&program), ["a", "b", "d", "deep/c", "f"]);
    program.show_tiles();
    insta::assert_snapshot!(program.screen(100, 24));
}
