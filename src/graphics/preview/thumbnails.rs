//! The worker threads that make thumbnails for the grid: a new set of requests replaces those that still wait. Thumbnails are
//! cached, so that scrolling back, a smaller size and another quality decode nothing.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use fast_image_resize as fr;

use super::related::ComposedOverlays;
use super::store::FileVersion;
use super::{draw, renderer, slide};
use crate::app::{Preview, PreviewKey, Previewed, Quality, Scene};
use crate::graphics::drivers::{Drivers, Output, draw_error};
use crate::media::budget::WaitPolicy;
use crate::media::{self, DecodeOptions, Frame, ImageInfo, MediaError, Picture, Pixels};

/// Maximum bytes of cached thumbnails: about a thousand of them.
const MAX_CACHED_BYTES: usize = 48 << 20;
/// Maximum number of threads: the model needs the processor, too.
const MAX_THREADS: usize = 4;

/// A handle to the threads. Dropping it ends each after its current thumbnail.
pub struct ThumbnailWorkers {
    shared: Arc<ThumbnailMaker>,
}

/// State shared by the threads and their handle.
struct ThumbnailMaker {
    queue: Mutex<ThumbnailRequests>,
    changed: Condvar,
    store: Mutex<ThumbnailStore>,
}

#[derive(Default)]
struct ThumbnailRequests {
    waiting: VecDeque<PreviewKey>,
    stopped: bool,
}

/// A decoded image reduced to thumbnail size.
struct Thumbnail {
    frame: Frame,
    info: ImageInfo,
    scene: Scene,
    /// The side in pixels that it was made for.
    side: u32,
}

/// Cached thumbnails, the least recently used first.
#[derive(Default)]
struct ThumbnailStore {
    thumbnails: VecDeque<(FileVersion, Arc<Thumbnail>)>,
    bytes: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock is held leaves the content consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ThumbnailWorkers {
    /// Starts the threads, which pass each image to `sink`.
    pub fn start(
        output: &Output,
        sink: impl Fn(Previewed) + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(ThumbnailMaker {
            queue: Mutex::default(),
            changed: Condvar::new(),
            store: Mutex::default(),
        });
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..cores.div_ceil(2).min(MAX_THREADS) {
            let (shared, output, sink) = (Arc::clone(&shared), output.clone(), sink.clone());
            thread::Builder::new().name("tiles".into()).spawn(move || {
                let _ = rustix::process::nice(super::NICENESS);
                let drivers = Drivers::new(output);
                while let Some(key) = shared.next_request() {
                    let outcome = shared.render(&drivers, &key);
                    sink(Previewed { key, outcome });
                }
            })?;
        }
        Ok(Self { shared })
    }

    /// Requests images, the first one first; replaces the requests that still wait.
    pub fn request(&self, keys: Vec<PreviewKey>) {
        lock(&self.shared.queue).waiting = keys.into();
        self.shared.changed.notify_all();
    }
}

impl Drop for ThumbnailWorkers {
    fn drop(&mut self) {
        lock(&self.shared.queue).stopped = true;
        self.shared.changed.notify_all();
    }
}

impl ThumbnailMaker {
    /// Waits for a request; `None` when the threads are to stop.
    fn next_request(&self) -> Option<PreviewKey> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.stopped {
                return None;
            }
            if let Some(key) = queue.waiting.pop_front() {
                return Some(key);
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn render(&self, drivers: &Drivers, key: &PreviewKey) -> Result<Preview, MediaError> {
        let small = self.thumbnail(drivers, key)?;
        media::contain("preview", || {
            let grid = drivers.grid(key.graphics, key.quality);
            let drawn = draw::draw(
                &small.frame,
                &[],
                &ComposedOverlays::default(),
                key,
                &small.scene,
                grid,
            )?;
            let image = draw::finish(&drawn, key, &small.scene, grid);
            Ok(Preview {
                image: drivers.encode(image, drawn.cells, key)?,
                info: small.info.clone(),
                scene: Arc::new(small.scene.clone()),
            })
        })
    }

    /// Returns the thumbnail of a file, and makes it if it is not cached.
    fn thumbnail(&self, drivers: &Drivers, key: &PreviewKey) -> Result<Arc<Thumbnail>, MediaError> {
        let id = FileVersion {
            path: key.path.clone(),
            stamp: key.stamp,
        };
        let cell = drivers.grid(key.graphics, Quality::Full).cell;
        let pixels = |cells: u16, cell: u16| u32::from(cells) * u32::from(cell);
        let side = pixels(key.cols, cell.width).max(pixels(key.rows, cell.height));
        if let Some(known) = lock(&self.store).get(&id, side) {
            return Ok(known);
        }
        let source = media::open(&key.path)?;
        let slide = slide::thumbnail(&source, side);
        let stopped = || lock(&self.queue).stopped;
        let options = DecodeOptions {
            frame: source.frame_order().number(key.frame),
            ..DecodeOptions::default()
        };
        let wait = WaitPolicy {
            cancelled: &stopped,
            ..WaitPolicy::default()
        };
        let held;
        let (frame, info) = if let Some(slide) = &slide {
            (&slide.frame, &slide.info)
        } else {
            held = source.frame_reserved(&options, wait)?;
            (&*held, source.info())
        };
        let small = media::contain("preview", || {
            let scene = renderer::scene(key, &source, frame, (cell.width, cell.height));
            let rendered;
            let picture = match frame {
                Frame::Color(picture) if !key.view.invert => picture.as_ref(),
                frame => {
                    rendered = frame.render(key.view.voi, key.view.invert).0;
                    &rendered
                }
            };
            Ok(Arc::new(Thumbnail {
                frame: Frame::Color(Arc::new(scaled_to(picture, side)?)),
                info: info.clone(),
                scene,
                side,
            }))
        })?;
        lock(&self.store).insert(id, Arc::clone(&small));
        Ok(small)
    }
}

impl ThumbnailStore {
    /// The cached thumbnail of a file, if it is large enough. It becomes the most recently used.
    fn get(&mut self, id: &FileVersion, side: u32) -> Option<Arc<Thumbnail>> {
        let known =
            |(known, small): &(FileVersion, Arc<Thumbnail>)| known == id && small.side >= side;
        let at = self.thumbnails.iter().position(known)?;
        let hit = self.thumbnails.remove(at)?;
        let small = Arc::clone(&hit.1);
        self.thumbnails.push_back(hit);
        Some(small)
    }

    fn insert(&mut self, id: FileVersion, small: Arc<Thumbnail>) {
        self.bytes += small.frame.bytes();
        self.thumbnails.push_back((id, small));
        while self.bytes > MAX_CACHED_BYTES
            && let Some((_, dropped)) = self.thumbnails.pop_front()
        {
            self.bytes -= dropped.frame.bytes();
        }
    }
}

/// Scales an image down so that its longer side has at most `side` pixels.
fn scaled_to(picture: &Picture, side: u32) -> Result<Picture, MediaError> {
    let longer = picture.width.max(picture.height);
    if longer <= side {
        return Ok(picture.clone());
    }
    let scaled = |length: u32| {
        let share = f64::from(length) * f64::from(side) / f64::from(longer);
        (share.round() as u32).max(1)
    };
    let (width, height) = (scaled(picture.width), scaled(picture.height));
    let kind = match picture.pixels {
        Pixels::Luma(_) => fr::PixelType::U8,
        Pixels::Rgb(_) => fr::PixelType::U8x3,
    };
    let bytes = picture.pixels.bytes();
    let source = fr::images::ImageRef::new(picture.width, picture.height, bytes, kind)
        .map_err(|e| draw_error(&e))?;
    let mut target = fr::images::Image::new(width, height, kind);
    let method = fr::ResizeAlg::Convolution(fr::FilterType::Hamming);
    let options = fr::ResizeOptions::new().resize_alg(method).use_alpha(false);
    fr::Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|e| draw_error(&e))?;
    let bytes = target.into_vec();
    Ok(Picture {
        width,
        height,
        pixels: match kind {
            fr::PixelType::U8 => Pixels::Luma(bytes),
            _ => Pixels::Rgb(bytes),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use image::GrayImage;

    use super::*;
    use crate::app::{FoundFile, Graphics, Stamp};

    fn key(path: &Path, cols: u16) -> PreviewKey {
        let file = FoundFile {
            path: path.to_owned(),
            stamp: Stamp::default(),
        };
        PreviewKey::plain(
            file,
            (cols, cols / 2),
            Graphics::Halfblocks,
            Quality::Full,
            0,
        )
    }

    fn png(folder: &Path, n: u32) -> PathBuf {
        let path = folder.join(format!("{n}.png"));
        let image = GrayImage::from_pixel(400, 300, image::Luma([n as u8]));
        image.save(&path).unwrap();
        path
    }

    #[test]
    fn every_request_is_answered_and_scrolling_back_decodes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..12).map(|n| png(folder.path(), n)).collect();
        let (sender, made) = crossbeam_channel::unbounded();
        let sink = move |tile: Previewed| drop(sender.send(tile));
        let tiles = ThumbnailWorkers::start(&Output::default(), sink).unwrap();
        let all = |cols| paths.iter().map(|path| key(path, cols)).collect::<Vec<_>>();
        let received = || {
            let mut tiles: Vec<Previewed> = (0..12).map(|_| made.recv().unwrap()).collect();
            tiles.sort_by_key(|tile| tile.key.path.clone());
            assert!(tiles.iter().all(|tile| tile.outcome.is_ok()), "{tiles:?}");
            tiles.iter().map(|t| t.key.path.clone()).collect::<Vec<_>>()
        };
        let mut sorted = paths.clone();
        sorted.sort();
        tiles.request(all(20));
        assert_eq!(received(), sorted);
        drop(folder);
        tiles.request(all(14));
        assert_eq!(received(), sorted, "smaller ones come from the cache");
        tiles.request(vec![key(&paths[0], 60)]);
        let larger = made.recv().unwrap();
        assert!(
            larger.outcome.is_err(),
            "a larger one is made from the file"
        );
    }

    #[test]
    fn new_requests_replace_those_that_wait() {
        let shared = ThumbnailMaker {
            queue: Mutex::default(),
            changed: Condvar::new(),
            store: Mutex::default(),
        };
        let tiles = ThumbnailWorkers {
            shared: Arc::new(shared),
        };
        tiles.request(vec![key(Path::new("a"), 9), key(Path::new("b"), 9)]);
        assert_eq!(tiles.shared.next_request(), Some(key(Path::new("a"), 9)));
        tiles.request(vec![key(Path::new("c"), 9)]);
        assert_eq!(tiles.shared.next_request(), Some(key(Path::new("c"), 9)));
        lock(&tiles.shared.queue).stopped = true;
        assert_eq!(tiles.shared.next_request(), None);
    }

    #[test]
    fn thumbnails_are_cached_up_to_a_number_of_bytes() {
        let mut store = ThumbnailStore::default();
        let small = || {
            let pixels = Pixels::Luma(vec![0; 1 << 20]);
            let picture = Picture {
                width: 1 << 10,
                height: 1 << 10,
                pixels,
            };
            let key = key(Path::new("x"), 10);
            let path = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
            GrayImage::new(1, 1).save(path.path()).unwrap();
            let source = media::open(path.path()).unwrap();
            let frame = Frame::Color(Arc::new(picture));
            let scene = renderer::scene(&key, &source, &frame, (1, 2));
            Arc::new(Thumbnail {
                frame,
                info: source.info().clone(),
                scene,
                side: 1 << 10,
            })
        };
        let id = |n: usize| FileVersion {
            path: n.to_string().into(),
            stamp: Stamp::default(),
        };
        for n in 0..60 {
            store.insert(id(n), small());
            assert!(store.bytes <= MAX_CACHED_BYTES);
        }
        assert!(store.get(&id(59), 100).is_some());
        assert!(store.get(&id(59), 5000).is_none(), "it is too small");
        assert!(store.get(&id(0), 100).is_none());
    }
}
