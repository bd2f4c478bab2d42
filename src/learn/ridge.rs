//! Ridge regression that starts at the texts: the smallest change of the directions with which labelled images get their labels.
//!
//! For labelled images `X` `[n, d]`, directions `T` of the texts and targets `Y` `[n, conditions]`, both as cosines, it is
//! `W = T + (Y − X·Tᵀ)ᵀ·(X·Xᵀ + λ)⁻¹·X`. Scores are centred over the conditions of each image, as only differences count.

use super::linear::{add, cholesky, dot, solve_lower, solve_upper};
use super::{Problem, Shot, groups};

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
    /// For each group what its errors without it follow from: exact leave-one-out (Allen 1974), by blocks.
    left_out: Vec<GroupFactor>,
}

/// The lower Cholesky factor of a group. `H` is the matrix that turns targets into fitted scores.
enum GroupFactor {
    /// That of `I − H` among its images, `[images, images]`.
    Images(Vec<f64>),
    /// Where there are more of them than numbers in an embedding: that of `I − UᵀU`, `[d, d]`, with `H = U·Uᵀ` among its images.
    Numbers(Vec<f64>),
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
        let group_products = this.groups.iter().map(|members| {
            let rows: Vec<&[f32]> = members.iter().map(|at| this.rows[*at]).collect();
            // By images there are no more of them than numbers.
            (rows.len() > length).then(|| products_of_numbers(&rows, length))
        });
        let group_products: Vec<Option<Vec<f64>>> = group_products.collect();
        let factors =
            PENALTIES.map(|penalty| this.factor(penalty, products.clone(), &group_products));
        this.factors = factors.into();
        this
    }

    /// `group_products`: those of the groups that are factored by numbers.
    fn factor(
        &self,
        penalty: f64,
        mut products: Vec<f64>,
        group_products: &[Option<Vec<f64>>],
    ) -> RidgeFactor {
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
        let left_out = self
            .groups
            .iter()
            .zip(group_products)
            .map(|(members, products)| {
                if let Some(products) = products {
                    return GroupFactor::Numbers(block_of_numbers(&factor, products, side));
                }
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
                GroupFactor::Images(cholesky(&block, count))
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
            let own = match block {
                GroupFactor::Images(block) => solve_upper(block, &solve_lower(block, &own)),
                GroupFactor::Numbers(block) => self.without_numbers((factor, block), members, &own),
            };
            for (at, error) in members.iter().zip(own) {
                all[*at] = error;
            }
        }
        all
    }

    /// `(I − U·Uᵀ)⁻¹·e = e + U·(I − UᵀU)⁻¹·Uᵀ·e` (Woodbury), with `U = X·L⁻ᵀ` of the group's images.
    fn without_numbers(
        &self,
        (factor, block): (&RidgeFactor, &[f64]),
        members: &[usize],
        errors: &[f64],
    ) -> Vec<f64> {
        let mut sums = vec![0.0; self.rows.first().map_or(0, |row| row.len())];
        for (at, error) in members.iter().zip(errors) {
            for (sum, value) in sums.iter_mut().zip(self.rows[*at]) {
                *sum += error * f64::from(*value);
            }
        }
        let inner = solve_lower(&factor.factor, &sums);
        let inner = solve_upper(block, &solve_lower(block, &inner));
        let weights = solve_upper(&factor.factor, &inner);
        let errors = members.iter().zip(errors).map(|(at, error)| {
            let both = weights.iter().zip(self.rows[*at]);
            error + both.map(|(w, x)| w * f64::from(*x)).sum::<f64>()
        });
        errors.collect()
    }
}

/// The lower Cholesky factor of `I − L⁻¹·P·L⁻ᵀ`, `[d, d]`. `products`: the lower half of `P = XᵀX` of a group.
fn block_of_numbers(factor: &[f64], products: &[f64], d: usize) -> Vec<f64> {
    let transposed = |matrix: &[Vec<f64>]| -> Vec<Vec<f64>> {
        (0..d)
            .map(|i| matrix.iter().map(|row| row[i]).collect())
            .collect()
    };
    let of = |i: usize, j: usize| products[i.max(j) * d + i.min(j)];
    // The columns of P, of L⁻¹·P, and of L⁻¹·P·L⁻ᵀ.
    let columns: Vec<Vec<f64>> = (0..d).map(|j| (0..d).map(|i| of(i, j)).collect()).collect();
    let half: Vec<Vec<f64>> = columns.iter().map(|own| solve_lower(factor, own)).collect();
    let whole = transposed(&half);
    let whole: Vec<Vec<f64>> = whole.iter().map(|own| solve_lower(factor, own)).collect();
    let mut block = vec![0.0; d * d];
    for i in 0..d {
        for j in 0..=i {
            block[i * d + j] = f64::from(u8::from(i == j)) - whole[i][j];
        }
    }
    cholesky(&block, d)
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
