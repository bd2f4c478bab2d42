//! Which files belong together: headers, series and studies, and the index of a medium (DICOMDIR).

pub(crate) mod directory;
pub(crate) mod header;
pub(crate) mod series;
