//! Days, months and years in a filter: `date:2026-11`, `date>2026-11-01`.

use std::time::SystemTime;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::terms::Inequality;

/// The days from `begin` until before `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DaySpan {
    begin: Date,
    end: Date,
}

/// What the value of a date term is.
pub(super) enum DateValue {
    /// It is still being typed.
    Unfinished,
    /// A day, month or year.
    Span(DaySpan),
    /// It can become neither.
    Wrong,
}

impl DateValue {
    /// Parses `2026`, `2026-11` or `2026-11-03`.
    pub(super) fn parse(text: &str) -> Self {
        let lengths = [4, 2, 2];
        let parts: Vec<&str> = text.split('-').collect();
        let Some((last, before)) = parts.split_last().filter(|_| parts.len() <= lengths.len())
        else {
            return Self::Wrong;
        };
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let whole = before.iter().zip(lengths);
        let fits = whole.clone().all(|(part, length)| part.len() == length)
            && last.len() <= lengths[before.len()];
        if !fits || !parts.iter().all(|part| is_digits(part)) {
            return Self::Wrong;
        }
        if last.len() < lengths[before.len()] {
            return Self::Unfinished;
        }
        let number = |at: usize| parts.get(at).and_then(|part| part.parse::<i16>().ok());
        let part = |at: usize| i8::try_from(number(at).unwrap_or(1)).unwrap_or_default();
        let first = Date::new(number(0).unwrap_or_default(), part(1), part(2)).ok();
        let after = first.and_then(|first| {
            let length = match parts.len() {
                1 => 1.year(),
                2 => 1.month(),
                _ => 1.day(),
            };
            first.checked_add(length).ok()
        });
        let span = first.zip(after);
        span.map_or(Self::Wrong, |(begin, end)| {
            Self::Span(DaySpan { begin, end })
        })
    }
}

impl DaySpan {
    /// Whether a time lies in the span; with an inequality, whether it lies after or before it.
    pub(super) fn holds(self, by: Option<Inequality>, time: SystemTime, zone: &TimeZone) -> bool {
        let Some(day) = day(time, zone) else {
            return false;
        };
        match by {
            None => (self.begin..self.end).contains(&day),
            Some(Inequality::Above) => day >= self.end,
            Some(Inequality::AtLeast) => day >= self.begin,
            Some(Inequality::Below) => day < self.begin,
            Some(Inequality::AtMost) => day < self.end,
        }
    }
}

/// The day of a time; `None` of one beyond the years that the calendar has.
fn day(time: SystemTime, zone: &TimeZone) -> Option<Date> {
    let time = Timestamp::try_from(time).ok()?;
    Some(zone.to_datetime(time).date())
}

/// The month of a time, as a date term has it: `2026-11`.
pub(super) fn month(time: SystemTime, zone: &TimeZone) -> Option<String> {
    let day = day(time, zone)?;
    Some(format!("{:04}-{:02}", day.year(), day.month()))
}
