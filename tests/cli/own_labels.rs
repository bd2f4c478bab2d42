//! The built-in model and images that are not marked as synthetic: it tells their kind, until labels of the user's teach it findings.

use super::*;

/// Radiographs of chests without the mark of phantoms, of which two thirds are labelled, and some of limbs.
struct Films {
    home: tempfile::TempDir,
    /// Names and labels of the films without a label for the program.
    left: Vec<(String, String)>,
}

impl Films {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a home");
        let demo = [
            "demo",
            "d",
            "--write-only",
            "--count",
            "150",
            "--seed",
            "11",
        ];
        assert_eq!(run(home.path(), &demo).status.code(), Some(0));
        fs::create_dir(home.path().join("films")).expect("made");
        let table = fs::read_to_string(home.path().join("d/truth.csv")).expect("labels");
        let (mut known, mut left, mut at) = (vec!["path,label".to_owned()], Vec::new(), 0);
        for row in table.lines().skip(1) {
            let cells: Vec<&str> = row.split(',').collect();
            let [file, label, _, part] = cells[..] else {
                continue;
            };
            // Written anew, a phantom has lost its mark.
            let Ok(picture) = image::open(home.path().join("d").join(file)) else {
                continue;
            };
            let name = format!("{part}-{at}.png");
            at += 1;
            let to = home.path().join("films").join(&name);
            picture.to_luma8().save(to).expect("written");
            match part {
                "CHEST" if at % 3 > 0 => known.push(format!("{name},{label}")),
                "CHEST" => left.push((name, label.to_owned())),
                _ => {}
            }
        }
        let labels = home.path().join("films/labels.csv");
        fs::write(labels, known.join("\n")).expect("written");
        Self { home, left }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let output = run(self.home.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        output
    }

    /// The results by file name, with the set chosen for each image.
    fn results(&self, more: &[&str]) -> std::collections::HashMap<String, Value> {
        let all = [
            "classify", "films", "--model", "builtin", "--format", "jsonl",
        ];
        let of_name = |line: Value| {
            let path = line["path"].as_str().expect("a path").to_owned();
            (path.trim_start_matches("films/").to_owned(), line)
        };
        let output = self.run(&[&all[..], more].concat());
        lines(&output).into_iter().map(of_name).collect()
    }
}

#[test]
fn labels_of_the_users_teach_the_built_in_model_findings_of_that_kind() {
    let films = Films::new();
    let before = films.results(&[]);
    assert!(before.values().all(|line| line["prompts"] == "kinds"));

    films.run(&["reviews", "import", "films/labels.csv", "--reviewer", "bo"]);
    let learned = films.run(&["learn", "--model", "builtin", "--json"]);
    let report: Value = serde_json::from_slice(&learned.stdout).expect("JSON");
    assert_eq!(
        report["prompts"], "chest-xray",
        "that of the kind: {report}"
    );
    assert_eq!(report["kinds"], serde_json::json!(["chest radiograph"]));
    assert_eq!(report["kept"], true, "{report}");
    let balanced = &report["held_out"]["balanced_accuracy"];
    assert!(balanced["after"]["low"].as_f64() > balanced["chance"].as_f64());
    assert_eq!(report["moved"][0]["before"]["label"], "chest radiograph");

    // Chests now have findings, most of them right; what is not a chest has its kind as before.
    let after = films.results(&[]);
    let right = films.left.iter().filter(|(name, label)| {
        let line = &after[name];
        line["prompts"] == "chest-xray" && line["label"] == label.as_str()
    });
    let share = right.count() as f64 / films.left.len() as f64;
    assert!(share > 0.7, "{share} of {}", films.left.len());
    let others: Vec<&Value> = after
        .iter()
        .filter(|(name, _)| !name.starts_with("CHEST"))
        .map(|(_, line)| line)
        .collect();
    assert!(!others.is_empty() && others.iter().all(|line| line["prompts"] == "kinds"));
    let named = films.results(&["--prompts", "chest-xray"]);
    for (name, line) in &named {
        let is_judged = line["decision"] != "rejected";
        assert_eq!(is_judged, after[name]["prompts"] == "chest-xray", "{name}");
    }

    films.run(&["learn", "--model", "builtin", "--undo"]);
    let back = films.results(&[]);
    for (name, line) in &before {
        assert_eq!(line["label"], back[name]["label"], "{name}");
    }
}

#[test]
fn labels_that_say_nothing_teach_no_findings() {
    let films = Films::new();
    films.results(&[]);
    // Every image gets one of two labels by turns, whatever it shows.
    let table = films.home.path().join("films/labels.csv");
    let text = fs::read_to_string(&table).expect("labels");
    let rows = text.lines().enumerate().map(|(at, row)| {
        let name = row.split(',').next().expect("a name");
        match at {
            0 => row.to_owned(),
            at if at % 2 == 0 => format!("{name},pneumonia"),
            _ => format!("{name},normal"),
        }
    });
    fs::write(&table, rows.collect::<Vec<_>>().join("\n")).expect("written");
    films.run(&["reviews", "import", "films/labels.csv", "--reviewer", "bo"]);
    let refused = run(films.home.path(), &["learn", "--model", "builtin"]);
    assert_eq!(refused.status.code(), Some(3));
    let told = stderr(&refused);
    assert!(
        told.contains("do not show that findings can be told")
            && told.contains("guessing gets 50 %"),
        "{told}"
    );
}
