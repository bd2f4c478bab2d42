//! `library` and `reviews`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::labelled::mapping;
use crate::scoring::Mode;

/// `library`
#[derive(Debug, Args)]
pub struct LibraryArgs {
    /// Action on the library
    #[command(subcommand)]
    pub action: LibraryAction,
}

/// The actions on the library.
#[derive(Debug, Subcommand)]
pub enum LibraryAction {
    /// Verify the file, and count what is in it
    Check,
    /// Set a damaged library aside, and begin a new one with the reviews, measurements and audit that can be read
    Repair,
    /// Give the space of what was removed back to the disk
    Vacuum,
    /// Write a consistent copy, also while other programs use the library
    Backup {
        /// The copy, which must not exist
        file: PathBuf,
    },
    /// Remove what is known of images: embeddings and file names
    Forget {
        /// A file, a folder, or the hash of a content (`blake3:…`)
        #[arg(value_name = "PATH|HASH")]
        subject: PathBuf,
    },
}

/// `reviews`
#[derive(Debug, Args)]
pub struct ReviewsArgs {
    /// Print JSON, with the tables of confusions
    #[arg(long)]
    pub json: bool,
    /// Action on reviews
    #[command(subcommand)]
    pub action: Option<ReviewsAction>,
}

/// The actions on reviews.
#[derive(Debug, Subcommand)]
pub enum ReviewsAction {
    /// Take over known labels as the reviews of --reviewer, under --prompts
    Import {
        /// A table of files and labels, or a folder of folders named after labels
        labels: PathBuf,
        /// Take a label to mean a condition of another name; can be repeated
        #[arg(long, value_name = "LABEL=CONDITION", value_parser = mapping)]
        map: Vec<(String, String)>,
        /// One condition applies to each image (single), or any number, of which a label may name several (multi)
        #[arg(long, default_value = "single")]
        mode: Mode,
    },
}
