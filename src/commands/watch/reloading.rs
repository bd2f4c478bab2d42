//! Reads settings, prompts, calibrations and what was learned again, as SIGHUP requests.

use super::SettingsReader;
use crate::commands::run::ScoreFits;
use crate::commands::{CommandSetup, print};
use crate::encoder::Fit;
use crate::prompts::Prompts;

/// What SIGHUP reloads.
pub(super) struct Reloading<'a> {
    pub(super) reread: SettingsReader<'a>,
    /// The settings in use.
    pub(super) setup: CommandSetup,
    /// The prompts in use.
    pub(super) prompts: Prompts,
    /// The calibrations and what was learned, as they are in use.
    pub(super) fits: ScoreFits,
    /// How images are fitted to the model's input.
    pub(super) fit: Option<Fit>,
}

/// Why the scores of images may differ after a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScoreChange {
    /// They do not.
    None,
    /// The calibrations, or what was learned.
    Fits,
    /// The prompts, and perhaps these as well.
    Prompts,
}

impl Reloading<'_> {
    /// Reads everything again; returns what this means for scores. What cannot be read stays as it is.
    pub(super) fn read_again(&mut self) -> ScoreChange {
        let prompts_changed = self.read_settings();
        let fits = (self.setup.calibrations(self.fit), self.setup.learned());
        let [calibrated, learned] = [fits.0 != self.fits.0, fits.1 != self.fits.1];
        let words = match (calibrated, learned) {
            (false, false) => None,
            (true, false) => Some("the calibrations have changed"),
            (false, true) => Some("what was learned has changed"),
            (true, true) => Some("the calibrations and what was learned have changed"),
        };
        if let Some(words) = words {
            self.fits = fits;
            print::message(words);
        }
        match (prompts_changed, words) {
            (true, _) => ScoreChange::Prompts,
            (false, Some(_)) => ScoreChange::Fits,
            (false, None) => ScoreChange::None,
        }
    }

    /// Reads settings and prompts again; whether the prompts are others.
    fn read_settings(&mut self) -> bool {
        let read = (self.reread)().and_then(|setup| Ok((setup.load_prompts_by_rules()?, setup)));
        match read {
            Err(fault) => {
                let message = fault.message;
                print::message(format_args!(
                    "warning: {message}; the settings stay as they were"
                ));
                false
            }
            Ok((prompts, setup)) => {
                for key in self.setup.fixed_changes(&setup) {
                    print::message(format_args!(
                        "warning: `{key}` takes effect when the watch is started again"
                    ));
                }
                self.setup.prompts = setup.prompts;
                self.setup.rules = setup.rules;
                let is_changed = prompts != self.prompts;
                self.prompts = prompts;
                print::message("the settings were read again");
                is_changed
            }
        }
    }
}
