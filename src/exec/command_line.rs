//! A command as the user writes it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;

use crate::scoring::{Decision, Verdict};

/// A program and its arguments, in which `{path}`, `{label}`, `{probability}` and `{decision}` stand for those of a result.
/// There is no shell: `|`, `>`, `*` and `$` have no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    text: String,
    program: String,
    arguments: Vec<String>,
}

impl CommandLine {
    /// Splits a command into words as a shell does, honouring quotes and backslashes. An error is a sentence without a subject.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = shlex::split(text).ok_or("a quote is not closed")?;
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        if text.contains('\0') {
            return Err("must not contain a NUL".to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            program: program.ok_or("names no program")?,
            arguments: words.collect(),
        })
    }

    /// The program's name or path.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The arguments for a result. Of a rejected image, label and probability are empty, as in a CSV; where none of the conditions
    /// applies, the label is.
    pub(super) fn arguments(&self, path: &Path, verdict: &Verdict) -> Vec<OsString> {
        let is_rejected = verdict.decision == Decision::Rejected;
        let label = verdict.claimed_label().unwrap_or_default();
        let probability = if is_rejected {
            String::new()
        } else {
            verdict.probability.to_string()
        };
        let values: [(&str, &OsStr); 4] = [
            ("{path}", path.as_os_str()),
            ("{label}", label.as_ref()),
            ("{probability}", probability.as_ref()),
            ("{decision}", verdict.decision.name().as_ref()),
        ];
        let arguments = self.arguments.iter();
        arguments
            .map(|argument| replaced(argument, &values))
            .collect()
    }

    /// The program with its arguments for a file, which is the last of them if none contains `{path}`. There is no result.
    pub fn command_for(&self, path: &Path) -> Command {
        let mut command = Command::new(&self.program);
        let values = [("{path}", path.as_os_str())];
        command.args(self.arguments.iter().map(|text| replaced(text, &values)));
        if !self.arguments.iter().any(|text| text.contains("{path}")) {
            command.arg(path);
        }
        command
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Replaces each name by its value, in one pass: what a value contains is not replaced again.
fn replaced(argument: &str, values: &[(&str, &OsStr)]) -> OsString {
    let (mut rest, mut out) = (argument, Vec::new());
    while let Some(at) = rest.find('{') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let found = values.iter().find(|(name, _)| rest.starts_with(name));
        let (value, length) =
            found.map_or((OsStr::new("{"), 1), |(name, value)| (value, name.len()));
        out.extend_from_slice(value.as_bytes());
        rest = &rest[length..];
    }
    out.extend_from_slice(rest.as_bytes());
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(decision: Decision) -> Verdict {
        let mut verdict = crate::library::export::tests::record(decision).verdict;
        verdict.label = "pneumonia; rm -rf {path}".to_owned();
        verdict.probability = 0.875;
        verdict
    }

    #[test]
    fn words_are_split_as_by_a_shell_and_values_stay_whole() {
        let text =
            r#"notify "a b"  --at={path} '{label}' {probability}/{decision} '{print $1}' \{path}"#;
        let command = CommandLine::parse(text).unwrap();
        assert_eq!(command.program(), "notify");
        let path = Path::new(OsStr::from_bytes(b"/in/a {label}\xff.dcm"));
        let arguments = command.arguments(path, &verdict(Decision::Uncertain));
        let expected: [&[u8]; 6] = [
            b"a b",
            b"--at=/in/a {label}\xff.dcm",
            b"pneumonia; rm -rf {path}",
            b"0.875/uncertain",
            b"{print $1}",
            b"/in/a {label}\xff.dcm",
        ];
        assert!(
            arguments.iter().map(|a| a.as_bytes()).eq(expected),
            "{arguments:?}"
        );
    }

    #[test]
    fn a_file_without_a_result_is_the_last_argument_unless_its_place_is_stated() {
        let path = Path::new("/in/a b.dcm");
        for (text, expected) in [
            ("less", &["/in/a b.dcm"][..]),
            ("vim -R '+set nu'", &["-R", "+set nu", "/in/a b.dcm"]),
            (
                "cp --from={path} {label}",
                &["--from=/in/a b.dcm", "{label}"],
            ),
        ] {
            let command = CommandLine::parse(text).unwrap().command_for(path);
            assert!(command.get_args().eq(expected.iter().copied()), "{text}");
        }
    }

    #[test]
    fn a_rejected_image_has_no_label_and_no_probability() {
        let command = CommandLine::parse("x '{label}' '{probability}' {decision}").unwrap();
        let arguments = command.arguments(Path::new("/a"), &verdict(Decision::Rejected));
        assert_eq!(arguments, ["", "", "rejected"]);
    }

    #[test]
    fn a_command_without_a_program_and_an_open_quote_are_refused() {
        for text in ["", "  ", "''", "# nothing"] {
            assert_eq!(CommandLine::parse(text).unwrap_err(), "names no program");
        }
        let error = CommandLine::parse("notify 'a").unwrap_err();
        assert_eq!(error, "a quote is not closed");
    }
}
