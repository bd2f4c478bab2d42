//! The file list: state, name, label, and the number that it is sorted by, else the probability.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::bar::{thin_bar, upright_bars};
use super::rules::row;
use super::theme::Looks;
use crate::app::browser::folder::lines::ListLine;
use crate::app::browser::folder::{BannerMessage, Row, RowKind};
use crate::app::keys::Action;
use crate::app::popup::failure_words;
use crate::app::results::reviews::label_shown;
use crate::app::results::{FileState, FileStatus, Tally};
use crate::app::status::EngineState;
use crate::app::studies::aggregate::Aggregate;
use crate::app::text::{cut_end, pad, safe_str, width, wrap};
use crate::app::urgency::UrgencyLevel;
use crate::app::{EntryKind, Model};
use crate::library::Record;
use crate::scoring::whole_percent;
use crate::scoring::{Decision, Mode};
use crate::view::panels::Panel;

/// Columns for cursor, flag, symbol and a blank.
const LEFT: usize = 4;
/// Behind a label whose score was learned from reviews.
const LEARNED: &str = "*";
/// The mark of an uncertain one.
const UNCERTAIN: &str = "?";
/// Columns of `100%`.
const FIGURE: usize = 4;

/// Columns of an adjusted figure, with the mark of another label.
const MIN_ADJUSTED: usize = FIGURE + 1;

/// The widths of the columns to the right of the name; each has a blank before it.
struct ListColumns {
    label: usize,
    bar: usize,
    figure: usize,
    /// The adjusted label, if that is another one, and its probability.
    adjusted: usize,
}

impl ListColumns {
    fn new(width: usize, longest_label: usize, adjusts: bool) -> Self {
        let label = longest_label.clamp(8, 18).min(width * 3 / 8);
        let (label, bar, figure) = match width {
            0..11 => (0, 0, 0),
            11..24 => (0, 0, FIGURE),
            24..36 => (label, 0, FIGURE),
            36..56 => (label, 5, FIGURE),
            _ => (label, 8, FIGURE),
        };
        let adjusted = match width {
            _ if !adjusts => 0,
            0..24 => 0,
            // The bar makes room.
            24..36 => MIN_ADJUSTED,
            _ => (label + 1 + MIN_ADJUSTED).min(width / 4),
        };
        let bar = if adjusted > 0 && width < 56 { 0 } else { bar };
        Self {
            label,
            bar,
            figure,
            adjusted,
        }
    }

    /// Gives up the bar where names need the room: a name is cut only if nothing else can be.
    fn with_room_for(self, names: usize, width: usize) -> Self {
        let bar = if names + self.total() > width {
            0
        } else {
            self.bar
        };
        Self { bar, ..self }
    }

    fn total(&self) -> usize {
        [self.label, self.bar, self.figure, self.adjusted]
            .into_iter()
            .filter(|c| *c > 0)
            .map(|c| c + 1)
            .sum()
    }
}

/// Draws the list.
pub(super) fn draw(model: &Model, looks: Looks, area: Rect, frame: &mut Frame) {
    if let Some(words) = model.nothing_to_list() {
        return nothing(&words, looks, area, frame);
    }
    let labels = model
        .results()
        .tally(model.folder().dir())
        .map_or(0, longest_label);
    let room = usize::from(area.width).saturating_sub(LEFT + 1);
    let on_screen = model.folder().rows_from(model.folder().first_row());
    let on_screen: Vec<&Row> = on_screen.take(usize::from(area.height)).collect();
    let names = on_screen.iter().map(|row| width(&row.shown)).max();
    let names = names.unwrap_or(0);
    let several = on_screen
        .iter()
        .filter_map(|row| several_labels(model, row));
    let labels = labels.max(several.max().unwrap_or(0));
    let adjusts = model.mix().is_on();
    let columns = ListColumns::new(room, labels, adjusts).with_room_for(names, room);
    let folder = model.folder();
    let mut rows = folder.rows_from(folder.first_row());
    for line in 0..area.height {
        let shown = match folder.line(folder.offset() + usize::from(line)) {
            Some(ListLine::Row(at)) => {
                let Some(file) = rows.next() else { return };
                Line::from(spans(model, (at, file), &columns, area.width, looks))
            }
            Some(ListLine::Banner) => banner(model, usize::from(area.width), looks),
            None => return,
        };
        frame.render_widget(shown, row(area, line));
    }
}

/// Says what is to be known of the images below, as fully as there is room.
fn banner(model: &Model, columns: usize, looks: Looks) -> Line<'static> {
    let banner = model.folder().banner();
    if banner.is_some_and(|banner| banner.says == BannerMessage::Unjudged) {
        let room = columns.saturating_sub(2);
        let variants = model.findings_advice();
        let fits = variants.iter().find(|words| width(words) <= room);
        let words = fits.or(variants.last()).cloned().unwrap_or_default();
        return Line::styled(format!(" {}", cut_end(&words, room)), looks.accent());
    }
    let rejected = banner.map_or(0, |banner| banner.images);
    let images = match rejected {
        1 => "1 image is".to_owned(),
        n => format!("{n} images are"),
    };
    let why = format!("{images} not what this model is for");
    let variants = match model.env().keymap.key(Action::Model) {
        Some(key) => [
            format!("{why}: press {key} to choose a model"),
            format!("{rejected} not for this model: {key} chooses one"),
            format!("{rejected} rejected: {key} for models"),
        ],
        None => [why, format!("{rejected} rejected"), String::new()],
    };
    let room = columns.saturating_sub(2);
    let fits = variants.iter().find(|words| width(words) <= room);
    let words = fits.map_or_else(|| format!("{rejected} rejected"), Clone::clone);
    Line::styled(format!(" {}", cut_end(&words, room)), looks.doubt())
}

/// Draws words in the middle of an empty list: the first line, and the others as far as they fit completely.
pub(super) fn nothing(words: &str, looks: Looks, area: Rect, frame: &mut Frame) {
    let columns = usize::from(area.width).saturating_sub(2);
    let mut lines: Vec<String> = Vec::new();
    for wrapped in words.lines().map(|line| wrap(line, columns)) {
        if !lines.is_empty() && lines.len() + wrapped.len() > usize::from(area.height) {
            break;
        }
        lines.extend(wrapped);
    }
    let top = usize::from(area.height).saturating_sub(lines.len()) / 2;
    for (i, line) in lines.into_iter().enumerate() {
        frame.render_widget(
            Line::styled(line, looks.dim()).centered(),
            row(area, (top + i) as u16),
        );
    }
}

/// The width of the labels of a file that may have several; `None` for any other row.
fn several_labels(model: &Model, row: &Row) -> Option<usize> {
    let record = model.results().get(&row.path)?.record()?;
    (record.mode == Mode::Multi).then(|| width(&label_shown(record)))
}

/// The width of the longest label below a folder, with room for a mark behind it.
fn longest_label(tally: &Tally) -> usize {
    tally
        .labels
        .keys()
        .map(|label| width(label) + 1)
        .max()
        .unwrap_or(0)
}

fn spans(
    model: &Model,
    (at, file): (usize, &Row),
    columns: &ListColumns,
    width: u16,
    looks: Looks,
) -> Vec<Span<'static>> {
    let under_cursor = at == model.folder().cursor();
    let width = usize::from(width);
    let state = model.results().get(&file.path);
    let status = state.map(FileState::status);
    let cursor = match (under_cursor, model.screen().focus() == Panel::List) {
        (true, true) => Span::styled("▌", looks.accent()),
        (true, false) => Span::styled("▌", looks.dim()),
        (false, _) => Span::raw(" "),
    };
    let name_width = width.saturating_sub(LEFT + 1 + columns.total());
    let shown = if file.kind == EntryKind::Folder && file.represents == RowKind::Entry {
        format!("{}/", file.shown)
    } else {
        file.shown.clone()
    };
    let symbol = Span::styled(Looks::symbol(status), looks.status(status));
    let mut spans = vec![cursor, flag(model, file, looks), symbol, Span::raw(" ")];
    let name = if file.represents == RowKind::Entry {
        pad(&shown, name_width)
    } else {
        // Numbers and marks are at the beginning.
        pad(&cut_end(&shown, name_width), name_width)
    };
    spans.extend(name_spans(
        &name,
        name_style(model, file, under_cursor, looks),
    ));
    spans.extend(match (file.kind, state) {
        _ if file.represents == RowKind::Missing => words("missing", columns, looks.dim()),
        (EntryKind::Folder, _) if file.represents != RowKind::Entry => {
            let sum = Aggregate::of(
                model.studies().members(file, model.folder()),
                model.results(),
            );
            group_columns(&sum, columns, looks)
        }
        (_, Some(_))
            if status == Some(FileStatus::Rejected) && model.folder().is_below_banner(at) =>
        {
            Vec::new()
        }
        // A folder has a state where it cannot be read.
        (_, Some(state)) => {
            let similarity = model.folder().similarity(file);
            file_columns(model, state, similarity, columns, looks)
        }
        (EntryKind::Folder, None) => {
            folder_columns(model.results().tally(&file.path), columns, looks)
        }
        (EntryKind::File, None) => Vec::new(),
    });
    spans
}

/// The flag of a file: marked, reviewed or new.
pub(super) fn flag(model: &Model, file: &Row, looks: Looks) -> Span<'static> {
    if model.browser().is_marked(&file.path) {
        return Span::styled("*", looks.accent());
    }
    let judged = model.results().judged(&file.path);
    if let Some(review) = judged.and_then(|judged| looks.review(judged)) {
        return review;
    }
    if model.browser().is_fresh(&file.path) {
        Span::styled("+", looks.accent())
    } else {
        Span::raw(" ")
    }
}

/// The name and the blanks behind it, which have no style.
fn name_spans(name: &str, style: Style) -> [Span<'static>; 2] {
    let text = name.trim_end().to_owned();
    let blanks = " ".repeat(width(name) - width(&text));
    [Span::styled(text, style), Span::raw(blanks)]
}

pub(super) fn name_style(model: &Model, file: &Row, under_cursor: bool, looks: Looks) -> Style {
    let status = model.results().get(&file.path).map(FileState::status);
    if under_cursor {
        Looks::cursor()
    } else if file.kind == EntryKind::Folder {
        looks.plain_blue()
    } else if file.represents == RowKind::Missing
        || model.results().is_ruled_out(&file.path)
        || status == Some(FileStatus::NotAnImage)
    {
        looks.dim()
    } else if model.browser().is_fresh(&file.path) {
        Looks::strong()
    } else {
        Looks::text()
    }
}

/// `similarity`: the number shown instead, if files are ranked by it.
fn file_columns(
    model: &Model,
    state: &FileState,
    similarity: Option<f32>,
    columns: &ListColumns,
    looks: Looks,
) -> Vec<Span<'static>> {
    let status = state.status();
    let word = match (state, state.record()) {
        (FileState::Done(_), Some(record)) => {
            let figure = ListFigure::of(model, similarity, record);
            let mut spans = record_columns(record, &figure, status, columns, looks);
            spans.extend(adjusted_column(model, record, columns, looks));
            return spans;
        }
        (FileState::Queued, _) if !matches!(model.engine(), EngineState::Failed(_)) => "queued",
        (FileState::Failed(failure), _) => failure_words(failure.kind, failure.content),
        (FileState::Queued | FileState::Done(_) | FileState::Blind(_), _) => "",
    };
    words(word, columns, looks.status(Some(status)))
}

/// The number of a result that a list shows: the one that files are sorted by, else the probability.
pub(super) struct ListFigure {
    /// Between 0 and 1, for a bar.
    share: f64,
    /// The probability of each condition in the order of the prompt set, where an image may have several labels; else empty.
    pub(super) conditions: Vec<f64>,
    /// As it is written.
    pub(super) text: String,
}

impl ListFigure {
    /// `similarity`: that of the row, if files are ranked by similarity and it was compared.
    pub(super) fn of(model: &Model, similarity: Option<f32>, record: &Record) -> Self {
        if let Some(similarity) = similarity {
            return Self {
                share: f64::from(similarity).clamp(0.0, 1.0),
                conditions: Vec::new(),
                text: cosine(similarity),
            };
        }
        if model.folder().similarity_order().is_some() {
            return Self::unknown();
        }
        let Some(share) = model.folder().options().sort.by.figure(&record.verdict) else {
            return Self::unknown();
        };
        Self {
            share,
            conditions: match record.mode {
                Mode::Single => Vec::new(),
                Mode::Multi => model.scores_in_order(record),
            },
            text: whole_percent(share),
        }
    }

    /// Where nothing is known of what the list is sorted by.
    fn unknown() -> Self {
        Self {
            share: 0.0,
            conditions: Vec::new(),
            text: "–".to_owned(),
        }
    }
}

/// A cosine similarity in four columns: `0.31`, `-.08`.
fn cosine(similarity: f32) -> String {
    let text = format!("{similarity:.2}");
    match text.strip_prefix("-0") {
        Some(".00") => "0.00".to_owned(),
        Some(rest) => format!("-{rest}"),
        None => text,
    }
}

/// Label, bar and number of a result.
fn record_columns(
    record: &Record,
    shown: &ListFigure,
    status: FileStatus,
    columns: &ListColumns,
    looks: Looks,
) -> Vec<Span<'static>> {
    // A rejected image has no claim to draw.
    if status == FileStatus::Rejected {
        return words("rejected", columns, looks.dim());
    }
    let (style, mark) = looks.urgency(UrgencyLevel::of(record.verdict.urgency));
    let mut spans = Vec::new();
    if columns.label > 0 {
        let label = label_shown(record);
        let mark = match (status, record.learned) {
            (_, Some(_)) => LEARNED,
            // No label is cut for it: the symbol shows uncertainty, too.
            (FileStatus::Uncertain, None) if width(&label) < columns.label => UNCERTAIN,
            _ => "",
        };
        let room = columns.label.saturating_sub(width(mark));
        let label = format!("{}{mark}", cut_end(&label, room));
        let blanks = " ".repeat(columns.label.saturating_sub(width(&label)));
        spans.push(Span::styled(format!(" {label}{blanks}"), Looks::text()));
    }
    if columns.bar > 0 {
        let bar = if shown.conditions.is_empty() {
            thin_bar(shown.share, columns.bar)
        } else {
            upright_bars(shown.conditions.iter().copied(), columns.bar)
        };
        spans.push(Span::styled(format!(" {bar}"), style));
    }
    if columns.figure > 0 {
        let figure = format!(" {:>FIGURE$}{mark}", shown.text);
        spans.push(Span::styled(figure, style));
    }
    spans
}

/// What the result is after adjusting to the folder's mix: the probability, and the label if that is another one; a mark where there
/// is no room for it.
fn adjusted_column(
    model: &Model,
    record: &Record,
    columns: &ListColumns,
    looks: Looks,
) -> Option<Span<'static>> {
    if columns.adjusted == 0 || record.verdict.decision == Decision::Rejected {
        return None;
    }
    let Some(result) = model.mix().adjusted(record) else {
        return Some(Span::raw(" ".repeat(columns.adjusted + 1)));
    };
    let own = result.adjusted;
    let figure = whole_percent(own.probability);
    let room = columns.adjusted.saturating_sub(width(&figure) + 1);
    let words = match own.label == record.verdict.label {
        true => figure,
        false if columns.adjusted > MIN_ADJUSTED => {
            format!("{} {figure}", cut_end(&safe_str(&own.label), room))
        }
        false => format!("!{figure}"),
    };
    let blanks = " ".repeat(columns.adjusted.saturating_sub(width(&words)));
    Some(Span::styled(format!(" {blanks}{words}"), looks.accent()))
}

/// The leading condition of a series and its mean probability; while files are queued, how many are done.
fn group_columns(sum: &Aggregate, columns: &ListColumns, looks: Looks) -> Vec<Span<'static>> {
    let Some((label, mean)) = sum.leading().filter(|_| sum.queued == 0) else {
        let text = match (sum.queued, sum.rejected) {
            (0, 0) => String::new(),
            (0, _) => "rejected".to_owned(),
            (queued, _) => format!("{} of {}", sum.answered(), sum.answered() + queued),
        };
        return words(&text, columns, looks.dim());
    };
    let mut spans = Vec::new();
    if columns.label > 0 {
        let label = cut_end(&safe_str(label), columns.label);
        let blanks = " ".repeat(columns.label - width(&label));
        spans.push(Span::raw(format!(" {label}{blanks}")));
    }
    // In place of a bar, a series says that its figure is a mean.
    if columns.bar > 0 {
        let said = format!(" {:>room$}", "mean", room = columns.bar);
        spans.push(Span::styled(said, looks.dim()));
    }
    if columns.figure > 0 {
        let figure = whole_percent(mean);
        let said = if columns.bar == 0 && figure.len() < FIGURE {
            format!("⌀{figure}")
        } else {
            figure
        };
        spans.push(Span::raw(format!(" {said:>FIGURE$}")));
    }
    spans
}

/// The number of images in a folder; while some are queued, how many are done.
fn folder_columns(
    tally: Option<&Tally>,
    columns: &ListColumns,
    looks: Looks,
) -> Vec<Span<'static>> {
    let Some(tally) = tally.filter(|tally| tally.pictures > 0) else {
        return Vec::new();
    };
    let text = match (tally.count(FileStatus::Queued), tally.pictures) {
        (_, all) if columns.label == 0 => all.to_string(),
        (0, 1) => "1 image".to_owned(),
        (0, all) => format!("{all} images"),
        (waiting, all) => format!("{} of {all}", all - waiting),
    };
    words(&text, columns, looks.dim())
}

/// Words instead of label, bar and figure: aligned with the labels, or to the right where there are none, if they fit.
fn words(text: &str, columns: &ListColumns, style: Style) -> Vec<Span<'static>> {
    let room = columns.total().saturating_sub(1);
    if columns.label == 0 && width(text) > room {
        return Vec::new();
    }
    let text = cut_end(text, room);
    let blanks = if columns.label == 0 {
        " ".repeat(room - width(&text))
    } else {
        String::new()
    };
    vec![Span::styled(format!(" {blanks}{text}"), style)]
}
