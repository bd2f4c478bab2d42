//! Pictures by the kitty protocol. They are sent in pieces, between frames of text, and shown when they are whole; each has a
//! name, and is deleted in the terminal when nobody can draw it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::DynamicImage;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::widgets::Widget;
use ratatui_image::Image;
use ratatui_image::protocol::Protocol;
use ratatui_image::protocol::kitty::Kitty;

use super::fault;
use crate::app::Graphic;
use crate::media::MediaError;

/// Bytes of an escape sequence's content, before base64; the protocol allows 4096 characters.
const PIECE: usize = 3072;

/// The kitty pictures of one terminal: made by the preview worker, sent by the screen.
pub struct Album {
    /// Pictures are deflated: over a slow link that is quicker than sending them as they are.
    deflate: bool,
    /// Inside tmux, which passes on what is wrapped.
    tmux: bool,
    /// Other programs in the same window name their pictures too.
    base: u32,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    pictures: BTreeMap<u32, Picture>,
    /// Names of pictures in the making.
    given: BTreeSet<u32>,
    /// The picture of which the terminal has a part: no other may be sent before its end.
    open: Option<u32>,
}

struct Picture {
    /// Who may still draw it.
    owner: Weak<Vec<Protocol>>,
    data: String,
    /// Where each escape sequence ends.
    ends: Vec<usize>,
    /// How many of them the terminal has.
    sent: usize,
}

impl Default for Album {
    fn default() -> Self {
        Self::new(false, false)
    }
}

impl Album {
    /// Of a terminal that has no pictures yet.
    pub fn new(deflate: bool, tmux: bool) -> Self {
        Self {
            deflate,
            tmux,
            base: rand::random::<u32>() & 0x00ff_ff00 | 1,
            pages: Mutex::default(),
        }
    }

    /// A picture that fills so many cells.
    pub(super) fn add(&self, image: &DynamicImage, size: Size) -> Result<Graphic, MediaError> {
        let id = self.name();
        let made = self.make(image, size, id);
        let mut pages = self.pages();
        pages.given.remove(&id);
        let (graphic, picture) = made?;
        pages.pictures.insert(id, picture);
        Ok(graphic)
    }

    /// A name that no picture has. Those of pictures that are gone are used again once the terminal was told.
    fn name(&self) -> u32 {
        let mut pages = self.pages();
        let taken = pages.pictures.len() + pages.given.len();
        let free = |id: &u32| !pages.pictures.contains_key(id) && !pages.given.contains(id);
        let id = (self.base..=self.base + taken as u32).find(free);
        let id = id.unwrap_or(self.base);
        pages.given.insert(id);
        id
    }

    fn make(
        &self,
        image: &DynamicImage,
        size: Size,
        id: u32,
    ) -> Result<(Graphic, Picture), MediaError> {
        let (data, ends) = self.transmission(image, size, id)?;
        // The placeholders only: what would be sent with them is sent here.
        let dot = DynamicImage::new_luma8(1, 1);
        let kitty = Kitty::new(dot, size, id, false, false).map_err(|e| fault(&e))?;
        let kitty = Protocol::Kitty(kitty);
        let area = Rect::new(0, 0, size.width, size.height);
        Image::new(&kitty).render(area, &mut Buffer::empty(area));
        let graphic = Graphic::new(kitty);
        let picture = Picture {
            owner: graphic.weak(),
            data,
            ends,
            sent: 0,
        };
        Ok((graphic, picture))
    }

    /// Writes what has to be told before the next frame: which pictures are gone, and of those to be seen now the next
    /// pieces, in all about `budget` bytes.
    pub fn send(&self, seen: &[u32], budget: usize, out: &mut String) {
        let mut pages = self.pages();
        self.forget(&mut pages, out);
        if let Some(open) = pages.open.filter(|open| !seen.contains(open)) {
            self.break_off(&mut pages, open, out);
        }
        let first = pages.open;
        let rest = seen.iter().copied().filter(|id| Some(*id) != first);
        let end = out.len().saturating_add(budget);
        let Pages { pictures, open, .. } = &mut *pages;
        for id in first.into_iter().chain(rest) {
            let Some(picture) = pictures.get_mut(&id) else {
                continue;
            };
            while let Some(&to) = picture.ends.get(picture.sent) {
                let from = picture
                    .sent
                    .checked_sub(1)
                    .map_or(0, |last| picture.ends[last]);
                out.push_str(&picture.data[from..to]);
                picture.sent += 1;
                let more = picture.sent < picture.ends.len();
                *open = more.then_some(id);
                if out.len() >= end {
                    return;
                }
            }
        }
    }

    /// The terminal has all of it, so that it can be shown. A picture of another album is none of ours.
    pub fn has(&self, id: u32) -> bool {
        let pages = self.pages();
        let picture = pages.pictures.get(&id);
        picture.is_none_or(|picture| picture.sent == picture.ends.len())
    }

    /// Deletes all pictures in the terminal; what is seen again is sent again.
    pub fn clear(&self, out: &mut String) {
        let mut pages = self.pages();
        if let Some(open) = pages.open {
            self.break_off(&mut pages, open, out);
        }
        for (id, picture) in &mut pages.pictures {
            if std::mem::take(&mut picture.sent) > 0 {
                self.delete(*id, out);
            }
        }
    }

    /// Pictures that nobody can draw any more.
    fn forget(&self, pages: &mut Pages, out: &mut String) {
        let gone = |picture: &Picture| picture.owner.strong_count() == 0;
        if let Some(open) = pages.open
            && pages.pictures.get(&open).is_none_or(gone)
        {
            self.break_off(pages, open, out);
        }
        pages.pictures.retain(|id, picture| {
            let gone = gone(picture);
            if gone && picture.sent > 0 {
                self.delete(*id, out);
            }
            !gone
        });
    }

    /// Ends a picture too early. The terminal finds it incomplete, says nothing as it was told to, and keeps nothing.
    fn break_off(&self, pages: &mut Pages, id: u32, out: &mut String) {
        pages.open = None;
        self.command("m=0", "", out);
        self.delete(id, out);
        if let Some(picture) = pages.pictures.get_mut(&id) {
            picture.sent = 0;
        }
    }

    fn delete(&self, id: u32, out: &mut String) {
        self.command(&format!("a=d,d=I,i={id}"), "", out);
    }

    /// One escape sequence; the terminal is not to answer.
    fn command(&self, keys: &str, content: &str, out: &mut String) {
        let (start, escape, end) = if self.tmux {
            ("\x1bPtmux;", "\x1b\x1b", "\x1b\\")
        } else {
            ("", "\x1b", "")
        };
        let _ = write!(out, "{start}{escape}_Gq=2,{keys};{content}{escape}\\{end}");
    }

    /// All escape sequences that bring a picture to the terminal, and where each ends. It is scaled into its cells.
    fn transmission(
        &self,
        image: &DynamicImage,
        size: Size,
        id: u32,
    ) -> Result<(String, Vec<usize>), MediaError> {
        let (width, height) = (image.width(), image.height());
        let raw = image.to_rgb8().into_raw();
        let content = if self.deflate {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            let done = encoder.write_all(&raw).and_then(|()| encoder.finish());
            done.map_err(|e| fault(&e))?
        } else {
            raw
        };
        let (cols, rows) = (size.width, size.height);
        let mut data = String::with_capacity(content.len() * 4 / 3 + content.len() / 64 + 128);
        let mut ends = Vec::new();
        let mut left = content.len();
        for (n, piece) in content.chunks(PIECE).enumerate() {
            left -= piece.len();
            let more = u8::from(left > 0);
            let keys = if n == 0 {
                let how = if self.deflate { "o=z," } else { "" };
                format!(
                    "i={id},a=T,U=1,f=24,{how}t=d,s={width},v={height},c={cols},r={rows},m={more}"
                )
            } else {
                format!("m={more}")
            };
            self.command(&keys, &STANDARD.encode(piece), &mut data);
            ends.push(data.len());
        }
        Ok((data, ends))
    }

    /// The lock; a panic elsewhere leaves the pages whole.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn picture(album: &Album, grey: u8) -> Graphic {
        let image = image::GrayImage::from_fn(60, 60, |x, y| image::Luma([(x * y) as u8 ^ grey]));
        album.add(&image.into(), Size::new(6, 3)).unwrap()
    }

    /// The name, as the placeholders have it.
    fn id(graphic: &Graphic) -> u32 {
        let area = Rect::new(0, 0, 6, 3);
        let mut cells = Buffer::empty(area);
        let (_, picture) = graphic.pieces().next().unwrap();
        Image::new(picture).render(area, &mut cells);
        assert!(
            cells.content.iter().all(|cell| cell.symbol().len() < 16),
            "only placeholders are drawn"
        );
        match cells.content[0].fg {
            ratatui::style::Color::Rgb(r, g, b) => u32::from_be_bytes([0, r, g, b]),
            other => panic!("{other:?}"),
        }
    }

    fn sent(album: &Album, seen: &[u32], budget: usize) -> String {
        let mut out = String::new();
        album.send(seen, budget, &mut out);
        out
    }

    /// The pixels of a transmission.
    fn pixels(text: &str) -> Vec<u8> {
        let mut content = Vec::new();
        for part in text.split("\x1b\\").filter(|part| !part.is_empty()) {
            let (keys, piece) = part.split_once(';').unwrap();
            assert!(keys.starts_with("\x1b_Gq=2,"), "{keys}");
            content.extend(STANDARD.decode(piece).unwrap());
        }
        if text.contains("o=z") {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::ZlibDecoder::new(content.as_slice());
            decoder.read_to_end(&mut plain).unwrap();
            return plain;
        }
        content
    }

    #[test]
    fn what_is_sent_is_the_picture_once_deflated_or_not() {
        for deflate in [false, true] {
            let album = Album::new(deflate, false);
            let graphic = picture(&album, 0);
            let name = id(&graphic);
            assert!(!album.has(name));
            let text = sent(&album, &[name], usize::MAX / 2);
            let expected = (0..3600_u32).flat_map(|n| [(n % 60 * (n / 60)) as u8; 3]);
            assert_eq!(pixels(&text), expected.collect::<Vec<_>>());
            assert!(text.contains(&format!("i={name},a=T,U=1,f=24,")));
            assert!(text.contains("s=60,v=60,c=6,r=3,"));
            assert!(album.has(name));
            assert_eq!(sent(&album, &[name], 1 << 20), "");
        }
    }

    #[test]
    fn a_picture_comes_in_pieces_and_is_there_after_the_last() {
        let album = Album::default();
        let graphic = picture(&album, 0);
        let name = id(&graphic);
        let mut pieces = Vec::new();
        while !album.has(name) {
            pieces.push(sent(&album, &[name], 1));
        }
        assert!(pieces.len() > 2, "{}", pieces.len());
        assert_eq!(pixels(&pieces.concat()).len(), 3 * 3600);
    }

    #[test]
    fn what_is_gone_is_deleted_and_its_name_used_again() {
        let album = Album::default();
        let (first, second) = (picture(&album, 0), picture(&album, 1));
        let names = [id(&first), id(&second)];
        assert_ne!(names[0], names[1]);
        sent(&album, &names, 1 << 20);
        drop(first);
        let told = sent(&album, &names[1..], 1 << 20);
        assert_eq!(told, format!("\x1b_Gq=2,a=d,d=I,i={};\x1b\\", names[0]));
        assert_eq!(id(&picture(&album, 2)), names[0]);
    }

    #[test]
    fn a_picture_no_longer_looked_at_is_broken_off_and_sent_from_its_beginning_later() {
        let album = Album::default();
        let (first, second) = (picture(&album, 0), picture(&album, 1));
        let names = [id(&first), id(&second)];
        sent(&album, &names[..1], 1);
        let told = sent(&album, &names[1..], 1 << 20);
        let end = format!(
            "\x1b_Gq=2,m=0;\x1b\\\x1b_Gq=2,a=d,d=I,i={};\x1b\\",
            names[0]
        );
        let rest = told.strip_prefix(&end).unwrap();
        assert_eq!(pixels(rest).len(), 3 * 3600);
        assert!(album.has(names[1]) && !album.has(names[0]));
        assert_eq!(pixels(&sent(&album, &names[..1], 1 << 20)).len(), 3 * 3600);
    }

    #[test]
    fn a_cleared_terminal_gets_everything_again() {
        let album = Album::default();
        let graphic = picture(&album, 0);
        let name = id(&graphic);
        sent(&album, &[name], 1 << 20);
        let mut told = String::new();
        album.clear(&mut told);
        assert_eq!(told, format!("\x1b_Gq=2,a=d,d=I,i={name};\x1b\\"));
        assert!(!album.has(name));
        assert_eq!(pixels(&sent(&album, &[name], 1 << 20)).len(), 3 * 3600);
    }

    #[test]
    fn inside_tmux_every_sequence_is_passed_on() {
        let album = Album::new(true, true);
        let graphic = picture(&album, 0);
        let text = sent(&album, &[id(&graphic)], 1 << 20);
        for part in text.split("\x1bPtmux;").skip(1) {
            let inner = part.strip_suffix("\x1b\\").unwrap();
            assert!(!inner.replace("\x1b\x1b", "").contains('\x1b'));
        }
    }
}
