//! Whether an image is like those that people have reviewed: a Gaussian of their embeddings.
//!
//! There are fewer reviewed images than an embedding has numbers, so the covariance is shrunk halfway to a multiple of the identity
//! (Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices"). Its inverse then follows from
//! the n × n products of the n embeddings (Woodbury), which takes milliseconds where that of a d × d matrix takes seconds.

use super::known::{cholesky, forward_substitution};

/// How far the covariance is shrunk, from 0 to 1.
const SHRINKAGE: f64 = 0.5;
/// Folds of images that are left out together.
const FOLDS: usize = 10;
/// The share of the left-out images whose distance the limit is a multiple of: the largest distances are those of oddities.
const USUAL_SHARE: f64 = 0.95;
/// The limit, as a multiple of that distance. `bench strange` shows what it refuses: at 1.25, it would also be most images of the
/// same kind from another hospital.
const LIMIT_FACTOR: f64 = 2.0;

/// What reviewed images look like.
#[derive(Clone, Debug, PartialEq)]
pub struct FamiliarImages {
    gaussian: Gaussian,
    /// The number of images.
    count: usize,
    /// The distance beyond which an image is strange.
    limit: f64,
}

impl FamiliarImages {
    /// Images from which there is a rule.
    pub const MIN_IMAGES: usize = 50;
    /// Images that are looked at: more cost time, and say little more.
    pub const MAX_IMAGES: usize = 500;

    /// Fits embeddings of equal length; of many, the first [`Self::MAX_IMAGES`]. `None` if there are fewer than
    /// [`Self::MIN_IMAGES`], or all are the same.
    pub fn fit(rows: &[&[f32]]) -> Option<Self> {
        let rows = &rows[..rows.len().min(Self::MAX_IMAGES)];
        if rows.len() < Self::MIN_IMAGES {
            return None;
        }
        let mut left_out = Vec::with_capacity(rows.len());
        for fold in 0..FOLDS {
            let is_out = |at: &usize| at % FOLDS == fold;
            let (out, others): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(is_out);
            let others: Vec<&[f32]> = others.into_iter().map(|at| rows[at]).collect();
            let gaussian = Gaussian::fit(&others)?;
            left_out.extend(out.into_iter().map(|at| gaussian.distance(rows[at])));
        }
        left_out.sort_by(f64::total_cmp);
        let usual = left_out[(USUAL_SHARE * (left_out.len() - 1) as f64).round() as usize];
        Some(Self {
            gaussian: Gaussian::fit(rows)?,
            count: rows.len(),
            limit: LIMIT_FACTOR * usual,
        })
    }

    /// The number of images that it was fitted to.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether an image is unlike all of them; so is an embedding of another length.
    pub fn is_strange(&self, embedding: &[f32]) -> bool {
        self.gaussian.distance(embedding) > self.limit
    }
}

/// A Gaussian with a shrunk covariance Σ = (1 − s)·S + s·v·I, where S is that of the embeddings, and v the mean variance.
#[derive(Clone, Debug, PartialEq)]
struct Gaussian {
    /// The mean embedding, `[d]`.
    mean: Vec<f64>,
    /// B, `[n, d]` by rows, such that Σ⁻¹ = (I − Bᵀ·B) / λ with λ = s·v.
    rows: Vec<f64>,
    /// λ.
    floor: f64,
}

impl Gaussian {
    /// Fits embeddings of equal length; `None` if there are none, or all are the same.
    fn fit(rows: &[&[f32]]) -> Option<Self> {
        let (n, d) = (rows.len(), rows.first()?.len());
        let mean_of = |at: usize| rows.iter().map(|row| f64::from(row[at])).sum::<f64>() / n as f64;
        let mean: Vec<f64> = (0..d).map(mean_of).collect();
        // A, [n, d]: (1 − s)·S = Aᵀ·A.
        let factor = ((1.0 - SHRINKAGE) / n as f64).sqrt();
        let mut centred = Vec::with_capacity(n * d);
        for row in rows {
            let both = row.iter().zip(&mean);
            centred.extend(both.map(|(&x, mean)| factor * (f64::from(x) - mean)));
        }
        let squares: f64 = centred.iter().map(|x| x * x).sum();
        let floor = SHRINKAGE / (1.0 - SHRINKAGE) * squares / d as f64;
        // A·Aᵀ + λ·I, [n, n], of which the lower half is read.
        let mut products = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                products[i * n + j] = dot(row_of(&centred, i, d), row_of(&centred, j, d));
            }
            products[i * n + i] += floor;
        }
        let factor = cholesky(&products, n)?;
        Some(Self {
            mean,
            rows: forward_substitution(&factor, centred, n),
            floor,
        })
    }

    /// The Mahalanobis distance from the mean; infinite for an embedding of another length.
    fn distance(&self, embedding: &[f32]) -> f64 {
        let d = self.mean.len();
        if embedding.len() != d {
            return f64::INFINITY;
        }
        let both = embedding.iter().zip(&self.mean);
        let difference: Vec<f64> = both.map(|(&x, mean)| f64::from(x) - mean).collect();
        let along = self.rows.chunks_exact(d);
        let explained: f64 = along.map(|row| dot(row, &difference).powi(2)).sum();
        let rest = dot(&difference, &difference) - explained;
        (rest.max(0.0) / self.floor).sqrt()
    }
}

fn row_of(rows: &[f64], at: usize, d: usize) -> &[f64] {
    &rows[at * d..(at + 1) * d]
}

/// The scalar product, summed in four parts, which a processor adds at the same time.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (quads, rest) = a.as_chunks::<4>();
    let (others, other_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in quads.iter().zip(others) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f64 = rest.iter().zip(other_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::known::KnownImages;
    use super::*;

    /// Unit vectors around `centre`, spread more along the first axes.
    fn images(centre: usize, count: usize, d: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let one = |_| {
            let mut row: Vec<f32> = (0..d)
                .map(|at| rng.random_range(-1.0..1.0) * 0.4 / (1.0 + at as f32).sqrt())
                .collect();
            row[centre] += 1.0;
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter().map(|x| x / length).collect()
        };
        (0..count).map(one).collect()
    }

    fn rows(images: &[Vec<f32>]) -> Vec<&[f32]> {
        images.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn the_distance_is_that_of_the_shrunk_covariance_itself() {
        for (count, d) in [(60, 16), (12, 40)] {
            let images = images(1, count, d, 7);
            let direct = KnownImages::fit(&[rows(&images)], SHRINKAGE).unwrap();
            let gaussian = Gaussian::fit(&rows(&images)).unwrap();
            for other in super::tests::images(2, 5, d, 8).iter().chain(&images) {
                let (found, wanted) = (gaussian.distance(other), direct.distance(other));
                assert!((found - wanted).abs() < 1e-3 * wanted, "{found} {wanted}");
            }
        }
    }

    #[test]
    fn images_of_the_same_kind_are_familiar_and_others_strange() {
        for count in [FamiliarImages::MIN_IMAGES, 200] {
            let familiar = FamiliarImages::fit(&rows(&images(1, count, 512, 1))).unwrap();
            assert_eq!(familiar.count(), count);
            let is_strange = |row: &Vec<f32>| familiar.is_strange(row);
            let same = images(1, 200, 512, 2);
            let refused = same.iter().filter(|row| is_strange(row)).count();
            assert!(refused <= 10, "{refused} of 200 of the same kind");
            let others = images(300, 200, 512, 3);
            let refused = others.iter().filter(|row| is_strange(row)).count();
            assert!(refused >= 190, "{refused} of 200 of another kind");
            assert!(familiar.is_strange(&[1.0]), "of another length");
        }
    }

    #[test]
    fn a_few_oddities_among_the_reviewed_images_do_not_open_the_gate() {
        let mut reviewed = images(1, 98, 512, 1);
        reviewed.extend(images(200, 2, 512, 4));
        let familiar = FamiliarImages::fit(&rows(&reviewed)).unwrap();
        let others = images(300, 100, 512, 3);
        let refused = others.iter().filter(|row| familiar.is_strange(row)).count();
        assert!(refused >= 95, "{refused}");
    }

    #[test]
    fn too_few_images_or_equal_ones_make_no_rule() {
        let few = images(1, FamiliarImages::MIN_IMAGES - 1, 64, 1);
        assert_eq!(FamiliarImages::fit(&rows(&few)), None);
        let equal = vec![few[0].clone(); 60];
        assert_eq!(FamiliarImages::fit(&rows(&equal)), None);
        let many = images(1, FamiliarImages::MAX_IMAGES + 20, 16, 1);
        let count = FamiliarImages::fit(&rows(&many)).unwrap().count();
        assert_eq!(count, FamiliarImages::MAX_IMAGES);
    }
}
