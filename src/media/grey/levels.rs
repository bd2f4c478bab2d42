//! Counts the values of a frame without its padding: their range, percentiles and histogram.

use crate::grey::samples::Samples;
use crate::grey::{GreyTransform, Histogram};

/// The counted modality values of a frame.
#[derive(Debug)]
pub(super) struct Levels {
    values: ValueCounts,
    range: (f64, f64),
}

/// The values of a frame, as detailed as its sample type allows.
#[derive(Debug)]
enum ValueCounts {
    /// Up to 16 bits: each value that occurs and how often, ascending.
    Counted(Vec<(f64, u64)>),
    /// Above 16 bits: smallest and largest value.
    Measured(f64, f64),
}

/// The fraction of the pixels below and above the robust range.
const TAIL_FRACTION: f64 = 0.005;

impl Levels {
    /// Counts the values of a frame without its padding. If they are all equal, the range includes padding, from which
    /// a label must be distinguishable; if there are none, padding is counted.
    pub(super) fn count(samples: &Samples, transform: &GreyTransform) -> Self {
        let values =
            ValueCounts::count_wanted(samples, transform, |stored| !transform.is_padding(stored));
        let range = values.range();
        if range.is_some_and(|(low, high)| low < high) {
            return Self {
                values,
                range: range.unwrap_or_default(),
            };
        }
        let all = ValueCounts::count_wanted(samples, transform, |_| true);
        Self {
            range: all.range().unwrap_or_default(),
            values: if range.is_some() { values } else { all },
        }
    }

    /// Smallest and largest value; zeros for a frame without values.
    pub(super) fn range(&self) -> (f64, f64) {
        self.range
    }

    /// The range that holds 99 % of the pixels, with equally many below and above.
    pub(super) fn robust(&self, samples: &Samples, transform: &GreyTransform) -> (f64, f64) {
        let ValueCounts::Counted(levels) = &self.values else {
            return percentiles(samples, transform).unwrap_or(self.range());
        };
        let total: u64 = levels.iter().map(|level| level.1).sum();
        let tail = (total as f64 * TAIL_FRACTION) as u64;
        (
            beyond(tail, levels.iter()),
            beyond(tail, levels.iter().rev()),
        )
    }

    /// Counts the values in `bins` equally wide parts of the range.
    pub(super) fn histogram(
        &self,
        samples: &Samples,
        transform: &GreyTransform,
        bins: usize,
    ) -> Histogram {
        let (low, high) = self.range();
        let mut counts = vec![0; bins];
        // Halves, as the difference of large values may be too large for a number.
        let half = high / 2.0 - low / 2.0;
        let scale = if half > 0.0 { bins as f64 / half } else { 0.0 };
        let mut add = |value: f64, count: u64| {
            let bin = ((value / 2.0 - low / 2.0) * scale) as usize;
            if let Some(bin) = counts.get_mut(bin.min(bins.saturating_sub(1))) {
                *bin += count;
            }
        };
        match &self.values {
            ValueCounts::Counted(levels) => levels.iter().for_each(|level| add(level.0, level.1)),
            ValueCounts::Measured(..) => values(samples, transform).for_each(|value| add(value, 1)),
        }
        Histogram { low, high, counts }
    }
}

impl ValueCounts {
    /// Counts the values whose stored value is `wanted`.
    fn count_wanted(
        samples: &Samples,
        transform: &GreyTransform,
        wanted: impl Fn(f64) -> bool,
    ) -> Self {
        if let Some(possible) = samples.possible() {
            let values = possible.values().zip(counts(samples, possible.count));
            let mut levels: Vec<(f64, u64)> = values
                .filter(|(stored, count)| *count > 0 && wanted(*stored))
                .map(|(stored, count)| (transform.modality(stored), count))
                .filter(|(value, _)| value.is_finite())
                .collect();
            levels.sort_by(|a, b| a.0.total_cmp(&b.0));
            return ValueCounts::Counted(levels);
        }
        let values = wide_values(samples)
            .filter(|stored| wanted(*stored))
            .map(|stored| transform.modality(stored))
            .filter(|value| value.is_finite());
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = values.fold(start, |(low, high), v| (low.min(v), high.max(v)));
        ValueCounts::Measured(low, high)
    }

    /// Smallest and largest value; `None` if there are none.
    fn range(&self) -> Option<(f64, f64)> {
        match self {
            ValueCounts::Counted(levels) => Some((levels.first()?.0, levels.last()?.0)),
            ValueCounts::Measured(low, high) => (low <= high).then_some((*low, *high)),
        }
    }
}

/// The first value at which more than `tail` pixels have been passed.
fn beyond<'a>(tail: u64, mut levels: impl Iterator<Item = &'a (f64, u64)>) -> f64 {
    let mut seen = 0;
    let found = levels.find(|level| {
        seen += level.1;
        seen > tail
    });
    found.map_or(0.0, |level| level.0)
}

/// The robust range of samples above 16 bits.
fn percentiles(samples: &Samples, transform: &GreyTransform) -> Option<(f64, f64)> {
    let mut values: Vec<f64> = values(samples, transform).collect();
    let tail = (values.len() as f64 * TAIL_FRACTION) as usize;
    let last = values.len().checked_sub(1)?;
    let mut nth = |at: usize| *values.select_nth_unstable_by(at, f64::total_cmp).1;
    Some((nth(tail), nth(last - tail)))
}

/// The modality values of samples above 16 bits, without padding.
fn values<'a>(
    samples: &'a Samples,
    transform: &'a GreyTransform,
) -> impl Iterator<Item = f64> + 'a {
    wide_values(samples)
        .filter(|stored| !transform.is_padding(*stored))
        .map(|stored| transform.modality(stored))
        .filter(|value| value.is_finite())
}

/// Counts how often each possible value occurs.
fn counts(samples: &Samples, size: usize) -> Vec<u64> {
    // Four tables in turn: neighbouring pixels are often equal, and updates of a single counter would wait for each
    // other.
    fn tally<T: Copy>(data: &[T], size: usize, index: impl Fn(T) -> usize) -> Vec<u64> {
        let mut counts = vec![[0_u32; 4]; size];
        for four in data.chunks(4) {
            for (lane, &value) in four.iter().enumerate() {
                counts[index(value)][lane] += 1;
            }
        }
        counts
            .into_iter()
            .map(|lanes| lanes.iter().map(|&n| u64::from(n)).sum())
            .collect()
    }
    match samples {
        Samples::U8(data) => tally(data, size, usize::from),
        Samples::U16(data) => tally(data, size, usize::from),
        Samples::I16(data) => tally(data, size, |v| (i32::from(v) + (1 << 15)) as usize),
        _ => Vec::new(),
    }
}

/// The stored values of samples above 16 bits.
fn wide_values(samples: &Samples) -> Box<dyn Iterator<Item = f64> + '_> {
    match samples {
        Samples::U32(data) => Box::new(data.iter().map(|&v| f64::from(v))),
        Samples::I32(data) => Box::new(data.iter().map(|&v| f64::from(v))),
        Samples::F64(data) => Box::new(data.iter().copied()),
        _ => Box::new(std::iter::empty()),
    }
}
