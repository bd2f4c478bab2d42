//! Training on the command line: what is written, that scores follow it, and that a training that was stopped goes on.

use std::io::{BufRead, BufReader};

use super::*;

/// Prompts that name the wrong conditions, so that there is much to learn.
const WRONG: &str = r#"
name = "wrong"
title = "Wrong"
templates = ["{}"]

[[condition]]
name = "pneumonia"
description = "Pneumonia."
phrases = ["a broken bone"]

[[condition]]
name = "tumor"
description = "A tumor."
phrases = ["pneumonia"]

[[condition]]
name = "fracture"
description = "A fracture."
phrases = ["a normal chest"]

[[condition]]
name = "normal"
description = "Nothing."
phrases = ["a brain tumor"]
normal = true
"#;

/// Phantoms with labels, and wrong prompts.
fn labelled_home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a home");
    fs::write(home.path().join("wrong.toml"), WRONG).expect("written");
    demo(home.path(), 64, 3);
    home
}

fn train(home: &Path, arguments: &[&str]) -> Output {
    let common = ["--model", "demo", "--prompts", "wrong.toml"];
    let all = [&["train"], arguments, &common].concat();
    run(home, &all)
}

fn results(home: &Path, model: &str) -> Vec<Value> {
    let output = run(
        home,
        &[
            "classify",
            "d",
            "--model",
            model,
            "--prompts",
            "wrong.toml",
            "--format",
            "jsonl",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut lines = lines(&output);
    for line in &mut lines {
        line.as_object_mut().expect("an object").remove("at");
    }
    lines
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_probe_is_used_until_it_is_undone() {
    let home = labelled_home();
    let home = home.path();
    let before = results(home, "demo");
    let probe = ["probe", "--labels", "d/truth.csv", "--json"];
    let tried = json(&train(home, &[&probe[..], &["--dry-run"]].concat()));
    assert_eq!(tried["kept"], false, "{tried}");
    assert_eq!(results(home, "demo"), before, "nothing has changed");

    let report = json(&train(home, &probe));
    assert_eq!(report["kept"], true, "{report}");
    let share = |side: &str| report[side]["balanced_accuracy"].as_f64().expect("a share");
    assert!(share("after") > share("before"), "{report}");
    let split = &report["split"];
    assert!(split["patients_by"]["dicom"].as_u64() > Some(0), "{split}");
    let count = |side: &str| split[side].as_u64().expect("a count");
    assert!(
        count("held_out") > 4 && count("train") > 4 * count("held_out"),
        "{split}"
    );
    let after = results(home, "demo");
    assert!(after.iter().all(|line| line["learned"] == split["train"]));

    let undo = [
        "learn",
        "--undo",
        "--model",
        "demo",
        "--prompts",
        "wrong.toml",
    ];
    assert_eq!(run(home, &undo).status.code(), Some(0));
    assert_eq!(results(home, "demo"), before);
    let exported = train(
        home,
        &["probe", "--labels", "d/truth.csv", "--export", "p.toml"],
    );
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    assert_eq!(results(home, "demo"), before, "only written to a file");
    let import = [
        "learn",
        "--import",
        "p.toml",
        "--model",
        "demo",
        "--prompts",
        "wrong.toml",
    ];
    assert_eq!(run(home, &import).status.code(), Some(0));
    assert_eq!(results(home, "demo"), after);
}

/// The arguments of a short fine-tuning.
fn lora(output: &str) -> [&str; 15] {
    [
        "lora",
        "--labels",
        "d/truth.csv",
        "--output",
        output,
        "--epochs",
        "4",
        "--patience",
        "4",
        "--rate",
        "0.005",
        "--batch-size",
        "8",
        "--micro-batch",
        "8",
    ]
}

#[test]
fn a_stopped_fine_tuning_goes_on_to_the_same_model_which_opens_with_and_without_its_base() {
    let home = labelled_home();
    let home = home.path();
    let whole = json(&train(home, &[&lora("whole")[..], &["--json"]].concat()));
    let share = |side: &str| whole[side]["balanced_accuracy"].as_f64().expect("a share");
    assert!(share("lora") > share("zero_shot"), "{whole}");
    assert!(
        whole["model"]["least_cosine"].as_f64() >= Some(0.99999),
        "{whole}"
    );

    let common = ["--model", "demo", "--prompts", "wrong.toml"];
    let mut child = program(home)
        .args([&["train"], &lora("stopped")[..], &common].concat())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let told = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut lines = told.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("epoch 2/4")));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("goes on")), "{rest:?}");
    assert!(home.join("stopped/training.safetensors").exists());

    let other = train(home, &[&lora("stopped")[..], &["--rank", "4"]].concat());
    assert_eq!(other.status.code(), Some(3));
    assert!(
        stderr(&other).contains("other images"),
        "{}",
        stderr(&other)
    );
    let resumed = json(&train(home, &[&lora("stopped")[..], &["--json"]].concat()));
    assert_eq!(resumed["history"], whole["history"]);
    assert_eq!(resumed["model"]["digest"], whole["model"]["digest"]);
    assert!(!home.join("stopped/training.safetensors").exists());
    let again = train(home, &lora("stopped"));
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("finished training"));
    let card = fs::read_to_string(home.join("stopped/README.md")).expect("a card");
    assert!(card.contains("Research use only") && card.contains("builtin"));

    // The merged model and the adapter say the same, and are never taken for the base or each other.
    let [base, merged, adapter] =
        ["demo", "stopped", "stopped/adapter"].map(|model| results(home, model));
    let labels = |all: &[Value]| -> Vec<Value> { all.iter().map(|l| l["label"].clone()).collect() };
    assert_eq!(labels(&merged), labels(&adapter));
    assert_ne!(labels(&merged), labels(&base));
    let digests = [&base, &merged, &adapter].map(|all| all[0]["model_digest"].clone());
    assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0] != digests[2]);
    assert_eq!(merged[0]["model_digest"], whole["model"]["digest"]);
    assert_eq!(adapter[0]["model"], "stopped-adapter");
}

/// Prompts with texts for absence, which describe the conditions poorly.
const POOR: &str = r#"
name = "poor"
title = "Poor"
templates = ["{}"]

[[condition]]
name = "chest"
description = "A chest."
phrases = ["a brain tumor"]
absent = ["a broken bone"]

[[condition]]
name = "pneumonia"
description = "Pneumonia."
phrases = ["a clear lung"]
absent = ["a brain"]

[[condition]]
name = "tumor"
description = "A tumor."
phrases = ["a broken bone"]
absent = ["a clear lung"]

[[condition]]
name = "device"
description = "A device."
phrases = ["an abnormal finding"]
absent = ["nothing unusual"]
"#;

/// Phantoms labelled by part and finding; the two that show a device are too few to learn from.
fn labelled_twice() -> tempfile::TempDir {
    let home = labelled_home();
    fs::write(home.path().join("poor.toml"), POOR).expect("written");
    let truth = fs::read_to_string(home.path().join("d/truth.csv")).expect("labels");
    let mut table = String::from("path,label\n");
    for (at, row) in truth.lines().skip(1).enumerate() {
        let cells: Vec<&str> = row.split(',').collect();
        let mut labels = Vec::new();
        labels.extend((cells[3] == "CHEST").then_some("chest"));
        labels.extend(
            ["pneumonia", "tumor"]
                .into_iter()
                .find(|own| *own == cells[1]),
        );
        labels.extend((at == 5 || at == 6).then_some("device"));
        table += &[cells[0], ",", &labels.join("; "), "\n"].concat();
    }
    fs::write(home.path().join("d/t.csv"), table).expect("written");
    home
}

fn train_several(home: &Path, arguments: &[&str]) -> Output {
    let common = ["--model", "demo", "--prompts", "poor.toml"];
    run(
        home,
        &[&["train"], arguments, &["--labels", "d/t.csv"], &common].concat(),
    )
}

#[test]
fn images_that_show_several_conditions_train_each_by_itself() {
    let home = labelled_twice();
    let home = home.path();
    // As before, one condition applies unless the mode says otherwise.
    let single = train_several(home, &["probe"]);
    assert_eq!(single.status.code(), Some(2));
    assert!(
        stderr(&single).contains("is not a condition"),
        "{}",
        stderr(&single)
    );
    let multi = ["--mode", "multi", "--json"];
    let report = json(&train_several(home, &[&["probe"], &multi[..]].concat()));
    assert_eq!(
        (&report["mode"], &report["kept"]),
        (&"multi".into(), &true.into())
    );
    let area = |figures: &Value| figures["auroc"].as_f64().expect("an area");
    assert!(
        area(&report["after"]) > area(&report["before"]) + 0.1,
        "{report}"
    );
    let loss = |side: &str| report[side]["log_loss"].as_f64().expect("a loss");
    assert!(loss("after") < loss("before"), "{report}");
    let conditions = &report["conditions"];
    let trained: Vec<bool> = (0..4).map(|at| conditions[at]["trained"] == true).collect();
    assert_eq!(trained, [true, true, true, false], "{report}");
    let images = |of: &str| conditions[3][of].as_u64();
    assert_eq!((images("images"), images("absent")), (Some(2), Some(62)));
    let train = report["split"]["train"].as_u64().expect("a count");
    let learned_from = conditions[3]["learned_from"].as_array().expect("two");
    let learned_from: Vec<u64> = learned_from.iter().filter_map(Value::as_u64).collect();
    assert_eq!(learned_from.iter().sum::<u64>(), train, "{report}");
    assert!(learned_from[0] < 3, "{report}");
    let table = fs::read_to_string(home.join("d/t.csv")).expect("labels");
    let without = table.lines().filter(|row| row.ends_with(',')).count() as u64;
    assert_eq!(report["without_condition"], without, "{report}");
    let separated = &conditions[1]["held_out"];
    assert!(
        separated["probe"]["auroc"]["value"].as_f64() > Some(0.5),
        "{separated}"
    );

    // Results in multi mode follow it, those in single mode do not.
    let classify = |mode: &str| {
        let common = ["--model", "demo", "--prompts", "poor.toml", "--mode", mode];
        let files = ["classify", "d", "--format", "jsonl"];
        lines(&run(home, &[&files[..], &common].concat())).remove(0)
    };
    assert_eq!(classify("multi")["learned"], report["split"]["train"]);
    assert_eq!(classify("single").get("learned"), None);

    let told = train_several(home, &["probe", "--mode", "multi"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    for words in [
        "with none of the conditions",
        "`learn --undo --mode multi`",
        "device stays zero-shot: too few images to learn from",
    ] {
        assert!(told.contains(words), "{told}");
    }

    let lora = [
        "lora",
        "--output",
        "o",
        "--epochs",
        "2",
        "--rate",
        "0.005",
        "--batch-size",
        "16",
    ];
    let tuned = json(&train_several(home, &[&lora[..], &multi].concat()));
    let loss = |side: &str| tuned[side]["log_loss"].as_f64().expect("a loss");
    assert!(loss("lora") < loss("zero_shot"), "{tuned}");
    assert_eq!(tuned["mode"], "multi");
    let card = fs::read_to_string(home.join("o/README.md")).expect("a card");
    assert!(
        card.contains("Mode: multi") && card.contains("mean AUROC"),
        "{card}"
    );

    let table = POOR.replace("absent = [\"nothing unusual\"]\n", "");
    fs::write(home.join("poor.toml"), table).expect("written");
    for method in [&["probe"][..], &["lora", "--output", "p"]] {
        let refused = train_several(home, &[method, &["--mode", "multi"]].concat());
        assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
        assert!(
            stderr(&refused).contains("`device` has no `absent` phrases"),
            "{}",
            stderr(&refused)
        );
    }
}

#[test]
fn what_cannot_be_trained_says_why_and_writes_nothing() {
    let home = labelled_home();
    let home = home.path();
    fs::create_dir(home.join("full")).expect("made");
    fs::write(home.join("full/notes.txt"), "mine").expect("written");
    for (output, code, words) in [
        (train(home, &lora("full")), 2, "not empty"),
        (train(home, &["lora", "--output", "o"]), 3, "library"),
        (
            train(home, &["lora", "--output", "o", "--labels", "wrong.toml"]),
            2,
            "columns",
        ),
        (
            train(
                home,
                &["probe", "--labels", "d/truth.csv", "--library", "none"],
            ),
            2,
            "--export",
        ),
        (
            train(
                home,
                &["probe", "--labels", "d/truth.csv", "--held-out", "2"],
            ),
            2,
            "5..=50",
        ),
    ] {
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    assert_eq!(fs::read_dir(home.join("full")).expect("there").count(), 1);
    // All images of one patient cannot be split.
    let truth = fs::read_to_string(home.join("d/truth.csv")).expect("labels");
    let rows = truth.lines().skip(1).map(|row| {
        let mut cells = row.split(',');
        format!("{},{},same", cells.next().unwrap(), cells.next().unwrap())
    });
    let rows: Vec<String> = rows.filter(|row| !row.contains(".dcm")).collect();
    let table = format!("path,label,patient\n{}\n", rows.join("\n"));
    fs::write(home.join("d/one.csv"), table).expect("written");
    let one = train(home, &["probe", "--labels", "d/one.csv"]);
    assert_eq!(one.status.code(), Some(2), "{}", stderr(&one));
    assert!(
        stderr(&one).contains("two patients or more"),
        "{}",
        stderr(&one)
    );
}
