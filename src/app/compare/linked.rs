//! What is done to the images of a comparison: on the chosen side, and while the sides are linked on both.

use super::Comparison;
use crate::app::context::FileContext;
use crate::app::keys::Action;
use crate::app::request::Request;
use crate::app::viewer::drag::ImageDrag;

/// Whether an action changes how an image is seen.
fn is_about_view(action: Action) -> bool {
    action.preset().is_some()
        || action.ct_window().is_some()
        || matches!(
            action,
            Action::WindowAuto
                | Action::WindowNarrower
                | Action::WindowWider
                | Action::LevelDown
                | Action::LevelUp
                | Action::WindowNarrowerCoarse
                | Action::WindowWiderCoarse
                | Action::LevelDownCoarse
                | Action::LevelUpCoarse
                | Action::Invert
                | Action::ZoomIn
                | Action::ZoomOut
                | Action::ZoomFit
                | Action::ZoomActual
                | Action::PanLeft
                | Action::PanRight
                | Action::PanUp
                | Action::PanDown
                | Action::RotateRight
                | Action::RotateLeft
                | Action::Flip
                | Action::ResetView
        )
}

impl Comparison {
    /// Carries out an action on the images; `None` if it is not about them.
    pub(super) fn act_on_images(
        &mut self,
        action: Action,
        files: FileContext<'_>,
    ) -> Option<Vec<Request>> {
        match action {
            Action::FrameNext => Some(self.page(1, files)),
            Action::FramePrevious => Some(self.page(-1, files)),
            Action::FrameFirst => Some(self.page(isize::MIN, files)),
            Action::FrameLast => Some(self.page(isize::MAX, files)),
            Action::Overlays | Action::Histogram => {
                for side in [0, 1] {
                    let context = self.context(side, files);
                    self.sides[side].viewer.act(action, &context);
                }
                Some(Vec::new())
            }
            _ if is_about_view(action) => {
                let context = self.context(self.chosen, files);
                let mut requests = self.sides[self.chosen].viewer.act(action, &context);
                // Presentation states are for the image of the panels.
                requests.retain(|request| *request != Request::ResetPresentation);
                self.link(self.chosen);
                Some(requests)
            }
            _ => None,
        }
    }

    /// Begins to drag on the image of a side; with `window` the window, else the image.
    pub(in crate::app) fn begin_drag(
        &self,
        side: usize,
        window: bool,
        files: FileContext<'_>,
    ) -> Option<ImageDrag> {
        let viewer = &self.sides[side].viewer;
        if window {
            viewer.begin_window_drag()
        } else {
            viewer.begin_pan(&self.context(side, files))
        }
    }

    /// Follows the mouse on a side.
    pub(in crate::app) fn drag(
        &mut self,
        side: usize,
        drag: ImageDrag,
        cells: ((u16, u16), (u16, u16)),
        files: FileContext<'_>,
    ) {
        let context = self.context(side, files);
        self.sides[side].viewer.drag(drag, cells, &context);
        self.link(side);
    }

    /// Shows the other side as this one is seen, if they are linked.
    fn link(&mut self, side: usize) {
        if self.linked {
            let view = self.sides[side].viewer.clone();
            self.sides[1 - side].viewer.see_as(&view);
        }
    }

    /// The line in which the image of the other side cuts the image of this one.
    pub(super) fn reference_line(&self, side: usize) -> Option<[[f64; 2]; 2]> {
        let [this, other] = [side, 1 - side].map(|side| self.sides[side].viewer.target());
        let (this, other) = (this?, other?);
        let same = !this.frame_of_reference.is_empty()
            && this.frame_of_reference == other.frame_of_reference;
        let size = |target: &crate::media::TargetFrame| (target.width, target.height);
        let cut = || {
            this.geometry
                .crossing(size(this), &other.geometry, size(other))
        };
        same.then(cut).flatten()
    }
}
