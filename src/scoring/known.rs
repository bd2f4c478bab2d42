//! How far an image is from those that a model was trained on: Gaussians of the embeddings of each group of images with a common
//! covariance (Lee et al. 2018, "A simple unified framework for detecting out-of-distribution samples").

/// What the embeddings of the images that a model knows look like.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownImages {
    /// Length of an embedding, `d`.
    pub dimension: usize,
    /// The inverse of the Cholesky factor of the covariance, `[d, d]` by rows: it turns a difference of embeddings into one of which
    /// the length is the Mahalanobis distance.
    pub whitening: Vec<f32>,
    /// The mean embedding of each group of images, turned so: `[groups, d]`.
    pub centres: Vec<f32>,
    /// The distance at which an image is as likely to be of another kind.
    pub limit: f64,
    /// How the logit of that probability grows with the distance.
    pub slope: f64,
}

impl KnownImages {
    /// Whether the lengths of the lists belong together, and all numbers are finite.
    pub fn is_consistent(&self) -> bool {
        let d = self.dimension;
        let is_finite = |list: &[f32]| list.iter().all(|value| value.is_finite());
        d > 0
            && !self.centres.is_empty()
            && self.centres.len().is_multiple_of(d)
            && self.whitening.len() == d * d
            && is_finite(&self.centres)
            && is_finite(&self.whitening)
            && self.limit.is_finite()
            && self.slope.is_finite()
    }

    /// The Mahalanobis distance to the nearest group; infinite for an embedding of another length.
    pub fn distance(&self, embedding: &[f32]) -> f64 {
        let d = self.dimension;
        if embedding.len() != d {
            return f64::INFINITY;
        }
        let white = whitened(&self.whitening, embedding);
        let distances = self.centres.chunks_exact(d).map(|centre| {
            let both = white.iter().zip(centre);
            let squares = both.map(|(a, &b)| (a - f64::from(b)).powi(2));
            squares.sum::<f64>().sqrt()
        });
        distances.fold(f64::INFINITY, f64::min)
    }

    /// The probability that an image is of none of the groups.
    pub fn probability_of_other(&self, embedding: &[f32]) -> f64 {
        let logit = self.slope * (self.distance(embedding) - self.limit);
        1.0 / (1.0 + (-logit).exp())
    }

    /// Fits groups of embeddings of equal length, each with some of them. The covariance is shrunk towards the identity times
    /// the mean variance (`shrinkage` from 0 to 1), which keeps it invertible where there are few embeddings. `None` if the groups are empty or
    /// too alike.
    pub fn fit(groups: &[Vec<&[f32]>], shrinkage: f64) -> Option<Self> {
        let d = groups.first()?.first()?.len();
        let mut means = Vec::with_capacity(groups.len());
        let mut covariance = vec![0.0_f64; d * d];
        let total: usize = groups.iter().map(Vec::len).sum();
        for group in groups {
            let count = group.len() as f64;
            let sum = |at: usize| group.iter().map(|row| f64::from(row[at])).sum::<f64>();
            let mean: Vec<f64> = (0..d).map(|at| sum(at) / count).collect();
            for row in group {
                let difference: Vec<f64> = row
                    .iter()
                    .zip(&mean)
                    .map(|(&x, m)| f64::from(x) - m)
                    .collect();
                for (i, a) in difference.iter().enumerate() {
                    for (j, b) in difference.iter().enumerate().take(i + 1) {
                        covariance[i * d + j] += a * b / total as f64;
                    }
                }
            }
            means.push(mean.iter().map(|&m| m as f32).collect::<Vec<f32>>());
        }
        let mean_variance = (0..d).map(|i| covariance[i * d + i]).sum::<f64>() / d as f64;
        for i in 0..d {
            for j in 0..i {
                covariance[i * d + j] *= 1.0 - shrinkage;
            }
            let own = &mut covariance[i * d + i];
            *own = *own * (1.0 - shrinkage) + mean_variance * shrinkage;
        }
        let whitening = inverse(&cholesky(&covariance, d)?, d);
        let whitening: Vec<f32> = whitening.into_iter().map(|x| x as f32).collect();
        let centres = means.iter().flat_map(|mean| whitened(&whitening, mean));
        let known = Self {
            dimension: d,
            centres: centres.map(|x| x as f32).collect(),
            whitening,
            limit: 0.0,
            slope: 0.0,
        };
        known.is_consistent().then_some(known)
    }

    /// The same Gaussians, with the limit such that a `share` of these known embeddings is within it, and the slope that doubts
    /// half of those that are as far beyond it as the middle one is within it by a factor of ten.
    #[must_use]
    pub fn limited(mut self, known: &[&[f32]], share: f64) -> Self {
        let mut distances: Vec<f64> = known.iter().map(|row| self.distance(row)).collect();
        distances.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (share * distances.len() as f64) as usize;
            distances.get(index.min(distances.len().saturating_sub(1)))
        };
        if let (Some(&limit), Some(&middle)) = (at(share), at(0.5)) {
            self.limit = limit;
            self.slope = 10.0_f64.ln() / (limit - middle).max(1e-6);
        }
        self
    }
}

/// The product of a lower triangular matrix `[d, d]` and a vector of length `d`.
fn whitened(whitening: &[f32], vector: &[f32]) -> Vec<f64> {
    let rows = whitening.chunks_exact(vector.len().max(1)).enumerate();
    let product = rows.map(|(at, row)| {
        let both = row[..=at].iter().zip(vector);
        both.map(|(&factor, &x)| f64::from(factor) * f64::from(x))
            .sum()
    });
    product.collect()
}

/// The lower Cholesky factor of a symmetric matrix `[d, d]`, of which the lower half is read; `None` unless it is positive
/// definite.
pub(super) fn cholesky(matrix: &[f64], d: usize) -> Option<Vec<f64>> {
    let mut factor = vec![0.0_f64; d * d];
    for i in 0..d {
        for j in 0..=i {
            let products = (0..j).map(|k| factor[i * d + k] * factor[j * d + k]);
            let rest = matrix[i * d + j] - products.sum::<f64>();
            if i == j {
                if rest <= 0.0 {
                    return None;
                }
                factor[i * d + i] = rest.sqrt();
            } else {
                factor[i * d + j] = rest / factor[j * d + j];
            }
        }
    }
    Some(factor)
}

/// Solves `lower · X = B` for a lower triangular matrix `[n, n]`; `b`: B by rows, which are overwritten with those of X.
pub(super) fn forward_substitution(lower: &[f64], mut b: Vec<f64>, n: usize) -> Vec<f64> {
    let d = b.len() / n.max(1);
    for row in 0..n {
        let (solved, rest) = b.split_at_mut(row * d);
        let own = &mut rest[..d];
        for (k, other) in solved.chunks_exact(d).enumerate() {
            let factor = lower[row * n + k];
            for (own, other) in own.iter_mut().zip(other) {
                *own -= factor * other;
            }
        }
        for own in own {
            *own /= lower[row * n + row];
        }
    }
    b
}

/// The inverse of a lower triangular matrix `[d, d]`.
fn inverse(lower: &[f64], d: usize) -> Vec<f64> {
    let mut inverse = vec![0.0_f64; d * d];
    for column in 0..d {
        for row in column..d {
            let one = if row == column { 1.0 } else { 0.0 };
            let products = (column..row).map(|k| lower[row * d + k] * inverse[k * d + column]);
            inverse[row * d + column] = (one - products.sum::<f64>()) / lower[row * d + row];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two groups that lie along the first axis and vary much more along the second one.
    fn groups() -> Vec<Vec<[f32; 3]>> {
        let around = |x: f32| {
            let mut all = Vec::new();
            for k in 0_i16..40 {
                let (a, b) = (f32::from(k % 5) - 2.0, f32::from(k / 5) - 3.5);
                all.push([x + 0.01 * a, 0.2 * b, 0.02 * (a * b)]);
            }
            all
        };
        vec![around(-1.0), around(1.0)]
    }

    fn fitted() -> KnownImages {
        let groups = groups();
        let rows: Vec<Vec<&[f32]>> = groups
            .iter()
            .map(|group| group.iter().map(<[f32; 3]>::as_slice).collect())
            .collect();
        let all: Vec<&[f32]> = rows.iter().flatten().copied().collect();
        KnownImages::fit(&rows, 0.01)
            .expect("a covariance")
            .limited(&all, 0.95)
    }

    #[test]
    fn a_distance_counts_in_deviations_of_each_direction() {
        let known = fitted();
        let near = known.distance(&[1.0, 0.4, 0.0]);
        let far = known.distance(&[1.4, 0.0, 0.0]);
        assert!(near < 2.0 && far > 10.0, "{near} {far}");
        let between = known.distance(&[0.0, 0.0, 0.0]);
        assert!(between > far, "{between}");
    }

    #[test]
    fn most_known_images_are_within_the_limit_and_strange_ones_are_not() {
        let known = fitted();
        let groups = groups();
        let all: Vec<_> = groups.iter().flatten().collect();
        let within = all
            .iter()
            .filter(|row| known.probability_of_other(row.as_slice()) < 0.5)
            .count();
        // Equal distances are on the same side of the limit.
        assert!((70..=77).contains(&within), "{within} of {}", all.len());
        assert!(known.probability_of_other(&[0.0, 0.0, 3.0]) > 0.99);
        assert!(known.probability_of_other(&[1.0, 0.1, 0.0]) < 0.2);
        assert!(
            known.probability_of_other(&[1.0]) > 0.99,
            "of another length"
        );
    }

    #[test]
    fn whitening_makes_the_covariance_one() {
        // [4, 2; 2, 3] = L Lᵀ with L = [2, 0; 1, √2].
        let factor = cholesky(&[4.0, 0.0, 2.0, 3.0], 2).expect("positive definite");
        assert!((factor[0] - 2.0).abs() < 1e-12 && (factor[3] - 2.0_f64.sqrt()).abs() < 1e-12);
        let inverse = inverse(&factor, 2);
        let product = [
            factor[0] * inverse[0],
            factor[2] * inverse[0] + factor[3] * inverse[2],
            factor[3] * inverse[3],
        ];
        for (found, wanted) in product.iter().zip([1.0, 0.0, 1.0]) {
            assert!((found - wanted).abs() < 1e-12, "{product:?}");
        }
        assert!(cholesky(&[1.0, 0.0, 2.0, 1.0], 2).is_none());
    }

    #[test]
    fn what_does_not_belong_together_is_seen() {
        let known = fitted();
        assert!(known.is_consistent());
        let broken = [
            KnownImages {
                centres: vec![0.0; 4],
                ..known.clone()
            },
            KnownImages {
                whitening: vec![0.0; 8],
                ..known.clone()
            },
            KnownImages {
                limit: f64::NAN,
                ..known.clone()
            },
        ];
        assert!(broken.iter().all(|known| !known.is_consistent()));
    }
}
