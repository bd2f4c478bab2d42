//! What was asked for on the command line.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};

use crate::config::Graphics;
use crate::encoder::{Fit, Precision};
use crate::engine::Frames;
use crate::library::export::Format;
use crate::scoring::Mode;

/// Browse medical images in the terminal and let a CLIP model say what they show.
///
/// Research use only; not a diagnosis.
#[derive(Debug, Parser)]
#[command(
    name = "medivision-tui",
    version,
    args_conflicts_with_subcommands = false,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Options that every command knows.
    #[command(flatten)]
    pub global: Global,

    /// Folder to browse, classify and watch.
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Another thing to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options that every command knows; each has an environment variable of the same meaning.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Options of all commands")]
pub struct Global {
    /// `demo` (built in), a model's id or name (see `models list`), or a checkpoint's folder or .pt file [default:
    /// biomedclip where it was pulled, else demo].
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_MODEL",
        value_name = "ID|DIR|FILE"
    )]
    pub model: Option<String>,

    /// Prompt set: a name, a .toml file, or `auto` to choose by modality and body part [default: general].
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_PROMPTS",
        value_name = "NAME|FILE"
    )]
    pub prompts: Option<String>,

    /// auto, cpu, cuda or cuda:N [default: auto, a GPU where one can be used].
    #[arg(long, global = true, env = "MEDIVISION_DEVICE")]
    pub device: Option<String>,

    /// In how many bits the model computes [default: auto, f32 on the CPU and bf16 or f16 on a GPU].
    #[arg(long, global = true, env = "MEDIVISION_PRECISION")]
    pub precision: Option<Precision>,

    /// Never use the network (HF_HUB_OFFLINE says the same).
    #[arg(long, global = true, env = "MEDIVISION_OFFLINE", value_parser = FalseyValueParser::new())]
    pub offline: bool,

    /// How pictures reach the terminal [default: auto].
    #[arg(long, global = true, env = "MEDIVISION_GRAPHICS")]
    pub graphics: Option<Graphics>,

    /// Memory for all decoding together, as a number of bytes or with K, M, G (of 1000) or Ki, Mi, Gi (of 1024)
    /// [default: 1Gi].
    #[arg(long, global = true, env = "MEDIVISION_MEMORY", value_name = "BYTES")]
    pub memory: Option<String>,

    /// Settings file, instead of the user's config.toml.
    #[arg(long, global = true, env = "MEDIVISION_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Show values that identify the patient (tags, DICOMDIR, series) instead of masking them.
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_SHOW_PHI",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub show_phi: bool,

    /// Leave the mouse to the terminal, which then selects text with it.
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_NO_MOUSE",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub no_mouse: bool,

    /// error, warn, info, debug or trace [default: warn].
    #[arg(
        long,
        global = true,
        env = "MEDIVISION_LOG_LEVEL",
        value_name = "LEVEL"
    )]
    pub log_level: Option<String>,
}

/// What to do other than browse.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Classify files and folders (recursively), print results.
    Classify(Classify),
    /// Classify what is in a folder and what arrives there, without a screen, until SIGINT or SIGTERM.
    Watch(Watch),
    /// What a file is and how it is shown, as JSON.
    Inspect(Inspect),
    /// Score predictions against labels.
    Eval(Eval),
    /// How fast the model and its stages are on this machine, and how near the whole comes to what they allow.
    Bench(Bench),
    /// Models: which there are, what one is, fetch one, check what was fetched.
    Models(Models),
    /// Prompt sets: which there are, and whether a file is right.
    Prompts(PromptsArgs),
    /// Write synthetic studies to a folder and browse them.
    Demo(Demo),
    /// Terminal, model, prompts, watch limits: what works, what to do.
    Doctor(Doctor),
    /// A completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How results are made and written.
#[derive(Clone, Debug, Args)]
pub struct Results {
    /// How results are written [default: table on a terminal, else jsonl].
    #[arg(long)]
    pub format: Option<Format>,

    /// One condition of many, or each alone.
    #[arg(long, default_value = "single")]
    pub mode: Mode,

    /// Which frames of multi-frame files.
    #[arg(long, default_value = "first")]
    pub frames: Frames,

    /// How a picture is made to fit the model [default: the model's own].
    #[arg(long)]
    pub fit: Option<Fit>,

    /// Upper limit of pictures in one pass [default: by measurement].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub batch_size: Option<u16>,

    /// Threads that decode [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,

    /// Decode large JPEGs whole, not at reduced scale.
    #[arg(long)]
    pub exact: bool,
}

/// `classify`
#[derive(Debug, Args)]
pub struct Classify {
    /// Files and folders.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How.
    #[command(flatten)]
    pub results: Results,
}

/// `watch`
#[derive(Debug, Args)]
pub struct Watch {
    /// The folder, with those below it.
    pub dir: PathBuf,
    /// How.
    #[command(flatten)]
    pub results: Results,
    /// Look every so many seconds instead of being told by the file system.
    #[arg(long, value_name = "SECONDS")]
    pub poll: Option<f64>,
    /// Append the results to a file instead of stdout.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `inspect`
#[derive(Debug, Args)]
pub struct Inspect {
    /// The file.
    pub file: PathBuf,
    /// Frame, from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub frame: u32,
    /// Window to use instead of the file's.
    #[arg(long, value_name = "CENTER,WIDTH", allow_hyphen_values = true, value_parser = window)]
    pub window: Option<(f64, f64)>,
    /// Write the picture, too.
    #[arg(long, value_name = "OUT.png")]
    pub render: Option<PathBuf>,
}

/// `eval`
#[derive(Debug, Args)]
pub struct Eval {
    /// A folder of folders named by condition, or a table with the columns `path` and `label`.
    #[arg(value_name = "DIR|CSV")]
    pub labels: PathBuf,
    /// One condition of many, or each alone.
    #[arg(long, default_value = "single")]
    pub mode: Mode,
    /// Which frames of multi-frame files.
    #[arg(long, default_value = "first")]
    pub frames: Frames,
    /// How a picture is made to fit the model [default: the model's own].
    #[arg(long)]
    pub fit: Option<Fit>,
    /// Decode large JPEGs whole, not at reduced scale.
    #[arg(long)]
    pub exact: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// Draws of the bootstrap, from which the intervals are taken; 0: none.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = draws)]
    pub draws: usize,
    /// The same number gives the same intervals.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// `bench`
#[derive(Debug, Args)]
pub struct Bench {
    /// Files and folders to measure with [default: phantoms, drawn for the purpose].
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Take at most so many files.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub limit: usize,
    /// Decode large JPEGs whole, not at reduced scale.
    #[arg(long)]
    pub exact: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// `models`
#[derive(Debug, Args)]
pub struct Models {
    /// What about them.
    #[command(subcommand)]
    pub action: ModelsAction,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelsAction {
    /// The catalogue, and what is in the cache.
    List,
    /// What a model is: one of the catalogue, of the cache, or a checkpoint's folder or file.
    Info {
        /// Id, name, folder or file.
        #[arg(value_name = "ID|DIR|FILE")]
        model: String,
    },
    /// Fetch a model from the hub into the cache; goes on where an earlier attempt ended.
    Pull {
        /// Id or name.
        id: String,
        /// Branch, tag or commit.
        #[arg(long, value_name = "REV")]
        revision: Option<String>,
    },
    /// Hash what is in the cache again.
    Verify {
        /// Ids or names; none: all that can be used.
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
}

/// `prompts`
#[derive(Debug, Args)]
pub struct PromptsArgs {
    /// What about them.
    #[command(subcommand)]
    pub action: PromptsAction,
}

/// What to do with prompt sets.
#[derive(Debug, Subcommand)]
pub enum PromptsAction {
    /// The sets that can be named.
    List,
    /// Look for faults, in files or in all sets that can be named.
    Check {
        /// Names or .toml files; none: all.
        #[arg(value_name = "NAME|FILE")]
        sets: Vec<String>,
    },
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Where to [default: a fresh folder in the cache].
    pub dir: Option<PathBuf>,
    /// The same number gives the same studies.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How many.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: u32,
    /// Write, do not open.
    #[arg(long)]
    pub write_only: bool,
}

/// `doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

fn draws(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|&n| n <= 100_000);
    number.ok_or_else(|| format!("`{text}` is no number from 0 to 100000"))
}

fn window(text: &str) -> Result<(f64, f64), String> {
    let wrong = || format!("`{text}` is no CENTER,WIDTH, such as 40,400 or -600,1500");
    let (center, width) = text.split_once(',').ok_or_else(wrong)?;
    let number = |part: &str| {
        part.trim()
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .ok_or_else(wrong)
    };
    let (center, width) = (number(center)?, number(width)?);
    // Below 1 it is LINEAR_EXACT, the function of real numbers (PS3.3 C.11.2.1.3.2).
    if width <= 0.0 {
        return Err("the width must be above 0".into());
    }
    Ok((center, width))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_folder_alone_is_browsed_and_options_may_stand_anywhere() {
        let cli = Cli::try_parse_from(["medivision-tui", "./incoming", "--prompts", "x"]).unwrap();
        assert_eq!(cli.dir, Some(PathBuf::from("./incoming")));
        let cli =
            Cli::try_parse_from(["medivision-tui", "classify", "a", "--model", "demo"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Classify(_))));
        assert_eq!(cli.global.model.as_deref(), Some("demo"));
    }

    #[test]
    fn windows_are_two_finite_numbers() {
        assert_eq!(window("-600,1500"), Ok((-600.0, 1500.0)));
        assert_eq!(window("0.5,0.25"), Ok((0.5, 0.25)));
        for text in ["", "40", "40,", "a,b", "40,0", "40,-0.5", "nan,1", "1,inf"] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
