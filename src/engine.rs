//! What the engine says, until the engine itself is here.

use std::path::PathBuf;

use crate::library::Outcome;

/// Which queue a job waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Ahead of others: someone looks at it.
    Interactive,
    /// Among many.
    Bulk,
}

/// What the engine says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It begins to load a model.
    Loading,
    /// It is ready for pictures.
    Ready {
        /// The model's name.
        model: String,
        /// Where it computes.
        device: String,
        /// The prompt set's name.
        prompts: String,
        /// The model knows phantoms only: a real one is needed for patients' pictures.
        synthetic_only: bool,
        /// What is worth knowing.
        warnings: Vec<String>,
    },
    /// The model or the prompts cannot be used.
    Failed {
        /// Why.
        message: String,
    },
    /// A file is finished.
    Done {
        /// The file.
        path: PathBuf,
        /// As submitted.
        generation: u64,
        /// One for each frame asked for, or one failure.
        outcomes: Vec<Outcome>,
    },
    /// How it goes.
    Rate {
        /// Over the last seconds.
        images_per_second: f64,
        /// Pictures waiting.
        queued: usize,
    },
}
