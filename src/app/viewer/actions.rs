//! Actions on the view of an image.

use super::film::{self, Film, FrameNumberInput};
use super::measure::{Draft, Pointer, Tool};
use super::window::{self, WindowStep};
use super::{ViewedImage, Viewer, ViewerContext};
use crate::app::keys::Action;
use crate::app::preview::{ImageView, Previewed};
use crate::app::request::Request;
use crate::media::{Voi, Window};
use crate::view::placement::{self, Aim, ImageShape, Placement};

impl Viewer {
    /// Carries out an action on the image; others change nothing.
    pub(in crate::app) fn act(&mut self, action: Action, context: &ViewerContext) -> Vec<Request> {
        match action {
            Action::Overlays => self.overlays = !self.overlays,
            Action::Histogram => self.histogram = !self.histogram,
            Action::FrameNext | Action::FramePrevious | Action::FrameFirst | Action::FrameLast => {
                return self.page(action, context);
            }
            Action::FrameJump | Action::Cine => return self.play_or_jump(action, context),
            Action::Slab => return self.next_projection(),
            Action::CineSlower if self.change_thickness(false) => {}
            Action::CineFaster if self.change_thickness(true) => {}
            Action::CineSlower => return self.change_rate(film::slower, context),
            Action::CineFaster => return self.change_rate(film::faster, context),
            // All else is about an image that can be seen.
            _ => {
                if let Some(image) = self.image.clone() {
                    return self.aim(action, &image, context);
                }
            }
        }
        Vec::new()
    }

    fn aim(
        &mut self,
        action: Action,
        image: &ViewedImage,
        context: &ViewerContext,
    ) -> Vec<Request> {
        let (canvas, room) = (image.canvas(), self.room(context.area, image));
        let aim = self.view.aim;
        let turned = |turn| Aim { turn, ..aim }.clamped(canvas, room);
        self.view.aim = match action {
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
            Action::ResetView => {
                self.view = ImageView::default();
                return vec![Request::ResetPresentation];
            }
            Action::Invert => {
                self.view.invert = !self.view.invert;
                return Vec::new();
            }
            Action::Probe => {
                self.pick_up(Tool::Probe, image, context);
                return Vec::new();
            }
            _ if action.measures().is_some() => {
                let draft = action.measures().map(Draft::new);
                if let Some(draft) = draft {
                    self.pick_up(Tool::Measure(draft), image, context);
                }
                return Vec::new();
            }
            Action::Remove => return vec![Request::info(self.how_to_remove())],
            _ => return Vec::from_iter(self.change_window(action, image)),
        };
        Vec::new()
    }

    /// The aim, centred on the pointer if there is one, because that is what the user wants to see larger.
    fn toward_pointer(&self) -> Aim {
        let aim = self.view.aim;
        let Some((pointer, image)) = self.pointer.as_ref().zip(self.image.as_ref()) else {
            return aim;
        };
        let share = |at: u32, count: u32| (f64::from(at) + 0.5) / f64::from(count.max(1));
        let ImageShape { columns, rows, .. } = image.canvas();
        Aim {
            center: (share(pointer.at.0, columns), share(pointer.at.1, rows)),
            ..aim
        }
    }

    /// Starts a tool where the pointer is, or stops it.
    fn pick_up(&mut self, tool: Tool, image: &ViewedImage, context: &ViewerContext) {
        let same = |pointer: &Pointer| match (&pointer.tool, &tool) {
            (Tool::Measure(draft), Tool::Measure(wanted)) => draft.kind == wanted.kind,
            (Tool::Probe, Tool::Probe) => true,
            _ => false,
        };
        self.film = None;
        self.measurements.select(None);
        self.pointer = match self.pointer.take() {
            Some(pointer) if same(&pointer) => None,
            Some(pointer) => Some(Pointer { tool, ..pointer }),
            None => Some(Pointer {
                at: self.placement(image, context).middle(),
                tool,
            }),
        };
    }

    /// The placement of the image on the screen.
    pub(super) fn placement(&self, image: &ViewedImage, context: &ViewerContext) -> Placement {
        let room = self.room(context.area, image);
        placement::place(image.canvas(), &self.view.aim, room)
    }

    // ── window ────────────────────────────────────────────────────────────────────────────────────────────────

    fn change_window(&mut self, action: Action, image: &ViewedImage) -> Option<Request> {
        let Some(window) = self.current_window(image) else {
            return Some(Request::info("a colour image has no window"));
        };
        let step = |step, coarse| window::adjusted(&window, step, coarse);
        self.view.voi = match action {
            Action::WindowAuto => Voi::Robust,
            Action::LevelUp => step(WindowStep::Up, false),
            Action::LevelDown => step(WindowStep::Down, false),
            Action::WindowWider => step(WindowStep::Wider, false),
            Action::WindowNarrower => step(WindowStep::Narrower, false),
            Action::LevelUpCoarse => step(WindowStep::Up, true),
            Action::LevelDownCoarse => step(WindowStep::Down, true),
            Action::WindowWiderCoarse => step(WindowStep::Wider, true),
            Action::WindowNarrowerCoarse => step(WindowStep::Narrower, true),
            _ if action.ct_window().is_some() => {
                if image.modality() != Some("CT") {
                    return Some(Request::info("this window is for CT only"));
                }
                window::ct_window(action.ct_window()?)?
            }
            _ => {
                let presets = window::presets(image.modality(), &image.scene.windows);
                let number = action.preset()?;
                match presets.get(number.wrapping_sub(1)) {
                    Some(preset) => preset.voi,
                    None => return Some(known_presets(&presets)),
                }
            }
        };
        None
    }

    /// The window of the image; `None` for colour. What is not drawn yet counts: keys may come faster than previews.
    pub(super) fn current_window(&self, image: &ViewedImage) -> Option<Window> {
        let window = image.scene.window?;
        Some(match self.view.voi {
            Voi::Range { center, width } => Window {
                center,
                width,
                ..window
            },
            _ => window,
        })
    }

    // ── frames ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Scrolls the series under the cursor; `None` when the action is not about that, or there is no series. A single file is
    /// no series: it may have frames.
    pub(in crate::app) fn scroll_series(
        &mut self,
        action: Action,
        series: Option<(usize, usize)>,
    ) -> Option<Vec<Request>> {
        if self.is_reformatting() {
            let distance = match action {
                Action::FrameNext => 1,
                Action::FramePrevious => -1,
                Action::FrameFirst => isize::MIN,
                Action::FrameLast => isize::MAX,
                Action::FrameJump | Action::Cine => {
                    return Some(vec![Request::info("reformats are paged by hand")]);
                }
                _ => return None,
            };
            self.move_plane(distance);
            return Some(Vec::new());
        }
        let (at, count) = series.filter(|(_, count)| *count > 1)?;
        let last = count - 1;
        let to = match action {
            Action::FrameJump => {
                self.film = None;
                self.frame_input = Some(FrameNumberInput::default());
                return Some(Vec::new());
            }
            Action::FrameNext => (at + 1).min(last),
            Action::FramePrevious => at.saturating_sub(1),
            Action::FrameFirst => 0,
            Action::FrameLast => last,
            _ => return None,
        };
        self.film = None;
        Some(vec![Request::ScrollSeries(to)])
    }

    /// Moves through the stack shown, the images of a series or the frames of a file, by a distance as in
    /// [`Action::distance`]; `None` if there is no stack.
    pub(in crate::app) fn page_by(
        &mut self,
        distance: isize,
        series: Option<(usize, usize)>,
    ) -> Option<Vec<Request>> {
        if self.move_plane(distance) {
            return Some(Vec::new());
        }
        let moved = |at: usize, count: usize| at.saturating_add_signed(distance).min(count - 1);
        if let Some((at, count)) = series.filter(|(_, count)| *count > 1) {
            self.film = None;
            return Some(vec![Request::ScrollSeries(moved(at, count))]);
        }
        let frames = self.frames();
        if frames < 2 {
            return None;
        }
        self.film = None;
        self.frame = moved(self.frame as usize, frames as usize) as u32;
        Some(Vec::new())
    }

    /// What a number that is typed counts, and how many of them there are: the images of a series, or the frames of a file.
    pub(super) fn frame_range(&self, series: Option<(usize, usize)>) -> (&'static str, u32) {
        match series {
            Some((_, count)) if count > 1 => ("image", u32::try_from(count).unwrap_or(u32::MAX)),
            _ => ("frame", self.frames()),
        }
    }

    /// Shows another frame, which also stops the film.
    fn page(&mut self, action: Action, context: &ViewerContext) -> Vec<Request> {
        let last = self.frames() - 1;
        if self.image.is_some() && last == 0 {
            return vec![has_one_frame(context)];
        }
        self.film = None;
        self.frame = match action {
            Action::FrameNext => (self.frame + 1).min(last),
            Action::FramePrevious => self.frame.saturating_sub(1),
            Action::FrameLast => last,
            _ => 0,
        };
        Vec::new()
    }

    fn play_or_jump(&mut self, action: Action, context: &ViewerContext) -> Vec<Request> {
        let series = context.playable.clone();
        let series = series.filter(|_| action == Action::Cine);
        if self.frames() < 2 && series.is_none() {
            let known = self.image.is_some();
            return Vec::from_iter(known.then(|| has_one_frame(context)));
        }
        let played = self.film.take().is_some();
        if action == Action::FrameJump {
            self.frame_input = Some(FrameNumberInput::default());
        } else if !played {
            self.film = Some(Film::start(context.now, self.rate(), series));
        }
        Vec::new()
    }

    fn change_rate(&mut self, next: fn(f64) -> f64, context: &ViewerContext) -> Vec<Request> {
        if self.frames() < 2 && context.playable.is_none() {
            return vec![has_one_frame(context)];
        }
        let rate = next(self.rate());
        self.rate = Some(rate);
        vec![Request::info(format!("{rate} frames per second"))]
    }

    /// Shows the next frame of the film, if it is due and the last one is on screen; true if the next file of the series is due
    /// instead.
    pub(in crate::app) fn advance_film(&mut self, now: std::time::Duration) -> bool {
        let (frames, rate) = (self.frames(), self.rate());
        if !self.is_frame_shown() {
            return false;
        }
        let Some(film) = self.film.as_mut().filter(|film| film.due <= now) else {
            return false;
        };
        film.go_on(now, rate);
        if film.series.is_some() {
            return true;
        }
        self.frame = (self.frame + 1) % frames.max(1);
        false
    }

    /// When the next frame is due in playing; `None` while the last one is awaited, or if nothing is being played.
    pub(in crate::app) fn film_due(&self) -> Option<std::time::Duration> {
        let film = self.film.as_ref()?;
        self.is_frame_shown().then_some(film.due)
    }

    /// Whether the wanted frame is shown, or the reason why it cannot be.
    fn is_frame_shown(&self) -> bool {
        let is_this = |shown: &Previewed| {
            shown.key.frame == self.frame && self.file() == Some(shown.key.path.as_path())
        };
        self.shown.as_ref().is_some_and(is_this)
    }
}

/// Lists the windows that have a number key.
fn known_presets(presets: &[window::Preset]) -> Request {
    let numbered = presets.iter().zip(1..);
    let names: Vec<String> = numbered
        .map(|(preset, n)| format!("{n} {}", preset.name))
        .collect();
    Request::info(format!("windows: {}", names.join(", ")))
}

/// Names the file, because the cursor may be on another one before the message disappears.
fn has_one_frame(context: &ViewerContext) -> Request {
    Request::info(format!("{} has only one frame", context.name))
}
