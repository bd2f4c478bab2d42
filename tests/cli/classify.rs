//! `classify`: its lines, its counts and its exit codes.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use super::*;

#[test]
fn a_folder_yields_one_line_per_image_in_bytewise_order() {
    let home = home();
    let output = classify(home.path(), &["in"]);
    let lines = lines(&output);
    let paths: Vec<_> = lines
        .iter()
        .map(|line| line["path"].as_str().expect("text"))
        .collect();
    assert_eq!(paths, ["in/a.png", "in/b/d.png", "in/c.png", "in/z.png"]);
    assert_eq!(output.status.code(), Some(1), "one is damaged");
    assert!(lines[3]["error"]["kind"].is_string() && lines[3]["error"]["message"].is_string());
    assert!(stderr(&output).contains("1 skipped"), "{}", stderr(&output));
}

#[test]
fn rejected_images_are_counted_as_such_and_get_no_label() {
    let home = home();
    let in_format = |format| {
        run(
            home.path(),
            &[
                "classify",
                "--model",
                "demo",
                "--prompts",
                "general",
                "--format",
                format,
                "in/a.png",
                "in/c.png",
            ],
        )
    };
    let output = in_format("jsonl");
    assert_eq!(output.status.code(), Some(0));
    let told = stderr(&output);
    assert!(
        told.starts_with("0 classified, 2 rejected (the built-in model judges findings of real images only where labels"),
        "{told}"
    );
    for line in lines(&output) {
        for key in ["label", "description", "probability"] {
            assert_eq!(line.get(key), Some(&Value::Null), "{key}");
        }
        assert!(line["reason"].is_string() && line["scores"][0]["probability"].is_f64());
    }
    let output = in_format("csv");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("in/a.png,0,,,,rejected,"), "{text}");
}

#[test]
fn a_file_named_twice_yields_two_lines() {
    let home = home();
    let output = classify(home.path(), &["in/a.png", "in/c.png", "in/a.png"]);
    let paths: Vec<_> = lines(&output)
        .iter()
        .map(|line| line["path"].clone())
        .collect();
    assert_eq!(paths, ["in/a.png", "in/c.png", "in/a.png"]);
}

#[test]
fn a_result_has_the_documented_fields() {
    let home = home();
    let output = classify(home.path(), &["in/a.png"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let [line] = lines(&output).try_into().expect("one line");
    let keys: Vec<_> = line
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let expected = "path frame label description probability decision reason scores content kind width height frames \
                    modality body_part model model_digest prompts prompts_digest mode calibrated device at notice";
    assert_eq!(keys.join(" "), expected);
    assert_eq!(
        (&line["kind"], &line["width"], &line["height"]),
        (&"png".into(), &40.into(), &30.into())
    );
    assert_eq!(
        (&line["frame"], &line["frames"], &line["mode"]),
        (&0.into(), &1.into(), &"single".into())
    );
    let scores = line["scores"].as_array().expect("a list");
    let of = |key: &str| {
        scores
            .iter()
            .map(|s| s[key].as_f64().expect("a number"))
            .collect::<Vec<_>>()
    };
    assert!((of("probability").iter().sum::<f64>() - 1.0).abs() < 1e-6);
    assert!(of("similarity").iter().all(|s| (-1.0..=1.0).contains(s)));
    assert_eq!(line["label"], scores[0]["condition"]);
    let mut names: Vec<_> = scores
        .iter()
        .map(|s| s["condition"].as_str().expect("text"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["fracture", "normal", "pneumonia", "tumor"]);
    assert!(
        line["content"]
            .as_str()
            .expect("text")
            .starts_with("blake3:")
    );
    assert!(line["at"].as_str().expect("text").ends_with('Z'));
}

#[test]
fn a_named_file_always_yields_a_line_even_twice() {
    let home = home();
    let output = classify(
        home.path(),
        &["in/README", "in/a.png", "nowhere.dcm", "in/a.png"],
    );
    let lines = lines(&output);
    let paths: Vec<_> = lines
        .iter()
        .map(|line| line["path"].as_str().expect("text"))
        .collect();
    assert_eq!(paths, ["in/README", "in/a.png", "nowhere.dcm", "in/a.png"]);
    assert_eq!(lines[2]["error"]["kind"], "not_found");
    assert_eq!(lines[0]["error"]["kind"], "unsupported");
    assert_eq!(lines[1]["scores"], lines[3]["scores"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn multi_mode_decides_on_each_condition_separately() {
    let home = home();
    let output = classify(home.path(), &["--mode", "multi", "in/a.png"]);
    let [line] = lines(&output).try_into().expect("one line");
    assert_eq!(line["mode"], "multi");
    let scores = line["scores"].as_array().expect("a list");
    let best = scores
        .iter()
        .filter(|s| s["condition"] != "normal")
        .max_by(|a, b| {
            let p = |s: &Value| s["probability"].as_f64().expect("a number");
            p(a).total_cmp(&p(b))
        });
    let best = best.expect("abnormal conditions");
    let expected = if best["probability"].as_f64() >= Some(0.5) {
        &best["condition"]
    } else {
        &Value::from("normal")
    };
    assert_eq!(&line["label"], expected);
}

#[test]
fn csv_is_quoted_according_to_rfc_4180() {
    let home = home();
    picture(&home.path().join("=cmd, \"x\".png"), 1);
    let output = classify(
        home.path(),
        &["--format", "csv", "=cmd, \"x\".png", "in/z.png"],
    );
    let mut reader = csv::Reader::from_reader(output.stdout.as_slice());
    let header = reader.headers().expect("a header").clone();
    assert_eq!(header.iter().next(), Some("path"));
    assert!(header.iter().any(|column| column == "p:pneumonia"));
    let rows: Vec<_> = reader
        .records()
        .map(|row| row.expect("well-formed"))
        .collect();
    assert_eq!(&rows[0][0], "'=cmd, \"x\".png", "not a formula");
    let kind = header
        .iter()
        .position(|column| column == "error_kind")
        .expect("there");
    assert!(!rows[1][kind].is_empty() && rows.len() == 2);
}

#[test]
fn a_name_that_is_not_utf8_is_also_given_as_bytes() {
    let home = home();
    let name = OsStr::from_bytes(b"in/\xff.png");
    picture(&home.path().join(name), 1);
    let output = program(home.path())
        .args(["classify", "--model"])
        .arg(checkpoint())
        .arg(name)
        .output()
        .expect("the binary starts");
    let [line] = lines(&output).try_into().expect("one line");
    assert_eq!(line["path"], "in/\u{fffd}.png");
    assert_eq!(line["path_bytes"], "aW4v/y5wbmc=");
}

#[test]
fn unusable_arguments_have_their_exit_code_and_message() {
    let home = home();
    let cases: [(&[&str], i32, &str); 12] = [
        (&["classify"], 2, "PATH"),
        (&["classify", "--frobnicate", "in"], 2, "--frobnicate"),
        (&["classify", "--model", "nowhere", "in"], 3, "nowhere"),
        (&["classify", "--prompts", "nothing", "in"], 3, "nothing"),
        (&["classify", "--device", "cuda:7", "in"], 3, "cuda:7"),
        (&["classify", "--device", "toaster", "in"], 2, "toaster"),
        (&["classify", "--config", "none.toml", "in"], 2, "none.toml"),
        (&["bench", "nowhere"], 2, "nowhere"),
        (
            &["explain", "in/a.png", "--condition", "flu"],
            2,
            "has no condition `flu`",
        ),
        (&["nowhere"], 2, "neither a command nor a file or folder"),
        (
            &["export", "--output", "nowhere/x.csv"],
            2,
            "nowhere: no such folder",
        ),
        (
            &["inspect", "in/a.png", "--render", "nowhere/x.png"],
            1,
            "there is no such folder",
        ),
    ];
    for (arguments, code, word) in cases {
        let output = run(home.path(), arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(word),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert!(
            output.stdout.is_empty(),
            "{arguments:?}: errors do not go to stdout"
        );
    }
}

#[test]
fn a_reader_that_closes_the_pipe_causes_no_failure() {
    let home = home();
    for n in 0..200 {
        picture(&home.path().join(format!("in/{n}.png")), n as u8);
    }
    let mut child = program(home.path())
        .args(["classify", "--model"])
        .arg(checkpoint())
        .arg("in")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut first = [0; 1];
    child
        .stdout
        .take()
        .expect("piped")
        .read_exact(&mut first)
        .expect("one byte"); // then the pipe closes
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.code().is_some(), "no signal");
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn a_prompt_set_from_a_file_is_used() {
    let home = home();
    let set = "name = \"ward\"\n[[condition]]\nname = \"tube\"\nphrases = [\"a tube\"]\n\
               [[condition]]\nname = \"none\"\nphrases = [\"no tube\"]\n";
    fs::write(home.path().join("ward.toml"), set).expect("written");
    let output = classify(home.path(), &["--prompts", "ward.toml", "in/a.png"]);
    let [line] = lines(&output).try_into().expect("one line");
    assert_eq!(
        (&line["prompts"], line["scores"].as_array().map(Vec::len)),
        (&"ward".into(), Some(2))
    );
    let refused = classify(
        home.path(),
        &["--prompts", "ward.toml", "--mode", "multi", "in/a.png"],
    );
    assert_eq!(refused.status.code(), Some(3));
    assert!(stderr(&refused).contains("absent"), "{}", stderr(&refused));
}
