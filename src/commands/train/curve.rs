//! The progress of a fine-tuning on stderr: a line for each epoch, and on a terminal the curves so far.

use std::io::{self, IsTerminal};

use super::super::print;
use super::super::progress::ProgressLine;
use crate::encoder::finetune::EpochFigures;

/// Heights of a curve, and the same in ASCII.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_LEVELS: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];
/// Columns of a curve; of a longer one the end is shown.
const MAX_COLUMNS: usize = 24;

/// Prints the course of a training.
pub(super) struct TrainingCurve<'a> {
    progress: &'a ProgressLine,
    epochs: usize,
    is_terminal: bool,
    is_ascii: bool,
}

impl<'a> TrainingCurve<'a> {
    /// Of so many epochs.
    pub(super) fn new(progress: &'a ProgressLine, epochs: usize, is_ascii: bool) -> Self {
        Self {
            progress,
            epochs,
            is_terminal: io::stderr().is_terminal(),
            is_ascii,
        }
    }

    /// Shows a step.
    pub(super) fn step(&self, done: u64, total: u64, loss: f64) {
        self.progress.message(&format!("loss {loss:.3}"));
        self.progress.set(done, Some(total));
    }

    /// Prints the newest epoch.
    pub(super) fn epoch(&self, history: &[EpochFigures], best: usize) {
        let Some(line) = self.line(history, best) else {
            return;
        };
        self.progress.suspend(|| {
            for line in line.lines() {
                print::message(line);
            }
        });
    }

    fn line(&self, history: &[EpochFigures], best: usize) -> Option<String> {
        let newest = history.last()?;
        let name = if newest.epoch == 0 {
            "zero-shot".to_owned()
        } else {
            format!("epoch {}/{}", newest.epoch, self.epochs)
        };
        let loss = newest
            .loss
            .map_or_else(String::new, |loss| format!("loss {loss:.3}, "));
        let mark = if best + 1 == history.len() {
            ", the best so far"
        } else {
            ""
        };
        let quality = if let Some(area) = newest.held_out.auroc {
            format!("mean AUROC {area:.3}")
        } else {
            let accuracy = newest.held_out.balanced_accuracy * 100.0;
            format!("balanced accuracy {accuracy:.1} %")
        };
        let line = format!(
            "{name:<12} {loss}held out: log-loss {:.3}, {quality}{mark}",
            newest.held_out.log_loss,
        );
        if !self.is_terminal || history.len() < 3 {
            return Some(line);
        }
        let losses: Vec<f64> = history.iter().filter_map(|own| own.loss).collect();
        let shares = history.iter().map(|own| own.held_out.quality());
        let shares: Vec<f64> = shares.collect();
        // A loss falls from where it begins, towards nothing; a share has a scale of its own.
        let most = losses.iter().copied().fold(0.0, f64::max);
        let losses = self.curve(&losses, most);
        let name = newest.held_out.auroc.map_or("accuracy", |_| "AUROC");
        let shares = self.curve(&shares, 1.0);
        let curves = format!("             loss {losses}  {name} {shares}");
        Some(format!("{line}\n{curves}"))
    }

    /// A curve of one line, from 0 to `high`.
    fn curve(&self, values: &[f64], high: f64) -> String {
        let values = &values[values.len().saturating_sub(MAX_COLUMNS)..];
        let levels = if self.is_ascii { ASCII_LEVELS } else { LEVELS };
        let level = |value: &f64| {
            let share = value / high.max(f64::MIN_POSITIVE);
            let top = levels.len() - 1;
            levels[((share * top as f64).round() as usize).min(top)]
        };
        values.iter().map(level).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::HeldOutFigures;

    fn history() -> Vec<EpochFigures> {
        let epoch = |(epoch, (loss, accuracy)): (usize, &(f64, f64))| EpochFigures {
            epoch,
            loss: (epoch > 0).then_some(*loss),
            held_out: HeldOutFigures {
                images: 10,
                balanced_accuracy: *accuracy,
                log_loss: 0.5,
                auroc: None,
            },
        };
        let all = [(0.0, 0.5), (0.9, 0.6), (0.5, 0.8), (0.1, 0.75)];
        all.iter().enumerate().map(epoch).collect()
    }

    fn line(history: &[EpochFigures], is_terminal: bool, is_ascii: bool) -> String {
        let progress = ProgressLine::hidden();
        let curve = TrainingCurve {
            progress: &progress,
            epochs: 9,
            is_terminal,
            is_ascii,
        };
        curve.line(history, 2).unwrap()
    }

    #[test]
    fn a_pipe_gets_a_plain_line_and_a_terminal_the_curves() {
        let plain = "epoch 3/9    loss 0.100, held out: log-loss 0.500, balanced accuracy 75.0 %";
        let history = history();
        assert_eq!(line(&history, false, false), plain);
        let curves = "\n             loss █▅▂  accuracy ▅▅▇▆";
        assert_eq!(line(&history, true, false), format!("{plain}{curves}"));
        assert!(line(&history, true, true).is_ascii());
    }

    #[test]
    fn what_never_changes_is_drawn_where_it_is() {
        let mut history = history();
        for own in &mut history {
            own.loss = own.loss.map(|_| 0.3);
            own.held_out.balanced_accuracy = 1.0;
        }
        let curves = line(&history, true, false);
        assert!(curves.ends_with("loss ███  accuracy ████"), "{curves}");
        for own in &mut history {
            own.held_out.auroc = Some(0.0);
        }
        let curves = line(&history, true, false);
        assert!(curves.contains("mean AUROC 0.000"), "{curves}");
        assert!(curves.ends_with("AUROC ▁▁▁▁"), "{curves}");
    }
}
