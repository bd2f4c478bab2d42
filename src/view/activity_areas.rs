//! The layout of the activity view.

use super::Area;

/// The areas of the activity view. If `titled`, there is a row for a title above the log and above the throughput.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivityAreas {
    /// The state of the engine, and the numbers of files that arrived, were classified and failed.
    pub head: Area,
    /// Answers over time.
    pub throughput: Option<Area>,
    /// The entries.
    pub log: Area,
    /// Whether log and throughput have titles.
    pub titled: bool,
    /// The message of the entry under the cursor, in full.
    pub message: Option<Area>,
    /// The notice that results are not a diagnosis.
    pub notice: Option<Area>,
}

/// Divides the area between title and status line.
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
