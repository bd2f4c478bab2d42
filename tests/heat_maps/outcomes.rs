//! How often the maps of phantoms do what they should.

use std::collections::BTreeMap;

use medivision_tui::scoring::heat_map::deletion::DeletionCheck;
use medivision_tui::scoring::heat_map::{HeatMap, rank_correlation};

use super::samples::Sample;

/// How often the maps of phantoms by one method do what they should.
#[derive(Default)]
pub struct Outcomes {
    /// The highest cell is in a finding; by kind of phantom, too.
    hits: Vec<bool>,
    by_kind: BTreeMap<String, Vec<bool>>,
    /// The image's centre is in a finding.
    centre: Vec<bool>,
    /// The highest cell of the same model's map with random weights is in a finding.
    chance: Vec<bool>,
    /// Deletion lowers the score more than the mean random order, and than each.
    better: Vec<bool>,
    passed: Vec<bool>,
    /// For the maps that pass their check, and so are shown: the highest cell is in a finding.
    hits_shown: Vec<bool>,
    /// The map of a wrong condition differs.
    differs: Vec<bool>,
}

/// The same in shares.
pub struct Shares {
    hits: f64,
    centre: f64,
    chance: f64,
    better: f64,
    hits_shown: f64,
    differs: f64,
}

impl Outcomes {
    /// Judges the maps of one phantom: `maps` are those of its own condition and of the wrong ones, `random` that of random weights.
    pub fn add(
        &mut self,
        sample: &Sample,
        maps: &[HeatMap],
        random: &HeatMap,
        check: &DeletionCheck,
    ) {
        let map = &maps[0];
        // Half a cell is what the grid leaves open.
        let tolerance = 0.5 / map.columns as f64;
        let is_hit = |(x, y)| sample.is_hit(x, y, tolerance);
        let hit = is_hit(summit(map));
        let kind = format!("{} {}", sample.anatomy.name(), sample.condition);
        self.by_kind.entry(kind).or_default().push(hit);
        self.hits.push(hit);
        self.centre.push(is_hit((0.5, 0.5)));
        self.chance.push(is_hit(summit(random)));
        self.better.push(check.deleted < check.mean_random());
        self.passed.push(check.passed);
        self.hits_shown.extend(check.passed.then_some(hit));
        for wrong in &maps[1..] {
            let alike = rank_correlation(&map.values, &wrong.values).unwrap();
            self.differs.push(alike < 0.5);
        }
    }

    /// Prints the shares.
    pub fn report(&self, name: &str) -> Shares {
        let share = |all: &[bool]| all.iter().filter(|is| **is).count() as f64 / all.len() as f64;
        let kinds: Vec<String> = self
            .by_kind
            .iter()
            .map(|(k, all)| format!("{k} {:.2}", share(all)))
            .collect();
        let shares = Shares {
            hits: share(&self.hits),
            centre: share(&self.centre),
            chance: share(&self.chance),
            better: share(&self.better),
            hits_shown: share(&self.hits_shown),
            differs: share(&self.differs),
        };
        println!(
            "{name}: {} phantoms; pointing game {:.2} ({}), of the maps that pass their check {:.2}, centre {:.2}, random weights {:.2}; \
             deletion better than the mean random order {:.2}, than each {:.2}; wrong condition differs {:.2}",
            self.hits.len(),
            shares.hits,
            kinds.join(", "),
            shares.hits_shown,
            shares.centre,
            shares.chance,
            shares.better,
            share(&self.passed),
            shares.differs
        );
        shares
    }
}

/// What is required of the maps that are shown unless others are asked for.
pub fn assert_finds(shares: &Shares) {
    let Shares {
        hits,
        centre,
        chance,
        better,
        differs,
        ..
    } = *shares;
    assert!(hits >= 0.8 && hits >= centre + 0.3 && hits >= chance + 0.3);
    assert!(better >= 0.9);
    assert!(differs >= 0.95);
}

/// What holds of Grad-ECLIP, which falls short of [`assert_finds`]: it tells more than the centre and random weights do, and its check
/// withholds the worse of its maps.
pub fn assert_tells_something(shares: &Shares) {
    let Shares {
        hits,
        centre,
        chance,
        better,
        hits_shown,
        differs,
    } = *shares;
    assert!(hits >= centre + 0.1 && hits >= chance + 0.2);
    assert!(hits_shown >= hits);
    assert!(better >= 0.6);
    assert!(differs >= 0.7);
}

/// The centre of the highest cell, in shares of the sides.
pub fn summit(map: &HeatMap) -> (f64, f64) {
    let cell = map.ranked()[0];
    let share = |at: usize, count: usize| (at as f64 + 0.5) / count as f64;
    (
        share(cell % map.columns, map.columns),
        share(cell / map.columns, map.rows),
    )
}
