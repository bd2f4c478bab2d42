//! The deletion check of a heat map: what it marks is deleted step by step, and so are random cells. A map that lowers the score no
//! faster than each random order is withdrawn.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::HeatMap;

/// Shares of the cells that are deleted.
pub const SHARES: [f64; 5] = [0.06, 0.12, 0.18, 0.24, 0.3];
/// Random orders that a map is compared with. With [`SHARES`] this makes 20 passes.
const RANDOM_ORDERS: usize = 3;

/// The cells to delete in each pass: those of the map for each of [`SHARES`], then those of each random order.
pub fn plan(map: &HeatMap, seed: u64) -> Vec<Vec<usize>> {
    let count = map.values.len();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut orders = vec![map.ranked()];
    for _ in 0..RANDOM_ORDERS {
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut rng);
        orders.push(order);
    }
    let cells = |share: f64| ((share * count as f64).round() as usize).clamp(1, count.max(1));
    orders
        .iter()
        .flat_map(|order| SHARES.map(|share| order[..cells(share).min(count)].to_vec()))
        .collect()
}

/// The outcome of a deletion check.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeletionCheck {
    /// The score of the image, in logits.
    pub score: f64,
    /// The mean score with the map's highest cells deleted.
    pub deleted: f64,
    /// The mean scores with random cells deleted, one for each order.
    pub random: Vec<f64>,
    /// Whether deleting what the map marks lowers the score more than each random order.
    pub passed: bool,
}

impl DeletionCheck {
    /// Judges the scores of the passes of [`plan`]; `None` unless all are there.
    pub fn of(score: f64, passes: &[f64]) -> Option<Self> {
        if passes.len() != SHARES.len() * (1 + RANDOM_ORDERS) {
            return None;
        }
        let means = passes
            .chunks(SHARES.len())
            .map(|order| order.iter().sum::<f64>() / order.len() as f64);
        let mut means: Vec<f64> = means.collect();
        let deleted = means.remove(0);
        Some(Self {
            score,
            deleted,
            passed: means.iter().all(|random| deleted < *random) && deleted < score,
            random: means,
        })
    }

    /// The mean of the random orders.
    pub fn mean_random(&self) -> f64 {
        self.random.iter().sum::<f64>() / self.random.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::MapMethod;
    use super::*;

    #[test]
    fn twenty_passes_delete_the_highest_cells_and_as_many_random_ones() {
        let map = HeatMap {
            covered: 1.0,
            method: MapMethod::Attention,
            columns: 10,
            rows: 10,
            values: (0..100_u8).map(f32::from).collect(),
            rest: None,
            score: 1.0,
        };
        let plan = plan(&map, 7);
        assert_eq!(plan.len(), 20);
        assert_eq!(plan[0], [99, 98, 97, 96, 95, 94]);
        let counts: Vec<usize> = plan.iter().map(Vec::len).collect();
        assert_eq!(counts[..5], [6, 12, 18, 24, 30]);
        assert_eq!(counts[..5], counts[15..]);
        assert!(plan[5] != plan[10] && plan[9][..6] == plan[5]);
    }

    #[test]
    fn a_map_passes_only_if_it_beats_every_random_order_and_lowers_the_score() {
        let passes = |means: [f64; 4]| means.map(|mean| [mean; 5]).concat();
        let passed = |score, means| DeletionCheck::of(score, &passes(means)).unwrap().passed;
        assert!(passed(5.0, [1.0, 2.0, 3.0, 1.5]));
        assert!(!passed(5.0, [1.0, 2.0, 3.0, 0.5]));
        assert!(!passed(5.0, [2.0, 2.0, 3.0, 4.0]));
        assert!(!passed(0.5, [1.0, 2.0, 3.0, 1.5]));
        assert_eq!(DeletionCheck::of(5.0, &[1.0; 19]), None);
    }
}
