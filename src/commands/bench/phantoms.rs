//! Phantoms as a model takes them, to measure with.

use std::ops::Range;
use std::thread;

use crate::commands::Fault;
use crate::encoder::{EncoderError, PreparedImage, Preprocess};
use crate::media::{Picture, Pixels};
use crate::phantom::Phantom;

/// Columns and rows of a phantom.
pub(in crate::commands) const SIDE: u32 = 256;

/// Draws and prepares phantoms on all cores; `draw` makes that of each index.
pub(in crate::commands) fn drawn(
    range: Range<usize>,
    preprocess: &Preprocess,
    draw: &(dyn Fn(usize) -> Phantom + Sync),
) -> Result<Vec<PreparedImage>, Fault> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let one = |index: usize| {
        let phantom = draw(index);
        let picture = Picture {
            width: phantom.width,
            height: phantom.height,
            pixels: Pixels::Luma(phantom.to_luma8()),
        };
        preprocess.apply(&picture)
    };
    let share = range.len().div_ceil(threads);
    let parts = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|part| {
                let first = range.end.min(range.start + part * share);
                let range = first..range.end.min(first + share);
                let one = &one;
                scope.spawn(move || range.map(one).collect::<Result<Vec<_>, EncoderError>>())
            })
            .collect();
        let joined = workers.into_iter().map(|worker| {
            let ended = worker.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect::<Result<Vec<_>, _>>()
    });
    let parts = parts.map_err(Fault::unusable)?;
    Ok(parts.into_iter().flatten().collect())
}
