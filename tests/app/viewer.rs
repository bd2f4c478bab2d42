//! How the picture is looked at: keys in, requests and screens out.

use std::time::Duration;

use crossterm::event::KeyCode;
use medivision_tui::app::{Effect, Graphics, ImageView, Msg, PreviewKey, Quality};
use medivision_tui::media::{Caption, DicomHeader, FrameOrder, Geometry, PixelRect, Spacing, Voi};
use medivision_tui::view::turn::Turn;

use crate::scene::{Film, Program, alt, ctrl, file, folder, key, path, previewed_as, shift};
use crate::screens::at_all_sizes;

/// A CT under a cursor at rest, and a radiograph below it.
pub fn looking(graphics: Graphics, cols: u16, rows: u16) -> Program {
    let mut program = Program::bare();
    program.send(Msg::Resized { cols, rows });
    program.send(Msg::Graphics(graphics));
    program.list(vec![file("ct-1.dcm"), file("ct-2.dcm"), file("dx.dcm")]);
    program.ready(false);
    program.rest();
    program.show_as(&Film::ct());
    program.rest();
    program.effects.clear();
    program
}

fn ct() -> Program {
    looking(Graphics::Kitty, 120, 40)
}

fn requests(effects: &[Effect]) -> Vec<&PreviewKey> {
    let keys = effects.iter().filter_map(|effect| match effect {
        Effect::Preview(key) => Some(key),
        _ => None,
    });
    keys.collect()
}

/// What is asked for after keys.
fn after(keys: &str) -> PreviewKey {
    let mut program = ct();
    let before = program.model.clone();
    program.press(keys);
    assert_ne!(program.model, before, "{keys} change something");
    program
        .wanted()
        .unwrap_or_else(|| panic!("{keys} ask for nothing"))
}

#[test]
fn number_keys_choose_windows_by_modality_and_then_those_of_the_file() {
    let range = |width, center| Voi::Range { center, width };
    for (keys, voi) in [
        ("1", range(400.0, 40.0)),
        ("2", range(1500.0, -600.0)),
        ("3", range(150.0, 90.0)),
        ("4", range(2500.0, 480.0)),
        ("5", range(80.0, 40.0)),
        ("7", Voi::Own(1)),
        ("a", Voi::Robust),
        ("5a7", Voi::Own(1)),
    ] {
        assert_eq!(after(keys).view.voi, voi, "{keys}");
    }
    let mut program = ct();
    program.press("9");
    assert!(program.wanted().is_none());
    let screen = program.screen(120, 40);
    assert!(screen.contains("1 soft tissue, 2 lung"), "{screen}");
}

#[test]
fn level_and_width_move_in_round_steps_from_where_the_picture_is() {
    let range = |center, width| Voi::Range { center, width };
    // The file's own window is 350 wide around 50.
    for (keys, voi) in [
        ("K", range(55.0, 350.0)),
        ("J", range(45.0, 350.0)),
        ("L", range(50.0, 355.0)),
        ("H", range(50.0, 345.0)),
        ("KKKJ", range(60.0, 350.0)),
        ("1L", range(40.0, 405.0)),
    ] {
        assert_eq!(
            after(keys).view.voi,
            voi,
            "{keys}, without waiting for pictures"
        );
    }
    let mut program = ct();
    program.send(alt('K'));
    let coarse = program.wanted().map(|key| key.view.voi);
    assert_eq!(coarse, Some(range(70.0, 350.0)));
}

#[test]
fn keys_zoom_turn_and_invert_and_one_brings_all_of_it_back() {
    let half_octave = std::f64::consts::SQRT_2;
    let zoom = |keys| after(keys).view.aim.zoom;
    assert!((zoom("+") - half_octave).abs() < 1e-12);
    assert!((zoom("++") - 2.0).abs() < 1e-12);
    assert!((zoom("+++-") - 2.0).abs() < 1e-12);
    assert!((zoom("r++0") - 1.0).abs() < 1e-12);
    let plain = Turn::default();
    for (keys, turn) in [
        ("r", plain.right()),
        ("rr", plain.right().right()),
        ("R", plain.left()),
        ("F", plain.flip()),
        ("Fr", plain.flip().right()),
        ("rF", plain.right().flip()),
        ("r+0", plain.right()),
    ] {
        assert_eq!(after(keys).view.aim.turn, turn, "{keys}");
    }
    assert!(after("i").view.invert);
    let mut program = ct();
    program.press("2i++rFKK");
    program.send(shift(KeyCode::Left));
    program.press("u");
    let back = program.wanted().map(|key| key.view);
    assert_eq!(back, Some(ImageView::default()));
}

#[test]
fn true_size_is_a_pixel_of_the_file_for_a_pixel_of_the_screen() {
    let mut program = ct();
    program.press("z");
    program.show_as(&Film::ct());
    assert!(program.screen(120, 40).contains("1:1"));
}

#[test]
fn shifted_arrows_pan_as_far_as_the_picture_goes() {
    let mut program = ct();
    program.press("++++");
    let center = |program: &Program| program.wanted().expect("wanted").view.aim.center;
    let before = center(&program);
    program.send(shift(KeyCode::Right));
    program.send(shift(KeyCode::Down));
    let after = center(&program);
    assert!(after.0 > before.0 && after.1 > before.1);
    for _ in 0..100 {
        program.send(shift(KeyCode::Right));
    }
    let end = center(&program);
    assert!(end.0 < 1.0, "the edge stays at the edge: {end:?}");
    program.send(shift(KeyCode::Left));
    assert!(center(&program).0 < end.0, "one key back moves at once");
}

#[test]
fn frames_are_paged_and_jumped_to() {
    for (keys, frame) in [
        ("]", 1),
        ("]][", 1),
        ("}", 59),
        ("}]", 59),
        ("}[", 58),
        ("}{]", 1),
    ] {
        assert_eq!(after(keys).frame, frame, "{keys}");
    }
    let mut program = ct();
    program.press("#12");
    let screen = program.screen(120, 40);
    assert!(screen.contains("frame (1–60): 12"), "{screen}");
    assert_eq!(program.wanted(), None, "not while it is typed");
    program.send(key(KeyCode::Enter));
    assert_eq!(program.wanted().map(|key| key.frame), Some(11));
    program.press("#99");
    program.send(key(KeyCode::Backspace));
    program.send(key(KeyCode::Enter));
    assert_eq!(program.wanted().map(|key| key.frame), Some(8));
    program.press("#5");
    program.send(key(KeyCode::Esc));
    assert_eq!(program.wanted().map(|key| key.frame), Some(8));
    assert!(!program.screen(120, 40).contains("frame (1"));
}

#[test]
fn only_digits_are_typed_into_the_number_of_a_frame_and_no_letter_is_a_command() {
    let mut program = ct();
    program.press("#1");
    for letter in ['q', 'x', 'i', 'Z', '?', ',', ':'] {
        let effects = program.send(key(KeyCode::Char(letter)));
        assert_eq!(effects, [], "{letter}");
        let screen = program.screen(120, 40);
        let line = screen.lines().last().unwrap_or_default();
        assert!(
            line.contains("frame (1–60): 1▏  a number from 1 to 60"),
            "{letter}: {line}"
        );
    }
    assert_eq!(program.send(alt('H')), [], "nor is one with Alt");
    program.press("2");
    assert!(!program.screen(120, 40).contains("a number from"));
    program.send(key(KeyCode::Enter));
    assert_eq!(program.wanted().map(|key| key.frame), Some(11));
    program.press("#1");
    assert!(program.send(ctrl('c')).contains(&Effect::Quit));
}

#[test]
fn frames_are_paged_by_position_and_jumped_to_by_their_number_in_the_file() {
    let film = Film {
        frames: 5,
        order: FrameOrder::new(vec![1, 4, 3, 0, 2]),
        ..Film::ct()
    };
    let mut program = ct();
    program.press("j");
    program.rest();
    program.show_as(&film);
    assert!(program.screen(120, 40).contains("1/5 (frame 2)"));
    program.press("]");
    program.show_as(&film);
    assert_eq!(
        program.wanted().map(|key| key.frame),
        Some(1),
        "the next position"
    );
    assert!(program.screen(120, 40).contains("2/5 (frame 5)"));
    program.press("#1");
    program.send(key(KeyCode::Enter));
    assert_eq!(
        program.wanted().map(|key| key.frame),
        Some(3),
        "where frame 1 lies"
    );
    program.show_as(&film);
    assert!(program.screen(120, 40).contains("4/5 (frame 1)"));
}

#[test]
fn one_frame_is_no_film() {
    let mut program = ct();
    program.press("jj");
    program.rest();
    program.show();
    for keys in ["]", "x", "#", "}"] {
        program.effects.clear();
        program.press(keys);
        assert_eq!(program.wanted(), None, "{keys}");
        assert!(program.screen(120, 40).contains("only one frame"), "{keys}");
    }
}

/// Ticks as the runtime sends them, until the model wants none or a frame is asked for.
fn next_frame(program: &mut Program, now: &mut Duration) -> Option<u32> {
    program.effects.clear();
    for _ in 0..100 {
        let tick = program.model.next_tick()?;
        *now = program.model.now() + tick;
        program.send(Msg::Tick(*now));
        if let Some(key) = program.wanted() {
            return Some(key.frame);
        }
    }
    None
}

#[test]
fn a_film_asks_for_a_frame_when_it_is_due_and_the_last_one_has_come() {
    let mut program = ct();
    program.press("}[[x");
    program.show_as(&Film::ct());
    let (mut now, mut frames, mut times) = (program.model.now(), Vec::new(), Vec::new());
    for _ in 0..5 {
        frames.extend(next_frame(&mut program, &mut now));
        times.push(now);
        program.show_as(&Film::ct());
    }
    assert_eq!(frames, [58, 59, 0, 1, 2], "round the end");
    let step = times[4].saturating_sub(times[3]);
    assert_eq!(step, Duration::from_millis(100), "ten a second");
    // A frame that does not come is waited for, and no other is asked for meanwhile.
    assert_eq!(next_frame(&mut program, &mut now), Some(3));
    let late = program.wanted().expect("it was asked for");
    assert_eq!(next_frame(&mut program, &mut now), None);
    program.send(previewed_as(late, &Film::ct()));
    assert_eq!(next_frame(&mut program, &mut now), Some(4));
    program.press(">>");
    assert!(program.screen(120, 40).contains("15 frames per second"));
    program.press("x");
    program.show_as(&Film::ct());
    assert_eq!(next_frame(&mut program, &mut now), None, "stopped");
}

#[test]
fn a_view_stays_within_a_series_and_ends_with_it() {
    let mut program = ct();
    program.press("2]]");
    program.show_as(&Film::ct());
    program.press("j");
    program.rest();
    let key = program.wanted().expect("wanted");
    assert_eq!(
        key.for_series.as_deref(),
        Some("2.25.1"),
        "the worker will see"
    );
    assert_eq!(key.frame, 0);
    assert_eq!(
        program.show_as(&Film::ct()),
        [],
        "nothing is asked for twice"
    );
    let screen = program.screen(120, 40);
    assert!(screen.contains("W 1500 L -600 lung"), "{screen}");
    // Another series, and then one without any.
    program.press("j");
    program.rest();
    let other = Film {
        series: Some("2.25.2"),
        ..Film::default()
    };
    assert_eq!(program.show_as(&other), []);
    let screen = program.screen(120, 40);
    assert!(
        screen.contains("W 4095 L 2047.5") && !screen.contains("lung"),
        "{screen}"
    );
    program.press("ik");
    program.rest();
    program.show();
    program.effects.clear();
    program.press("i");
    let key = program.wanted().expect("wanted");
    assert!(key.view.invert && key.for_series.is_none());
}

#[test]
fn keys_before_the_first_picture_do_nothing() {
    let mut program = Program::bare();
    program.send(Msg::Resized {
        cols: 120,
        rows: 40,
    });
    program.send(Msg::Graphics(Graphics::Kitty));
    program.list(vec![folder("sub"), file("a.dcm")]);
    for keys in ["1i+r]x#", "j"] {
        program.effects.clear();
        program.press(keys);
    }
    program.effects.clear();
    program.press("1iKz+r]xVM#");
    assert_eq!(program.effects, [], "there is nothing to look at yet");
}

#[test]
fn an_older_view_of_the_same_picture_is_shown_until_the_newest_comes() {
    let mut program = ct();
    let first = after("K");
    program.press("K");
    program.press("K");
    program.send(previewed_as(first, &Film::ct()));
    let screen = program.screen(120, 40);
    assert!(screen.contains("W 350 L 55"), "{screen}");
    program.show_as(&Film::ct());
    assert!(program.screen(120, 40).contains("W 350 L 60"));
}

#[test]
fn sixels_are_coarse_while_keys_are_held_down_and_full_at_rest() {
    let mut program = looking(Graphics::Sixel, 120, 40);
    program.press("KKK");
    let moving: Vec<_> = requests(&program.effects)
        .iter()
        .map(|key| key.quality)
        .collect();
    assert_eq!(moving, [Quality::Half; 3]);
    let effects = program.rest();
    let resting: Vec<_> = requests(&effects).iter().map(|key| key.quality).collect();
    assert_eq!(resting, [Quality::Full]);
    program.send(Msg::Tick(Duration::from_secs(60)));
    assert_eq!(program.model.next_tick(), None, "an idle program sleeps");
    // kitty draws each in full.
    let mut program = ct();
    program.press("KKK");
    let qualities: Vec<_> = requests(&program.effects)
        .iter()
        .map(|key| key.quality)
        .collect();
    assert_eq!(qualities, [Quality::Full; 3]);
}

#[test]
fn the_probe_tells_place_and_value_and_keeps_itself_in_sight() {
    let mut program = ct();
    program.press("V");
    assert_eq!(
        program.wanted().and_then(|key| key.marks.cursor),
        Some((256, 256))
    );
    program.press("lljjk");
    assert_eq!(
        program.wanted().and_then(|key| key.marks.cursor),
        Some((258, 257))
    );
    assert_eq!(program.wanted().map(|key| key.path), Some(path("ct-1.dcm")));
    let screen = program.screen(120, 40);
    assert!(
        screen.contains("x 258 y 257  …"),
        "the value is on its way: {screen}"
    );
    program.show_as(&Film::ct());
    let screen = program.screen(120, 40);
    assert!(screen.contains("x 258 y 257  1 HU"), "{screen}");
    program.press("++++++");
    for _ in 0..200 {
        program.send(shift(KeyCode::Right));
    }
    let key = program.wanted().expect("wanted");
    let (x, _) = key.marks.cursor.expect("a cursor");
    assert_eq!(x, 511, "it ends at the edge");
    assert!(key.view.aim.center.0 > 0.8, "and the view went along");
    program.send(key_esc());
    assert_eq!(program.wanted().and_then(|key| key.marks.cursor), None);
}

fn key_esc() -> Msg {
    key(KeyCode::Esc)
}

#[test]
fn the_pointer_moves_as_seen_on_a_turned_picture() {
    let mut program = ct();
    program.press("rVl");
    // Clockwise by a quarter: what is seen to the right lies above in the file.
    assert_eq!(
        program.wanted().and_then(|key| key.marks.cursor),
        Some((256, 255))
    );
}

#[test]
fn the_ruler_measures_in_the_best_unit_there_is() {
    let measured = |film: &Film| {
        let mut program = ct();
        program.press("jj");
        program.rest();
        program.show_as(film);
        program.press("M");
        program.send(key(KeyCode::Enter));
        program.press("lllljjj");
        program.send(key(KeyCode::Enter));
        program.press("hh");
        program.show_as(film);
        program.screen(120, 40)
    };
    let at = |at_detector| Film {
        geometry: Geometry {
            spacing: Some(Spacing {
                rows_mm: 2.0,
                columns_mm: 2.0,
                at_detector,
                within: None,
            }),
            ..Geometry::default()
        },
        ..Film::default()
    };
    let screen = measured(&at(false));
    assert!(screen.contains("10.0 mm  x"), "{screen}");
    assert!(measured(&at(true)).contains("10.0 mm at the detector"));
    assert!(measured(&Film::default()).contains("5.0 px"));
}

#[test]
fn a_scale_that_holds_in_one_region_says_so_and_measures_there_only() {
    let scan = Film {
        modality: "US",
        size: (200, 200),
        geometry: Geometry {
            spacing: Some(Spacing {
                rows_mm: 0.5,
                columns_mm: 0.5,
                at_detector: false,
                within: Some(PixelRect {
                    x: 0,
                    y: 0,
                    width: 200,
                    height: 102,
                }),
            }),
            ..Geometry::default()
        },
        ..Film::default()
    };
    let mut program = ct();
    program.press("jj");
    program.rest();
    program.show_as(&scan);
    let screen = program.screen(120, 40);
    assert!(screen.contains("2 cm in the 2D region"), "{screen}");
    program.press("M");
    program.send(key(KeyCode::Enter));
    program.press("j");
    program.show_as(&scan);
    assert!(program.screen(120, 40).contains("0.5 mm"));
    program.press("j");
    program.show_as(&scan);
    assert!(
        program.screen(120, 40).contains("2.0 px"),
        "beyond its last row"
    );
}

#[test]
fn a_picture_that_stands_for_a_slide_says_so() {
    let slide = Film {
        modality: "SM",
        size: (1562, 1250),
        note: Some("1:64 of 100000 × 80000"),
        colour: true,
        ..Film::default()
    };
    let mut program = ct();
    program.press("jj");
    program.rest();
    program.show_as(&slide);
    assert!(program.screen(120, 40).contains("1:64 of 100000 × 80000"));
}

#[test]
fn colour_has_no_window_but_can_be_inverted() {
    let colour = Film {
        colour: true,
        ..Film::default()
    };
    let mut program = ct();
    program.press("jj");
    program.rest();
    program.show_as(&colour);
    program.effects.clear();
    program.press("1");
    assert_eq!(program.wanted(), None);
    assert!(
        program
            .screen(120, 40)
            .contains("a colour image has no window")
    );
    program.press("i");
    assert!(program.wanted().is_some_and(|key| key.view.invert));
    program.press("V");
    program.show_as(&colour);
    assert!(program.screen(120, 40).contains("red 1 green 2 blue 3"));
}

#[test]
fn the_letters_follow_the_picture() {
    let sides = |keys: &str| {
        let mut program = looking(Graphics::Halfblocks, 120, 40);
        program.press(keys);
        if program.wanted().is_some() {
            program.show_as(&Film::ct());
        }
        letters(&program.screen(120, 40))
    };
    // An axial section: the right of the patient is seen on the left, the front above.
    assert_eq!(sides(""), "A R L P");
    assert_eq!(sides("r"), "R P A L");
    assert_eq!(sides("rr"), "P L R A");
    assert_eq!(sides("F"), "A L R P");
    assert_eq!(sides("Fr"), "L P A R");
    assert_eq!(sides("o"), "");
}

/// Letters that stand alone in the picture's panel, in reading order.
fn letters(screen: &str) -> String {
    let panel = screen
        .lines()
        .skip(1)
        .take_while(|line| !line.contains("Result"));
    let found: Vec<String> = panel
        .filter_map(|line| line.split('│').next_back())
        .flat_map(|line| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            words
        })
        .filter(|word| ["A", "P", "R", "L"].contains(&word.as_str()))
        .collect();
    // "L" also names the level, among the facts below the picture.
    let facts = screen.lines().any(|line| line.contains(" W "));
    let sides = if facts && found.len() == 5 {
        &found[..4]
    } else {
        &found[..]
    };
    sides.join(" ")
}

#[test]
fn the_picture_can_have_the_whole_screen_and_esc_goes_back_step_by_step() {
    let mut program = ct();
    program.press("Z");
    let whole = program.wanted().expect("asked for in its new size");
    assert_eq!((whole.cols, whole.rows), (120, 38));
    program.show_as(&Film::ct());
    program.press("xV");
    program.show_as(&Film::ct());
    program.send(key(KeyCode::Esc));
    assert_eq!(program.wanted().and_then(|key| key.marks.cursor), None);
    assert_eq!(program.wanted().map(|key| key.cols), Some(120));
    program.send(key(KeyCode::Esc));
    assert!(program.wanted().is_some_and(|key| key.cols < 120));
}

#[test]
fn an_image_is_entered_like_a_folder_and_left_like_one() {
    let mut program = ct();
    for enter in [KeyCode::Enter, KeyCode::Char('l')] {
        program.send(key(enter));
        assert_eq!(program.wanted().map(|key| key.cols), Some(120), "{enter:?}");
        program.show_as(&Film::ct());
        program.press("h");
        assert!(program.wanted().is_some_and(|key| key.cols < 120));
        program.show_as(&Film::ct());
    }
}

#[test]
fn what_the_user_sees_never_reaches_the_model() {
    let mut program = ct();
    program.press("2i+rF]}oVMDu");
    let is_preview = |effect: &Effect| matches!(effect, Effect::Preview(_));
    let (effects, count) = (&program.effects, program.effects.len());
    assert!(count >= 8 && effects.iter().all(is_preview), "{effects:?}");
}

/// A CT in half blocks, on any screen.
fn ct_on(program: &mut Program, keys: &str) {
    program.list(vec![file("ct-1.dcm"), file("ct-2.dcm"), file("dx.dcm")]);
    program.ready(false);
    program.rest();
    program.press("Z");
    program.show_as(&Film::ct());
    program.press("Z");
    for keys in keys.chars() {
        program.press(&keys.to_string());
        if program.wanted().is_some() {
            program.show_as(&Film::ct());
        }
    }
}

#[test]
fn facts_and_letters_around_a_picture() {
    insta::assert_snapshot!(at_all_sizes(|program| ct_on(program, "2]r")));
}

#[test]
fn the_picture_on_the_whole_screen_with_pointer_and_histogram() {
    insta::assert_snapshot!(at_all_sizes(|program| ct_on(program, "1ZDVllj")));
}

#[test]
fn the_number_of_a_frame_is_typed() {
    insta::assert_snapshot!(at_all_sizes(|program| ct_on(program, "Zo#4")));
}

/// A CT whose corners have something to say.
fn captioned() -> Film {
    let header = DicomHeader {
        patient_name: "Doe^Jane".to_owned(),
        patient_id: "4711".to_owned(),
        study_date: "20260131".to_owned(),
        series_number: Some(3),
        series_description: "THORAX 5.0".to_owned(),
        instance: Some(12),
        ..DicomHeader::default()
    };
    let mut film = Film::ct();
    film.geometry.position = Some([-125.0, -125.0, -123.46]);
    film.caption = Some(Caption {
        header,
        birth_date: "19700203".to_owned(),
        sex: "F".to_owned(),
        thickness: Some(5.0),
        technique: vec!["120 kV".to_owned(), "250 mAs".to_owned()],
    });
    film
}

#[test]
fn the_corners_tell_slice_series_and_technique_and_the_patient_only_if_asked() {
    let mut program = ct();
    program.press("Z");
    program.show_as(&captioned());
    let screen = program.screen(120, 40);
    for words in [
        "CT CHEST",
        "series 3",
        "image 12",
        "slice F 123.5 mm",
        "5 mm thick",
        "120 kV",
    ] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
    for words in ["Doe", "4711", "1970", "THORAX", "2026-01-31"] {
        assert!(!screen.contains(words), "{words}: {screen}");
    }
    program.press("P");
    let screen = program.screen(120, 40);
    for words in ["Doe^Jane", "4711", "1970-02-03", "THORAX 5.0", "2026-01-31"] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
    program.press("Po");
    program.show_as(&captioned());
    assert!(
        !program.screen(120, 40).contains("slice F"),
        "annotations are off"
    );
}

#[test]
fn j_and_k_page_the_stack_of_the_image_that_has_the_focus() {
    let mut program = ct();
    program.send(key(KeyCode::Tab));
    let frame = |program: &Program| program.wanted().map(|key| (key.frame, key.path));
    let at = |number| Some((number, path("ct-1.dcm")));
    program.press("jj");
    assert_eq!(frame(&program), at(2));
    program.press("k");
    assert_eq!(frame(&program), at(1));
    program.send(key(KeyCode::PageDown));
    assert_eq!(frame(&program), at(11));
    program.press("G");
    assert_eq!(frame(&program), at(59));
    program.press("j");
    assert_eq!(frame(&program), at(59), "the last");
    program.press("g");
    assert_eq!(frame(&program), at(0));
    program.press("Zj");
    assert_eq!(frame(&program), at(1), "in full screen too");
    // A single image is no stack: the keys move on to the next file.
    let mut program = ct();
    program.press("GZ");
    program.show_as(&Film::default());
    program.press("k");
    assert_eq!(
        frame(&program).map(|(_, path)| path),
        Some(path("ct-2.dcm"))
    );
}

#[test]
fn every_mode_shows_its_own_keys() {
    let status = |keys: &str| {
        let mut program = ct();
        program.press(keys);
        let screen = program.screen(120, 40);
        screen.lines().last().expect("a status line").to_owned()
    };
    for (keys, hint) in [
        ("M", "Enter set point"),
        ("V", "M measure"),
        ("x", "x stop  < slower  > faster"),
        ("vg", "+ larger"),
        ("Z", "j next"),
        (" jvc", "Tab other side"),
    ] {
        assert!(status(keys).contains(hint), "{keys}: {}", status(keys));
    }
}

#[test]
fn the_palette_knows_the_names_that_other_viewers_use() {
    let first = |typed: &str| {
        let mut program = ct();
        program.press(":");
        program.press(typed);
        let screen = program.screen(120, 40);
        let mut lines = screen
            .lines()
            .skip_while(|line| !line.contains(&format!(": {typed}")));
        lines.nth(1).expect("an offer").to_owned()
    };
    for (typed, words) in [
        ("ruler", "measure a distance"),
        ("bone", "bone (CT)"),
        ("1:1", "actual size (1:1)"),
        ("reset", "reset view"),
        ("lung", "lung (CT)"),
        ("phi", "show patient values"),
    ] {
        assert!(first(typed).contains(words), "{typed}: {}", first(typed));
    }
    let mut program = ct();
    program.press(":bone");
    program.send(key(KeyCode::Enter));
    let (center, width) = (480.0, 2500.0);
    let voi = program.wanted().map(|key| key.view.voi);
    assert_eq!(voi, Some(Voi::Range { center, width }));
}
