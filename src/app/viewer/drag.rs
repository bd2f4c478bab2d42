//! Dragging on the image with the mouse: pans it, or changes its window.

use super::window;
use super::{Viewer, ViewerContext};
use crate::media::{Voi, Window};
use crate::view::placement::Aim;

/// What follows the mouse while a button is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::app) enum ImageDrag {
    /// The image itself, which was aimed so when the button went down.
    Pan(Aim),
    /// The pointer and the point that it holds or draws, or the cross of a reformat.
    Pointer,
    /// Width (across) and level (down) of this window.
    Window(Window),
}

impl Viewer {
    /// Begins to pan; `None` if the whole image is visible, or none is shown.
    pub(in crate::app) fn begin_pan(&self, context: &ViewerContext) -> Option<ImageDrag> {
        let image = self.image.as_ref()?;
        let part = self.placement(image, context).part;
        let whole = part.width >= f64::from(image.info.width)
            && part.height >= f64::from(image.info.height);
        (!whole).then_some(ImageDrag::Pan(self.view.aim))
    }

    /// Begins to change the window; `None` if no image is shown, or a colour image.
    pub(in crate::app) fn begin_window_drag(&self) -> Option<ImageDrag> {
        let image = self.image.as_ref()?;
        Some(ImageDrag::Window(self.current_window(image)?))
    }

    /// Follows the mouse from the cell where the button went down to another one.
    pub(in crate::app) fn drag(
        &mut self,
        drag: ImageDrag,
        (from, to): ((u16, u16), (u16, u16)),
        context: &ViewerContext,
    ) {
        let cells = |to: u16, from: u16| i32::from(to) - i32::from(from);
        let (across, down) = (cells(to.0, from.0), cells(to.1, from.1));
        let Some(image) = self.image.clone() else {
            return;
        };
        match drag {
            ImageDrag::Pan(aim) => {
                let place = self.placement(&image, context);
                let cell = image.scene.cell;
                let share = |cells: i32, cell: u16, pixels: u32| {
                    f64::from(cells) * f64::from(cell) / f64::from(pixels.max(1))
                };
                let (dx, dy) = place.turn.step_in_file((
                    share(across, cell.0, place.width),
                    share(down, cell.1, place.height),
                ));
                let (columns, rows) = (image.info.width.max(1), image.info.height.max(1));
                let center = (
                    aim.center.0 - dx * place.part.width / f64::from(columns),
                    aim.center.1 - dy * place.part.height / f64::from(rows),
                );
                let room = self.room(context.area, &image);
                self.view.aim = Aim {
                    center,
                    ..self.view.aim
                }
                .clamped(image.canvas(), room);
            }
            ImageDrag::Pointer => self.drag_pointer(to, context),
            ImageDrag::Window(from) => self.view.voi = dragged(&from, across, down),
        }
    }
}

/// The window after a drag: a cell to the right widens it by a fine step, and a cell down raises its level by two, because
/// cells are twice as high as wide.
fn dragged(from: &Window, across: i32, down: i32) -> Voi {
    let step = window::fine_step(from.width);
    window::range(
        from.center + f64::from(2 * down) * step,
        from.width + f64::from(across) * step,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::WindowSource;

    #[test]
    fn a_drag_across_changes_the_width_and_one_down_the_level() {
        let from = Window {
            center: 40.0,
            width: 400.0,
            source: WindowSource::File,
        };
        let range = |center, width| Voi::Range { center, width };
        assert_eq!(dragged(&from, 10, 0), range(40.0, 450.0));
        assert_eq!(dragged(&from, 0, -3), range(10.0, 400.0));
        let Voi::Range { width, .. } = dragged(&from, -1000, 0) else {
            unreachable!("a drag leads to a range")
        };
        assert!(width > 0.0, "narrowed for ever, it stays a window");
    }
}
