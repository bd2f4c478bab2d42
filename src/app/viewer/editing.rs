//! What keys and the mouse do with the pointer: move it, set the points of a figure, move them, remove the figure.

use crossterm::event::{KeyCode, KeyEvent};

use super::drag::ImageDrag;
use super::measure::{Draft, Pointer, Tool, middle, next_kind};
use super::measurements::{MAX_MEASUREMENTS, kind_word, measured_words};
use super::{ViewedImage, Viewer, ViewerContext};
use crate::app::effect::Effect;
use crate::app::entry::FoundFile;
use crate::app::keys::{Action, Keymap};
use crate::app::measurement::{Measurement, MeasurementId};
use crate::app::popup::Choice;
use crate::app::request::Request;
use crate::app::text::safe_str;
use crate::media::measure::Figure;

/// A coarse step of the pointer, as a fraction of the visible part.
const COARSE_STEP: f64 = 0.05;
/// How near to a point a click takes hold of it, in cells.
const GRASP: (f64, f64) = (1.0, 0.75);

impl Viewer {
    /// Handles a key while there is a pointer; `None` if the key is not for it.
    pub(super) fn use_pointer(
        &mut self,
        key: KeyEvent,
        keymap: &Keymap,
        context: &ViewerContext,
    ) -> Option<Vec<Request>> {
        let image = self.image.clone()?;
        let pointer = self.pointer.as_mut()?;
        match key.code {
            KeyCode::Enter if pointer.is_editing() => {
                self.stop_editing();
                return Some(Vec::new());
            }
            KeyCode::Enter => {
                let figure = pointer.set();
                return Some(self.add_figure(figure, &image));
            }
            KeyCode::Backspace if pointer.unset() => return Some(Vec::new()),
            _ => {}
        }
        let action = keymap.action(key)?;
        match (action, &pointer.tool) {
            (Action::NextPanel, Tool::Measure(draft)) => {
                pointer.tool = Tool::Measure(Draft::new(next_kind(draft.kind)));
            }
            (Action::NextPanel, Tool::Edit { id, point }) => {
                let (id, point) = (id.clone(), point + 1);
                self.edit(&id, point);
            }
            (Action::Remove, Tool::Edit { id, .. }) => {
                let id = id.clone();
                self.stop_editing();
                return Some(Vec::from_iter(self.remove(&id).map(Request::Effect)));
            }
            _ => {
                let (direction, coarse) = pointer_step(action)?;
                self.step_pointer(direction, coarse, &image, context);
            }
        }
        Some(Vec::new())
    }

    /// Moves the pointer, and the point that it holds, by a step as seen on the screen.
    fn step_pointer(
        &mut self,
        direction: (f64, f64),
        coarse: bool,
        image: &ViewedImage,
        context: &ViewerContext,
    ) {
        let placement = self.placement(image, context);
        let (dx, dy) = placement.turn.step_in_file(direction);
        let length = |seen: f64| {
            if coarse {
                (seen * COARSE_STEP).max(1.0)
            } else {
                1.0
            }
        };
        let by = (
            (dx * length(placement.part.width)).round() as i64,
            (dy * length(placement.part.height)).round() as i64,
        );
        let Some(pointer) = &mut self.pointer else {
            return;
        };
        pointer.go(by, (image.info.width, image.info.height));
        let at = pointer.at;
        self.pull_point(at, image);
        let (canvas, room) = (image.canvas(), self.room(context.area, image));
        self.view.aim = self.view.aim.showing(at, canvas, room);
    }

    /// Moves the point that the pointer holds, if any, to the middle of a pixel.
    fn pull_point(&mut self, at: (u32, u32), image: &ViewedImage) {
        let tool = self.pointer.as_ref().map(|pointer| pointer.tool.clone());
        if let (Some(Tool::Edit { id, point }), Some(file)) = (tool, self.found()) {
            let geometry = &image.scene.geometry;
            let to = middle(at);
            self.measurements
                .move_point(&file, &id, (point, to), geometry);
        }
    }

    /// Keeps a figure that is complete.
    fn add_figure(&mut self, figure: Option<Figure>, image: &ViewedImage) -> Vec<Request> {
        let (Some(figure), Some(file)) = (figure, self.found()) else {
            return Vec::new();
        };
        if image.scene.is_assembled {
            let words = measured_words(&figure.geometry(&image.scene.geometry), None).join(", ");
            let why = "not kept, as measurements on slides and reformats are not";
            return vec![Request::info(format!("{words}: {why}"))];
        }
        let (frame, geometry) = (self.frame_number(), &image.scene.geometry);
        if !self.measurements.add(&file, frame, figure, geometry) {
            let words = format!("this file has {MAX_MEASUREMENTS} measurements, which is the most");
            return vec![Request::error(words)];
        }
        Vec::new()
    }

    // ── editing ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Selects a measurement and takes hold of a point, the first after the last. Shows its frame.
    fn edit(&mut self, id: &MeasurementId, point: usize) -> Option<()> {
        let file = self.found()?;
        let measurement = self.measurements.get(&file, id)?.clone();
        let image = self.image.as_ref()?;
        let points = &measurement.figure.points;
        let point = point % points.len().max(1);
        let limit = |at: f64, count: u32| (at.max(0.0) as u32).min(count.saturating_sub(1));
        let [x, y] = *points.get(point)?;
        let at = (limit(x, image.info.width), limit(y, image.info.height));
        self.frame = image.scene.order.position(measurement.frame);
        self.film = None;
        self.measurements.select(Some(id.clone()));
        let tool = Tool::Edit {
            id: id.clone(),
            point,
        };
        self.pointer = Some(Pointer { at, tool });
        Some(())
    }

    fn stop_editing(&mut self) {
        self.pointer = None;
        self.measurements.select(None);
    }

    fn remove(&mut self, id: &MeasurementId) -> Option<Effect> {
        let file = self.found()?;
        self.measurements.remove(&file, id)
    }

    /// What to do to remove a measurement.
    pub(super) fn how_to_remove(&self) -> String {
        let any = self
            .found()
            .is_some_and(|file| self.measurements.list(&file).next().is_some());
        let words = if any {
            "select a measurement first: click one of its points, or choose it in the list"
        } else {
            "there are no measurements on this image"
        };
        words.to_owned()
    }

    // ── the mouse ─────────────────────────────────────────────────────────────────────────────────────────────

    /// Handles a click on the image: takes hold of a point of a figure, or moves the pointer there and sets a point. Returns
    /// what to do and what follows the mouse; `None` if the click is for neither.
    pub(in crate::app) fn click(
        &mut self,
        at: (u16, u16),
        context: &ViewerContext,
    ) -> Option<(Vec<Request>, Option<ImageDrag>)> {
        let image = self.image.clone()?;
        let pixel = self.limited_pixel(at, &image, context)?;
        if self.pointer.is_none() && self.place_cross(pixel) {
            return Some((Vec::new(), Some(ImageDrag::Pointer)));
        }
        let has_begun = self.pointer.as_ref().is_some_and(Pointer::has_begun);
        if !has_begun && let Some((id, point)) = self.point_near(pixel, &image, context) {
            self.edit(&id, point)?;
            return Some((Vec::new(), Some(ImageDrag::Pointer)));
        }
        if self.pointer.as_ref()?.is_editing() {
            self.stop_editing();
            return None;
        }
        let pointer = self.pointer.as_mut()?;
        pointer.at = pixel;
        let figure = pointer.set();
        let requests = self.add_figure(figure, &image);
        Some((requests, Some(ImageDrag::Pointer)))
    }

    /// Moves the pointer, and the point that it holds, to a cell.
    pub(super) fn drag_pointer(&mut self, at: (u16, u16), context: &ViewerContext) {
        let Some(image) = self.image.clone() else {
            return;
        };
        let pixel = self.limited_pixel(at, &image, context);
        if let (Some(pixel), None) = (pixel, &self.pointer) {
            self.place_cross(pixel);
        }
        if let (Some(pixel), Some(pointer)) = (pixel, &mut self.pointer) {
            pointer.at = pixel;
            self.pull_point(pixel, &image);
        }
    }

    /// Handles the release of the button: after a drag, the figure being drawn has a point there, too.
    pub(in crate::app) fn release(&mut self) -> Vec<Request> {
        let Some(image) = self.image.clone() else {
            return Vec::new();
        };
        let pointer = self.pointer.as_mut().filter(|pointer| pointer.has_begun());
        let figure = pointer.and_then(Pointer::set_after_drag);
        self.add_figure(figure, &image)
    }

    /// The pixel in a cell of the screen, within the image.
    fn limited_pixel(
        &self,
        at: (u16, u16),
        image: &ViewedImage,
        context: &ViewerContext,
    ) -> Option<(u32, u32)> {
        let (x, y) = self.pixel_at(at, image, context)?;
        Some((
            x.min(image.info.width.saturating_sub(1)),
            y.min(image.info.height.saturating_sub(1)),
        ))
    }

    /// The point of a visible figure that is near a pixel on the screen.
    fn point_near(
        &self,
        pixel: (u32, u32),
        image: &ViewedImage,
        context: &ViewerContext,
    ) -> Option<(MeasurementId, usize)> {
        let (file, frame) = (self.found()?, self.frame_number());
        let place = self.placement(image, context);
        let (aspect, cell) = (image.scene.geometry.aspect, image.scene.cell);
        let [x, y] = middle(pixel);
        // Distances on the screen, in cells.
        let is_near = |point: &[f64; 2]| {
            let away = ((point[0] - x).abs(), (point[1] - y).abs() * aspect);
            let (across, down) = place.turn.size(away);
            let across = across * place.scale / f64::from(cell.0.max(1));
            let down = down * place.scale / f64::from(cell.1.max(1));
            across <= GRASP.0 && down <= GRASP.1
        };
        let visible = self.overlays || self.pointer.is_some();
        let here = self.measurements.list(&file);
        let mut here = here.filter(|measurement| visible && measurement.frame == frame);
        here.find_map(|measurement| {
            let point = measurement.figure.points.iter().position(is_near)?;
            Some((measurement.id.clone(), point))
        })
    }

    // ── the list ──────────────────────────────────────────────────────────────────────────────────────────────

    /// The measurements of the file, as the list shows them.
    pub(in crate::app) fn measurement_choices(&self) -> Vec<Choice> {
        let Some(file) = self.found() else {
            return Vec::new();
        };
        let frames = self.frames();
        let selected = self.measurements.selected();
        let choice = |(n, measurement): (usize, &Measurement)| Choice {
            name: format!("{}  {}", n + 1, words(measurement)),
            beside: if frames > 1 {
                format!("frame {}", measurement.frame + 1)
            } else {
                String::new()
            },
            about: about(measurement),
            fault: None,
            current: selected == Some(&measurement.id),
        };
        let all = self.measurements.list(&file).enumerate();
        all.map(choice).collect()
    }

    /// Selects a measurement of the list.
    pub(in crate::app) fn edit_chosen(&mut self, chosen: usize) {
        if let Some(id) = self.chosen(chosen) {
            self.edit(&id, 0);
        }
    }

    /// Removes a measurement of the list.
    pub(in crate::app) fn remove_chosen(&mut self, chosen: usize) -> Vec<Effect> {
        let id = self.chosen(chosen);
        if self.pointer.as_ref().is_some_and(Pointer::is_editing) {
            self.stop_editing();
        }
        Vec::from_iter(id.and_then(|id| self.remove(&id)))
    }

    fn chosen(&self, chosen: usize) -> Option<MeasurementId> {
        let file: FoundFile = self.found()?;
        let measurement = self.measurements.list(&file).nth(chosen)?;
        Some(measurement.id.clone())
    }

    // ── the library ───────────────────────────────────────────────────────────────────────────────────────────

    /// The effect that requests the stored measurements of the file, the first time that its image is shown.
    pub(in crate::app) fn request_measurements(&mut self) -> Option<Effect> {
        let file = self.found().filter(|_| self.image.is_some())?;
        self.measurements.request(&file)
    }

    /// Takes in the stored measurements of a file.
    pub(in crate::app) fn measurements_read(&mut self, file: &FoundFile, all: Vec<Measurement>) {
        self.measurements.stored(file, all);
    }

    /// Hides the measurements of others from a reviewer who works blind, or shows them again. A point of one that is hidden is
    /// let go.
    pub(in crate::app) fn set_blind(&mut self, blind: bool) {
        self.measurements.set_blind(blind);
        let is_editing = self.pointer.as_ref().is_some_and(Pointer::is_editing);
        if is_editing && self.measurements.selected().is_none() {
            self.pointer = None;
        }
    }

    /// The effects that store what still waits to be, at the end of the session.
    pub(in crate::app) fn store_measurements(&mut self) -> Vec<Effect> {
        self.measurements.store_waiting(None)
    }

    // ── facts ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// What the last figure on the frame measures.
    pub(super) fn last_measured(&self) -> Option<String> {
        let (file, frame) = (self.found()?, self.frame_number());
        let here = self.measurements.list(&file);
        let last = here.filter(|measurement| measurement.frame == frame).last();
        last.map(words)
    }

    /// What the selected figure measures.
    pub(super) fn selected_words(&self) -> Option<String> {
        let id = self.measurements.selected()?;
        self.measurements.get(&self.found()?, id).map(words)
    }
}

/// What a measurement says, in a line.
fn words(measurement: &Measurement) -> String {
    measured_words(&measurement.measured, measurement.unit.as_deref()).join(", ")
}

/// The details of a measurement.
fn about(measurement: &Measurement) -> Vec<String> {
    let kind = kind_word(measurement.figure.kind);
    let mut about = vec![match &measurement.author {
        Some(author) if !author.is_empty() => format!("{kind}, by {}", safe_str(author)),
        _ => kind.to_owned(),
    }];
    about.extend(measurement.measured.statistics.map(|values| {
        use super::facts::number;
        let (min, max) = (number(values.min), number(values.max));
        format!("{} pixels, from {min} to {max}", values.pixels)
    }));
    about
}

/// The direction in which an action moves the pointer on screen, and whether by a coarse step.
fn pointer_step(action: Action) -> Option<((f64, f64), bool)> {
    Some(match action {
        Action::Leave => ((-1.0, 0.0), false),
        Action::Enter => ((1.0, 0.0), false),
        Action::Up => ((0.0, -1.0), false),
        Action::Down => ((0.0, 1.0), false),
        Action::PanLeft => ((-1.0, 0.0), true),
        Action::PanRight => ((1.0, 0.0), true),
        Action::PanUp => ((0.0, -1.0), true),
        Action::PanDown => ((0.0, 1.0), true),
        _ => return None,
    })
}
