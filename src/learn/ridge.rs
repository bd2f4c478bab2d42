//! Ridge regression that starts at the texts: the smallest change of the directions with which labelled images get their labels.
//!
//! For labelled images `X` `[n, d]`, directions `T` of the texts and targets `Y` `[n, conditions]`, both as cosines, it is
//! `W = T + (Y − X·Tᵀ)ᵀ·(X·Xᵀ + λ)⁻¹·X`. Scores are centred over the conditions of each image, as only differences count.

use super::linear::{add, cholesky, dot, solve_lower, solve_upper};
use super::{Problem, Shot};

/// Values of λ, for embeddings of unit length. Which is best depends on how much of an embedding all images share.
const PENALTIES: [f64; 3] = [0.5, 0.05, 0.005];
/// The probability that a labelled image shall have for its condition.
const TARGET: f64 = 0.9;

/// What one penalty learns.
pub(super) struct RidgeFit {
    /// A direction for each condition.
    pub(super) directions: Vec<Vec<f32>>,
    /// The learned logits of each image without the labels of its group.
    pub(super) held_out: Vec<Vec<f64>>,
}

/// Labelled images, factored once for every problem that they are labelled for.
pub(super) struct Ridge<'a> {
    rows: Vec<&'a [f32]>,
    /// The images of each group, which are left out together.
    groups: Vec<Vec<usize>>,
    /// Solves for the weights of images, `(X·Xᵀ + λ)⁻¹`, which is quick for few of them; else for the numbers of a direction,
    /// `(Xᵀ·X + λ)⁻¹·Xᵀ`, which is the same.
    by_images: bool,
    factors: Vec<RidgeFactor>,
}

struct RidgeFactor {
    penalty: f64,
    /// The lower Cholesky factor of what is inverted.
    factor: Vec<f64>,
    /// For each group that of `I − H` among its images, `H` being the matrix that turns targets into fitted scores. With it the
    /// errors without the group follow from the errors with it: exact leave-one-out (Allen 1974), by blocks.
    left_out: Vec<Vec<f64>>,
}

impl<'a> Ridge<'a> {
    /// The labels do not matter. All rows must be of the same length.
    pub(super) fn new(shots: &[Shot<'a>]) -> Self {
        let rows: Vec<&[f32]> = shots.iter().map(|shot| shot.row).collect();
        let length = rows.first().map_or(0, |row| row.len());
        let by_images = rows.len() <= length;
        let products = if by_images {
            products_of_images(&rows)
        } else {
            products_of_numbers(&rows, length)
        };
        let mut this = Self {
            by_images,
            groups: groups(shots),
            factors: Vec::new(),
            rows,
        };
        let factors = PENALTIES.map(|penalty| this.factor(penalty, products.clone()));
        this.factors = factors.into();
        this
    }

    fn factor(&self, penalty: f64, mut products: Vec<f64>) -> RidgeFactor {
        let side = self
            .rows
            .len()
            .min(self.rows.first().map_or(0, |row| row.len()));
        for at in 0..side {
            products[at * side + at] += penalty;
        }
        let factor = cholesky(&products, side);
        let solved = |at: usize| {
            if self.by_images {
                let mut unit = vec![0.0; side];
                unit[at] = 1.0;
                return solve_lower(&factor, &unit);
            }
            let row: Vec<f64> = self.rows[at].iter().map(|v| f64::from(*v)).collect();
            solve_lower(&factor, &row)
        };
        let left_out = self.groups.iter().map(|members| {
            let solved: Vec<Vec<f64>> = members.iter().map(|at| solved(*at)).collect();
            let count = members.len();
            let mut block = vec![0.0; count * count];
            for i in 0..count {
                for j in 0..=i {
                    let both = solved[i].iter().zip(&solved[j]);
                    let product: f64 = both.map(|(a, b)| a * b).sum();
                    block[i * count + j] = if self.by_images {
                        penalty * product
                    } else {
                        f64::from(u8::from(i == j)) - product
                    };
                }
            }
            cholesky(&block, count)
        });
        RidgeFactor {
            left_out: left_out.collect(),
            factor,
            penalty,
        }
    }

    /// What each penalty learns. `shots`: the images that this was made of, labelled for the problem.
    pub(super) fn fits(&self, problem: &Problem, shots: &[Shot]) -> Vec<RidgeFit> {
        let residuals: Vec<Vec<f64>> = shots.iter().map(|shot| residual(problem, shot)).collect();
        let fits = self.factors.iter().map(|factor| {
            let mut held_out: Vec<Vec<f64>> =
                shots.iter().map(|s| centred(problem, s.row)).collect();
            let mut directions = centred_texts(problem);
            for (class, direction) in directions.iter_mut().enumerate() {
                let targets: Vec<f64> = residuals.iter().map(|row| row[class]).collect();
                let (change, errors) = self.solve(factor, &targets);
                add(direction, 1.0, &change);
                let errors = self.without_group(factor, &errors);
                for (row, (target, error)) in held_out.iter_mut().zip(targets.iter().zip(errors)) {
                    row[class] = problem.scale * (row[class] + target - error);
                }
            }
            RidgeFit {
                directions,
                held_out,
            }
        });
        fits.collect()
    }

    /// How a direction changes for these targets, and what each target then lacks.
    fn solve(&self, factor: &RidgeFactor, targets: &[f64]) -> (Vec<f32>, Vec<f64>) {
        let inverted = |b: &[f64]| solve_upper(&factor.factor, &solve_lower(&factor.factor, b));
        let length = self.rows.first().map_or(0, |row| row.len());
        if self.by_images {
            let weights = inverted(targets);
            let mut change = vec![0.0; length];
            for (weight, row) in weights.iter().zip(&self.rows) {
                add(&mut change, *weight as f32, row);
            }
            let errors = weights.iter().map(|weight| factor.penalty * weight);
            return (change, errors.collect());
        }
        let mut sums = vec![0.0; length];
        for (target, row) in targets.iter().zip(&self.rows) {
            for (sum, value) in sums.iter_mut().zip(*row) {
                *sum += target * f64::from(*value);
            }
        }
        let exact = inverted(&sums);
        let errors = targets.iter().zip(&self.rows).map(|(target, row)| {
            let both = exact.iter().zip(*row);
            target - both.map(|(w, x)| w * f64::from(*x)).sum::<f64>()
        });
        let errors = errors.collect();
        (exact.into_iter().map(|v| v as f32).collect(), errors)
    }

    /// What each target lacks if the labels of its group are left out.
    fn without_group(&self, factor: &RidgeFactor, errors: &[f64]) -> Vec<f64> {
        let mut all = vec![0.0; errors.len()];
        for (members, block) in self.groups.iter().zip(&factor.left_out) {
            let own: Vec<f64> = members.iter().map(|at| errors[*at]).collect();
            let own = solve_upper(block, &solve_lower(block, &own));
            for (at, error) in members.iter().zip(own) {
                all[*at] = error;
            }
        }
        all
    }
}

/// The images of each group, in the order of the groups' first images.
fn groups(shots: &[Shot]) -> Vec<Vec<usize>> {
    let mut places = std::collections::HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, shot) in shots.iter().enumerate() {
        let place = *places.entry(shot.group).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(at);
    }
    groups
}

/// The lower half of `X·Xᵀ`, `[n, n]`.
fn products_of_images(rows: &[&[f32]]) -> Vec<f64> {
    let n = rows.len();
    let mut products = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            products[i * n + j] = f64::from(dot(rows[i], rows[j]));
        }
    }
    products
}

/// The lower half of `Xᵀ·X`, `[d, d]`.
fn products_of_numbers(rows: &[&[f32]], d: usize) -> Vec<f64> {
    let mut products = vec![0.0; d * d];
    for row in rows {
        for (i, value) in row.iter().enumerate() {
            let value = f64::from(*value);
            let sums = products[i * d..=i * d + i].iter_mut().zip(*row);
            sums.for_each(|(sum, other)| *sum += value * f64::from(*other));
        }
    }
    products
}

/// The texts less their mean, in units of cosine; what an offset says is not part of a direction.
fn centred_texts(problem: &Problem) -> Vec<Vec<f32>> {
    let count = problem.texts.len() as f32;
    let mut mean = vec![0.0; problem.texts.first().map_or(0, Vec::len)];
    for text in &problem.texts {
        add(&mut mean, 1.0 / count, text);
    }
    let texts = problem.texts.iter().map(|text| {
        let mut own = text.clone();
        add(&mut own, -1.0, &mean);
        own
    });
    texts.collect()
}

/// The cosines of an image with the texts, less their mean.
fn centred(problem: &Problem, row: &[f32]) -> Vec<f64> {
    let cosines = problem.texts.iter().map(|text| f64::from(dot(row, text)));
    let cosines: Vec<f64> = cosines.collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    cosines.into_iter().map(|cosine| cosine - mean).collect()
}

/// What a labelled image's scores lack to give its condition the probability [`TARGET`], the others sharing the rest.
fn residual(problem: &Problem, shot: &Shot) -> Vec<f64> {
    let classes = problem.texts.len() as f64;
    let margin = (TARGET * (classes - 1.0) / (1.0 - TARGET)).ln() / problem.scale;
    let cosines = centred(problem, shot.row).into_iter().enumerate();
    let lacking = cosines.map(|(class, cosine)| {
        let wanted = if class == shot.label { margin } else { 0.0 };
        wanted - margin / classes - cosine
    });
    lacking.collect()
}
