//! `demo`: synthetic studies to try the program on.

use std::path::PathBuf;

use super::{CommandSetup, Fault};
use crate::cli;
use crate::phantom::{self, PhantomError};

/// Writes the studies; returns their folder.
pub fn write(arguments: &cli::DemoArgs, setup: &CommandSetup) -> Result<PathBuf, Fault> {
    let dir = match (&arguments.dir, &setup.folders) {
        (Some(dir), _) => dir.clone(),
        // One folder per process, so that two demos at the same time do not overwrite each other.
        (None, Some(folders)) => folders
            .cache
            .join("demo")
            .join(std::process::id().to_string())
            // The name that the title shows.
            .join("demo"),
        (None, None) => {
            return Err(Fault::usage(
                "there is no home folder; give the folder to write to",
            ));
        }
    };
    let progress = super::progress::ProgressLine::new();
    progress.message("drawing");
    let total = u64::from(arguments.count);
    let written = phantom::write_studies(&dir, arguments.seed, arguments.count as usize, |done| {
        progress.set(done as u64, Some(total));
    });
    progress.end();
    let studies = written.map_err(|error| match error {
        PhantomError::Occupied(_) => Fault::usage(error),
        _ => Fault {
            code: super::exit::SOME_FAILED,
            message: error.to_string(),
        },
    })?;
    let (count, place) = (studies.len(), super::shown(&dir));
    super::print::message(format_args!("{count} synthetic studies in {place}"));
    Ok(dir)
}
