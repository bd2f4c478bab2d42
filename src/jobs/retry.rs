//! The one retry policy: which failures may pass, how often a file is tried, and how long after each failure.

use std::time::Duration;

use crate::library::Failure;
use crate::media::ErrorKind;

/// Waits before the first, second and third further attempt. Together longer than a stalled transfer usually stalls;
/// short enough that a truly damaged file is soon called so.
pub const WAITS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// How long to wait before a file is tried again that has failed `earlier` times before this failure. `None`: the
/// failure is final.
pub fn wait(failure: &Failure, earlier: usize) -> Option<Duration> {
    if may_pass(failure) {
        WAITS.get(earlier).copied()
    } else {
        None
    }
}

/// Failures that a writer at work can cause. What is too large, or no image at all, stays so until it is written again.
fn may_pass(failure: &Failure) -> bool {
    let by_writer = matches!(
        failure.kind,
        ErrorKind::Truncated | ErrorKind::Malformed | ErrorKind::Permission | ErrorKind::NotFound
    );
    by_writer && !failure.not_picture
}
