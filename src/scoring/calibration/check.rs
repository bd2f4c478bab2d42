//! Whether a calibration that was read from a file can be believed.

use super::super::Mode;
use super::{Calibration, MixCalibration, SingleCalibration};

impl Calibration {
    /// Checks its numbers: a damaged one would make probabilities of any score.
    ///
    /// # Errors
    ///
    /// Names the first number that cannot be, as in `temperature is NaN, not a number above 0`.
    pub fn check(&self) -> Result<(), String> {
        match (self.mode, &self.single) {
            (Mode::Single, Some(single)) => single.check()?,
            (Mode::Multi, None) if !self.conditions.is_empty() => {}
            _ => return Err("it has no numbers for its mode".to_owned()),
        }
        let mut thresholds = self.conditions.iter().map(|own| own.threshold);
        thresholds.try_for_each(|own| share("threshold", own))?;
        let of_conditions = self.conditions.iter().map(|own| (own.slope, own.offset));
        let of_normal = self.normal.iter().map(|own| (own.slope, own.offset));
        for (slope, offset) in of_conditions.chain(of_normal) {
            above_zero("slope", slope)?;
            finite("offset", offset)?;
        }
        let confidences = self.conditions.iter().filter_map(|own| own.confidence);
        let confidences = confidences.chain(self.normal.iter().map(|own| own.confidence));
        confidences
            .filter_map(|own| own.confident_from)
            .try_for_each(|from| share("confident_from", from))
    }
}

impl SingleCalibration {
    fn check(&self) -> Result<(), String> {
        above_zero("temperature", self.temperature)?;
        above_zero("answers.temperature", self.answers.temperature)?;
        share("answers.least", self.answers.least)?;
        self.confident_from
            .map_or(Ok(()), |from| share("confident_from", from))?;
        self.mix.as_ref().map_or(Ok(()), MixCalibration::check)
    }
}

impl MixCalibration {
    fn check(&self) -> Result<(), String> {
        above_zero("mix.slope", self.slope)?;
        self.conditions.iter().try_for_each(|own| {
            finite("offset", own.offset)?;
            share("share", own.share)
        })
    }
}

fn above_zero(name: &str, value: f64) -> Result<(), String> {
    let is_right = value.is_finite() && value > 0.0;
    right(is_right, name, value, "a number above 0")
}

fn finite(name: &str, value: f64) -> Result<(), String> {
    right(value.is_finite(), name, value, "a finite number")
}

fn share(name: &str, value: f64) -> Result<(), String> {
    let is_right = (0.0..=1.0).contains(&value);
    right(is_right, name, value, "a number from 0 to 1")
}

fn right(is_right: bool, name: &str, value: f64, expected: &str) -> Result<(), String> {
    if is_right {
        Ok(())
    } else {
        Err(format!("{name} is {value}, not {expected}"))
    }
}
