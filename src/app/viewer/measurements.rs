//! The measurements on images, which stay until they are removed.
//!
//! What a figure measures comes with the next preview of its frame: only there are the pixels. Until it has come, and when a
//! point was moved, a measurement waits to be stored; it is stored without values if the user goes on before.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::facts::number;
use crate::app::effect::Effect;
use crate::app::entry::{FoundFile, Stamp};
use crate::app::measurement::{Measurement, MeasurementId};
use crate::app::preview::MarkedFigure;
use crate::app::text::{cut_end, safe_str};
use crate::media::Geometry;
use crate::media::measure::{Extent, Figure, FigureKind, LengthUnit, Measured};

/// Columns of a unit.
const MAX_UNIT: usize = 12;
/// Maximum number of measurements of a file.
pub const MAX_MEASUREMENTS: usize = 200;
/// Number of files from which those without measurements are forgotten.
const MAX_FILES: usize = 1000;

/// A measurement and whether it waits to be stored.
#[derive(Clone, Debug, PartialEq)]
struct HeldMeasurement {
    measurement: Measurement,
    /// It is new or was changed since it was stored.
    waits: bool,
}

/// The measurements of a file.
#[derive(Clone, Debug, Default, PartialEq)]
struct FileMeasurements {
    stamp: Stamp,
    all: Vec<HeldMeasurement>,
    /// Whether those of the library were requested.
    requested: bool,
}

/// All measurements in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Measurements {
    files: HashMap<PathBuf, FileMeasurements>,
    /// Who makes measurements.
    author: String,
    /// Number of measurements made.
    made: u64,
    /// The one that is selected.
    selected: Option<MeasurementId>,
    /// Whether those of others are hidden, as they would bias a reviewer who works blind.
    blind: bool,
}

impl Measurements {
    /// No measurements yet. `author`: who will make them.
    pub(super) fn new(author: String) -> Self {
        Self {
            author,
            ..Self::default()
        }
    }

    fn of(&self, file: &FoundFile) -> &[HeldMeasurement] {
        let found = self.files.get(&file.path);
        let found = found.filter(|known| known.stamp == file.stamp);
        found.map_or(&[], |known| &known.all)
    }

    fn of_mut(&mut self, file: &FoundFile) -> &mut FileMeasurements {
        let known = self.files.entry(file.path.clone()).or_default();
        if known.stamp != file.stamp {
            *known = FileMeasurements {
                stamp: file.stamp,
                ..FileMeasurements::default()
            };
        }
        known
    }

    /// The measurements of a file that may be seen, in the order in which they were made.
    pub(super) fn list(&self, file: &FoundFile) -> impl Iterator<Item = &Measurement> {
        let all = self.of(file).iter().map(|kept| &kept.measurement);
        all.filter(|measurement| !self.hides(measurement))
    }

    fn hides(&self, measurement: &Measurement) -> bool {
        self.blind && measurement.author.as_ref() != Some(&self.author)
    }

    /// Hides the measurements of others, or shows them again. A hidden one is not selected any more.
    pub(super) fn set_blind(&mut self, blind: bool) {
        self.blind = blind;
        let mut all = self.files.values().flat_map(|known| &known.all);
        let selected = all.find(|kept| Some(&kept.measurement.id) == self.selected.as_ref());
        if selected.is_some_and(|kept| self.hides(&kept.measurement)) {
            self.selected = None;
        }
    }

    /// The one that is selected.
    pub(super) fn selected(&self) -> Option<&MeasurementId> {
        self.selected.as_ref()
    }

    /// Selects a measurement, or none.
    pub(super) fn select(&mut self, id: Option<MeasurementId>) {
        self.selected = id;
    }

    /// A measurement of a file.
    pub(super) fn get(&self, file: &FoundFile, id: &MeasurementId) -> Option<&Measurement> {
        self.list(file).find(|measurement| measurement.id == *id)
    }

    /// Adds a measurement; false if the file has too many.
    pub(super) fn add(
        &mut self,
        file: &FoundFile,
        frame: u32,
        figure: Figure,
        geometry: &Geometry,
    ) -> bool {
        let (id, author) = (MeasurementId::New(self.made), self.author.clone());
        let all = &mut self.of_mut(file).all;
        if all.len() >= MAX_MEASUREMENTS {
            return false;
        }
        all.push(HeldMeasurement {
            measurement: Measurement {
                id,
                frame,
                measured: figure.geometry(geometry),
                figure,
                unit: None,
                author: Some(author),
            },
            waits: true,
        });
        self.made += 1;
        true
    }

    /// Moves a point of a figure.
    pub(super) fn move_point(
        &mut self,
        file: &FoundFile,
        id: &MeasurementId,
        (point, to): (usize, [f64; 2]),
        geometry: &Geometry,
    ) {
        let author = self.author.clone();
        let mut all = self.of_mut(file).all.iter_mut();
        let Some(kept) = all.find(|kept| kept.measurement.id == *id) else {
            return;
        };
        let measurement = &mut kept.measurement;
        if let Some(point) = measurement.figure.points.get_mut(point) {
            *point = to;
            measurement.measured = measurement.figure.geometry(geometry);
            measurement.author = Some(author);
            kept.waits = true;
        }
    }

    /// Removes a measurement. Returns the effect that removes it from the library.
    pub(super) fn remove(&mut self, file: &FoundFile, id: &MeasurementId) -> Option<Effect> {
        let all = &mut self.of_mut(file).all;
        let at = all.iter().position(|kept| kept.measurement.id == *id)?;
        all.remove(at);
        self.selected.take_if(|selected| selected == id);
        Some(Effect::RemoveMeasurement(id.clone()))
    }

    /// The figures to draw on a frame, and which of them is selected.
    pub(super) fn figures(&self, file: &FoundFile, frame: u32) -> Vec<MarkedFigure> {
        let here = self.list(file).filter(|m| m.frame == frame);
        here.map(|measurement| MarkedFigure {
            figure: measurement.figure.clone(),
            is_selected: self.selected.as_ref() == Some(&measurement.id),
        })
        .collect()
    }

    /// Takes in what figures on a frame measure. Returns the effects that store what has waited for it.
    pub(super) fn take_values(
        &mut self,
        file: &FoundFile,
        frame: u32,
        figures: &[(&Figure, Measured)],
        unit: Option<&str>,
    ) -> Vec<Effect> {
        let known = self.files.get_mut(&file.path);
        let Some(known) = known.filter(|known| known.stamp == file.stamp) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        for kept in known
            .all
            .iter_mut()
            .filter(|kept| kept.measurement.frame == frame)
        {
            let figure = &kept.measurement.figure;
            let Some((_, measured)) = figures.iter().find(|(known, _)| *known == figure) else {
                continue;
            };
            let lacks_values = kept.measurement.measured.statistics.is_none();
            let has_news = lacks_values && measured.statistics.is_some();
            if !kept.waits && !has_news {
                continue;
            }
            kept.measurement.measured = *measured;
            kept.measurement.unit = unit.map(str::to_owned);
            kept.waits = false;
            effects.push(kept_effect(file, &kept.measurement));
        }
        effects
    }

    /// The effects that store what still waits, except in one file.
    pub(super) fn store_waiting(&mut self, except: Option<&Path>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (path, known) in &mut self.files {
            if except == Some(path) {
                continue;
            }
            let file = FoundFile {
                path: path.clone(),
                stamp: known.stamp,
            };
            for kept in known.all.iter_mut().filter(|kept| kept.waits) {
                kept.waits = false;
                effects.push(kept_effect(&file, &kept.measurement));
            }
        }
        effects
    }

    /// The effect that requests the measurements that the library has of a file, the first time. Without a library, all that
    /// were made in this session stay in memory.
    pub(super) fn request(&mut self, file: &FoundFile) -> Option<Effect> {
        if self.of_mut(file).requested {
            return None;
        }
        if self.files.len() > MAX_FILES {
            self.files.retain(|_, known| !known.all.is_empty());
        }
        self.of_mut(file).requested = true;
        Some(Effect::Measurements(file.clone()))
    }

    /// Takes in the measurements that the library has of a file.
    pub(super) fn stored(&mut self, file: &FoundFile, stored: Vec<Measurement>) {
        let all = &mut self.of_mut(file).all;
        let known = |id: &MeasurementId| all.iter().any(|kept| kept.measurement.id == *id);
        let new: Vec<HeldMeasurement> = stored
            .into_iter()
            .filter(|measurement| !known(&measurement.id))
            .map(|measurement| HeldMeasurement {
                measurement,
                waits: false,
            })
            .collect();
        all.splice(0..0, new);
    }
}

fn kept_effect(file: &FoundFile, measurement: &Measurement) -> Effect {
    Effect::KeepMeasurement {
        file: file.clone(),
        measurement: Box::new(measurement.clone()),
    }
}

/// What a figure measures, in words that are safe to show: one line for geometry, one for values.
pub fn measured_words(measured: &Measured, unit: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(measured.length.map(length_words));
    lines.extend(measured.degrees.map(|degrees| format!("{degrees:.1}°")));
    if let Some(values) = measured.statistics {
        let unit = unit.map_or_else(String::new, |unit| {
            format!(" {}", cut_end(&safe_str(unit), MAX_UNIT))
        });
        lines.push(format!(
            "{} ± {}{unit}",
            tenths(values.mean),
            tenths(values.deviation)
        ));
    }
    lines.extend(measured.area.map(area_words));
    lines
}

/// A value with one decimal, or more if it is small.
fn tenths(value: f64) -> String {
    if value == 0.0 || (1.0..1e6).contains(&value.abs()) {
        format!("{value:.1}")
    } else {
        number(value)
    }
}

fn length_words(length: Extent) -> String {
    let value = length.value;
    match length.unit {
        LengthUnit::Millimetres => format!("{value:.1} mm"),
        LengthUnit::AtDetector => format!("{value:.1} mm at the detector"),
        LengthUnit::Pixels => format!("{value:.1} px"),
    }
}

fn area_words(area: Extent) -> String {
    let value = area.value;
    match area.unit {
        LengthUnit::Pixels => format!("{value:.0} px²"),
        unit => {
            let place = if unit == LengthUnit::AtDetector {
                " at the detector"
            } else {
                ""
            };
            if value >= 100.0 {
                format!("{:.2} cm²{place}", value / 100.0)
            } else {
                format!("{value:.1} mm²{place}")
            }
        }
    }
}

/// The name of a kind of figure.
pub fn kind_word(kind: FigureKind) -> &'static str {
    match kind {
        FigureKind::Length => "length",
        FigureKind::Angle => "angle",
        FigureKind::Ellipse => "ellipse",
        FigureKind::Polygon => "polygon",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blind_reviewer_sees_no_measurements_of_others() {
        let file = FoundFile {
            path: PathBuf::from("/in/ct.dcm"),
            stamp: Stamp::default(),
        };
        let by = |author: &str| Measurement {
            id: MeasurementId::Stored(author.into()),
            frame: 0,
            figure: Figure {
                kind: FigureKind::Length,
                points: vec![[0.5, 0.5], [4.5, 0.5]],
            },
            measured: Measured::default(),
            unit: None,
            author: Some(author.to_owned()),
        };
        let mut measurements = Measurements::new("doe".to_owned());
        measurements.stored(&file, vec![by("doe"), by("roe")]);
        let others = MeasurementId::Stored("roe".into());
        measurements.select(Some(others.clone()));
        for (blind, shown) in [(true, 1), (false, 2)] {
            measurements.set_blind(blind);
            assert_eq!(measurements.list(&file).count(), shown);
            assert_eq!(measurements.figures(&file, 0).len(), shown);
            assert_eq!(measurements.get(&file, &others).is_some(), !blind);
            assert_eq!(measurements.selected(), None);
        }
    }

    #[test]
    fn values_are_told_with_the_digits_they_deserve() {
        let words = |mean, deviation| {
            let statistics = crate::media::measure::RegionStatistics {
                pixels: 9,
                mean,
                deviation,
                min: 0.0,
                max: 1.0,
            };
            let measured = Measured {
                statistics: Some(statistics),
                ..Measured::default()
            };
            measured_words(&measured, Some("HU\u{1b}")).join(", ")
        };
        assert!(words(146.64, 168.19).starts_with("146.6 ± 168.2 HU"));
        assert!(words(0.0, 0.012_34).starts_with("0.0 ± 0.0123 HU"));
        assert!(!words(1.0, 1.0).contains('\u{1b}'), "safe to show");
    }
}
