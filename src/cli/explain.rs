//! `explain` and `inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::scoring::Mode;
use crate::scoring::heat_map::MapChoice;

/// `explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Image to explain; of several frames the first in space
    pub file: PathBuf,
    /// Add a description: the condition's own sentence, or with `=generated` one that the language model of --llm-url writes from
    /// scores and phrases, without the image
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "sentence"
    )]
    pub describe: Option<Description>,
    /// Send scores and phrases to the language model without asking
    #[arg(long, requires = "describe")]
    pub yes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Write the image with a heat map over it to this file
    #[arg(long, value_name = "OUT.png")]
    pub render: Option<PathBuf>,
    /// Condition of the heat map; the label unless given
    #[arg(long, value_name = "NAME")]
    pub condition: Option<String>,
    /// Choose one condition (single), or decide on each condition separately (multi)
    #[arg(long, default_value = "single")]
    pub mode: Mode,
    /// How to make the heat map: `attention` is the model's own decomposition, `eclip` weights the values in its last attention by the
    /// score's gradient (Grad-ECLIP), `occlusion` blurs regions
    #[arg(long, value_enum, value_name = "METHOD")]
    pub method: Option<MapChoice>,
}

/// A description of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Description {
    /// The sentence of the condition in the prompt set
    Sentence,
    /// A text of the language model, marked as generated
    Generated,
}

/// `inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// File to describe
    pub file: PathBuf,
    /// Frame number, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub frame: u32,
    /// Window to use instead of the file's
    #[arg(long, value_name = "CENTER,WIDTH", allow_hyphen_values = true, value_parser = window)]
    pub window: Option<(f64, f64)>,
    /// Write the image, as the model sees it, to this file
    #[arg(long, value_name = "OUT.png")]
    pub render: Option<PathBuf>,
}

/// Parses `--window`.
fn window(text: &str) -> Result<(f64, f64), String> {
    let wrong = || format!("`{text}` is not CENTER,WIDTH, such as 40,400 or -600,1500");
    let (center, width) = text.split_once(',').ok_or_else(wrong)?;
    let number = |part: &str| {
        part.trim()
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .ok_or_else(wrong)
    };
    let (center, width) = (number(center)?, number(width)?);
    // A width below 1 is allowed, as with LINEAR_EXACT (PS3.3 C.11.2.1.3.2).
    if width <= 0.0 {
        return Err("the width must be above 0".into());
    }
    Ok((center, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_two_finite_numbers() {
        assert_eq!(window("-600,1500"), Ok((-600.0, 1500.0)));
        assert_eq!(window("0.5,0.25"), Ok((0.5, 0.25)));
        for text in ["", "40", "40,", "a,b", "40,0", "40,-0.5", "nan,1", "1,inf"] {
            assert!(window(text).is_err(), "{text}");
        }
    }
}
