//! The retry policy: which failures are worth another attempt, how many attempts there are, and when.

use std::time::Duration;

use crate::library::Failure;
use crate::media::ErrorKind;

/// Delays before the first, second and third further attempt. Together longer than transfers usually stall, and short enough
/// that a truly damaged file is soon reported as such.
pub const WAITS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// How long to wait before the next attempt at a file that failed `earlier` times before this failure. `None` if the failure
/// is final.
pub fn wait(failure: &Failure, earlier: usize) -> Option<Duration> {
    if may_pass(failure) {
        WAITS.get(earlier).copied()
    } else {
        None
    }
}

/// Whether a writer that is not done can have caused the failure. A file that is too large or not an image stays so.
fn may_pass(failure: &Failure) -> bool {
    let by_writer = matches!(
        failure.kind,
        ErrorKind::Truncated | ErrorKind::Malformed | ErrorKind::Permission | ErrorKind::NotFound
    );
    by_writer && failure.content.is_image()
}
