//! The worker that turns files into terminal graphics: decode ▸ window ▸ resize ▸ encode. The latest request wins;
//! one that is overtaken while it waits is forgotten.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use fast_image_resize as fr;
use image::{DynamicImage, GrayImage, RgbImage};
use ratatui::layout::Size;
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::{FontSize, Resize};

use crate::app::{Graphic, Graphics, Preview, PreviewKey, Previewed, Quality, Stamp};
use crate::media::{self, ErrorKind, Info, MediaError, Options, Picture, Pixels};

/// Decoded pictures kept, in bytes: a few large radiographs, so that going back decodes nothing.
const DECODED: usize = 256 << 20;
/// Encoded graphics kept. Few: each kitty picture among them also occupies the terminal.
const ENCODED: usize = 8;
/// A half block is one column wide and two pixels high.
const HALF_BLOCK: FontSize = FontSize::new(1, 2);

/// What is wanted now.
enum Wanted {
    Nothing,
    Picture(Box<PreviewKey>),
    Stop,
}

struct Slot {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

impl Slot {
    /// The lock; a panic elsewhere leaves the slot whole.
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, wanted: Wanted) {
        *self.wanted() = wanted;
        self.changed.notify_one();
    }

    /// Waits for a request; `None` at the end.
    fn take(&self) -> Option<PreviewKey> {
        let mut wanted = self.wanted();
        loop {
            match std::mem::replace(&mut *wanted, Wanted::Nothing) {
                Wanted::Picture(key) => return Some(*key),
                Wanted::Stop => return None,
                Wanted::Nothing => {
                    wanted = self
                        .changed
                        .wait(wanted)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn overtaken(&self) -> bool {
        !matches!(*self.wanted(), Wanted::Nothing)
    }
}

/// The running worker. Dropping it lets the thread end after what it is doing.
pub struct Worker {
    slot: Arc<Slot>,
}

impl Worker {
    /// Starts the thread; `sink` gets each finished preview there.
    pub fn start(
        picker: Picker,
        sink: impl Fn(Previewed) + Send + 'static,
    ) -> std::io::Result<Self> {
        let slot = Arc::new(Slot {
            wanted: Mutex::new(Wanted::Nothing),
            changed: Condvar::new(),
        });
        let worker = Arc::clone(&slot);
        thread::Builder::new()
            .name("preview".into())
            .spawn(move || {
                let mut maker = Maker::new(picker);
                while let Some(key) = worker.take() {
                    if let Some(outcome) = maker.make(&key, &|| worker.overtaken()) {
                        sink(Previewed { key, outcome });
                    }
                }
            })?;
        Ok(Self { slot })
    }

    /// Asks for a picture, instead of the one that waits.
    pub fn request(&self, key: PreviewKey) {
        self.slot.put(Wanted::Picture(Box::new(key)));
    }

    /// Forgets the request that waits.
    pub fn forget(&self) {
        self.slot.put(Wanted::Nothing);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.slot.put(Wanted::Stop);
    }
}

/// A decoded frame in the cache.
struct Decoded {
    path: PathBuf,
    stamp: Stamp,
    frame: u32,
    info: Info,
    picture: Arc<Picture>,
}

struct Maker {
    /// The terminal's own protocol.
    picker: Picker,
    half_blocks: Picker,
    /// Oldest first.
    decoded: VecDeque<Decoded>,
    /// Oldest first.
    encoded: VecDeque<(PreviewKey, Preview)>,
}

impl Maker {
    fn new(picker: Picker) -> Self {
        // The cell size of the public constructor is a guess at a font; half blocks need their own.
        #[allow(deprecated, reason = "no other constructor takes a cell size")]
        let mut half_blocks = Picker::from_fontsize(HALF_BLOCK);
        half_blocks.set_protocol_type(ProtocolType::Halfblocks);
        Self {
            picker,
            half_blocks,
            decoded: VecDeque::new(),
            encoded: VecDeque::new(),
        }
    }

    /// `None` when the request was overtaken on the way.
    fn make(
        &mut self,
        key: &PreviewKey,
        overtaken: &dyn Fn() -> bool,
    ) -> Option<Result<Preview, MediaError>> {
        if let Some(at) = self.encoded.iter().position(|(known, _)| known == key) {
            let hit = self.encoded.remove(at)?;
            let preview = hit.1.clone();
            self.encoded.push_back(hit);
            return Some(Ok(preview));
        }
        let (info, picture) = match self.decode(key) {
            Ok(decoded) => decoded,
            Err(error) => return Some(Err(error)),
        };
        if overtaken() {
            return None;
        }
        let graphic = media::contain("preview", || self.encode(&picture, key));
        Some(graphic.map(|graphic| {
            let preview = Preview { graphic, info };
            self.encoded.push_back((key.clone(), preview.clone()));
            while self.encoded.len() > ENCODED {
                self.encoded.pop_front();
            }
            preview
        }))
    }

    fn decode(&mut self, key: &PreviewKey) -> Result<(Info, Arc<Picture>), MediaError> {
        let same = |d: &Decoded| d.path == key.path && d.stamp == key.stamp && d.frame == key.frame;
        if let Some(at) = self.decoded.iter().position(same)
            && let Some(hit) = self.decoded.remove(at)
        {
            let found = (hit.info.clone(), Arc::clone(&hit.picture));
            self.decoded.push_back(hit);
            return Ok(found);
        }
        let loaded = media::load(
            &key.path,
            &Options {
                frame: key.frame,
                ..Options::default()
            },
        )?;
        let picture = Arc::new(loaded.picture);
        self.decoded.push_back(Decoded {
            path: key.path.clone(),
            stamp: key.stamp,
            frame: key.frame,
            info: loaded.info.clone(),
            picture: Arc::clone(&picture),
        });
        while self.decoded.len() > 1
            && self
                .decoded
                .iter()
                .map(|d| bytes(&d.picture))
                .sum::<usize>()
                > DECODED
        {
            self.decoded.pop_front();
        }
        Ok((loaded.info, picture))
    }

    fn encode(&self, picture: &Picture, key: &PreviewKey) -> Result<Graphic, MediaError> {
        let picker = match key.graphics {
            Graphics::Halfblocks | Graphics::None => &self.half_blocks,
            _ if key.quality == Quality::Fast => &self.half_blocks,
            Graphics::Kitty | Graphics::Sixel | Graphics::Iterm2 => &self.picker,
        };
        let (image, size) = fit(picture, key.cols, key.rows, picker.font_size())?;
        let protocol = picker.new_protocol(image, size, Resize::Fit(None));
        protocol.map(Graphic::new).map_err(|error| fault(&error))
    }
}

fn fault(error: &dyn std::fmt::Display) -> MediaError {
    MediaError::new(
        ErrorKind::Internal,
        format!("the picture cannot be drawn: {error}"),
    )
}

fn bytes(picture: &Picture) -> usize {
    match &picture.pixels {
        Pixels::Luma(v) | Pixels::Rgb(v) => v.len(),
    }
}

/// Resizes to the largest that fits into `cols × rows` cells, on a black ground that fills whole cells: so no
/// protocol stretches it. The size in cells comes along.
fn fit(
    picture: &Picture,
    cols: u16,
    rows: u16,
    cell: FontSize,
) -> Result<(DynamicImage, Size), MediaError> {
    let (cell_w, cell_h) = (u32::from(cell.width.max(1)), u32::from(cell.height.max(1)));
    let room = (
        u32::from(cols.max(1)) * cell_w,
        u32::from(rows.max(1)) * cell_h,
    );
    let from = (
        f64::from(picture.width.max(1)),
        f64::from(picture.height.max(1)),
    );
    let factor = (f64::from(room.0) / from.0).min(f64::from(room.1) / from.1);
    let side = |length: f64, limit: u32| ((length * factor).round() as u32).clamp(1, limit);
    let (w, h) = (side(from.0, room.0), side(from.1, room.1));
    let resized = resize(picture, w, h)?;
    let size = Size::new(w.div_ceil(cell_w) as u16, h.div_ceil(cell_h) as u16);
    let (full_w, full_h) = (
        u32::from(size.width) * cell_w,
        u32::from(size.height) * cell_h,
    );
    if (full_w, full_h) == (w, h) {
        return Ok((resized, size));
    }
    let mut ground = DynamicImage::new(full_w, full_h, resized.color());
    image::imageops::overlay(
        &mut ground,
        &resized,
        i64::from((full_w - w) / 2),
        i64::from((full_h - h) / 2),
    );
    Ok((ground, size))
}

fn resize(picture: &Picture, w: u32, h: u32) -> Result<DynamicImage, MediaError> {
    let (kind, bytes) = match &picture.pixels {
        Pixels::Luma(v) => (fr::PixelType::U8, v),
        Pixels::Rgb(v) => (fr::PixelType::U8x3, v),
    };
    let source = fr::images::ImageRef::new(picture.width, picture.height, bytes, kind)
        .map_err(|e| fault(&e))?;
    let mut target = fr::images::Image::new(w, h, kind);
    let options = fr::ResizeOptions::new()
        .resize_alg(fr::ResizeAlg::Convolution(fr::FilterType::CatmullRom))
        .use_alpha(false);
    fr::Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|e| fault(&e))?;
    let bytes = target.into_vec();
    let image = match kind {
        fr::PixelType::U8 => GrayImage::from_raw(w, h, bytes).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(w, h, bytes).map(DynamicImage::ImageRgb8),
    };
    image.ok_or_else(|| fault(&"its size changed on the way"))
}

#[cfg(test)]
#[path = "preview/tests.rs"]
mod tests;
