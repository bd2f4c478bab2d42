//! The turn and the displayed area that a presentation state asks for, as the view of a picture. From there the user's keys
//! go on.

use std::path::PathBuf;

use crate::app::model::Model;
use crate::app::picture::View;
use crate::app::viewer::Known;
use crate::media::Arrangement;
use crate::view::placement::{Aim, ImageShape};
use crate::view::turn::Turn;

/// A presentation state that has laid out the view.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arranged {
    file: PathBuf,
    /// The series looked at, or the picture where it belongs to none: with another one the view begins anew.
    within: String,
    arrangement: Arrangement,
}

impl Model {
    /// The view follows the presentation state in force: with another one, or none, it begins anew.
    pub(in crate::app) fn follow_presentation(&mut self) {
        if self.related.on.is_empty() && self.related.arranged.is_none() {
            return;
        }
        let Some(known) = self.viewer.known.clone() else {
            return;
        };
        let state = self.presentation(&known);
        if state == self.related.arranged {
            return;
        }
        let aim = state
            .as_ref()
            .map(|state| self.arranged(&state.arrangement, &known));
        self.related.arranged = state;
        self.viewer.view = View {
            aim: aim.unwrap_or_default(),
            ..View::default()
        };
    }

    /// The presentation state that is on for the picture shown, and what it asks for.
    fn presentation(&self, known: &Known) -> Option<Arranged> {
        let target = known.scene.about.target.as_ref()?;
        if !self.viewer.overlays {
            return None;
        }
        let within = if target.series.is_empty() {
            &target.instance
        } else {
            &target.series
        };
        let mut here = self.related_here().into_iter();
        here.find_map(|item| {
            let arrangement = item.object.arrangement(target)?;
            let file = &item.file.path;
            self.related.is_on(file).then(|| Arranged {
                file: file.clone(),
                within: within.clone(),
                arrangement,
            })
        })
    }

    /// The aim that shows what a state wants to be seen.
    fn arranged(&self, wanted: &Arrangement, known: &Known) -> Aim {
        let turned = (0..wanted.quarters).fold(Turn::default(), |turn, _| turn.right());
        let turn = if wanted.mirrored {
            turned.flip()
        } else {
            turned
        };
        let (canvas, room) = (known.canvas(), self.room(known));
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
}
