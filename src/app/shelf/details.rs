//! What the result panel says of a study, a series or a DICOMDIR.

use super::super::detail::{Detail, percent, wrapped};
use super::super::folder::{Row, Stands};
use super::super::keys::Action;
use super::super::model::Model;
use super::super::results::Standing;
use super::super::text;
use super::aggregate::Aggregate;

impl Model {
    /// What the panel says of a row that is not simply a file or a folder; `None` of one that is.
    pub(crate) fn shelf_details(&self, row: &Row, width: usize) -> Option<Vec<Detail>> {
        match row.stands {
            Stands::Study(_) | Stands::Series(..) => Some(self.group_details(row, width)),
            Stands::Missing => {
                let mut lines = vec![headline(Some(Standing::Failed), "missing", "")];
                let words = "The DICOMDIR refers to this file, but it is not there.";
                lines.extend(wrapped(words, width, Detail::Text));
                Some(lines)
            }
            Stands::Itself if self.results.is_index(&row.path) => {
                let mut lines = vec![headline(Some(Standing::NoPicture), "DICOMDIR", "an index")];
                if let Some(key) = self.keymap.key(Action::Enter) {
                    let words = format!("{key} shows the studies that it refers to.");
                    lines.extend(wrapped(&words, width, Detail::Aside));
                }
                Some(lines)
            }
            Stands::Itself => None,
        }
    }

    fn group_details(&self, row: &Row, width: usize) -> Vec<Detail> {
        let members = self.stack_of(row);
        let sum = Aggregate::of(members.iter().copied(), &self.results);
        let mut lines = Vec::new();
        match sum.leading() {
            Some((label, _)) => {
                lines.push(headline(None, &text::safe_str(label), "mean"));
                let of = counted(sum.counted, "picture");
                lines.extend(wrapped(&format!("Means over {of}."), width, Detail::Aside));
                lines.extend(sum.means.iter().map(|(condition, mean)| Detail::Bar {
                    name: text::safe_str(condition),
                    share: Some(*mean),
                    figure: percent(*mean),
                }));
            }
            None if sum.rejected > 0 => {
                lines.push(headline(Some(Standing::Rejected), "rejected", ""));
            }
            None if sum.queued > 0 => lines.push(headline(Some(Standing::Queued), "queued", "")),
            None => lines.push(headline(None, "not classified", "")),
        }
        lines.push(Detail::Gap);
        let missing = members.iter().filter(|member| !member.present).count();
        let facts = [
            ("files", sum.files),
            ("queued", sum.queued),
            ("rejected", sum.rejected),
            ("failed", sum.failed),
            ("missing", missing),
        ];
        let facts = facts.into_iter().filter(|(_, count)| *count > 0);
        lines.extend(facts.map(|(name, count)| Detail::Fact(name, count.to_string())));
        let modality = members
            .first()
            .map(|member| text::safe_str(&member.header.modality));
        let modality = modality.filter(|modality| !modality.is_empty());
        if matches!(row.stands, Stands::Series(..)) {
            lines.extend(modality.map(|modality| Detail::Fact("modality", modality)));
        }
        lines
    }
}

fn headline(standing: Option<Standing>, text: &str, word: &str) -> Detail {
    Detail::Headline(standing, text.to_owned(), word.to_owned())
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
