//! Reads the preprocessing of images from the files beside a checkpoint.

use std::path::Path;

use serde::Deserialize;

use super::{CLIP_MEAN, CLIP_STD, CropRounding, Fit, Preprocess, SizeBeforeCrop};
use crate::encoder::EncoderError;
use crate::encoder::resample::ResampleFilter;

/// A size in `preprocessor_config.json`: a number in old files, an object in new ones.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum SizeConfig {
    Number(usize),
    Object {
        height: Option<usize>,
        width: Option<usize>,
        shortest_edge: Option<usize>,
        longest_edge: Option<usize>,
    },
}

/// What a size means.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Size {
    /// The length of the shortest side, or of all sides.
    Shortest(usize),
    Sides {
        width: usize,
        height: usize,
    },
}

impl SizeConfig {
    fn size(self) -> Result<Size, String> {
        match self {
            Self::Number(side)
            | Self::Object {
                shortest_edge: Some(side),
                longest_edge: None,
                ..
            } => Ok(Size::Shortest(side)),
            Self::Object {
                height: Some(height),
                width: Some(width),
                longest_edge: None,
                ..
            } => Ok(Size::Sides { width, height }),
            Self::Object {
                longest_edge: Some(_),
                ..
            } => Err("a size with longest_edge is not supported".into()),
            Self::Object { .. } => {
                Err("a size has neither shortest_edge nor height and width".into())
            }
        }
    }
}

impl Size {
    /// Width and height.
    fn sides(self) -> (usize, usize) {
        match self {
            Self::Shortest(side) => (side, side),
            Self::Sides { height, width } => (width, height),
        }
    }
}

/// `preprocessor_config.json` of transformers.
#[derive(Debug, Deserialize)]
struct PreprocessorConfig {
    size: Option<SizeConfig>,
    crop_size: Option<SizeConfig>,
    do_center_crop: Option<bool>,
    do_resize: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    rescale_factor: Option<f64>,
    resample: Option<u8>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
    image_processor_type: Option<String>,
    /// `processor_config.json` nests the same keys.
    image_processor: Option<Box<PreprocessorConfig>>,
}

impl Preprocess {
    /// Parses the preprocessing that `processor_config.json` nests; `None` if it nests none. `path` is for the error messages.
    pub(in crate::encoder) fn nested_in(
        json: &[u8],
        path: &Path,
    ) -> Result<Option<Self>, EncoderError> {
        #[derive(Deserialize)]
        struct ProcessorConfig {
            image_processor: Option<PreprocessorConfig>,
        }
        let fault = |reason: String| EncoderError::File {
            path: path.to_owned(),
            reason,
        };
        let config: ProcessorConfig =
            serde_json::from_slice(json).map_err(|e| fault(e.to_string()))?;
        let nested = config.image_processor.as_ref();
        nested.map(Self::from_config).transpose().map_err(fault)
    }

    /// Parses `preprocessor_config.json` or `processor_config.json`; `path` is for the error messages.
    pub fn from_json(json: &[u8], path: &Path) -> Result<Self, EncoderError> {
        let fault = |reason: String| EncoderError::File {
            path: path.to_owned(),
            reason,
        };
        let mut config: PreprocessorConfig =
            serde_json::from_slice(json).map_err(|e| fault(e.to_string()))?;
        let nested = config.image_processor.take();
        Self::from_config(&nested.map_or(config, |inner| *inner)).map_err(fault)
    }

    fn from_config(config: &PreprocessorConfig) -> Result<Self, String> {
        if config.do_resize == Some(false) {
            return Err("do_resize = false is not supported".into());
        }
        let size = config.size.unwrap_or(SizeConfig::Number(224)).size()?;
        let processor = config.image_processor_type.as_deref().unwrap_or_default();
        // CLIP's processor crops unless told otherwise; where none is named, a size to crop to says so.
        let is_clip = processor.starts_with("CLIP");
        let crops = is_clip || (processor.is_empty() && config.crop_size.is_some());
        let crop = config.do_center_crop.unwrap_or(crops);
        let (width, height) = if crop {
            let default = if is_clip { Size::Shortest(224) } else { size };
            let crop = config.crop_size.map(SizeConfig::size).transpose()?;
            crop.unwrap_or(default).sides()
        } else {
            size.sides()
        };
        if !(1..=4096).contains(&width) || !(1..=4096).contains(&height) {
            return Err(format!(
                "an image size of {width}×{height} is not supported"
            ));
        }
        let (fit, shortest) = match size {
            Size::Sides { .. } if size.sides() == (width, height) => (Fit::Squash, None),
            Size::Sides { width, height } if crop => {
                (Fit::Crop, Some(SizeBeforeCrop::Sides { width, height }))
            }
            _ if crop => (Fit::Crop, None),
            _ => (Fit::Squash, None),
        };
        let shortest = shortest
            .unwrap_or_else(|| SizeBeforeCrop::Shortest(size.sides().0.min(size.sides().1).max(1)));
        let is_siglip = processor.starts_with("Siglip");
        let (default_mean, default_std) = if is_siglip {
            ([0.5; 3], [0.5; 3])
        } else {
            (CLIP_MEAN, CLIP_STD)
        };
        let normalise = config.do_normalize.unwrap_or(true);
        let (mean, std) = if normalise {
            (
                config.image_mean.unwrap_or(default_mean),
                config.image_std.unwrap_or(default_std),
            )
        } else {
            ([0.0; 3], [1.0; 3])
        };
        if std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return Err("image_std must be positive".into());
        }
        let rescale = config.rescale_factor.unwrap_or(1.0 / 255.0) as f32;
        Ok(Self {
            width,
            height,
            shortest,
            filter: filter_by_number(config.resample.unwrap_or(3))?,
            fit,
            centre: CropRounding::Floor,
            rescale: if config.do_rescale == Some(false) {
                1.0
            } else {
                rescale
            },
            mean,
            std,
        })
    }

    /// Parses the `preprocess_cfg` of `open_clip_config.json`; `side` is the image size if it names none.
    pub(in crate::encoder) fn from_open_clip(
        config: &serde_json::Value,
        side: usize,
    ) -> Result<Self, String> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct OpenClipPreprocess {
            size: Option<serde_json::Value>,
            mean: Option<[f32; 3]>,
            std: Option<[f32; 3]>,
            interpolation: Option<String>,
            resize_mode: Option<String>,
            fill_color: Option<serde_json::Value>,
        }
        let keys: Option<OpenClipPreprocess> =
            serde_json::from_value(config.clone()).map_err(|e| e.to_string())?;
        let keys = keys.unwrap_or_default();
        let side = match &keys.size {
            None | Some(serde_json::Value::Null) => side,
            Some(size) => {
                let number = |value: &serde_json::Value| value.as_u64().map(|n| n as usize);
                let square = |sides: &Vec<serde_json::Value>| match &sides[..] {
                    [a, b] if a == b => number(a),
                    [_, one, other] if one == other => number(one),
                    _ => None,
                };
                let found = number(size).or_else(|| size.as_array().and_then(square));
                found.ok_or_else(|| format!("a size of {size} is not supported"))?
            }
        };
        if !(1..=4096).contains(&side) {
            return Err(format!("an image size of {side}×{side} is not supported"));
        }
        let default = Self::open_ai(side);
        let filter = match keys.interpolation.as_deref() {
            None | Some("bicubic" | "random") => ResampleFilter::Bicubic,
            Some("bilinear") => ResampleFilter::Bilinear,
            Some(other) => return Err(format!("interpolation = {other} is not supported")),
        };
        let fit = match keys.resize_mode.as_deref() {
            None | Some("shortest") => Fit::Crop,
            Some("squash") => Fit::Squash,
            Some("longest") => match keys.fill_color {
                None => Fit::Pad,
                Some(colour) if colour == 0 || colour.is_null() => Fit::Pad,
                Some(colour) => return Err(format!("fill_color = {colour} is not supported")),
            },
            Some(other) => return Err(format!("resize_mode = {other} is not supported")),
        };
        let (mean, std) = (
            keys.mean.unwrap_or(default.mean),
            keys.std.unwrap_or(default.std),
        );
        if std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return Err("std must be positive".into());
        }
        Ok(Self {
            filter,
            fit,
            mean,
            std,
            ..default
        })
    }
}

fn filter_by_number(number: u8) -> Result<ResampleFilter, String> {
    ResampleFilter::numbered(number).ok_or_else(|| format!("resample = {number} is not supported"))
}
