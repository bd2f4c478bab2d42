//! From a request to what the terminal is sent.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::draw::{self, Drawn};
use super::ranges::{Ranges, Step};
use super::related::{Composed, Objects};
use super::slide::{Seen, Slide, Slides, Watch};
use super::store::{Id, Store};
use crate::app::{About, Preview, PreviewKey, Quality, Scene, Stamp, Value, View};
use crate::graphics::drivers::{Drivers, Output};
use crate::media::budget::WaitPolicy;
use crate::media::{self, Frame, ImageInfo, ImageSource, MediaError, Voi, Window};

/// Decoded frames kept, in bytes: a few large radiographs, so that going back decodes nothing.
const DECODED_BYTES: usize = 256 << 20;
/// Encoded graphics kept. Few: each kitty image among them also occupies the terminal.
const MAX_ENCODED: usize = 8;
/// Frames decoded ahead, in the direction of the last step, and the one before.
const AHEAD: [i64; 3] = [1, 2, -1];
/// How long a first image waits for the window that it will keep.
const SAMPLE_TIMEOUT: Duration = Duration::from_millis(60);
/// Bins of a histogram: more than any panel has columns.
const BINS: usize = 256;

/// Makes previews, one after the other.
pub struct Renderer {
    drivers: Drivers,
    store: Store,
    objects: Objects,
    /// Oldest first.
    encoded: VecDeque<(PreviewKey, Preview)>,
    /// What was drawn last, for marks that move over it.
    drawn: Option<(PreviewKey, Drawn)>,
    /// The file and the position of the frame looked at, and the way it came: onward or back.
    latest: Option<(Id, u32, i64)>,
    /// Windows that stacks share.
    ranges: Ranges,
    slides: Slides,
    /// The request answered last.
    answered: Option<PreviewKey>,
    /// The same, where its window has changed since.
    outdated: Option<PreviewKey>,
    /// Bytes of the last frame decoded.
    frame_bytes: usize,
    /// Frames worth decoding while nothing is wanted, the next one last.
    ahead: Vec<u32>,
    /// Files worth decoding after those, the next one last.
    nearby: Vec<Id>,
}

impl Renderer {
    /// For a terminal.
    pub fn new(output: Output) -> Self {
        Self {
            drivers: Drivers::new(output),
            store: Store::new(DECODED_BYTES),
            objects: Objects::default(),
            encoded: VecDeque::new(),
            drawn: None,
            latest: None,
            ranges: Ranges::default(),
            slides: Slides::default(),
            answered: None,
            outdated: None,
            frame_bytes: 0,
            ahead: Vec::new(),
            nearby: Vec::new(),
        }
    }

    /// Answers a request; `None` when it was overtaken on the way.
    pub fn render(
        &mut self,
        key: &PreviewKey,
        overtaken: &dyn Fn() -> bool,
    ) -> Option<Result<Preview, MediaError>> {
        self.render_in_parts(key, overtaken, &mut |_| {})
    }

    /// The same; of an image that takes long `partly` is given what is there meanwhile.
    pub fn render_in_parts(
        &mut self,
        key: &PreviewKey,
        overtaken: &dyn Fn() -> bool,
        partly: &mut dyn FnMut(Preview),
    ) -> Option<Result<Preview, MediaError>> {
        let id = Id {
            path: key.path.clone(),
            stamp: key.stamp,
        };
        self.answered = Some(key.clone());
        self.outdated = None;
        if let Some(at) = self.encoded.iter().position(|(known, _)| known == key) {
            let hit = self.encoded.remove(at)?;
            let preview = hit.1.clone();
            self.encoded.push_back(hit);
            self.plan_ahead(id, key.frame, preview.info.frames);
            return Some(Ok(preview));
        }
        let source = match self.store.source(&id) {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        let seen = self.look_at_slide(key, &id, &source, overtaken, partly);
        let note = match seen {
            Ok(Seen::Overtaken) => return None,
            Ok(Seen::Whole(slide, note)) => {
                let notes: Vec<String> = note.into_iter().chain(slide.note.clone()).collect();
                let note = (!notes.is_empty()).then(|| notes.join(", "));
                return Some(self.show_slide(key, &source, &slide, note, true));
            }
            Ok(Seen::Tile(note)) => Some(note),
            Ok(Seen::Frame) => None,
            Err(_) if overtaken() => return None,
            Err(error) => return Some(Err(error)),
        };
        let number = source.frame_order().number(key.frame);
        let wait = WaitPolicy {
            urgent: true,
            cancelled: overtaken,
        };
        let frame = match self.store.frame(&id, number, wait) {
            Ok(frame) => frame,
            Err(_) if overtaken() => return None,
            Err(error) => return Some(Err(error)),
        };
        if overtaken() {
            return None;
        }
        self.frame_bytes = frame.bytes();
        self.plan_ahead(id, key.frame, source.info().frames);
        Some(media::contain("preview", || {
            let subject = Subject {
                source: &source,
                frame: &frame,
                slide: None,
                note,
                is_complete: true,
            };
            self.show(key, &subject)
        }))
    }

    /// What a file is seen as: itself, or the slide that it is part of.
    fn look_at_slide(
        &mut self,
        key: &PreviewKey,
        id: &Id,
        source: &Arc<ImageSource>,
        overtaken: &dyn Fn() -> bool,
        partly: &mut dyn FnMut(Preview),
    ) -> Result<Seen, MediaError> {
        let cell = self.drivers.grid(key.graphics, Quality::Full).cell;
        let side = |cells: u16, cell: u16| u32::from(cells) * u32::from(cell);
        let room = (side(key.cols, cell.width), side(key.rows, cell.height));
        let mut slides = std::mem::take(&mut self.slides);
        let mut watch = Watch {
            overtaken,
            partly: &mut |slide: &Slide| {
                if let Ok(preview) = self.show_slide(key, source, slide, slide.note.clone(), false)
                {
                    partly(preview);
                }
            },
        };
        let seen = slides.look(id, source, (key.frame, room), &mut watch);
        self.slides = slides;
        seen
    }

    fn show_slide(
        &mut self,
        key: &PreviewKey,
        source: &ImageSource,
        slide: &Slide,
        note: Option<String>,
        is_complete: bool,
    ) -> Result<Preview, MediaError> {
        let subject = Subject {
            source,
            frame: &slide.frame,
            slide: Some(slide),
            note,
            is_complete,
        };
        media::contain("preview", || self.show(key, &subject))
    }

    /// Names the files that may be asked for next, the likeliest first.
    pub fn near(&mut self, files: Vec<(PathBuf, Stamp)>) {
        let id = |(path, stamp)| Id { path, stamp };
        self.nearby = files.into_iter().rev().map(id).collect();
    }

    /// The request answered last, if its window has changed since: it is to be made once more.
    pub fn outdated(&mut self) -> Option<PreviewKey> {
        self.outdated.take()
    }

    /// Decodes one frame that may be wanted next, or by which a window is chosen; false when there is nothing to be done.
    pub fn decode_ahead(&mut self) -> bool {
        match self.sample() {
            Step::Idle => {}
            Step::Going => return true,
            Step::Changed => {
                self.outdated = self.answered.clone();
                return true;
            }
        }
        let next = match (&self.latest, self.ahead.pop()) {
            (Some((id, ..)), Some(position)) => Some((id.clone(), position)),
            _ => self.nearby.pop().map(|id| (id, 0)),
        };
        let Some((id, position)) = next else {
            return false;
        };
        let source = self.store.source(&id);
        // A tile is not what will be seen.
        if source
            .as_ref()
            .is_ok_and(|source| source.mosaic().is_some())
        {
            return true;
        }
        let number = source.map_or(position, |source| source.frame_order().number(position));
        let room = self.store.has_room_for(AHEAD.len() + 3, self.frame_bytes);
        // Nobody waits for it: where memory is short it is left.
        let wait = WaitPolicy {
            urgent: false,
            cancelled: &|| true,
        };
        // What cannot be decoded says so when it is looked at.
        if room && !self.store.has(&id, number) && self.store.frame(&id, number, wait).is_err() {
            self.ahead.clear();
        }
        true
    }

    fn plan_ahead(&mut self, id: Id, position: u32, frames: u32) {
        let way = match &self.latest {
            Some((last, before, _)) if *last == id && *before != position => {
                // From the last frame to the first is a step on.
                let step = i64::from(position) - i64::from(*before);
                if step.unsigned_abs() * 2 > u64::from(frames) {
                    -step.signum()
                } else {
                    step.signum()
                }
            }
            Some((last, _, way)) if *last == id => *way,
            _ => 1,
        };
        self.ahead.clear();
        let room = self.store.has_room_for(AHEAD.len() + 1, self.frame_bytes);
        if frames > 1 && room {
            let near = |step: &i64| {
                (i64::from(position) + way * step).rem_euclid(i64::from(frames)) as u32
            };
            self.ahead.extend(AHEAD.iter().rev().map(near));
        }
        self.latest = Some((id, position, way));
    }

    fn show(&mut self, key: &PreviewKey, subject: &Subject) -> Result<Preview, MediaError> {
        let Subject { source, frame, .. } = *subject;
        let series = source.series();
        let view = match &key.for_series {
            Some(wanted) if series.as_ref() != Some(wanted) => View::default(),
            _ => key.view.clone(),
        };
        // From here on the view is known to be the file's.
        let key = &PreviewKey {
            view: view.clone(),
            for_series: None,
            ..key.clone()
        };
        let cell = self.drivers.grid(key.graphics, Quality::Full).cell;
        let (frame, over, target) = if subject.slide.is_some() {
            (Cow::Borrowed(frame), Arc::default(), None)
        } else {
            let target = source.target(source.frame_order().number(key.frame));
            let (frame, over) = self.objects.compose(&key.related, frame, target.as_ref());
            (Cow::Owned(frame), over, target)
        };
        let mut scene = scene(key, source, &frame, (cell.width, cell.height));
        (scene.series, scene.note) = (series, subject.note.clone());
        scene.about = over.about(target);
        let voi = match subject.slide {
            Some(slide) => {
                scene.geometry = slide.geometry.clone();
                key.view.voi
            }
            None => self.held_window(key, source, &frame),
        };
        let subject = &Subject {
            frame: &frame,
            note: None,
            ..*subject
        };
        let drawn = self.drawn(key, voi, subject, &over, &scene)?;
        scene.window = drawn.window;
        scene.about.labels.clone_from(&drawn.labels);
        let image = draw::finish(
            &drawn,
            key,
            &scene,
            self.drivers.grid(key.graphics, key.quality),
        );
        let image = self.drivers.encode(image, drawn.cells, key)?;
        let preview = Preview {
            image,
            info: subject.info().clone(),
            scene: Arc::new(scene),
        };
        if !subject.is_complete {
            return Ok(preview);
        }
        self.encoded.push_back((key.clone(), preview.clone()));
        while self.encoded.len() > MAX_ENCODED {
            self.encoded.pop_front();
        }
        Ok(preview)
    }

    /// The window that the image shares with the others of its stack; its own where it is alone.
    fn held_window(&mut self, key: &PreviewKey, source: &ImageSource, frame: &Frame) -> Voi {
        let begun = Instant::now();
        loop {
            let voi = self.ranges.hold(key, source, frame, key.view.voi);
            if voi == key.view.voi || begun.elapsed() >= SAMPLE_TIMEOUT {
                return voi;
            }
            if self.sample() == Step::Idle {
                return voi;
            }
        }
    }

    fn sample(&mut self) -> Step {
        let step = self.ranges.step(&self.store);
        if step == Step::Changed {
            self.encoded.clear();
        }
        step
    }

    /// The image without marks: the last one again, if only those have changed.
    fn drawn(
        &mut self,
        key: &PreviewKey,
        voi: Voi,
        subject: &Subject,
        over: &Composed,
        scene: &Scene,
    ) -> Result<Drawn, MediaError> {
        let bare = PreviewKey {
            marks: draw::bare(key.marks),
            view: View {
                voi,
                ..key.view.clone()
            },
            ..key.clone()
        };
        if let Some((known, drawn)) = &self.drawn
            && *known == bare
        {
            return Ok(drawn.clone());
        }
        let source = subject.source;
        let planes = if key.marks.overlays && subject.slide.is_none() {
            source.overlays(source.frame_order().number(key.frame))
        } else {
            Vec::new()
        };
        let grid = self.drivers.grid(key.graphics, key.quality);
        let drawn = draw::draw(subject.frame, &planes, over, &bare, scene, grid)?;
        if subject.is_complete {
            self.drawn = Some((bare, drawn.clone()));
        }
        Ok(drawn)
    }

    /// Frames to be decoded ahead, the next one first.
    #[cfg(test)]
    pub(super) fn ahead(&self) -> Vec<u32> {
        self.ahead.iter().rev().copied().collect()
    }

    /// Graphics, and bytes of frames, that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.encoded.len(), self.store.bytes())
    }
}

/// What is drawn: a frame of a file, or a slide.
struct Subject<'a> {
    source: &'a ImageSource,
    frame: &'a Frame,
    slide: Option<&'a Slide>,
    /// What the user should know of it.
    note: Option<String>,
    /// It is what stays, and worth keeping.
    is_complete: bool,
}

impl Subject<'_> {
    fn info(&self) -> &ImageInfo {
        self.slide.map_or(self.source.info(), |slide| &slide.info)
    }
}

/// What is known of a frame before it is drawn.
pub(super) fn scene(
    key: &PreviewKey,
    source: &ImageSource,
    frame: &Frame,
    cell: (u16, u16),
) -> Scene {
    let grey = match frame {
        Frame::Grey(grey) => Some(grey),
        Frame::Color(_) => None,
    };
    let histogram = grey
        .filter(|_| key.marks.histogram)
        .map(|grey| grey.histogram(BINS));
    let order = source.frame_order().clone();
    Scene {
        view: key.view.clone(),
        series: None,
        note: None,
        frames_per_second: source.frames_per_second(),
        cell,
        geometry: source.geometry(order.number(key.frame)),
        order,
        windows: grey.map_or_else(Vec::new, |grey| grey.windows().to_vec()),
        window: None::<Window>,
        unit: grey.and_then(|grey| grey.unit()).map(str::to_owned),
        value: key.marks.cursor.and_then(|at| value(frame, at)),
        histogram,
        about: About::default(),
    }
}

fn value(frame: &Frame, (x, y): (u32, u32)) -> Option<Value> {
    match frame {
        Frame::Grey(grey) if grey.is_padding(x, y) => Some(Value::Padding),
        Frame::Grey(grey) => grey.value(x, y).map(Value::Grey),
        Frame::Color(picture) => {
            let at = (y as usize * picture.width as usize + x as usize) * 3;
            let pixel = picture.pixels.bytes().get(at..at + 3)?;
            (x < picture.width).then(|| Value::Color([pixel[0], pixel[1], pixel[2]]))
        }
    }
}
