//! The view of what reviews teach: what it is worth, and the images that move, before and after.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::rect;
use super::rules::{row, title};
use super::theme::Looks;
use crate::app::Model;
use crate::app::learning::{LearningState, LearningView};
use crate::app::text::{cut_end, pad, safe_str, wrap};
use crate::engine::learning::{ImageScore, MovedImage, Proposal, UnusedImages};
use crate::learn::{Learned, Method};
use crate::scoring::whole_percent;

/// Columns of a result before or after.
const SIDE: usize = 22;
/// Columns between the parts of a row.
const GAP: usize = 2;
/// Rows of the list of moved images, its heading included, below which all of the view moves.
const MIN_MOVED: usize = 4;

/// Draws the view.
pub(super) fn draw(model: &Model, view: &LearningView, looks: Looks, frame: &mut Frame) {
    let body = model.env().body();
    if body.y > 0 && body.height > 0 {
        title(body, "What reviews teach", "", true, looks, frame);
    }
    let area = rect(body, frame);
    let area = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
    .intersection(area);
    let (columns, rows) = (usize::from(area.width), usize::from(area.height));
    let mut lines = head(view, columns, looks);
    let keys: Vec<Line> = keys(view, looks).into_iter().collect();
    if lines.len() + keys.len() + MIN_MOVED > rows {
        // Where there is little room, the keys stay at the end, and what is above them moves with the cursor.
        if let Some(proposal) = view.proposal() {
            let room = proposal.moved.len();
            lines.extend(moved(model, proposal, view.cursor, (columns, room), looks));
        }
        let room = rows.saturating_sub(keys.len());
        let first = view.scroll.min(lines.len().saturating_sub(room));
        let shown = lines.into_iter().skip(first).take(room).chain(keys);
        for (at, line) in shown.enumerate() {
            frame.render_widget(line, row(area, at as u16));
        }
        return;
    }
    lines.extend(keys);
    if let Some(proposal) = view.proposal() {
        let room = rows.saturating_sub(lines.len() + 2);
        lines.extend(moved(model, proposal, view.cursor, (columns, room), looks));
    }
    for (at, line) in lines.into_iter().take(rows).enumerate() {
        frame.render_widget(line, row(area, at as u16));
    }
}

/// The line that names the keys of the view, if there is one.
fn keys(view: &LearningView, looks: Looks) -> Option<Line<'static>> {
    let accepts = view
        .proposal()
        .is_some_and(|own| own.learned.changes_results() && !is_known(view, own));
    if view.state == LearningState::Outdated {
        return Some(Line::styled("Esc closes, ,l asks again", looks.accent()));
    }
    let keys = [
        accepts.then_some("a accepts"),
        view.is_in_use.then_some("u undoes what is in use"),
    ];
    let keys: Vec<&str> = keys.into_iter().flatten().collect();
    (!keys.is_empty()).then(|| Line::styled(keys.join(" · "), looks.accent()))
}

/// `zero-shot`, or how many reviews scores are learned from.
fn scores(reviews: Option<usize>) -> String {
    match reviews {
        None => "zero-shot".to_owned(),
        Some(count) => format!("learned from {}", counted(count)),
    }
}

/// `1 review`, `2 reviews`.
fn counted(count: usize) -> String {
    format!("{count} review{}", if count == 1 { "" } else { "s" })
}

fn head(view: &LearningView, columns: usize, looks: Looks) -> Vec<Line<'static>> {
    let set = safe_str(&view.subject.prompts);
    let now = if view.is_first {
        format!(
            "The model judges no findings of this kind of image under {set} until reviews teach it."
        )
    } else {
        format!("Scores under {set} are {}.", scores(view.in_use))
    };
    let mut all = vec![(now, Looks::text())];
    if view.state == LearningState::Outdated {
        let words = format!(
            "Another process has changed what is in use under {set} since this was asked for, so that it is out of date."
        );
        all = vec![(words, looks.doubt())];
    }
    match &view.answer {
        None => all.push(("Learning …".to_owned(), looks.dim())),
        Some(Err(reason)) => {
            let words = format!("Nothing was learned: {}.", safe_str(reason));
            all.push((words, looks.doubt()));
        }
        Some(Ok(proposal)) => {
            let style = if proposal.learned.changes_scores() {
                Looks::strong()
            } else {
                looks.doubt()
            };
            let words = if is_known(view, proposal) {
                "What these reviews teach is in use already: no label would change.".to_owned()
            } else {
                verdict(&proposal.learned)
            };
            all.push((words, style));
            let words = worth(proposal, view.is_first).into_iter();
            all.extend(words.map(|words| (words, Looks::text())));
            if proposal.learned.changes_results() && proposal.was_calibrated {
                let words = "Scores are calibrated now. Learned ones are not, until `calibrate` is run again.";
                all.push((words.to_owned(), looks.doubt()));
            }
        }
    }
    let unused = UnusedImages {
        other_labels: view.proposal().map_or(0, |own| own.other_labels),
        other_kinds: view.proposal().map_or(0, |own| own.other_kinds),
        ..view.unused
    };
    let unused = unused.reasons();
    all.extend(unused.map(|words| (format!("Left out: {words}."), looks.dim())));
    let lines = all.into_iter().flat_map(|(words, style)| {
        let lines = wrap(&words, columns).into_iter();
        lines.map(move |line| Line::styled(line, style))
    });
    lines.collect()
}

/// Whether as many reviews are in use, and say the same of every image.
fn is_known(view: &LearningView, proposal: &Proposal) -> bool {
    proposal.learned.changes_scores()
        && proposal.moved.is_empty()
        && view.in_use == Some(proposal.learned.reviews)
}

/// What comes of the proposal, in a sentence.
fn verdict(learned: &Learned) -> String {
    let kind = learned.kind.as_deref().map(safe_str);
    let chance = if learned.held_out.may_be_chance() {
        ", and that labels get better may be chance"
    } else {
        ""
    };
    match (learned.changes_scores(), kind) {
        (true, None) => format!("The reviews make scores better{chance}: `a` puts them to use."),
        (true, Some(kind)) => format!(
            "The reviews make scores better than the texts alone{chance}: `a` has findings of this kind judged ({kind})."
        ),
        (false, None) => format!(
            "The reviews add nothing to the texts, so there is nothing to accept: {}.",
            learned.held_out.refusal()
        ),
        (false, Some(kind)) => format!(
            "The reviews add nothing to the texts; `a` lets the texts alone judge findings of this kind ({kind})."
        ),
    }
}

/// What it is worth. `is_first`: the images had labels of another set before, of their kind only.
fn worth(proposal: &Proposal, is_first: bool) -> Vec<String> {
    let learned = &proposal.learned;
    let how = match learned.method {
        Method::Transport => format!("and {} images without one", learned.unlabelled),
        Method::Ridge | Method::Gda => "alone".to_owned(),
    };
    let tried = if learned.changes_scores() {
        "Learned from"
    } else {
        "Tried with"
    };
    let own = &learned.held_out;
    let share = |value: f64| format!("{:.0} %", value * 100.0);
    let points = |value: f64| format!("{:+.1}", value * 100.0);
    let balanced = own.balanced_accuracy.map(|own| {
        let gain = own
            .gain
            .map(|gain| format!(" {} points.", gain.text(points)));
        format!(
            "Balanced accuracy {} % → {} %, where guessing gets {:.0} %.{}",
            own.before.text(|value| format!("{:.0}", value * 100.0)),
            own.after.text(|value| format!("{:.0}", value * 100.0)),
            own.chance * 100.0,
            gain.unwrap_or_default()
        )
    });
    let tempered = own.log_loss_tempered;
    let tempered = tempered.map(|own| format!(" The texts at their best temperature: {own:.2}."));
    let first = vec![
        format!("{tried} {} {how}.", counted(learned.reviews)),
        format!(
            "Reviewed images, each without its own review: accuracy {} → {}, {} points.",
            share(own.accuracy_before),
            share(own.accuracy_after),
            own.accuracy_gain.text(points)
        ),
        format!(
            "Log-loss {:.2} → {:.2}, {}.{}",
            own.log_loss_before,
            own.log_loss_after,
            own.change_of_loss(2),
            tempered.unwrap_or_default()
        ),
    ];
    let moved = format!(
        "{} of {} images get {}.",
        proposal.moved.len(),
        proposal.images,
        if is_first {
            "a finding for their label"
        } else {
            "another label"
        }
    );
    let kind = learned.kind.as_deref();
    let kind = kind.map(|kind| format!("Findings are judged of this kind: {}.", safe_str(kind)));
    let rare = (!proposal.rare.is_empty()).then(|| {
        let names = safe_str(&proposal.rare.join(", "));
        format!(
            "How well these are told is not known, as reviewed images of fewer than three patients show them: {names}."
        )
    });
    let all = first.into_iter().chain(balanced).chain(kind).chain(rare);
    all.chain([moved]).collect()
}

/// The images that move, of which the one under the cursor is on screen.
fn moved(
    model: &Model,
    proposal: &Proposal,
    cursor: usize,
    (columns, room): (usize, usize),
    looks: Looks,
) -> Vec<Line<'static>> {
    if proposal.moved.is_empty() || room == 0 {
        return Vec::new();
    }
    let side = SIDE.min(columns / 3);
    let heading = format!(
        "{}{}image",
        pad("before", side + GAP),
        pad("after", side + GAP)
    );
    let mut lines = vec![
        Line::default(),
        Line::styled(cut_end(&heading, columns), looks.dim()),
    ];
    let first = (cursor + 1).saturating_sub(room);
    let shown = proposal.moved.iter().enumerate().skip(first).take(room);
    lines.extend(shown.map(|(at, image)| {
        let about = about(model, image);
        let about = cut_end(&about, columns.saturating_sub(2 * (side + GAP)));
        let [before, after] = [&image.before, &image.after].map(|own| result(own, side));
        if at == cursor {
            let words = format!("{before}{after}{about}");
            return Line::styled(pad(&words, columns), Looks::cursor());
        }
        Line::from(vec![
            Span::styled(before, looks.dim()),
            Span::styled(after, Looks::text()),
            Span::styled(about, Looks::text()),
        ])
    }));
    lines
}

/// `pneumonia 81%`, as wide as a side and its gap.
fn result(score: &ImageScore, side: usize) -> String {
    let figure = whole_percent(score.probability);
    let label = cut_end(
        &safe_str(&score.label),
        side.saturating_sub(figure.len() + 1),
    );
    pad(&format!("{label} {figure}"), side + GAP)
}

fn about(model: &Model, image: &MovedImage) -> String {
    let name = model.env().show_path(&image.path);
    match &image.labels {
        Some(labels) if labels.is_empty() => format!("{name} (reviewed: none)"),
        Some(labels) => format!("{name} (reviewed: {})", safe_str(&labels.join(", "))),
        None => name,
    }
}
