use std::sync::Arc;

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::*;

const AREA: Rect = Rect::new(0, 0, 10, 4);

/// Text in the first column, half blocks in the others.
fn half_blocks(letter: &str, grey: u8) -> Buffer {
    let mut buffer = Buffer::empty(AREA);
    let style = Style::new()
        .fg(Color::Rgb(grey, grey, grey))
        .bg(Color::Rgb(grey, 0, grey));
    for y in 0..AREA.height {
        buffer.set_string(0, y, letter, Style::new());
        buffer.set_string(1, y, "▀".repeat(9), style);
    }
    buffer
}

fn cut(pacing: &mut Pacing, next: &mut Buffer, budget: usize) -> bool {
    pacing.limit_frame(
        next,
        &[],
        &ImageStore::default(),
        budget,
        &mut String::new(),
    )
}

#[test]
fn text_is_sent_at_once_and_the_image_from_its_top() {
    let mut pacing = Pacing::default();
    let all = half_blocks("b", 2);
    let mut pixels = Vec::new();
    loop {
        let mut next = all.clone();
        let whole = cut(&mut pacing, &mut next, 400);
        let shown = &pacing.shown;
        assert_eq!(&next, shown);
        assert!((0..4).all(|y| shown[(0, y)].symbol() == "b"));
        let new = |cell: &Cell| cell.bg == Color::Rgb(2, 0, 2);
        assert!((1..4).all(|y| !new(&shown[(9, y)]) || new(&shown[(9, y - 1)])));
        pixels.push(shown.content.iter().filter(|cell| new(cell)).count());
        if whole {
            break;
        }
    }
    assert_eq!(pixels, [0, 10, 20, 30, 36]);
    assert_eq!(pacing.shown, all);
}

#[test]
fn an_image_is_completed_although_text_changes_all_the_time() {
    let mut pacing = Pacing::default();
    let mut frames = 0;
    while !cut(
        &mut pacing,
        &mut half_blocks(&frames.to_string()[..1], 2),
        400,
    ) {
        frames += 1;
    }
    assert_eq!(frames, 7, "every other one");
}

#[test]
fn a_new_size_starts_with_an_empty_screen() {
    let mut pacing = Pacing::default();
    cut(&mut pacing, &mut half_blocks("a", 1), 1000);
    let mut next = Buffer::empty(Rect::new(0, 0, 3, 3));
    assert!(cut(&mut pacing, &mut next, 10));
    assert_eq!(pacing.shown, next);
}

/// Two pieces, one above the other, that fill the screen.
fn two_pieces() -> [ImagePiece; 2] {
    [(0, "upper"), (2, "lower")].map(|(y, name)| ImagePiece {
        area: Rect::new(0, y, 10, 2),
        data: Arc::from(name.repeat(20)),
    })
}

/// A screen of pixels, with text at these cells.
fn pixels(text: &[(u16, u16)]) -> Buffer {
    let mut buffer = Buffer::empty(AREA);
    for cell in &mut buffer.content {
        cell.set_diff_option(CellDiffOption::Skip);
    }
    for at in text {
        buffer[*at]
            .set_symbol("x")
            .set_diff_option(CellDiffOption::None);
    }
    buffer
}

/// Sends a screen in as many frames as it takes: how often each piece was sent, and the cells written by the last frame.
fn sent(
    pacing: &mut Pacing,
    pieces: &[ImagePiece],
    text: &[(u16, u16)],
) -> (String, Vec<(u16, u16)>) {
    let before = pacing.shown.clone();
    let mut out = String::new();
    loop {
        let mut next = pixels(text);
        if pacing.limit_frame(&mut next, pieces, &ImageStore::default(), 1 << 20, &mut out) {
            let old = if before.area == AREA {
                before
            } else {
                Buffer::empty(AREA)
            };
            let written = old.diff(&next).into_iter().map(|(x, y, _)| (x, y));
            let names = ["upper", "lower"].map(|name| out.matches(&name.repeat(20)).count());
            return (format!("{names:?}"), written.collect());
        }
    }
}

#[test]
fn a_popup_changes_only_the_cells_under_it() {
    let mut pacing = Pacing::default();
    let pieces = two_pieces();
    assert_eq!(sent(&mut pacing, &pieces, &[]).0, "[1, 1]");
    let (names, written) = sent(&mut pacing, &pieces, &[(4, 1)]);
    assert_eq!((names.as_str(), written), ("[0, 0]", vec![(4, 1)]));
    // It closes: the piece that it lay upon is drawn again.
    assert_eq!(sent(&mut pacing, &pieces, &[]).0, "[1, 0]");
    assert_eq!(sent(&mut pacing, &pieces, &[]).0, "[0, 0]");
}

#[test]
fn an_image_drawn_under_a_popup_leaves_it_on_top() {
    let mut pacing = Pacing::default();
    let popup = [(0, 0), (3, 2)];
    let (names, written) = sent(&mut pacing, &two_pieces(), &popup);
    assert_eq!((names.as_str(), written.as_slice()), ("[1, 1]", &popup[..]));
    let (names, written) = sent(&mut pacing, &two_pieces(), &popup);
    assert_eq!(
        (names.as_str(), written.as_slice()),
        ("[1, 1]", &popup[..]),
        "another image"
    );
}

#[test]
fn one_piece_is_sent_however_large_and_the_next_with_the_next_frame() {
    let mut pacing = Pacing::default();
    let pieces = two_pieces();
    let mut count = |expected: usize, whole: bool| {
        let mut out = String::new();
        let mut next = pixels(&[]);
        let store = ImageStore::default();
        assert_eq!(
            pacing.limit_frame(&mut next, &pieces, &store, 10, &mut out),
            whole
        );
        assert_eq!(out.matches("\x1b[").count(), expected);
    };
    count(1, false);
    count(1, true);
    count(0, true);
}
