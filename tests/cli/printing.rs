//! Output: closed pipes, full disks, and text that would steer a terminal.

use std::os::fd::OwnedFd;

use super::*;

/// Commands that print to stdout, each in its own way.
const PRINTING: [&[&str]; 13] = [
    &["--help"],
    &["--version"],
    &["classify", "--help"],
    &["classify", "in/a.png"],
    &["classify", "in/a.png", "--format", "csv"],
    &["models", "list"],
    &["models", "info", "builtin"],
    &["prompts", "list"],
    &["prompts", "check"],
    &["inspect", "in/a.png"],
    &["doctor"],
    &["doctor", "--json"],
    &["completions", "bash"],
];

#[test]
fn a_closed_pipe_ends_every_command_silently() {
    let home = home();
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = program(home.path());
        command.args(arguments).stdout(OwnedFd::from(writer));
        let output = command.output().expect("the binary starts");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert_eq!(said, "", "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_reported_in_a_sentence() {
    let home = home();
    for arguments in PRINTING {
        let full = fs::File::options().write(true).open("/dev/full");
        let mut command = program(home.path());
        command.args(arguments).stdout(full.expect("the device"));
        let output = command.output().expect("the binary starts");
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        let sentence = "medivision-tui: the output cannot be written: ";
        assert!(said.starts_with(sentence), "{arguments:?}: {said}");
    }
}

/// Sets the title, clears the screen, rings the bell, reverses the line.
const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}";

/// Asserts that nothing on stdout or stderr would steer a terminal, and that something was printed.
fn assert_harmless(output: &Output, of: &[&str]) {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8(all).expect("UTF-8");
    assert!(!text.is_empty(), "{of:?}");
    let is_unprintable = |c: char| c != '\n' && medivision_tui::media::is_unprintable(c);
    assert!(!text.contains(is_unprintable), "{of:?}: {text:?}");
}

#[test]
fn text_from_files_does_not_steer_the_terminal() {
    let home = home();
    let write =
        |name: &str, text: String| fs::write(home.path().join(name), text).expect("written");
    let escaped = "\\u001b]0;x\\u0007\\u009b2J\\u202e";
    let rest = "[[condition]]\nname = \"a\"\nphrases = [\"p\"]\n[[condition]]\nname = \"b\"\nphrases = [\"q\"]\n";
    write(
        "title.toml",
        format!("name = \"t\"\ntitle = \"{escaped}\"\n{rest}"),
    );
    write(
        "key.toml",
        format!("name = \"t\"\n\"{escaped}\" = 1\n{rest}"),
    );
    write(
        "modality.toml",
        format!("name = \"t\"\nmodalities = [\"{escaped}\"]\n{rest}"),
    );
    write("theme.toml", format!("theme = \"{escaped}\"\n"));
    write("level.toml", format!("log_level = \"{escaped}\"\n"));
    write("model.toml", format!("model = \"{escaped}\"\n"));
    fs::create_dir(home.path().join("model")).expect("a folder");
    write(
        "model/config.json",
        format!("{{\"model_type\": \"{escaped}\"}}"),
    );
    write("table.csv", format!("path,label\na.png,{HOSTILE}\n"));
    let image = format!("in/{HOSTILE}.png");
    picture(&home.path().join(&image), 7);
    write(&format!("in/{HOSTILE}.dcm"), "damaged".to_owned());
    let damaged = format!("in/{HOSTILE}.dcm");
    let commands: [&[&str]; 22] = [
        &["prompts", "check", "title.toml"],
        &["prompts", "check", "key.toml"],
        &["prompts", "check", "modality.toml"],
        &["prompts", "check", HOSTILE],
        &["doctor", "--config", "theme.toml"],
        &["doctor", "--json", "--config", "theme.toml"],
        &["doctor", "--config", "model.toml"],
        &["classify", "in/a.png", "--config", "theme.toml"],
        &["classify", "in/a.png", "--config", "level.toml"],
        &["classify", "in/a.png", "--config", HOSTILE],
        &["classify", "in/a.png", "--device", HOSTILE],
        &["classify", "in/a.png", "--model", HOSTILE],
        &["classify", "in/a.png", "--prompts", HOSTILE],
        &["classify", "in/a.png", "--precision", HOSTILE],
        &["classify", HOSTILE],
        &[HOSTILE],
        &["classify", &image, "--format", "table"],
        &["classify", &image, &damaged, "--format", "jsonl"],
        &["classify", &damaged, "--format", "table"],
        &["inspect", &image],
        &["models", "info", "model"],
        &["eval", "table.csv"],
    ];
    for arguments in commands {
        assert_harmless(&run(home.path(), arguments), arguments);
    }
    // The JSON still contains the exact name.
    let output = run(home.path(), &["inspect", &image]);
    assert_eq!(lines(&output)[0]["path"], image.as_str());
}

#[test]
fn a_misspelled_command_gets_a_suggestion() {
    let home = home();
    let output = run(home.path(), &["clasify", "in"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("clasify: not a command, and no such folder; did you mean `classify`?"),
        "{said}"
    );
}

#[test]
fn one_bad_prompt_set_does_not_hide_the_others() {
    let home = home();
    let folder = home.path().join(".config/medivision-tui/prompts");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("ward.toml"), "name = 3\nx = 1\n").expect("written");
    let output = run(home.path(), &["prompts", "list"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("ward           cannot be used"), "{text}");
    assert_eq!(text.lines().count(), 8, "{text}");
    assert!(stderr(&output).contains("ward.toml:1: the name must be a string"));
    // `check` reports all errors of a set.
    let output = run(home.path(), &["prompts", "check", "ward"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(stderr(&output).lines().count(), 3, "{}", stderr(&output));
}
