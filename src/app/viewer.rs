//! The viewer: the view of the image under the cursor (window, zoom, rotation, frame, cine, pointer), and its preview on
//! screen. None of this affects the model.

mod actions;
pub(crate) mod corners;
pub(super) mod drag;
mod editing;
pub mod facts;
pub(crate) mod film;
mod keys;
pub mod measure;
pub mod measurements;
mod reformat;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::effect::Effect;
use super::entry::{FoundFile, Stamp};
use super::preview::{
    Decorations, ImageView, MarkedFigure, Preview, PreviewKey, Previewed, Reformat, Scene,
    VolumeProgress,
};
use crate::media::{ImageInfo, TargetFrame};
use crate::scoring::heat_map::PlacedMap;
use crate::view::Area;
use crate::view::placement::{self, ImageShape, InsetContent};
use film::{Film, FrameNumberInput};
use measure::Pointer;
use measurements::Measurements;

/// Information about the file under the cursor, from its last drawn frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ViewedImage {
    pub info: ImageInfo,
    pub scene: Arc<Scene>,
}

impl ViewedImage {
    pub(super) fn canvas(&self) -> ImageShape {
        ImageShape {
            columns: self.info.width,
            rows: self.info.height,
            aspect: self.scene.geometry.aspect,
        }
    }

    fn modality(&self) -> Option<&str> {
        let dicom = self.info.dicom.as_ref()?;
        dicom.modality.as_deref()
    }
}

/// The state of other components that the viewer reads.
#[derive(Clone, Debug)]
pub(super) struct ViewerContext {
    /// The cells of the image and what is written around it.
    pub area: Area,
    /// Time of the last tick.
    pub now: Duration,
    /// The name in the list; safe to show.
    pub name: String,
    /// The position of the displayed file in the series under the cursor, from 0, and the number of its files.
    pub series: Option<(usize, usize)>,
    /// The series under the cursor, if it has files to play one after the other.
    pub playable: Option<PathBuf>,
}

/// The state of the viewer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Viewer {
    /// The file it is about.
    file: Option<(PathBuf, Stamp)>,
    /// `None` until its first preview has arrived.
    image: Option<ViewedImage>,
    /// The series that the view was chosen for, within which the view is kept.
    series: Option<String>,
    view: ImageView,
    /// From 0, in the order of positions.
    frame: u32,
    /// Whether facts, patient directions, scale bar and the file's overlay planes are shown.
    overlays: bool,
    histogram: bool,
    pointer: Option<Pointer>,
    measurements: Measurements,
    /// The plane across the stack that is shown instead of the file.
    reformat: Option<Reformat>,
    /// How much of the volume has been read, while that lasts.
    volume_progress: Option<VolumeProgress>,
    film: Option<Film>,
    /// Chosen frames per second; `None` for the file's own rate.
    rate: Option<f64>,
    frame_input: Option<FrameNumberInput>,
    /// The heat map over the frame.
    heat_map: Option<Arc<PlacedMap>>,
    stillness: Stillness,
    /// The wanted preview.
    wanted: Option<PreviewKey>,
    /// The preview on screen: the wanted one, or an earlier one until that arrives.
    shown: Option<Previewed>,
}

impl Default for Viewer {
    fn default() -> Self {
        Self {
            file: None,
            image: None,
            series: None,
            view: ImageView::default(),
            frame: 0,
            overlays: true,
            histogram: false,
            pointer: None,
            measurements: Measurements::default(),
            reformat: None,
            volume_progress: None,
            film: None,
            rate: None,
            frame_input: None,
            heat_map: None,
            stillness: Stillness::default(),
            wanted: None,
            shown: None,
        }
    }
}

/// Whether the view has been unchanged for a while: only then is an image that is slow to send sent at full resolution.
#[derive(Clone, Debug, Default, PartialEq)]
struct Stillness {
    /// The frame, view and annotations seen last.
    seen: Option<(u32, ImageView, Decorations)>,
    /// The first tick that saw them.
    since: Option<Duration>,
    is_still: bool,
}

impl Stillness {
    /// Notes the current frame, view and annotations.
    fn note(&mut self, now: (u32, ImageView, Decorations), new_file: bool) {
        if self.seen.as_ref() != Some(&now) {
            // A new file waits for the cursor to rest anyway.
            let is_still = new_file || self.seen.is_none();
            *self = Self {
                seen: Some(now),
                since: None,
                is_still,
            };
        }
    }

    /// Advances the time.
    fn tick(&mut self, now: Duration, rest: Duration) {
        if !self.is_still {
            let since = *self.since.get_or_insert(now);
            self.is_still = now.saturating_sub(since) >= rest;
        }
    }
}

impl Viewer {
    /// Creates a viewer. `author`: who makes measurements; `blind`: whether those of others are hidden.
    pub(super) fn new(author: String, blind: bool) -> Self {
        let mut viewer = Self {
            measurements: Measurements::new(author),
            ..Self::default()
        };
        viewer.set_blind(blind);
        viewer
    }

    /// Follows the cursor to a row, and to the displayed file there. Within a series the view is kept; the series of a file is
    /// known only when its first preview has arrived (see [`Self::take_preview`]).
    ///
    /// Returns the effects that store the measurements of the file that was left.
    pub(super) fn follow(&mut self, file: Option<FoundFile>, row: Option<&Path>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let file = file.map(|found| (found.path, found.stamp));
        let new_file = self.file != file;
        self.film.take_if(|film| match &film.series {
            Some(series) => row != Some(series),
            None => new_file,
        });
        if new_file {
            let next = file.as_ref().map(|(path, _)| path.as_path());
            effects = self.measurements.store_waiting(next);
            self.measurements.select(None);
            self.file = file;
            self.image = None;
            self.frame = 0;
            (self.pointer, self.reformat) = (None, None);
            self.frame_input = None;
            if self.series.is_none() {
                self.view = ImageView::default();
            }
        }
        let marks = self.marks();
        self.stillness
            .note((self.frame, self.view.clone(), marks), new_file);
        effects
    }

    /// Advances the time. `rest`: how long a view is unchanged until the image counts as still.
    pub(super) fn tick(&mut self, now: Duration, rest: Duration) {
        self.stillness.tick(now, rest);
    }

    // ── previews ──────────────────────────────────────────────────────────────────────────────────────────────

    /// The preview on screen: the wanted one or an earlier one.
    pub(crate) fn shown(&self) -> Option<&Previewed> {
        self.shown.as_ref()
    }

    /// Whether a preview is wanted.
    pub(crate) fn wants_preview(&self) -> bool {
        self.wanted.is_some()
    }

    /// Changes the preview wanted; `None` if it is the same. The result says whether it is of another file.
    pub(super) fn want(&mut self, key: Option<PreviewKey>) -> Option<bool> {
        if key.is_none() {
            self.shown = None;
        }
        if key == self.wanted {
            return None;
        }
        let path = |key: &Option<PreviewKey>| key.as_ref().map(|key| key.path.clone());
        let other_file = path(&key) != path(&self.wanted) && key.is_some();
        self.wanted = key;
        Some(other_file)
    }

    /// Shows a preview. Even if another view of the same file is already wanted, it is shown: it is closer to that than the
    /// previous one, and while a key is held down no other would appear.
    ///
    /// Returns the effects that store measurements whose values have come with it.
    ///
    /// With the first preview of a file comes its series, and the view it was drawn in: the one chosen for that series, or the
    /// file's own.
    pub(super) fn take_preview(&mut self, mut previewed: Previewed) -> Vec<Effect> {
        let effects = self.take_measured(&previewed);
        let Some(wanted) = &mut self.wanted else {
            return effects;
        };
        if !previewed.key.same_file(wanted) {
            return effects;
        }
        if let Ok(preview) = &previewed.outcome {
            let resolve = |key: &mut PreviewKey| {
                key.for_series = None;
                key.view.clone_from(&preview.scene.view);
            };
            resolve(&mut previewed.key);
            if wanted.for_series.is_some() {
                resolve(wanted);
            }
        }
        if previewed.key.reformat.is_some() {
            self.volume_progress = None;
        }
        let better = self.shown.as_ref().is_some_and(|shown| {
            shown.key.same_but_quality(&previewed.key) && shown.key.quality > previewed.key.quality
        });
        if better {
            return effects;
        }
        if let Ok(preview) = &previewed.outcome {
            self.note_image(preview);
        }
        self.shown = Some(previewed);
        effects
    }

    /// Takes in what figures measure, whatever is shown now.
    fn take_measured(&mut self, previewed: &Previewed) -> Vec<Effect> {
        let Previewed { key, outcome } = previewed;
        let Ok(Preview { scene, .. }) = outcome else {
            return Vec::new();
        };
        let figures = key.marks.figures.iter().zip(&scene.measured);
        let figures: Vec<_> = figures.map(|(marked, m)| (&marked.figure, *m)).collect();
        let file = FoundFile {
            path: key.path.clone(),
            stamp: key.stamp,
        };
        let frame = scene.order.number(key.frame);
        let unit = scene.unit.as_deref();
        self.measurements.take_values(&file, frame, &figures, unit)
    }

    fn note_image(&mut self, preview: &Preview) {
        if self.image.is_none() {
            self.series.clone_from(&preview.scene.series);
            self.view = preview.scene.view.clone();
        }
        if let (Some(reformat), Some(view)) = (&mut self.reformat, &preview.scene.volume) {
            reformat.at.get_or_insert(view.at);
        }
        self.image = Some(ViewedImage {
            info: preview.info.clone(),
            scene: Arc::clone(&preview.scene),
        });
    }

    /// Handles the loss of the terminal's images: the one on screen has to be sent again, unless it is made of cells.
    pub(super) fn lose_image(&mut self) {
        self.shown
            .take_if(|shown| shown.outcome.is_ok() && !shown.key.is_cells());
    }

    /// Completes the key of the wanted preview with the state of the viewer.
    pub(super) fn complete_key(&self, key: PreviewKey) -> PreviewKey {
        PreviewKey {
            frame: self.frame,
            view: self.view.clone(),
            for_series: self.series.clone().filter(|_| self.image.is_none()),
            reformat: self.reformat.clone().map(Arc::new),
            marks: self.marks(),
            ..key
        }
    }

    // ── what is seen ──────────────────────────────────────────────────────────────────────────────────────────

    /// The file it is about.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Information about the image; `None` until its first preview has arrived.
    pub(super) fn image(&self) -> Option<&ViewedImage> {
        self.image.as_ref()
    }

    /// The number of a frame or image being typed, what it counts, and how many there are.
    pub(crate) fn frame_input(
        &self,
        series: Option<(usize, usize)>,
    ) -> Option<(&str, &'static str, u32)> {
        let input = self.frame_input.as_ref()?;
        let (counted, count) = self.frame_range(series);
        Some((input.text(), counted, count))
    }

    /// Whether the last key typed into the number of a frame was none for it.
    pub(crate) fn has_refused_key(&self) -> bool {
        let input = self.frame_input.as_ref();
        input.is_some_and(FrameNumberInput::has_refused)
    }

    /// Whether the number of a frame is being typed.
    pub(crate) fn is_typing_frame(&self) -> bool {
        self.frame_input.is_some()
    }

    /// Whether frames are being played.
    pub(crate) fn is_playing(&self) -> bool {
        self.film.is_some()
    }

    /// The pointer, if there is one.
    pub(crate) fn pointer(&self) -> Option<&Pointer> {
        self.pointer.as_ref()
    }

    /// Whether the histogram is shown.
    pub(super) fn shows_histogram(&self) -> bool {
        self.histogram
    }

    /// Whether annotations and overlays are shown.
    pub(super) fn shows_overlays(&self) -> bool {
        self.overlays
    }

    /// Shows overlays.
    pub(super) fn show_overlays(&mut self) {
        self.overlays = true;
    }

    /// Resets the view, with an aim.
    pub(super) fn reset_view(&mut self, aim: placement::Aim) {
        self.view = ImageView {
            aim,
            ..ImageView::default()
        };
    }

    /// Stops playing, removes the pointer and shows the file again, because something covers the image.
    pub(super) fn stop(&mut self) {
        self.measurements.select(None);
        (self.film, self.pointer, self.reformat) = (None, None, None);
    }

    /// Gives up the figure being drawn, removes the pointer, or stops playing; false if there was none of these.
    pub(super) fn back(&mut self) -> bool {
        self.measurements.select(None);
        if let Some(pointer) = self.pointer.as_mut().filter(|pointer| pointer.has_begun()) {
            while pointer.unset() {}
            return true;
        }
        self.pointer.take().is_some() || self.film.take().is_some() || self.leave_reformat()
    }

    /// Shows the file again instead of a reformat; false if it is shown already.
    fn leave_reformat(&mut self) -> bool {
        let left = self.reformat.take().is_some();
        if left {
            self.view.aim = placement::Aim::default();
        }
        left
    }

    /// Draws a heat map over the frame, or none.
    pub(super) fn set_heat_map(&mut self, map: Option<Arc<PlacedMap>>) {
        self.heat_map = map;
    }

    /// Whether the image is assembled from tiles.
    pub(super) fn is_assembled(&self) -> bool {
        self.image
            .as_ref()
            .is_some_and(|image| image.scene.is_assembled)
    }

    /// The annotations of the image.
    fn marks(&self) -> Decorations {
        Decorations {
            overlays: self.overlays,
            histogram: self.histogram,
            cursor: self.pointer.as_ref().map(|pointer| pointer.at),
            lines: Arc::default(),
            figures: self.figures().into(),
            heat_map: self.heat_map.clone(),
        }
    }

    /// The figures on the frame, the one being drawn last.
    fn figures(&self) -> Vec<MarkedFigure> {
        // Measurements are on the file's own frames.
        let shown = self.reformat.is_none() && (self.overlays || self.pointer.is_some());
        let file = self.found().filter(|_| shown);
        let mut figures = file.map_or_else(Vec::new, |file| {
            let frame = self.frame_number();
            self.measurements.figures(&file, frame)
        });
        let draft = self.pointer.as_ref().and_then(Pointer::figure);
        figures.extend(draft.map(|figure| MarkedFigure {
            figure,
            is_selected: true,
        }));
        figures
    }

    /// The file that it is about, with its content.
    fn found(&self) -> Option<FoundFile> {
        let (path, stamp) = self.file.clone()?;
        Some(FoundFile { path, stamp })
    }

    /// Index of the frame in the order of storage.
    pub(super) fn frame_number(&self) -> u32 {
        let image = self.image.as_ref();
        image.map_or(self.frame, |image| image.scene.order.number(self.frame))
    }

    /// The identifiers and the place of the frame shown; `None` until its preview has arrived, and if it is not DICOM.
    pub(super) fn target(&self) -> Option<&TargetFrame> {
        self.image.as_ref()?.scene.about.target.as_ref()
    }

    /// The frame, from 0 in the order of positions.
    pub(super) fn frame(&self) -> u32 {
        self.frame
    }

    /// Shows a frame.
    pub(super) fn show_frame(&mut self, frame: u32) {
        self.frame = frame.min(self.frames() - 1);
    }

    /// Sees the image as another viewer sees its own: in the same part, orientation and shades; the window is that of the
    /// other only if both are of one modality.
    pub(super) fn see_as(&mut self, other: &Self) {
        let modality = |viewer: &Self| {
            let image = viewer.image.as_ref();
            image.and_then(|image| image.modality().map(str::to_owned))
        };
        self.view.aim = other.view.aim;
        self.view.invert = other.view.invert;
        if modality(self) == modality(other) {
            self.view.voi = other.view.voi;
        }
    }

    /// The number of frames, as far as it is known.
    pub(super) fn frames(&self) -> u32 {
        self.image.as_ref().map_or(1, |image| image.info.frames)
    }

    /// Frames per second: the chosen rate, else the file's.
    fn rate(&self) -> f64 {
        let own = || self.image.as_ref()?.scene.frames_per_second;
        film::valid_rate(self.rate.or_else(own).unwrap_or(f64::NAN))
    }

    /// Whether the image is changing: it is being played, or its view was changed a moment ago.
    pub(super) fn is_moving(&self) -> bool {
        self.film.is_some() || !self.stillness.is_still
    }

    /// Whether the image becomes still once its view has been unchanged for a while.
    pub(super) fn is_coming_to_rest(&self) -> bool {
        !self.stillness.is_still
    }

    /// The cells that the image may cover of those for it and what is written around it.
    fn image_area(&self, area: Area, image: &ViewedImage) -> Area {
        let around = self.marks().around(&image.scene);
        placement::inset(area, around).picture
    }

    /// The screen pixels that the image may cover, across and down.
    pub(super) fn room(&self, area: Area, image: &ViewedImage) -> (u32, u32) {
        let (area, cell) = (self.image_area(area, image), image.scene.cell);
        (
            u32::from(area.width) * u32::from(cell.0),
            u32::from(area.height) * u32::from(cell.1),
        )
    }
}

impl Decorations {
    /// What is written around an image with these marks.
    pub fn around(&self, scene: &Scene) -> InsetContent {
        let about = &scene.about;
        let told = !about.legend.is_empty() || !about.remarks.is_empty();
        InsetContent {
            facts: self.overlays || self.cursor.is_some(),
            letters: self.overlays && scene.letters().is_some(),
            corners: self.overlays && scene.caption.is_some(),
            legend: self.overlays && told,
            histogram: self.histogram,
        }
    }
}
