use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ratatui::buffer::CellDiffOption;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::*;

const EVERY: [Colours; 4] = [
    Colours::None,
    Colours::Named,
    Colours::Indexed,
    Colours::Full,
];

/// A line of text, and below it a row of half blocks of all greys.
fn frame(text: &str) -> Buffer {
    let mut frame = Buffer::empty(Rect::new(0, 0, 64, 2));
    frame.set_string(0, 0, text, Style::new().fg(Color::Indexed(33)));
    for x in 0..64_u16 {
        let (upper, lower) = (4 * x as u8, 4 * x as u8 + 3);
        let style = Style::new()
            .fg(Color::Rgb(lower, lower, lower))
            .bg(Color::Rgb(upper, upper, upper));
        frame.set_string(x, 1, "▄", style);
    }
    frame
}

fn text(frame: &Buffer, y: u16) -> String {
    let mut x = 0;
    let mut text = String::new();
    while x < frame.area.width {
        let symbol = frame[(x, y)].symbol();
        text.push_str(symbol);
        x += symbol.width().max(1) as u16;
    }
    text.trim_end().to_owned()
}

#[test]
fn with_ascii_only_ascii_is_left_and_every_column_stays() {
    let names = [
        ("▌ ● 胸部 bébé…png │ ⣾", "> * ???? b?b?~png | |"),
        ("cafe\u{301} · ✗ ◐ ○ – ▸", "cafe . x ? o - >"),
        ("╭─ Help ─╮ ██▍ ▂▅█", "+- Help -+ ##| _=#"),
        ("👩 ок \u{fffd}", "?? ?? ?"),
    ];
    for colours in EVERY {
        for (name, spelled) in names {
            let before = frame(name);
            let mut after = before.clone();
            reduce(&mut after, colours, true);
            assert_eq!(text(&after, 0), spelled);
            for (old, new) in before.content.iter().zip(&after.content) {
                assert!(new.symbol().is_ascii());
                assert_eq!(new.symbol().width(), old.symbol().width());
            }
        }
    }
}

#[test]
fn with_unicode_text_stays_as_it_is() {
    let before = frame("▌● 胸部 bébé…png");
    for colours in EVERY {
        let mut after = before.clone();
        reduce(&mut after, colours, false);
        assert_eq!(text(&after, 0), text(&before, 0));
    }
    let mut after = before.clone();
    reduce(&mut after, Colours::Full, false);
    assert_eq!(after, before);
}

#[test]
fn only_colours_of_the_terminal_are_left() {
    for ascii in [false, true] {
        for colours in EVERY {
            let mut frame = frame("name");
            reduce(&mut frame, colours, ascii);
            for cell in &frame.content {
                for colour in [cell.fg, cell.bg] {
                    let fits = match colour {
                        Color::Rgb(..) => colours == Colours::Full,
                        Color::Indexed(_) => {
                            matches!(colours, Colours::Full | Colours::Indexed)
                        }
                        Color::Reset => true,
                        _ => colours == Colours::Named,
                    };
                    assert!(fits, "{colour} among {colours:?}");
                }
            }
        }
    }
    let mut named = frame("name");
    reduce(&mut named, Colours::Named, false);
    assert_eq!(named[(0, 0)].fg, Color::LightBlue, "by the theme's name");
}

#[test]
fn an_image_is_coloured_blanks_in_ascii_and_a_character_ramp_without_colours() {
    let mut blanks = frame("");
    reduce(&mut blanks, Colours::Full, true);
    assert_eq!(text(&blanks, 1), "");
    assert_eq!(blanks[(9, 1)].bg, Color::Rgb(37, 37, 37), "of 36 and 39");
    let mut ramp = frame("");
    reduce(&mut ramp, Colours::None, false);
    let line = text(&ramp, 1);
    let mut kinds: Vec<char> = line.chars().collect();
    kinds.dedup();
    assert_eq!(kinds, [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@']);
}

#[test]
fn the_nearest_of_256_is_found() {
    for (wanted, index) in [
        ([0, 0, 0], 16),
        ([255, 255, 255], 231),
        ([255, 0, 0], 196),
        ([0, 135, 255], 33),
        ([8, 8, 8], 232),
        ([118, 118, 118], 243),
        ([237, 239, 238], 255),
        ([95, 95, 95], 59),
    ] {
        assert_eq!(nearest_index(wanted), index, "{wanted:?}");
    }
    // Compared with all there are.
    let all: Vec<[i32; 3]> = (16..=255).map(parts).collect();
    let distance = |a: [i32; 3], b: [u8; 3]| -> i32 {
        let pairs = a.into_iter().zip(b);
        pairs.map(|(a, b)| (a - i32::from(b)).pow(2)).sum()
    };
    let some = |n: u32| (n * 37 % 256) as u8;
    for wanted in (0..4096).map(|n| [some(n), some(n / 7), some(n / 31)]) {
        let least = all.iter().map(|parts| distance(*parts, wanted)).min();
        let found = distance(parts(nearest_index(wanted).into()), wanted);
        assert_eq!(Some(found), least, "{wanted:?}");
    }
}

/// Red, green and blue of xterm's colours from 16 on.
fn parts(index: i32) -> [i32; 3] {
    let level = |step: i32| if step == 0 { 0 } else { 55 + 40 * step };
    match index - 16 {
        n @ 0..216 => [level(n / 36), level(n / 6 % 6), level(n % 6)],
        n => [8 + 10 * (n - 216); 3],
    }
}

#[test]
fn greys_between_the_four_are_dithered() {
    for grey in (0..=255).step_by(5) {
        let square = (0..16).map(|n| nearest_name([grey; 3], (n % 4, n / 4)));
        let sum: i32 = square
            .map(|name| {
                let (_, parts) = NAMED.iter().find(|(own, _)| *own == name).unwrap();
                assert!(parts[0] == parts[1] && parts[1] == parts[2], "{name}");
                parts[0]
            })
            .sum();
        assert!((sum / 16 - i32::from(grey)).abs() <= 4, "{grey}");
    }
    assert_eq!(nearest_name([255, 0, 0], (0, 0)), Color::Red);
}

#[test]
fn images_of_a_graphics_protocol_are_left_alone() {
    let mut before = Buffer::empty(Rect::new(0, 0, 2, 1));
    before[(0, 0)]
        .set_symbol("\u{10eeee}\u{305}")
        .set_fg(Color::Rgb(0, 0, 7));
    before[(1, 0)]
        .set_symbol("…")
        .set_diff_option(CellDiffOption::Skip);
    let mut after = before.clone();
    reduce(&mut after, Colours::Named, true);
    assert_eq!(after, before);
}

#[test]
fn sixteen_colours_are_sent_as_old_terminals_understand_them() {
    let sent = "\x1b[2;3H\x1b[38;5;12;48;5;0mé\x1b[1m\x1b[38;5;3;49m\x1b[48;5;15m\x1b[0;39m38;5;1m\x1b[38;5;33m\x1b[m\x1b[";
    let wanted =
        "\x1b[2;3H\x1b[94;40mé\x1b[1m\x1b[33;49m\x1b[107m\x1b[0;39m38;5;1m\x1b[38;5;33m\x1b[m\x1b[";
    assert_eq!(
        String::from_utf8(with_basic_colours(sent.as_bytes())).unwrap(),
        wanted
    );
}

/// Letters beyond ASCII in the code of a folder or file, without comments and tests.
fn letters(path: &Path, found: &mut BTreeSet<char>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            letters(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code = code.lines().map(|line| line.split("//").next().unwrap());
        found.extend(code.flat_map(str::chars).filter(|c| !c.is_ascii()));
    }
}

#[test]
fn every_symbol_of_the_interface_has_an_ascii_equivalent() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for room in ["app", "app.rs", "ui", "ui.rs"] {
        letters(&root.join(room), &mut found);
    }
    assert!(found.len() > 30, "{found:?}");
    let without = |c: &char| ascii_for(*c).is_none_or(|c| !c.is_ascii() || c.is_control());
    let missing: Vec<char> = found.into_iter().filter(without).collect();
    assert_eq!(missing, [] as [char; 0], "they would be shown as `?`");
}
