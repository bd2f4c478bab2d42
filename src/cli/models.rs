//! `models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `models`
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Action on models
    #[command(subcommand)]
    pub action: ModelsAction,
}

/// The actions on models.
#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// List the models in the cache and in the catalogue
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Describe a model
    Info {
        /// Name or id, or the folder or file of a checkpoint
        #[arg(value_name = "ID|DIR|FILE")]
        subject: String,
    },
    /// Download a model from the hub into the cache; resumes an interrupted download
    Pull {
        /// Name or id
        id: String,
        /// Branch, tag or commit
        #[arg(long, value_name = "REV")]
        revision: Option<String>,
    },
    /// Import a model that was brought by hand into the cache, without the network
    Import {
        /// A folder, .tar, .tar.gz or .zip: of the cache of another machine (`models--ORG--NAME`), or of the model's files
        #[arg(value_name = "DIR|ARCHIVE")]
        from: PathBuf,
        /// The model's name or id, if the folder or archive is not named by it
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// Verify the checksums of the files in the cache, and that none is missing
    Verify {
        /// Names or ids, perhaps with @REVISION; with --reference also folders [default: all models in the cache]
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// Compare embeddings with those of the model's reference implementation, which needs Python with torch, pillow, and
        /// transformers (with sentencepiece and protobuf for SigLIP) or open_clip_torch; a success is remembered
        #[arg(long)]
        reference: bool,
        /// The Python to use
        #[arg(
            long,
            value_name = "FILE",
            default_value = "python3",
            requires = "reference"
        )]
        python: PathBuf,
    },
}
