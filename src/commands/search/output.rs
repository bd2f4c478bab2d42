//! Prints what was found: a table, JSON lines, CSV, or paths.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use super::super::Fault;
use super::super::print::{self, closed_pipe};
use super::collection::SearchedImage;
use crate::encoder::ModelCard;
use crate::library::export::{ResultFormat, cell, csv_row};
use crate::library::search::RankedRow;
use crate::library::{NOTICE, json, path_text};
use crate::media::{FileFormat, clean};

/// Groups of near-duplicates, the first image of each first.
pub(super) type Groups = Vec<Vec<RankedRow>>;

/// The columns of a CSV after the first one, which is `rank` or `group`.
const COLUMNS: [&str; 11] = [
    "path",
    "frame",
    "score",
    "content",
    "kind",
    "frames",
    "modality",
    "body_part",
    "model",
    "model_digest",
    "notice",
];

/// An image that was found by a query.
#[derive(Serialize)]
struct Hit<'a> {
    /// Its place, from 1.
    rank: usize,
    #[serde(flatten)]
    image: FoundImage<'a>,
}

/// An image of a group of near-duplicates.
#[derive(Serialize)]
struct Duplicate<'a> {
    /// The group's number, from 1.
    group: usize,
    #[serde(flatten)]
    image: FoundImage<'a>,
    /// The first file of the group with the same content, if it is not this one.
    copy_of: Option<String>,
}

/// The fields that both have.
#[derive(Serialize)]
struct FoundImage<'a> {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    frame: u32,
    score: f64,
    content: &'a str,
    kind: FileFormat,
    frames: u32,
    modality: Option<&'a str>,
    body_part: Option<&'a str>,
    model: &'a str,
    model_digest: &'a str,
    notice: &'static str,
}

/// Writes what was found to stdout.
pub(super) struct SearchWriter<'a> {
    out: BufWriter<Box<dyn Write>>,
    format: ResultFormat,
    /// What ends each path, if only paths are printed.
    path_end: Option<&'static [u8]>,
    model: &'a ModelCard,
}

impl<'a> SearchWriter<'a> {
    pub(super) fn new(
        format: ResultFormat,
        path_end: Option<&'static [u8]>,
        model: &'a ModelCard,
    ) -> Self {
        Self {
            out: BufWriter::new(print::stdout()),
            format,
            path_end,
            model,
        }
    }

    /// Writes the images of a ranking.
    pub(super) fn hits(
        &mut self,
        images: &[SearchedImage],
        ranked: &[RankedRow],
    ) -> Result<(), Fault> {
        let written = if let Some(end) = self.path_end {
            self.paths(end, ranked.iter().map(|found| &images[found.row]))
        } else {
            self.header("rank", "RANK   SCORE  FILE").and_then(|()| {
                let mut hits = ranked.iter().enumerate();
                hits.try_for_each(|(index, found)| self.hit(index + 1, &images[found.row], found))
            })
        };
        written.and_then(|()| self.out.flush()).or_else(closed_pipe)
    }

    /// Writes groups of near-duplicates.
    pub(super) fn duplicates(
        &mut self,
        images: &[SearchedImage],
        groups: &Groups,
    ) -> Result<(), Fault> {
        let written = if let Some(end) = self.path_end {
            // Frames of one file may be alike: the file is not its own duplicate.
            let others = groups.iter().flat_map(|group| {
                let first = &images[group[0].row].path;
                group[1..]
                    .iter()
                    .map(|found| &images[found.row])
                    .filter(move |image| image.path != *first)
            });
            self.paths(end, others)
        } else {
            self.header("group", "GROUP  SCORE  FILE").and_then(|()| {
                let mut groups = groups.iter().enumerate();
                groups.try_for_each(|(index, group)| self.group(index + 1, images, group))
            })
        };
        written.and_then(|()| self.out.flush()).or_else(closed_pipe)
    }

    /// Writes the path of each file, once.
    fn paths<'i>(
        &mut self,
        end: &[u8],
        images: impl Iterator<Item = &'i SearchedImage>,
    ) -> io::Result<()> {
        let mut written = HashSet::new();
        for image in images.filter(|image| written.insert(&image.path)) {
            self.out.write_all(image.path.as_os_str().as_bytes())?;
            self.out.write_all(end)?;
        }
        Ok(())
    }

    fn header(&mut self, first: &str, table: &str) -> io::Result<()> {
        match self.format {
            ResultFormat::Jsonl => Ok(()),
            ResultFormat::Table => writeln!(self.out, "{table}"),
            ResultFormat::Csv => {
                let last = (first == "group").then_some("copy_of");
                let columns = [first].into_iter().chain(COLUMNS).chain(last);
                csv_row(&mut self.out, columns)
            }
        }
    }

    fn hit(&mut self, rank: usize, image: &SearchedImage, found: &RankedRow) -> io::Result<()> {
        if self.format == ResultFormat::Table {
            let (path, frame) = (shown(&image.path), frame(image));
            return writeln!(
                self.out,
                "{rank:>4}  {:>6.3}  {path}{frame}",
                found.similarity
            );
        }
        let image = self.found(image, found);
        self.object("rank", &Hit { rank, image })
    }

    fn group(
        &mut self,
        group: usize,
        images: &[SearchedImage],
        rows: &[RankedRow],
    ) -> io::Result<()> {
        let mut contents: HashMap<(&str, u32), &SearchedImage> = HashMap::new();
        for (index, found) in rows.iter().enumerate() {
            let image = &images[found.row];
            let same = *contents
                .entry((&image.content, image.frame))
                .or_insert(image);
            let is_copy = !std::ptr::eq(same, image);
            if self.format == ResultFormat::Table {
                let (path, frame) = (shown(&image.path), frame(image));
                let number = if index == 0 {
                    group.to_string()
                } else {
                    String::new()
                };
                let score = match index {
                    0 => "first".to_owned(),
                    _ if is_copy => "copy".to_owned(),
                    _ => format!("{:.3}", found.similarity),
                };
                writeln!(self.out, "{number:>5}  {score:>5}  {path}{frame}")?;
                continue;
            }
            let duplicate = Duplicate {
                group,
                image: self.found(image, found),
                copy_of: is_copy.then(|| path_text(&same.path).0),
            };
            self.object("group", &duplicate)?;
        }
        Ok(())
    }

    /// Writes a line of JSON or a row of CSV.
    fn object(&mut self, first: &str, object: &impl Serialize) -> io::Result<()> {
        if self.format == ResultFormat::Jsonl {
            return writeln!(self.out, "{}", json::line(object)?);
        }
        let value = serde_json::to_value(object).map_err(io::Error::other)?;
        let last = (first == "group").then_some("copy_of");
        let columns = [first].into_iter().chain(COLUMNS).chain(last);
        csv_row(&mut self.out, columns.map(|name| cell(value.get(name))))
    }

    fn found<'i>(&self, image: &'i SearchedImage, found: &RankedRow) -> FoundImage<'i>
    where
        'a: 'i,
    {
        let (path, path_bytes) = path_text(&image.path);
        FoundImage {
            path,
            path_bytes,
            frame: image.frame,
            score: rounded(found.similarity),
            content: &image.content,
            kind: image.kind,
            frames: image.frames,
            modality: image.modality.as_deref(),
            body_part: image.body_part.as_deref(),
            model: &self.model.id,
            model_digest: &self.model.digest,
            notice: NOTICE,
        }
    }
}

/// A similarity in six decimals: f32 has no more, and rounding takes that of an image to itself beyond 1.
fn rounded(similarity: f32) -> f64 {
    ((f64::from(similarity) * 1e6).round() / 1e6).clamp(-1.0, 1.0)
}

fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy())
}

/// Which frame of its file an image is, if there are several.
fn frame(image: &SearchedImage) -> String {
    if image.frames > 1 {
        format!("  (frame {} of {})", image.frame + 1, image.frames)
    } else {
        String::new()
    }
}
