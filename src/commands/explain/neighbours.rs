//! The nearest reviewed images, as `explain` prints them.

use std::fmt::Write as _;

use serde::Serialize;

use crate::app::results::reviews::findings_set;
use crate::library::neighbours::{NeighbourQuery, Neighbours};
use crate::library::{Library, Record, path_text};
use crate::media::{clean, padded};
use crate::prompts::Prompts;

/// Columns of a label.
const LABEL: usize = 20;

/// A reviewed image.
#[derive(Serialize)]
pub(in crate::commands) struct NeighbourReport {
    /// The condition that a person says it shows; `None` if none of them.
    label: Option<String>,
    similarity: f32,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    /// Whether it is nearly identical with the image.
    near_copy: bool,
    /// Whether the file is not where the library knows it.
    missing: bool,
}

/// The neighbours of the image of a result; the error is a sentence.
pub(super) fn find(
    library: &Library,
    record: &Record,
    model_key: &str,
    reviewer: &str,
    all: Option<&Prompts>,
) -> Result<Neighbours, String> {
    let Some(embedding) = &record.embedding else {
        return Ok(Neighbours::default());
    };
    let findings = all.and_then(|all| findings_set(all, record));
    let of_set = findings.map(|set| set.conditions.iter().map(|own| own.name.as_str()));
    let labels: Vec<&str> = of_set.map_or_else(
        || {
            let scores = record.verdict.scores.iter();
            scores.map(|score| score.condition.as_str()).collect()
        },
        Iterator::collect,
    );
    let query = NeighbourQuery {
        content: &record.content,
        embedding,
        prompts: findings.map_or(&record.prompts, |set| &set.name),
        reviewer,
        labels: &labels,
        model_key,
    };
    library
        .neighbours(&query)
        .map_err(|error| error.to_string())
}

/// What is printed of neighbours.
pub(super) fn reports(neighbours: &Neighbours) -> Vec<NeighbourReport> {
    let reports = neighbours.nearest.iter().map(|own| {
        let (path, path_bytes) = path_text(&own.path);
        NeighbourReport {
            label: own.label.clone(),
            similarity: own.similarity,
            path,
            path_bytes,
            near_copy: own.is_near_copy,
            missing: own.is_missing,
        }
    });
    reports.collect()
}

/// The lines about neighbours; nothing if no image is reviewed.
pub(super) fn table(compared: usize, neighbours: &[NeighbourReport]) -> String {
    let mut out = String::new();
    if neighbours.is_empty() {
        return out;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "\nNearest of {compared} reviewed images, by the cosine of their embeddings with this one:"
    );
    for own in neighbours {
        let label = own.label.as_deref().unwrap_or("none of the conditions");
        let copy = if own.near_copy {
            ", a near-identical copy: no evidence of its own"
        } else {
            ""
        };
        let missing = if own.missing { ", file missing" } else { "" };
        let _ = writeln!(
            out,
            "  {}  {:.3}  {}{copy}{missing}",
            padded(&clean(label), LABEL),
            own.similarity,
            clean(&own.path)
        );
    }
    out
}
