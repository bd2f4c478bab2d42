//! A mix in the user's words.

use std::str::FromStr;

use crate::scoring::label_shift::{ConditionGroup, ConditionGroups};

/// How far shares may sum to more or less than 1.
const ROUNDING: f64 = 1e-6;

/// Shares as they were typed, such as `5% abnormal` or `normal=95%, pneumonia=5%`; what is not named shares the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct StatedMix(Vec<(String, f64)>);

/// Why a mix cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatedMixError {
    /// A part is not a name with a share.
    #[error(
        "`{0}` does not say a share; write it as in `5% abnormal` or `normal=95%, pneumonia=5%`"
    )]
    Unreadable(String),
    /// More than all.
    #[error("the stated shares sum to {0:.4} %; they cannot be more than 100 %")]
    TooMuch(f64),
    /// Less than all, and nothing is left to have the rest.
    #[error("the stated shares of all conditions sum to {0:.4} %, not to 100 %")]
    TooLittle(f64),
    /// A name is no condition's.
    #[error("`{name}` is not a condition of this prompt set; it has {known}, and `abnormal`")]
    Unknown {
        /// The name.
        name: String,
        /// The conditions.
        known: String,
    },
    /// A condition is named twice.
    #[error("the share of `{0}` is stated twice")]
    Twice(String),
}

impl Eq for StatedMixError {}

impl FromStr for StatedMix {
    type Err = StatedMixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split([',', ';']);
        let parts = parts.map(str::trim).filter(|part| !part.is_empty());
        let all: Vec<(String, f64)> = parts.map(part).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(StatedMixError::Unreadable(text.to_owned()));
        }
        let sum: f64 = all.iter().map(|(_, share)| share).sum();
        if sum > 1.0 + ROUNDING {
            return Err(StatedMixError::TooMuch(100.0 * sum));
        }
        Ok(Self(all))
    }
}

/// A name and a share, in either order, with or without an equals sign.
fn part(text: &str) -> Result<(String, f64), StatedMixError> {
    let unreadable = || StatedMixError::Unreadable(text.to_owned());
    let (name, share) = if let Some((name, share)) = text.split_once('=') {
        (name.trim(), fraction(share))
    } else {
        let either = leading_share(text).or_else(|| trailing_share(text));
        let (name, share) = either.ok_or_else(unreadable)?;
        (name, Some(share))
    };
    match share {
        Some(share) if !name.is_empty() => Ok((name.to_owned(), share)),
        _ => Err(unreadable()),
    }
}

/// `5 % abnormal`, `5% abnormal` or `0.05 abnormal`.
fn leading_share(text: &str) -> Option<(&str, f64)> {
    let (share, name) = if let Some((share, name)) = text.split_once('%') {
        (fraction_of_hundred(share)?, name)
    } else {
        let (share, name) = text.split_once(' ')?;
        (fraction(share)?, name)
    };
    Some((name.trim(), share))
}

/// `abnormal 5 %`, `abnormal 5%` or `abnormal 0.05`.
fn trailing_share(text: &str) -> Option<(&str, f64)> {
    let number = text.trim_end_matches('%').trim_end();
    let (name, share) = number.rsplit_once([' ', ':'])?;
    let share = if text.ends_with('%') {
        fraction_of_hundred(share)?
    } else {
        fraction(share)?
    };
    Some((name.trim_end_matches(':').trim(), share))
}

/// `5%`, `5 %` or `0.05`.
fn fraction(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Some(hundredths) = text.strip_suffix('%') {
        return fraction_of_hundred(hundredths);
    }
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
}

fn fraction_of_hundred(text: &str) -> Option<f64> {
    let share = text.trim().parse::<f64>().ok()? / 100.0;
    (0.0..=1.0).contains(&share).then_some(share)
}

impl StatedMix {
    /// Whether it fits these conditions.
    ///
    /// # Errors
    ///
    /// Says what does not fit.
    pub fn check(
        &self,
        names: &[&str],
        abnormal: impl Fn(&str) -> bool,
    ) -> Result<(), StatedMixError> {
        self.groups(names, abnormal).map(drop)
    }

    /// The groups of conditions that it speaks of, and the group of the others. A condition's own name goes before `abnormal` and
    /// `normal`, which name all that are or are not findings.
    pub(super) fn groups(
        &self,
        names: &[&str],
        abnormal: impl Fn(&str) -> bool,
    ) -> Result<ConditionGroups, StatedMixError> {
        let mut taken = vec![false; names.len()];
        let mut groups = Vec::new();
        for (name, total) in &self.0 {
            let members = members(name, names, &abnormal);
            if members.is_empty() {
                return Err(StatedMixError::Unknown {
                    name: name.clone(),
                    known: names.join(", "),
                });
            }
            for at in &members {
                if std::mem::replace(&mut taken[*at], true) {
                    return Err(StatedMixError::Twice(names[*at].to_owned()));
                }
            }
            let total = *total;
            groups.push(ConditionGroup { members, total });
        }
        let sum: f64 = groups.iter().map(|group| group.total).sum();
        let others: Vec<usize> = (0..names.len()).filter(|at| !taken[*at]).collect();
        if !others.is_empty() {
            groups.push(ConditionGroup {
                members: others,
                total: (1.0 - sum).max(0.0),
            });
        } else if sum < 1.0 - ROUNDING {
            return Err(StatedMixError::TooLittle(100.0 * sum));
        }
        Ok(ConditionGroups(groups))
    }
}

/// The conditions that a name stands for.
fn members(name: &str, names: &[&str], abnormal: impl Fn(&str) -> bool) -> Vec<usize> {
    let all = names.iter().enumerate();
    let own = all.clone().find(|(_, own)| own.eq_ignore_ascii_case(name));
    if let Some((at, _)) = own {
        return vec![at];
    }
    let wanted = match name.to_ascii_lowercase().as_str() {
        "abnormal" => true,
        "normal" => false,
        _ => return Vec::new(),
    };
    let members = all.filter(|(_, own)| abnormal(own) == wanted);
    members.map(|(at, _)| at).collect()
}
