//! Keys and clicks that the viewer handles before any other component: for the number of a frame, and for the pointer.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{ViewedImage, Viewer, ViewerContext};
use crate::app::keys::Keymap;
use crate::app::request::Request;

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
        self.use_pointer(key, keymap, context)
    }

    fn type_frame(
        &mut self,
        key: KeyEvent,
        series: Option<(usize, usize)>,
    ) -> Option<Vec<Request>> {
        let (counted, count) = self.frame_range(series);
        let input = self.frame_input.as_mut()?;
        match key.code {
            _ if key.modifiers.contains(KeyModifiers::CONTROL) => {
                self.frame_input = None;
                return None;
            }
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
            // Nothing that is typed into a line is a command.
            KeyCode::Char(c) => input.push(c),
            _ => {}
        }
        Some(Vec::new())
    }

    /// The pixel of the file in a cell of the screen.
    pub(super) fn pixel_at(
        &self,
        at: (u16, u16),
        image: &ViewedImage,
        context: &ViewerContext,
    ) -> Option<(u32, u32)> {
        let (area, cell) = (self.image_area(context.area, image), image.scene.cell);
        self.placement(image, context).pixel_in_cell(at, area, cell)
    }
}
