//! The banner above images of which something is to be said once that would otherwise be said in each of their rows.

use super::Folder;
use crate::app::entry::EntryKind;
use crate::app::results::{FileStatus, Results};

/// Where the banner is, what it says, and what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListBanner {
    /// The row above which it is.
    pub at: usize,
    /// What it says.
    pub says: BannerMessage,
    /// The images that it is about: those below it, or all in the folder and below.
    pub images: usize,
    /// Whether the order puts rejected images together, all below it.
    pub is_head: bool,
}

/// What a banner says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BannerMessage {
    /// The model is not meant for the images.
    Rejected,
    /// The model tells the kind of the images, and judges no findings.
    Unjudged,
}

impl Folder {
    /// The banner, if there is anything to say.
    pub fn banner(&self) -> Option<ListBanner> {
        self.banner
    }

    /// Whether a row says nothing of the rejection, because the banner does.
    pub fn is_below_banner(&self, row: usize) -> bool {
        self.banner
            .is_some_and(|banner| banner.is_head && banner.at <= row)
    }

    /// Follows the results: at the head of the rejected images where the order puts them together, else above all rows, once
    /// nothing is queued, so that rows do not shift while results arrive.
    pub(in crate::app) fn follow_banner(&mut self, results: &Results) {
        self.banner = self.rejected_together().or_else(|| self.notice(results));
    }

    fn rejected_together(&self) -> Option<ListBanner> {
        let by_result = self.options.sort.by.needs_results();
        if !by_result || self.arranged.is_some() || self.similar.is_some() {
            return None;
        }
        let is_above = |at: &u32| {
            let row = &self.rows[*at as usize];
            row.kind == EntryKind::Folder || !row.rank.is_rejected()
        };
        let at = self.visible.partition_point(is_above);
        (at < self.visible.len()).then(|| ListBanner {
            at,
            says: BannerMessage::Rejected,
            images: self.visible.len() - at,
            is_head: true,
        })
    }

    fn notice(&self, results: &Results) -> Option<ListBanner> {
        let is_open = self.options.filter.is_empty() && self.similar.is_none();
        if !is_open || self.is_empty() || results.queued_count() > 0 {
            return None;
        }
        let tally = results.tally(&self.dir)?;
        // A few among images with findings are told by their rows.
        let are_most = tally.unjudged * 2 >= tally.pictures;
        let counts = [
            (BannerMessage::Rejected, tally.count(FileStatus::Rejected)),
            (
                BannerMessage::Unjudged,
                if are_most { tally.unjudged } else { 0 },
            ),
        ];
        let (says, images) = counts.into_iter().find(|(_, images)| *images > 0)?;
        Some(ListBanner {
            at: 0,
            says,
            images,
            is_head: false,
        })
    }
}
