//! Preprocessing: an image of any size becomes the bytes that a model takes, as during its training.

mod config;

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::EncoderError;
use super::resample::{ResampleAxis, ResampleFilter, resample};
use crate::media::{Picture, PixelRect, Pixels, Scale};
use crate::scoring::heat_map::SeenArea;

/// A preprocessed image: RGB bytes, `height × width × 3`, not yet normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedImage(Vec<u8>);

impl PreparedImage {
    /// `bytes` are `height × width × 3`.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, row by row.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// How an image that is not square is fitted into the model's square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Resize the shorter side to fit, then crop to the centre.
    Crop,
    /// Resize the longer side to fit, and pad with black.
    Pad,
    /// Resize both sides to fit, without keeping proportions.
    Squash,
}

impl Fit {
    /// The name in settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crop => "crop",
            Self::Pad => "pad",
            Self::Squash => "squash",
        }
    }
}

/// A model's preprocessing of images.
///
/// Its `Debug` form is part of [`Encoder::embedding_key`](super::Encoder::embedding_key): renaming a field makes all stored
/// embeddings useless.
#[derive(Clone, Debug)]
pub struct Preprocess {
    width: usize,
    height: usize,
    /// The size before the crop; in few models different from that of the crop.
    shortest: SizeBeforeCrop,
    filter: ResampleFilter,
    fit: Fit,
    centre: CropRounding,
    rescale: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

/// The size of an image that is going to be cropped.
#[derive(Clone, Copy)]
enum SizeBeforeCrop {
    /// Proportions are kept; this is the length of the shortest side.
    Shortest(usize),
    /// Every image is squashed to this size.
    Sides { width: usize, height: usize },
}

/// As a plain number where it is one, as before there were others: see [`Preprocess`].
impl fmt::Debug for SizeBeforeCrop {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Shortest(side) => fmt::Debug::fmt(side, f),
            Self::Sides { width, height } => write!(f, "{width}×{height}"),
        }
    }
}

/// Where a centre crop starts if an odd number of pixels is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CropRounding {
    /// As transformers: half of it, rounded down.
    Floor,
    /// As torchvision, and so open_clip and OpenAI: half of it, rounded to even.
    Even,
}

impl CropRounding {
    /// Start of the crop for `excess` pixels to cut off.
    fn start(self, excess: usize) -> usize {
        match self {
            Self::Floor => excess / 2,
            Self::Even => excess / 2 + usize::from(excess % 4 == 3),
        }
    }
}

/// The normalisation that CLIP was published with.
const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

impl Preprocess {
    /// OpenAI's preprocessing for images of `side`: bicubic resize of the shortest side, centre crop, CLIP's normalisation.
    pub(super) fn open_ai(side: usize) -> Self {
        Self {
            width: side,
            height: side,
            shortest: SizeBeforeCrop::Shortest(side),
            filter: ResampleFilter::Bicubic,
            fit: Fit::Crop,
            centre: CropRounding::Even,
            rescale: 1.0 / 255.0,
            mean: CLIP_MEAN,
            std: CLIP_STD,
        }
    }

    /// CheXzero's preprocessing (Tiu et al. 2022): black borders make the image square, and bytes are normalised without
    /// rescaling. Its authors first store images at 320×320; here an image is resized only once.
    pub(super) fn chexzero(side: usize) -> Self {
        Self {
            fit: Fit::Pad,
            rescale: 1.0,
            mean: [101.487_61; 3],
            std: [83.439_44; 3],
            ..Self::open_ai(side)
        }
    }

    /// Replaces the way of fitting; `None` leaves it.
    #[must_use]
    pub fn with_fit(mut self, fit: Option<Fit>) -> Self {
        if let Some(fit) = fit {
            if fit == Fit::Crop && self.fit != Fit::Crop {
                self.shortest = SizeBeforeCrop::Shortest(self.width.max(self.height));
            }
            self.fit = fit;
        }
        self
    }

    /// Columns of a [`PreparedImage`].
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows of a [`PreparedImage`].
    pub fn height(&self) -> usize {
        self.height
    }

    /// How an image that is not square is fitted.
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// Mean and standard deviation per channel, for values multiplied by [`Self::rescale`].
    pub fn normalisation(&self) -> ([f32; 3], [f32; 3]) {
        (self.mean, self.std)
    }

    /// The factor from bytes to the values that are normalised; usually 1/255.
    pub fn rescale(&self) -> f32 {
        self.rescale
    }

    /// The coarsest scale at which a JPEG of that size may be decoded. Both sides keep at least twice as many pixels as after
    /// the resize, so that the resize still averages over several of them.
    pub fn scale(&self, width: u32, height: u32) -> Scale {
        let (w, h) = self.resized(width as usize, height as usize);
        let enough = |scale: &Scale| {
            let left = |side: u32| (side / scale.divisor()) as usize;
            left(width) >= 2 * w && left(height) >= 2 * h
        };
        let coarsest = Scale::ALL.into_iter().rev().find(enough);
        coarsest.unwrap_or_default()
    }

    /// The part of an image that influences the result when it is decoded at `scale`: what the crop keeps, and a border as wide
    /// as the filter reaches. In pixels of the image at full scale.
    pub fn used_area(&self, width: u32, height: u32, scale: Scale) -> PixelRect {
        let (w, h) = self.resized(width as usize, height as usize);
        let side = |whole: u32, to: usize, target: usize| {
            let side = ResampleAxis {
                from: whole.div_ceil(scale.divisor()) as usize,
                to,
                kept: KeptRange::new(to, target, self.centre).kept,
            };
            let used = side.used(self.filter);
            let first = used.start as u32 * scale.divisor();
            (
                first,
                (used.end as u32 * scale.divisor()).min(whole) - first,
            )
        };
        let ((x, width), (y, height)) = (side(width, w, self.width), side(height, h, self.height));
        PixelRect {
            x,
            y,
            width,
            height,
        }
    }

    /// The area of an image of that size, in its pixels, that becomes the model's square: a part of it where the fit crops, more than
    /// it where the fit pads.
    pub fn seen_area(&self, width: u32, height: u32) -> SeenArea {
        let (w, h) = self.resized(width as usize, height as usize);
        let side = |whole: u32, resized: usize, target: usize| {
            let range = KeptRange::new(resized, target, self.centre);
            let pixel = f64::from(whole) / resized as f64;
            let first = range.kept.start as f64 - range.target_start as f64;
            (first * pixel, target as f64 * pixel)
        };
        let ((x, width), (y, height)) = (side(width, w, self.width), side(height, h, self.height));
        SeenArea {
            x,
            y,
            width,
            height,
        }
    }

    /// Resizes as Pillow does (antialiased, rounded to bytes between the passes), then crops or pads.
    pub fn apply(&self, picture: &Picture) -> Result<PreparedImage, EncoderError> {
        self.apply_scaled(picture, (picture.width, picture.height), 1)
    }

    /// As [`Self::apply`], for a picture that was decoded at a [`Scale`]; `whole` are the columns and rows of the image at full
    /// scale. Works on `threads` threads.
    pub fn apply_scaled(
        &self,
        picture: &Picture,
        whole: (u32, u32),
        threads: usize,
    ) -> Result<PreparedImage, EncoderError> {
        let (from_w, from_h) = (picture.width as usize, picture.height as usize);
        let (channels, bytes) = match &picture.pixels {
            Pixels::Luma(bytes) => (1, bytes),
            Pixels::Rgb(bytes) => (3, bytes),
        };
        if from_w == 0 || from_h == 0 || bytes.len() != from_w * from_h * channels {
            return Err(EncoderError::Unsupported(format!(
                "an image of {from_w}×{from_h} with {} bytes cannot be resized",
                bytes.len()
            )));
        }
        let (w, h) = self.resized(whole.0 as usize, whole.1 as usize);
        let range = |size, target| KeptRange::new(size, target, self.centre);
        let (x, y) = (range(w, self.width), range(h, self.height));
        let axis = |from, to, range: &KeptRange| ResampleAxis {
            from,
            to,
            kept: range.kept.clone(),
        };
        let (columns, rows) = (axis(from_w, w, &x), axis(from_h, h, &y));
        let part = resample(bytes, channels, &columns, &rows, self.filter, threads);
        let mut out = vec![0_u8; self.width * self.height * 3];
        for (row, samples) in part.chunks_exact(x.kept.len() * channels).enumerate() {
            let at = ((y.target_start + row) * self.width + x.target_start) * 3;
            let target = &mut out[at..at + x.kept.len() * 3];
            if channels == 3 {
                target.copy_from_slice(samples);
            } else {
                for (pixel, &sample) in target.chunks_exact_mut(3).zip(samples) {
                    pixel.fill(sample);
                }
            }
        }
        Ok(PreparedImage(out))
    }

    /// Columns and rows after the resize, before the crop.
    fn resized(&self, w: usize, h: usize) -> (usize, usize) {
        let (w, h) = (w.max(1), h.max(1));
        match self.fit {
            Fit::Squash => (self.width, self.height),
            Fit::Crop => match self.shortest {
                SizeBeforeCrop::Sides { width, height } => (width.max(1), height.max(1)),
                // As in transformers, the long side is truncated, not rounded.
                SizeBeforeCrop::Shortest(side) if w <= h => (side, (side * h / w).max(1)),
                SizeBeforeCrop::Shortest(side) => ((side * w / h).max(1), side),
            },
            Fit::Pad => {
                // As open_clip, a half is rounded to even.
                let ratio = (w as f64 / self.width as f64).max(h as f64 / self.height as f64);
                let side = |n: usize, limit: usize| {
                    ((n as f64 / ratio).round_ties_even() as usize).clamp(1, limit)
                };
                (side(w, self.width), side(h, self.height))
            }
        }
    }
}

/// The part of a resized side that is kept, and where it starts in the target.
struct KeptRange {
    kept: Range<usize>,
    target_start: usize,
}

impl KeptRange {
    /// Crops or pads a side of `size` to `target`. For padding, transformers puts the larger half first, torchvision the
    /// smaller.
    fn new(size: usize, target: usize, rounding: CropRounding) -> Self {
        if size >= target {
            let start = rounding.start(size - target);
            Self {
                kept: start..start + target,
                target_start: 0,
            }
        } else {
            Self {
                kept: 0..size,
                target_start: match rounding {
                    CropRounding::Floor => (target - size).div_ceil(2),
                    CropRounding::Even => (target - size) / 2,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn crops_start_where_the_two_references_start_them() {
        // Python: `n // 2`, and `int(round(n / 2.0))`.
        let even: Vec<usize> = (0..9).map(|n| CropRounding::Even.start(n)).collect();
        assert_eq!(even, [0, 0, 1, 2, 2, 2, 3, 4, 4]);
        let floor: Vec<usize> = (0..9).map(|n| CropRounding::Floor.start(n)).collect();
        assert_eq!(floor, [0, 0, 1, 1, 2, 2, 3, 3, 4]);
    }

    #[test]
    fn the_seen_area_is_what_the_fit_keeps_and_pads() {
        let area = |fit, width, height| {
            let seen = Preprocess::open_ai(100)
                .with_fit(Some(fit))
                .seen_area(width, height);
            [seen.x, seen.y, seen.width, seen.height].map(|side| side.round() as i64)
        };
        // 400 × 200 becomes 200 × 100, of which the middle is kept.
        assert_eq!(area(Fit::Crop, 400, 200), [100, 0, 200, 200]);
        assert_eq!(area(Fit::Crop, 200, 400), [0, 100, 200, 200]);
        // 400 × 200 becomes 100 × 50, with 25 black rows above and below.
        assert_eq!(area(Fit::Pad, 400, 200), [0, -100, 400, 400]);
        assert_eq!(area(Fit::Squash, 400, 200), [0, 0, 400, 200]);
    }

    #[test]
    fn only_clips_processor_crops_unless_told_otherwise() {
        let seen = |json: &str| {
            let read = Preprocess::from_json(json.as_bytes(), Path::new("p.json")).unwrap();
            let seen = read.seen_area(400, 200);
            [seen.x, seen.width].map(|side| side.round() as i64)
        };
        let (middle, whole) = ([100, 200], [0, 400]);
        assert_eq!(
            seen(r#"{"image_processor_type": "CLIPImageProcessor"}"#),
            middle
        );
        let told = r#"{"image_processor_type": "CLIPImageProcessor", "do_center_crop": false,
            "size": {"height": 224, "width": 224}}"#;
        assert_eq!(seen(told), whole);
        let siglip = r#"{"image_processor_type": "SiglipImageProcessor",
            "size": {"height": 224, "width": 224}}"#;
        assert_eq!(seen(siglip), whole);
        assert_eq!(
            seen(r#"{"size": 224, "crop_size": 224}"#),
            middle,
            "no type"
        );
    }

    #[test]
    fn a_size_of_two_sides_squashes_before_the_crop() {
        let read = |size: &str| {
            let json = format!(
                r#"{{"image_processor_type": "CLIPImageProcessor", "size": {size}, "crop_size": 40}}"#
            );
            Preprocess::from_json(json.as_bytes(), Path::new("p.json"))
        };
        let squashed = read(r#"{"height": 50, "width": 80}"#).unwrap();
        assert_eq!(squashed.resized(400, 200), (80, 50));
        assert_eq!(squashed.resized(10, 300), (80, 50));
        let same = read(r#"{"height": 40, "width": 40}"#).unwrap();
        assert_eq!(
            (same.fit(), same.resized(400, 200)),
            (Fit::Squash, (40, 40))
        );
        let kept = read(r#"{"shortest_edge": 50, "longest_edge": null}"#).unwrap();
        assert_eq!(kept.resized(400, 200), (100, 50));
        for (size, named) in [
            (
                r#"{"shortest_edge": 40, "longest_edge": 80}"#,
                "longest_edge",
            ),
            (r#"{"height": 40}"#, "height and width"),
        ] {
            let reason = read(size).unwrap_err().to_string();
            assert!(reason.contains(named), "{size}: {reason}");
        }
    }

    /// Stored embeddings are keyed by this form.
    #[test]
    fn the_debug_form_of_the_usual_preprocessing_stays() {
        let form = format!("{:?}", Preprocess::open_ai(224));
        let start =
            "Preprocess { width: 224, height: 224, shortest: 224, filter: Bicubic, fit: Crop, ";
        assert!(form.starts_with(start), "{form}");
    }

    /// A dot in the image is in the model's square where the seen area says.
    #[test]
    fn a_dot_is_seen_where_the_area_says() {
        let (width, height) = (300_u32, 180_u32);
        for fit in [Fit::Crop, Fit::Pad, Fit::Squash] {
            let preprocess = Preprocess::open_ai(60).with_fit(Some(fit));
            let seen = preprocess.seen_area(width, height);
            for (x, y) in [(150_u32, 90_u32), (110, 40), (205, 150)] {
                let mut bytes = vec![0_u8; (width * height) as usize];
                for (at, byte) in bytes.iter_mut().enumerate() {
                    let (column, row) = (at as u32 % width, at as u32 / width);
                    *byte = if column.abs_diff(x) < 6 && row.abs_diff(y) < 6 {
                        255
                    } else {
                        0
                    };
                }
                let picture = Picture {
                    width,
                    height,
                    pixels: Pixels::Luma(bytes),
                };
                let prepared = preprocess.apply(&picture).unwrap();
                let brightest = (0..60 * 60)
                    .max_by_key(|at| prepared.bytes()[at * 3])
                    .unwrap();
                let close =
                    |found: usize, place: f64| (found as f64 + 0.5 - place * 60.0).abs() < 3.0;
                let across = (f64::from(x) + 0.5 - seen.x) / seen.width;
                let down = (f64::from(y) + 0.5 - seen.y) / seen.height;
                assert!(
                    close(brightest % 60, across) && close(brightest / 60, down),
                    "{fit:?} {x} {y}"
                );
            }
        }
    }

    #[test]
    fn a_reduced_image_keeps_twice_the_pixels_that_the_model_takes() {
        let preprocess = Preprocess::open_ai(224);
        for (width, height, scale) in [
            (895, 4000, Scale::Full),
            (896, 896, Scale::Half),
            (4000, 900, Scale::Half),
            (1792, 2400, Scale::Quarter),
            (9000, 9000, Scale::Eighth),
            (10, 10, Scale::Full),
        ] {
            assert_eq!(preprocess.scale(width, height), scale, "{width}×{height}");
        }
    }
}
