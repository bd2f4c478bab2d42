//! The turn and the displayed area that a presentation state asks for, as the view of an image. From there the user's keys go
//! on.

use std::path::PathBuf;

use super::RelatedObjects;
use crate::app::viewer::{ViewedImage, Viewer};
use crate::media::Arrangement;
use crate::view::placement::{Aim, ImageShape};
use crate::view::turn::Turn;

/// A presentation state that has laid out the view.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AppliedState {
    file: PathBuf,
    /// The series looked at, or the image where it belongs to none: with another one the view begins anew.
    within: String,
    arrangement: Arrangement,
}

impl RelatedObjects {
    /// Lets the view follow the presentation state in force: with another one, or none, it begins anew. `room`: the screen
    /// pixels that the image may cover.
    pub(in crate::app) fn follow(&mut self, viewer: &mut Viewer, room: (u32, u32)) {
        if self.on.is_empty() && self.applied.is_none() {
            return;
        }
        let Some(image) = viewer.image() else {
            return;
        };
        let state = self.state_in_force(viewer, image);
        if state == self.applied {
            return;
        }
        let aim = state.as_ref();
        let aim = aim.map(|state| aim_of(&state.arrangement, image.canvas(), room));
        self.applied = state;
        viewer.reset_view(aim.unwrap_or_default());
    }

    /// Lays the view out anew with the next [`Self::follow`].
    pub(in crate::app) fn reset(&mut self) {
        self.applied = None;
    }

    /// The presentation state that is on for the image shown, and what it asks for.
    fn state_in_force(&self, viewer: &Viewer, image: &ViewedImage) -> Option<AppliedState> {
        let target = image.scene.about.target.as_ref()?;
        if !viewer.shows_overlays() {
            return None;
        }
        let within = if target.series.is_empty() {
            &target.instance
        } else {
            &target.series
        };
        let mut about = self.about(viewer).into_iter();
        about.find_map(|found| {
            let arrangement = found.object.arrangement(target)?;
            let file = &found.file.path;
            self.is_on(file).then(|| AppliedState {
                file: file.clone(),
                within: within.clone(),
                arrangement,
            })
        })
    }
}

/// The aim that shows what a state wants to be seen.
fn aim_of(wanted: &Arrangement, canvas: ImageShape, room: (u32, u32)) -> Aim {
    let turned = (0..wanted.quarters).fold(Turn::default(), |turn, _| turn.right());
    let turn = if wanted.mirrored {
        turned.flip()
    } else {
        turned
    };
    let fit = canvas.fit(turn, room);
    let mut aim = Aim {
        turn,
        ..Aim::default()
    };
    if let Some([left, top, right, bottom]) = wanted.area {
        let share =
            |from: f64, to: f64, count: u32| f64::midpoint(from, to) / f64::from(count.max(1));
        aim.center = (
            share(left, right, canvas.columns),
            share(top, bottom, canvas.rows),
        );
        let area = ImageShape {
            columns: (right - left).max(1.0) as u32,
            rows: (bottom - top).max(1.0) as u32,
            ..canvas
        };
        aim.zoom = area.fit(turn, room) / fit;
    }
    if let Some(ratio) = wanted.magnification {
        aim.zoom = ratio / fit;
    }
    aim.within_limits(canvas, room)
}
