//! The agreement view: numbers, and the table of the reviewer's labels against those of the results.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::rect;
use super::rules::{row, title};
use super::theme::Looks;
use crate::app::Model;
use crate::app::agreement::AgreementView;
use crate::app::text::{cut_end, pad, safe_str, wrap};

/// Columns of the name of a row of the table.
const NAME: usize = 18;
/// Columns of a cell, with the blank before it.
const CELL: usize = 11;

/// Draws the view.
pub(super) fn draw(model: &Model, view: &AgreementView, looks: Looks, frame: &mut Frame) {
    let body = model.env().body();
    if body.y > 0 && body.height > 0 {
        title(body, "Agreement", "", true, looks, frame);
    }
    let area = rect(body, frame);
    let area = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
    .intersection(area);
    let columns = usize::from(area.width);
    let reviewer = safe_str(model.results().reviews().reviewer());
    let mut lines = words(view, &reviewer, columns, looks);
    lines.push(Line::default());
    lines.extend(table(view, &reviewer, columns, looks));
    for (at, line) in lines.into_iter().take(usize::from(area.height)).enumerate() {
        frame.render_widget(line, row(area, at as u16));
    }
}

fn words(view: &AgreementView, reviewer: &str, columns: usize, looks: Looks) -> Vec<Line<'static>> {
    let counts = format!(
        "{reviewer} has reviewed {} of {} images, and flagged {}.",
        view.reviewed, view.images, view.flagged
    );
    let mut all = vec![(counts, false)];
    all.push((format!("With the model: {}.", view.model), false));
    if view.learned_from > 0 {
        let (count, of) = (view.learned_from, view.model.cases);
        let words = format!(
            "The scores were learned from {count} of these {of} images, on which this is too good."
        );
        all.push((words, false));
    }
    if view.outdated > 0 {
        let words = format!(
            "The results of {} images are of what was learned and is no longer in use, on which this may be too good.",
            view.outdated
        );
        all.push((words, false));
    }
    if view.learned_from + view.outdated > 0 {
        let words = format!("Of the others: {}.", view.unseen);
        all.push((words, false));
    }
    if view.sampled.cases > 0 {
        let words = format!("Of the images drawn at random: {}.", view.sampled);
        all.push((words, false));
    } else if view.model.cases > 0 {
        let words =
            "The images were not drawn at random: these shares need not hold for the others.";
        all.push((words.to_owned(), true));
    }
    for (other, with) in &view.others {
        all.push((format!("With {}: {}.", safe_str(other), with), false));
    }
    let lines = all.into_iter().flat_map(|(words, is_aside)| {
        let style = if is_aside { looks.dim() } else { Looks::text() };
        let lines = wrap(&words, columns).into_iter();
        lines.map(move |line| Line::styled(line, style))
    });
    lines.collect()
}

fn table(view: &AgreementView, reviewer: &str, columns: usize, looks: Looks) -> Vec<Line<'static>> {
    let agreement = &view.model;
    if agreement.categories.is_empty() {
        return Vec::new();
    }
    let name = NAME.min(columns / 3);
    // The column under the cursor is always on screen.
    let shown = (columns.saturating_sub(name) / CELL).clamp(1, agreement.categories.len());
    let first = (view.cell.1 + 1).saturating_sub(shown);
    let places = first..(first + shown).min(agreement.categories.len());
    let cell = |text: &str| format!(" {:>room$}", cut_end(text, CELL - 1), room = CELL - 1);
    let mut head = vec![Span::styled(
        pad(&cut_end(&format!("{reviewer} \\ model"), name), name),
        looks.dim(),
    )];
    head.extend(places.clone().map(|at| {
        let text = cell(&safe_str(&agreement.categories[at]));
        Span::styled(text, looks.accent())
    }));
    let mut lines = vec![Line::from(head)];
    for (at, counts) in agreement.table.iter().enumerate() {
        let label = cut_end(&safe_str(&agreement.categories[at]), name);
        let mut spans = vec![Span::styled(pad(&label, name), looks.accent())];
        for column in places.clone() {
            let style = match (counts[column], at == column) {
                _ if (at, column) == view.cell => Looks::cursor(),
                (0, _) => looks.dim(),
                (_, true) => Looks::text(),
                (_, false) => looks.doubt(),
            };
            let text = cell(&counts[column].to_string());
            spans.extend([Span::raw(" "), Span::styled(text[1..].to_owned(), style)]);
        }
        lines.push(Line::from(spans));
    }
    lines
}
