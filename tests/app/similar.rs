//! The search by similarity, to words and to an image.

use std::path::PathBuf;

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Msg};
use medivision_tui::engine::{Event, QuerySubject, Similarities, SimilarityRequest};
use medivision_tui::scoring::Decision;

use crate::scene::{Program, file, key, path, record};

/// Three classified images, and one that the model is not meant for.
fn classified() -> Program {
    let mut program = Program::new(100, 24);
    program.list(["a.png", "b.png", "c.png", "d.png"].map(file).into());
    program.ready(false);
    program.scan(&["a.png", "b.png", "c.png", "d.png"]);
    for name in ["a.png", "b.png", "c.png"] {
        program.answer(name, record("normal", 0.9, Decision::Confident));
    }
    program.answer("d.png", record("normal", 0.9, Decision::Rejected));
    program
}

fn request(effects: Vec<Effect>) -> Option<SimilarityRequest> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Compare(request) => Some(request),
        _ => None,
    })
}

/// Types a query; returns what it requests.
fn find(program: &mut Program, query: &str) -> Option<SimilarityRequest> {
    program.press("f");
    program.press(query);
    request(program.send(key(KeyCode::Enter)))
}

fn answer(program: &mut Program, generation: u64, similarities: &[(&str, f32)]) {
    let images = similarities.iter();
    let images = images.map(|(name, similarity)| (path(name), *similarity));
    program.send(Msg::Engine(Event::Compared {
        generation,
        outcome: Ok(Similarities {
            images: images.collect(),
            warnings: Vec::new(),
        }),
    }));
}

/// The rows of the list: names and the last word of each.
fn rows(program: &Program) -> Vec<(String, String)> {
    let screen = program.screen(100, 24);
    let row = |line: &str| {
        let line = line.split('│').next()?;
        let name = line.split_whitespace().find(|word| word.contains(".png"))?;
        let last = line.split_whitespace().last()?;
        Some((name.to_owned(), last.to_owned()))
    };
    screen.lines().skip(1).filter_map(row).collect()
}

fn names(program: &Program) -> String {
    let names = rows(program).into_iter().map(|(name, _)| name);
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_query_ranks_the_list_by_similarity_which_is_the_number_shown_until_escape() {
    let mut program = classified();
    let request = find(&mut program, "hazy lungs - 2:chest tube").expect("a request");
    let text = |text: &str| QuerySubject::Text(text.to_owned());
    let terms = vec![(text("hazy lungs"), 1.0), (text("chest tube"), -2.0)];
    assert_eq!(request.terms, terms);
    // The rejected image is not compared.
    let compared: Vec<PathBuf> = request.images.into_iter().map(|(path, _)| path).collect();
    assert_eq!(compared, ["a.png", "b.png", "c.png"].map(path));

    let similarities = [("a.png", -0.04), ("b.png", 0.31), ("c.png", 0.2)];
    answer(&mut program, request.generation, &similarities);
    assert_eq!(names(&program), "b.png c.png a.png d.png");
    let figures: Vec<String> = rows(&program).into_iter().map(|(_, last)| last).collect();
    assert_eq!(figures, ["0.31", "0.20", "-.04", "rejected"]);
    let screen = program.screen(100, 24);
    assert!(screen.contains("↓ like “hazy lungs"), "{screen}");
    assert!(
        screen
            .lines()
            .any(|line| line.starts_with('▌') && line.contains("b.png"))
    );

    program.send(key(KeyCode::Esc));
    assert_eq!(names(&program), "a.png b.png c.png d.png");
    let screen = program.screen(100, 24);
    assert!(
        screen
            .lines()
            .any(|line| line.starts_with('▌') && line.contains("b.png"))
    );
}

#[test]
fn more_like_this_compares_with_the_image_under_the_cursor_and_names_are_images() {
    let mut program = classified();
    let embedding: std::sync::Arc<[f32]> = vec![1.0, 0.0].into();
    let image = QuerySubject::Image(embedding);
    program.press("j");
    let like = request(program.press("U")).expect("a request");
    assert_eq!(like.terms, [(image.clone(), 1.0)]);
    let sum = find(&mut program, "c.png + 0.5:pneumonia").expect("a request");
    let text = QuerySubject::Text("pneumonia".to_owned());
    assert_eq!(sum.terms, [(image, 1.0), (text, 0.5)]);
    // The rejected image cannot be compared with others.
    program.press("G");
    assert_eq!(request(program.press("U")), None);
    assert!(program.screen(100, 24).contains("only a classified image"));
}

#[test]
fn only_the_answer_to_the_last_query_ranks_and_only_the_folder_that_it_is_about() {
    let mut program = classified();
    let first = find(&mut program, "haze").expect("a request");
    let second = find(&mut program, "tube").expect("a request");
    answer(&mut program, first.generation, &[("c.png", 0.5)]);
    assert_eq!(names(&program), "a.png b.png c.png d.png");
    program.press("W");
    answer(&mut program, second.generation, &[("c.png", 0.5)]);
    assert!(!program.screen(100, 24).contains("like “"));
}

#[test]
fn what_is_wrong_with_a_query_is_said_and_another_order_takes_its_place() {
    let mut program = classified();
    assert_eq!(find(&mut program, "haze +"), None);
    assert!(program.screen(100, 24).contains("missing after `+`"));
    let request = find(&mut program, "haze").expect("a request");
    answer(&mut program, request.generation, &[("c.png", 0.5)]);
    assert_eq!(names(&program), "c.png a.png b.png d.png");
    program.press("sn");
    assert_eq!(names(&program), "a.png b.png c.png d.png");
}
