//! Playing frames as a film, and typing the number of a frame.

use std::path::PathBuf;
use std::time::Duration;

/// Frames per second that can be chosen.
const RATES: [f64; 12] = [
    0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0,
];
/// The default rate, if the file specifies none.
const DEFAULT_RATE: f64 = 10.0;
/// Digits of the largest frame number that can be typed.
const MAX_DIGITS: usize = 6;

/// Cine: plays the frames of a file, or the files of a series. The next frame is requested when it is due and the last one is
/// on screen: a slow terminal or decoder slows it down, and no requests pile up.
#[derive(Clone, Debug, PartialEq)]
pub struct Film {
    /// When the next frame is due, since the start of the program.
    pub due: Duration,
    /// The row of the series whose files are played; `None`: the frames of one file.
    pub series: Option<PathBuf>,
}

impl Film {
    /// Starts a film with the frame on screen.
    pub fn start(now: Duration, rate: f64, series: Option<PathBuf>) -> Self {
        Self {
            due: now + period(rate),
            series,
        }
    }

    /// Notes that the next frame was requested. Lost time is not made up for.
    pub fn go_on(&mut self, now: Duration, rate: f64) {
        self.due = (self.due + period(rate)).max(now);
    }
}

/// The time that each frame is shown.
fn period(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / valid_rate(rate))
}

/// A rate within the range that can be chosen, whatever a file claims.
pub fn valid_rate(rate: f64) -> f64 {
    if rate.is_finite() && rate > 0.0 {
        rate.clamp(RATES[0], RATES[RATES.len() - 1])
    } else {
        DEFAULT_RATE
    }
}

/// The next higher rate.
pub fn faster(rate: f64) -> f64 {
    let above = RATES.iter().find(|known| **known > rate + 1e-9);
    *above.unwrap_or(&RATES[RATES.len() - 1])
}

/// The next lower rate.
pub fn slower(rate: f64) -> f64 {
    let below = RATES.iter().rfind(|known| **known < rate - 1e-9);
    *below.unwrap_or(&RATES[0])
}

/// The number of a frame being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameNumberInput {
    digits: String,
    refused: bool,
}

impl FrameNumberInput {
    /// Adds a digit; other characters are refused.
    pub fn push(&mut self, c: char) {
        self.refused = !c.is_ascii_digit();
        if !self.refused && self.digits.len() < MAX_DIGITS {
            self.digits.push(c);
        }
    }

    /// Whether the last key was refused.
    pub fn has_refused(&self) -> bool {
        self.refused
    }

    /// Removes the last digit; false if there was none.
    pub fn pop(&mut self) -> bool {
        self.refused = false;
        self.digits.pop().is_some()
    }

    /// The digits typed.
    pub fn text(&self) -> &str {
        &self.digits
    }

    /// The frame typed, from 0, limited to those there are; `None` if nothing was typed.
    pub fn frame(&self, frames: u32) -> Option<u32> {
        let number: u32 = self.digits.parse().ok()?;
        Some(number.clamp(1, frames.max(1)) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_go_up_and_down_between_their_ends() {
        assert_eq!((faster(10.0), slower(10.0)), (12.0, 8.0));
        assert_eq!((faster(30.0), slower(0.5)), (30.0, 0.5));
        let rates = [
            faster(valid_rate(29.97)),
            valid_rate(f64::NAN),
            valid_rate(1e9),
        ];
        assert_eq!(rates.map(|rate| rate as u32), [30, 10, 30]);
    }

    #[test]
    fn a_film_does_not_make_up_for_lost_time() {
        let mut film = Film::start(Duration::ZERO, 10.0, None);
        assert_eq!(film.due, Duration::from_millis(100));
        film.go_on(Duration::from_millis(101), 10.0);
        assert_eq!(
            film.due,
            Duration::from_millis(200),
            "on time it keeps step"
        );
        film.go_on(Duration::from_secs(5), 10.0);
        assert_eq!(film.due, Duration::from_secs(5));
    }

    #[test]
    fn a_typed_number_leads_to_the_nearest_frame() {
        let typed = |text: &str| {
            let mut input = FrameNumberInput::default();
            text.chars().for_each(|c| input.push(c));
            input.frame(60)
        };
        assert_eq!(typed("12"), Some(11));
        assert_eq!(typed("1x2"), Some(11), "what is no digit is passed over");
        assert_eq!((typed("0"), typed("999999999")), (Some(0), Some(59)));
        assert_eq!(typed(""), None);
    }
}
