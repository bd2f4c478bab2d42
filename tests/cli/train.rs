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
    std::os::unix::fs::symlink("/dev/full", home.join("full")).expect("linked");
    let full = train(
        home,
        &["probe", "--labels", "d/truth.csv", "--export", "full"],
    );
    assert_eq!(full.status.code(), Some(1), "{}", stderr(&full));
    assert!(stderr(&full).contains("full cannot be written: No space left"));
    assert!(home.join("full").is_symlink());
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

#[test]
fn copies_of_an_image_are_one_and_their_labels_may_not_differ() {
    let home = labelled_home();
    let home = home.path();
    let truth = fs::read_to_string(home.join("d/truth.csv")).expect("labels");
    let rows = truth.lines().skip(1).map(|row| {
        let mut cells = row.split(',');
        let mut cell = || cells.next().expect("a cell");
        (cell(), cell())
    });
    let rows: Vec<(&str, &str)> = rows.collect();
    let mut table = String::from("path,label\n");
    for (at, (path, label)) in rows.iter().enumerate() {
        table += &[path, ",", label, "\n"].concat();
        if at < 30 {
            let copy = format!("copy-{}", path.replace('/', "-"));
            fs::copy(home.join("d").join(path), home.join("d").join(&copy)).expect("copied");
            table += &[&copy, ",", label, "\n"].concat();
        }
    }
    fs::write(home.join("d/copies.csv"), &table).expect("written");
    let probe = ["probe", "--json", "--dry-run", "--labels"];
    let each = json(&train(home, &[&probe[..], &["d/truth.csv"]].concat()));
    let twice = json(&train(home, &[&probe[..], &["d/copies.csv"]].concat()));
    let count = |report: &Value| {
        let side = |side: &str| report["split"][side].as_u64().expect("a count");
        side("train") + side("held_out")
    };
    assert_eq!(count(&twice), count(&each));
    assert_eq!((&each["copies"], &twice["copies"]), (&0.into(), &30.into()));

    let (path, label) = rows[0];
    let other = if label == "tumor" { "normal" } else { "tumor" };
    let row = format!("copy-{},{label}\n", path.replace('/', "-"));
    let wrong = table.replace(&row, &row.replace(label, other));
    fs::write(home.join("d/copies.csv"), wrong).expect("written");
    let methods: [&[&str]; 2] = [&["probe"], &["lora", "--output", "o"]];
    for method in methods {
        let refused = train(home, &[method, &["--labels", "d/copies.csv"]].concat());
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        let told = stderr(&refused);
        assert!(told.contains("are copies of one image"), "{told}");
        assert!(
            told.contains(&format!("copy-{}", path.replace('/', "-"))),
            "{told}"
        );
    }
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

/// Prompts that take chests' conditions for each other.
const EXCHANGED: &str = r#"
name = "exchanged"
title = "Exchanged"
templates = ["{}"]

[[condition]]
name = "pneumonia"
description = "Pneumonia."
phrases = ["a tumor in the chest"]

[[condition]]
name = "tumor"
description = "A tumor."
phrases = ["a normal chest"]

[[condition]]
name = "normal"
description = "Nothing."
phrases = ["pneumonia in the chest"]
normal = true
"#;

/// Images that are not marked as synthetic, with their labels: `films/own.csv` has the chests, and ten limbs that are said to be normal.
/// By `label`, from the number and the label of a chest.
fn labelled_films(label: impl Fn(usize, &str) -> String) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a home");
    demo(home.path(), 260, 12);
    let films = own_labels::unmarked(home.path());
    let is_chest = |film: &&own_labels::Film| film.name.starts_with("CHEST");
    let (chests, others): (Vec<_>, Vec<_>) = films.iter().partition(is_chest);
    let mut table = String::from("path,label\n");
    for (at, film) in chests.iter().enumerate() {
        table += &[&film.name, ",", &label(at, &film.label), "\n"].concat();
    }
    let limbs = others.iter().filter(|own| !own.name.starts_with("HEAD"));
    for film in limbs.take(10) {
        table += &[&film.name, ",normal\n"].concat();
    }
    fs::write(home.path().join("films/own.csv"), table).expect("written");
    fs::write(home.path().join("exchanged.toml"), EXCHANGED).expect("written");
    home
}

/// The results of a folder by file name.
fn judged(home: &Path, folder: &str, model: &str, prompts: &str) -> HashMap<String, Value> {
    let all = ["classify", folder, "--model", model, "--prompts", prompts];
    let output = run(home, &[&all[..], &["--format", "jsonl"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let of_name = |line: Value| {
        let path = line["path"].as_str().expect("a path").to_owned();
        (path.trim_start_matches("films/").to_owned(), line)
    };
    lines(&output).into_iter().map(of_name).collect()
}

fn is_judged(line: &Value) -> bool {
    line["decision"] != "rejected"
}

#[test]
fn the_built_in_model_is_fine_tuned_to_judge_real_images_of_one_kind_and_no_others() {
    let home = labelled_films(|_, label| label.to_owned());
    let home = home.path();
    let before = judged(home, "films", "builtin", "chest-xray");
    assert!(!before.values().any(is_judged));
    let arguments = [
        "train",
        "lora",
        "--labels",
        "films/own.csv",
        "--held-out",
        "40",
        "--output",
        "tuned",
        "--epochs",
        "3",
        "--patience",
        "3",
        "--rate",
        "0.001",
        "--batch-size",
        "8",
        "--model",
        "builtin",
        "--prompts",
        "chest-xray",
        "--json",
    ];
    let report = json(&run(home, &arguments));
    assert_eq!(report["kind"], "chest radiograph", "{report}");
    assert_eq!(report["other_kinds"], 10, "{report}");
    assert!(report["model"].is_object(), "{report}");
    let count = |of: &str| report["retained"][of].as_u64().expect("a count");
    assert_eq!(count("others"), 10);
    assert_eq!(count("others_judged"), 0);
    let held_out = report["split"]["held_out"].as_u64().expect("a count");
    assert!(count("judged") * 2 > held_out, "{report}");
    let card = fs::read_to_string(home.join("tuned/README.md")).expect("a card");
    assert!(card.contains("only of the kind chest radiograph"), "{card}");

    // Chests are judged; the kind of all else is told, also by the adapter, and is the reason that they are not judged.
    for model in ["tuned", "tuned/adapter"] {
        let after = judged(home, "films", model, "chest-xray");
        let chests = || {
            let all = after.iter();
            all.filter(|(name, _)| name.starts_with("CHEST"))
        };
        let of_chests = chests().filter(|(_, line)| is_judged(line)).count();
        assert!(of_chests * 2 > chests().count(), "{model}: {of_chests}");
        for (name, line) in &after {
            if !name.starts_with("CHEST") {
                let reason = line["reason"].as_str().unwrap_or_default();
                assert!(!is_judged(line), "{model} {name}");
                assert!(
                    reason.contains("only of the kind chest radiograph"),
                    "{line}"
                );
            }
        }
    }
    // Prompts that it was not trained with are not answered for real images.
    let other = judged(home, "films", "tuned", "exchanged.toml");
    assert!(!other.values().any(is_judged));
    // Phantoms are.
    let phantoms = judged(home, "d", "tuned", "chest-xray");
    assert!(phantoms.values().all(is_judged));
    let names = ["taught.toml", "known.safetensors", "adapter/taught.toml"];
    assert!(
        names
            .iter()
            .all(|name| home.join("tuned").join(name).exists())
    );
}

#[test]
fn a_probe_teaches_the_built_in_model_findings_of_one_kind() {
    let home = labelled_films(|_, label| label.to_owned());
    let home = home.path();
    let common = ["--model", "builtin", "--prompts", "exchanged.toml"];
    let probe = ["train", "probe", "--labels", "films/own.csv", "--json"];
    // Too few images held out prove nothing.
    let few = json(&run(
        home,
        &[&probe[..], &common, &["--held-out", "5"]].concat(),
    ));
    assert_eq!(few["kept"], false, "{few}");
    let reason = few["unproved"].as_str().expect("a reason");
    assert!(reason.contains("ten images held out"), "{reason}");

    let report = json(&run(
        home,
        &[&probe[..], &common, &["--held-out", "40"]].concat(),
    ));
    assert_eq!(
        (&report["kind"], &report["other_kinds"], &report["kept"]),
        (&"chest radiograph".into(), &10.into(), &true.into()),
        "{report}"
    );
    let after = judged(home, "films", "builtin", "exchanged.toml");
    for (name, line) in &after {
        assert!(is_judged(line) || !name.starts_with("CHEST") || line["reason"].is_string());
        assert!(name.starts_with("CHEST") || !is_judged(line), "{name}");
    }
    assert!(after.values().any(is_judged));
    // A probe of the same kind takes its place, one of phantoms does not.
    let again = run(
        home,
        &[&probe[..], &common, &["--held-out", "40", "--seed", "2"]].concat(),
    );
    assert_eq!(json(&again)["kept"], true);
    let phantoms = [
        "train",
        "probe",
        "--labels",
        "d/truth.csv",
        "--map",
        "fracture=normal",
    ];
    let refused = run(home, &[&phantoms[..], &common].concat());
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        stderr(&refused).contains("findings of the kind chest radiograph are in use"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn labels_that_say_nothing_let_the_built_in_model_judge_no_real_images() {
    let turns = ["pneumonia", "normal"];
    let home = labelled_films(|at, _| turns[at % 2].to_owned());
    let home = home.path();
    let common = [
        "--labels",
        "films/own.csv",
        "--held-out",
        "40",
        "--model",
        "builtin",
        "--prompts",
        "exchanged.toml",
        "--json",
    ];
    let report = json(&run(home, &[&["train", "probe"], &common[..]].concat()));
    assert_eq!(report["kept"], false, "{report}");
    let reason = report["unproved"].as_str().expect("a reason");
    assert!(
        reason.contains("do not show that findings can be told better than by guessing"),
        "{reason}"
    );
    let lora = [
        "train", "lora", "--output", "o", "--epochs", "1", "--rate", "0.005",
    ];
    let report = json(&run(home, &[&lora[..], &common].concat()));
    assert!(report["model"].is_null(), "{report}");
    assert!(!home.join("o/open_clip_model.safetensors").exists());
    assert!(
        !judged(home, "films", "builtin", "exchanged.toml")
            .values()
            .any(is_judged)
    );
}
