//! The three planes of a volume side by side, as one image of square pixels.

use super::{PlaneAxes, ReformatPlane, Slab, Volume};
use crate::grey::samples::Samples;
use crate::{Geometry, Grey, GreyTransform, PixelRect, Spacing};

/// The planes in the order in which they are laid out.
const PLANES: [ReformatPlane; 3] = [
    ReformatPlane::Axial,
    ReformatPlane::Sagittal,
    ReformatPlane::Coronal,
];
/// Maximum pixels of a panel along its longer side.
const MAX_PANEL_SIDE: f64 = 1024.0;
/// Gap between panels, as a share of the longest side of a panel.
const GAP_SHARE: f64 = 0.02;

/// One of the planes of a volume that are shown side by side in one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanePanel {
    /// The plane.
    pub plane: ReformatPlane,
    /// The axes of the volume that it shows.
    pub axes: PlaneAxes,
    /// Its pixels within the image.
    pub area: PixelRect,
    /// The patient directions at its left and upper edge.
    pub edges: Option<(char, char)>,
}

impl PlanePanel {
    /// Where the cross at a voxel lies, in columns and rows of the image. `size`: of the volume.
    pub fn cross(&self, at: [u32; 3], size: [u32; 3]) -> (f64, f64) {
        let share = |axis: usize, flipped: bool| {
            let (at, count) = (at[axis], size[axis]);
            let seen = if flipped { count - 1 - at } else { at };
            (f64::from(seen) + 0.5) / f64::from(count)
        };
        let (axes, area) = (self.axes, self.area);
        (
            f64::from(area.x) + share(axes.across, axes.flipped[0]) * f64::from(area.width),
            f64::from(area.y) + share(axes.down, axes.flipped[1]) * f64::from(area.height),
        )
    }
}

/// A plane with its size in millimetres.
struct SizedPlane {
    plane: ReformatPlane,
    grey: Grey,
    geometry: Geometry,
    size: [f64; 2],
}

impl Volume {
    /// The planes through a voxel as one image of square pixels, arranged to fit `room` screen pixels best. Its spacing holds in
    /// the panel of `focus`. `None` if the voxel lies outside the volume.
    pub fn side_by_side(
        &self,
        focus: ReformatPlane,
        at: [u32; 3],
        slab: Option<Slab>,
        room: (u32, u32),
    ) -> Option<(Grey, Geometry, [PlanePanel; 3])> {
        let lattice = self.lattice();
        let sized = |plane: ReformatPlane| {
            let axes = lattice.axes(plane);
            let (grey, geometry) = self.reformat(plane, at[axes.through], slab)?;
            let steps = lattice.steps();
            let size = [
                f64::from(grey.width) * steps[axes.across],
                f64::from(grey.height) * steps[axes.down],
            ];
            Some(SizedPlane {
                plane,
                grey,
                geometry,
                size,
            })
        };
        let [axial, sagittal, coronal] = PLANES.map(sized);
        let planes = [axial?, sagittal?, coronal?];
        let longest = planes
            .iter()
            .flat_map(|plane| plane.size)
            .fold(0.0, f64::max);
        let finest = lattice.steps().into_iter().fold(f64::INFINITY, f64::min);
        let scale = finest.max(longest / MAX_PANEL_SIDE);
        let sizes = planes
            .each_ref()
            .map(|plane| plane.size.map(|mm| ((mm / scale).round() as u32).max(1)));
        let gap = ((longest / scale * GAP_SHARE) as u32).max(2);
        let (places, (width, height)) = arranged(sizes, gap, room);
        let panels = [0, 1, 2].map(|n| PlanePanel {
            plane: planes[n].plane,
            axes: lattice.axes(planes[n].plane),
            area: PixelRect {
                x: places[n].0,
                y: places[n].1,
                width: sizes[n][0],
                height: sizes[n][1],
            },
            edges: planes[n].geometry.letters().map(|letters| {
                let first = |text: String| text.chars().next().unwrap_or(' ');
                (first(letters.left), first(letters.top))
            }),
        });
        let (samples, outside) = composed(&planes, &panels, (width, height))?;
        let first = planes[0].grey.transform().clone();
        // The gaps are padding: no window is derived from them.
        let transform = GreyTransform {
            padding: Some((outside, outside)),
            ..first
        };
        let focus = panels.iter().find(|panel| panel.plane == focus)?;
        let geometry = Geometry {
            spacing: Some(Spacing {
                rows_mm: scale,
                columns_mm: scale,
                at_detector: false,
                within: Some(focus.area),
            }),
            aspect: 1.0,
            orientation: None,
            position: None,
            patient_orientation: None,
        };
        let grey = Grey::new(width, height, Samples::F64(samples), transform);
        Some((grey, geometry, panels))
    }
}

/// Where panels of these sizes lie, and the size of all: in a row, in a column, or the last two beside the first, as each is
/// largest in the room.
fn arranged(sizes: [[u32; 2]; 3], gap: u32, room: (u32, u32)) -> ([(u32, u32); 3], (u32, u32)) {
    let [[aw, ah], [bw, bh], [cw, ch]] = sizes;
    let row = (
        [(0, 0), (aw + gap, 0), (aw + bw + 2 * gap, 0)],
        (aw + bw + cw + 2 * gap, ah.max(bh).max(ch)),
    );
    let column = (
        [(0, 0), (0, ah + gap), (0, ah + bh + 2 * gap)],
        (aw.max(bw).max(cw), ah + bh + ch + 2 * gap),
    );
    let beside = (
        [(0, 0), (aw + gap, 0), (aw + gap, bh + gap)],
        (aw + gap + bw.max(cw), ah.max(bh + gap + ch)),
    );
    let scale = |(_, (width, height)): &([(u32, u32); 3], (u32, u32))| {
        let across = f64::from(room.0) / f64::from(*width);
        across.min(f64::from(room.1) / f64::from(*height))
    };
    let mut best = row;
    for other in [beside, column] {
        if scale(&other) > scale(&best) {
            best = other;
        }
    }
    best
}

/// The values of all panels, each pixel that of the nearest voxel, and the value of the pixels outside.
fn composed(
    planes: &[SizedPlane; 3],
    panels: &[PlanePanel; 3],
    (width, height): (u32, u32),
) -> Option<(Vec<f64>, f64)> {
    let mut samples = vec![f64::NAN; width as usize * height as usize];
    let mut lowest = f64::INFINITY;
    for (plane, PlanePanel { area, .. }) in planes.iter().zip(panels) {
        let grey = &plane.grey;
        let columns: Vec<u32> = (0..area.width)
            .map(|x| nearest(x, area.width, grey.width))
            .collect();
        for y in 0..area.height {
            let from = nearest(y, area.height, grey.height);
            let start = (area.y + y) as usize * width as usize + area.x as usize;
            let line = samples.get_mut(start..start + area.width as usize)?;
            for (sample, x) in line.iter_mut().zip(&columns) {
                *sample = grey.value(*x, from)?;
                lowest = lowest.min(*sample);
            }
        }
    }
    let outside = lowest - 1.0;
    for sample in &mut samples {
        if sample.is_nan() {
            *sample = outside;
        }
    }
    Some((samples, outside))
}

/// The voxel of `voxels` whose centre is nearest to that of a pixel of `pixels`.
fn nearest(pixel: u32, pixels: u32, voxels: u32) -> u32 {
    let at = (f64::from(pixel) + 0.5) * f64::from(voxels) / f64::from(pixels);
    (at as u32).min(voxels - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_arranged_as_they_are_largest() {
        let sizes = [[100, 100], [100, 50], [100, 50]];
        let (places, size) = arranged(sizes, 4, (900, 300));
        assert_eq!((places[2], size), ((208, 0), (308, 100)), "in a row");
        let (places, size) = arranged(sizes, 4, (300, 700));
        assert_eq!((places[2], size), ((0, 158), (100, 208)), "in a column");
        let (places, size) = arranged(sizes, 4, (400, 200));
        assert_eq!((places[2], size), ((104, 54), (204, 104)), "beside");
    }
}
