//! Bars of eighth blocks.

/// One to seven eighths of a cell.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
/// One to eight eighths of a cell, from below.
const UPRIGHT: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Drawn in each cell of a bar without a value.
const EMPTY: &str = "╌";

/// A bar in exactly `width` cells; `None`, without a value to show, is drawn as an empty track. A
/// share above zero covers at least an eighth of a cell.
pub(super) fn bar(share: Option<f64>, width: usize) -> String {
    let Some(share) = share else {
        return EMPTY.repeat(width);
    };
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    let cells = width * 8;
    let filled =
        ((share * cells as f64).round() as usize).clamp(usize::from(share > 0.0).min(cells), cells);
    let mut bar = "█".repeat(filled / 8);
    if filled % 8 > 0 {
        bar.push(EIGHTHS[filled % 8 - 1]);
    }
    let blanks = width - filled.div_ceil(8);
    bar.extend(std::iter::repeat_n(' ', blanks));
    bar
}

/// A thin bar in exactly `width` cells, in steps of half a cell: for lists, where bars must not outshine the names.
pub(super) fn thin_bar(share: f64, width: usize) -> String {
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    let halves = (share * 2.0 * width as f64).round() as usize;
    let mut bar = "━".repeat(halves / 2);
    if !halves.is_multiple_of(2) {
        bar.push('╸');
    }
    bar.extend(std::iter::repeat_n(' ', width - halves.div_ceil(2)));
    bar
}

/// Upright bars of one cell for several shares, in exactly `width` cells; the last of more shares than cells are left out, and
/// an ellipsis says so.
pub(super) fn upright_bars(shares: impl ExactSizeIterator<Item = f64>, width: usize) -> String {
    let (count, fits) = (shares.len(), shares.len() <= width);
    let shown = if fits { count } else { width.saturating_sub(1) };
    let mut bars: String = shares.take(shown).map(upright).collect();
    if !fits && width > 0 {
        bars.push('…');
    }
    bars.extend(std::iter::repeat_n(' ', width.saturating_sub(count)));
    bars
}

/// The lowest block stands for zero, too, so that each share has its place.
fn upright(share: f64) -> char {
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    UPRIGHT[(share * 7.0).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::{bar, thin_bar, upright_bars};

    #[test]
    fn upright_bars_have_a_place_for_each_share() {
        let bars = |shares: &[f64], width| upright_bars(shares.iter().copied(), width);
        assert_eq!(bars(&[0.0, 0.5, 1.0, f64::NAN], 6), "▁▅█▁  ");
        assert_eq!(bars(&[1.0, 1.0, 1.0], 3), "███");
        assert_eq!(bars(&[1.0, 1.0, 1.0], 2), "█…");
        assert_eq!(bars(&[1.0], 0), "");
    }

    #[test]
    fn a_thin_bar_grows_by_halves_and_keeps_its_width() {
        for (share, expected) in [
            (0.0, "    "),
            (0.13, "╸   "),
            (0.5, "━━  "),
            (0.6, "━━╸ "),
            (1.0, "━━━━"),
            (7.0, "━━━━"),
            (f64::NAN, "    "),
        ] {
            assert_eq!(thin_bar(share, 4), expected, "{share}");
        }
        assert_eq!(thin_bar(0.5, 0), "");
    }

    #[test]
    fn a_bar_grows_by_eighths_and_keeps_its_width() {
        assert_eq!(bar(Some(0.5), 4), "██  ");
        assert_eq!(bar(Some(0.53), 4), "██▏ ");
        assert_eq!(bar(Some(1.0), 4), "████");
        assert_eq!(bar(Some(0.001), 4), "▏   ");
        assert_eq!(bar(Some(0.0), 4), "    ");
        for percent in 0..=100 {
            assert_eq!(bar(Some(f64::from(percent) / 100.0), 7).chars().count(), 7);
        }
    }

    #[test]
    fn no_claim_is_an_empty_track_and_nonsense_is_nothing() {
        assert_eq!(bar(None, 3), "╌╌╌");
        assert_eq!(bar(Some(f64::NAN), 2), "  ");
        assert_eq!(bar(Some(7.0), 2), "██");
        assert_eq!(bar(Some(0.5), 0), "");
    }
}
