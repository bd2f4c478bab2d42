//! Reformats of the stack: which plane is shown, where, and how thick.

use super::Viewer;
use crate::app::entry::FoundFile;
use crate::app::preview::{Reformat, VolumeProgress, VolumeView};
use crate::app::request::Request;
use crate::media::volume::{PlaneAxes, Projection, ReformatPlane, Slab};
use crate::view::placement::Aim;

/// Thicknesses of slabs that can be chosen, in millimetres.
const THICKNESSES: [f64; 7] = [2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0];
/// The first one, in which vessels show.
const DEFAULT_THICKNESS: f64 = 10.0;

impl Viewer {
    /// Whether a reformat is shown or awaited.
    pub(crate) fn is_reformatting(&self) -> bool {
        self.reformat.is_some()
    }

    /// Shows the next plane: sagittal, coronal, axial, then the images again. The cross stays where it is. `stack`: the files
    /// of the series, or the file with frames.
    pub(in crate::app) fn next_plane(&mut self, stack: Vec<FoundFile>) -> Vec<Request> {
        (self.film, self.pointer) = (None, None);
        self.measurements.select(None);
        let next = match self.reformat.as_ref().map(|reformat| reformat.plane) {
            None => Some(ReformatPlane::Sagittal),
            Some(ReformatPlane::Sagittal) => Some(ReformatPlane::Coronal),
            Some(ReformatPlane::Coronal) => Some(ReformatPlane::Axial),
            Some(ReformatPlane::Axial) => None,
        };
        self.view.aim = Aim::default();
        match (next, &mut self.reformat) {
            (Some(plane), Some(reformat)) => reformat.plane = plane,
            (None, _) => self.reformat = None,
            (Some(plane), None) => {
                self.begin_reformat(stack, plane);
            }
        }
        Vec::new()
    }

    fn begin_reformat(&mut self, stack: Vec<FoundFile>, plane: ReformatPlane) {
        self.volume_progress = None;
        self.reformat = Some(Reformat {
            stack: stack.into(),
            plane,
            all_planes: false,
            at: None,
            slab: None,
        });
    }

    /// Shows the three planes side by side, or again the one in focus alone. `stack` as in [`Self::next_plane`].
    pub(in crate::app) fn toggle_planes(&mut self, stack: Vec<FoundFile>) {
        (self.film, self.pointer) = (None, None);
        self.measurements.select(None);
        self.view.aim = Aim::default();
        if self.reformat.is_none() {
            self.begin_reformat(stack, ReformatPlane::Axial);
        }
        if let Some(reformat) = &mut self.reformat {
            reformat.all_planes = !reformat.all_planes;
        }
    }

    /// Notes how much of the volume has been read.
    pub(in crate::app) fn note_volume_progress(&mut self, progress: VolumeProgress) {
        self.volume_progress = self.is_reformatting().then_some(progress);
    }

    /// How much of the volume has been read, while that lasts.
    pub(crate) fn volume_progress(&self) -> Option<VolumeProgress> {
        self.volume_progress.filter(|_| self.is_reformatting())
    }

    /// Shows the brightest values of a slab, then the darkest, then a single plane again.
    pub(super) fn next_projection(&mut self) -> Vec<Request> {
        let Some(reformat) = &mut self.reformat else {
            return vec![Request::info("slabs are of reformats: show one first")];
        };
        let thickness = |slab: Option<Slab>| slab.map_or(DEFAULT_THICKNESS, |s| s.thickness_mm);
        let thickness_mm = thickness(reformat.slab);
        let projection = match reformat.slab.map(|slab| slab.projection) {
            None => Some(Projection::Maximum),
            Some(Projection::Maximum) => Some(Projection::Minimum),
            Some(Projection::Minimum) => None,
        };
        reformat.slab = projection.map(|projection| Slab {
            projection,
            thickness_mm,
        });
        Vec::new()
    }

    /// Makes the slab thicker or thinner; false if there is none.
    pub(super) fn change_thickness(&mut self, thicker: bool) -> bool {
        let reformat = self.reformat.as_mut();
        let Some(slab) = reformat.and_then(|reformat| reformat.slab.as_mut()) else {
            return false;
        };
        let mut known = THICKNESSES.iter();
        let next = if thicker {
            known.find(|known| **known > slab.thickness_mm)
        } else {
            known.rfind(|known| **known < slab.thickness_mm)
        };
        slab.thickness_mm = next.copied().unwrap_or(slab.thickness_mm);
        true
    }

    /// Moves through the volume, perpendicular to the plane shown; false if no reformat is shown.
    pub(super) fn move_plane(&mut self, distance: isize) -> bool {
        let Some(view) = self.volume_view() else {
            return self.reformat.is_some();
        };
        let through = self.axes_in_focus(&view).through;
        self.move_cross(view, through, |at, last| {
            // Towards the back, the right and the feet, as the planes lie one behind the other.
            (at as usize)
                .saturating_add_signed(distance)
                .min(last as usize) as u32
        });
        true
    }

    /// Puts the cross on a pixel of the plane shown; false if no reformat is shown.
    pub(super) fn place_cross(&mut self, (x, y): (u32, u32)) -> bool {
        let Some(view) = self.volume_view() else {
            return false;
        };
        let (axes, (x, y)) = match view.panels {
            None => (view.axes, (x, y)),
            Some(panels) => {
                let hit = panels.iter().find(|panel| panel.area.contains((x, y)));
                // Between the panels lies nothing.
                let Some(panel) = hit else { return true };
                if let Some(reformat) = &mut self.reformat {
                    reformat.plane = panel.plane;
                }
                let (axes, area) = (panel.axes, panel.area);
                let voxel = |from: u32, pixels: u32, axis: usize| {
                    let voxels = u64::from(view.size[axis]);
                    (u64::from(from) * voxels / u64::from(pixels.max(1))) as u32
                };
                let x = voxel(x - area.x, area.width, axes.across);
                (axes, (x, voxel(y - area.y, area.height, axes.down)))
            }
        };
        for (axis, seen, flipped) in [
            (axes.across, x, axes.flipped[0]),
            (axes.down, y, axes.flipped[1]),
        ] {
            self.move_cross(view, axis, |_, last| {
                let seen = seen.min(last);
                if flipped { last - seen } else { seen }
            });
        }
        true
    }

    /// The axes of the plane in focus.
    fn axes_in_focus(&self, view: &VolumeView) -> PlaneAxes {
        let plane = self.reformat.as_ref().map(|reformat| reformat.plane);
        let panels = view.panels.iter().flatten();
        let mut focused = panels.filter(|panel| Some(panel.plane) == plane);
        focused.next().map_or(view.axes, |panel| panel.axes)
    }

    fn move_cross(&mut self, view: VolumeView, axis: usize, to: impl Fn(u32, u32) -> u32) {
        if let Some(reformat) = &mut self.reformat {
            let at = reformat.at.get_or_insert(view.at);
            at[axis] = to(at[axis], view.size[axis] - 1);
        }
    }

    /// How the plane shown lies in its volume.
    fn volume_view(&self) -> Option<VolumeView> {
        self.reformat.as_ref()?;
        self.image.as_ref()?.scene.volume
    }
}
