//! Messages come from many threads: their order must not decide what is on screen in the end.

use medivision_tui::app::{Graphics, Msg};
use medivision_tui::media::ErrorKind;
use medivision_tui::scoring::Decision;
use proptest::prelude::*;

use crate::scene::{Program, done, failure, file, folder, previewed, record};

/// What is still to come, once everything has been asked for.
#[derive(Clone, Copy, Debug)]
enum Arrival {
    Listing(usize),
    Result(usize),
    Again(usize),
    Ready,
    Watching,
    FastPreview,
    FullPreview,
}

const NAMES: [&str; 9] = [
    "a.png",
    "b.png",
    "c.png",
    "d.dcm",
    "e.dcm",
    "sub/f.png",
    "sub/g.png",
    "IM9.dcm",
    "IM10.dcm",
];
/// Names for each part of the listing.
const PART: usize = 3;

fn arrivals() -> Vec<Arrival> {
    let mut all = vec![
        Arrival::Ready,
        Arrival::Watching,
        Arrival::FastPreview,
        Arrival::FullPreview,
    ];
    all.extend((0..NAMES.len()).map(Arrival::Result));
    all.extend((0..3).map(Arrival::Again));
    all.extend((0..NAMES.len().div_ceil(PART)).map(Arrival::Listing));
    all
}

/// Everything that has been asked for arrives in this order; the listing's end comes last.
fn end(order: &[Arrival], worklist: bool) -> Program {
    let mut program = Program::bare();
    program.send(Msg::Resized {
        cols: 120,
        rows: 40,
    });
    program.send(Msg::Graphics(Graphics::Sixel));
    program.scan(&NAMES);
    let asked = |program: &Program, name: &str| program.asked(name).unwrap_or_default();
    let generations = NAMES.map(|name| asked(&program, name));
    let (dir, generation) = program.listing();
    let listed = |i: usize| match NAMES[i] {
        name if name.starts_with("sub/") => folder("sub"),
        name => file(name),
    };
    if worklist {
        program.press("W");
    }
    // Known before all else, so that a picture can be asked for.
    program.send(Msg::Listed {
        dir: dir.clone(),
        generation,
        entries: vec![folder("sub"), file("IM9.dcm")],
        complete: false,
    });
    program.press("j");
    let fast = program.wanted().expect("a preview is wanted");
    program.rest();
    let full = program.wanted().expect("a preview is wanted");
    for arrival in order {
        match *arrival {
            Arrival::Listing(part) => {
                let entries = (part * PART..NAMES.len().min((part + 1) * PART))
                    .map(listed)
                    .collect();
                program.send(Msg::Listed {
                    dir: dir.clone(),
                    generation,
                    entries,
                    complete: false,
                });
            }
            Arrival::Result(i) => {
                program.send(done(NAMES[i], generations[i], outcome(i)));
            }
            // What was not asked for changes nothing.
            Arrival::Again(i) => {
                program.send(done("IM9.dcm", 1000 + i as u64, outcome(i)));
            }
            Arrival::Ready => drop(program.ready(true)),
            Arrival::Watching => {
                program.send(Msg::Watching { polling: false });
            }
            Arrival::FastPreview => {
                program.send(previewed(fast.clone()));
            }
            Arrival::FullPreview => {
                program.send(previewed(full.clone()));
            }
        }
    }
    program.send(Msg::Listed {
        dir,
        generation,
        entries: Vec::new(),
        complete: true,
    });
    program
}

fn outcome(i: usize) -> medivision_tui::library::Outcome {
    match i % 4 {
        0 => record("pneumonia", 0.9, Decision::Confident),
        1 => record("normal", 0.5, Decision::Uncertain),
        2 => record("tumor", 0.4, Decision::Rejected),
        _ => failure(ErrorKind::Truncated, "the file ends early"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_order_of_arrival_ends_with_the_same_screen(order in Just(arrivals()).prop_shuffle()) {
        for worklist in [false, true] {
            let expected = end(&arrivals(), worklist).screen(120, 40);
            prop_assert_eq!(end(&order, worklist).screen(120, 40), expected);
        }
    }
}

/// Keys between messages, at any size: nothing panics, and the cursor's row is on screen.
fn anything() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..30u8, 0..12u8), 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn nothing_that_happens_brings_it_down(steps in anything(), cols in 0..230u16, rows in 0..70u16) {
        let mut program = Program::new(cols, rows);
        let keys: Vec<char> = "jkgGnlhcCA ew.?qWs".chars().collect();
        for (what, n) in steps {
            let name = format!("{}{n}", if n % 3 == 0 { "sub/" } else { "" });
            match what {
                0 => program.list((0..n).map(|i| file(&i.to_string())).chain([folder("sub")]).collect()),
                1 => { program.send(Msg::Appeared { entry: file(&name), picture: n % 2 == 0 }); }
                2 => { program.send(Msg::Removed { path: crate::scene::path(&name) }); }
                3 => { program.send(Msg::Renamed { from: crate::scene::path(&name), to: file(&format!("{n}x")) }); }
                4 => { program.send(Msg::Renamed { from: crate::scene::path("sub"), to: folder("bus") }); }
                5 => { program.scan(&[&name]); }
                6 => if program.asked(&name).is_some() { program.answer(&name, outcome(usize::from(n))) },
                7 => program.show(),
                8 => drop(program.ready(n % 2 == 0)),
                9 => { program.rest(); }
                10 => { program.send(Msg::Resized { cols: cols / (u16::from(n) + 1), rows: rows / (u16::from(n) + 1) }); }
                11 => { program.send(crate::scene::key(crossterm::event::KeyCode::Tab)); }
                what => { program.press(&keys[usize::from(what) - 12].to_string()); }
            }
            program.screen(cols, rows);
        }
    }
}
