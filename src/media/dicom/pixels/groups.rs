//! Functional groups: attributes of one frame of an enhanced object, and those shared by all (PS3.3 C.7.6.16).

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::dicom::parsing::dataset::{DataSet, DataSetExt};

/// Reads from a functional group that applies to a frame: its own, else the shared one.
pub(crate) fn find<T>(
    set: &DataSet,
    frame: u32,
    group: Tag,
    mut read: impl FnMut(&DataSet) -> Option<T>,
) -> Option<T> {
    let own = set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let mut of = |groups: &DataSet| groups.items(group).first().and_then(&mut read);
    own.get(frame as usize).and_then(&mut of).or_else(|| {
        set.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)
            .first()
            .and_then(of)
    })
}
