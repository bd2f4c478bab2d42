//! What the command `watch` does with files whose lines are written: it runs commands on their results, and moves them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::command::{Session, command, picture};
use crate::service::{home, wait_until};

/// The process whose number a script wrote to a file.
fn process(file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(file).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Writes a script that can be named in `--exec`.
fn script(home: &Path, text: &str) -> PathBuf {
    let path = home.join("script");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    path
}

/// All files below a folder, relative to it.
fn files(folder: &Path) -> Vec<String> {
    if !folder.exists() {
        return Vec::new();
    }
    let mut found: Vec<String> = medivision_tui::media::walk::files(folder)
        .filter_map(Result::ok)
        .map(|path| {
            path.strip_prefix(folder)
                .expect("below")
                .display()
                .to_string()
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_command_gets_each_result_and_its_output_is_not_mixed_with_the_lines() {
    let home = home();
    let script = script(
        home.path(),
        r#"mkdir -p out; name=out/$(basename "$1"); cat > "$name.json"; echo "$1 $2 $3 $4" > "$name.txt"; echo not a line"#,
    );
    let text = format!(
        "'{}' {{path}} {{label}} {{probability}} {{decision}}",
        script.display()
    );
    let child = command(home.path(), &["--exec", &text])
        .spawn()
        .expect("it starts");
    let session = Session::of(home, child);
    fs::write(session.folder().join("a b.png"), picture(1)).expect("written");
    let line = session.line();
    let out = |name: &str| {
        fs::read_to_string(session.home.path().join("out").join(name)).unwrap_or_default()
    };
    wait_until("the command ends", || out("a b.png.txt").ends_with('\n'));
    let input: Value = serde_json::from_str(&out("a b.png.json")).expect("JSON");
    assert_eq!(input, line);
    let path = session.folder().join("a b.png");
    let [label, decision] = ["label", "decision"].map(|name| line[name].as_str().expect("a text"));
    let expected = format!(
        "{} {label} {} {decision}\n",
        path.display(),
        line["probability"]
    );
    assert_eq!(out("a b.png.txt"), expected);
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]));
    assert!(errors.contains("not a line"), "{errors}");
}

#[test]
fn a_command_that_fails_is_reported_with_file_command_and_status() {
    let session = Session::new(&["--exec", "sh -c 'exit 7'"], |_| {});
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    session.line();
    let (code, _, errors) = session.end(Signal::TERM);
    assert_eq!(code, Some(0));
    let warning = errors.lines().find(|line| line.contains("in/a.png"));
    let warning = warning.unwrap_or_else(|| panic!("a warning: {errors}"));
    assert!(
        warning.contains("`sh -c 'exit 7'`: exit status: 7"),
        "{warning}"
    );
}

/// A session with a command that runs until there is a file `go`, and the number of its process.
fn with_waiting_command() -> (Session, Pid) {
    let home = home();
    let script = script(
        home.path(),
        "echo $$ > pid.new; mv pid.new pid; until test -e go; do sleep 0.05; done; echo done > done",
    );
    let text = script.to_str().expect("UTF-8");
    let child = command(home.path(), &["--exec", text])
        .spawn()
        .expect("it starts");
    let session = Session::of(home, child);
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    session.line();
    let file = session.home.path().join("pid");
    wait_until("the command starts", || process(&file).is_some());
    let pid = process(&file).expect("just seen");
    (session, pid)
}

#[test]
fn a_stopping_watch_waits_for_its_commands() {
    let (mut session, pid) = with_waiting_command();
    let id = Pid::from_child(&session.child);
    kill_process(id, Signal::TERM).expect("it runs");
    // Not even a signal to the whole process group of the watch reaches the command.
    assert!(is_alive(pid));
    assert!(session.child.try_wait().expect("it can be asked").is_none());
    fs::write(session.home.path().join("go"), "").expect("written");
    let status = session.child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    assert!(session.home.path().join("done").exists());
    assert!(!is_alive(pid));
}

#[test]
fn a_second_signal_ends_the_commands_too() {
    let (mut session, pid) = with_waiting_command();
    let id = Pid::from_child(&session.child);
    kill_process(id, Signal::TERM).expect("it runs");
    // The first signal may be followed by others that count as the same.
    wait_until("the watch ends", || {
        let _ = kill_process(id, Signal::TERM);
        session.child.try_wait().expect("it can be asked").is_some()
    });
    wait_until("the command is killed", || !is_alive(pid));
    assert!(!session.home.path().join("done").exists());
    let (code, _, errors, _home) = session.collect();
    assert_eq!(code, Some(0));
    assert!(errors.contains("interrupted"), "{errors}");
}

#[test]
fn a_killed_watch_takes_its_commands_with_it() {
    let (mut session, pid) = with_waiting_command();
    session.child.kill().expect("it runs");
    session.child.wait().expect("it ends");
    wait_until("the command is killed", || !is_alive(pid));
}

#[test]
fn files_are_moved_by_their_results_once_their_lines_are_written() {
    let session = Session::new(
        &["--output", "out.jsonl", "--move-to", "done/{label}"],
        |dir| {
            fs::create_dir(dir.join("ward")).expect("a folder");
            fs::write(dir.join("ward/a.png"), picture(1)).expect("written");
        },
    );
    let done = session.home.path().join("done");
    wait_until("the first is moved", || files(&done).len() == 1);
    fs::write(session.folder().join("README"), "not an image").expect("written");
    let whole = picture(7);
    fs::write(session.folder().join("cut.png"), &whole[..whole.len() / 2]).expect("written");
    fs::write(session.folder().join("ward/b.png"), picture(2)).expect("written");
    wait_until("all are moved", || files(&done).len() == 3);
    // The same name again.
    fs::write(session.folder().join("ward/b.png"), picture(2)).expect("written");
    wait_until("all are moved", || files(&done).len() == 4);
    assert_eq!(files(&session.folder()), ["README"]);
    let output = fs::read_to_string(session.home.path().join("out.jsonl")).expect("written");
    let mut expected = vec!["failed/cut.png".to_owned()];
    for line in output.lines() {
        let line: Value = serde_json::from_str(line).expect("a line");
        if let Some(label) = line["label"].as_str() {
            let path = line["path"].as_str().expect("a path");
            expected.push(path.replacen("in", label, 1));
        }
    }
    let again = expected
        .iter()
        .find(|path| path.ends_with("b.png"))
        .expect("a line");
    expected.push(again.replace("b.png", "b-1.png"));
    expected.sort();
    expected.dedup();
    assert_eq!(files(&done), expected);
    assert_eq!(session.end(Signal::TERM).0, Some(0));
}

#[test]
fn another_broken_file_under_the_same_name_has_a_line_of_its_own() {
    let session = Session::new(&["--output", "out.jsonl", "--move-to", "done"], |_| {});
    let done = session.home.path().join("done");
    for (index, count) in [(7, 1), (8, 2)] {
        let whole = picture(index);
        fs::write(session.folder().join("a.png"), &whole[..whole.len() / 2]).expect("written");
        wait_until("it is moved", || files(&done).len() == count);
    }
    assert_eq!(files(&done), ["a-1.png", "a.png"]);
    let (code, _, errors, home) = session.end_and_keep(Signal::TERM);
    assert_eq!(code, Some(0), "{errors}");
    let output = fs::read_to_string(home.path().join("out.jsonl")).expect("written");
    assert_eq!(output.lines().count(), 2, "{output}");
    // One that is there when the next watch begins may be the one that has its line.
    let broken = home.path().join("in/a.png");
    fs::copy(home.path().join("done/a.png"), broken).expect("copied");
    let session = Session::at(home, &["--output", "out.jsonl", "--move-to", "done"]);
    let done = session.home.path().join("done");
    wait_until("it is moved", || files(&done).len() == 3);
    let again = fs::read_to_string(session.home.path().join("out.jsonl")).expect("written");
    assert_eq!(again, output);
    assert_eq!(session.end(Signal::TERM).0, Some(0));
}

#[test]
fn a_restarted_watch_moves_what_the_last_one_had_written_but_not_moved() {
    let home = home();
    let output = home.path().join("out.jsonl");
    for n in 0..20 {
        fs::write(home.path().join(format!("in/{n}.png")), picture(n)).expect("written");
    }
    let lines = || {
        fs::read_to_string(&output)
            .unwrap_or_default()
            .lines()
            .count()
    };
    let mut child = command(home.path(), &["--output", "out.jsonl"])
        .spawn()
        .expect("it starts");
    wait_until("the lines are written", || lines() == 20);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let arguments = ["--output", "out.jsonl", "--move-to", "done"];
    let child = command(home.path(), &arguments).spawn().expect("it starts");
    let session = Session::of(home, child);
    let done = session.home.path().join("done");
    wait_until("all are moved", || files(&done).len() == 20);
    assert_eq!(lines(), 20, "no line is written again");
    assert_eq!(session.end(Signal::TERM).0, Some(0));
}

#[test]
fn a_command_gets_the_path_that_its_file_was_moved_to() {
    let arguments = ["--move-to", "done", "--exec", "cp {path} copy"];
    let session = Session::new(&arguments, |_| {});
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    let copy = session.home.path().join("copy");
    wait_until("it is copied", || {
        fs::read(&copy).is_ok_and(|bytes| bytes == picture(1))
    });
    assert_eq!(files(&session.home.path().join("done")), ["a.png"]);
    assert_eq!(session.end(Signal::TERM).0, Some(0));
}

/// Writes a settings file with two rules: one for every result, one for no image of these tests.
fn write_rules(home: &Path, exec: &str) {
    let folder = home.join(".config/medivision-tui");
    fs::create_dir_all(&folder).expect("a folder");
    let rules = format!(
        "[[rule]]\nwhen = \"probability >= 0\"\nexec = \"{exec}\"\n\n\
         [[rule]]\nmodality = [\"CT\"]\nexec = \"touch wrong\"\n"
    );
    fs::write(folder.join("config.toml"), rules).expect("written");
}

#[test]
fn rules_run_their_commands_and_are_read_again_on_sighup() {
    let home = home();
    write_rules(home.path(), "cp {path} first");
    let session = Session::at(home, &[]);
    let at = |name: &str| session.home.path().join(name);
    fs::write(session.folder().join("0.png"), picture(0)).expect("written");
    session.line();
    wait_until("the command runs", || {
        fs::read(at("first")).is_ok_and(|bytes| bytes == picture(0))
    });
    write_rules(session.home.path(), "touch {label}.second");
    session.signal(Signal::HUP);
    let mut number = 0;
    wait_until("the new command runs", || {
        number += 1;
        let file = session.folder().join(format!("{number}.png"));
        fs::write(file, picture(number)).expect("written");
        let label = session.line()["label"].to_string().replace('"', "");
        at(&format!("{label}.second")).exists()
    });
    let wrong = at("wrong");
    let (code, rest, errors, _home) = session.end_and_keep(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    assert!(!wrong.exists());
}

#[test]
fn a_wrong_command_in_a_rule_is_an_error_with_its_line() {
    let home = home();
    write_rules(home.path(), "notify 'a");
    let (code, _, errors, _) = Session::at(home, &[]).collect();
    assert_eq!(code, Some(2), "{errors}");
    assert!(
        errors.contains("config.toml:3: rule 1: exec: a quote is not closed"),
        "{errors}"
    );
}

#[test]
fn a_target_in_the_watched_folder_and_a_command_without_a_program_are_usage_errors() {
    for (arguments, reason) in [
        (
            ["--move-to", "in/{label}"],
            "--move-to in/{label}: lies in the watched folder",
        ),
        (["--exec", " "], "names no program"),
        (
            ["--exec", "notify 'a"],
            "--exec notify 'a: a quote is not closed",
        ),
    ] {
        let (code, _, errors, _) = Session::new(&arguments, |_| {}).collect();
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(reason), "{errors}");
    }
}

#[test]
fn prompts_that_are_read_again_run_no_command_on_images_that_had_it() {
    const SET: &str = "name = \"own\"\n[[condition]]\nname = \"a\"\ndescription = \"A.\"\n\
        phrases = [\"one\"]\n[[condition]]\nname = \"b\"\ndescription = \"B.\"\nphrases = [\"two\"]\n";
    let home = home();
    let set = home.path().join("own.toml");
    fs::write(&set, SET).expect("written");
    let exec = script(home.path(), "basename \"$1\" >> ran");
    let exec = format!("'{}' {{path}}", exec.display());
    let session = Session::at(home, &["--prompts", "own.toml", "--exec", &exec]);
    fs::write(session.folder().join("a.png"), picture(1)).expect("written");
    session.line();
    fs::write(&set, SET.replace("\"two\"", "\"three\"")).expect("written");
    session.signal(Signal::HUP);
    assert_eq!(
        session.line()["path"],
        "in/a.png",
        "other prompts, another line"
    );
    fs::write(session.folder().join("b.png"), picture(2)).expect("written");
    session.line();
    let (code, rest, errors, home) = session.end_and_keep(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    let ran = fs::read_to_string(home.path().join("ran")).expect("it ran");
    assert_eq!(ran, "a.png\nb.png\n");
}
