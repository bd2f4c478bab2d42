//! What the watch reported about a file, by which its lines are written and it is moved.

use crate::jobs::Reason;
use crate::watch::{FileStamp, ReadyKind};

/// A report of the watch about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReportedFile {
    /// Its stamp before it was read.
    pub stamp: FileStamp,
    /// Whether its writer was seen to close it.
    pub is_closed: bool,
    /// Why it was reported.
    pub cause: ReportCause,
}

/// Why a file is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportCause {
    /// It existed when the watch began, so that an earlier watch may have reported the same content.
    Existing,
    /// It appeared later, or its content changed.
    NewContent,
    /// It was renamed.
    Renamed,
    /// Its permissions or times changed.
    Touched,
}

impl ReportedFile {
    /// A report that a file is complete, and why its result is requested.
    pub(super) fn ready(kind: ReadyKind, stamp: FileStamp, is_closed: bool) -> (Self, Reason) {
        let (cause, reason) = match kind {
            ReadyKind::Existing => (ReportCause::Existing, Reason::Wanted),
            ReadyKind::Unsettled => (ReportCause::Existing, Reason::Arrived),
            ReadyKind::New | ReadyKind::Changed => (ReportCause::NewContent, Reason::Arrived),
        };
        let report = Self {
            stamp,
            is_closed,
            cause,
        };
        (report, reason)
    }

    /// A report about a file of which nobody knows whether it was closed.
    pub(super) fn new(stamp: FileStamp, cause: ReportCause) -> Self {
        Self {
            stamp,
            is_closed: false,
            cause,
        }
    }
}

/// Whether one of the reports tells of a content that this watch had not found under this name before: an equal line about an
/// error is about another content.
pub(super) fn are_of_new_content(reports: &[ReportedFile]) -> bool {
    let is_new = |cause| matches!(cause, ReportCause::NewContent | ReportCause::Renamed);
    reports.iter().any(|report| is_new(report.cause))
}

/// Whether the file has been renamed since its result was reported last.
pub(super) fn are_of_rename(reports: &[ReportedFile]) -> bool {
    let mut reports = reports.iter();
    reports.any(|report| report.cause == ReportCause::Renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_incomplete_is_tried_again_and_what_was_there_may_have_its_line() {
        let stamp = FileStamp {
            size: 1,
            modified: None,
            inode: 1,
            status_changed: 0,
        };
        for (kind, reason, is_new) in [
            (ReadyKind::Existing, Reason::Wanted, false),
            (ReadyKind::Unsettled, Reason::Arrived, false),
            (ReadyKind::New, Reason::Arrived, true),
            (ReadyKind::Changed, Reason::Arrived, true),
        ] {
            let (report, found) = ReportedFile::ready(kind, stamp, true);
            let touched = ReportedFile::new(stamp, ReportCause::Touched);
            let is_of_new_content = are_of_new_content(&[report, touched]);
            assert_eq!((found, is_of_new_content), (reason, is_new), "{kind:?}");
        }
    }
}
