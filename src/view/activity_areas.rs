//! Where the parts of the activity view lie.

use super::Area;

/// Where the parts of the activity lie. Above the log, where it is titled, and above the throughput is a row for a title.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivityAreas {
    /// What the engine is doing, and how many files came, were classified and failed.
    pub head: Area,
    /// Answers over time.
    pub throughput: Option<Area>,
    /// The entries.
    pub log: Area,
    /// Log and throughput have titles.
    pub titled: bool,
    /// The message of the entry under the cursor, in full.
    pub message: Option<Area>,
    /// What results are not for.
    pub notice: Option<Area>,
}

/// Divides the room between title and status line.
pub fn activity_areas(area: Area) -> ActivityAreas {
    let (head, throughput, message, notice) = match area.height {
        0..4 => (0, 0, 0, 0),
        4..9 => (1, 0, 0, 0),
        9..12 => (2, 1, 0, 0),
        12..18 => (2, 1, 0, 1),
        18..36 => (2, 3, 2, 1),
        _ => (2, 6, 2, 1),
    };
    let titled = throughput > 0;
    let part = |y: u16, height: u16| Area {
        y: area.y + y,
        height,
        ..area
    };
    let some = |y: u16, height: u16| (height > 0).then(|| part(y, height));
    let log = head + throughput + 2 * u16::from(titled);
    let below = area.height - message - notice;
    ActivityAreas {
        head: part(0, head),
        throughput: some(head + 1, throughput),
        log: part(log, below - log),
        titled,
        message: some(below, message),
        notice: some(below + message, notice),
    }
}
