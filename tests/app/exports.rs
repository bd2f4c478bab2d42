//! Writing the results on screen to a file.

use crossterm::event::KeyCode;
use medivision_tui::app::Effect;
use medivision_tui::media::ErrorKind;
use medivision_tui::scoring::Decision;

use crate::scene::{Program, failure, file, key, path, record};

fn exported(effects: Vec<Effect>) -> Option<(String, Vec<std::path::PathBuf>)> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Export { file, results, .. } => {
            Some((file, results.into_iter().map(|(path, _)| path).collect()))
        }
        _ => None,
    })
}

#[test]
fn the_palette_writes_what_the_filter_shows_in_the_order_of_the_list() {
    let mut program = Program::new(100, 24);
    let names = ["a.png", "b.png", "c.png", "d.png"];
    program.list(names.map(file).into());
    program.ready(false);
    program.scan(&names);
    program.answer("a.png", record("tumor", 0.7, Decision::Confident));
    program.answer("b.png", record("normal", 0.9, Decision::Confident));
    program.answer("c.png", record("tumor", 0.9, Decision::Confident));
    program.answer("d.png", failure(ErrorKind::Truncated, "too short"));
    program.press("sp/label:tumor");
    program.send(key(KeyCode::Enter));
    program.press(":export out dir/a.csv");
    let found = exported(program.send(key(KeyCode::Enter)));
    let expected = ["c.png", "a.png"].map(path).to_vec();
    assert_eq!(found, Some(("out dir/a.csv".to_owned(), expected)));

    // Without a name, it is asked for.
    program.press(":export");
    program.send(key(KeyCode::Enter));
    let screen = program.screen(100, 24);
    assert!(screen.contains("export to:"), "{screen}");
    program.press("b.jsonl");
    let effects = program.send(key(KeyCode::Enter));
    let in_folder = effects
        .iter()
        .any(|effect| matches!(effect, Effect::Export { base, .. } if *base == path("")));
    assert!(in_folder, "as copies and moves do: {effects:?}");
    let (name, _) = exported(effects).expect("a file");
    assert_eq!(name, "b.jsonl");

    // Case does not matter; a format that is not known is refused before anything is written.
    program.press(":export B.CSV");
    assert!(exported(program.send(key(KeyCode::Enter))).is_some());
    program.press(":export b.txt");
    assert_eq!(exported(program.send(key(KeyCode::Enter))), None);
    let screen = program.screen(100, 24);
    let words = "b.txt: no known format; name it .jsonl, .csv or .parquet";
    assert!(screen.contains(words), "{screen}");
}

#[test]
fn nothing_is_written_where_nothing_is_classified() {
    let mut program = Program::new(100, 24);
    program.list(vec![file("a.png")]);
    program.press(":export a.csv");
    assert_eq!(exported(program.send(key(KeyCode::Enter))), None);
    assert!(
        program
            .screen(100, 24)
            .contains("there are no results here")
    );
}
