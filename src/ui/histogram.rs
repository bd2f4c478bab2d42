//! The histogram of pixel values, with the window below.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::rules::row;
use super::theme::Looks;
use crate::app::Scene;
use crate::app::text::{cut_end, safe_str, width};
use crate::app::viewer::facts::number;
use crate::media::{Histogram, Window};

/// Zero to eight eighths of a cell.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// Rows below the bars: the window, and the axis.
const BELOW: u16 = 2;

/// Draws bars, the window below them, and the ends of the axis.
pub(super) fn draw(counts: &Histogram, scene: &Scene, looks: Looks, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width);
    let rows = area.height.saturating_sub(BELOW);
    let heights = heights(&counts.counts, columns, usize::from(rows) * 8);
    let span = scene
        .window
        .map(|window| columns_of(&window, counts, columns));
    let inside = |x: usize| span.is_some_and(|(from, to)| (from..=to).contains(&(x as i64)));
    for y in 0..rows {
        let floor = usize::from(rows - 1 - y) * 8;
        let cell = |(x, height): (usize, &usize)| {
            let style = if inside(x) {
                looks.plain_blue()
            } else {
                looks.dim()
            };
            Span::styled(EIGHTHS[height.saturating_sub(floor).min(8)], style)
        };
        let line: Line = heights.iter().enumerate().map(cell).collect();
        frame.render_widget(line, row(area, y));
    }
    if let Some((from, to)) = span {
        let line = Line::styled(bracket(from, to, columns), looks.accent());
        frame.render_widget(line, row(area, rows));
    }
    let axis = Line::styled(axis(counts, scene.unit.as_deref(), columns), looks.dim());
    frame.render_widget(axis, row(area, rows + 1));
}

/// The heights of columns in eighths of a cell. They follow the root of the count: otherwise the background of most images
/// would hide everything else. A value that occurs is always visible.
fn heights(counts: &[u64], columns: usize, most: usize) -> Vec<usize> {
    let sums = spread(counts, columns);
    let largest = sums.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let height = |sum: f64| ((sum / largest).sqrt() * most as f64).round() as usize;
    sums.into_iter()
        .map(|sum| height(sum).max(usize::from(sum > 0.0)))
        .collect()
}

/// Distributes counts to columns; a bin across two columns is shared between them, so that no comb pattern appears.
fn spread(counts: &[u64], columns: usize) -> Vec<f64> {
    let each = counts.len() as f64 / columns.max(1) as f64;
    let mut sums = vec![0.0; columns];
    for (x, sum) in sums.iter_mut().enumerate() {
        let (from, to) = (x as f64 * each, (x + 1) as f64 * each);
        let bins = from.floor() as usize..(to.ceil() as usize).min(counts.len());
        for bin in bins {
            let part = to.min(bin as f64 + 1.0) - from.max(bin as f64);
            *sum += counts[bin] as f64 * part.max(0.0);
        }
    }
    sums
}

/// The first and last column of a window, possibly outside the axis.
fn columns_of(window: &Window, counts: &Histogram, columns: usize) -> (i64, i64) {
    let extent = (counts.high - counts.low).max(f64::MIN_POSITIVE);
    let column = |value: f64| ((value - counts.low) / extent * columns as f64).floor() as i64;
    (
        column(window.center - window.width / 2.0),
        column(window.center + window.width / 2.0),
    )
}

/// `├──┼──┤` below the bars; an end outside the axis is left open.
fn bracket(from: i64, to: i64, columns: usize) -> String {
    let middle = from + (to - from) / 2;
    (0..columns as i64)
        .map(|x| match x {
            _ if x == from && x == to => '┼',
            _ if x == from => '├',
            _ if x == to => '┤',
            _ if x == middle => '┼',
            _ if x > from && x < to => '─',
            _ => ' ',
        })
        .collect()
}

fn axis(counts: &Histogram, unit: Option<&str>, columns: usize) -> String {
    let unit = unit.map_or_else(String::new, |unit| {
        format!(" {}", cut_end(&safe_str(unit), 12))
    });
    let (low, high) = (number(counts.low), format!("{}{unit}", number(counts.high)));
    let blanks = columns.saturating_sub(width(&low) + width(&high)).max(1);
    cut_end(&format!("{low}{}{high}", " ".repeat(blanks)), columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::WindowSource;

    #[test]
    fn every_value_that_occurs_is_seen() {
        assert_eq!(heights(&[0, 1, 1_000_000, 0], 4, 40), [0, 1, 40, 0]);
        assert_eq!(heights(&[4, 4, 16, 0], 2, 16), [11, 16], "bins are summed");
        assert_eq!(spread(&[6, 6, 6], 2), [9.0, 9.0], "and shared");
        assert_eq!(heights(&[1, 4], 4, 16), [8, 8, 16, 16], "or repeated");
        assert_eq!(heights(&[], 2, 16), [0, 0]);
    }

    #[test]
    fn the_window_stands_below_its_values() {
        let counts = Histogram {
            low: 0.0,
            high: 100.0,
            counts: Vec::new(),
        };
        let drawn = |center, width| {
            let window = Window {
                center,
                width,
                source: WindowSource::File,
            };
            let (from, to) = columns_of(&window, &counts, 10);
            bracket(from, to, 10)
        };
        assert_eq!(drawn(50.0, 60.0), "  ├──┼──┤ ");
        assert_eq!(drawn(0.0, 60.0), "┼──┤      ", "its lower half is outside");
        assert_eq!(drawn(500.0, 10.0), "          ");
        assert_eq!(drawn(55.0, 1.0), "     ┼    ");
    }
}
