//! The command `watch` across restarts, kills, rotated outputs and full disks: each line once, and whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use medivision_tui::learn::{Learned, LearningGain, Method};
use medivision_tui::library;
use medivision_tui::scoring::Mode;
use medivision_tui::scoring::calibration::{AnswerRule, Calibration, SingleCalibration};
use medivision_tui::scoring::learned::LearnedCondition;
use medivision_tui::scoring::metrics::Estimate;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::command::{Session, picture, spawn, write_old_images};
use crate::{DEADLINE, Mounted};

/// The paths of the lines, all of which must be whole.
fn paths(lines: &str) -> Vec<String> {
    let path = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a whole line");
        assert!(
            line["label"].is_string() || line["error"].is_object(),
            "{line}"
        );
        line["path"].as_str().expect("a path").to_owned()
    };
    lines.lines().map(path).collect()
}

/// Writes the files as fast as their lines come, in three of the ways in which files arrive.
fn stream(folder: &Path, count: usize, lines: &AtomicUsize) {
    for n in 0..count {
        while n > lines.load(Ordering::Relaxed) + 150 {
            std::thread::yield_now();
        }
        let (bytes, path) = (picture(n), folder.join(format!("{n}.png")));
        match n % 3 {
            0 => fs::write(&path, bytes).expect("written"),
            1 => {
                let part = folder.join(format!("{n}.part"));
                fs::write(&part, bytes).expect("written");
                fs::rename(part, path).expect("renamed");
            }
            _ => {
                use std::io::Write;
                let mut file = File::create(&path).expect("created");
                let (first, rest) = bytes.split_at(bytes.len() / 2);
                file.write_all(first).expect("written");
                std::thread::yield_now();
                file.write_all(rest).expect("written");
            }
        }
    }
}

#[test]
fn killed_twenty_times_under_a_stream_of_files_it_writes_each_line_exactly_once() {
    const FILES: usize = 2000;
    const KILLS: usize = 20;
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("in");
    fs::create_dir(&folder).expect("a folder");
    let output = home.path().join("out.jsonl");
    let arguments = ["--output", output.to_str().expect("UTF-8")];
    let text = || fs::read_to_string(&output).unwrap_or_default();
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    // At random places in the output, also in the middle of a line and before the first one.
    let mut kills: Vec<usize> = (0..KILLS)
        .map(|_| random.random_range(0..FILES * 9 / 10))
        .collect();
    kills.sort_unstable();
    let lines = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| stream(&folder, FILES, &lines));
        let wait = |count: usize| {
            let end = Instant::now() + DEADLINE;
            loop {
                let now = text().lines().count();
                lines.store(now, Ordering::Relaxed);
                if now >= count {
                    return;
                }
                assert!(Instant::now() < end, "seed {seed}: {now} of {count} lines");
                std::thread::yield_now();
            }
        };
        for kill in kills {
            let mut child = spawn(home.path(), &arguments);
            wait(kill);
            child.kill().expect("it runs");
            child.wait().expect("it ended");
            // The power may fail, too: the last line is cut at any byte.
            let length = text().len();
            let cut = random.random_range(0..60).min(length) * usize::from(random.random_bool(0.3));
            let file = File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&output);
            file.and_then(|file| file.set_len((length - cut) as u64))
                .expect("cut");
        }
        let mut child = spawn(home.path(), &arguments);
        wait(FILES);
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a number");
        kill_process(pid, Signal::TERM).expect("it runs");
        assert_eq!(child.wait().expect("it ended").code(), Some(0));
    });
    let paths = paths(&text());
    let unique: BTreeSet<&String> = paths.iter().collect();
    assert_eq!((paths.len(), unique.len()), (FILES, FILES), "seed {seed}");
    let check = Command::new(env!("CARGO_BIN_EXE_medivision-tui"))
        .args(["library", "check"])
        .env_clear()
        .env("HOME", home.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(said.contains("sound"), "seed {seed}: {said}");
}

#[test]
#[ignore = "mounts file systems: needs root"]
fn a_full_disk_costs_no_result_that_can_be_had() {
    // A library that no longer grows: everything is printed, and the fault is said once.
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path().join("data");
    fs::create_dir(&data).expect("a folder");
    let disk = Mounted::with_size(&data, "256k");
    fs::create_dir(home.path().join("in")).expect("a folder");
    write_old_images(&home.path().join("in"), 600);
    let library = ["--library", "data/library.sqlite3"];
    let session = Session::at(home, &library);
    let lines: Vec<Value> = (0..600).map(|_| session.line()).collect();
    assert!(lines.iter().all(|line| line["label"].is_string()));
    let (code, rest, errors, home) = session.end_and_keep(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    assert_eq!(errors.matches("full").count(), 1, "{errors}");
    drop(disk);

    // An output that no longer grows: it ends with a sentence, and goes on when there is room.
    let disk = Mounted::with_size(&data, "64k");
    let output = data.join("out.jsonl");
    let arguments = ["--output", output.to_str().expect("UTF-8")];
    let mut session = Session::at(home, &arguments);
    assert_eq!(session.child.wait().expect("it ends").code(), Some(1));
    let (_, _, errors, home) = session.collect();
    assert!(errors.contains("the output cannot be written"), "{errors}");
    let grow = Command::new("mount")
        .args(["-o", "remount,size=10m"])
        .arg(&data)
        .status();
    assert!(grow.expect("mount(8)").success());
    let session = Session::at(home, &arguments);
    let end = Instant::now() + DEADLINE;
    let text = || fs::read_to_string(&output).unwrap_or_default();
    while text().lines().count() < 600 {
        assert!(Instant::now() < end, "{} lines", text().lines().count());
        std::thread::yield_now();
    }
    let (_, _, _, _home) = session.end_and_keep(Signal::TERM);
    let paths = paths(&text());
    let unique: BTreeSet<&String> = paths.iter().collect();
    assert_eq!((paths.len(), unique.len()), (600, 600));
    drop(disk);
}

#[test]
fn a_restarted_watch_prints_only_what_was_not_printed_yet() {
    let session = Session::new(&[], |dir| write_old_images(dir, 3));
    let first: Vec<Value> = (0..3).map(|_| session.line()).collect();
    let (_, _, _, home) = session.end_and_keep(Signal::TERM);
    fs::write(home.path().join("in/new.png"), picture(50)).expect("written");
    // The content of another file under this name.
    fs::write(home.path().join("in/1.png"), picture(51)).expect("written");
    let session = Session::at(home, &[]);
    let mut paths = [session.line(), session.line()].map(|line| line["path"].to_string());
    paths.sort();
    assert_eq!(paths, ["\"in/1.png\"", "\"in/new.png\""]);
    let (code, rest, errors, home) = session.end_and_keep(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    assert!(errors.contains("2 written before"), "{errors}");
    // Other prompts are another result.
    let session = Session::at(home, &["--prompts", "chest-xray"]);
    let all: Vec<Value> = (0..4).map(|_| session.line()).collect();
    assert!(all.iter().all(|line| line["prompts"] == "chest-xray"));
    let (_, rest, _, home) = session.end_and_keep(Signal::TERM);
    assert_eq!(rest, Vec::<String>::new());
    let session = Session::at(home, &["--library", "none"]);
    let again: Vec<Value> = (0..4).map(|_| session.line()).collect();
    let paths = |lines: &[Value]| -> std::collections::BTreeSet<String> {
        lines.iter().map(|line| line["path"].to_string()).collect()
    };
    assert_eq!((paths(&first).len(), paths(&again).len()), (3, 4));
}

#[test]
fn a_service_reads_prompts_and_settings_again_on_sighup() {
    const SET: &str = "name = \"own\"\n[[condition]]\nname = \"a\"\ndescription = \"A.\"\n\
        phrases = [\"one\"]\n[[condition]]\nname = \"b\"\ndescription = \"B.\"\nphrases = [\"two\"]\n";
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("a folder");
    write_old_images(&home.path().join("in"), 2);
    let set = home.path().join("own.toml");
    fs::write(&set, SET).expect("written");
    let session = Session::at(home, &["--prompts", "own.toml"]);
    let before: Vec<Value> = (0..2).map(|_| session.line()).collect();
    fs::write(&set, "name = ").expect("written");
    session.signal(Signal::HUP);
    fs::write(session.folder().join("new.png"), picture(60)).expect("written");
    let line = session.line();
    assert_eq!(
        line["prompts_digest"], before[0]["prompts_digest"],
        "{line}"
    );
    fs::write(&set, SET.replace("\"two\"", "\"three\"")).expect("written");
    session.signal(Signal::HUP);
    let after: Vec<Value> = (0..3).map(|_| session.line()).collect();
    for line in &after {
        assert_ne!(
            line["prompts_digest"], before[0]["prompts_digest"],
            "{line}"
        );
    }
    // Nothing has changed.
    session.signal(Signal::HUP);
    fs::write(session.folder().join("last.png"), picture(61)).expect("written");
    assert_eq!(session.line()["path"], "in/last.png");
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    assert!(errors.contains("own.toml:1"), "{errors}");
}

#[test]
fn a_rotated_output_goes_on_in_a_new_file_also_after_a_restart() {
    for format in ["jsonl", "csv"] {
        let home = tempfile::tempdir().expect("a folder");
        let (output, rotated) = (home.path().join("out"), home.path().join("out.1"));
        fs::create_dir(home.path().join("in")).expect("a folder");
        write_old_images(&home.path().join("in"), 3);
        let name = output.to_str().expect("UTF-8").to_owned();
        let arguments = ["--format", format, "--output", &name];
        let wait = |what: &str| {
            let end = Instant::now() + DEADLINE;
            while !fs::read_to_string(&output).is_ok_and(|text| text.contains(what)) {
                assert!(Instant::now() < end, "no line for {what}");
                std::thread::yield_now();
            }
        };
        let session = Session::at(home, &arguments);
        for name in ["0", "1", "2"] {
            wait(&format!("in/{name}.png"));
        }
        fs::rename(&output, &rotated).expect("renamed");
        session.signal(Signal::HUP);
        let end = Instant::now() + DEADLINE;
        while !output.exists() {
            assert!(Instant::now() < end, "it is not opened again");
            std::thread::yield_now();
        }
        fs::write(session.folder().join("new.png"), picture(50)).expect("written");
        wait("in/new.png");
        let (code, _, errors, home) = session.end_and_keep(Signal::TERM);
        assert_eq!(code, Some(0), "{errors}");
        let session = Session::at(home, &arguments);
        fs::write(session.folder().join("last.png"), picture(51)).expect("written");
        wait("in/last.png");
        let (_, _, _, home) = session.end_and_keep(Signal::TERM);
        let header = usize::from(format == "csv");
        let lines = |file: &Path| fs::read_to_string(file).expect("text").lines().count() - header;
        assert_eq!((lines(&rotated), lines(&output)), (3, 2), "{format}");
        // A new file gets everything.
        fs::remove_file(&output).expect("removed");
        let session = Session::at(home, &arguments);
        for name in ["0", "1", "2", "new", "last"] {
            wait(&format!("in/{name}.png"));
        }
        session.end(Signal::TERM);
    }
}

#[test]
fn with_a_terminal_sighup_ends_it_as_the_terminal_is_gone() {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("a folder");
    write_old_images(&home.path().join("in"), 5);
    let output = home.path().join("out.jsonl");
    let line = format!(
        "{} watch in --model demo --output {}",
        env!("CARGO_BIN_EXE_medivision-tui"),
        output.display()
    );
    // `script` gives it a terminal of its own.
    let mut script = Command::new("script")
        .args(["-qec", &format!("exec {line}"), "/dev/null"])
        .current_dir(home.path())
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("script runs");
    let end = Instant::now() + DEADLINE;
    while fs::read_to_string(&output).map_or(0, |text| text.lines().count()) < 5 {
        assert!(Instant::now() < end, "no lines");
        std::thread::yield_now();
    }
    let children = format!("/proc/{0}/task/{0}/children", script.id());
    let children = fs::read_to_string(children).expect("Linux says");
    let pid = children.split_whitespace().next().expect("a child");
    let pid = Pid::from_raw(pid.parse().expect("a number")).expect("a process");
    kill_process(pid, Signal::HUP).expect("it runs");
    assert_eq!(script.wait().expect("it ends").code(), Some(0));
}

/// Length of an embedding of the test model.
const EMBEDDING: usize = 20;

/// A temperature for the scores of a result, as `calibrate` keeps it.
fn calibration(line: &Value) -> Calibration {
    let text = |key: &str| line[key].as_str().expect("text").to_owned();
    Calibration {
        model: text("model"),
        model_digest: text("model_digest"),
        prompts: text("prompts"),
        prompts_digest: text("prompts_digest"),
        mode: Mode::Single,
        learned: None,
        fit: None,
        synthetic: false,
        at: "2026-01-01T00:00:00Z".to_owned(),
        images: 100,
        error_before: 0.2,
        error_after: 0.02,
        single: Some(SingleCalibration {
            mix: None,
            temperature: 50.0,
            confident_from: None,
            confident: 0.0,
            wrong: 0.0,
            answers: AnswerRule {
                temperature: 50.0,
                least: 0.1,
                coverage: 0.9,
            },
        }),
        conditions: Vec::new(),
        normal: Vec::new(),
        left_out: Vec::new(),
    }
}

/// What 23 reviews have taught about the scores of a result, as `learn` keeps it.
fn learned(line: &Value) -> Learned {
    let text = |key: &str| line[key].as_str().expect("text").to_owned();
    let estimate = Estimate {
        value: 0.1,
        low: None,
        high: None,
        draws: None,
    };
    Learned {
        format: Learned::FORMAT,
        model: text("model"),
        model_digest: text("model_digest"),
        prompts: text("prompts"),
        prompts_digest: text("prompts_digest"),
        mode: Mode::Single,
        at: "2026-01-01T00:00:00Z".to_owned(),
        method: Method::Ridge,
        reviews: 23,
        unlabelled: 0,
        held_out: LearningGain {
            balanced_accuracy: None,
            log_loss_tempered: None,
            images: 23,
            accuracy_before: 0.5,
            accuracy_after: 0.6,
            accuracy_gain: estimate,
            log_loss_before: 1.0,
            log_loss_after: 0.9,
            log_loss_gain: estimate,
        },
        kind: None,
        shots: Vec::new(),
        conditions: vec![LearnedCondition {
            condition: "pneumonia".to_owned(),
            gate: 1.0,
            direction: vec![0.5; EMBEDDING].into(),
        }],
    }
}

#[test]
fn a_service_reads_calibrations_and_what_was_learned_again_on_sighup() {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("in")).expect("a folder");
    write_old_images(&home.path().join("in"), 1);
    let library = home.path().join("library.sqlite3");
    let name = library.to_str().expect("UTF-8").to_owned();
    let session = Session::at(home, &["--prompts", "general", "--library", &name]);
    let first = session.line();
    assert_eq!(first["calibrated"], false, "{first}");
    let folder = library::calibrations::folder(&library);
    library::calibrations::save(&folder, &calibration(&first)).expect("written");
    session.signal(Signal::HUP);
    fs::write(session.folder().join("new.png"), picture(60)).expect("written");
    let second = session.line();
    // The file before has its line already.
    assert_eq!(second["path"], "in/new.png", "{second}");
    assert_eq!(second["calibrated"], true, "{second}");
    let folder = library::learned::folder(&library);
    library::learned::keep(&folder, &learned(&first)).expect("written");
    session.signal(Signal::HUP);
    fs::write(session.folder().join("third.png"), picture(61)).expect("written");
    let third = session.line();
    assert_eq!(
        (&third["path"], &third["learned"]),
        (&"in/third.png".into(), &23.into()),
        "{third}"
    );
    assert_eq!(third["calibrated"], false, "of other scores: {third}");
    let (code, rest, errors) = session.end(Signal::TERM);
    assert_eq!((code, rest), (Some(0), vec![]), "{errors}");
    assert!(errors.contains("the calibrations have changed"), "{errors}");
    assert!(errors.contains("what was learned has changed"), "{errors}");
}
