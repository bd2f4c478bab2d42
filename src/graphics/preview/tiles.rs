//! The workers that make small images, many at a time: what is asked for last replaces what still waits. Of each image a
//! small one is kept, so that scrolling back, another size and another quality decode nothing.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use fast_image_resize as fr;

use super::related::Composed;
use super::store::Id;
use super::{draw, renderer, slide};
use crate::app::{Preview, PreviewKey, Previewed, Quality, Scene};
use crate::graphics::drivers::{Drivers, Output, fault};
use crate::media::budget::WaitPolicy;
use crate::media::{self, DecodeOptions, Frame, ImageInfo, MediaError, Picture, Pixels};

/// Bytes of small images kept: about a thousand.
const KEPT_BYTES: usize = 48 << 20;
/// Threads that decode, at most: the model needs the processor too.
const THREADS: usize = 4;

/// The running workers. Dropping it lets each end after what it is doing.
pub struct Tiles {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    small: Mutex<Store>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<PreviewKey>,
    stopped: bool,
}

/// An image no larger than tiles need.
struct Small {
    frame: Frame,
    info: ImageInfo,
    scene: Scene,
    /// Pixels of the side that it was made for.
    side: u32,
}

/// Small images, the oldest first.
#[derive(Default)]
struct Store {
    pictures: VecDeque<(Id, Arc<Small>)>,
    bytes: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves what it holds whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tiles {
    /// Starts the threads; `sink` gets each image there.
    pub fn start(
        output: &Output,
        sink: impl Fn(Previewed) + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            small: Mutex::default(),
        });
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..cores.div_ceil(2).min(THREADS) {
            let (shared, output, sink) = (Arc::clone(&shared), output.clone(), sink.clone());
            thread::Builder::new().name("tiles".into()).spawn(move || {
                let _ = rustix::process::nice(super::NICENESS);
                let drivers = Drivers::new(output);
                while let Some(key) = shared.next() {
                    let outcome = shared.make(&drivers, &key);
                    sink(Previewed { key, outcome });
                }
            })?;
        }
        Ok(Self { shared })
    }

    /// Asks for images, instead of those that wait.
    pub fn request(&self, keys: Vec<PreviewKey>) {
        lock(&self.shared.queue).waiting = keys.into();
        self.shared.changed.notify_all();
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        lock(&self.shared.queue).stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Waits for a request; `None` at the end.
    fn next(&self) -> Option<PreviewKey> {
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

    fn make(&self, drivers: &Drivers, key: &PreviewKey) -> Result<Preview, MediaError> {
        let small = self.small(drivers, key)?;
        media::contain("preview", || {
            let grid = drivers.grid(key.graphics, key.quality);
            let drawn = draw::draw(
                &small.frame,
                &[],
                &Composed::default(),
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

    /// The small image of a file, made if it is not kept.
    fn small(&self, drivers: &Drivers, key: &PreviewKey) -> Result<Arc<Small>, MediaError> {
        let id = Id {
            path: key.path.clone(),
            stamp: key.stamp,
        };
        let cell = drivers.grid(key.graphics, Quality::Full).cell;
        let pixels = |cells: u16, cell: u16| u32::from(cells) * u32::from(cell);
        let side = pixels(key.cols, cell.width).max(pixels(key.rows, cell.height));
        if let Some(known) = lock(&self.small).get(&id, side) {
            return Ok(known);
        }
        let source = media::open(&key.path)?;
        let slide = slide::small(&source, side);
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
            Ok(Arc::new(Small {
                frame: Frame::Color(Arc::new(smaller(picture, side)?)),
                info: info.clone(),
                scene,
                side,
            }))
        })?;
        lock(&self.small).put(id, Arc::clone(&small));
        Ok(small)
    }
}

impl Store {
    /// What is kept of a file, if it is large enough; it is then the last to be dropped.
    fn get(&mut self, id: &Id, side: u32) -> Option<Arc<Small>> {
        let known = |(known, small): &(Id, Arc<Small>)| known == id && small.side >= side;
        let at = self.pictures.iter().position(known)?;
        let hit = self.pictures.remove(at)?;
        let small = Arc::clone(&hit.1);
        self.pictures.push_back(hit);
        Some(small)
    }

    fn put(&mut self, id: Id, small: Arc<Small>) {
        self.bytes += small.frame.bytes();
        self.pictures.push_back((id, small));
        while self.bytes > KEPT_BYTES
            && let Some((_, dropped)) = self.pictures.pop_front()
        {
            self.bytes -= dropped.frame.bytes();
        }
    }
}

/// An image whose longer side has at most so many pixels.
fn smaller(picture: &Picture, side: u32) -> Result<Picture, MediaError> {
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
        .map_err(|e| fault(&e))?;
    let mut target = fr::images::Image::new(width, height, kind);
    let method = fr::ResizeAlg::Convolution(fr::FilterType::Hamming);
    let options = fr::ResizeOptions::new().resize_alg(method).use_alpha(false);
    fr::Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|e| fault(&e))?;
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
    use crate::app::{Graphics, Marks, Overlaid, Stamp, View};

    fn key(path: &Path, cols: u16) -> PreviewKey {
        PreviewKey {
            path: path.to_owned(),
            stamp: Stamp::default(),
            frame: 0,
            view: View::default(),
            for_series: None,
            stack: None,
            marks: Marks::default(),
            related: Overlaid::default(),
            cols,
            rows: cols / 2,
            graphics: Graphics::Halfblocks,
            quality: Quality::Full,
            epoch: 0,
        }
    }

    fn png(folder: &Path, n: u32) -> PathBuf {
        let path = folder.join(format!("{n}.png"));
        let image = GrayImage::from_pixel(400, 300, image::Luma([n as u8]));
        image.save(&path).unwrap();
        path
    }

    #[test]
    fn all_that_is_asked_for_comes_and_scrolling_back_decodes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..12).map(|n| png(folder.path(), n)).collect();
        let (sender, made) = crossbeam_channel::unbounded();
        let sink = move |tile: Previewed| drop(sender.send(tile));
        let tiles = Tiles::start(&Output::default(), sink).unwrap();
        let all = |cols| paths.iter().map(|path| key(path, cols)).collect::<Vec<_>>();
        let come = || {
            let mut come: Vec<Previewed> = (0..12).map(|_| made.recv().unwrap()).collect();
            come.sort_by_key(|tile| tile.key.path.clone());
            assert!(come.iter().all(|tile| tile.outcome.is_ok()), "{come:?}");
            come.iter().map(|t| t.key.path.clone()).collect::<Vec<_>>()
        };
        let mut sorted = paths.clone();
        sorted.sort();
        tiles.request(all(20));
        assert_eq!(come(), sorted);
        drop(folder);
        tiles.request(all(14));
        assert_eq!(come(), sorted, "a smaller one comes from what is kept");
        tiles.request(vec![key(&paths[0], 60)]);
        let larger = made.recv().unwrap();
        assert!(
            larger.outcome.is_err(),
            "a larger one is made from the file"
        );
    }

    #[test]
    fn what_still_waits_is_replaced() {
        let shared = Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            small: Mutex::default(),
        };
        let tiles = Tiles {
            shared: Arc::new(shared),
        };
        tiles.request(vec![key(Path::new("a"), 9), key(Path::new("b"), 9)]);
        assert_eq!(tiles.shared.next(), Some(key(Path::new("a"), 9)));
        tiles.request(vec![key(Path::new("c"), 9)]);
        assert_eq!(tiles.shared.next(), Some(key(Path::new("c"), 9)));
        lock(&tiles.shared.queue).stopped = true;
        assert_eq!(tiles.shared.next(), None);
    }

    #[test]
    fn small_pictures_are_kept_up_to_a_number_of_bytes() {
        let mut store = Store::default();
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
            Arc::new(Small {
                frame,
                info: source.info().clone(),
                scene,
                side: 1 << 10,
            })
        };
        let id = |n: usize| Id {
            path: n.to_string().into(),
            stamp: Stamp::default(),
        };
        for n in 0..60 {
            store.put(id(n), small());
            assert!(store.bytes <= KEPT_BYTES);
        }
        assert!(store.get(&id(59), 100).is_some());
        assert!(store.get(&id(59), 5000).is_none(), "it is too small");
        assert!(store.get(&id(0), 100).is_none());
    }
}
