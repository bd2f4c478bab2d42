//! Functional groups: what holds for one frame of an enhanced object, and what for all (PS3.3 C.7.6.16).

use super::dataset::{DataSet, Tag};
use super::tags;

/// Reads from a functional group of a frame: its own, then the shared one.
pub(super) fn find<T>(
    set: &DataSet,
    frame: u32,
    group: Tag,
    read: impl Fn(&DataSet) -> Option<T>,
) -> Option<T> {
    let own = set.items(tags::FRAME_GROUPS);
    let of = |groups: &DataSet| groups.items(group).first().and_then(&read);
    own.get(frame as usize)
        .and_then(of)
        .or_else(|| set.items(tags::SHARED_GROUPS).first().and_then(of))
}
