//! How urgent a result is, in levels that lists tell apart.

/// The urgency from which a result is more likely abnormal than not.
const URGENT: f64 = 0.5;
/// The urgency from which a result stands out most.
const VERY_URGENT: f64 = 0.9;

/// The level of an urgency; a higher one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UrgencyLevel {
    /// Nothing tells normal from abnormal: of an image only its kind is known, say.
    Unjudged,
    /// More likely normal than not.
    Normal,
    /// More likely abnormal than not.
    Urgent,
    /// At least 90 % likely to be abnormal.
    VeryUrgent,
}

impl UrgencyLevel {
    /// All levels, the highest first.
    pub const ALL: [Self; 4] = [Self::VeryUrgent, Self::Urgent, Self::Normal, Self::Unjudged];

    /// The level of an urgency between 0 and 1, if there is one.
    pub fn of(urgency: Option<f64>) -> Self {
        match urgency {
            None => Self::Unjudged,
            Some(urgency) if urgency >= VERY_URGENT => Self::VeryUrgent,
            Some(urgency) if urgency >= URGENT => Self::Urgent,
            Some(_) => Self::Normal,
        }
    }
}

/// Images counted by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelCounts([usize; 4]);

impl LevelCounts {
    /// All images.
    pub fn total(self) -> usize {
        self.0.iter().sum()
    }

    /// The images of a level.
    pub fn count(self, level: UrgencyLevel) -> usize {
        self.0[level as usize]
    }

    /// The level of the image in the middle, if all are put in the order of their levels.
    pub fn median(self) -> UrgencyLevel {
        let half = self.total() / 2;
        let mut so_far = 0;
        let mut levels = UrgencyLevel::ALL.into_iter();
        let middle = levels.find(|level| {
            so_far += self.count(*level);
            so_far > half
        });
        middle.unwrap_or(UrgencyLevel::Unjudged)
    }

    /// Adds other images.
    pub(super) fn merge(&mut self, other: Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    pub(super) fn add(&mut self, level: UrgencyLevel) {
        self.0[level as usize] += 1;
    }

    pub(super) fn subtract(&mut self, level: UrgencyLevel) {
        let count = &mut self.0[level as usize];
        *count = count.saturating_sub(1);
    }
}
