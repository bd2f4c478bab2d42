//! The labels of files: from folders named after conditions, or from a table.

mod names;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::super::{Fault, shown};
use crate::media::{clean, read_file, walk};
use crate::paths;
use crate::phantom::TRUTH;
use crate::prompts::PromptSet;
use crate::scoring::Mode;
use names::CellLabels;
pub(in crate::commands) use names::{LabelNames, contradiction};

/// A file and the index of its condition in the prompt set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Labelled {
    pub(in crate::commands) path: PathBuf,
    pub(in crate::commands) label: usize,
    /// Whether a table named it, rather than it being found in a folder.
    pub(in crate::commands) named: bool,
    /// The patient, where a table has the column `patient`.
    pub(in crate::commands) patient: Option<String>,
}

/// A file and the indices of the conditions that it shows, of which there may be any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct LabelledEach {
    pub(in crate::commands) path: PathBuf,
    pub(in crate::commands) labels: Vec<usize>,
    /// Whether it shows something that the set does not have.
    is_other: bool,
    /// Whether a table named it, rather than it being found in a folder.
    pub(in crate::commands) named: bool,
    /// The patient, where a table has the column `patient`.
    pub(in crate::commands) patient: Option<String>,
    /// The line of the table; 0 in folders.
    pub(super) line: u64,
}

/// Maximum size of a table: about a million rows.
const MAX_TABLE_BYTES: u64 = 256 << 20;
/// Characters that may separate columns, the usual one first.
const SEPARATORS: [u8; 4] = *b",;\t|";

/// How the text of a label is read.
type LabelReader<'a> = &'a dyn Fn(&str) -> Result<CellLabels, String>;

/// Reads the labels of a table, of the `truth.csv` in a folder, or of a folder of folders.
pub(in crate::commands) fn read(path: &Path, names: &LabelNames) -> Result<Vec<Labelled>, Fault> {
    names.check_one()?;
    let files = files(path, &|label| names.one(label))?.into_iter();
    let files = files.map(|file| Labelled {
        path: file.path,
        label: file.labels[0],
        named: file.named,
        patient: file.patient,
    });
    Ok(files.collect())
}

/// The same where a file may show any number of conditions: a cell names several of them between `;` or `|`, or none if it is empty or
/// says `none`, and a file in several rows has the conditions of all. One without a condition shows the set's normal one, if there is
/// one, unless a label was mapped to `none`. Each file once, however its path is written, in the order of the paths.
pub(in crate::commands) fn read_each(
    path: &Path,
    names: &LabelNames,
) -> Result<Vec<LabelledEach>, Fault> {
    let mut files = joined(path, names)?;
    for file in &mut files {
        file.fill_normal(names.normal());
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Reads labels as a mode has them: one of each file, or any. Each file once. Rows of a file that name two conditions where one applies
/// are an error.
pub(in crate::commands) fn read_as(
    path: &Path,
    names: &LabelNames,
    mode: Mode,
) -> Result<Vec<LabelledEach>, Fault> {
    match mode {
        Mode::Single => one_each(path, names),
        Mode::Multi => read_each(path, names),
    }
}

/// Each file once, in the order of the first rows; none is said to be normal that shows nothing.
fn joined(path: &Path, names: &LabelNames) -> Result<Vec<LabelledEach>, Fault> {
    let mut joined: Vec<LabelledEach> = Vec::new();
    let mut places: HashMap<PathBuf, usize> = HashMap::new();
    for file in files(path, &|label| names.each(label))? {
        match places.entry(identity(&file.path)) {
            Entry::Vacant(place) => {
                place.insert(joined.len());
                joined.push(file);
            }
            Entry::Occupied(place) => {
                let fault = row_fault(path, &file);
                let first = &mut joined[*place.get()];
                let line = first.line;
                let joined = first.join(file, names);
                joined.map_err(|reason| fault(format!("{reason} (line {line} is of it, too)")))?;
            }
        }
    }
    for file in &mut joined {
        file.labels.sort_unstable();
        file.labels.dedup();
    }
    Ok(joined)
}

/// Each file once, with one condition, in the order of the first rows.
fn one_each(path: &Path, names: &LabelNames) -> Result<Vec<LabelledEach>, Fault> {
    names.check_one()?;
    let mut all: Vec<LabelledEach> = Vec::new();
    let mut places: HashMap<PathBuf, usize> = HashMap::new();
    for file in files(path, &|label| names.one(label))? {
        let Some(&place) = places.get(&identity(&file.path)) else {
            places.insert(identity(&file.path), all.len());
            all.push(file);
            continue;
        };
        let fault = row_fault(path, &file);
        let first = &mut all[place];
        let labels = [first.labels[0], file.labels[0]];
        if labels[0] != labels[1] {
            return Err(fault(names.two_labels(labels, first.line)));
        }
        first.join_patient(file.patient).map_err(fault)?;
    }
    Ok(all)
}

/// What a file is known by, however its path is written.
fn identity(path: &Path) -> PathBuf {
    paths::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The error for what is wrong with a row of a file.
fn row_fault(path: &Path, row: &LabelledEach) -> impl FnOnce(String) -> Fault + use<> {
    let table = table_of(path).unwrap_or_else(|| path.to_owned());
    let place = format!("{}:{}: {}", shown(&table), row.line, shown(&row.path));
    move |reason| Fault::usage(format!("{place}: {reason}"))
}

impl LabelledEach {
    /// Adds what another row says of the same file.
    fn join(&mut self, row: Self, names: &LabelNames) -> Result<(), String> {
        self.labels.extend(row.labels);
        self.is_other |= row.is_other;
        names.check(&self.labels)?;
        self.join_patient(row.patient)
    }

    /// Adds what another row says of its patient.
    fn join_patient(&mut self, patient: Option<String>) -> Result<(), String> {
        if let [Some(own), Some(other)] = [&self.patient, &patient]
            && own != other
        {
            return Err(two_patients([own, other]));
        }
        self.patient = self.patient.take().or(patient);
        Ok(())
    }

    /// Says that it is normal, with this condition, if it shows nothing.
    pub(in crate::commands) fn fill_normal(&mut self, normal: Option<usize>) {
        if self.labels.is_empty() && !self.is_other {
            self.labels.extend(normal);
        }
    }

    /// Makes its labels, which are indices among these names, those of a set, which says what is normal. The error says which of them
    /// is no condition of the set.
    pub(in crate::commands) fn take_labels_of(
        &mut self,
        names: &[String],
        set: &PromptSet,
    ) -> Result<(), String> {
        for label in &mut self.labels {
            let name = &names[*label];
            let own = set.conditions.iter().position(|c| c.name == *name);
            *label = own.ok_or_else(|| {
                format!(
                    "`{}` is not a condition of {}",
                    clean(name),
                    clean(&set.name)
                )
            })?;
        }
        self.labels.sort_unstable();
        self.fill_normal(set.conditions.iter().position(|own| own.normal));
        Ok(())
    }
}

/// What is wrong where rows of one file name two patients.
fn two_patients([a, b]: [&str; 2]) -> String {
    format!(
        "its rows name two patients, `{}` and `{}`; a file is of one",
        clean(a),
        clean(b)
    )
}

/// The table of labels at a path: the file, or the `truth.csv` in a folder.
fn table_of(path: &Path) -> Option<PathBuf> {
    let truth = path.join(TRUTH);
    if truth.is_file() {
        Some(truth)
    } else {
        (!path.is_dir()).then(|| path.to_owned())
    }
}

fn files(path: &Path, read: LabelReader) -> Result<Vec<LabelledEach>, Fault> {
    let files = match table_of(path) {
        Some(file) => table(&file, read)?,
        None => folders(path, read)?,
    };
    if files.is_empty() {
        return Err(Fault::usage(format!("{}: no labelled files", shown(path))));
    }
    Ok(files)
}

/// Reads labels that may be conditions of any of these sets, where these can be `takes_several`, as a mode has them: one of each file, or
/// any. A label is the index of its name among the names that are returned, too. Of a file that shows nothing, the set that it is scored with says which condition is normal, see [`LabelledEach::take_labels_of`]. In the order of the first rows.
pub(in crate::commands) fn read_any_as(
    path: &Path,
    (sets, takes_several): (&[PromptSet], bool),
    map: &[(String, String)],
    mode: Mode,
) -> Result<(Vec<LabelledEach>, Vec<String>), Fault> {
    let all = joined_sets(sets)?;
    let names = LabelNames::new(&all, map)?.taking_several(takes_several);
    let files = match mode {
        Mode::Multi if takes_several => joined(path, &names)?,
        _ => one_each(path, &names)?,
    };
    Ok((files, condition_names(all)))
}

/// A set with the conditions of all of these.
fn joined_sets(sets: &[PromptSet]) -> Result<PromptSet, Fault> {
    let Some((first, others)) = sets.split_first() else {
        return Err(Fault::usage("there is no prompt set"));
    };
    let mut all = first.clone();
    if !others.is_empty() {
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        all.name = names.join("`, `");
    }
    for condition in others.iter().flat_map(|set| &set.conditions) {
        if !all.conditions.iter().any(|c| c.name == condition.name) {
            all.conditions.push(condition.clone());
        }
    }
    Ok(all)
}

fn condition_names(set: PromptSet) -> Vec<String> {
    let names = set.conditions.into_iter().map(|condition| condition.name);
    names.collect()
}

/// Reads the labels of `DIR/CONDITION/…`. Files beside the folders have no label and are skipped.
fn folders(root: &Path, read: LabelReader) -> Result<Vec<LabelledEach>, Fault> {
    let fault = |e: std::io::Error| Fault::usage(format!("{}: {e}", shown(root)));
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(root).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if !hidden && root.join(&name).is_dir() {
            folders.push(name);
        }
    }
    folders.sort();
    let mut files = Vec::new();
    for name in folders {
        let labels = read(&name.to_string_lossy());
        let labels = labels.map_err(|e| Fault::usage(format!("{}: {e}", shown(root))))?;
        for found in walk::files(&root.join(&name)) {
            let path = found
                .map_err(|e| Fault::usage(format!("{}: {}", shown(&e.path), e.error.message)))?;
            files.push(LabelledEach {
                path,
                labels: labels.conditions.clone(),
                is_other: labels.is_other,
                named: false,
                patient: None,
                line: 0,
            });
        }
    }
    Ok(files)
}

/// A table of labels as text, and its separator.
struct LabelTable {
    text: String,
    separator: u8,
    /// Whether a first line such as `sep=;`, which Excel reads and writes, declared the separator.
    is_declared: bool,
}

impl LabelTable {
    /// Reads a file; its first line decides on the separator.
    fn read(path: &Path) -> std::io::Result<Self> {
        let text = decoded(read_file(path, MAX_TABLE_BYTES)?)?;
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        if let Some(&[separator]) = first.trim_end().strip_prefix("sep=").map(str::as_bytes) {
            let text = rest.to_owned();
            return Ok(Self {
                text,
                separator,
                is_declared: true,
            });
        }
        let fits = |separator: &u8| {
            let mut reader = reader(first, *separator);
            reader
                .headers()
                .is_ok_and(|names| Columns::of(names).is_some())
        };
        let separator = SEPARATORS.into_iter().find(fits).unwrap_or(SEPARATORS[0]);
        Ok(Self {
            text,
            separator,
            is_declared: false,
        })
    }

    /// What numbers the rows.
    fn lines(&self) -> LineCounter<'_> {
        LineCounter {
            text: self.text.as_bytes(),
            at: 0,
            line: 1 + u64::from(self.is_declared),
        }
    }
}

/// Numbers the lines of rows as an editor does. The reader's own numbers are those of where it began to look for a row: before blank
/// lines, and before the second character of CRLF.
struct LineCounter<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl LineCounter<'_> {
    /// The number of the line in which a row begins; rows come in their order.
    fn of(&mut self, row: &csv::StringRecord) -> u64 {
        let begun = row.position().map_or(0, csv::Position::byte) as usize;
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let rest = self.text.get(begun..).unwrap_or_default();
        let begun = begun + rest.iter().take_while(|byte| ends(byte)).count();
        let passed = self.text.get(self.at..begun).unwrap_or_default();
        let is_end = |at: &usize| match passed[*at] {
            b'\n' => true,
            // Alone it ends a line, too.
            b'\r' => self.text.get(self.at + at + 1) != Some(&b'\n'),
            _ => false,
        };
        self.line += (0..passed.len()).filter(is_end).count() as u64;
        self.at = begun.max(self.at);
        self.line
    }
}

/// Decodes UTF-8, or UTF-16 with a byte order mark: Excel's "Unicode text".
fn decoded(bytes: Vec<u8>) -> std::io::Result<String> {
    let wrong = || std::io::Error::new(ErrorKind::InvalidData, "not UTF-8 text");
    let wide = |read: fn([u8; 2]) -> u16| {
        let units = bytes[2..].as_chunks::<2>().0.iter().map(|&unit| read(unit));
        String::from_utf16(&units.collect::<Vec<_>>()).map_err(|_| wrong())
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).map_err(|_| wrong()),
        _ => String::from_utf8(bytes).map_err(|_| wrong()),
    }
}

fn reader(text: &str, separator: u8) -> csv::Reader<&[u8]> {
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(separator).from_reader(text.as_bytes())
}

/// The indices of the columns that are read.
struct Columns {
    path: usize,
    label: usize,
    patient: Option<usize>,
}

impl Columns {
    fn of(names: &csv::StringRecord) -> Option<Self> {
        let column = |known: &[&str]| {
            let mut names = names.iter().map(|name| name.trim().to_lowercase());
            names.position(|name| known.contains(&name.as_str()))
        };
        Some(Self {
            path: column(&["path"])?,
            label: column(&["label", "condition"])?,
            patient: column(&["patient"]),
        })
    }
}

/// Reads the labels of a table with the columns `path` (relative to the table) and `label`, or `condition` as `demo` writes it.
/// `patient` may be a third; other columns are ignored.
fn table(path: &Path, read: LabelReader) -> Result<Vec<LabelledEach>, Fault> {
    let fault = |reason: &dyn std::fmt::Display| Fault::usage(format!("{}: {reason}", shown(path)));
    let table = LabelTable::read(path).map_err(|e| fault(&e))?;
    let mut reader = reader(&table.text, table.separator);
    let headers = reader.headers().map_err(|e| fault(&e))?.clone();
    let Some(columns) = Columns::of(&headers) else {
        return Err(fault(
            &"the first line must name the columns `path` and `label`, separated by commas, semicolons, tabs or `|`",
        ));
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut lines = table.lines();
    let mut files = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| fault(&e))?;
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let line = lines.of(&row);
        let labels = read(cell(columns.label).trim());
        let labels =
            labels.map_err(|reason| Fault::usage(format!("{}:{line}: {reason}", shown(path))))?;
        let patient = columns.patient.map(|column| cell(column).trim().to_owned());
        files.push(LabelledEach {
            path: folder.join(cell(columns.path)),
            labels: labels.conditions,
            is_other: labels.is_other,
            named: true,
            patient: patient.filter(|patient| !patient.is_empty()),
            line,
        });
    }
    Ok(files)
}

#[cfg(test)]
#[path = "labels/tests.rs"]
mod tests;
