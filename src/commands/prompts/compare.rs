//! `prompts compare`.

use super::super::comparison::{self, ComparisonRequest};
use super::super::{CommandSetup, Fault};
use crate::cli::ComparePromptsArgs;
use crate::engine::FrameSelection;

/// Compares two sets; returns the exit code.
pub(super) fn run(arguments: &ComparePromptsArgs, setup: &CommandSetup) -> Result<u8, Fault> {
    let sets = comparison::sets([&arguments.a, &arguments.b], setup)?;
    let (files, conditions) = match &arguments.labels {
        Some(labels) => {
            let (files, names) =
                comparison::labelled((labels, &arguments.map), &sets, arguments.mode)?;
            let files = if arguments.paths.is_empty() {
                files
            } else {
                comparison::below(files, &arguments.paths)?
            };
            (files, Some(names))
        }
        None => (comparison::unlabelled(&arguments.paths), None),
    };
    let request = ComparisonRequest {
        sets,
        files,
        conditions,
        mode: arguments.mode,
        frames: FrameSelection::First,
        fit: arguments.fit,
        exact: false,
        draws: arguments.draws,
        seed: arguments.seed,
        json: arguments.json,
    };
    comparison::run(&request, setup)
}
