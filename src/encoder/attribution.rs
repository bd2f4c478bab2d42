//! What regions of an image contribute to its score along a direction: the towers' decompositions as [`HeatMap`]s.

use tch::{Device, Kind, Tensor};

use super::EncoderError;
use crate::scoring::heat_map::{HeatMap, MapMethod};

/// Tokens on each side of the one in the middle of a window that is left out of a pooling head.
const WINDOW_REACH: i64 = 1;

/// What regions of one image contribute to its features, before these are scaled to unit length.
pub(super) struct Contributions {
    pub(super) method: MapMethod,
    /// Along each direction, row by row: `[n, cells · cells]`, in f32.
    pub(super) values: Tensor,
    /// What else there is along each direction, `[n]`; `None` where the values do not add up.
    pub(super) rest: Option<Tensor>,
    /// `[1, projection]`, in f32.
    pub(super) features: Tensor,
    /// Cells along each side.
    pub(super) cells: i64,
    /// The share of the square's sides that the cells cover, from the upper left corner.
    pub(super) covered: f64,
}

impl Contributions {
    /// Those of masked regions: `features` `[cells · cells + 1, projection]` are those without each region, and last those of the
    /// whole image. All are compared at the length that the whole has.
    pub(super) fn of_masked(
        features: &Tensor,
        directions: &Tensor,
        (cells, covered): (i64, f64),
    ) -> Result<Self, EncoderError> {
        let count = cells * cells;
        let whole = features.f_narrow(0, count, 1)?; // [1, projection]
        let length = |x: &Tensor| x.f_norm_scalaropt_dim(2.0, [1], true); // [m, 1]
        let masked = features.f_narrow(0, 0, count)?; // [cells · cells, projection]
        let masked = masked.f_div(&length(&masked)?)?.f_mul(&length(&whole)?)?; // [cells · cells, projection]
        let lost = whole.f_sub(&masked)?; // [cells · cells, projection]
        Ok(Self {
            method: MapMethod::Masking,
            values: directions.f_matmul(&lost.f_transpose(0, 1)?)?, // [n, cells · cells]
            rest: None,
            features: whole,
            cells,
            covered,
        })
    }

    /// The maps, one for each direction; `scale` is the factor from cosine to logit. A model in half precision (`is_half`) rounds what
    /// regions contribute otherwise than its features, so there the rest is what the score has more than the values, rounding included.
    pub(super) fn maps(
        &self,
        directions: &Tensor,
        scale: f64,
        is_half: bool,
    ) -> Result<Vec<HeatMap>, EncoderError> {
        let length = self.features.f_norm()?.f_double_value(&[])?;
        let factor = scale / length;
        let scores = numbers(&directions.f_matmul(&self.features.f_transpose(0, 1)?)?)?; // n
        let rest_of_all = self.rest.as_ref().map(numbers).transpose()?; // n
        let values = numbers(&self.values)?; // n · cells · cells
        let side = self.cells.max(1) as usize;
        let maps = values.chunks(side * side).zip(&scores).enumerate();
        let maps = maps.map(|(at, (values, score))| {
            let sum: f64 = values.iter().map(|v| f64::from(*v)).sum();
            let rest = |rest: &Vec<f32>| {
                if is_half {
                    f64::from(*score) - sum
                } else {
                    f64::from(rest[at])
                }
            };
            HeatMap {
                method: self.method,
                columns: side,
                rows: side,
                covered: self.covered,
                values: values
                    .iter()
                    .map(|v| (f64::from(*v) * factor) as f32)
                    .collect(),
                rest: rest_of_all.as_ref().map(|all| rest(all) * factor),
                score: f64::from(*score) * factor,
            }
        });
        let maps: Vec<HeatMap> = maps.collect();
        let is_finite = |map: &HeatMap| map.values.iter().all(|v| v.is_finite());
        if maps.iter().all(is_finite) {
            Ok(maps)
        } else {
            Err(EncoderError::Senseless("its heat map is not finite"))
        }
    }
}

/// For each token of a grid the window around it left out, then nothing left out: boolean `[cells · cells + 1, 1, 1, cells · cells]`.
pub(super) fn windows_left_out(cells: i64, device: Device) -> Result<Tensor, EncoderError> {
    let count = cells * cells;
    let is_kept = |of: i64, token: i64| {
        let far = |a: i64, b: i64| (a - b).abs() > WINDOW_REACH;
        of == count || far(of / cells, token / cells) || far(of % cells, token % cells)
    };
    let kept: Vec<bool> = (0..=count)
        .flat_map(|of| (0..count).map(move |token| is_kept(of, token)))
        .collect();
    let kept = Tensor::f_from_slice(&kept)?.f_view([count + 1, 1, 1, count])?;
    Ok(kept.f_to_device(device)?)
}

/// Rows as a matrix on a device, `[n, d]` in f32.
pub(super) fn matrix(rows: &[Vec<f32>], device: Device) -> Result<Tensor, EncoderError> {
    let width = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|row| row.len() != width) {
        let text = "the directions of a heat map differ in length";
        return Err(EncoderError::Unsupported(text.to_owned()));
    }
    let flat = Tensor::f_from_slice(&rows.concat())?;
    let matrix = flat.f_view([rows.len() as i64, width as i64])?; // [n, d]
    Ok(matrix.f_to_device(device)?)
}

/// All numbers of a tensor, row by row.
fn numbers(x: &Tensor) -> Result<Vec<f32>, EncoderError> {
    let x = x.f_to_kind(Kind::Float)?.f_to_device(Device::Cpu)?;
    let x = x.f_contiguous()?;
    let mut out = vec![0.0_f32; x.numel()];
    let count = out.len();
    x.f_copy_data(&mut out, count)?;
    Ok(out)
}
