//! Exactly which bytes the terminal is sent for images.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{GrayImage, Luma};
use vt100::{Color, Screen};

use crate::session::{Kind, PIXELS, ROWS, Session, is_classified};

const OVER_SSH: (&str, &str) = ("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22");
const PLACEHOLDER: char = '\u{10eeee}';

/// An escape sequence of kitty's protocol.
struct KittyCommand {
    keys: BTreeMap<String, String>,
    content: String,
}

impl KittyCommand {
    fn key(&self, name: &str) -> Option<&str> {
        self.keys.get(name).map(String::as_str)
    }
}

/// The kitty commands sent so far, without queries.
fn commands(session: &Session) -> Vec<KittyCommand> {
    let raw = session.display.raw.lock().expect("whole");
    let text = String::from_utf8_lossy(&raw);
    text.split("\x1b_G")
        .skip(1)
        .filter_map(|rest| rest.split_once("\x1b\\"))
        .map(|(command, _)| {
            let (keys, content) = command.split_once(';').unwrap_or((command, ""));
            let keys = keys.split(',').filter_map(|pair| pair.split_once('='));
            KittyCommand {
                keys: keys.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
                content: content.to_owned(),
            }
        })
        .filter(|command| command.key("a") != Some("q"))
        .collect()
}

/// An image that has been sent completely.
struct SentImage {
    id: String,
    keys: BTreeMap<String, String>,
    pixels: Vec<u8>,
}

fn sent(session: &Session) -> Vec<SentImage> {
    let mut all = Vec::new();
    let mut open: Option<(BTreeMap<String, String>, Vec<u8>)> = None;
    for command in commands(session) {
        if command.key("a") == Some("d") {
            continue;
        }
        if command.key("a") == Some("T") {
            assert!(open.is_none(), "an image within another");
            open = Some((command.keys.clone(), Vec::new()));
        }
        assert!(command.content.len() <= 4096);
        let Some((_, content)) = &mut open else {
            panic!("a piece of nothing");
        };
        content.extend(STANDARD.decode(&command.content).expect("base64"));
        if command.key("m") == Some("0") {
            let (keys, content) = open.take().expect("begun");
            let mut pixels = Vec::new();
            if keys.get("o").is_some_and(|how| how == "z") {
                let mut decoder = flate2::read::ZlibDecoder::new(content.as_slice());
                if decoder.read_to_end(&mut pixels).is_err() {
                    continue; // aborted
                }
            } else {
                pixels = content;
            }
            all.push(SentImage {
                id: keys["i"].clone(),
                keys,
                pixels,
            });
        }
    }
    all
}

fn deleted(session: &Session) -> Vec<String> {
    let all = commands(session).into_iter();
    let all = all.filter(|c| c.key("a") == Some("d"));
    all.map(|c| c.key("i").expect("by name").to_owned())
        .collect()
}

/// The id of the image whose placeholders are on screen.
fn shown(screen: &Screen) -> Option<String> {
    let (rows, cols) = screen.size();
    let cells = (0..rows).flat_map(|y| (0..cols).map(move |x| (y, x)));
    let mut cells = cells.filter_map(|(y, x)| screen.cell(y, x));
    let cell = cells.find(|cell| cell.contents().starts_with(PLACEHOLDER))?;
    match cell.fgcolor() {
        Color::Rgb(r, g, b) => Some(u32::from_be_bytes([0, r, g, b]).to_string()),
        other => panic!("{other:?}"),
    }
}

/// Waits for an image that is not one of `before`; returns its id.
fn another(session: &Session, before: &[String]) -> String {
    session.display.until("another image", |screen| {
        shown(screen).is_some_and(|id| !before.contains(&id))
    });
    shown(session.display.parser.lock().expect("whole").screen()).expect("shown")
}

/// Writes numbered images, each with different pixels.
fn many(folder: &Path) {
    for n in 0..14_u32 {
        let picture = GrayImage::from_fn(64, 48, |x, y| Luma([(x * 3 + y * n) as u8]));
        picture
            .save(folder.join(format!("0{n:02}.png")))
            .expect("written");
    }
}

#[test]
fn kitty_images_are_deflated_over_ssh_and_shown_when_complete() {
    for (environment, how) in [(&[OVER_SSH][..], Some("z")), (&[], None)] {
        let session = Session::start_with(Kind::Kitty, environment, many);
        let id = another(&session, &[]);
        let all = sent(&session);
        let picture = all.iter().find(|sent| sent.id == id);
        let picture = picture.expect("all of it was sent before it was shown");
        assert_eq!(picture.keys.get("o").map(String::as_str), how);
        let number = |key: &str| picture.keys[key].parse::<usize>().expect("a number");
        assert_eq!(picture.pixels.len(), number("s") * number("v") * 3);
        assert_eq!(
            (number("s"), number("v")),
            (number("c") * 10, number("r") * 20)
        );
        session.press("q");
        assert_eq!(session.ended(), 0);
    }
}

#[test]
fn kitty_images_are_deleted_when_unused_and_at_the_end() {
    let session = Session::start_with(Kind::Kitty, &[OVER_SSH], many);
    session.display.shows(" 1/17 ");
    let mut seen = vec![another(&session, &[])];
    for _ in 0..12 {
        session.press("j");
        let last = seen.last().cloned();
        seen.push(another(&session, last.as_slice()));
    }
    assert!(
        seen.iter().collect::<BTreeSet<_>>().len() < 12,
        "ids are reused: {seen:?}"
    );
    assert!(deleted(&session).contains(&seen[0]));
    session.press("q");
    assert_eq!(session.ended(), 0);
    // Each image was deleted as often as it was sent, so that none stays in the terminal.
    let mut balance = BTreeMap::new();
    for sent in sent(&session) {
        *balance.entry(sent.id).or_insert(0) += 1;
    }
    for id in deleted(&session) {
        *balance.entry(id).or_insert(0) -= 1;
    }
    assert!(balance.values().all(|left| *left <= 0), "{balance:?}");
}

#[test]
fn kitty_images_are_sent_again_to_a_terminal_that_lost_them() {
    let session = Session::start(Kind::Kitty, &[]);
    another(&session, &[]);
    let again = |what: &str, act: &dyn Fn(&Session)| {
        let before = sent(&session).len();
        act(&session);
        session.display.until(what, |screen| {
            let all = sent(&session);
            let id = shown(screen);
            all.len() > before
                && all[before..]
                    .iter()
                    .any(|sent| Some(&sent.id) == id.as_ref())
        });
    };
    again("after a clear", &|session| session.press("\x0c"));
    again("after a resize", &|session| session.resize(90, 30));
    again("after a suspend", &Session::suspend_and_continue);
    session.press("q");
    assert_eq!(session.ended(), 0);
}

/// The cells covered by sixel images as [top, bottom, left, right], the ends exclusive. `None` while they are not a full
/// rectangle, or half blocks are left.
fn rectangle(screen: &Screen) -> Option<[u16; 4]> {
    let (rows, cols) = screen.size();
    let mut cells = Vec::new();
    for (y, x) in (0..rows).flat_map(|y| (0..cols).map(move |x| (y, x))) {
        let text = screen
            .cell(y, x)
            .map(vt100::Cell::contents)
            .unwrap_or_default();
        if text.starts_with(PIXELS) {
            cells.push((y, x));
        } else if text == "▀" {
            return None;
        }
    }
    let top = cells.iter().map(|cell| cell.0).min()?;
    let bottom = cells.iter().map(|cell| cell.0).max()? + 1;
    let left = cells.iter().map(|cell| cell.1).min()?;
    let right = cells.iter().map(|cell| cell.1).max()? + 1;
    let full = usize::from(bottom - top) * usize::from(right - left) == cells.len();
    full.then_some([top, bottom, left, right])
}

/// The cells that show an image of any protocol.
fn image_cells(screen: &Screen) -> BTreeSet<(u16, u16)> {
    let (rows, cols) = screen.size();
    let all = (0..rows).flat_map(|y| (0..cols).map(move |x| (y, x)));
    let is_image = |(y, x): &(u16, u16)| {
        let cell = screen.cell(*y, *x).map(vt100::Cell::contents);
        cell.is_some_and(|text| text.starts_with([PIXELS, PLACEHOLDER]))
    };
    all.filter(is_image).collect()
}

/// The cells of the popup on screen, including its frame.
fn popup(screen: &Screen) -> Option<BTreeSet<(u16, u16)>> {
    let (rows, cols) = screen.size();
    let find = |corner: &str| {
        let mut all = (0..rows).flat_map(|y| (0..cols).map(move |x| (y, x)));
        all.find(|(y, x)| {
            screen
                .cell(*y, *x)
                .is_some_and(|cell| cell.contents() == corner)
        })
    };
    let ((top, left), (bottom, right)) = find("╭").zip(find("╯"))?;
    let cells = (top..=bottom).flat_map(|y| (left..=right).map(move |x| (y, x)));
    Some(cells.collect())
}

#[test]
fn a_popup_covers_only_the_cells_under_it() {
    for kind in [Kind::Kitty, Kind::Sixel] {
        let session = Session::start_sized(kind, &[], (120, 40), |_| {});
        let display = &session.display;
        display.until("a label", |screen| is_classified(screen, "b.png"));
        session.press("Z");
        display.until("the image alone", |screen| image_cells(screen).len() > 2500);
        session.press("v");
        display.until("the image around the popup", |screen| {
            let image = image_cells(screen);
            popup(screen).is_some_and(|popup| {
                let beside = popup
                    .iter()
                    .all(|(row, _)| image.iter().any(|cell| cell.0 == *row));
                beside && image.is_disjoint(&popup) && image.len() > 1000
            })
        });
        session.press("\x1b");
        display.until("all of it again", |screen| {
            popup(screen).is_none() && image_cells(screen).len() > 2500
        });
        session.press("q");
        assert_eq!(session.ended(), 0);
    }
}

#[test]
fn with_no_color_images_keep_their_colours() {
    let session = Session::start(Kind::Kitty, &[("NO_COLOR", "1")]);
    another(&session, &[]);
    let display = &session.display;
    display.until("no other colours", |screen| {
        let (rows, cols) = screen.size();
        let mut cells = (0..rows).flat_map(|y| (0..cols).map(move |x| (y, x)));
        is_classified(screen, "b.png")
            && cells.all(|(y, x)| {
                let cell = screen.cell(y, x).expect("on screen");
                let image = cell.contents().starts_with(PLACEHOLDER);
                image || (cell.fgcolor(), cell.bgcolor()) == (Color::Default, Color::Default)
            })
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn sixel_images_leave_no_traces_and_stay_off_the_last_line() {
    let tall = |folder: &Path| {
        let picture = GrayImage::from_fn(20, 200, |x, y| Luma([(x * 9 + y) as u8]));
        picture.save(folder.join("0.png")).expect("written");
    };
    let session = Session::start_with(Kind::Sixel, &[], tall);
    let display = &session.display;
    let width = |screen: &Screen| rectangle(screen).map(|[_, _, left, right]| right - left);
    // A listing may come in parts, and the cursor stays on its file.
    display.shows("/4");
    session.press("g");
    display.until("the tall image", |s| width(s).is_some_and(|w| w < 10));
    session.press("j");
    display.until("the wide one", |s| width(s).is_some_and(|w| w > 12));
    session.press("k");
    display.until("the tall one alone", |s| width(s).is_some_and(|w| w < 10));
    for (keys, words) in [
        ("?", "╭ Help"),
        (":", "╭"),
        ("t", "Tags ·"),
        ("v", "╭ View"),
    ] {
        session.press(keys);
        display.shows(words);
        session.press("\x1b");
        display.until("the image again", |s| {
            !s.contents().contains(words) && width(s).is_some_and(|w| w < 10)
        });
    }
    // Full screen, where the image comes closest to the last line.
    session.press("Z");
    display.until("the image alone", |screen| {
        rectangle(screen).is_some_and(|[top, bottom, ..]| bottom - top > 15)
    });
    let sixels = display.sixels.lock().expect("whole").clone();
    assert!(sixels.iter().all(|(row, rows)| row + rows < ROWS));
    session.press("q");
    assert_eq!(session.ended(), 0);
}
