//! Reads settings and prompts again, as SIGHUP requests.

use super::SettingsReader;
use crate::commands::{CommandSetup, print};
use crate::prompts::Prompts;

/// What SIGHUP reloads.
pub(super) struct Reloading<'a> {
    pub(super) reread: SettingsReader<'a>,
    /// The settings in use.
    pub(super) setup: CommandSetup,
    /// The prompts in use.
    pub(super) prompts: Prompts,
}

impl Reloading<'_> {
    /// Reads settings and prompts again; returns the prompts if they are others. What cannot be read stays as it is.
    pub(super) fn changed_prompts(&mut self) -> Option<Prompts> {
        let read = (self.reread)().and_then(|setup| Ok((setup.load_prompts_by_rules()?, setup)));
        match read {
            Err(fault) => {
                let message = fault.message;
                print::message(format_args!(
                    "warning: {message}; the settings stay as they were"
                ));
                None
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
                is_changed.then(|| self.prompts.clone())
            }
        }
    }
}
