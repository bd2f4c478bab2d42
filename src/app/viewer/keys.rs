//! Keys and clicks that the viewer handles before any other component: for the number of a frame, and for the pointer.

use crossterm::event::{KeyCode, KeyEvent};

use super::{ViewedImage, Viewer, ViewerContext};
use crate::app::keys::{Action, Keymap};
use crate::app::request::Request;

/// A coarse step of the pointer, as a fraction of the visible part.
const COARSE_STEP: f64 = 0.05;

impl Viewer {
    /// Handles a key while the number of a frame is typed or there is a pointer; `None` if the key is not for them.
    pub(in crate::app) fn press(
        &mut self,
        key: KeyEvent,
        keymap: &Keymap,
        context: &ViewerContext,
    ) -> Option<Vec<Request>> {
        if let Some(requests) = self.type_frame(key, context.series) {
            return Some(requests);
        }
        self.move_pointer(key, keymap, context).then(Vec::new)
    }

    fn type_frame(
        &mut self,
        key: KeyEvent,
        series: Option<(usize, usize)>,
    ) -> Option<Vec<Request>> {
        let (counted, count) = self.frame_range(series);
        let input = self.frame_input.as_mut()?;
        match key.code {
            KeyCode::Char(c) if c.is_ascii_digit() => input.push(c),
            KeyCode::Backspace if input.pop() => {}
            KeyCode::Enter => {
                let number = input.frame(count);
                self.frame_input = None;
                match number {
                    Some(number) if counted == "image" => {
                        return Some(vec![Request::ScrollSeries(number as usize)]);
                    }
                    // What is typed is the number in the file, as results and tables tell it.
                    Some(number) => {
                        let order = self.image.as_ref().map(|image| &image.scene.order);
                        self.frame = order.cloned().unwrap_or_default().position(number);
                    }
                    None => {}
                }
            }
            KeyCode::Esc | KeyCode::Backspace => self.frame_input = None,
            _ => {
                self.frame_input = None;
                return None;
            }
        }
        Some(Vec::new())
    }

    /// Moves the pointer by the movement keys, and sets a point by Enter; false if the key is not for the pointer.
    fn move_pointer(&mut self, key: KeyEvent, keymap: &Keymap, context: &ViewerContext) -> bool {
        let Some((mut pointer, image)) = self.pointer.zip(self.image.clone()) else {
            return false;
        };
        if key.code == KeyCode::Enter {
            pointer.set();
            self.pointer = Some(pointer);
            return true;
        }
        let Some((direction, coarse)) = keymap.action(key).and_then(pointer_step) else {
            return false;
        };
        let placement = self.placement(&image, context);
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
        pointer.go(by, (image.info.width, image.info.height));
        self.pointer = Some(pointer);
        let (canvas, room) = (image.canvas(), self.room(context.area, &image));
        let aim = self.view.aim;
        self.view.aim = aim.showing(pointer.at, canvas, room);
        true
    }

    /// Handles a click on the image while there is a pointer: moves it there, and sets a point of the ruler. False if the click
    /// is not for the pointer.
    pub(in crate::app) fn click(&mut self, at: (u16, u16), context: &ViewerContext) -> bool {
        let Some((mut pointer, image)) = self.pointer.zip(self.image.clone()) else {
            return false;
        };
        let Some((x, y)) = self.pixel_at(at, &image, context) else {
            return false;
        };
        pointer.at = (
            x.min(image.info.width.saturating_sub(1)),
            y.min(image.info.height.saturating_sub(1)),
        );
        pointer.set();
        self.pointer = Some(pointer);
        true
    }

    /// The pixel of the file in a cell of the screen.
    fn pixel_at(
        &self,
        at: (u16, u16),
        image: &ViewedImage,
        context: &ViewerContext,
    ) -> Option<(u32, u32)> {
        let (area, cell) = (self.image_area(context.area, image), image.scene.cell);
        self.placement(image, context).pixel_in_cell(at, area, cell)
    }
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
