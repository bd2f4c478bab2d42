//! Learning from reviews on the command line: what is learned, that scores follow it, and that each step can be taken back.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Prompts that say little of the phantoms' conditions.
const WEAK: &str = r#"
name = "weak"
title = "Weak"
templates = ["{}"]

[[condition]]
name = "pneumonia"
description = "Pneumonia."
phrases = ["an abnormal image"]
absent = ["no abnormality"]

[[condition]]
name = "tumor"
description = "A tumor."
phrases = ["a lesion"]
absent = ["no lesion"]

[[condition]]
name = "fracture"
description = "A fracture."
phrases = ["an image of disease"]
absent = ["no disease"]

[[condition]]
name = "normal"
description = "Nothing."
phrases = ["an image"]
absent = ["an abnormal image"]
normal = true
"#;

/// Phantoms that were classified under weak prompts, and every third of them reviewed.
struct Ward {
    home: tempfile::TempDir,
    truth: Vec<(String, String)>,
}

impl Ward {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a home");
        fs::write(home.path().join("weak.toml"), WEAK).expect("written");
        demo(home.path(), 48, 3);
        let table = fs::read_to_string(home.path().join("d/truth.csv")).expect("labels");
        let rows = table.lines().skip(1).map(|line| {
            let mut cells = line.split(',').map(str::to_owned);
            let mut cell = || cells.next().expect("a cell");
            (cell(), cell())
        });
        let truth: Vec<(String, String)> = rows.collect();
        let ward = Self { home, truth };
        let labels = ward.truth.iter().step_by(3);
        let labels: Vec<String> = labels
            .map(|(path, label)| format!("{path},{label}"))
            .collect();
        let some = ward.home.path().join("d/some.csv");
        fs::write(some, format!("path,label\n{}\n", labels.join("\n"))).expect("written");
        ward.results("weak.toml");
        let import = ["reviews", "import", "d/some.csv", "--reviewer", "bo"];
        let imported = ward.run(&[&import[..], &["--prompts", "weak.toml"]].concat());
        assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
        ward
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(self.home.path(), arguments)
    }

    /// The results of single images by path, without times.
    fn results(&self, prompts: &str) -> Vec<Value> {
        let arguments = ["classify", "d", "--model", "demo", "--format", "jsonl"];
        let output = self.run(&[&arguments[..], &["--prompts", prompts]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let mut lines = lines(&output);
        for line in &mut lines {
            line.as_object_mut().expect("an object").remove("at");
        }
        lines
    }

    fn learn(&self, arguments: &[&str]) -> Output {
        let all = ["learn", "--model", "demo", "--prompts", "weak.toml"];
        self.run(&[&all[..], arguments].concat())
    }

    /// The share of right labels among the images that nobody has reviewed.
    fn accuracy(&self, results: &[Value]) -> f64 {
        let known = self.truth.iter().enumerate().filter(|(at, _)| at % 3 > 0);
        let known: Vec<_> = known.map(|(_, own)| own).collect();
        let right = known.iter().filter(|(path, label)| {
            let name = format!("d/{path}");
            let result = results.iter().find(|line| line["path"] == name.as_str());
            result.is_some_and(|line| line["label"] == label.as_str())
        });
        right.count() as f64 / known.len() as f64
    }
}

/// Into an earlier file, which keeps its mode, and through a link into a device, which stays one. Where nothing can be written, that is said.
fn exports_go_where_they_are_named(ward: &Ward) {
    let at = |name: &str| ward.home.path().join(name);
    fs::write(at("earlier.toml"), "").expect("written");
    let mode = fs::Permissions::from_mode(0o664);
    fs::set_permissions(at("earlier.toml"), mode).expect("set");
    for (link, target) in [("stdout", "/proc/self/fd/1"), ("full", "/dev/full")] {
        std::os::unix::fs::symlink(target, at(link)).expect("linked");
    }
    let exported = ward.learn(&["--export", "earlier.toml"]);
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    let found = fs::metadata(at("earlier.toml")).expect("there");
    assert_eq!(found.permissions().mode() & 0o777, 0o664);
    let piped = ward.learn(&["--export", "stdout"]);
    assert_eq!(piped.status.code(), Some(0), "{}", stderr(&piped));
    let text = fs::read_to_string(at("earlier.toml")).expect("readable");
    assert_eq!(String::from_utf8_lossy(&piped.stdout), text);
    assert!(stderr(&piped).contains("written to stdout: "));
    for (name, reason) in [("full", "No space left"), ("none/a.toml", "no such folder")] {
        let failed = ward.learn(&["--export", name]);
        assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
        let words = format!("{name} cannot be written: ");
        assert!(
            stderr(&failed).contains(&words) && stderr(&failed).contains(reason),
            "{}",
            stderr(&failed)
        );
    }
    for link in ["stdout", "full"] {
        assert!(at(link).is_symlink(), "{link}");
    }
}

#[test]
fn scores_follow_reviews_until_that_is_undone_bit_for_bit() {
    let ward = Ward::new();
    let before = ward.results("weak.toml");
    assert!(before.iter().all(|line| line.get("learned").is_none()));

    let tried = ward.learn(&["--dry-run", "--json"]);
    assert_eq!(tried.status.code(), Some(0), "{}", stderr(&tried));
    let report: Value = serde_json::from_slice(&tried.stdout).expect("JSON");
    assert_eq!(
        (&report["learned"], &report["unlabelled"], &report["kept"]),
        (&16.into(), &31.into(), &false.into()),
        "one of the 48 has several frames: {report}"
    );
    assert_eq!(report["held_out"]["images"], 16);
    let gain = &report["held_out"]["accuracy_gain"];
    assert!(gain["low"].as_f64() <= gain["value"].as_f64());
    assert_eq!(ward.results("weak.toml"), before, "nothing has changed");

    let learned = ward.learn(&[]);
    let told = String::from_utf8_lossy(&learned.stdout).into_owned();
    assert!(
        told.contains("learned from 16 reviews and 31 images"),
        "{told}"
    );
    assert!(told.contains("kept in "), "{told}");
    let after = ward.results("weak.toml");
    assert!(
        after.iter().all(|line| line["learned"] == 16),
        "{}",
        after[0]
    );
    let accuracies = [&before, &after].map(|results| ward.accuracy(results));
    assert!(accuracies[1] > accuracies[0] + 0.1, "{accuracies:?}");
    let moved = report["moved"].as_array().expect("a list");
    let changed = before.iter().zip(&after);
    let changed = changed.filter(|(old, new)| old["frames"] == 1 && old["label"] != new["label"]);
    assert_eq!(changed.count(), moved.len());

    exports_go_where_they_are_named(&ward);
    let exported = ward.learn(&["--export", "carried.toml"]);
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    let undone = ward.learn(&["--undo"]);
    assert!(String::from_utf8_lossy(&undone.stdout).contains("nothing learned is in use"));
    assert_eq!(ward.results("weak.toml"), before);
    let imported = ward.learn(&["--import", "carried.toml"]);
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    assert_eq!(ward.results("weak.toml"), after);
}

#[test]
fn a_csv_says_what_was_learned_and_another_model_or_prompt_set_refuses_it() {
    let ward = Ward::new();
    let header = |prompts: &str| {
        let arguments = ["classify", "d", "--model", "demo", "--format", "csv"];
        let output = ward.run(&[&arguments[..], &["--prompts", prompts]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert!(header("weak.toml").ends_with("p:normal"));
    ward.learn(&[]);
    assert!(header("weak.toml").ends_with("p:normal,learned"));
    assert!(header("general").ends_with("p:normal"));
    ward.results("weak.toml");
    let table = ward.run(&["export", "d", "--prompts", "weak", "--format", "csv"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        table.lines().nth(1).is_some_and(|row| row.ends_with(",16")),
        "{table}"
    );

    ward.learn(&["--export", "carried.toml"]);
    let other_set = ward.run(&["learn", "--model", "demo", "--import", "carried.toml"]);
    assert_eq!(other_set.status.code(), Some(3));
    assert!(
        stderr(&other_set).contains("another prompt set (weak)"),
        "{}",
        stderr(&other_set)
    );
    let model = checkpoint();
    let model = model.to_str().expect("UTF-8");
    let import = ["--prompts", "weak.toml", "--import", "carried.toml"];
    let other = ward.run(&[&["learn", "--model", model][..], &import].concat());
    assert_eq!(other.status.code(), Some(3));
    assert!(
        stderr(&other).contains("learned with the model builtin"),
        "{}",
        stderr(&other)
    );
}

#[test]
fn what_cannot_be_learned_is_said() {
    let ward = Ward::new();
    let general = ["learn", "--model", "demo", "--prompts", "general"];
    let none = ward.run(&general);
    assert_eq!(none.status.code(), Some(3));
    assert!(
        stderr(&none).contains("is reviewed under this prompt set"),
        "{}",
        stderr(&none)
    );
    let auto = ward.run(&["learn", "--model", "demo", "--prompts", "auto"]);
    assert_eq!(auto.status.code(), Some(2));
    let nothing = ward.learn(&["--undo"]);
    assert!(String::from_utf8_lossy(&nothing.stdout).contains("nothing to undo"));
    let nowhere = ward.learn(&["no-such-folder"]);
    assert_eq!(nowhere.status.code(), Some(2), "{}", stderr(&nowhere));
}

#[test]
fn commands_that_score_otherwise_leave_the_results_of_the_library_alone() {
    let ward = Ward::new();
    ward.learn(&[]);
    ward.results("weak.toml");
    let stored = || {
        let output = ward.run(&["export", "d", "--prompts", "weak", "--format", "jsonl"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        lines(&output)
    };
    let before = stored();
    assert!(before.iter().all(|line| line["learned"] == 16));
    let file = format!("d/{}", ward.truth[0].0);
    let weak = ["--model", "demo", "--prompts", "weak.toml"];
    let commands: [&[&str]; 3] = [
        &["explain", &file],
        &["calibrate", "d"],
        &["eval", "d", "--prompts", "general"],
    ];
    for command in commands {
        let output = ward.run(&[command, &weak].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stored(), before, "{}", command[0]);
        match command[0] {
            "explain" => {
                let told = format!(
                    "{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    stderr(&output)
                );
                assert!(told.contains("what 16 reviews taught"), "{told}");
            }
            "calibrate" => assert!(
                stderr(&output).contains("left out: 16 of "),
                "not on what was learned from: {}",
                stderr(&output)
            ),
            _ => {}
        }
    }
    let judged = ward.run(&[&["eval", "d"][..], &weak].concat());
    assert!(
        stderr(&judged).contains("learned from 16 of these"),
        "{}",
        stderr(&judged)
    );
    let reviews = ward.run(&["reviews"]);
    let told = String::from_utf8_lossy(&reviews.stdout).into_owned();
    assert!(
        told.contains("its scores were learned from 16 of these images"),
        "{told}"
    );
    // Once that is taken back, nothing says which of the stored results it taught.
    ward.learn(&["--undo"]);
    let reviews = ward.run(&["reviews"]);
    let told = String::from_utf8_lossy(&reviews.stdout).into_owned();
    assert!(
        told.contains("16 are of what was learned and is no longer in use; of the others: "),
        "{told}"
    );
}

#[test]
fn labels_of_a_table_that_are_not_learned_from_are_counted() {
    let ward = Ward::new();
    let home = ward.home.path();
    picture(&home.join("elsewhere.png"), 77);
    fs::write(home.join("more.csv"), "path,label\nelsewhere.png,tumor\n").expect("written");
    let learned = ward.learn(&["--dry-run", "--json", "d", "more.csv"]);
    assert_eq!(learned.status.code(), Some(0), "{}", stderr(&learned));
    let report: Value = serde_json::from_slice(&learned.stdout).expect("JSON");
    assert_eq!(report["left_out"]["not_encoded"], 1, "{report}");
    // Two copies of one image with different labels are an error for both commands, and nothing is kept.
    fs::copy(home.join("elsewhere.png"), home.join("copy.png")).expect("copied");
    fs::write(
        home.join("more.csv"),
        "path,label\nelsewhere.png,tumor\ncopy.png,normal\n",
    )
    .expect("written");
    let refused = ward.learn(&["--dry-run", "d", "more.csv"]);
    let import = ["reviews", "import", "more.csv", "--reviewer", "bo"];
    let other = ward.run(&[&import[..], &["--prompts", "weak.toml"]].concat());
    for output in [refused, other] {
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let told = stderr(&output);
        assert!(
            told.contains("elsewhere.png") && told.contains("copy.png"),
            "{told}"
        );
    }
}

#[test]
fn tables_that_contradict_each_other_are_an_error_and_those_that_agree_are_one() {
    let ward = Ward::new();
    let home = ward.home.path();
    let (path, label) = &ward.truth[0];
    let other = if label == "tumor" { "normal" } else { "tumor" };
    for (name, label) in [
        ("a.csv", label.as_str()),
        ("b.csv", label),
        ("c.csv", other),
    ] {
        let table = format!("path,label\n{path},{label}\n");
        fs::write(home.join("d").join(name), table).expect("written");
    }
    let agreed = ward.learn(&["--dry-run", "d/a.csv", "d/b.csv"]);
    assert_eq!(agreed.status.code(), Some(0), "{}", stderr(&agreed));
    for tables in [["d/a.csv", "d/c.csv"], ["d/c.csv", "d/a.csv"]] {
        let refused = ward.learn(&[&["--dry-run"], &tables[..]].concat());
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        let told = stderr(&refused);
        assert!(
            told.contains(path) && told.contains("labelled twice"),
            "{told}"
        );
    }
}

#[test]
fn patients_that_an_imported_table_names_are_left_out_together() {
    let ward = Ward::new();
    let held_out = |arguments: &[&str]| {
        let learned = ward.learn(&[arguments, &["--dry-run", "--json"]].concat());
        assert_eq!(learned.status.code(), Some(0), "{}", stderr(&learned));
        let report: Value = serde_json::from_slice(&learned.stdout).expect("JSON");
        report["held_out"].clone()
    };
    let each_by_itself = held_out(&[]);
    let rows = ward.truth.iter().step_by(3).enumerate();
    let rows = rows.map(|(at, (path, label))| format!("{path},{label},{}", at / 3));
    let rows: Vec<String> = rows.collect();
    let table = format!("path,label,patient\n{}\n", rows.join("\n"));
    fs::write(ward.home.path().join("d/patients.csv"), table).expect("written");
    let by_table = held_out(&["d/patients.csv"]);
    assert_ne!(by_table, each_by_itself);
    let import = ["reviews", "import", "d/patients.csv", "--reviewer", "bo"];
    let imported = ward.run(&[&import[..], &["--prompts", "weak.toml"]].concat());
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    assert_eq!(held_out(&[]), by_table);
    let again = ward.run(&[&import[..], &["--prompts", "weak.toml"]].concat());
    let told = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(told.contains("16 were known"), "{told}");
}
