//! Vectors and matrices.

use multiversion::multiversion;

/// Numbers that are summed side by side, as wide as the registers of the processor.
const LANES: usize = 16;

/// The dot product of two vectors of equal length.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "takes the instruction set of its caller"
)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Adds a multiple of a vector to another.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "takes the instruction set of its caller"
)]
pub(crate) fn add(to: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, value) in to.iter_mut().zip(row) {
        *sum += factor * value;
    }
}

/// The dot products of rows with directions of their length, `[rows, directions]`.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn products(rows: &[&[f32]], directions: &[Vec<f32>]) -> Vec<f32> {
    let mut products = Vec::with_capacity(rows.len() * directions.len());
    for row in rows {
        products.extend(directions.iter().map(|own| dot(row, own)));
    }
    products
}

/// Adds to each sum the rows times their weights `[rows, sums]`, as far as these reach a minimum.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn add_weighted(sums: &mut [Vec<f32>], rows: &[&[f32]], weights: &[f32], min: f32) {
    for (row, weights) in rows.iter().zip(weights.chunks_exact(sums.len())) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            if *weight >= min {
                add(sum, *weight, row);
            }
        }
    }
}

/// Scales a vector to unit length, if it has any.
pub(crate) fn normalize(vector: &mut [f32]) {
    let squares = vector.iter().map(|v| f64::from(*v) * f64::from(*v));
    let length = squares.sum::<f64>().sqrt();
    if length > 0.0 {
        for value in vector {
            *value = (f64::from(*value) / length) as f32;
        }
    }
}

/// The lower Cholesky factor `[n, n]` of a symmetric positive definite matrix, of which the lower half is read.
pub(crate) fn cholesky(matrix: &[f64], n: usize) -> Vec<f64> {
    let mut factor = vec![0.0_f64; n * n];
    for i in 0..n {
        for j in 0..=i {
            let (row, other) = (&factor[i * n..i * n + j], &factor[j * n..j * n + j]);
            let products = row.iter().zip(other).map(|(a, b)| a * b);
            let rest = matrix[i * n + j] - products.sum::<f64>();
            factor[i * n + j] = if i == j {
                // Rounding must not make a root imaginary.
                rest.max(1e-12).sqrt()
            } else {
                rest / factor[j * n + j]
            };
        }
    }
    factor
}

/// Solves `L · y = b` for a lower triangular `L` `[n, n]`.
pub(crate) fn solve_lower(factor: &[f64], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut y: Vec<f64> = Vec::with_capacity(n);
    for (i, value) in b.iter().enumerate() {
        let row = factor[i * n..i * n + i].iter().zip(&y);
        let known: f64 = row.map(|(a, y)| a * y).sum();
        y.push((value - known) / factor[i * n + i]);
    }
    y
}

/// Solves `Lᵀ · x = y` for a lower triangular `L` `[n, n]`.
pub(crate) fn solve_upper(factor: &[f64], y: &[f64]) -> Vec<f64> {
    let n = y.len();
    let mut x = y.to_vec();
    for i in (0..n).rev() {
        x[i] /= factor[i * n + i];
        let found = x[i];
        for (value, a) in x[..i].iter_mut().zip(&factor[i * n..i * n + i]) {
            *value -= a * found;
        }
    }
    x
}
