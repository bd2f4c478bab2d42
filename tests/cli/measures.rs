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
        &["eval", "d/truth.csv", "--json", "--draws", "50"],
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
