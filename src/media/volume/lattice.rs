//! How the slices of a volume lie in the patient, and whether they make a volume at all.

use crate::Geometry;

/// Fewest slices of a volume.
const MIN_SLICES: usize = 3;
/// Largest difference of directions, as a sum over their cosines.
const MAX_TURN: f64 = 1e-3;
/// Largest relative difference of spacings and gaps.
const MAX_UNEVENNESS: f64 = 0.01;
/// Largest difference of gaps that rounded positions explain, in millimetres.
const ROUNDING_MM: f64 = 0.02;

/// A slice before it is decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct SlicePlace {
    /// What errors call it: a file's name, or a frame.
    pub name: String,
    /// Columns and rows.
    pub size: (u32, u32),
    /// How it lies in the patient.
    pub geometry: Geometry,
}

/// Why slices make no volume. Each names the first slice that differs and says how.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum VolumeError {
    /// There are not enough slices.
    #[error("{count} slices are too few for a reformat, which takes {MIN_SLICES} or more")]
    TooFew {
        /// Their number.
        count: usize,
    },
    /// The object does not tell where the slice lies.
    #[error(
        "{name} does not say where its slice lies, how it is oriented, and how far its pixels are apart"
    )]
    Unplaced {
        /// The slice.
        name: String,
    },
    /// Its matrix differs.
    #[error("{name} has {} × {} pixels, the others have {} × {}", found.0, found.1, expected.0, expected.1)]
    Size {
        /// The slice.
        name: String,
        /// Its columns and rows.
        found: (u32, u32),
        /// Those of the others.
        expected: (u32, u32),
    },
    /// Its pixels are at other distances.
    #[error("{name} has pixels {:.4} × {:.4} mm apart, the others {:.4} × {:.4} mm", found.0, found.1, expected.0, expected.1)]
    Spacing {
        /// The slice.
        name: String,
        /// Millimetres between its columns and rows.
        found: (f64, f64),
        /// Those of the others.
        expected: (f64, f64),
    },
    /// It is turned against the others.
    #[error("{name} is oriented differently from the others")]
    Orientation {
        /// The slice.
        name: String,
    },
    /// It is moved sideways against the others, as with a tilted gantry.
    #[error(
        "{name} is shifted sideways by {shift:.2} mm: the slices are not stacked at right angles (tilted gantry?)"
    )]
    Shifted {
        /// The slice.
        name: String,
        /// The shift in millimetres.
        shift: f64,
    },
    /// Two slices lie at one place.
    #[error(
        "{name} and {other} lie at the same place: the series holds several stacks or points of time"
    )]
    SamePlace {
        /// A slice.
        name: String,
        /// Another.
        other: String,
    },
    /// A gap differs from the others.
    #[error(
        "the gap before {name} is {gap:.2} mm, the others are {expected:.2} mm: slices are missing or unevenly spaced"
    )]
    Gap {
        /// The slice after the gap.
        name: String,
        /// The gap in millimetres.
        gap: f64,
        /// The median of all gaps.
        expected: f64,
    },
    /// It has colours instead of values.
    #[error("{name} is a colour image")]
    Color {
        /// The slice.
        name: String,
    },
}

/// How the voxels of a volume lie in the patient. Axes: 0 counts columns, 1 rows, 2 slices.
#[derive(Clone, Debug, PartialEq)]
pub struct Lattice {
    size: [u32; 3],
    steps: [f64; 3],
    directions: [[f64; 3]; 3],
    origin: [f64; 3],
    order: Vec<usize>,
    names: Vec<String>,
}

impl Lattice {
    /// The lattice of slices in any order.
    ///
    /// # Errors
    ///
    /// Fails unless all slices have one matrix, spacing and orientation, and lie one behind the other at even gaps.
    pub fn new(places: &[SlicePlace]) -> Result<Self, VolumeError> {
        let [first, ..] = places else {
            return Err(VolumeError::TooFew { count: 0 });
        };
        let model = Placed::new(first)?;
        let mut slices = Vec::with_capacity(places.len());
        for (at, place) in places.iter().enumerate() {
            let placed = Placed::new(place)?;
            placed.check(place, first, &model)?;
            slices.push((dot(model.normal(), placed.position), at, placed.position));
        }
        if slices.len() < MIN_SLICES {
            return Err(VolumeError::TooFew {
                count: slices.len(),
            });
        }
        slices.sort_by(|a, b| a.0.total_cmp(&b.0));
        let name = |at: usize| places[at].name.clone();
        let (origin, normal) = (slices[0].2, model.normal());
        for (depth, at, position) in &slices {
            let along = normal.map(|part| part * (depth - slices[0].0));
            let aside = [0, 1, 2].map(|i| position[i] - origin[i] - along[i]);
            let shift = dot(aside, aside).sqrt();
            if shift > (model.steps[0] * 0.5).max(ROUNDING_MM) {
                return Err(VolumeError::Shifted {
                    name: name(*at),
                    shift,
                });
            }
        }
        let gaps: Vec<f64> = slices
            .windows(2)
            .map(|pair| pair[1].0 - pair[0].0)
            .collect();
        for (gap, pair) in gaps.iter().zip(slices.windows(2)) {
            if *gap <= ROUNDING_MM / 2.0 {
                return Err(VolumeError::SamePlace {
                    name: name(pair[0].1),
                    other: name(pair[1].1),
                });
            }
        }
        let mut sorted = gaps.clone();
        sorted.sort_by(f64::total_cmp);
        let expected = sorted[(sorted.len() - 1) / 2];
        for (gap, pair) in gaps.iter().zip(slices.windows(2)) {
            if (gap - expected).abs() > (expected * MAX_UNEVENNESS).max(ROUNDING_MM) {
                return Err(VolumeError::Gap {
                    name: name(pair[1].1),
                    gap: *gap,
                    expected,
                });
            }
        }
        let order: Vec<usize> = slices.iter().map(|(_, at, _)| *at).collect();
        let mean = (slices[slices.len() - 1].0 - slices[0].0) / (slices.len() - 1) as f64;
        Ok(Self {
            size: [first.size.0, first.size.1, slices.len() as u32],
            steps: [model.steps[0], model.steps[1], mean],
            directions: [model.across, model.down, normal],
            origin,
            names: order.iter().map(|at| name(*at)).collect(),
            order,
        })
    }

    /// Columns, rows, slices.
    pub fn size(&self) -> [u32; 3] {
        self.size
    }

    /// Millimetres between columns, rows, slices.
    pub fn steps(&self) -> [f64; 3] {
        self.steps
    }

    /// The indices of the given slices, in the order in which they lie.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Unit vectors along the axes.
    pub(super) fn directions(&self) -> [[f64; 3]; 3] {
        self.directions
    }

    /// The name of the slice at an index along its axis.
    pub(super) fn name(&self, at: usize) -> String {
        self.names.get(at).cloned().unwrap_or_default()
    }

    /// The middle of a voxel in the patient, in millimetres.
    pub(super) fn point(&self, voxel: [u32; 3]) -> [f64; 3] {
        [0, 1, 2].map(|i| {
            let along =
                |axis: usize| self.directions[axis][i] * self.steps[axis] * f64::from(voxel[axis]);
            self.origin[i] + along(0) + along(1) + along(2)
        })
    }
}

/// The geometry of a slice that tells all of it.
struct Placed {
    position: [f64; 3],
    across: [f64; 3],
    down: [f64; 3],
    /// Millimetres between columns and rows.
    steps: [f64; 2],
}

impl Placed {
    fn new(place: &SlicePlace) -> Result<Self, VolumeError> {
        let read = || {
            let geometry = &place.geometry;
            let spacing = geometry.spacing.filter(|spacing| !spacing.at_detector)?;
            let [a, b, c, d, e, f] = geometry.orientation?;
            let (across, down) = ([a, b, c], [d, e, f]);
            let is_unit = |v: [f64; 3]| (dot(v, v) - 1.0).abs() < MAX_TURN;
            let position = geometry.position?;
            let valid = is_unit(across)
                && is_unit(down)
                && dot(across, down).abs() < MAX_TURN
                && position.iter().all(|part| part.is_finite());
            valid.then_some(Self {
                position,
                across,
                down,
                steps: [spacing.columns_mm, spacing.rows_mm],
            })
        };
        read().ok_or_else(|| VolumeError::Unplaced {
            name: place.name.clone(),
        })
    }

    fn normal(&self) -> [f64; 3] {
        let (a, d) = (self.across, self.down);
        [
            a[1] * d[2] - a[2] * d[1],
            a[2] * d[0] - a[0] * d[2],
            a[0] * d[1] - a[1] * d[0],
        ]
    }

    /// Compares this slice's matrix, spacing and orientation with those of the first.
    fn check(
        &self,
        place: &SlicePlace,
        first: &SlicePlace,
        model: &Self,
    ) -> Result<(), VolumeError> {
        let name = place.name.clone();
        if place.size != first.size {
            return Err(VolumeError::Size {
                name,
                found: place.size,
                expected: first.size,
            });
        }
        let uneven =
            |i: usize| (self.steps[i] - model.steps[i]).abs() > model.steps[i] * MAX_UNEVENNESS;
        if uneven(0) || uneven(1) {
            return Err(VolumeError::Spacing {
                name,
                found: (self.steps[0], self.steps[1]),
                expected: (model.steps[0], model.steps[1]),
            });
        }
        let turn = |a: [f64; 3], b: [f64; 3]| (0..3).map(|i| (a[i] - b[i]).abs()).sum::<f64>();
        if turn(self.across, model.across) + turn(self.down, model.down) > MAX_TURN {
            return Err(VolumeError::Orientation { name });
        }
        Ok(())
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
