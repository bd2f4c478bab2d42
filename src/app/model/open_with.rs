//! Opens the file in sight with another program.

use super::Model;
use crate::app::effect::Effect;
use crate::app::line::Purpose;
use crate::app::msg::Severity;
use crate::exec::CommandLine;

impl Model {
    /// Asks for the program.
    pub(super) fn begin_open_with(&mut self) {
        if self.files().file_in_sight().is_some() {
            self.open_line(Purpose::OpenWith);
        } else {
            self.say(Severity::Info, "there is no file under the cursor");
        }
    }

    /// Opens the file in sight with the program typed; with `&` at the end, in the background.
    pub(super) fn open_with(&mut self, typed: &str) -> Vec<Effect> {
        let typed = typed.trim();
        let Some(file) = self.files().file_in_sight().filter(|_| !typed.is_empty()) else {
            return Vec::new();
        };
        typed.clone_into(&mut self.last_program);
        let (command, detached) = match typed.strip_suffix('&') {
            Some(command) => (command, true),
            None => (typed, false),
        };
        match CommandLine::parse(command) {
            Ok(program) => vec![Effect::OpenWith {
                program,
                path: file.path,
                detached,
            }],
            Err(reason) => {
                self.say(Severity::Error, &format!("the command {reason}"));
                Vec::new()
            }
        }
    }
}
