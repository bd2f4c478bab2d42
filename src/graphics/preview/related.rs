//! Overlays from related objects (segmentations, structure sets, presentation states). Each object is opened once, and the
//! overlays are composed again only for another image.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use super::store::FileVersion;
use crate::app::{About, Label, Overlaid};
use crate::media::{
    Annotation, AnnotationShape, ColorMap, Frame, Layers, Legend, MediaError, Picture, PixelRect,
    Pixels, Related, TargetFrame, clean,
};
use crate::view::placement::Placement;

/// Maximum number of objects kept open: about those of one study.
const MAX_OPEN: usize = 8;
/// Replaces a text that may identify the patient.
const MASK: &str = "•••";

/// The open objects, and the overlays composed last.
#[derive(Default)]
pub(super) struct OverlayComposer {
    open: VecDeque<(FileVersion, Result<Arc<Related>, MediaError>)>,
    latest: Option<(Overlaid, TargetFrame, Arc<ComposedOverlays>)>,
}

/// The overlays of one frame.
#[derive(Default)]
pub(super) struct ComposedOverlays {
    /// Opacity of colours, 0 to 1.
    opacity: f64,
    layers: Vec<Layers>,
    palette: Option<ColorMap>,
    show_phi: bool,
    pub legend: Vec<Legend>,
    /// Objects that could not be drawn, or not completely, and why.
    pub remarks: Vec<(PathBuf, String)>,
}

impl OverlayComposer {
    /// The frame as a presentation state shows it, and its overlays.
    pub(super) fn compose(
        &mut self,
        wanted: &Overlaid,
        frame: &Frame,
        target: Option<&TargetFrame>,
    ) -> (Frame, Arc<ComposedOverlays>) {
        let Some(target) = target.filter(|_| !wanted.objects.is_empty()) else {
            return (frame.clone(), Arc::default());
        };
        if size(frame) != (target.width, target.height) {
            // Objects refer to stored frames, not to the assembled level of a slide.
            let remark = "this image is assembled from many frames: nothing can be drawn over it";
            let paths = wanted.objects.iter().map(|(path, _)| path.clone());
            let composed = ComposedOverlays {
                remarks: paths.map(|path| (path, remark.to_owned())).collect(),
                ..ComposedOverlays::default()
            };
            return (frame.clone(), Arc::new(composed));
        }
        let (frame, faults) = self.presented(wanted, frame, target);
        if let Some((known, on, composed)) = &self.latest
            && (known, on) == (wanted, target)
        {
            return (frame, Arc::clone(composed));
        }
        let composed = Arc::new(self.layers(wanted, target, faults));
        self.latest = Some((wanted.clone(), target.clone(), Arc::clone(&composed)));
        (frame, composed)
    }

    /// The frame with the grey values that a presentation state specifies.
    fn presented(
        &mut self,
        wanted: &Overlaid,
        frame: &Frame,
        target: &TargetFrame,
    ) -> (Frame, Vec<(PathBuf, String)>) {
        let (mut shown, mut faults) = (frame.clone(), Vec::new());
        for (path, stamp) in &wanted.objects {
            let id = FileVersion {
                path: path.clone(),
                stamp: *stamp,
            };
            let object = self.object(&id);
            let presented = match (&shown, object) {
                (Frame::Grey(grey), Ok(object)) => object.present(grey, target),
                (_, Ok(_)) => Ok(None),
                (_, Err(error)) => Err(error),
            };
            match presented {
                Ok(Some(grey)) => shown = Frame::Grey(grey),
                Ok(None) => {}
                Err(error) => faults.push((path.clone(), error.message)),
            }
        }
        (shown, faults)
    }

    fn layers(
        &mut self,
        wanted: &Overlaid,
        target: &TargetFrame,
        remarks: Vec<(PathBuf, String)>,
    ) -> ComposedOverlays {
        let mut composed = ComposedOverlays {
            opacity: f64::from(wanted.opacity.min(100)) / 100.0,
            show_phi: wanted.show_phi,
            remarks,
            ..ComposedOverlays::default()
        };
        for (path, stamp) in &wanted.objects {
            let id = FileVersion {
                path: path.clone(),
                stamp: *stamp,
            };
            let Ok(object) = self.object(&id) else {
                continue;
            };
            let drawn = object
                .layers(target)
                .and_then(|layers| Ok((layers, object.color_map(target)?)));
            match drawn {
                Ok((mut layers, palette)) => {
                    composed.palette = palette.or(composed.palette.take());
                    composed.legend.append(&mut layers.legend);
                    let remarks = layers.remarks.drain(..);
                    composed
                        .remarks
                        .extend(remarks.map(|remark| (path.clone(), remark)));
                    composed.layers.push(layers);
                }
                Err(error) => composed.remarks.push((path.clone(), error.message)),
            }
        }
        composed
    }

    /// Returns the object, and opens it if necessary.
    fn object(&mut self, id: &FileVersion) -> Result<Arc<Related>, MediaError> {
        if let Some((_, object)) = self.open.iter().find(|(known, _)| known == id) {
            return object.clone();
        }
        let object = Related::open(&id.path).map(Arc::new);
        self.open.push_back((id.clone(), object.clone()));
        while self.open.len() > MAX_OPEN {
            self.open.pop_front();
        }
        object
    }
}

impl ComposedOverlays {
    /// Whether there is anything to lay over the image.
    pub(super) fn is_visible(&self) -> bool {
        let of_layer = |layers: &Layers| layers.tint.is_some() || layers.shutter.is_some();
        self.palette.is_some() || self.layers.iter().any(of_layer)
    }

    /// Blends colours and shutters onto the part of the image at `area`. A pseudo-colour palette applies to grey images only.
    pub(super) fn blend_onto(&self, part: &mut Picture, area: PixelRect) {
        let tints = self.layers.iter().filter_map(|layers| layers.tint.as_ref());
        let tints: Vec<_> = tints.collect();
        let shutters = self
            .layers
            .iter()
            .filter_map(|layers| layers.shutter.as_ref());
        let shutters: Vec<_> = shutters.collect();
        let colored = self
            .palette
            .as_ref()
            .filter(|_| matches!(part.pixels, Pixels::Luma(_)));
        let mut rgb = part.to_rgb();
        let rows = rgb.chunks_exact_mut((part.width as usize * 3).max(1));
        for (y, row) in (area.y..).zip(rows) {
            let pixels = row.as_chunks_mut::<3>().0;
            for (x, pixel) in (area.x..).zip(pixels.iter_mut()) {
                if let Some(palette) = colored {
                    *pixel = palette[usize::from(pixel[0])];
                }
                for tint in &tints {
                    let start = (y as usize * tint.width as usize + x as usize) * 4;
                    if let Some([color @ .., share]) = tint.rgba.get(start..start + 4)
                        && *share > 0
                    {
                        blend(pixel, color, f64::from(*share) / 255.0 * self.opacity);
                    }
                }
            }
            for shutter in &shutters {
                for x in shutter.hidden(y, area.x..area.x + part.width) {
                    pixels[(x - area.x) as usize] = shutter.color;
                }
            }
        }
        part.pixels = Pixels::Rgb(rgb);
    }

    /// Annotations, the lowest first.
    pub(super) fn annotations(&self) -> impl Iterator<Item = &Annotation> {
        self.layers.iter().flat_map(|layers| &layers.annotations)
    }

    /// The texts that lie on the visible part of the image.
    pub(super) fn labels(&self, place: &Placement) -> Vec<Label> {
        let label = |annotation: &Annotation| {
            let AnnotationShape::Text { text, at } = &annotation.shape else {
                return None;
            };
            let (x, y) = place.screen_at((at[0], at[1]));
            let at = (
                x / f64::from(place.width.max(1)),
                y / f64::from(place.height.max(1)),
            );
            let inside = (0.0..1.0).contains(&at.0) && (0.0..1.0).contains(&at.1);
            let lines = if self.show_phi {
                text.lines().map(clean).collect()
            } else {
                vec![MASK.to_owned()]
            };
            inside.then_some(Label { lines, at })
        };
        self.annotations().filter_map(label).collect()
    }

    /// What the interface shows about the overlays beside the image.
    pub(super) fn about(&self, target: Option<TargetFrame>) -> About {
        About {
            target,
            legend: self.legend.clone(),
            labels: Vec::new(),
            remarks: self.remarks.clone(),
        }
    }
}

/// Columns and rows of a frame.
fn size(frame: &Frame) -> (u32, u32) {
    match frame {
        Frame::Grey(grey) => (grey.width, grey.height),
        Frame::Color(picture) => (picture.width, picture.height),
    }
}

/// Blends a colour onto a pixel; `share` is the opacity, 0 to 1.
fn blend(pixel: &mut [u8; 3], color: &[u8], share: f64) {
    for (own, over) in pixel.iter_mut().zip(color) {
        let mixed = f64::from(*own) * (1.0 - share) + f64::from(*over) * share;
        *own = (mixed + 0.5) as u8;
    }
}

#[cfg(test)]
mod tests;
