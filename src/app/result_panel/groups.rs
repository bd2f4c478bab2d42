//! The content of the result panel for folders, studies and series: their images, counted.

use super::{Detail, ResultPanel, headline, wrapped};
use crate::app::browser::folder::{Row, RowKind};
use crate::app::keys::Action;
use crate::app::results::reviews::ImageReviews;
use crate::app::results::{FileStatus, Tally};
use crate::app::studies::aggregate::Aggregate;
use crate::app::text;
use crate::app::urgency::UrgencyLevel;
use crate::scoring::percent;

impl ResultPanel<'_> {
    pub(super) fn no_images(&self, width: usize) -> Vec<Detail> {
        if !self.files.results.is_searched() {
            return self.engine_details(width);
        }
        let nothing = "no images here".to_owned();
        let mut lines = vec![Detail::Headline(None, nothing, String::new())];
        lines.extend(self.first_steps(width));
        lines
    }

    /// The lines for a study, series, missing file or DICOMDIR; `None` for any other row.
    pub(super) fn group(&self, row: &Row, width: usize) -> Option<Vec<Detail>> {
        match row.represents {
            RowKind::Study(_) => Some(self.study_details(row, width)),
            RowKind::Series(..) => Some(self.group_details(row, width)),
            RowKind::Missing => {
                let mut lines = vec![headline(Some(FileStatus::Failed), "missing", "")];
                let words = "The DICOMDIR lists this file, but it is missing.";
                lines.extend(wrapped(words, width, Detail::Text));
                Some(lines)
            }
            RowKind::Entry if self.files.results.is_directory(&row.path) => {
                let mut lines = vec![headline(
                    Some(FileStatus::NotAnImage),
                    "DICOMDIR",
                    "an index",
                )];
                if let Some(key) = self.files.env.keymap.key(Action::Enter) {
                    let words = format!("{key} shows the studies that it lists.");
                    lines.extend(wrapped(&words, width, Detail::Aside));
                }
                Some(lines)
            }
            RowKind::Entry => None,
        }
    }

    /// The images of a study, counted.
    fn study_details(&self, row: &Row, width: usize) -> Vec<Detail> {
        let members = self.files.studies.members(row, self.files.folder());
        let results = self.files.results;
        let mut sum = Tally::default();
        for member in &members {
            if let Some(state) = results.get(&member.path) {
                let reviews = results.reviews_of(&member.path);
                sum.add(state, reviews.is_some_and(ImageReviews::is_decided));
            }
        }
        let missing = members.iter().filter(|member| !member.present).count();
        let mut lines = if sum.pictures + sum.others() == 0 {
            vec![headline(None, "not classified", "")]
        } else {
            tally(&sum, width)
        };
        lines.push(Detail::Gap);
        let facts = [("files", members.len()), ("missing", missing)];
        let facts = facts.into_iter().filter(|(_, count)| *count > 0);
        lines.extend(facts.map(|(name, count)| Detail::Fact(name, count.to_string())));
        lines
    }

    fn group_details(&self, row: &Row, width: usize) -> Vec<Detail> {
        let members = self.files.studies.members(row, self.files.folder());
        let sum = Aggregate::of(members.iter().copied(), self.files.results);
        let mut lines = Vec::new();
        match sum.leading() {
            Some((label, _)) => {
                lines.push(headline(None, &text::safe_str(label), "mean"));
                let of = counted(sum.counted, "image");
                lines.extend(wrapped(&format!("Mean over {of}."), width, Detail::Aside));
                lines.extend(sum.means.iter().map(|(condition, mean)| Detail::Bar {
                    name: text::safe_str(condition),
                    share: Some(*mean),
                    figure: percent(*mean),
                }));
            }
            None if sum.rejected > 0 => {
                lines.push(headline(Some(FileStatus::Rejected), "rejected", ""));
            }
            None if sum.queued > 0 => lines.push(headline(Some(FileStatus::Queued), "queued", "")),
            None => lines.push(headline(None, "not classified", "")),
        }
        lines.push(Detail::Gap);
        let missing = members.iter().filter(|member| !member.present).count();
        let facts = [
            ("files", sum.files),
            ("queued", sum.queued),
            ("rejected", sum.rejected),
            ("failed", sum.failed),
            ("no images", sum.others),
            ("missing", missing),
        ];
        let facts = facts.into_iter().filter(|(_, count)| *count > 0);
        lines.extend(facts.map(|(name, count)| Detail::Fact(name, count.to_string())));
        let modality = members
            .first()
            .map(|member| text::safe_str(&member.header.modality));
        let modality = modality.filter(|modality| !modality.is_empty());
        if matches!(row.represents, RowKind::Series(..)) {
            lines.extend(modality.map(|modality| Detail::Fact("modality", modality)));
        }
        lines
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// The number of images, by status and by label.
pub(super) fn tally(tally: &Tally, width: usize) -> Vec<Detail> {
    let images = match tally.pictures {
        0 => "no images".to_owned(),
        count => counted(count, "image"),
    };
    let others = match tally.others() {
        0 => String::new(),
        count => format!(", {}", counted(count, "other object")),
    };
    let headline = format!("{images}{others}");
    let mut lines = vec![Detail::Headline(None, headline, String::new())];
    let named = [
        (FileStatus::Confident, "confident"),
        (FileStatus::Uncertain, "uncertain"),
        (FileStatus::Rejected, "rejected"),
        (FileStatus::Blind, "blind"),
        (FileStatus::Queued, "not classified yet"),
        (FileStatus::Failed, "failed"),
    ];
    let counts = named.map(|(status, word)| (tally.count(status), word));
    let words: Vec<String> = counts
        .into_iter()
        .chain([(tally.reviewed, "reviewed")])
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    lines.extend(wrapped(&words.join(", "), width, Detail::Aside));
    let levels = tally.levels();
    let urgent = [
        (levels.count(UrgencyLevel::VeryUrgent), "▲ very urgent"),
        (levels.count(UrgencyLevel::Urgent), "△ urgent"),
    ];
    let urgent = urgent.iter().filter(|(count, _)| *count > 0);
    let urgent: Vec<String> = urgent
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    lines.extend(wrapped(&urgent.join(", "), width, Detail::Text));
    let mut labels: Vec<_> = tally.labels.iter().collect();
    labels.sort_by(|a, b| b.1.total().cmp(&a.1.total()).then(a.0.cmp(b.0)));
    lines.extend(labels.into_iter().map(|(label, counts)| Detail::Label {
        name: text::safe_str(label),
        shares: UrgencyLevel::ALL.map(|level| counts.count(level) as f64 / tally.pictures as f64),
        count: counts.total(),
        level: counts.median(),
    }));
    lines
}
