//! `eval` and `bench`.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// With phantoms, their labels, and the model trained on them.
#[test]
fn eval_compares_predictions_with_a_table_of_labels() {
    let home = tempfile::tempdir().expect("a home");
    let written = run(
        home.path(),
        &["demo", "d", "--write-only", "--count", "14", "--seed", "5"],
    );
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    let output = run(
        home.path(),
        &["eval", "d/truth.csv", "--json", "--draws", "200"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["cases"], 14);
    assert_eq!(report["model"], "builtin");
    let accuracy = &report["accuracy"];
    let value = accuracy["value"].as_f64().expect("a number");
    assert!(value >= 0.9, "{report}");
    assert!(accuracy["low"].as_f64() <= Some(value) && Some(value) <= accuracy["high"].as_f64());
    let names: Vec<_> = report["conditions"]
        .as_array()
        .expect("conditions")
        .iter()
        .map(|c| &c["condition"])
        .collect();
    assert_eq!(names, ["pneumonia", "tumor", "fracture", "normal"]);
    let table = run(home.path(), &["eval", "d/truth.csv", "--draws", "0"]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        text.contains("14 classified, 0 rejected, 0 failed") && text.contains("balanced accuracy"),
        "{text}"
    );
}

#[test]
fn eval_of_real_images_with_the_built_in_model_reports_that_it_rejects_them() {
    let home = tempfile::tempdir().expect("a home");
    for name in ["normal", "pneumonia"] {
        fs::create_dir_all(home.path().join("in").join(name)).expect("made");
        picture(&home.path().join("in").join(name).join("p.png"), 90);
    }
    let output = run(home.path(), &["eval", "in"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("2 rejected")
            && stderr(&output).contains("only where labels have taught it"),
        "{}",
        stderr(&output)
    );
    let output = run(home.path(), &["eval", "in", "--prompts", "auto"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    fs::create_dir(home.path().join("in/cold")).expect("made");
    let output = run(home.path(), &["eval", "in"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("`cold` is not a condition"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn bench_reports_each_stage_and_how_close_the_whole_comes_to_their_limit() {
    let home = tempfile::tempdir().expect("a home");
    let model = checkpoint();
    let output = run(
        home.path(),
        &[
            "bench",
            "--json",
            "--limit",
            "12",
            "--model",
            model.to_str().expect("UTF-8"),
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names: Vec<&str> = report["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .map(|stage| stage["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["decode", "preprocess", "transfer", "forward"]);
    let number = |value: &Value| value.as_f64().expect("a number");
    let limit = number(&report["limit"]);
    for stage in report["stages"].as_array().expect("stages") {
        assert!(
            number(&stage["images_per_second"]) >= limit,
            "{stage} sets the limit {limit}"
        );
    }
    let ratio = number(&report["end_to_end"]) / limit;
    assert!((number(&report["ratio"]) - ratio).abs() < 1e-9);
    assert!(number(&report["single"]["p99_ms"]) >= number(&report["single"]["p50_ms"]));
    assert!(number(&report["peak_memory"]) > 1e6);
    assert_eq!(report["pictures"], 12);
}

#[test]
fn bench_without_any_image_says_so() {
    let home = tempfile::tempdir().expect("a home");
    let output = run(home.path(), &["bench", "."]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("no image"), "{}", stderr(&output));
}

/// Writes more images than can be classified before the interruption.
fn write_many(home: &Path) {
    let folder = home.join("in/normal");
    fs::create_dir_all(&folder).expect("made");
    picture(&folder.join("0.png"), 90);
    for n in 1..5000 {
        fs::hard_link(folder.join("0.png"), folder.join(format!("{n}.png"))).expect("linked");
    }
}

/// Runs a command, and interrupts it as soon as it handles signals.
fn run_interrupted(home: &Path, arguments: &[&str]) -> Output {
    let mut child = program(home)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let tasks = format!("/proc/{}/task", child.id());
    let handles_signals = || {
        let tasks = fs::read_dir(&tasks).into_iter().flatten().flatten();
        tasks
            .map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default())
            .any(|name| name.trim() == "signals")
    };
    let begun = Instant::now();
    while !handles_signals() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "no signals thread"
        );
        assert_eq!(child.try_wait().expect("asked"), None, "it runs");
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    child.wait_with_output().expect("it ends")
}

#[test]
fn interrupted_eval_and_bench_say_so() {
    let home = tempfile::tempdir().expect("a home");
    write_many(home.path());
    let model = checkpoint();
    let model = model.to_str().expect("UTF-8");
    for command in ["eval", "bench"] {
        let output = run_interrupted(home.path(), &[command, "in", "--model", model]);
        assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = out + &stderr(&output);
        assert!(said.contains("interrupted"), "{command}: {said}");
    }
}

#[test]
fn threads_that_wait_leave_the_cores_to_others_unless_the_user_wants_it_otherwise() {
    let home = tempfile::tempdir().expect("a folder");
    // libgomp prints its settings when it is loaded.
    let settings = |policy: Option<&str>| {
        let mut command = program(home.path());
        command.arg("--version").env("OMP_DISPLAY_ENV", "verbose");
        command.envs(policy.map(|policy| ("OMP_WAIT_POLICY", policy)));
        let output = command.output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output)
    };
    let spins_never = "GOMP_SPINCOUNT = '0'";
    let settled = settings(None);
    assert!(settled.contains(spins_never), "{settled}");
    assert!(!settings(Some("active")).contains(spins_never));
}

#[test]
fn calibrated_probabilities_apply_from_then_on_and_every_line_says_so() {
    let home = home();
    demo(home.path(), 60, 3);
    // The built-in model is calibrated for the sets that ship; this one is the user's.
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts/general.toml");
    let text = fs::read_to_string(shipped).expect("a prompt set");
    let own = home.path().join(".config/medivision-tui/prompts");
    fs::create_dir_all(&own).expect("made");
    fs::write(own.join("general.toml"), format!("# ours\n{text}")).expect("written");
    let run = |home: &Path, arguments: &[&str]| {
        let named =
            arguments.contains(&"--prompts") || arguments[0] == "export" || arguments[0] == "demo";
        let general: &[&str] = if named {
            &[]
        } else {
            &["--prompts", "general"]
        };
        run(home, &[arguments, general].concat())
    };
    let before = run(home.path(), &["classify", "d"]);
    assert!(
        lines(&before)
            .iter()
            .all(|line| line["calibrated"] == false)
    );
    // It is only printed.
    let tried = run(
        home.path(),
        &["calibrate", "d", "--dry-run", "--library", "none"],
    );
    let text = String::from_utf8_lossy(&tried.stdout).into_owned();
    assert!(
        text.contains("60 labelled images") && text.contains("not kept"),
        "{text}"
    );
    let refused = run(home.path(), &["calibrate", "d", "--library", "none"]);
    assert_eq!(refused.status.code(), Some(2));
    let found = run(home.path(), &["calibrate", "d", "--json"]);
    assert_eq!(found.status.code(), Some(0), "{}", stderr(&found));
    let found: Value = serde_json::from_slice(&found.stdout).expect("JSON");
    let temperature = found["single"]["temperature"].as_f64().expect("a number");
    let file = home.path().join(".local/share/medivision-tui/calibration");
    let name = found["file"].as_str().expect("a file");
    assert!(name.contains("calibration/general-single-"), "{name}");
    assert_eq!(fs::read_dir(&file).expect("a folder").count(), 1);
    // The same scores, with their logits divided by the temperature.
    let after = run(home.path(), &["classify", "d"]);
    let from = found["single"]["confident_from"].as_f64();
    for (raw, line) in lines(&before).iter().zip(lines(&after)) {
        assert_eq!(line["calibrated"], true);
        assert_eq!(line["label"], raw["label"]);
        let probabilities = |line: &Value| {
            let scores = line["scores"].as_array().expect("scores").clone();
            let number = |score: &Value| score["probability"].as_f64().expect("a number");
            scores.iter().map(number).collect::<Vec<f64>>()
        };
        let powers = probabilities(raw)
            .into_iter()
            .map(|p| p.powf(1.0 / temperature));
        let powers: Vec<f64> = powers.collect();
        let sum: f64 = powers.iter().sum();
        for (power, calibrated) in powers.iter().zip(probabilities(&line)) {
            assert!((power / sum - calibrated).abs() < 1e-6, "{raw} {line}");
        }
        let is_confident = from.is_some_and(|from| probabilities(&line)[0] >= from);
        assert_eq!(line["decision"] == "confident", is_confident, "{line}");
    }
    // The library has the new results, and `eval` judges them.
    let exported = run(home.path(), &["export"]);
    assert!(
        lines(&exported)
            .iter()
            .all(|line| line["calibrated"] == true)
    );
    let eval = run(home.path(), &["eval", "d", "--json", "--draws", "0"]);
    let eval: Value = serde_json::from_slice(&eval.stdout).expect("JSON");
    assert_eq!(eval["calibrated"], true);
    // Other prompts are another matter; and a few images say nothing.
    fs::write(own.join("other.toml"), format!("# other\n{text}")).expect("written");
    let other = run(home.path(), &["classify", "d", "--prompts", "other"]);
    assert!(lines(&other).iter().all(|line| line["calibrated"] == false));
    let shipped = run(home.path(), &["classify", "d", "--prompts", "chest-xray"]);
    assert!(
        lines(&shipped)
            .iter()
            .all(|line| line["calibrated"] == true)
    );
    let few = ["demo", "few", "--write-only", "--count", "8"];
    assert_eq!(run(home.path(), &few).status.code(), Some(0));
    let few = run(home.path(), &["calibrate", "few"]);
    assert_eq!(few.status.code(), Some(3));
    assert!(
        stderr(&few).contains("8 labelled images are too few"),
        "{}",
        stderr(&few)
    );
}

/// Phantoms in `d`, and the rows of their labels: path and condition.
fn labelled_phantoms(home: &Path, count: &str) -> Vec<(String, String)> {
    let written = run(
        home,
        &["demo", "d", "--write-only", "--count", count, "--seed", "5"],
    );
    assert_eq!(written.status.code(), Some(0), "{}", stderr(&written));
    let truth = fs::read_to_string(home.join("d/truth.csv")).expect("labels");
    let rows = truth.lines().skip(1).map(|row| {
        let cells: Vec<&str> = row.split(',').collect();
        (cells[0].to_owned(), cells[1].to_owned())
    });
    rows.collect()
}

/// Writes a table with these rows, and evaluates it.
fn evaluated(home: &Path, rows: &[[&str; 3]]) -> Output {
    let rows: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
    let table = format!("path,label,patient\n{}\n", rows.join("\n"));
    fs::write(home.join("d/t.csv"), table).expect("written");
    run(home, &["eval", "d/t.csv", "--json", "--draws", "200"])
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_file_in_several_rows_and_its_copies_are_one_image() {
    let home = tempfile::tempdir().expect("a home");
    let rows = labelled_phantoms(home.path(), "4");
    let [(first, label), (second, other), ..] = &rows[..] else {
        panic!("four")
    };
    assert_ne!(label, other);
    let (again, copy) = (format!("./{first}"), "copy.dcm");
    fs::copy(
        home.path().join("d").join(first),
        home.path().join("d").join(copy),
    )
    .expect("copied");
    let table = [
        [first.as_str(), label, ""],
        [&again, label, ""],
        [copy, label, ""],
        [second, other, ""],
    ];
    let report = json(&evaluated(home.path(), &table));
    assert_eq!(
        (&report["cases"], &report["copies"]),
        (&2.into(), &1.into())
    );
    let mut contradictory = table;
    contradictory[2][1] = other;
    let refused = evaluated(home.path(), &contradictory);
    assert_eq!(refused.status.code(), Some(2));
    let words = stderr(&refused);
    assert!(
        words.contains("same content and different labels"),
        "{words}"
    );
    assert!(
        words.contains("(line 2)") && words.contains("(line 4)"),
        "{words}"
    );
    // As with rows of one path.
    let mut of_two = table;
    (of_two[0][2], of_two[2][2]) = ("a", "b");
    let refused = evaluated(home.path(), &of_two);
    assert_eq!(refused.status.code(), Some(2));
    let words = stderr(&refused);
    assert!(
        words.contains("same content and different patients, `a` and `b`"),
        "{words}"
    );
}

#[test]
fn intervals_are_of_patients_and_one_says_nothing_of_others() {
    let home = tempfile::tempdir().expect("a home");
    let rows = labelled_phantoms(home.path(), "8");
    let with = |patient: &'static str| -> Vec<[&str; 3]> {
        let rows = rows
            .iter()
            .map(|(path, label)| [path.as_str(), label, patient]);
        rows.collect()
    };
    let apart = json(&evaluated(home.path(), &with("")));
    assert!(apart["accuracy"]["low"].is_number(), "{apart}");
    assert_eq!(apart["draws"], 200);
    let one = json(&evaluated(home.path(), &with("p")));
    assert_eq!(one["accuracy"]["value"], apart["accuracy"]["value"]);
    assert!(one["accuracy"]["low"].is_null(), "{one}");
    let single = json(&evaluated(home.path(), &with("")[..1]));
    assert!(single["accuracy"]["low"].is_null() && single["balanced_accuracy"]["low"].is_null());
}

#[test]
fn tables_of_which_all_files_fail_are_failures_of_files() {
    let home = tempfile::tempdir().expect("a home");
    fs::write(
        home.path().join("t.csv"),
        "path,label\na.png,normal\nb.png,tumor\n",
    )
    .expect("written");
    for arguments in [
        &["eval", "t.csv"][..],
        &["calibrate", "t.csv", "--dry-run"],
        &[
            "eval",
            "t.csv",
            "--prompts",
            "general",
            "--prompts",
            "chest-xray",
            "--map",
            "tumor=pneumonia",
        ],
    ] {
        let output = run(home.path(), arguments);
        let words = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {words}");
        assert!(
            words.contains("a.png") && words.contains("2 failed"),
            "{words}"
        );
    }
}

#[test]
fn a_calibration_is_for_the_fit_that_its_images_had() {
    let home = home();
    demo(home.path(), 60, 3);
    let common = ["--prompts", "general", "--model", "builtin"];
    let pad = ["--fit", "pad"];
    let run = |arguments: &[&str]| run(home.path(), &[arguments, &common].concat());
    let found = json(&run(&[&["calibrate", "d", "--json"][..], &pad].concat()));
    assert_eq!(found["fit"], "pad");
    assert_eq!(
        (&found["rejected"], &found["copies"]),
        (&0.into(), &0.into())
    );
    let text = String::from_utf8_lossy(&run(&["calibrate", "d", "--dry-run"]).stdout).into_owned();
    assert!(
        text.contains("60 labelled images, 0 rejected, 0 failed"),
        "{text}"
    );
    let are_calibrated = |fit: &[&str]| {
        let all = lines(&run(&[&["classify", "d"][..], fit].concat()));
        assert!(!all.is_empty());
        all.iter().all(|line| line["calibrated"] == true)
    };
    assert!(are_calibrated(&pad));
    // What the model ships with is for its own fit, named or not.
    assert!(are_calibrated(&["--fit", "squash"]));
    assert!(are_calibrated(&[]) && !are_calibrated(&["--fit", "crop"]));
    let words = |fit: &[&str]| {
        let eval = run(&[&["eval", "d", "--draws", "0"][..], fit].concat());
        String::from_utf8_lossy(&eval.stdout).into_owned()
    };
    let [shipped, other] = [words(&[]), words(&["--fit", "crop"])];
    assert!(shipped.contains("mode single, calibrated"), "{shipped}");
    assert!(other.contains("mode single, not calibrated"), "{other}");
}
