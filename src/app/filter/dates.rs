//! Days, months and years in a filter: `date:2026-11`, `date>2026-11-01`.

use std::time::SystemTime;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::terms::Inequality;

/// The span of time from `begin` until before `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimeSpan {
    begin: SystemTime,
    end: SystemTime,
}

/// What the value of a date term is.
pub(super) enum DateValue {
    /// It is still being typed.
    Unfinished,
    /// A day, month or year.
    Span(TimeSpan),
    /// It can become neither.
    Wrong,
}

impl DateValue {
    /// Parses `2026`, `2026-11` or `2026-11-03`, in the time zone of this machine.
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
        let time = |day: Date| {
            let midnight = day.to_zoned(TimeZone::system()).ok()?;
            Some(SystemTime::from(midnight.timestamp()))
        };
        let span = first.and_then(time).zip(after.and_then(time));
        span.map_or(Self::Wrong, |(begin, end)| {
            Self::Span(TimeSpan { begin, end })
        })
    }
}

impl TimeSpan {
    /// Whether a time lies in the span; with an inequality, whether it lies after or before it.
    pub(super) fn holds(self, by: Option<Inequality>, time: SystemTime) -> bool {
        match by {
            None => (self.begin..self.end).contains(&time),
            Some(Inequality::Above) => time >= self.end,
            Some(Inequality::AtLeast) => time >= self.begin,
            Some(Inequality::Below) => time < self.begin,
            Some(Inequality::AtMost) => time < self.end,
        }
    }
}

/// The month of a time, as a date term has it: `2026-11`.
pub(super) fn month(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    let day = time.to_zoned(TimeZone::system()).date();
    Some(format!("{:04}-{:02}", day.year(), day.month()))
}
