//! Products of many embeddings with each other.

use tch::Tensor;

use super::EncoderError;

/// The dot product of each of the `rows` with each of the `columns`, all of them vectors of `dimension` numbers one after
/// another: for unit vectors, their cosine similarity. Row by row. Computed on the CPU.
pub fn similarities(
    rows: &[f32],
    columns: &[f32],
    dimension: usize,
) -> Result<Vec<f32>, EncoderError> {
    let _guard = tch::no_grad_guard();
    let matrix = |numbers: &[f32]| -> Result<Tensor, EncoderError> {
        let shape = [(numbers.len() / dimension) as i64, dimension as i64];
        Ok(Tensor::f_from_slice(numbers)?.f_view(shape)?) // [n, d]
    };
    let products = matrix(rows)?.f_matmul(&matrix(columns)?.f_tr()?)?; // [rows, columns]
    let mut flat = vec![0.0_f32; products.numel()];
    let count = flat.len();
    products.f_copy_data(&mut flat, count)?;
    Ok(flat)
}
