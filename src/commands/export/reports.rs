//! Writes structured reports to a folder, one file each.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, mem};

use super::super::library::unusable;
use super::super::progress::ProgressLine;
use super::super::{Fault, exit, output, print, shown};
use super::filter::ResultFilter;
use crate::cli::ReportScope;
use crate::library::export::report::{Observation, ReportedImage, StructuredReport};
use crate::library::{
    AuditEvent, FileIdentity, Library, OutputLog, Record, ResultSelection, Review,
};
use crate::media::{self, ErrorKind, FileFormat, MediaError, object_identity};

/// Maximum length of the part of a report's name that comes from the image's name, in characters: at most 200 bytes.
const MAX_STEM: usize = 50;
/// Digits of the hash in a report's name.
const NAME_DIGITS: usize = 12;

/// What reports are written on, and where.
pub(super) struct ReportExport<'a> {
    pub(super) library: &'a Arc<Library>,
    pub(super) selection: &'a ResultSelection,
    pub(super) filter: &'a ResultFilter,
    pub(super) scope: ReportScope,
    /// Whether reports say who the patient is.
    pub(super) with_identity: bool,
    pub(super) folder: &'a Path,
    /// The reviewer who alone has a say, if that reviewer works blind.
    pub(super) only_of: Option<&'a str>,
}

/// What became of the images.
#[derive(Default)]
pub(super) struct WrittenReports {
    written: u64,
    /// How many of them replaced an older file.
    replaced: u64,
    /// Images that could not be reported on.
    failed: u64,
    is_interrupted: bool,
}

impl WrittenReports {
    /// Whether there was nothing to report on.
    pub(super) fn is_empty(&self) -> bool {
        self.written == 0 && self.failed == 0 && !self.is_interrupted
    }

    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        if self.is_interrupted {
            exit::INTERRUPTED
        } else if self.failed > 0 {
            exit::SOME_FAILED
        } else {
            exit::OK
        }
    }

    fn message(&self, folder: &Path) -> String {
        let counted = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let written = counted(self.written, "report");
        let mut parts = vec![format!("{written} in {}", shown(folder))];
        if self.replaced > 0 {
            parts.push(format!("{} replaced an older one", self.replaced));
        }
        if self.failed > 0 {
            parts.push(format!("{} failed", counted(self.failed, "image")));
        }
        parts.join(", ")
    }
}

/// An image whose results have been read.
struct ImageResults {
    path: PathBuf,
    /// Study Instance UID.
    study: Option<String>,
    /// `blake3:<hex>` of its content.
    content: String,
    records: Vec<Record>,
}

impl ReportExport<'_> {
    /// Writes the reports until `stopped`.
    pub(super) fn write(&self, stopped: &AtomicBool) -> Result<WrittenReports, Fault> {
        match fs::create_dir(self.folder) {
            Err(error) if !self.folder.is_dir() => {
                return Err(Fault::usage(format!("{}: {error}", shown(self.folder))));
            }
            _ => {}
        }
        let progress = ProgressLine::new();
        let mut writing = ReportWriting {
            export: self,
            log: OutputLog::new(Arc::clone(self.library), AuditEvent::Exported, None),
            progress: &progress,
            pending: Vec::new(),
            done: WrittenReports::default(),
        };
        let mut fault = None;
        let read = self
            .library
            .stored_results(self.selection, &mut |path, record| {
                if self.filter.admits(path, &record) {
                    fault = writing.add(path, record).err();
                }
                fault.is_none() && !stopped.load(Ordering::Relaxed)
            });
        writing.done.is_interrupted = stopped.load(Ordering::Relaxed);
        let ended = match fault {
            Some(fault) => Err(fault),
            None if writing.done.is_interrupted || read.is_err() => Ok(()),
            None => writing.finish_report(),
        };
        progress.end();
        let ReportWriting { mut log, done, .. } = writing;
        log.flushed();
        if !done.is_empty() {
            print::message(done.message(self.folder));
        }
        ended?;
        read.map_err(unusable(self.library))?;
        Ok(done)
    }

    /// The image with what is said of it.
    ///
    /// # Errors
    ///
    /// Fails if its file is not a DICOM object, or not the one that was classified.
    fn image(&self, results: &ImageResults) -> Result<ReportedImage, MediaError> {
        if results
            .records
            .iter()
            .any(|of| of.kind != FileFormat::Dicom)
        {
            return Err(MediaError::new(
                ErrorKind::Unsupported,
                "not DICOM; a report can only refer to a DICOM image",
            ));
        }
        let identity = object_identity(&results.path)?;
        if !self.is_content_of(&results.path, &results.content) {
            return Err(MediaError::new(
                ErrorKind::NotFound,
                "it has changed since it was classified; classify it again",
            ));
        }
        let is_said = |author: &str| self.only_of.is_none_or(|only| author == only);
        let reviews = self.filter.reviews().of_content(&results.content);
        let mut reviews: Vec<&Review> =
            reviews.filter(|review| is_said(&review.reviewer)).collect();
        reviews.sort_by_key(|review| (&review.prompts, &review.reviewer));
        let said = results.records.iter().map(Observation::of_result);
        let said = said.chain(reviews.into_iter().map(Observation::of_review));
        let frames = results.records.first().map_or(1, |record| record.frames);
        let measured = self.library.measurements(&results.content);
        let measured = measured
            .iter()
            .filter(|measurement| is_said(&measurement.author))
            .zip(1..)
            .map(|(measurement, number)| Observation::of_measurement(measurement, number, frames));
        let said = said.chain(measured);
        Ok(ReportedImage {
            identity,
            observations: said.collect(),
        })
    }

    fn is_content_of(&self, path: &Path, content: &str) -> bool {
        let known = FileIdentity::of(path).and_then(|id| self.library.content(path, id));
        match known {
            Some(known) => known.hash == content,
            None => media::open(path)
                .and_then(|image| image.content())
                .is_ok_and(|now| now == content),
        }
    }

    /// The file name of a report: on an instance, the image's name and a hash of its path.
    fn name(&self, first: &ImageResults, study: &str) -> String {
        let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex()[..NAME_DIGITS].to_owned();
        match self.scope {
            ReportScope::Study => format!("study-{}.dcm", hash(study.as_bytes())),
            ReportScope::Instance => {
                let path = first.path.as_os_str().as_encoded_bytes();
                let stem = first.path.file_stem().unwrap_or_default().to_string_lossy();
                let stem: String = stem.chars().take(MAX_STEM).collect();
                format!("{stem}-{}.dcm", hash(path))
            }
        }
    }
}

/// Reports being written.
struct ReportWriting<'a> {
    export: &'a ReportExport<'a>,
    log: OutputLog,
    progress: &'a ProgressLine,
    /// The images of the report that is being read.
    pending: Vec<ImageResults>,
    done: WrittenReports,
}

impl ReportWriting<'_> {
    /// Adds a result; first writes the report before, unless this one belongs to it.
    fn add(&mut self, path: &Path, record: Record) -> Result<(), Fault> {
        match self.pending.last_mut() {
            Some(last) if last.path == path => {
                last.records.push(record);
                return Ok(());
            }
            _ => {}
        }
        let study = record.origin.study.clone();
        let last = self.pending.last().map(|last| &last.study);
        let is_per_study = self.export.scope == ReportScope::Study;
        if !is_per_study || study.is_none() || last != Some(&study) {
            self.finish_report()?;
        }
        self.pending.push(ImageResults {
            path: path.to_owned(),
            study,
            content: record.content.clone(),
            records: vec![record],
        });
        Ok(())
    }

    /// Writes the report on the images that were added.
    fn finish_report(&mut self) -> Result<(), Fault> {
        let results = mem::take(&mut self.pending);
        let (mut images, mut first, mut contents) = (Vec::new(), None, HashSet::new());
        for of_image in &results {
            // A copy of an image has the same results.
            if !contents.insert(&of_image.content) {
                continue;
            }
            match self.export.image(of_image) {
                Ok(image) => {
                    images.push(image);
                    first = first.or(Some(of_image));
                }
                Err(error) => {
                    self.done.failed += 1;
                    let path = shown(&of_image.path);
                    self.progress
                        .suspend(|| print::message(format_args!("{path}: {error}")));
                }
            }
        }
        let (Some(first), Some(image)) = (first, images.first()) else {
            return Ok(());
        };
        let name = self.export.name(first, &image.identity.study);
        let path = self.export.folder.join(name);
        let fault = |error: io::Error| Fault {
            code: exit::SOME_FAILED,
            message: format!("{}: {error}", shown(&path)),
        };
        let report = StructuredReport {
            images: &images,
            is_of_study: self.export.scope == ReportScope::Study,
            with_identity: self.export.with_identity,
        };
        let file = report.to_file().map_err(fault)?;
        let was_there = path.exists();
        // In memory first: an error of the disk would lose its reason.
        let mut bytes = Vec::new();
        file.write_all(&mut bytes)
            .map_err(|error| fault(io::Error::other(error)))?;
        output::replace(&path, |to| to.write_all(&bytes)).map_err(fault)?;
        self.done.written += 1;
        self.done.replaced += u64::from(was_there);
        self.progress.set(self.done.written, None);
        let records = results.into_iter().flat_map(|results| results.records);
        self.log.add_written(records);
        Ok(())
    }
}
