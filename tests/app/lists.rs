//! Order, filter and palette: what is typed, and what the list makes of it.

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Entry, Msg, Stamp};
use medivision_tui::media::{ErrorKind, MediaError};
use medivision_tui::scoring::Decision;

use crate::scene::{Program, ctrl, failure, file, folder, key, path, record};

/// Five files: three with a result, one that failed, one that waits.
fn five() -> Program {
    let mut program = Program::new(100, 30);
    let names = ["a.png", "b.png", "c.png", "d.png", "e.png"];
    let mut entries = names.map(file).to_vec();
    entries.push(folder("more"));
    program.list(entries);
    program.ready(false);
    program.scan(&names);
    program.answer("a.png", record("normal", 0.6, Decision::Uncertain));
    program.answer("b.png", record("tumor", 0.9, Decision::Confident));
    program.answer("c.png", record("normal", 0.95, Decision::Confident));
    program.answer("d.png", failure(ErrorKind::Truncated, "too short"));
    program
}

/// The name of a file or folder in a line of the list.
fn name_in(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.find_map(|word| word.strip_suffix(".png").or(word.strip_suffix('/')))
}

/// The names on screen, in their order.
fn names(program: &Program) -> String {
    let screen = program.screen(100, 30);
    let column = screen.lines().skip(1).take(8).filter_map(name_in);
    column.collect::<Vec<_>>().join(" ")
}

#[test]
fn s_and_a_letter_choose_the_order_and_capital_s_turns_it_round() {
    let mut program = five();
    assert_eq!(names(&program), "more a b c d e");
    program.press("S");
    assert_eq!(names(&program), "more e d c b a");
    program.press("sl");
    assert!(program.screen(100, 30).contains("sorted by label"));
    assert_eq!(
        names(&program),
        "more c a b d e",
        "normal, then tumor; the likelier first"
    );
    program.press("sp");
    assert_eq!(names(&program), "more c b a d e", "by probability");
    program.press("su");
    assert_eq!(names(&program), "more b a c d e", "by urgency");
    program.press("S");
    assert_eq!(
        names(&program),
        "more c a b d e",
        "what has no result stays behind"
    );
    program.press("sc");
    assert_eq!(
        names(&program),
        "more a b c d e",
        "the closest decision first"
    );
    program.press("sn");
    assert_eq!(names(&program), "more a b c d e");
}

#[test]
fn a_result_moves_its_file_and_the_cursor_stays_on_its_own() {
    let mut program = five();
    program.press("su");
    program.press("gj");
    assert_eq!(names(&program), "more b a c d e");
    program.answer("e.png", record("pneumonia", 0.99, Decision::Confident));
    assert_eq!(names(&program), "more e b a c d");
    let cursor = program
        .screen(100, 30)
        .lines()
        .find(|line| line.starts_with('▌'))
        .map(str::to_owned);
    assert!(cursor.is_some_and(|line| line.contains("b.png")));
}

#[test]
fn a_filter_works_while_it_is_typed_stays_with_enter_and_goes_with_esc() {
    let mut program = five();
    program.press("/");
    program.press("q"); // a letter now, and no command
    assert!(program.screen(100, 30).contains("Nothing here matches “q”"));
    program.send(key(KeyCode::Backspace));
    program.press("c");
    assert_eq!(names(&program), "c");
    assert!(program.screen(100, 30).contains("1 of 6"));
    program.send(key(KeyCode::Enter));
    assert_eq!(names(&program), "c");
    assert!(program.screen(100, 30).contains("“c”"));
    program.send(Msg::Appeared {
        entry: file("cc.png"),
        picture: true,
    });
    program.send(Msg::Appeared {
        entry: file("x.png"),
        picture: true,
    });
    assert_eq!(names(&program), "c cc");
    program.send(key(KeyCode::Esc));
    assert_eq!(names(&program), "more a b c cc d e x");
    // Leaving the line without keeping it.
    program.press("/a");
    assert_eq!(names(&program), "a");
    program.send(ctrl('c'));
    assert_eq!(names(&program), "more a b c cc d e x");
}

#[test]
fn the_palette_finds_an_action_by_its_words_and_does_it() {
    let mut program = five();
    program.press(":");
    let screen = program.screen(100, 30);
    assert!(
        screen.contains("Commands") && screen.contains("Move: down"),
        "{screen}"
    );
    program.press("reverse");
    let screen = program.screen(100, 30);
    assert!(
        !screen.contains("Move: down") && screen.contains("reverse sort order"),
        "{screen}"
    );
    program.send(key(KeyCode::Enter));
    assert_eq!(names(&program), "more e d c b a");
    program.press(":quit");
    assert!(program.send(key(KeyCode::Enter)).contains(&Effect::Quit));
    program.press(":zzzz");
    for _ in 0..2 {
        let screen = program.screen(100, 30);
        assert!(screen.contains("No command has such a name."), "{screen}");
        assert_eq!(program.send(key(KeyCode::Enter)), [], "it stays open");
    }
}

/// The files handed over, or let go ahead, by the key that classifies marked files.
fn asked(program: &mut Program) -> Vec<std::path::PathBuf> {
    let effects = program.press("C");
    let started = crate::scene::started(&effects);
    let mut paths = program.promoted(&effects);
    paths.extend(started.into_iter().map(|job| job.path));
    paths.sort();
    paths
}

#[test]
fn a_range_of_marks_goes_from_the_last_mark_to_the_cursor_either_way() {
    // Row 0 is a folder, which takes no mark; a mark moves the cursor on by one.
    let cases: [(&str, &[&str]); 4] = [
        ("gj jj*", &["a.png", "b.png", "c.png", "d.png"]),
        ("G kkk*", &["b.png", "c.png", "d.png", "e.png"]),
        ("gj jj*gjjj*", &["a.png", "b.png", "c.png", "d.png"]),
        ("Gk g*", &["a.png", "b.png", "c.png", "d.png"]),
    ];
    for (keys, names) in cases {
        let mut program = five();
        program.press(keys);
        let names: Vec<_> = names.iter().map(|name| crate::scene::path(name)).collect();
        assert_eq!(asked(&mut program), names, "{keys}");
    }
    let mut program = five();
    program.press("gjj*");
    assert!(asked(&mut program).is_empty());
}

#[test]
fn marks_are_classified_whichever_folder_is_on_screen() {
    let mut program = five();
    program.press("gj ");
    program.press("g");
    program.send(key(KeyCode::Enter));
    program.list(vec![file("more/x.png")]);
    program.press(" ");
    let marked = ["a.png", "more/x.png"].map(crate::scene::path);
    assert_eq!(asked(&mut program), marked);
    assert!(asked(&mut program).is_empty(), "the marks are gone");
}

#[test]
fn marks_are_counted_all_together_and_removed_all_at_once() {
    let mut program = five();
    let says = |program: &Program, words: &str| {
        let screen = program.screen(100, 30);
        assert!(screen.contains(words), "{words}:\n{screen}");
    };
    program.press("gj *");
    says(&program, "1 more marked, 2 in all");
    program.press("gjjj G*");
    says(&program, "2 more marked, 5 in all");
    says(&program, "5 marked ");
    // A filter hides some of what is to be copied: the prompt says so.
    program.press("/a.png");
    program.send(key(KeyCode::Enter));
    program.press(";c");
    says(&program, "copy 5 files (4 not in this list) to:");
    program.send(key(KeyCode::Esc));
    program.send(key(KeyCode::Esc));
    // The filter is cleared first, then the marks.
    says(&program, "5 marked ");
    program.send(key(KeyCode::Esc));
    says(&program, "5 marks removed");
    assert!(asked(&mut program).is_empty());
    program.press("gj :unmark all");
    program.send(key(KeyCode::Enter));
    says(&program, "1 mark removed");
}

#[test]
fn dotfiles_that_were_not_listed_are_not_hidden_by_a_filter() {
    let mut program = Program::new(100, 24);
    program.list(vec![file(".x.png"), file("a.png"), file("b.png")]);
    program.press("/a");
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("1 of 2") && screen.contains("1 hidden"),
        "{screen}"
    );
    program.send(key(KeyCode::Esc));
    program.press("./a");
    let screen = program.screen(100, 24);
    assert!(
        screen.contains("1 of 3") && screen.contains("2 hidden"),
        "{screen}"
    );
}

#[test]
fn marks_stay_where_there_is_no_model() {
    let mut program = five();
    program.press("gj ");
    program.send(Msg::Engine(medivision_tui::engine::Event::Failed {
        message: "no".to_owned(),
    }));
    assert!(asked(&mut program).is_empty());
    program.ready(false);
    assert_eq!(asked(&mut program).len(), 1);
}

#[test]
fn what_cannot_be_looked_into_is_marked_and_counted_as_classify_counts_it() {
    let mut program = Program::new(100, 30);
    let link = Entry {
        stamp: Stamp::default(),
        ..file("link.png")
    };
    program.list(vec![folder("locked"), link, file("a.png")]);
    program.ready(false);
    for (name, kind, message) in [
        ("locked", ErrorKind::Permission, "permission denied"),
        ("link.png", ErrorKind::NotFound, "no such file"),
    ] {
        program.send(Msg::Unreadable {
            path: path(name),
            error: MediaError::new(kind, message),
        });
    }
    program.scan(&["a.png"]);
    let marked = |program: &Program, name: &str| {
        let screen = program.screen(100, 30);
        screen
            .lines()
            .any(|line| line.contains(name) && line.contains('✗'))
    };
    assert!(marked(&program, "locked/") && marked(&program, "link.png"));
    program.press("va");
    assert!(program.screen(100, 30).contains("2 failed"));
    program.press("va");
    // Classified by key, the link is still there.
    program.press("Gc");
    program.answer("link.png", failure(ErrorKind::NotFound, "no such file"));
    assert!(marked(&program, "link.png"), "{}", program.screen(100, 30));
    // A folder that can be read again is no failure any more.
    program.press("g");
    program.send(key(KeyCode::Enter));
    program.list(Vec::new());
    program.send(key(KeyCode::Backspace));
    assert!(!marked(&program, "locked/"));
}
