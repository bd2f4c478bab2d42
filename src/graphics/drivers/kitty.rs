//! The kitty graphics protocol with Unicode placeholders: text cells that the terminal replaces with parts of an image.
//!
//! ratatui-image's transmission is bypassed: it sends a whole image together with its first cell, so that keys wait behind it,
//! and it never deletes one. Here images are sent in chunks between frames of text, shown once they are complete, and deleted
//! from the terminal when nobody can draw them any more.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::DynamicImage;
use ratatui::layout::Size;

use super::placeholders::Placeholders;
use super::{Encoded, draw_error};
use crate::app::EncodedImage;
use crate::graphics::Route;
use crate::graphics::tmux::Wrapper;
use crate::media::MediaError;

/// Payload bytes of one escape sequence before base64: the protocol allows 4096 characters.
const CHUNK_BYTES: usize = 3072;

/// The kitty images of one terminal: encoded by the preview workers, transmitted by the screen.
pub struct ImageStore {
    /// Whether to deflate images, which is faster over a slow link.
    deflate: bool,
    route: Route,
    /// The first id. It is random, because other programs in the same window use ids as well.
    first_id: u32,
    images: Mutex<StoredImages>,
}

#[derive(Default)]
struct StoredImages {
    encoded: BTreeMap<u32, Transmission>,
    /// Ids of images that are being encoded.
    reserved: BTreeSet<u32>,
    /// The partly transmitted image. No other may be sent before it is complete or aborted.
    partial: Option<u32>,
}

/// The escape sequences that transmit one image, and how far they have been sent.
struct Transmission {
    /// Dead once nobody can draw the image any more.
    owner: Weak<dyn Any + Send + Sync>,
    data: String,
    /// Byte offset in `data` at which each escape sequence ends.
    ends: Vec<usize>,
    /// Escape sequences sent so far.
    sent: usize,
}

impl Default for ImageStore {
    fn default() -> Self {
        Self::new(false, Route::Direct)
    }
}

impl ImageStore {
    /// Creates the store of a terminal that holds no images yet.
    pub fn new(deflate: bool, route: Route) -> Self {
        Self {
            deflate,
            route,
            first_id: rand::random::<u32>() & 0x00ff_ff00 | 1,
            images: Mutex::default(),
        }
    }

    /// Encodes an image that fills `size` cells.
    pub(super) fn add(&self, image: &DynamicImage, size: Size) -> Result<EncodedImage, MediaError> {
        let id = self.reserve_id();
        let made = self.encode(image, size, id);
        let mut images = self.images();
        images.reserved.remove(&id);
        let (encoded, transmission) = made?;
        images.encoded.insert(id, transmission);
        Ok(encoded)
    }

    /// Reserves a free id. The ids of dropped images become free once their deletion has been sent.
    fn reserve_id(&self) -> u32 {
        let mut images = self.images();
        let taken = images.encoded.len() + images.reserved.len();
        let free = |id: &u32| !images.encoded.contains_key(id) && !images.reserved.contains(id);
        let id = (self.first_id..=self.first_id + taken as u32).find(free);
        let id = id.unwrap_or(self.first_id);
        images.reserved.insert(id);
        id
    }

    fn encode(
        &self,
        image: &DynamicImage,
        size: Size,
        id: u32,
    ) -> Result<(EncodedImage, Transmission), MediaError> {
        let (data, ends) = self.transmission(image, size, id)?;
        let encoded = Encoded::Placeholders(Placeholders { id, size }).into_image(size);
        let transmission = Transmission {
            owner: encoded.downgrade(),
            data,
            ends,
            sent: 0,
        };
        Ok((encoded, transmission))
    }

    /// Appends to `out` what has to be sent before the next frame: the deletion of dropped images, and the next chunks of the
    /// `visible` images, about `budget` bytes of them.
    pub fn send(&self, visible: &[u32], budget: usize, out: &mut String) {
        let mut images = self.images();
        self.drop_unowned(&mut images, out);
        if let Some(partial) = images.partial.filter(|id| !visible.contains(id)) {
            self.abort(&mut images, partial, out);
        }
        let first = images.partial;
        let rest = visible.iter().copied().filter(|id| Some(*id) != first);
        let end = out.len().saturating_add(budget);
        let StoredImages {
            encoded, partial, ..
        } = &mut *images;
        for id in first.into_iter().chain(rest) {
            let Some(image) = encoded.get_mut(&id) else {
                continue;
            };
            while let Some(&to) = image.ends.get(image.sent) {
                let from = image.sent.checked_sub(1).map_or(0, |last| image.ends[last]);
                out.push_str(&image.data[from..to]);
                image.sent += 1;
                let more = image.sent < image.ends.len();
                *partial = more.then_some(id);
                if out.len() >= end {
                    return;
                }
            }
        }
    }

    /// Whether the image has been sent in full, so that it can be shown. Images of another store are not held back.
    pub fn is_sent(&self, id: u32) -> bool {
        let images = self.images();
        let image = images.encoded.get(&id);
        image.is_none_or(|image| image.sent == image.ends.len())
    }

    /// Deletes all images from the terminal; those drawn later are sent again.
    pub fn clear(&self, out: &mut String) {
        let mut images = self.images();
        if let Some(partial) = images.partial {
            self.abort(&mut images, partial, out);
        }
        for (id, image) in &mut images.encoded {
            if std::mem::take(&mut image.sent) > 0 {
                self.delete(*id, out);
            }
        }
    }

    /// Drops the images that nobody can draw any more, and deletes them from the terminal.
    fn drop_unowned(&self, images: &mut StoredImages, out: &mut String) {
        let is_unowned = |image: &Transmission| image.owner.strong_count() == 0;
        if let Some(partial) = images.partial
            && images.encoded.get(&partial).is_none_or(is_unowned)
        {
            self.abort(images, partial, out);
        }
        images.encoded.retain(|id, image| {
            let unowned = is_unowned(image);
            if unowned && image.sent > 0 {
                self.delete(*id, out);
            }
            !unowned
        });
    }

    /// Ends a partly sent image early. The terminal discards it as incomplete, and reports nothing because of `q=2`.
    fn abort(&self, images: &mut StoredImages, id: u32, out: &mut String) {
        images.partial = None;
        self.command("m=0", "", out);
        self.delete(id, out);
        if let Some(image) = images.encoded.get_mut(&id) {
            image.sent = 0;
        }
    }

    fn delete(&self, id: u32, out: &mut String) {
        self.command(&format!("a=d,d=I,i={id}"), "", out);
    }

    /// Appends one escape sequence; `q=2` tells the terminal not to answer.
    fn command(&self, keys: &str, content: &str, out: &mut String) {
        let Wrapper { start, escape, end } = self.route.wrapper();
        let _ = write!(out, "{start}{escape}_Gq=2,{keys};{content}{escape}\\{end}");
    }

    /// The escape sequences that transmit an image, and where each ends. The terminal scales it to its cells.
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
            done.map_err(|e| draw_error(&e))?
        } else {
            raw
        };
        let (cols, rows) = (size.width, size.height);
        let mut data = String::with_capacity(content.len() * 4 / 3 + content.len() / 64 + 128);
        let mut ends = Vec::new();
        let mut left = content.len();
        for (n, chunk) in content.chunks(CHUNK_BYTES).enumerate() {
            left -= chunk.len();
            let more = u8::from(left > 0);
            let keys = if n == 0 {
                let compression = if self.deflate { "o=z," } else { "" };
                format!(
                    "i={id},a=T,U=1,f=24,{compression}t=d,s={width},v={height},c={cols},r={rows},m={more}"
                )
            } else {
                format!("m={more}")
            };
            self.command(&keys, &STANDARD.encode(chunk), &mut data);
            ends.push(data.len());
        }
        Ok((data, ends))
    }

    /// Locks the images. A panic while the lock is held leaves them consistent.
    fn images(&self) -> MutexGuard<'_, StoredImages> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn image(store: &ImageStore, grey: u8) -> EncodedImage {
        let pixels = image::GrayImage::from_fn(60, 60, |x, y| image::Luma([(x * y) as u8 ^ grey]));
        store.add(&pixels.into(), Size::new(6, 3)).unwrap()
    }

    /// The image's id, as the placeholders carry it.
    fn id(image: &EncodedImage) -> u32 {
        match image.content() {
            Some(Encoded::Placeholders(placeholders)) => placeholders.id,
            _ => panic!("no placeholders"),
        }
    }

    fn sent(store: &ImageStore, visible: &[u32], budget: usize) -> String {
        let mut out = String::new();
        store.send(visible, budget, &mut out);
        out
    }

    /// Decodes the pixels of a transmission.
    fn pixels(text: &str) -> Vec<u8> {
        let mut content = Vec::new();
        for part in text.split("\x1b\\").filter(|part| !part.is_empty()) {
            let (keys, chunk) = part.split_once(';').unwrap();
            assert!(keys.starts_with("\x1b_Gq=2,"), "{keys}");
            content.extend(STANDARD.decode(chunk).unwrap());
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
    fn an_image_is_sent_once_with_all_its_pixels_deflated_or_not() {
        for deflate in [false, true] {
            let store = ImageStore::new(deflate, Route::Direct);
            let image = image(&store, 0);
            let name = id(&image);
            assert!(!store.is_sent(name));
            let text = sent(&store, &[name], usize::MAX / 2);
            let expected = (0..3600_u32).flat_map(|n| [(n % 60 * (n / 60)) as u8; 3]);
            assert_eq!(pixels(&text), expected.collect::<Vec<_>>());
            assert!(text.contains(&format!("i={name},a=T,U=1,f=24,")));
            assert!(text.contains("s=60,v=60,c=6,r=3,"));
            assert!(store.is_sent(name));
            assert_eq!(sent(&store, &[name], 1 << 20), "");
        }
    }

    #[test]
    fn an_image_is_sent_in_chunks_and_complete_after_the_last() {
        let store = ImageStore::default();
        let image = image(&store, 0);
        let name = id(&image);
        let mut chunks = Vec::new();
        while !store.is_sent(name) {
            chunks.push(sent(&store, &[name], 1));
        }
        assert!(chunks.len() > 2, "{}", chunks.len());
        assert_eq!(pixels(&chunks.concat()).len(), 3 * 3600);
    }

    #[test]
    fn a_dropped_image_is_deleted_and_its_id_reused() {
        let store = ImageStore::default();
        let (first, second) = (image(&store, 0), image(&store, 1));
        let names = [id(&first), id(&second)];
        assert_ne!(names[0], names[1]);
        sent(&store, &names, 1 << 20);
        drop(first);
        let out = sent(&store, &names[1..], 1 << 20);
        assert_eq!(out, format!("\x1b_Gq=2,a=d,d=I,i={};\x1b\\", names[0]));
        assert_eq!(id(&image(&store, 2)), names[0]);
    }

    #[test]
    fn an_image_no_longer_visible_is_aborted_and_later_sent_from_its_start() {
        let store = ImageStore::default();
        let (first, second) = (image(&store, 0), image(&store, 1));
        let names = [id(&first), id(&second)];
        sent(&store, &names[..1], 1);
        let out = sent(&store, &names[1..], 1 << 20);
        let end = format!(
            "\x1b_Gq=2,m=0;\x1b\\\x1b_Gq=2,a=d,d=I,i={};\x1b\\",
            names[0]
        );
        let rest = out.strip_prefix(&end).unwrap();
        assert_eq!(pixels(rest).len(), 3 * 3600);
        assert!(store.is_sent(names[1]) && !store.is_sent(names[0]));
        assert_eq!(pixels(&sent(&store, &names[..1], 1 << 20)).len(), 3 * 3600);
    }

    #[test]
    fn a_cleared_terminal_is_sent_its_images_again() {
        let store = ImageStore::default();
        let image = image(&store, 0);
        let name = id(&image);
        sent(&store, &[name], 1 << 20);
        let mut out = String::new();
        store.clear(&mut out);
        assert_eq!(out, format!("\x1b_Gq=2,a=d,d=I,i={name};\x1b\\"));
        assert!(!store.is_sent(name));
        assert_eq!(pixels(&sent(&store, &[name], 1 << 20)).len(), 3 * 3600);
    }

    #[test]
    fn inside_tmux_every_sequence_is_wrapped() {
        let store = ImageStore::new(true, Route::Tmux);
        let image = image(&store, 0);
        let text = sent(&store, &[id(&image)], 1 << 20);
        for part in text.split("\x1bPtmux;").skip(1) {
            let inner = part.strip_suffix("\x1b\\").unwrap();
            assert!(!inner.replace("\x1b\x1b", "").contains('\x1b'));
        }
    }
}
