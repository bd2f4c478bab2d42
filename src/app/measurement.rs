//! Measurements on images.

use std::sync::Arc;

use crate::media::measure::{Figure, Measured};

/// Identifies a measurement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MeasurementId {
    /// It was made in this session, as the n-th.
    New(u64),
    /// It came from the library under this key.
    Stored(Arc<str>),
}

/// A figure on a frame of a file, and what it measures.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Identifies it.
    pub id: MeasurementId,
    /// Index of the frame in the order of storage, from 0.
    pub frame: u32,
    /// The figure.
    pub figure: Figure,
    /// What it measures.
    pub measured: Measured,
    /// The unit of the values within, such as `HU`.
    pub unit: Option<String>,
    /// Who made it, or changed it last.
    pub author: Option<String>,
}
