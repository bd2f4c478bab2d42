//! What the keys of the viewer do.

use crossterm::event::{KeyCode, KeyEvent};

use super::Known;
use super::film::{self, Film, Jump};
use super::measure::{Pointer, Ruler, Tool};

use super::window::{self, Step};
use crate::app::keys::Action;
use crate::app::model::Model;
use crate::app::msg::Severity;
use crate::app::picture::{Previewed, View};
use crate::media::{Voi, Window};
use crate::view::Area;
use crate::view::placement::{self, Aim, ImageShape, Placement};

/// A coarse step of the pointer, as a part of what is seen.
const COARSE: f64 = 0.05;

impl Model {
    /// Carries out an action of the viewer; others change nothing.
    pub(crate) fn look(&mut self, action: Action) {
        match action {
            Action::Overlays => self.viewer.overlays = !self.viewer.overlays,
            Action::Histogram => self.viewer.histogram = !self.viewer.histogram,
            Action::Whole => self.viewer.whole = !self.viewer.whole,
            Action::FrameNext | Action::FramePrevious | Action::FrameFirst | Action::FrameLast => {
                self.page(action);
            }
            Action::FrameJump | Action::Cine => self.film(action),
            Action::CineSlower => self.change_rate(film::slower),
            Action::CineFaster => self.change_rate(film::faster),
            // All else is about a picture that can be seen.
            _ => {
                if let Some(known) = self.viewer.known.clone() {
                    self.look_at(action, &known);
                }
            }
        }
    }

    fn look_at(&mut self, action: Action, known: &Known) {
        let (canvas, room) = (known.canvas(), self.room(known));
        let aim = self.viewer.view.aim;
        let turned = |turn| Aim { turn, ..aim }.clamped(canvas, room);
        self.viewer.view.aim = match action {
            Action::ZoomIn => self.toward_pointer().zoom_step(true, canvas, room),
            Action::ZoomOut => aim.zoom_step(false, canvas, room),
            Action::ZoomFit => aim.whole(),
            Action::ZoomActual => self.toward_pointer().actual_size(canvas, room),
            Action::RotateRight => turned(aim.turn.right()),
            Action::RotateLeft => turned(aim.turn.left()),
            Action::Flip => turned(aim.turn.flip()),
            Action::PanLeft => aim.pan(-1, 0, canvas, room),
            Action::PanRight => aim.pan(1, 0, canvas, room),
            Action::PanUp => aim.pan(0, -1, canvas, room),
            Action::PanDown => aim.pan(0, 1, canvas, room),
            _ => return self.look_otherwise(action, known),
        };
    }

    fn look_otherwise(&mut self, action: Action, known: &Known) {
        match action {
            Action::ResetView => {
                self.viewer.view = View::default();
                self.arrange_anew();
            }
            Action::Invert => self.viewer.view.invert = !self.viewer.view.invert,
            Action::Probe => self.take(Tool::Probe, known),
            Action::Ruler => self.take(Tool::Ruler(Ruler::Open), known),
            _ => self.change_window(action, known),
        }
    }

    /// Cells that the picture may cover.
    fn picture_area(&self, known: &Known) -> Area {
        let area = self.panels().preview.unwrap_or_default();
        let around = self.viewer.marks().around(&known.scene);
        placement::inset(area, around).picture
    }

    /// Screen pixels that the picture may cover.
    pub(crate) fn room(&self, known: &Known) -> (u32, u32) {
        let (picture, cell) = (self.picture_area(known), known.scene.cell);
        (
            u32::from(picture.width) * u32::from(cell.0),
            u32::from(picture.height) * u32::from(cell.1),
        )
    }

    // ── window ────────────────────────────────────────────────────────────────────────────────────────────────

    fn change_window(&mut self, action: Action, known: &Known) {
        let Some(window) = known.scene.window else {
            return self.say(Severity::Info, "colour has no window");
        };
        // What is not drawn yet is moved on from all the same: keys may come faster than pictures.
        let window = match self.viewer.view.voi {
            Voi::Range { center, width } => Window {
                center,
                width,
                ..window
            },
            _ => window,
        };
        let step = |step, coarse| Some(window::adjusted(&window, step, coarse));
        let voi = match action {
            Action::WindowAuto => Some(Voi::Robust),
            Action::LevelUp => step(Step::Up, false),
            Action::LevelDown => step(Step::Down, false),
            Action::WindowWider => step(Step::Wider, false),
            Action::WindowNarrower => step(Step::Narrower, false),
            Action::LevelUpCoarse => step(Step::Up, true),
            Action::LevelDownCoarse => step(Step::Down, true),
            Action::WindowWiderCoarse => step(Step::Wider, true),
            Action::WindowNarrowerCoarse => step(Step::Narrower, true),
            _ => action.preset().and_then(|n| self.preset(n, known)),
        };
        if let Some(voi) = voi {
            self.viewer.view.voi = voi;
        }
    }

    /// The window under a number key; says what there is when there is none.
    fn preset(&mut self, n: usize, known: &Known) -> Option<Voi> {
        let presets = window::presets(known.modality(), &known.scene.windows);
        let found = presets.get(n.wrapping_sub(1)).map(|preset| preset.voi);
        if found.is_none() {
            let numbered = presets.iter().zip(1..);
            let names: Vec<String> = numbered
                .map(|(preset, n)| format!("{n} {}", preset.name))
                .collect();
            self.say(Severity::Info, &format!("windows: {}", names.join(", ")));
        }
        found
    }

    // ── frames ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Another frame, which also stops the film.
    fn page(&mut self, action: Action) {
        let last = self.viewer.frames() - 1;
        if self.viewer.known.is_some() && last == 0 {
            return self.say_one_frame();
        }
        self.viewer.film = None;
        let frame = self.viewer.frame;
        self.viewer.frame = match action {
            Action::FrameNext => (frame + 1).min(last),
            Action::FramePrevious => frame.saturating_sub(1),
            Action::FrameLast => last,
            _ => 0,
        };
    }

    /// By the file's name: the cursor may be on another one before the sentence goes.
    fn say_one_frame(&mut self) {
        let name = self.folder.current().map(|row| row.shown.trim_start());
        let sentence = format!("{} has only one frame", name.unwrap_or_default());
        self.say(Severity::Info, &sentence);
    }

    fn film(&mut self, action: Action) {
        let frames = self.viewer.frames();
        let series = self.series_to_play().filter(|_| action == Action::Cine);
        if frames < 2 && series.is_none() {
            if self.viewer.known.is_some() {
                self.say_one_frame();
            }
            return;
        }
        let played = self.viewer.film.take().is_some();
        if action == Action::FrameJump {
            self.viewer.jump = Some(Jump::default());
        } else if !played {
            self.viewer.film = Some(Film::start(self.now, self.viewer.rate(), series));
        }
    }

    fn change_rate(&mut self, next: fn(f64) -> f64) {
        if self.viewer.frames() > 1 || self.series_to_play().is_some() {
            let rate = next(self.viewer.rate());
            self.viewer.rate = Some(rate);
            self.say(Severity::Info, &format!("{rate} frames a second"));
        }
    }

    /// The film goes on, if the next frame is due and the last one has come.
    pub(crate) fn turn_film(&mut self) {
        let (now, frames, rate) = (self.now, self.viewer.frames(), self.viewer.rate());
        if !self.frame_is_there() {
            return;
        }
        let Some(film) = self.viewer.film.as_mut().filter(|film| film.due <= now) else {
            return;
        };
        film.go_on(now, rate);
        if film.series.is_some() {
            self.turn_stack();
        } else {
            self.viewer.frame = (self.viewer.frame + 1) % frames.max(1);
        }
    }

    /// When the film wants to go on; `None` while it waits for a frame, or none runs.
    pub(crate) fn film_due(&self) -> Option<std::time::Duration> {
        let film = self.viewer.film.as_ref()?;
        self.frame_is_there().then_some(film.due)
    }

    /// The frame wanted is the one shown, or cannot be.
    fn frame_is_there(&self) -> bool {
        let there = |shown: &Previewed| {
            let file = self.viewer.file.as_ref();
            shown.key.frame == self.viewer.frame
                && file.is_some_and(|(path, _)| *path == shown.key.path)
        };
        self.shown.as_ref().is_some_and(there)
    }

    /// What a number that is typed counts, and how many of them there are: the images of a series, or the frames of a file.
    pub(crate) fn jump_range(&self) -> (&'static str, u32) {
        match self.place_in_stack() {
            Some((_, count)) if count > 1 => ("image", u32::try_from(count).unwrap_or(u32::MAX)),
            _ => ("frame", self.viewer.frames()),
        }
    }

    /// A key while the number of a frame is typed. False: it is for others.
    pub(crate) fn type_jump(&mut self, key: KeyEvent) -> bool {
        let (counted, count) = self.jump_range();
        let order = self
            .viewer
            .known
            .as_ref()
            .map(|known| known.scene.order.clone());
        let Some(jump) = self.viewer.jump.as_mut() else {
            return false;
        };
        match key.code {
            KeyCode::Char(c) if c.is_ascii_digit() => jump.push(c),
            KeyCode::Backspace if jump.pop() => {}
            KeyCode::Enter => {
                let number = jump.frame(count);
                self.viewer.jump = None;
                match number {
                    Some(number) if counted == "image" => self.scroll_to(number as usize),
                    // Typed is the number in the file, as results and tables tell it.
                    Some(number) => self.viewer.frame = order.unwrap_or_default().position(number),
                    None => {}
                }
            }
            KeyCode::Esc | KeyCode::Backspace => self.viewer.jump = None,
            _ => {
                self.viewer.jump = None;
                return false;
            }
        }
        true
    }

    // ── pointer ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Takes a tool up where the pointer is, or lays it aside.
    fn take(&mut self, tool: Tool, known: &Known) {
        let same = |pointer: &Pointer| {
            std::mem::discriminant(&pointer.tool) == std::mem::discriminant(&tool)
        };
        self.viewer.film = None;
        self.viewer.pointer = match self.viewer.pointer {
            Some(pointer) if same(&pointer) => None,
            Some(pointer) => Some(Pointer { tool, ..pointer }),
            None => Some(Pointer {
                at: self.placed(known).middle(),
                tool,
            }),
        };
    }

    /// The picture as it lies on the screen.
    fn placed(&self, known: &Known) -> Placement {
        placement::place(known.canvas(), &self.viewer.view.aim, self.room(known))
    }

    /// A click on the picture while there is a pointer: that goes there, and a ruler gets a point. False: it is for others.
    pub(crate) fn point_with_mouse(&mut self, at: (u16, u16)) -> bool {
        let Some((mut pointer, known)) = self.viewer.pointer.zip(self.viewer.known.clone()) else {
            return false;
        };
        let (picture, cell) = (self.picture_area(&known), known.scene.cell);
        let Some((x, y)) = self.placed(&known).pixel_in_cell(at, picture, cell) else {
            return false;
        };
        pointer.at = (
            x.min(known.info.width.saturating_sub(1)),
            y.min(known.info.height.saturating_sub(1)),
        );
        pointer.set();
        self.viewer.pointer = Some(pointer);
        true
    }

    /// The aim, with the pointer in its middle if there is one: what is pointed at is what one wants to see larger.
    fn toward_pointer(&self) -> Aim {
        let aim = self.viewer.view.aim;
        let Some((pointer, known)) = self.viewer.pointer.zip(self.viewer.known.as_ref()) else {
            return aim;
        };
        let share = |at: u32, count: u32| (f64::from(at) + 0.5) / f64::from(count.max(1));
        let ImageShape { columns, rows, .. } = known.canvas();
        Aim {
            center: (share(pointer.at.0, columns), share(pointer.at.1, rows)),
            ..aim
        }
    }

    /// A key while there is a pointer: arrows move it, Enter sets a point. False: it is for others.
    pub(crate) fn point(&mut self, key: KeyEvent) -> bool {
        let Some((mut pointer, known)) = self.viewer.pointer.zip(self.viewer.known.clone()) else {
            return false;
        };
        if key.code == KeyCode::Enter {
            pointer.set();
            self.viewer.pointer = Some(pointer);
            return true;
        }
        let (step, coarse) = match self.keymap.action(key) {
            Some(Action::Leave) => ((-1.0, 0.0), false),
            Some(Action::Enter) => ((1.0, 0.0), false),
            Some(Action::Up) => ((0.0, -1.0), false),
            Some(Action::Down) => ((0.0, 1.0), false),
            Some(Action::PanLeft) => ((-1.0, 0.0), true),
            Some(Action::PanRight) => ((1.0, 0.0), true),
            Some(Action::PanUp) => ((0.0, -1.0), true),
            Some(Action::PanDown) => ((0.0, 1.0), true),
            _ => return false,
        };
        let place = self.placed(&known);
        let (dx, dy) = place.turn.step_in_file(step);
        let length = |seen: f64| {
            if coarse {
                (seen * COARSE).max(1.0)
            } else {
                1.0
            }
        };
        let by = (
            (dx * length(place.part.width)).round() as i64,
            (dy * length(place.part.height)).round() as i64,
        );
        pointer.go(by, (known.info.width, known.info.height));
        self.viewer.pointer = Some(pointer);
        let (canvas, room) = (known.canvas(), self.room(&known));
        let aim = self.viewer.view.aim;
        self.viewer.view.aim = aim.showing(pointer.at, canvas, room);
        true
    }
}
