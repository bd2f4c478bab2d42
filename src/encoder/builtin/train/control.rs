//! The control beside every figure: a logistic regression on global statistics, which see no finding. What it reaches may be
//! a property of the source.

/// Mean, deviation, five quantiles, share of black, share of white, proportions, and sharpness.
pub type Statistics = [f64; 11];

/// The statistics of grey pixels.
pub fn statistics(grey: &[u8], width: u32, height: u32) -> Statistics {
    let n = grey.len().max(1) as f64;
    let mut sorted = grey.to_vec();
    sorted.sort_unstable();
    let quantile = |share: f64| {
        f64::from(
            sorted
                .get((share * (n - 1.0)) as usize)
                .copied()
                .unwrap_or(0),
        ) / 255.0
    };
    let mean = grey.iter().map(|&p| f64::from(p) / 255.0).sum::<f64>() / n;
    let variance = grey
        .iter()
        .map(|&p| (f64::from(p) / 255.0 - mean).powi(2))
        .sum::<f64>()
        / n;
    let share = |test: fn(u8) -> bool| grey.iter().filter(|&&p| test(p)).count() as f64 / n;
    let steps = grey
        .windows(2)
        .map(|w| (f64::from(w[0]) - f64::from(w[1])).abs() / 255.0)
        .sum::<f64>()
        / n;
    [
        mean,
        variance.sqrt(),
        quantile(0.05),
        quantile(0.25),
        quantile(0.5),
        quantile(0.75),
        quantile(0.95),
        share(|p| p < 10),
        share(|p| p > 245),
        f64::from(width) / f64::from(height.max(1)),
        steps,
    ]
}

/// A fitted regression.
pub struct Regression {
    mean: Statistics,
    deviation: Statistics,
    /// The weight of each standardised statistic, and the bias.
    weights: [f64; 12],
}

/// Fits by gradient descent on the mean loss, both classes weighing the same, with a little shrinkage.
pub fn fit(rows: &[(Statistics, bool)]) -> Regression {
    const STEPS: usize = 1500;
    const RATE: f64 = 0.5;
    const SHRINKAGE: f64 = 1e-4;
    let n = rows.len().max(1) as f64;
    let mean: Statistics = std::array::from_fn(|i| rows.iter().map(|(s, _)| s[i]).sum::<f64>() / n);
    let spread = |i: usize| {
        (rows
            .iter()
            .map(|(s, _)| (s[i] - mean[i]).powi(2))
            .sum::<f64>()
            / n)
            .sqrt()
            .max(1e-9)
    };
    let mut found = Regression {
        mean,
        deviation: std::array::from_fn(spread),
        weights: [0.0; 12],
    };
    let positives = rows.iter().filter(|row| row.1).count().max(1) as f64;
    let negatives = (n - positives).max(1.0);
    for _ in 0..STEPS {
        let mut gradient = [0.0; 12];
        for (statistics, truth) in rows {
            let weight = if *truth {
                0.5 / positives
            } else {
                0.5 / negatives
            };
            let error = (found.probability(statistics) - f64::from(u8::from(*truth))) * weight;
            for (g, x) in gradient.iter_mut().zip(found.standardised(statistics)) {
                *g += error * x;
            }
        }
        for (w, g) in found.weights.iter_mut().zip(gradient) {
            *w -= RATE * (g + SHRINKAGE * *w);
        }
    }
    found
}

impl Regression {
    fn standardised(&self, statistics: &Statistics) -> [f64; 12] {
        std::array::from_fn(|i| {
            if i < 11 {
                (statistics[i] - self.mean[i]) / self.deviation[i]
            } else {
                1.0
            }
        })
    }

    /// The probability of the positive class.
    pub fn probability(&self, statistics: &Statistics) -> f64 {
        let sum: f64 = self
            .standardised(statistics)
            .iter()
            .zip(self.weights)
            .map(|(x, w)| x * w)
            .sum();
        1.0 / (1.0 + (-sum).exp())
    }
}
