//! The banner above rejected images, which says once what would otherwise be said in each of their rows.

use super::Folder;
use crate::app::entry::EntryKind;
use crate::app::results::{FileStatus, Results};

/// Where the banner is, and what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedBanner {
    /// The row above which it is.
    pub at: usize,
    /// Rejected images: those below it, or all in the folder and below.
    pub images: usize,
    /// Whether the order puts the rejected images together, all below it.
    pub is_head: bool,
}

impl Folder {
    /// The banner, if images were rejected.
    pub fn banner(&self) -> Option<RejectedBanner> {
        self.banner
    }

    /// Whether a row says nothing of the rejection, because the banner does.
    pub fn is_below_banner(&self, row: usize) -> bool {
        self.banner
            .is_some_and(|banner| banner.is_head && banner.at <= row)
    }

    /// Follows the results: at the head of the rejected images where the order puts them together, else above all rows, once
    /// nothing is queued, so that rows do not shift while results arrive.
    pub(in crate::app) fn follow_rejections(&mut self, results: &Results) {
        self.banner = self.rejections(results);
    }

    fn rejections(&self, results: &Results) -> Option<RejectedBanner> {
        let by_result = self.options.sort.by.needs_results();
        if by_result && self.arranged.is_none() && self.similar.is_none() {
            let is_above = |at: &u32| {
                let row = &self.rows[*at as usize];
                row.kind == EntryKind::Folder || !row.rank.is_rejected()
            };
            let at = self.visible.partition_point(is_above);
            return (at < self.visible.len()).then(|| RejectedBanner {
                at,
                images: self.visible.len() - at,
                is_head: true,
            });
        }
        let is_open = self.options.filter.is_empty() && self.similar.is_none();
        if !is_open || self.is_empty() || results.queued_count() > 0 {
            return None;
        }
        let images = results.tally(&self.dir)?.count(FileStatus::Rejected);
        (images > 0).then_some(RejectedBanner {
            at: 0,
            images,
            is_head: false,
        })
    }
}
