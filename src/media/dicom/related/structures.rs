//! RT structure sets (PS3.3 A.19): contours of regions of interest, in millimetres in the patient.

use std::collections::HashMap;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::plane::ImagePlane;
use super::values::{ImageReferences, charset, default_color, text, uid};
use crate::dicom::parsing::dataset::{DataSet, DataSetExt};
use crate::dicom::tags::phi;
use crate::related::{Annotation, AnnotationShape, Layers, Legend, TargetFrame, Wording};

/// Half the slice thickness of an image that gives none, in millimetres.
const DEFAULT_HALF_THICKNESS: f64 = 0.5;

/// The regions of interest of a structure set.
pub(crate) struct Structures {
    regions: Vec<RegionOfInterest>,
}

/// A region of interest.
struct RegionOfInterest {
    number: u32,
    name: Wording,
    color: [u8; 3],
    /// UID of the Frame of Reference of its points.
    frame_of_reference: String,
    contours: Vec<Contour>,
}

/// A contour, or isolated points.
struct Contour {
    images: ImageReferences,
    kind: ContourKind,
    points: Vec<[f32; 3]>,
}

/// Contour Geometric Type (3006,0042).
#[derive(Clone, Copy, Debug, PartialEq)]
enum ContourKind {
    /// Isolated points.
    Points,
    /// An open line.
    Open,
    /// A closed line.
    Closed,
}

impl Structures {
    pub(super) fn read(set: &DataSet) -> Self {
        let charset = charset(set);
        let mut named: HashMap<u32, (String, Wording)> = HashMap::new();
        for roi in set.items(tags::STRUCTURE_SET_ROI_SEQUENCE) {
            let Some(number) = roi.decimal(tags::ROI_NUMBER) else {
                continue;
            };
            let name = Wording {
                text: text(roi, tags::ROI_NAME, VR::LO, charset),
                identifying: phi::identifies(tags::ROI_NAME, VR::LO),
            };
            named.insert(
                number as u32,
                (uid(roi, tags::REFERENCED_FRAME_OF_REFERENCE_UID), name),
            );
        }
        let items = set.items(tags::ROI_CONTOUR_SEQUENCE);
        let region = |item: &DataSet| {
            let number = item.decimal(tags::REFERENCED_ROI_NUMBER)? as u32;
            let (frame_of_reference, name) = named.get(&number).cloned().unwrap_or_default();
            let contours = item.items(tags::CONTOUR_SEQUENCE);
            Some(RegionOfInterest {
                number,
                name,
                color: color(item).unwrap_or_else(|| default_color(number)),
                frame_of_reference,
                contours: contours.iter().filter_map(contour).collect(),
            })
        };
        Self {
            regions: items.iter().filter_map(region).collect(),
        }
    }

    /// The contours on a frame of an image: those that name it, and those that name no image but lie within half a
    /// slice of it.
    pub(super) fn layers(&self, target: &TargetFrame) -> Layers {
        let mut layers = Layers::default();
        let Some(plane) = ImagePlane::from_geometry(&target.geometry) else {
            let remark =
                "the position of this image in the patient is not known: contours are not drawn";
            layers.remarks.push(remark.to_owned());
            return layers;
        };
        let named = self
            .contours()
            .any(|contour| contour.images.include(target));
        let half = target.thickness.map_or(DEFAULT_HALF_THICKNESS, |t| t / 2.0) + 1e-3;
        let mut across = false;
        for region in &self.regions {
            let here = region.frame_of_reference.is_empty()
                || region.frame_of_reference == target.frame_of_reference;
            let before = layers.annotations.len();
            for contour in &region.contours {
                let belongs = match (contour.images.is_empty(), named) {
                    (false, true) => contour.images.include(target),
                    _ => here && contour.is_near(&plane, half, &mut across),
                };
                if belongs {
                    layers
                        .annotations
                        .extend(contour.shapes(&plane, region.color));
                }
            }
            if layers.annotations.len() > before {
                layers.legend.push(Legend {
                    color: region.color,
                    number: region.number,
                    name: region.name.clone(),
                });
            }
        }
        if across && layers.annotations.is_empty() {
            let remark = "its contours are not parallel to this image and are not drawn";
            layers.remarks.push(remark.to_owned());
        }
        layers
    }

    fn contours(&self) -> impl Iterator<Item = &Contour> {
        self.regions.iter().flat_map(|region| &region.contours)
    }
}

impl Contour {
    /// Whether the whole contour lies within `half` millimetres of a plane; sets `across` if it passes through it.
    fn is_near(&self, plane: &ImagePlane, half: f64, across: &mut bool) -> bool {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for point in &self.points {
            let distance = plane.distance(point.map(f64::from));
            (low, high) = (low.min(distance), high.max(distance));
        }
        let near = low >= -half && high <= half;
        *across |= !near && low <= half && high >= -half;
        near
    }

    fn shapes(&self, plane: &ImagePlane, color: [u8; 3]) -> Vec<Annotation> {
        let mut points: Vec<[f64; 2]> = self
            .points
            .iter()
            .map(|point| plane.pixel(point.map(f64::from)))
            .collect();
        let annotation = |shape| Annotation {
            shape,
            color: Some(color),
        };
        match self.kind {
            ContourKind::Points => {
                let all = points.into_iter();
                all.map(|point| annotation(AnnotationShape::Point(point)))
                    .collect()
            }
            ContourKind::Open => vec![annotation(AnnotationShape::Line(points))],
            ContourKind::Closed => {
                points.extend(points.first().copied());
                vec![annotation(AnnotationShape::Line(points))]
            }
        }
    }
}

fn contour(item: &DataSet) -> Option<Contour> {
    let kind = match item.first(tags::CONTOUR_GEOMETRIC_TYPE).as_deref() {
        Some("POINT") => ContourKind::Points,
        Some("OPEN_PLANAR" | "OPEN_NONPLANAR") => ContourKind::Open,
        Some("CLOSED_PLANAR" | "CLOSEDPLANAR_XOR") => ContourKind::Closed,
        _ => return None,
    };
    let numbers = item.decimals(tags::CONTOUR_DATA);
    let points = numbers.as_chunks::<3>().0.iter();
    let points: Vec<[f32; 3]> = points.map(|point| point.map(|v| v as f32)).collect();
    let images = ImageReferences::read(item, tags::CONTOUR_IMAGE_SEQUENCE);
    (!points.is_empty()).then_some(Contour {
        images,
        kind,
        points,
    })
}

/// ROI Display Color (3006,002A): red, green, blue.
fn color(item: &DataSet) -> Option<[u8; 3]> {
    let parts: [f64; 3] = item.decimals(tags::ROI_DISPLAY_COLOR).try_into().ok()?;
    Some(parts.map(|part| part.clamp(0.0, 255.0) as u8))
}
