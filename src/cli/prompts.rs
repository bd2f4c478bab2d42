//! `prompts`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{draws, mapping};
use crate::encoder::Fit;
use crate::scoring::Mode;

/// `prompts`
#[derive(Debug, Args)]
pub struct PromptsArgs {
    /// Action on prompt sets
    #[command(subcommand)]
    pub action: PromptsAction,
}

/// The actions on prompt sets.
#[derive(Debug, Subcommand)]
pub enum PromptsAction {
    /// List the prompt sets that can be used by name
    List,
    /// Check prompt sets for errors; with --model, also for unknown words and phrases that are too long
    Check {
        /// Names or .toml files [default: all that can be used by name]
        #[arg(value_name = "NAME|FILE")]
        sets: Vec<String>,
    },
    /// Let a language model draft a prompt set
    ///
    /// Sends the names of the conditions and the modality, nothing else, to the server of --llm-url, and shows beforehand what is sent.
    /// The answer is checked, shown as a difference, opened in $VISUAL or $EDITOR, and saved as a prompt set.
    #[command(after_help = "Examples:
  medivision-tui prompts draft pneumothorax \"pleural effusion\" --modality \"chest X-ray\" --name ward
  medivision-tui prompts draft --set chest-xray --name chest-drafted --yes --no-edit
  MEDIVISION_LLM_URL=http://127.0.0.1:11434/v1 MEDIVISION_LLM_MODEL=qwen3 medivision-tui prompts draft melanoma --modality dermoscopy")]
    Draft(DraftArgs),
    /// Compare the results of two prompt sets on the same images
    ///
    /// Lists the files whose label changes. With --labels, it also prints the paired differences of accuracy, AUROC and calibration error, of
    /// B against A and of B against random words in the place of its descriptions.
    #[command(after_help = "Examples:
  medivision-tui prompts compare chest-xray ward scans
  medivision-tui prompts compare chest-xray ward.toml --labels truth.csv")]
    Compare(ComparePromptsArgs),
}

/// `prompts draft`
#[derive(Debug, Args)]
pub struct DraftArgs {
    /// Names of the conditions, the healthy one among them (`normal` is added otherwise) [default: those of --set]
    #[arg(value_name = "CONDITION")]
    pub conditions: Vec<String>,
    /// Kind of image: words such as `chest X-ray`, or DICOM codes such as `CR,DX` [default: that of --set, else any]
    #[arg(long, value_name = "TEXT")]
    pub modality: Option<String>,
    /// Name of the new set [default: made of the conditions, or of --set]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Replace the phrases of this set's conditions, and keep the rest
    #[arg(long, value_name = "NAME|FILE")]
    pub set: Option<String>,
    /// Send and save without asking; an earlier set of that name is copied to NAME.toml~ first
    #[arg(long)]
    pub yes: bool,
    /// File to write [default: NAME.toml in the folder of your prompt sets]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Do not open the draft in an editor
    #[arg(long)]
    pub no_edit: bool,
    /// Print what was drafted as JSON
    #[arg(long)]
    pub json: bool,
}

/// `prompts compare`
#[derive(Debug, Args)]
pub struct ComparePromptsArgs {
    /// Prompt set to compare with: a name or .toml file
    pub a: String,
    /// Prompt set to compare: a name or .toml file
    pub b: String,
    /// Files, and folders to search recursively
    #[arg(value_name = "PATH", required_unless_present = "labels")]
    pub paths: Vec<PathBuf>,
    /// Labels, as for `eval`: a folder, or a table with the columns `path` and `label`; of the images below PATH, if that is given
    #[arg(long, value_name = "DIR|CSV")]
    pub labels: Option<PathBuf>,
    /// Map a label in the data to a condition of the prompt sets; may be repeated
    #[arg(long, value_name = "LABEL=CONDITION", value_parser = mapping, requires = "labels")]
    pub map: Vec<(String, String)>,
    /// Choose one condition (single), or decide on each condition separately (multi)
    #[arg(long, default_value = "single")]
    pub mode: Mode,
    /// How to fit an image to the model's input [default: as the model specifies]
    #[arg(long)]
    pub fit: Option<Fit>,
    /// Number of bootstrap draws for the intervals
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = draws)]
    pub draws: usize,
    /// Random seed for the bootstrap
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
