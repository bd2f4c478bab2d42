//! Counts the packets and precincts of a JPEG 2000 codestream before it is decoded (ITU-T T.800 annexes A.6 and B.6).
//!
//! A few bytes of coding style can claim a precinct for each pixel and 65,535 layers. OpenJPEG takes memory for all of
//! them at once, and fills in packets that are missing.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::codecs::stream::MAX_HEADER;

use super::codestream::{Codestream, Jpeg2000Component, TILE_PART_HEADER};

/// Memory that OpenJPEG takes for a precinct of a sub-band, in bytes. Measured: 560.
const PRECINCT_BYTES: u64 = 800;
/// Memory that OpenJPEG takes to remember whether a packet has been read, in bytes.
const PACKET_BYTES: u64 = 2;
/// Largest number of tiles (A.3): each has a number of 16 bits.
const MAX_TILES: usize = 65_535;
/// Precincts that a tile with a coding style of its own may have beyond those that the main header gives.
const MAX_OWN_PRECINCTS: u64 = 1 << 10;
/// The markers of coding styles and of changes of the order of packets, without their first byte.
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const POC: u8 = 0x5f;
/// The exponents of precincts that are not divided (A.6.1).
const WHOLE: u8 = 0xff;

/// The coding styles of a stream or of one of its tiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CodingStyles {
    layers: u64,
    /// Of the components without a style of their own (COD).
    common: ComponentStyle,
    /// By component (COC).
    own: BTreeMap<usize, ComponentStyle>,
    /// Whether the order of packets changes (POC), so that some may be left out.
    reordered: bool,
}

/// The resolutions of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ComponentStyle {
    levels: u32,
    /// For each resolution, the exponents of the width (low half) and height of its precincts; empty if those are
    /// whole.
    precincts: Vec<u8>,
}

impl ComponentStyle {
    /// Reads SPcod or SPcoc (A.6.1, A.6.2).
    fn read(parameters: &[u8], has_precincts: bool) -> Self {
        let precincts = parameters.get(5..).filter(|_| has_precincts);
        Self {
            levels: parameters
                .first()
                .map_or(0, |levels| u32::from(*levels).min(32)),
            precincts: precincts.unwrap_or_default().to_vec(),
        }
    }
}

impl CodingStyles {
    /// Takes what a marker segment says; false if it is not about coding. `count` is the number of components.
    pub(super) fn take(&mut self, segment: &MarkerSegment, count: usize) -> bool {
        match (segment.marker, segment.content) {
            (COD, [style, _, l1, l0, _, parameters @ ..]) => {
                self.layers = u64::from(u16::from_be_bytes([*l1, *l0]));
                self.common = ComponentStyle::read(parameters, style & 1 == 1);
            }
            (COC, [high, low, style, parameters @ ..]) if count > 256 => {
                let component = usize::from(u16::from_be_bytes([*high, *low]));
                let style = ComponentStyle::read(parameters, style & 1 == 1);
                self.own.insert(component, style);
            }
            (COC, [component, style, parameters @ ..]) => {
                let style = ComponentStyle::read(parameters, style & 1 == 1);
                self.own.insert(usize::from(*component), style);
            }
            (POC, _) => self.reordered = true,
            _ => return false,
        }
        true
    }

    /// The styles of a tile with segments of its own: its COD replaces all of the main header, its COC only that of a
    /// component (A.6.1).
    fn overridden(&self, own: &[MarkerSegment], count: usize) -> Self {
        let mut styles = self.clone();
        if own.iter().any(|segment| segment.marker == COD) {
            styles.own.clear();
        }
        for segment in own {
            styles.take(segment, count);
        }
        styles
    }

    fn of(&self, component: usize) -> &ComponentStyle {
        self.own.get(&component).unwrap_or(&self.common)
    }
}

/// Numbers of packets and precincts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PacketCount {
    packets: u64,
    /// Precincts of all sub-bands: of three in each resolution but the lowest.
    precincts: u64,
}

/// What is wrong with the number of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketFault {
    /// There are more packets than bytes.
    Missing,
    /// There are many more precincts than the beginning of the stream says.
    TooMany,
}

impl Codestream<'_> {
    /// Memory that OpenJPEG takes for the precincts and layers of the largest tile, in bytes; 0 if a stream of `length`
    /// bytes is too short for them, so that it is not decoded.
    pub(super) fn packet_bytes(&self, length: u64) -> u64 {
        if self.tiles > MAX_TILES || (self.packets() > length && !self.styles.reordered) {
            return 0;
        }
        let largest = self.largest(&self.styles);
        let precincts = largest.precincts.saturating_mul(PRECINCT_BYTES);
        precincts.saturating_add(largest.packets.saturating_mul(PACKET_BYTES))
    }

    /// Checks the number of packets, each of which takes a byte at least (B.9), against the length of the stream.
    pub(super) fn check_packets(&self) -> Result<(), PacketFault> {
        if self.tiles > MAX_TILES {
            return Err(PacketFault::Missing);
        }
        // What has been counted by the beginning of the stream.
        let largest = self.largest(&self.styles).precincts;
        let counted = if self.styles_length() > MAX_HEADER {
            0
        } else {
            largest
        };
        let allowed = counted.saturating_add(MAX_OWN_PRECINCTS);
        let mut is_divided = largest > allowed;
        let mut packets = self.packets();
        for (tile, at) in self.first_tile_parts() {
            let own: Vec<MarkerSegment> = segments(self.bytes, at + TILE_PART_HEADER).collect();
            if !own
                .iter()
                .any(|segment| matches!(segment.marker, COD | COC))
            {
                continue;
            }
            let styles = self.styles.overridden(&own, self.components.len());
            let of_tile = |styles: &CodingStyles| {
                let (column, row) = (tile % self.across, tile / self.across);
                self.count(styles, column..column + 1, row..row + 1, u64::max)
            };
            let (own, common) = (of_tile(&styles), of_tile(&self.styles));
            is_divided |= own.precincts > allowed;
            packets = packets
                .saturating_sub(common.packets)
                .saturating_add(own.packets);
        }
        if packets > self.bytes.len() as u64 && !self.styles.reordered {
            return Err(PacketFault::Missing);
        }
        if is_divided {
            return Err(PacketFault::TooMany);
        }
        Ok(())
    }

    /// Number of packets of all tiles by the main header.
    fn packets(&self) -> u64 {
        let (columns, rows) = (0..self.across, 0..self.tiles / self.across.max(1));
        self.count(&self.styles, columns, rows, u64::saturating_add)
            .packets
    }

    /// At least the numbers of the largest tile.
    fn largest(&self, styles: &CodingStyles) -> PacketCount {
        let (columns, rows) = (0..self.across, 0..self.tiles / self.across.max(1));
        self.count(styles, columns, rows, u64::max)
    }

    /// Counts over tiles in `columns` and `rows`, combined by `join`. Precincts across depend on the tile's column
    /// only, and those down on its row.
    fn count(
        &self,
        styles: &CodingStyles,
        columns: Range<usize>,
        rows: Range<usize>,
        join: impl Fn(u64, u64) -> u64,
    ) -> PacketCount {
        let mut count = PacketCount::default();
        for (at, component) in self.components.iter().enumerate() {
            let style = styles.of(at);
            for resolution in 0..=style.levels {
                let exponents = match style.precincts.get(resolution as usize) {
                    Some(exponents) => *exponents,
                    None if style.precincts.is_empty() => WHOLE,
                    None => continue,
                };
                let halvings = style.levels - resolution;
                let along = |tiles: &Range<usize>, is_across: bool| {
                    tiles
                        .clone()
                        .map(|tile| {
                            self.precincts(*component, tile, is_across, halvings, exponents)
                        })
                        .fold(0, &join)
                };
                let precincts = along(&columns, true).saturating_mul(along(&rows, false));
                let bands = if resolution == 0 { 1 } else { 3 };
                count.packets = count
                    .packets
                    .saturating_add(precincts.saturating_mul(styles.layers));
                count.precincts = count
                    .precincts
                    .saturating_add(precincts.saturating_mul(bands));
            }
        }
        count
    }

    /// Number of precincts of a tile along one axis, in a resolution with half as many samples `halvings` times (B-5,
    /// B-14, B-16).
    fn precincts(
        &self,
        component: Jpeg2000Component,
        tile: usize,
        is_across: bool,
        halvings: u32,
        exponents: u8,
    ) -> u64 {
        let (image, grid, step, exponent) = if is_across {
            (
                self.columns,
                self.tile_columns,
                component.step.0,
                exponents & 15,
            )
        } else {
            (self.rows, self.tile_rows, component.step.1, exponents >> 4)
        };
        let edge = |tile: u64| u64::from(grid.0) + tile * u64::from(grid.1);
        let start = edge(tile as u64).max(u64::from(image.0));
        let end = edge(tile as u64 + 1).min(u64::from(image.1));
        let reduced = |at: u64| at.div_ceil(u64::from(step)).div_ceil(1 << halvings);
        let (start, end) = (reduced(start), reduced(end));
        if start >= end {
            return 0;
        }
        end.div_ceil(1 << exponent) - (start >> exponent)
    }
}

/// A marker segment (A.1.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct MarkerSegment<'a> {
    /// The second byte of the marker.
    pub marker: u8,
    /// What follows the length.
    pub content: &'a [u8],
    /// Where the segment ends.
    pub end: usize,
}

/// The marker segments from `at` to the data of a tile-part, the next tile-part or the end.
pub(super) fn segments(stream: &[u8], mut at: usize) -> impl Iterator<Item = MarkerSegment<'_>> {
    std::iter::from_fn(move || {
        let &[0xff, marker, high, low] = stream.get(at..at + 4)? else {
            return None;
        };
        if matches!(marker, 0x90 | 0x93 | 0xd9) {
            return None;
        }
        // A segment may claim more bytes than there are.
        let length = usize::from(u16::from_be_bytes([high, low]));
        let end = (at + 2 + length).min(stream.len());
        let content = stream.get(at + 4..end).unwrap_or_default();
        at = end;
        Some(MarkerSegment {
            marker,
            content,
            end,
        })
    })
}
