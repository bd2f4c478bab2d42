//! The lines that an output file holds already, so that a restarted `watch` writes each once.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;

use super::{Failure, Outcome, ResultFormat, cell, io_error};
use crate::library::store::content_part;
use crate::library::{AggregateRecord, LineKey, json, path_text};

/// The lines of an output. By default none are remembered.
#[derive(Debug, Default)]
pub struct WrittenLines {
    keys: HashSet<LineKey>,
    /// The format that decides what tells lines apart; `None` if none are remembered.
    format: Option<ResultFormat>,
}

/// The fields of a line that tell it from others; empty where it has none.
#[derive(Default, Deserialize)]
struct LineFields {
    #[serde(default)]
    path: String,
    #[serde(default)]
    path_bytes: Option<String>,
    #[serde(default)]
    frame: Option<u32>,
    #[serde(default)]
    content: String,
    #[serde(default)]
    model_digest: String,
    #[serde(default)]
    prompts_digest: String,
    #[serde(default)]
    error: Option<LineError>,
}

#[derive(Default, Deserialize)]
struct LineError {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    message: String,
}

impl LineFields {
    fn of(path: &Path, outcome: &Outcome) -> Self {
        match outcome {
            Ok(record) => Self {
                path: record.path.clone(),
                path_bytes: record.path_bytes.clone(),
                frame: record.frame,
                content: record.content.clone(),
                model_digest: record.model_digest.clone(),
                prompts_digest: record.prompts_digest.clone(),
                error: None,
            },
            Err(Failure { kind, message, .. }) => {
                let (path, path_bytes) = path_text(path);
                let kind = json::name(kind);
                Self {
                    path,
                    path_bytes,
                    error: Some(LineError {
                        kind,
                        message: message.clone(),
                    }),
                    ..Self::default()
                }
            }
        }
    }

    fn of_aggregate(record: &AggregateRecord) -> Self {
        Self {
            path: record.path.clone(),
            path_bytes: record.path_bytes.clone(),
            content: record.content.clone(),
            model_digest: record.model_digest.clone(),
            prompts_digest: record.prompts_digest.clone(),
            ..Self::default()
        }
    }

    /// The cells of the same line in a CSV, as far as they tell it from others.
    fn cells(&self) -> [String; 7] {
        let error = self.error.as_ref();
        let text = |text: &str| cell(Some(&serde_json::Value::from(text)));
        [
            text(&self.path),
            self.frame
                .map_or_else(String::new, |frame| frame.to_string()),
            text(&self.content),
            text(&self.model_digest),
            text(&self.prompts_digest),
            text(error.map_or("", |error| &error.kind)),
            text(error.map_or("", |error| &error.message)),
        ]
    }

    fn key(&self, format: ResultFormat) -> LineKey {
        let cells = self.cells();
        let bytes = self
            .path_bytes
            .as_deref()
            .filter(|_| format == ResultFormat::Jsonl);
        key(cells.iter().map(String::as_str).chain(bytes))
    }
}

/// Which of [`LineFields::cells`] is the content.
const CONTENT_CELL: usize = 2;

fn key<'a>(parts: impl Iterator<Item = &'a str>) -> LineKey {
    let mut hasher = blake3::Hasher::new();
    let mut key = [0; 16];
    let (of_content, rest) = key.split_at_mut(8);
    for (at, part) in parts.enumerate() {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
        if at == CONTENT_CELL {
            of_content.copy_from_slice(&content_part(part));
        }
    }
    hasher.finalize_xof().fill(rest);
    key
}

impl WrittenLines {
    /// Lines whose keys the library has remembered.
    pub fn remembered(keys: HashSet<LineKey>) -> Self {
        Self {
            keys,
            format: Some(ResultFormat::Jsonl),
        }
    }

    /// Adds lines that need not be written, because an earlier file of the output holds them.
    pub fn extend(&mut self, keys: impl IntoIterator<Item = LineKey>) {
        if self.format.is_some() {
            self.keys.extend(keys);
        }
    }

    /// The keys of all lines.
    pub fn keys(&self) -> impl Iterator<Item = LineKey> + '_ {
        self.keys.iter().copied()
    }

    /// Reads the lines of a file, and mends its end: a line that a killed process left unfinished is removed, as its file will
    /// yield it again. A table cannot be read back, and has no lines in this sense; its last line is ended.
    pub fn recover(file: &mut File, format: ResultFormat) -> io::Result<Self> {
        let mut lines = Self {
            keys: HashSet::new(),
            format: Some(format),
        };
        file.rewind()?;
        match format {
            ResultFormat::Jsonl => lines.recover_json(file)?,
            ResultFormat::Csv => lines.recover_csv(file)?,
            ResultFormat::Table => {
                lines.format = None;
                if last_byte(file)?.is_some_and(|last| last != b'\n') {
                    file.write_all(b"\n")?;
                }
            }
        }
        Ok(lines)
    }

    fn recover_json(&mut self, file: &mut File) -> io::Result<()> {
        let (mut reader, mut line) = (BufReader::new(&*file), Vec::new());
        let (mut at, mut torn) = (0, None);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            let fields = serde_json::from_slice::<LineFields>(&line);
            if let Ok(fields) = &fields {
                self.keys.insert(fields.key(ResultFormat::Jsonl));
            }
            if line.last() != Some(&b'\n') {
                let is_ours = line.starts_with(b"{\"path\":") || b"{\"path\":".starts_with(&line);
                torn = Some((fields.is_err() && is_ours).then_some(at));
            }
            at += length as u64;
        }
        match torn {
            Some(Some(begin)) => file.set_len(begin),
            // Whole but for its end, or written by someone else.
            Some(None) => file.write_all(b"\n"),
            None => Ok(()),
        }
    }

    fn recover_csv(&mut self, file: &mut File) -> io::Result<()> {
        let is_ended = last_byte(file)?.is_none_or(|last| last == b'\n');
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(BufReader::new(&*file));
        let mut header: Option<(usize, [Option<usize>; 7])> = None;
        let mut row = csv::StringRecord::new();
        // The row read last: where it begins, whether it has all its cells, and its key.
        let mut last: Option<(u64, bool, LineKey)> = None;
        loop {
            let begin = reader.position().byte();
            match reader.read_record(&mut row) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if matches!(error.kind(), csv::ErrorKind::Io(_)) => {
                    return Err(io_error(error));
                }
                // Not a row of ours.
                Err(_) => continue,
            }
            self.keys.extend(last.map(|(_, _, key)| key));
            let (count, columns) = header.get_or_insert_with(|| (row.len(), columns_of(&row)));
            let cells = columns.map(|column| column.and_then(|at| row.get(at)));
            let key = key(cells.into_iter().map(Option::unwrap_or_default));
            last = Some((begin, row.len() == *count, key));
        }
        match last {
            Some((begin, has_all_cells, _)) if !is_ended || !has_all_cells => {
                file.set_len(begin + ending_left_at(file, begin)?)
            }
            last => {
                self.keys.extend(last.map(|(_, _, key)| key));
                Ok(())
            }
        }
    }

    /// The key of a line; `None` if none are remembered.
    pub fn key(&self, path: &Path, outcome: &Outcome) -> Option<LineKey> {
        let format = self.format?;
        Some(LineFields::of(path, outcome).key(format))
    }

    /// The key of the line of a series or study; `None` if none are remembered.
    pub fn aggregate_key(&self, record: &AggregateRecord) -> Option<LineKey> {
        let format = self.format?;
        Some(LineFields::of_aggregate(record).key(format))
    }

    /// Forgets the line of an outcome, so that an equal one is written.
    pub fn forget(&mut self, path: &Path, outcome: &Outcome) {
        if let Some(key) = self.key(path, outcome) {
            self.keys.remove(&key);
        }
    }

    /// Notes a line that is about to be written; false if it is there already.
    pub fn insert(&mut self, key: LineKey) -> bool {
        self.keys.insert(key)
    }
}

/// Where the columns of [`LineFields::cells`] are.
fn columns_of(header: &csv::StringRecord) -> [Option<usize>; 7] {
    [
        "path",
        "frame",
        "content",
        "model_digest",
        "prompts_digest",
        "error_kind",
        "error_message",
    ]
    .map(|name| header.iter().position(|column| column == name))
}

/// The last byte of a file; `None` if it is empty.
fn last_byte(file: &File) -> io::Result<Option<u8>> {
    let Some(at) = file.metadata()?.len().checked_sub(1) else {
        return Ok(None);
    };
    let mut last = [0];
    file.read_exact_at(&mut last, at)?;
    Ok(Some(last[0]))
}

/// Bytes of a line ending that the reader of rows leaves to the next row: 1 between carriage return and line feed.
fn ending_left_at(file: &File, at: u64) -> io::Result<u64> {
    let mut next = [0];
    let read = file.read_at(&mut next, at)?;
    Ok(u64::from(read == 1 && at > 0 && next == *b"\n"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::library::export::ResultWriter;
    use crate::media::{ErrorKind, FileContent};
    use crate::prompts::Prompts;

    fn failure(message: &str) -> Outcome {
        Err(Failure {
            kind: ErrorKind::Truncated,
            message: message.to_owned(),
            content: FileContent::Image,
        })
    }

    fn lines() -> Vec<(&'static str, Outcome)> {
        let record = |path: &str, frame, content: &str| {
            let mut record =
                crate::library::export::tests::record(crate::scoring::Decision::Confident);
            record.path = path.to_owned();
            record.frame = frame;
            record.content = content.to_owned();
            Ok(record)
        };
        vec![
            ("a", record("a", Some(0), "blake3:1")),
            ("a", record("a", Some(1), "blake3:1")),
            ("a", record("a", None, "blake3:1")),
            ("-b, \"c\"\n", record("-b, \"c\"\n", Some(0), "blake3:2")),
            ("d", failure("it ends, as \"x\"\nsays")),
            ("e", failure("=1+1")),
        ]
    }

    /// The bytes of an output, and where each line ends.
    fn written(format: ResultFormat) -> (Vec<u8>, Vec<usize>) {
        let prompts = Prompts::select("general", None).expect("it ships");
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (at, (path, outcome)) in lines().iter().enumerate() {
            let writer = ResultWriter::new(&mut bytes, format, &prompts);
            let mut writer = if at > 0 {
                writer.without_header()
            } else {
                writer
            };
            writer.write(Path::new(path), outcome).expect("written");
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn wherever_a_process_was_killed_every_line_is_written_once_and_whole() {
        for format in [ResultFormat::Jsonl, ResultFormat::Csv] {
            let (whole, ends) = written(format);
            let prompts = Prompts::select("general", None).expect("it ships");
            for killed in 0..=whole.len() {
                let mut file = tempfile::tempfile().expect("a file");
                file.write_all(&whole[..killed]).expect("written");
                let lines_there = WrittenLines::recover(&mut file, format).expect("read");
                let mut rest = Vec::new();
                file.seek(io::SeekFrom::End(0)).expect("at its end");
                let has_header = file.metadata().expect("it is there").len() > 0;
                let writer = ResultWriter::new(&mut rest, format, &prompts);
                let writer = writer.following(lines_there);
                let mut writer = if has_header {
                    writer.without_header()
                } else {
                    writer
                };
                let mut count = 0;
                for (path, outcome) in lines() {
                    let path = Path::new(path);
                    count += usize::from(writer.write(path, &outcome).expect("written"));
                }
                file.write_all(&rest).expect("written");
                file.rewind().expect("at its beginning");
                let mut all = Vec::new();
                file.read_to_end(&mut all).expect("read");
                let text = String::from_utf8_lossy(&all);
                assert!(all == whole, "{format:?}, killed at {killed}: {text}");
                let finished = ends.iter().filter(|end| **end <= killed).count();
                // The last line may lack no more than its end.
                let expected = lines().len() - finished;
                assert!(count == expected || count + 1 == expected, "{killed}");
            }
        }
    }

    #[test]
    fn the_lines_of_others_stay() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"# notes\n[1, 2]\nno end").expect("written");
        let mut lines = WrittenLines::recover(&mut file, ResultFormat::Jsonl).expect("read");
        let mut text = String::new();
        file.rewind().expect("at its beginning");
        file.read_to_string(&mut text).expect("text");
        assert_eq!(text, "# notes\n[1, 2]\nno end\n");
        let key = |lines: &WrittenLines, text: &str| lines.key(Path::new("a"), &failure(text));
        let [first, second] = ["x", "y"].map(|text| key(&lines, text).expect("remembered"));
        assert!(lines.insert(first));
        assert!(!lines.insert(first));
        assert!(lines.insert(second));
    }

    #[test]
    fn a_line_that_is_forgotten_is_written_again() {
        let prompts = Prompts::select("general", None).expect("it ships");
        let mut file = tempfile::tempfile().expect("a file");
        let lines = WrittenLines::recover(&mut file, ResultFormat::Jsonl).expect("read");
        let mut writer = ResultWriter::new(Vec::new(), ResultFormat::Jsonl, &prompts);
        writer = writer.following(lines);
        let (path, failure) = (Path::new("a"), failure("it ends"));
        let mut write = |is_other: bool| {
            if is_other {
                writer.written_mut().forget(path, &failure);
            }
            writer.write(path, &failure).expect("written")
        };
        assert_eq!(
            [false, false, true, false].map(&mut write),
            [true, false, true, false]
        );
    }
}
