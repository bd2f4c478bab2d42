//! The screen: the model in, cells out. No input or output, no clock.

use ratatui::Frame;

use crate::app::Model;

/// Draws the model.
pub fn view(model: &Model, frame: &mut Frame) {
    let _ = (model, frame);
}
