//! The agreement of the reviewer with the results and with other reviewers: a view whose table leads to the images.

use std::collections::BTreeMap;
use std::path::Path;

use super::keys::Action;
use super::results::Results;
use super::results::reviews::{Judged, NONE};
use crate::learn::TaughtBy;
use crate::library::Record;
use crate::scoring::agreement::Agreement;

/// The category of an image whose result was rejected.
const REJECTED: &str = "rejected";
/// Between the conditions of a category of several.
const AND: &str = ", ";

/// The agreement over the images below a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AgreementView {
    /// Images that have a result.
    pub images: usize,
    /// Those that the reviewer has decided on.
    pub reviewed: usize,
    /// Those that the reviewer has flagged.
    pub flagged: usize,
    /// The reviewer (rows) and the results (columns).
    pub model: Agreement,
    /// The same, of the images drawn at random only.
    pub sampled: Agreement,
    /// Images from which the results were learned: what these say of them is too good.
    pub learned_from: usize,
    /// Images whose results are of what was learned and is no longer in use, which may be too good as well.
    pub outdated: usize,
    /// The reviewer and the results of the other images.
    pub unseen: Agreement,
    /// The reviewer and each other one.
    pub others: BTreeMap<String, Agreement>,
    /// Row and column of the cell under the cursor.
    pub cell: (usize, usize),
}

/// Labels as one category.
pub fn category(labels: &[String]) -> String {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    match labels.as_slice() {
        [] => NONE.to_owned(),
        labels => labels.join(AND),
    }
}

/// The category that a result claims.
pub fn claimed_category(record: &Record) -> String {
    let claim = record.claim().map(|claim| {
        let labels: Vec<String> = claim.into_iter().map(str::to_owned).collect();
        category(&labels)
    });
    claim.unwrap_or_else(|| REJECTED.to_owned())
}

impl AgreementView {
    /// Compares all reviews of images below a folder. Copies of an image count once.
    pub(super) fn new(results: &Results, dir: &Path) -> Self {
        let mut images: BTreeMap<(&str, &str), Judged> = BTreeMap::new();
        for (_, judged) in results.judged_below(dir) {
            if let Some(record) = judged.state.subject() {
                images.insert((&record.content, &record.prompts), judged);
            }
        }
        let reviewed = images.values().filter_map(|judged| {
            let reviews = judged.reviews?;
            Some((*judged, reviews, category(reviews.labels()?)))
        });
        let reviewed: Vec<_> = reviewed.collect();
        let (mut model, mut sampled, mut unseen) = (Vec::new(), Vec::new(), Vec::new());
        let (mut others, mut outdated) = (BTreeMap::<_, Vec<_>>::new(), 0);
        for (judged, reviews, own) in &reviewed {
            if let Some(record) = judged.state.record().filter(|own| reviews.are_of(own)) {
                let case = (own.clone(), claimed_category(record));
                sampled.extend(reviews.sampled.then(|| case.clone()));
                match results.taught_by(record) {
                    TaughtBy::Others => unseen.push(case.clone()),
                    TaughtBy::Itself => {}
                    TaughtBy::Unknown => outdated += 1,
                }
                model.push(case);
            }
            for other in &reviews.others {
                if let Some(labels) = &other.labels {
                    let cases = others.entry(other.reviewer.clone()).or_default();
                    cases.push((own.clone(), category(labels)));
                }
            }
        }
        let flags = images.values().filter_map(|judged| judged.reviews);
        let others = others.into_iter();
        Self {
            images: images.len(),
            reviewed: reviewed.len(),
            flagged: flags.filter(|reviews| reviews.is_flagged()).count(),
            learned_from: model.len() - unseen.len() - outdated,
            outdated,
            model: Agreement::of(model),
            unseen: Agreement::of(unseen),
            sampled: Agreement::of(sampled),
            others: others
                .map(|(name, cases)| (name, Agreement::of(cases)))
                .collect(),
            cell: (0, 0),
        }
    }

    /// Compares anew, and stays on the cell.
    pub(super) fn follow(&mut self, results: &Results, dir: &Path) {
        let last = |fresh: &Self| fresh.model.categories.len().saturating_sub(1);
        let (row, column) = self.cell;
        let fresh = Self::new(results, dir);
        let cell = (row.min(last(&fresh)), column.min(last(&fresh)));
        *self = Self { cell, ..fresh };
    }

    /// Moves the cursor.
    pub(super) fn act(&mut self, action: Action) {
        let last = self.model.categories.len().saturating_sub(1);
        let (row, column) = &mut self.cell;
        match action {
            Action::Leave => *column = column.saturating_sub(1),
            Action::Enter => *column = (*column + 1).min(last),
            _ => *row = row.saturating_add_signed(action.distance(1)).min(last),
        }
    }

    /// The filter that shows the images of the cell under the cursor; `None` if there are none.
    pub(super) fn filter(&self) -> Option<String> {
        let (row, column) = self.cell;
        let count = *self.model.table.get(row)?.get(column)?;
        if count == 0 {
            return None;
        }
        let terms = |name: &str, category: &str| -> Vec<String> {
            let labels = category.split(AND);
            labels.map(|label| format!("{name}:\"={label}\"")).collect()
        };
        let own = terms("review", &self.model.categories[row]);
        let claim = match self.model.categories[column].as_str() {
            REJECTED => vec![REJECTED.to_owned()],
            claim => terms("label", claim.split(AND).next().unwrap_or(claim)),
        };
        Some([own, claim].concat().join(" "))
    }
}
