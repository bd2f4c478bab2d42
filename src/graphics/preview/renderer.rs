//! Renders requests: from a file to an encoded image, with caches and decoding ahead.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::draw::{self, Drawn};
use super::marks;
use super::ranges::{Ranges, SampleStep};
use super::related::{ComposedOverlays, OverlayComposer};
use super::slide::{AssemblyObserver, Slide, SlideView, Slides};
use super::store::{FileVersion, FrameStore};
use super::volumes::{OnVolume, Volumes};
use crate::app::{
    ImageView, MarkedFigure, PixelValue, Preview, PreviewKey, Quality, Reformat, RelatedContent,
    Scene, Stamp, VolumeView,
};
use crate::graphics::drivers::{Drivers, Output};
use crate::media::budget::WaitPolicy;
use crate::media::measure::Measured;
use crate::media::{self, Frame, ImageInfo, ImageSource, MediaError, Voi, Window};

/// Maximum bytes of decoded frames kept: a few large radiographs, so that going back decodes nothing.
const MAX_DECODED_BYTES: usize = 256 << 20;
/// Maximum number of encoded images kept. Few, because each kitty image also occupies memory in the terminal.
const MAX_ENCODED: usize = 8;
/// The frames decoded ahead, in steps along the direction of movement; −1 is the previous frame.
const AHEAD_STEPS: [i64; 3] = [1, 2, -1];
/// How long the first image of a stack waits for the window of the whole stack.
const SAMPLE_TIMEOUT: Duration = Duration::from_millis(60);
/// Bins of a histogram: more than a panel has columns.
const HISTOGRAM_BINS: usize = 256;

/// Renders previews, one at a time.
pub struct Renderer {
    drivers: Drivers,
    store: FrameStore,
    objects: OverlayComposer,
    /// Oldest first.
    encoded: VecDeque<(PreviewKey, Preview)>,
    /// The image drawn last, reused when only marks move over it.
    drawn: Option<(PreviewKey, Drawn)>,
    /// The file and frame position viewed last, and the direction of movement: 1 forward, −1 back.
    latest: Option<(FileVersion, u32, i64)>,
    /// Windows that stacks share.
    ranges: Ranges,
    slides: Slides,
    /// The request rendered last.
    answered: Option<PreviewKey>,
    /// The request rendered last, if its window has changed since.
    outdated: Option<PreviewKey>,
    /// Makes reformats.
    volumes: Volumes,
    /// How the reformat being rendered lies in its volume.
    volume_view: Option<VolumeView>,
    /// What figures measured last, with the request that they were part of.
    measured: Option<(PreviewKey, Vec<Measured>)>,
    /// Bytes of the frame decoded last.
    frame_bytes: usize,
    /// Frame positions to decode while idle, the next one last.
    ahead: Vec<u32>,
    /// Files to decode after those, the next one last.
    nearby: Vec<FileVersion>,
}

impl Renderer {
    /// Creates a renderer for a terminal.
    pub fn new(output: Output) -> Self {
        Self {
            drivers: Drivers::new(output),
            store: FrameStore::new(MAX_DECODED_BYTES),
            objects: OverlayComposer::default(),
            encoded: VecDeque::new(),
            drawn: None,
            latest: None,
            ranges: Ranges::default(),
            slides: Slides::default(),
            answered: None,
            outdated: None,
            measured: None,
            volumes: Volumes::default(),
            volume_view: None,
            frame_bytes: 0,
            ahead: Vec::new(),
            nearby: Vec::new(),
        }
    }

    /// Tells `on_volume` how much of a volume that takes long has been read.
    #[must_use]
    pub fn with_volume_progress(mut self, on_volume: OnVolume) -> Self {
        self.volumes.set_progress(on_volume);
        self
    }

    /// Renders a request; `None` if it was overtaken meanwhile.
    pub fn render(
        &mut self,
        key: &PreviewKey,
        overtaken: &dyn Fn() -> bool,
    ) -> Option<Result<Preview, MediaError>> {
        self.render_in_parts(key, overtaken, &mut |_| {})
    }

    /// Renders like [`Renderer::render`], and passes the unfinished stages of a slow image to `partly`.
    pub fn render_in_parts(
        &mut self,
        key: &PreviewKey,
        overtaken: &dyn Fn() -> bool,
        partly: &mut dyn FnMut(Preview),
    ) -> Option<Result<Preview, MediaError>> {
        let id = FileVersion {
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
        if let Some(reformat) = &key.reformat {
            return self.show_reformat(key, reformat, &source, overtaken);
        }
        let view = self.slide_view(key, &id, &source, overtaken, partly);
        // A small slide may be assembled before anybody checks.
        if overtaken() {
            return None;
        }
        let note = match view {
            Ok(SlideView::Overtaken) => return None,
            Ok(SlideView::Whole(slide, note)) => {
                let notes: Vec<String> = note.into_iter().chain(slide.note.clone()).collect();
                let note = (!notes.is_empty()).then(|| notes.join(", "));
                return Some(self.show_slide(key, &source, &slide, note, true));
            }
            Ok(SlideView::TileOnly(note)) => Some(note),
            Ok(SlideView::NotASlide) => None,
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
            let drawable = DrawSource {
                source: &source,
                frame: &frame,
                slide: None,
                note,
                is_complete: true,
            };
            self.show(key, &drawable)
        }))
    }

    /// Decides how a file is shown: its own frame, or the slide that it is part of.
    fn slide_view(
        &mut self,
        key: &PreviewKey,
        id: &FileVersion,
        source: &Arc<ImageSource>,
        overtaken: &dyn Fn() -> bool,
        partly: &mut dyn FnMut(Preview),
    ) -> Result<SlideView, MediaError> {
        let cell = self.drivers.grid(key.graphics, Quality::Full).cell;
        let side = |cells: u16, cell: u16| u32::from(cells) * u32::from(cell);
        let room = (side(key.cols, cell.width), side(key.rows, cell.height));
        let mut slides = std::mem::take(&mut self.slides);
        let mut observer = AssemblyObserver {
            is_overtaken: overtaken,
            on_partial: &mut |slide: &Slide| {
                if let Ok(preview) = self.show_slide(key, source, slide, slide.note.clone(), false)
                {
                    partly(preview);
                }
            },
        };
        let view = slides.view(id, source, (key.frame, room), &mut observer);
        self.slides = slides;
        view
    }

    /// Renders a plane across the stack of a file; `None` if it was overtaken meanwhile.
    fn show_reformat(
        &mut self,
        key: &PreviewKey,
        reformat: &Reformat,
        source: &ImageSource,
        overtaken: &dyn Fn() -> bool,
    ) -> Option<Result<Preview, MediaError>> {
        let cell = self.drivers.grid(key.graphics, key.quality).cell;
        let side = |cells: u16, cell: u16| u32::from(cells) * u32::from(cell);
        let room = (side(key.cols, cell.width), side(key.rows, cell.height));
        let made = media::contain("preview", || {
            self.volumes
                .reformat(reformat, source.info(), room, overtaken)
        });
        let (slide, view) = match made {
            Ok(made) => made?,
            Err(error) => return Some(Err(error)),
        };
        self.volume_view = Some(view);
        let note = slide.note.clone();
        let shown = self.show_slide(key, source, &slide, note, true);
        self.volume_view = None;
        Some(shown)
    }

    fn show_slide(
        &mut self,
        key: &PreviewKey,
        source: &ImageSource,
        slide: &Slide,
        note: Option<String>,
        is_complete: bool,
    ) -> Result<Preview, MediaError> {
        let drawable = DrawSource {
            source,
            frame: &slide.frame,
            slide: Some(slide),
            note,
            is_complete,
        };
        media::contain("preview", || self.show(key, &drawable))
    }

    /// Sets the files to decode ahead, the likeliest first.
    pub fn prefetch(&mut self, files: Vec<(PathBuf, Stamp)>) {
        let id = |(path, stamp)| FileVersion { path, stamp };
        self.nearby = files.into_iter().rev().map(id).collect();
    }

    /// The request rendered last, if its window has changed since and it has to be rendered again.
    pub fn take_outdated(&mut self) -> Option<PreviewKey> {
        self.outdated.take()
    }

    /// Decodes one frame: of the sample that decides a stack's window, or one likely to be viewed next. False if there is none.
    pub fn decode_ahead(&mut self) -> bool {
        match self.sample() {
            SampleStep::Idle => {}
            SampleStep::Continued => return true,
            SampleStep::Changed => {
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
        // Slides are shown assembled, not tile by tile.
        if source
            .as_ref()
            .is_ok_and(|source| source.mosaic().is_some())
        {
            return true;
        }
        let number = source.map_or(position, |source| source.frame_order().number(position));
        let room = self
            .store
            .has_room_for(AHEAD_STEPS.len() + 3, self.frame_bytes);
        // Nobody waits for it, so it is skipped when memory is short.
        let patience = WaitPolicy {
            urgent: false,
            cancelled: &|| true,
        };
        // Errors are reported when the image itself is viewed.
        if room && !self.store.has(&id, number) && self.store.frame(&id, number, patience).is_err()
        {
            self.ahead.clear();
        }
        true
    }

    fn plan_ahead(&mut self, id: FileVersion, position: u32, frames: u32) {
        let direction = match &self.latest {
            Some((last, before, _)) if *last == id && *before != position => {
                // Wrapping from the last frame to the first is a step forward.
                let step = i64::from(position) - i64::from(*before);
                if step.unsigned_abs() * 2 > u64::from(frames) {
                    -step.signum()
                } else {
                    step.signum()
                }
            }
            Some((last, _, direction)) if *last == id => *direction,
            _ => 1,
        };
        self.ahead.clear();
        let room = self
            .store
            .has_room_for(AHEAD_STEPS.len() + 1, self.frame_bytes);
        if frames > 1 && room {
            let near = |step: &i64| {
                (i64::from(position) + direction * step).rem_euclid(i64::from(frames)) as u32
            };
            self.ahead.extend(AHEAD_STEPS.iter().rev().map(near));
        }
        self.latest = Some((id, position, direction));
    }

    fn show(&mut self, key: &PreviewKey, drawable: &DrawSource) -> Result<Preview, MediaError> {
        let DrawSource { source, frame, .. } = *drawable;
        let series = source.series();
        let view = match &key.for_series {
            Some(wanted) if series.as_ref() != Some(wanted) => ImageView::default(),
            _ => key.view.clone(),
        };
        // The view now applies to this file.
        let key = &PreviewKey {
            view: view.clone(),
            for_series: None,
            ..key.clone()
        };
        let cell = self.drivers.grid(key.graphics, Quality::Full).cell;
        let (frame, over, target) = if drawable.slide.is_some() {
            (Cow::Borrowed(frame), Arc::default(), None)
        } else {
            let target = source.target(source.frame_order().number(key.frame));
            let (frame, over) = self.objects.compose(&key.related, frame, target.as_ref());
            (Cow::Owned(frame), over, target)
        };
        let mut scene = scene(key, source, &frame, (cell.width, cell.height));
        (scene.series, scene.note) = (series, drawable.note.clone());
        scene.about = over.about(target);
        let voi = match drawable.slide {
            Some(slide) => {
                scene.geometry = slide.geometry.clone();
                key.view.voi
            }
            None => self.shared_window(key, source, &frame),
        };
        let drawable = &DrawSource {
            frame: &frame,
            note: None,
            ..*drawable
        };
        let drawn = self.drawn(key, voi, drawable, &over, &scene)?;
        scene.window = drawn.window;
        scene.about.labels.clone_from(&drawn.labels);
        scene.is_assembled = drawable.slide.is_some();
        scene.volume = self.volume_view;
        if let (Some(view), Some(caption)) = (&scene.volume, &mut scene.caption) {
            caption.thickness = Some(view.thickness);
        }
        scene.measured = self.measured(key, drawable, &scene);
        if key.is_cells() {
            // The interface writes the texts over cells.
            let cell = self.drivers.grid(key.graphics, key.quality).drawn_cell();
            let labels = marks::labels(&drawn, key, &scene, cell);
            scene.about.labels.extend(labels);
        }
        let image = draw::finish(
            &drawn,
            key,
            &scene,
            self.drivers.grid(key.graphics, key.quality),
        );
        let image = self.drivers.encode(image, drawn.cells, key)?;
        let preview = Preview {
            image,
            info: drawable.info().clone(),
            scene: Arc::new(scene),
        };
        if !drawable.is_complete {
            return Ok(preview);
        }
        self.encoded.push_back((key.clone(), preview.clone()));
        while self.encoded.len() > MAX_ENCODED {
            self.encoded.pop_front();
        }
        Ok(preview)
    }

    /// What the figures on a frame measure; what was measured last if neither has changed.
    fn measured(
        &mut self,
        key: &PreviewKey,
        drawable: &DrawSource,
        scene: &Scene,
    ) -> Vec<Measured> {
        let figures = &key.marks.figures;
        if figures.is_empty() {
            return Vec::new();
        }
        let of = |key: &PreviewKey| (key.path.clone(), key.stamp, key.frame);
        let known = self
            .measured
            .as_ref()
            .filter(|(known, _)| of(known) == of(key));
        let known = known.filter(|_| drawable.slide.is_none());
        let measure = |marked: &MarkedFigure| {
            let known = known.and_then(|(known, measured)| {
                let mut all = known.marks.figures.iter().zip(measured);
                all.find(|(known, _)| known.figure == marked.figure)
            });
            let compute = || marked.figure.measure(drawable.frame, &scene.geometry);
            known.map_or_else(compute, |(_, measured)| *measured)
        };
        let measured: Vec<Measured> = figures.iter().map(measure).collect();
        self.measured = Some((key.clone(), measured.clone()));
        measured
    }

    /// The window that the image shares with its stack; its own if there is no stack.
    fn shared_window(&mut self, key: &PreviewKey, source: &ImageSource, frame: &Frame) -> Voi {
        let begun = Instant::now();
        loop {
            let voi = self.ranges.shared_window(key, source, frame, key.view.voi);
            if voi == key.view.voi || begun.elapsed() >= SAMPLE_TIMEOUT {
                return voi;
            }
            if self.sample() == SampleStep::Idle {
                return voi;
            }
        }
    }

    fn sample(&mut self) -> SampleStep {
        let step = self.ranges.step(&self.store);
        if step == SampleStep::Changed {
            self.encoded.clear();
        }
        step
    }

    /// The image without marks; the one drawn last if nothing but marks has changed.
    fn drawn(
        &mut self,
        key: &PreviewKey,
        voi: Voi,
        drawable: &DrawSource,
        over: &ComposedOverlays,
        scene: &Scene,
    ) -> Result<Drawn, MediaError> {
        let bare = PreviewKey {
            marks: draw::without_moving_marks(key.marks.clone()),
            view: ImageView {
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
        let source = drawable.source;
        let planes = if key.marks.overlays && drawable.slide.is_none() {
            source.overlays(source.frame_order().number(key.frame))
        } else {
            Vec::new()
        };
        let grid = self.drivers.grid(key.graphics, key.quality);
        let drawn = draw::draw(drawable.frame, &planes, over, &bare, scene, grid)?;
        if drawable.is_complete {
            self.drawn = Some((bare, drawn.clone()));
        }
        Ok(drawn)
    }

    /// Frame positions to decode ahead, the next one first.
    #[cfg(test)]
    pub(super) fn ahead(&self) -> Vec<u32> {
        self.ahead.iter().rev().copied().collect()
    }

    /// Number of encoded images and bytes of decoded frames kept.
    #[cfg(test)]
    pub(super) fn cache_sizes(&self) -> (usize, usize) {
        (self.encoded.len(), self.store.bytes())
    }
}

/// The content to draw: a frame of a file, or a slide.
struct DrawSource<'a> {
    source: &'a ImageSource,
    frame: &'a Frame,
    slide: Option<&'a Slide>,
    /// A note to the user about the image.
    note: Option<String>,
    /// Whether this is the final image, which is worth caching.
    is_complete: bool,
}

impl DrawSource<'_> {
    fn info(&self) -> &ImageInfo {
        self.slide.map_or(self.source.info(), |slide| &slide.info)
    }
}

/// Facts about a frame for the interface, before it is drawn.
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
        .map(|grey| grey.histogram(HISTOGRAM_BINS));
    let order = source.frame_order().clone();
    let caption = source.caption(order.number(key.frame));
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
        volume: None,
        measured: Vec::new(),
        is_assembled: false,
        about: RelatedContent::default(),
        caption,
    }
}

/// The value of a pixel; `None` outside the image.
fn value(frame: &Frame, (x, y): (u32, u32)) -> Option<PixelValue> {
    match frame {
        Frame::Grey(grey) if grey.is_padding(x, y) => Some(PixelValue::Padding),
        Frame::Grey(grey) => grey.value(x, y).map(PixelValue::Grey),
        Frame::Color(picture) => {
            let at = (y as usize * picture.width as usize + x as usize) * 3;
            let pixel = picture.pixels.bytes().get(at..at + 3)?;
            (x < picture.width).then(|| PixelValue::Color([pixel[0], pixel[1], pixel[2]]))
        }
    }
}
