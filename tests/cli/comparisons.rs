//! `prompts compare`, and `eval` with two prompt sets.

use std::io::{BufRead, BufReader};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// A home with 24 phantoms in `d`, and a set `wrong` whose phrases describe another condition than they are for.
fn phantoms() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a home");
    demo(home.path(), 24, 3);
    let conditions: String = [
        ("tumor", "hazy patchy lung opacities", false),
        ("pneumonia", "a broken bone", false),
        ("fracture", "a brain tumor with swelling around it", false),
        ("normal", "a normal finding", true),
    ]
    .map(|(name, phrase, normal)| {
        format!("[[condition]]\nname = \"{name}\"\nphrases = [\"{phrase}\"]\nnormal = {normal}\n")
    })
    .concat();
    let text = format!("name = \"wrong\"\n{conditions}");
    fs::write(home.path().join("wrong.toml"), text).expect("written");
    home
}

fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_worse_set_has_no_measured_gain_and_the_better_one_has() {
    let home = phantoms();
    let eval = |first: &str, second: &str| {
        let sets = ["--prompts", first, "--prompts", second];
        let arguments = [
            &[
                "eval",
                "d/truth.csv",
                "--json",
                "--draws",
                "300",
                "--model",
                "builtin",
            ][..],
            &sets,
        ]
        .concat();
        json(&run(home.path(), &arguments))
    };
    let worse = eval("general", "wrong.toml");
    assert_eq!(worse["prompts"], serde_json::json!(["general", "wrong"]));
    assert_eq!(worse["labelled"], 24);
    let accuracy = &worse["comparison"]["accuracy"];
    let number = |value: &Value| value.as_f64().expect("a number");
    assert!(number(&accuracy["a"]) >= 0.9, "{accuracy}");
    assert!(number(&accuracy["b_minus_a"]["high"]) < 0.0, "{accuracy}");
    assert!(
        (number(&accuracy["b"]) - number(&accuracy["a"]) - number(&accuracy["b_minus_a"]["value"]))
            .abs()
            < 1e-12
    );
    assert_ne!(worse["comparison"]["verdict"], "measured gain");
    let better = eval("wrong.toml", "general");
    assert_eq!(better["comparison"]["verdict"], "measured gain", "{better}");
    assert_eq!(
        better["changed"].as_array().map(Vec::len),
        worse["changed"].as_array().map(Vec::len)
    );
    for key in ["balanced_accuracy", "auroc", "calibration_error"] {
        let [there, back] = [&worse, &better]
            .map(|report| number(&report["comparison"][key]["b_minus_a"]["value"]));
        assert!((there + back).abs() < 1e-9, "{key}: {there} {back}");
    }
}

#[test]
fn files_whose_label_changes_are_named_with_both_labels() {
    let home = phantoms();
    let compare = [
        "prompts",
        "compare",
        "general",
        "wrong.toml",
        "d",
        "--model",
        "builtin",
    ];
    let report = json(&run(home.path(), &[&compare[..], &["--json"]].concat()));
    assert!(report["comparison"].is_null() && report["labelled"].is_null());
    let changed = report["changed"].as_array().expect("a list");
    assert!(!changed.is_empty());
    let classified = |set: &str| {
        let output = run(
            home.path(),
            &["classify", "d", "--prompts", set, "--model", "builtin"],
        );
        let all = lines(&output).into_iter();
        all.map(|line| (line["path"].to_string(), line["label"].clone()))
            .collect::<Vec<_>>()
    };
    let pairs = classified("general")
        .into_iter()
        .zip(classified("wrong.toml"));
    let differing: Vec<_> = pairs.filter(|(a, b)| a.1 != b.1).collect();
    assert_eq!(changed.len(), differing.len());
    for (file, (a, b)) in changed.iter().zip(&differing) {
        assert_eq!(
            (
                file["path"].to_string(),
                &file["a"]["label"],
                &file["b"]["label"]
            ),
            (a.0.clone(), &a.1, &b.1)
        );
    }
    let table = run(
        home.path(),
        &[&compare[..], &["--labels", "d/truth.csv"]].concat(),
    );
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    for part in [
        "labels change",
        "→",
        "(labelled ",
        "calibration error",
        "\nB: ",
        "the rule: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn wrong_requests_are_refused() {
    let home = phantoms();
    let refused = |arguments: &[&str]| {
        let output = run(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(refused(&["prompts", "compare", "general", "general", "d"]).contains("same set"));
    assert!(refused(&["prompts", "compare", "general", "auto", "d"]).contains("auto"));
    refused(&["prompts", "compare", "general", "wrong.toml"]);
    let twice = [
        "classify",
        "d",
        "--prompts",
        "general",
        "--prompts",
        "bone-xray",
    ];
    assert!(refused(&twice).contains("one prompt set"));
    let thrice = [
        "eval",
        "d",
        "--prompts",
        "general",
        "--prompts",
        "wrong.toml",
        "--prompts",
        "bone-xray",
    ];
    refused(&thrice);
}

#[test]
fn a_signal_ends_the_draws_at_once() {
    let home = phantoms();
    let table = home.path().join("d/truth.csv");
    let mut truth = fs::read_to_string(&table).expect("labels");
    truth.push_str("missing.png,normal,,\n");
    fs::write(&table, truth).expect("written");
    let mut child = program(home.path())
        .args(["prompts", "compare", "general", "wrong.toml", "--labels"])
        .args(["d/truth.csv", "--draws", "100000", "--model", "builtin"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // What failed is told when all images are classified, before the draws.
    let told = BufReader::new(child.stderr.take().expect("piped"));
    let is_counting = |line: std::io::Result<String>| line.is_ok_and(|l| l.contains("missing.png"));
    assert!(told.lines().any(is_counting), "the missing file is told");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    // With the draws that there were by then; nothing if there were none.
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        told.is_empty() || told.contains("; interrupted"),
        "the draws went on: {told}"
    );
}

#[test]
fn images_count_whatever_a_model_makes_of_random_words() {
    let home = tempfile::tempdir().expect("a home");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts/kinds.toml");
    let text = fs::read_to_string(shipped).expect("a prompt set");
    let own = text.replace("a sonogram", "an echo");
    assert_ne!(own, text);
    fs::write(home.path().join("own.toml"), own).expect("written");
    picture(&home.path().join("a.png"), 20);
    picture(&home.path().join("b.png"), 90);
    let labels = "path,label\na.png,ultrasound\nb.png,CT slice\n";
    fs::write(home.path().join("truth.csv"), labels).expect("written");
    let compare = ["prompts", "compare", "kinds", "own.toml", "--json"];
    let more = [
        "--labels",
        "truth.csv",
        "--draws",
        "10",
        "--model",
        "builtin",
    ];
    let report = json(&run(home.path(), &[&compare[..], &more].concat()));
    assert_eq!(report["rejected"], serde_json::json!([0, 0]));
    assert_eq!(report["labelled"], 2, "{report}");
}
