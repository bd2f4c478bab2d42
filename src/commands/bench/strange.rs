//! `bench strange`: which images the rule for strange ones refuses, after images of one kind were reviewed.

use std::fmt::Write as _;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::learn::images::{encoded, files_prepared};
use crate::cli::StrangeBenchArgs;
use crate::commands::eval::labels::Labelled;
use crate::commands::progress::ProgressLine;
use crate::commands::{CommandSetup, Fault, exit, print, shown};
use crate::library::NOTICE;
use crate::media::{clean, walk};
use crate::scoring::familiar::FamiliarImages;

/// What was measured.
#[derive(Serialize)]
struct StrangeReport {
    model: String,
    model_digest: String,
    /// The folders, with the number of their images.
    folders: Vec<(String, usize)>,
    seeds: u64,
    reviewed: Vec<ReviewedReport>,
    notice: &'static str,
}

/// What was measured with so many reviewed images.
#[derive(Serialize)]
struct ReviewedReport {
    reviewed: u16,
    /// For each folder with enough images: reviewed images are of it.
    folders: Vec<FolderReport>,
}

/// What is refused once images of a folder were reviewed.
#[derive(Serialize)]
struct FolderReport {
    folder: String,
    /// The share of the folder's other images, mean over draws.
    own: f64,
    /// The same in the worst draw.
    own_worst: f64,
    /// The share of each folder's images, mean over draws; of this one, those that were not reviewed.
    refused: Vec<f64>,
}

/// The images of a folder, as the model has encoded them.
struct EncodedFolder {
    name: String,
    rows: Vec<Vec<f32>>,
}

/// Measures; returns the exit code.
pub fn run(arguments: &StrangeBenchArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for (label, (name, own)) in subfolders(arguments)?.into_iter().enumerate() {
        names.push(name);
        files.extend(own.into_iter().map(|path| Labelled {
            path,
            label,
            named: false,
            patient: None,
        }));
    }
    let progress = ProgressLine::new();
    progress.message("loading the model");
    let mut encoder = setup.factory(None)().map_err(Fault::unusable)?;
    progress.message("encoding");
    let preprocess = encoder.preprocess();
    let rows = encoded(files.len(), encoder.as_mut(), &progress, |range| {
        Ok(files_prepared(&files[range], &preprocess, &progress))
    })?;
    let names = names.into_iter().map(|name| EncodedFolder {
        name,
        rows: Vec::new(),
    });
    let mut folders: Vec<EncodedFolder> = names.collect();
    for row in rows {
        folders[row.label].rows.push(row.embedding);
    }
    progress.message("measuring");
    let reviewed = arguments.reviewed.iter();
    let reviewed = reviewed.map(|count| measure(&folders, *count, arguments.seeds));
    let report = StrangeReport {
        model: encoder.card().id.clone(),
        model_digest: encoder.card().digest.clone(),
        reviewed: reviewed.collect(),
        folders: folders
            .into_iter()
            .map(|folder| (folder.name, folder.rows.len()))
            .collect(),
        seeds: arguments.seeds,
        notice: NOTICE,
    };
    progress.end();
    if arguments.json {
        print::json(&report)?;
    } else {
        print::lines(&table(&report))?;
    }
    Ok(exit::OK)
}

/// The subfolders, and so many files in each.
fn subfolders(
    arguments: &StrangeBenchArgs,
) -> Result<Vec<(String, Vec<std::path::PathBuf>)>, Fault> {
    let unreadable = |error| Fault::usage(format!("{}: {error}", shown(&arguments.dir)));
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(&arguments.dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    if folders.len() < 2 {
        return Err(Fault::usage(format!(
            "{}: there must be at least two subfolders, one for each kind of image",
            shown(&arguments.dir)
        )));
    }
    let drawn = |folder: &Path| {
        let mut files: Vec<_> = walk::files(folder).filter_map(Result::ok).collect();
        files.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
        files.truncate(arguments.images as usize);
        files
    };
    let folders = folders.iter();
    Ok(folders
        .map(|folder| {
            let name = folder.file_name().unwrap_or_default();
            (name.to_string_lossy().into_owned(), drawn(folder))
        })
        .collect())
}

fn measure(folders: &[EncodedFolder], count: u16, seeds: u64) -> ReviewedReport {
    let has_enough = |folder: &&EncodedFolder| folder.rows.len() > usize::from(count);
    let enough = folders.iter().filter(has_enough);
    ReviewedReport {
        reviewed: count,
        folders: enough
            .map(|own| measure_folder(folders, own, usize::from(count), seeds))
            .collect(),
    }
}

fn measure_folder(
    folders: &[EncodedFolder],
    own: &EncodedFolder,
    count: usize,
    seeds: u64,
) -> FolderReport {
    let mut refused = vec![0.0; folders.len()];
    let mut shares = Vec::new();
    for seed in 0..seeds {
        let mut rows: Vec<&[f32]> = own.rows.iter().map(Vec::as_slice).collect();
        rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let (reviewed, others) = rows.split_at(count);
        let Some(familiar) = FamiliarImages::fit(reviewed) else {
            continue;
        };
        let share = |rows: &[&[f32]]| {
            let strange = rows.iter().filter(|row| familiar.is_strange(row));
            strange.count() as f64 / rows.len().max(1) as f64
        };
        for (refused, folder) in refused.iter_mut().zip(folders) {
            let rows: Vec<&[f32]> = folder.rows.iter().map(Vec::as_slice).collect();
            let is_own = std::ptr::eq(folder, own);
            let share = share(if is_own { others } else { &rows });
            if is_own {
                shares.push(share);
            }
            *refused += share / seeds as f64;
        }
    }
    FolderReport {
        folder: own.name.clone(),
        own: shares.iter().sum::<f64>() / shares.len().max(1) as f64,
        own_worst: shares.iter().copied().fold(0.0, f64::max),
        refused,
    }
}

fn table(report: &StrangeReport) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "model {}, {} draws", report.model, report.seeds);
    for own in &report.reviewed {
        let _ = writeln!(
            out,
            "\n{} reviewed images: share of other images that is rejected",
            own.reviewed
        );
        for row in &own.folders {
            let _ = writeln!(
                out,
                "  {}: own {:.1} % (worst draw {:.1} %)",
                clean(&row.folder),
                100.0 * row.own,
                100.0 * row.own_worst
            );
            for ((name, _), share) in report.folders.iter().zip(&row.refused) {
                if *name != row.folder {
                    let _ = writeln!(out, "    {:<28}{:5.1} %", clean(name), 100.0 * share);
                }
            }
        }
    }
    out
}
