//! Messages in, effects out.

use std::time::Duration;

use crossterm::event::KeyCode;
use medivision_tui::app::{
    Effect, FoundFile, Graphics, Msg, PreviewKey, Previewed, Quality, Severity,
};
use medivision_tui::engine::{Event, Lane};
use medivision_tui::media::{ErrorKind, MediaError};
use medivision_tui::scoring::Decision;

use crate::scene::{
    Program, ROOT, ctrl, done, failure, file, folder, key, path, previewed, record, stamp, started,
};

/// Three pictures, listed and scanned, on a terminal with a graphics protocol.
fn three() -> Program {
    let mut program = Program::bare();
    program.send(Msg::Resized { cols: 80, rows: 24 });
    program.send(Msg::Graphics(Graphics::Kitty));
    program.list(vec![file("a.png"), file("b.png"), file("c.png")]);
    program.scan(&["a.png", "b.png", "c.png"]);
    program
}

fn classified(effects: &[Effect], lane: Lane) -> Vec<String> {
    let jobs = started(effects).into_iter().filter(|job| job.lane == lane);
    jobs.filter_map(|job| Some(job.path.strip_prefix(ROOT).ok()?.to_str()?.to_owned()))
        .collect()
}

fn previews(effects: &[Effect]) -> Vec<&PreviewKey> {
    let keys = effects.iter().filter_map(|effect| match effect {
        Effect::Preview(key) => Some(key),
        _ => None,
    });
    keys.collect()
}

#[test]
fn a_folder_above_the_watched_one_is_said_to_be_outside() {
    let mut program = Program::new(100, 24);
    program.list(vec![file("a.png")]);
    program.ready(false);
    program.send(Msg::Watching { polling: false });
    assert!(program.screen(100, 24).contains("│ watching"));
    program.press("h");
    let screen = program.screen(100, 24);
    assert!(screen.contains("outside the watched folder"), "{screen}");
}

#[test]
fn the_start_reads_searches_and_watches_the_folder() {
    let program = Program::bare();
    let root = std::path::PathBuf::from(ROOT);
    assert!(matches!(&program.effects[..], [
        Effect::List { dir, .. }, Effect::Watch { root: watched }, Effect::Scan { root: scanned, .. },
        Effect::Places(None)
    ] if *dir == root && *watched == root && *scanned == root));
}

#[test]
fn what_is_there_and_what_arrives_is_classified_once() {
    let mut program = three();
    assert_eq!(
        classified(&program.effects, Lane::Bulk),
        ["a.png", "b.png", "c.png"]
    );
    program.effects.clear();
    // The watch reports what the scan has found already, then a new file, twice.
    program.send(Msg::Appeared {
        entry: file("a.png"),
        picture: true,
    });
    program.send(Msg::Appeared {
        entry: file("sub/d.png"),
        picture: true,
    });
    program.send(Msg::Modified {
        path: path("sub/d.png"),
        stamp: stamp(1),
        picture: true,
    });
    program.send(Msg::Appeared {
        entry: file("notes.txt"),
        picture: false,
    });
    assert_eq!(classified(&program.effects, Lane::Bulk), ["sub/d.png"]);
    // Another content is another question.
    program.send(Msg::Modified {
        path: path("sub/d.png"),
        stamp: stamp(2),
        picture: true,
    });
    assert_eq!(
        classified(&program.effects, Lane::Bulk),
        ["sub/d.png", "sub/d.png"]
    );
}

#[test]
fn a_thousand_files_that_arrive_are_a_thousand_questions() {
    let mut program = three();
    program.effects.clear();
    for round in 0..2 {
        for i in 0..1000 {
            let entry = file(&format!("new-{}.png", i * 7 % 1000));
            program.send(Msg::Appeared {
                entry,
                picture: true,
            });
        }
        assert_eq!(
            classified(&program.effects, Lane::Bulk).len(),
            1000,
            "round {round}"
        );
    }
    assert!(
        program.screen(80, 24).contains("1/1003"),
        "{}",
        program.screen(80, 24)
    );
}

#[test]
fn the_file_under_the_cursor_goes_ahead_once_the_cursor_rests() {
    let mut program = three();
    program.rest();
    let effects = program.press("jj");
    let promoted = program.promoted(&effects);
    assert!(promoted.is_empty(), "not while it moves");
    let effects = program.rest();
    assert_eq!(program.promoted(&effects), [path("c.png")]);
    assert_eq!(started(&effects), [], "it is with the engine");
    program.press("kj");
    let effects = program.rest();
    assert!(program.promoted(&effects).is_empty(), "not a second time");
}

#[test]
fn a_moving_cursor_asks_for_half_blocks_and_a_resting_one_for_the_picture() {
    let mut program = three();
    program.effects.clear();
    program.press("jj");
    let fast = previews(&program.effects);
    assert_eq!(
        fast.iter()
            .map(|key| (&key.path, key.quality))
            .collect::<Vec<_>>(),
        [
            (&path("b.png"), Quality::Fast),
            (&path("c.png"), Quality::Fast)
        ]
    );
    let effects = program.rest();
    let full = previews(&effects);
    assert_eq!(
        full.iter()
            .map(|key| (&key.path, key.quality))
            .collect::<Vec<_>>(),
        [(&path("c.png"), Quality::Full)]
    );
    assert_eq!(previews(&program.rest()).len(), 0);
}

#[test]
fn half_blocks_are_asked_for_once() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("a.png"), file("b.png")]);
    program.effects.clear();
    program.press("j");
    program.rest();
    assert_eq!(previews(&program.effects).len(), 1);
}

#[test]
fn a_preview_nobody_waits_for_is_dropped() {
    let mut program = three();
    program.rest();
    let stale = program.wanted().expect("a preview is wanted");
    program.press("j");
    program.rest();
    program.send(previewed(stale));
    assert!(
        program.screen(80, 24).contains("loading …"),
        "{}",
        program.screen(80, 24)
    );
    program.show();
    assert!(program.screen(80, 24).contains('▀'));
}

#[test]
fn a_late_fast_preview_does_not_replace_the_full_one() {
    let mut program = three();
    let fast = program.wanted().expect("a preview is wanted");
    program.rest();
    program.show();
    let before = program.model.clone();
    program.send(previewed(fast));
    assert_eq!(program.model, before);
}

#[test]
fn a_preview_asks_in_the_size_it_is_drawn_in_and_anew_when_that_changes() {
    let mut program = three();
    program.rest();
    let before = program.wanted().expect("a preview is wanted");
    program.send(Msg::Resized {
        cols: 200,
        rows: 60,
    });
    let after = program.wanted().expect("a preview is wanted");
    assert!(after.cols > before.cols && after.rows > before.rows && after.epoch > before.epoch);
    program.send(Msg::Resumed);
    assert!(
        program.wanted().is_some_and(|key| key.epoch > after.epoch),
        "a picture must be sent again after a suspend"
    );
}

#[test]
fn no_preview_is_asked_for_where_it_cannot_be_seen() {
    let mut program = three();
    program.send(Msg::Resized { cols: 30, rows: 8 });
    assert_eq!(program.wanted(), None);
    program.send(key(KeyCode::Tab));
    assert!(program.wanted().is_some());
    let mut program = three();
    program.send(Msg::Graphics(Graphics::None));
    assert_eq!(program.wanted(), None);
}

#[test]
fn a_preview_that_fails_says_why() {
    let mut program = three();
    let key = program.wanted().expect("a preview is wanted");
    let error = MediaError::new(ErrorKind::Malformed, "the Huffman table is broken");
    let outcome = Err(error);
    program.send(Msg::Previewed(Box::new(Previewed { key, outcome })));
    assert!(program.screen(80, 24).contains("Huffman"));
    program.press("e");
    assert!(program.screen(80, 24).contains("malformed"));
}

#[test]
fn folders_are_entered_and_left_and_the_cursor_finds_its_way_back() {
    let mut program = Program::new(80, 24);
    program.list(vec![folder("one"), folder("two"), file("a.png")]);
    program.press("jl");
    assert_eq!(program.listing().0, path("two"));
    program.list(vec![file("two/x.png")]);
    program.send(key(KeyCode::Backspace));
    assert_eq!(program.listing().0, path(""));
    program.list(vec![folder("one"), folder("two"), file("a.png")]);
    program.send(key(KeyCode::Enter));
    assert_eq!(program.listing().0, path("two"));
    program.press("hh");
    assert_eq!(program.listing().0, std::path::PathBuf::from("/studies"));
    program.press("hhh");
    assert_eq!(program.listing().0, std::path::PathBuf::from("/"));
}

#[test]
fn a_listing_of_a_folder_left_behind_is_dropped() {
    let mut program = Program::new(80, 24);
    let (dir, generation) = program.listing();
    program.list(vec![folder("one")]);
    program.press("l");
    program.send(Msg::Listed {
        dir,
        generation,
        entries: vec![file("late.png")],
        complete: true,
    });
    assert!(!program.screen(80, 24).contains("late.png"));
}

#[test]
fn keys_that_classify() {
    let mut program = three();
    program.ready(false);
    for name in ["a.png", "b.png", "c.png"] {
        program.answer(name, record("normal", 0.9, Decision::Confident));
    }
    assert_eq!(
        classified(&program.press("c"), Lane::Interactive),
        ["a.png"],
        "again, whatever is known"
    );
    program.press("g  ");
    assert_eq!(
        classified(&program.press("C"), Lane::Interactive),
        ["b.png"],
        "what was marked; the other is on its way already"
    );
    assert_eq!(
        classified(&program.press("C"), Lane::Interactive),
        [""; 0],
        "marks are used up"
    );
    program.answer("a.png", failure(ErrorKind::Truncated, "cut"));
    program.answer("b.png", record("normal", 0.9, Decision::Confident));
    program.press("A");
    assert_eq!(
        classified(&program.scan(&["a.png", "b.png", "c.png"]), Lane::Bulk),
        ["a.png"],
        "what has no result yet"
    );
}

#[test]
fn a_picture_dropped_and_replaced_while_it_was_classified_keeps_the_newer_result() {
    let mut program = three();
    program.ready(false);
    let old = program.asked("a.png").expect("handed over");
    program.send(Msg::Modified {
        path: path("a.png"),
        stamp: stamp(2),
        picture: true,
    });
    program.answer("a.png", record("fracture", 0.9, Decision::Confident));
    program.send(done(
        "a.png",
        old,
        record("pneumonia", 0.9, Decision::Confident),
    ));
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("fracture") && !screen.contains("pneumonia    ██"),
        "{screen}"
    );
}

#[test]
fn new_files_do_not_move_the_cursor_and_are_marked_until_looked_at() {
    let mut program = three();
    program.press("j");
    program.send(Msg::Appeared {
        entry: file("0.png"),
        picture: true,
    });
    program.send(Msg::Appeared {
        entry: file("aa.png"),
        picture: true,
    });
    let screen = program.screen(80, 24);
    let line = |screen: &str, name: &str| {
        screen
            .lines()
            .skip(1)
            .find(|l| l.contains(name))
            .unwrap_or_default()
            .to_owned()
    };
    assert!(line(&screen, "b.png").starts_with('▌'), "{screen}");
    assert!(
        line(&screen, " aa.png").starts_with(" +") && line(&screen, " 0.png").starts_with(" +"),
        "{screen}"
    );
    program.press("k");
    program.rest();
    let screen = program.screen(80, 24);
    assert!(line(&screen, " aa.png").starts_with("▌ ·"), "{screen}");
}

#[test]
fn deleted_and_renamed_files_are_followed() {
    let mut program = three();
    program.ready(false);
    program.answer("b.png", record("fracture", 0.9, Decision::Confident));
    program.press("j");
    program.effects.clear();
    program.send(Msg::Renamed {
        from: path("b.png"),
        to: file("zz.png"),
    });
    program.send(Msg::Removed {
        path: path("a.png"),
    });
    let screen = program.screen(80, 24);
    assert!(
        screen.contains("▌  ● zz.png") || screen.contains("▌ ● zz.png"),
        "{screen}"
    );
    assert!(
        screen.contains("fracture") && !screen.contains("a.png") && screen.contains("2/2"),
        "{screen}"
    );
    assert_eq!(
        classified(&program.effects, Lane::Bulk),
        [""; 0],
        "a name is no reason to classify again"
    );
    // What a rename overwrites is gone.
    program.send(Msg::Renamed {
        from: path("notes.txt"),
        to: file("zz.png"),
    });
    assert!(!program.screen(80, 24).contains("fracture"));
    // One that was still awaited under its old name is asked about under the new one.
    program.send(Msg::Renamed {
        from: path("c.png"),
        to: file("d.png"),
    });
    assert_eq!(classified(&program.effects, Lane::Bulk), ["d.png"]);
}

#[test]
fn a_folder_that_is_renamed_or_removed_under_the_cursor_is_followed() {
    let mut program = Program::new(80, 24);
    program.list(vec![folder("one")]);
    program.press("l");
    program.list(vec![file("one/a.png"), file("one/b.png")]);
    program.send(Msg::Renamed {
        from: path("one"),
        to: folder("uno"),
    });
    assert_eq!(program.listing().0, path("uno"));
    program.send(Msg::Removed { path: path("uno") });
    assert!(program.screen(80, 24).contains("removed"));
    // One of its name is there, with nothing in it yet.
    program.send(Msg::Appeared {
        entry: folder("uno"),
        picture: false,
    });
    assert!(program.screen(80, 24).contains("This folder is empty."));
}

#[test]
fn without_a_model_browsing_goes_on_and_nothing_is_classified() {
    let mut program = three();
    program.send(Msg::Engine(Event::Failed {
        message: "no such model".to_owned(),
    }));
    let generation = program.asked("a.png").expect("handed over");
    program.send(done(
        "a.png",
        generation,
        failure(ErrorKind::Internal, "no such model"),
    ));
    program.effects.clear();
    program.press("cAj");
    program.rest();
    program.send(Msg::Appeared {
        entry: file("new.png"),
        picture: true,
    });
    let harmless = |effect: &Effect| matches!(effect, Effect::Preview(_) | Effect::Prefetch(_));
    let effects = &program.effects;
    assert!(
        !previews(effects).is_empty() && effects.iter().all(harmless),
        "{effects:?}"
    );
    assert!(
        !program.screen(80, 24).contains("internal error"),
        "the reason is told once, not on each file"
    );
    program.press("e");
    assert!(program.screen(80, 24).contains("no such model"));
}

#[test]
fn the_watch_goes_off_and_on_and_catches_up() {
    let mut program = three();
    program.send(Msg::Watching { polling: false });
    assert_eq!(program.press("w"), [Effect::StopWatch]);
    assert!(program.screen(80, 24).contains("not watching"));
    let effects = program.press("w");
    assert!(matches!(
        &effects[..],
        [Effect::Watch { .. }, Effect::Scan { .. }]
    ));
    let generation = program.scanning();
    let files = vec![
        FoundFile {
            path: path("a.png"),
            stamp: stamp(1),
        },
        FoundFile {
            path: path("missed.png"),
            stamp: stamp(1),
        },
    ];
    let effects = program.send(Msg::Scanned {
        generation,
        files,
        complete: true,
    });
    assert_eq!(classified(&effects, Lane::Bulk), ["missed.png"]);
}

#[test]
fn hidden_files_and_files_not_yet_looked_at() {
    let mut program = Program::new(80, 24);
    program.list(vec![
        file(".h.png"),
        file("a.png"),
        file("b.png"),
        file("c.png"),
    ]);
    assert!(!program.screen(80, 24).contains(".h.png"));
    program.press(".");
    assert!(program.screen(80, 24).contains(".h.png"));
    program.press(".");
    program.rest();
    program.press("n");
    program.rest();
    program.press("gn");
    assert_eq!(
        program.wanted().map(|key| key.path),
        Some(path("c.png")),
        "b has been looked at"
    );
    program.rest();
    program.press("N");
    assert!(program.screen(80, 24).contains("no unseen files here"));
}

#[test]
fn leaving_and_suspending() {
    let mut program = three();
    assert_eq!(program.press("q").last(), Some(&Effect::Quit));
    assert_eq!(program.send(ctrl('c')).last(), Some(&Effect::Quit));
    assert_eq!(program.send(Msg::Terminated).last(), Some(&Effect::Quit));
    assert_eq!(program.send(ctrl('z')), [Effect::Suspend]);
    assert_eq!(program.send(Msg::Stopping), [Effect::Suspend]);
    assert_eq!(program.send(Msg::Continued), [Effect::Resume]);
    program.press("?");
    let effects = program.press("q");
    assert_eq!(effects.last(), Some(&Effect::Quit), "also from the help");
    assert_eq!(
        program.press("y"),
        [],
        "a key without a meaning does nothing"
    );
}

#[test]
fn the_help_scrolls_as_far_as_it_goes_and_no_further() {
    let mut program = Program::new(30, 8);
    program.press("?");
    let top = program.screen(30, 8);
    program.press("GGjjj");
    let bottom = program.screen(30, 8);
    assert!(bottom.contains("quit") && top != bottom);
    program.press("k");
    assert_ne!(program.screen(30, 8), bottom, "one key up moves at once");
    program.send(key(KeyCode::Esc));
    assert!(!program.screen(30, 8).contains("Help"));
}

/// A name that would run a command when it is pasted.
#[test]
fn a_path_is_copied_so_that_it_can_be_pasted() {
    let mut program = Program::new(80, 24);
    program.list(vec![file("x\nid\n.png")]);
    let effects = program.press("y");
    let quoted = format!("$'{}/x\\x0aid\\x0a.png'", path("").display()).replace("//", "/");
    assert_eq!(effects, [Effect::Copy(quoted)]);
    assert!(program.screen(80, 24).contains("quoted for a shell"));
}

#[test]
fn a_report_goes_by_itself_and_then_nothing_ticks() {
    let mut program = three();
    program.send(Msg::Engine(Event::Failed {
        message: "x".to_owned(),
    }));
    program.rest();
    program.send(Msg::Report {
        severity: Severity::Info,
        text: "disk is slow".to_owned(),
    });
    assert!(program.screen(80, 24).contains("disk is slow"));
    for seconds in [10, 16] {
        assert!(program.model.next_tick().is_some());
        program.send(Msg::Tick(Duration::from_secs(seconds)));
    }
    assert!(!program.screen(80, 24).contains("disk is slow"));
    assert_eq!(program.model.next_tick(), None, "an idle program sleeps");
}
