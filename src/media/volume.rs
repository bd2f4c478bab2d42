//! Slices of equal geometry as a volume, and its reformats: planes across the slices (MPR), and the brightest or darkest values
//! of slabs.
//!
//! Voxels stay as they were decoded, and a reformat has the volume's own grid: its pixels are not square where slices are
//! farther apart than pixels. Nothing is interpolated.

mod lattice;
mod panels;

use crate::budget::Reserved;
use crate::grey::samples::Samples;
use crate::{Frame, Geometry, Grey, GreyTransform, Modality, Spacing};
pub use lattice::{Lattice, SlicePlace, VolumeError};
pub use panels::PlanePanel;

/// A plane of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReformatPlane {
    /// From the patient's feet: right and left, front and back.
    Axial,
    /// From the patient's left: front and back, head and feet.
    Sagittal,
    /// From the patient's front: right and left, head and feet.
    Coronal,
}

impl ReformatPlane {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Axial => "axial",
            Self::Sagittal => "sagittal",
            Self::Coronal => "coronal",
        }
    }

    /// Directions to the right, down and into the image, in the patient's coordinates.
    fn directions(self) -> [[f64; 3]; 3] {
        let (left, back, feet) = ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]);
        match self {
            Self::Axial => [left, back, feet],
            Self::Sagittal => [back, feet, left],
            Self::Coronal => [left, feet, back],
        }
    }
}

/// Which values of a slab are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Projection {
    /// The largest (MIP), as for vessels with contrast agent.
    Maximum,
    /// The smallest (MinIP), as for airways.
    Minimum,
}

/// Several planes shown as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slab {
    /// Which of their values are shown.
    pub projection: Projection,
    /// Thickness in millimetres.
    pub thickness_mm: f64,
}

/// How a reformat lies in its volume. Axes: 0 counts columns of the slices, 1 their rows, 2 the slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneAxes {
    /// The axis that the plane is perpendicular to.
    pub through: usize,
    /// The axis from left to right.
    pub across: usize,
    /// The axis from top to bottom.
    pub down: usize,
    /// Whether the axes across and down count from the right and from the bottom.
    pub flipped: [bool; 2],
}

/// The slices of a volume, decoded.
pub struct Volume {
    lattice: Lattice,
    slices: Vec<Reserved<Frame>>,
}

impl Volume {
    /// A volume of frames in the lattice's order ([`Lattice::order`]).
    ///
    /// # Errors
    ///
    /// Colour has no values to compare; a frame of another size than its place was made for.
    pub fn new(lattice: Lattice, slices: Vec<Reserved<Frame>>) -> Result<Self, VolumeError> {
        let [columns, rows, count] = lattice.size();
        for (at, slice) in slices.iter().enumerate() {
            let name = || lattice.name(at);
            match &**slice {
                Frame::Color(_) => return Err(VolumeError::Color { name: name() }),
                Frame::Grey(grey) if (grey.width, grey.height) != (columns, rows) => {
                    return Err(VolumeError::Size {
                        name: name(),
                        found: (grey.width, grey.height),
                        expected: (columns, rows),
                    });
                }
                Frame::Grey(_) => {}
            }
        }
        if slices.len() == count as usize {
            Ok(Self { lattice, slices })
        } else {
            Err(VolumeError::TooFew {
                count: slices.len(),
            })
        }
    }

    /// How the slices lie in the patient.
    pub fn lattice(&self) -> &Lattice {
        &self.lattice
    }

    /// The plane at an index along the axis through it, with its geometry; with a slab, the planes around it that lie within
    /// its thickness, as far as there are any. Padding counts only where there is nothing else.
    pub fn reformat(
        &self,
        plane: ReformatPlane,
        at: u32,
        slab: Option<Slab>,
    ) -> Option<(Grey, Geometry)> {
        let axes = self.lattice.axes(plane);
        let size = self.lattice.size();
        let at = at.min(size[axes.through] - 1);
        let planes = self
            .lattice
            .slab(axes, at, slab.map(|slab| slab.thickness_mm));
        let (width, height) = (size[axes.across], size[axes.down]);
        let index = |seen: u32, count: u32, flipped: bool| {
            if flipped { count - 1 - seen } else { seen }
        };
        let mut values = Vec::with_capacity(width as usize * height as usize);
        for y in 0..height {
            for x in 0..width {
                let mut voxel = [0; 3];
                voxel[axes.across] = index(x, width, axes.flipped[0]);
                voxel[axes.down] = index(y, height, axes.flipped[1]);
                values.push(self.projected(voxel, axes.through, planes.clone(), slab)?);
            }
        }
        let first = self.grey(0)?.transform();
        let transform = GreyTransform {
            modality: Modality::Linear {
                slope: 1.0,
                intercept: 0.0,
            },
            unit: first.unit.clone(),
            own: first.own.clone(),
            padding: None,
            nominal: None,
            inverted: first.inverted,
            real: first.real,
        };
        let grey = Grey::new(width, height, Samples::F64(values), transform);
        Some((grey, self.lattice.geometry(axes, at)))
    }

    fn grey(&self, slice: usize) -> Option<&Grey> {
        match self.slices.get(slice).map(|slice| &**slice) {
            Some(Frame::Grey(grey)) => Some(grey),
            _ => None,
        }
    }

    /// The value of a voxel, or of those beside it along an axis.
    fn projected(
        &self,
        mut voxel: [u32; 3],
        axis: usize,
        planes: std::ops::Range<u32>,
        slab: Option<Slab>,
    ) -> Option<f64> {
        let (mut best, mut padding) = (None, None);
        for at in planes {
            voxel[axis] = at;
            let grey = self.grey(voxel[2] as usize)?;
            let value = grey.value(voxel[0], voxel[1])?;
            let kept = if grey.is_padding(voxel[0], voxel[1]) {
                &mut padding
            } else {
                &mut best
            };
            *kept = Some(match (*kept, slab.map(|slab| slab.projection)) {
                (Some(known), Some(Projection::Maximum)) => value.max(known),
                (Some(known), Some(Projection::Minimum)) => value.min(known),
                (_, _) => value,
            });
        }
        best.or(padding)
    }
}

impl Lattice {
    /// How a plane lies in the volume.
    pub fn axes(&self, plane: ReformatPlane) -> PlaneAxes {
        let [right, down, into] = plane.directions();
        let along = |axis: usize, wanted: [f64; 3]| {
            let direction = self.directions()[axis];
            direction[0] * wanted[0] + direction[1] * wanted[1] + direction[2] * wanted[2]
        };
        let nearest = |wanted: [f64; 3], axes: &[usize]| {
            let largest = |a: &&usize, b: &&usize| {
                along(**a, wanted)
                    .abs()
                    .total_cmp(&along(**b, wanted).abs())
            };
            axes.iter().max_by(largest).copied().unwrap_or(0)
        };
        let through = nearest(into, &[0, 1, 2]);
        let others: Vec<usize> = (0..3).filter(|axis| *axis != through).collect();
        let across = nearest(right, &others);
        let vertical = others[usize::from(others[0] == across)];
        PlaneAxes {
            through,
            across,
            down: vertical,
            flipped: [along(across, right) < 0.0, along(vertical, down) < 0.0],
        }
    }

    /// The indices, along the axis through a plane, of the planes that a slab of some thickness around it holds.
    fn slab(&self, axes: PlaneAxes, at: u32, thickness: Option<f64>) -> std::ops::Range<u32> {
        let (count, step) = (self.size()[axes.through], self.steps()[axes.through]);
        let planes = thickness.map_or(1.0, |mm| (mm / step).round().max(1.0));
        let planes = if planes.is_finite() {
            planes.min(f64::from(count)) as u32
        } else {
            1
        };
        let first = at.saturating_sub((planes - 1) / 2).min(count - planes);
        first..first + planes
    }

    /// How a plane lies in the patient.
    fn geometry(&self, axes: PlaneAxes, at: u32) -> Geometry {
        let (size, steps) = (self.size(), self.steps());
        let turned = |axis: usize, flipped: bool| {
            self.directions()[axis].map(|part| if flipped { -part } else { part })
        };
        let (right, down) = (
            turned(axes.across, axes.flipped[0]),
            turned(axes.down, axes.flipped[1]),
        );
        let mut first = [0; 3];
        first[axes.through] = at;
        for (axis, flipped) in [(axes.across, axes.flipped[0]), (axes.down, axes.flipped[1])] {
            first[axis] = if flipped { size[axis] - 1 } else { 0 };
        }
        let (columns_mm, rows_mm) = (steps[axes.across], steps[axes.down]);
        Geometry {
            spacing: Some(Spacing {
                rows_mm,
                columns_mm,
                at_detector: false,
                within: None,
            }),
            aspect: rows_mm / columns_mm,
            orientation: Some([right[0], right[1], right[2], down[0], down[1], down[2]]),
            position: Some(self.point(first)),
            patient_orientation: None,
        }
    }
}

#[cfg(test)]
mod tests;
