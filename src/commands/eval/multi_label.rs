//! The report's tables where each condition is decided on by itself.

use std::fmt::Write as _;

use super::report::{ConditionMetrics, MultiLabelMetrics, area};
use crate::media::padded;
use crate::scoring::metrics::{Estimate, PresenceMetrics};

/// Width of an area with its interval.
const AREA_WIDTH: usize = 22;
/// Width of a percentage with its interval.
const SHARE_WIDTH: usize = 22;

/// How an estimate is written, if there is one.
type Words = fn(Option<&Estimate>) -> String;

/// Writes the metrics of all conditions together and of each. `width`: that of their names.
pub(super) fn table(
    out: &mut String,
    all: &MultiLabelMetrics,
    conditions: &[ConditionMetrics],
    width: usize,
) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{} show several conditions, {} show none",
        all.with_several, all.without_condition
    );
    let summary = &all.summary;
    let rows = [
        ("mean AUROC", &summary.mean_auroc, area as Words),
        (
            "mean average precision",
            &summary.mean_average_precision,
            area,
        ),
        ("exact match, %", &summary.exact_match, percent),
        ("Hamming loss, %", &summary.hamming_loss, percent),
    ];
    for (name, estimate, words) in rows {
        let _ = writeln!(out, "{name:<22}  {}", words(estimate.as_ref()));
    }
    let each: Vec<&PresenceMetrics> = conditions
        .iter()
        .filter_map(|own| own.presence.as_ref())
        .collect();
    areas(out, &each, width);
    operating_points(out, &each, width);
}

/// How well each is told whatever its operating point.
fn areas(out: &mut String, conditions: &[&PresenceMetrics], width: usize) {
    let _ = writeln!(
        out,
        "\n{}  positives  {:<AREA_WIDTH$}  average precision",
        padded("condition", width),
        "AUROC"
    );
    for own in conditions {
        let _ = writeln!(
            out,
            "{}  {:>9}  {:<AREA_WIDTH$}  {}",
            padded(&own.condition, width),
            own.positives,
            area(own.auroc.as_ref()),
            area(own.average_precision.as_ref())
        );
    }
}

/// How well each is told at its operating point.
fn operating_points(out: &mut String, conditions: &[&PresenceMetrics], width: usize) {
    let _ = writeln!(
        out,
        "\n{}   from  {:<SHARE_WIDTH$}  {:<SHARE_WIDTH$}  precision, %",
        padded("condition", width),
        "sensitivity, %",
        "specificity, %"
    );
    for own in conditions {
        let from = own
            .threshold
            .map_or("–".to_owned(), |from| format!("{from:.3}"));
        let _ = writeln!(
            out,
            "{}  {from:>5}  {:<SHARE_WIDTH$}  {:<SHARE_WIDTH$}  {}",
            padded(&own.condition, width),
            percent(own.sensitivity.as_ref()),
            percent(own.specificity.as_ref()),
            percent(own.precision.as_ref())
        );
    }
}

/// A share in percent with its interval, without the sign.
fn percent(estimate: Option<&Estimate>) -> String {
    let text = |estimate: &Estimate| estimate.text(|value| format!("{:.1}", value * 100.0));
    estimate.map_or("–".into(), text)
}
