//! The commands without a screen, as a script sees them: the real binary, its output and its exit code.

mod hostile;
mod measures;
mod objects;
mod printing;
mod settings;

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A tiny CLIP with random weights: its answers mean nothing, but they are computed for real.
fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/clip-late")
}

/// The binary in a home of its own, without the user's settings.
fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medivision-tui"));
    command
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null());
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    program(home)
        .args(arguments)
        .output()
        .expect("the binary starts")
}

fn classify(home: &Path, arguments: &[&str]) -> Output {
    let model = checkpoint();
    let mut all = vec!["classify", "--model", model.to_str().expect("UTF-8")];
    all.extend(arguments);
    run(home, &all)
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn picture(path: &Path, grey: u8) {
    image::GrayImage::from_pixel(40, 30, image::Luma([grey]))
        .save(path)
        .expect("written");
}

/// A home with `in/`: three pictures in two folders, one damaged, and what is no picture.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("in");
    fs::create_dir_all(folder.join("b")).expect("made");
    picture(&folder.join("c.png"), 10);
    picture(&folder.join("a.png"), 20);
    picture(&folder.join("b/d.png"), 30);
    picture(&folder.join(".hidden.png"), 40);
    fs::write(folder.join("README"), "not a picture").expect("written");
    let whole = fs::read(folder.join("a.png")).expect("read");
    fs::write(folder.join("z.png"), &whole[..50]).expect("written");
    home
}

#[test]
fn a_folder_yields_one_line_per_picture_in_bytewise_order() {
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
fn rejected_pictures_are_counted_as_such_and_claim_nothing() {
    let home = home();
    let in_format = |format| {
        run(
            home.path(),
            &[
                "classify", "--model", "demo", "--format", format, "in/a.png", "in/c.png",
            ],
        )
    };
    let output = in_format("jsonl");
    assert_eq!(output.status.code(), Some(0));
    let told = stderr(&output);
    assert!(
        told.starts_with("0 classified, 2 rejected (the demo model knows only synthetic phantoms"),
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
fn a_result_has_the_contracts_shape() {
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
                    modality body_part model model_digest prompts prompts_digest mode device at notice";
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
fn files_named_always_yield_a_line_also_twice() {
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
fn multi_mode_asks_each_condition_alone() {
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
fn csv_quotes_as_rfc_4180_says() {
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
    assert_eq!(&rows[0][0], "'=cmd, \"x\".png", "disarmed");
    let kind = header
        .iter()
        .position(|column| column == "error_kind")
        .expect("there");
    assert!(!rows[1][kind].is_empty() && rows.len() == 2);
}

#[test]
fn a_name_that_is_not_utf8_is_kept_exactly() {
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
fn what_cannot_be_used_has_its_exit_code_and_sentence() {
    let home = home();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["classify"], 2, "PATH"),
        (&["classify", "--frobnicate", "in"], 2, "--frobnicate"),
        (&["classify", "--model", "nowhere", "in"], 3, "nowhere"),
        (&["classify", "--prompts", "nothing", "in"], 3, "nothing"),
        (&["classify", "--device", "cuda:7", "in"], 3, "cuda:7"),
        (&["classify", "--device", "toaster", "in"], 2, "toaster"),
        (&["classify", "--config", "none.toml", "in"], 2, "none.toml"),
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
fn a_reader_that_has_seen_enough_is_no_failure() {
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
fn a_users_prompt_set_changes_the_task() {
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

#[test]
fn prompts_check_names_file_and_line() {
    let home = home();
    fs::write(
        home.path().join("bad.toml"),
        "name = \"x\"\ntemplates = [\"no place\"]\n",
    )
    .expect("written");
    let output = run(home.path(), &["prompts", "check", "bad.toml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("bad.toml"), "{}", stderr(&output));
    let output = run(home.path(), &["prompts", "check"]);
    assert_eq!(output.status.code(), Some(0));
    let output = run(home.path(), &["prompts", "list"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for name in ["general", "chest-xray", "brain-mri", "bone-xray"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{text}");
    }
}

#[test]
fn inspect_tells_what_a_file_is_and_writes_it() {
    let home = home();
    let output = run(home.path(), &["inspect", "in/a.png", "--render", "out.png"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let [report] = lines(&output).try_into().expect("one line");
    assert_eq!(
        (&report["kind"], &report["width"], &report["frame"]),
        (&"png".into(), &40.into(), &0.into())
    );
    assert_eq!(report["warnings"], serde_json::json!([]));
    let stats = &report["stats"];
    assert_eq!(
        (
            stats["min"].as_f64(),
            stats["max"].as_f64(),
            stats["mean"].as_f64()
        ),
        (Some(20.0), Some(20.0), Some(20.0))
    );
    let written = image::open(home.path().join("out.png"))
        .expect("a picture")
        .to_luma8();
    assert_eq!(
        (written.dimensions(), written.get_pixel(0, 0).0),
        ((40, 30), [20])
    );
    let output = run(home.path(), &["inspect", "nowhere.png"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output)[0]["error"]["kind"], "not_found");
}

/// Whatever name leads to the file that is read.
#[test]
fn inspect_never_writes_over_the_file_it_reads() {
    let home = home();
    let at = |name: &str| home.path().join(name);
    let before = fs::read(at("in/a.png")).expect("the file");
    fs::hard_link(at("in/a.png"), at("hard.png")).expect("a link");
    std::os::unix::fs::symlink("in/a.png", at("soft.png")).expect("a link");
    for out in ["in/a.png", "in/../in/a.png", "hard.png", "soft.png"] {
        let output = run(home.path(), &["inspect", "in/a.png", "--render", out]);
        assert_eq!(output.status.code(), Some(2), "{out}");
        let said = "the image would overwrite the file that it is rendered from";
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    assert_eq!(fs::read(at("in/a.png")).expect("the file"), before);
}

#[test]
fn inspect_writes_a_picture_whole_or_not_at_all() {
    let home = home();
    let noise = image::GrayImage::from_fn(400, 300, |x, y| {
        image::Luma([((x * 7919 + y * 104_729).wrapping_mul(2_654_435_761) >> 24) as u8])
    });
    noise.save(home.path().join("noise.png")).expect("written");
    fs::create_dir(home.path().join("out")).expect("a folder");
    // Files may not grow beyond 8 kB, as on a disk that is full.
    let limited = |arguments: &str| {
        let binary = env!("CARGO_BIN_EXE_medivision-tui");
        let script = format!("trap '' XFSZ; ulimit -f 8; exec {binary} inspect {arguments}");
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", &script]).current_dir(home.path());
        shell.env("HOME", home.path()).output().expect("a shell")
    };
    for (arguments, said) in [
        ("noise.png --render out/a.png", "out/a.png: "),
        ("noise.png --render /dev/full", "/dev/full: "),
        ("noise.png --render none/a.png", "none/a.png: "),
        ("noise.png > /dev/full", "the output cannot be written"),
    ] {
        let output = limited(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert_eq!(lines(&output), Vec::<Value>::new());
    }
    let left = fs::read_dir(home.path().join("out")).expect("a folder");
    assert_eq!(left.count(), 0);
}

#[test]
fn completions_are_scripts() {
    let home = home();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(home.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("medivision-tui"),
            "{shell}"
        );
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let home = home();
    let output = run(home.path(), &["man", "in"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for (page, words) in [
        ("medivision-tui.1", "log\\-level"),
        ("medivision-tui-classify.1", "batch\\-size"),
        ("medivision-tui-models-pull.1", "revision"),
    ] {
        let text = fs::read_to_string(home.path().join("in").join(page)).expect(page);
        assert!(
            text.contains(".TH") && text.contains(words),
            "{page}: {text}"
        );
    }
    let output = run(home.path(), &["man", "nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nowhere: "), "{}", stderr(&output));
}

#[test]
fn doctor_reports_and_fails_when_the_model_cannot_be_used() {
    let home = home();
    let model = checkpoint();
    let output = run(
        home.path(),
        &[
            "doctor",
            "--json",
            "--model",
            model.to_str().expect("UTF-8"),
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names: Vec<_> = report
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| c["name"].as_str())
        .collect();
    assert!(
        names.contains(&Some("model")) && names.contains(&Some("terminal")),
        "{names:?}"
    );
    let output = run(home.path(), &["doctor", "--model", "nowhere"]);
    assert_eq!(output.status.code(), Some(3));
    for (locale, arrow) in [("C", "> check --model"), ("C.UTF-8", "→ check --model")] {
        let mut program = program(home.path());
        let program = program.env("TERM", "xterm").env("LC_ALL", locale);
        let output = program.args(["doctor", "--model", "nowhere"]).output();
        let text = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
        assert!(text.contains(arrow), "{text}");
        assert_eq!(text.is_ascii(), locale == "C", "{text}");
    }
}

/// The SigLIP of the parity tests, whose prompts need no phrases for absence.
#[test]
fn a_model_with_a_bias_judges_each_condition_alone_without_absent_phrases() {
    let home = tempfile::tempdir().expect("a home");
    let set = "name = \"t\"\n[[condition]]\nname = \"a\"\nphrases = [\"pneumonia\"]\n[[condition]]\nname = \"b\"\nphrases = [\"a fracture\"]\nnormal = true\n";
    fs::write(home.path().join("t.toml"), set).expect("written");
    picture(&home.path().join("p.png"), 90);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    let ask = |model: &str, mode: &str| {
        let model = fixtures.join(model);
        let model = model.to_str().expect("UTF-8");
        let arguments = [
            "classify",
            "--model",
            model,
            "--prompts",
            "t.toml",
            "--mode",
            mode,
            "p.png",
        ];
        run(home.path(), &arguments)
    };
    let sum = |output: &Output| -> f64 {
        let lines = lines(output);
        let scores = lines[0]["scores"].as_array().expect("scores");
        scores
            .iter()
            .map(|s| s["probability"].as_f64().expect("a number"))
            .sum()
    };
    let single = ask("siglip", "single");
    assert!((sum(&single) - 1.0).abs() < 1e-9, "{}", stderr(&single));
    let multi = ask("siglip", "multi");
    // A bias of -7 makes everything unlikely.
    assert!(sum(&multi) < 0.5, "{}", stderr(&multi));
    assert_eq!(lines(&multi)[0]["label"], "b");
    // A softmax knows no absence by itself.
    assert_eq!(ask("clip-late", "multi").status.code(), Some(3));
}

#[test]
fn a_second_run_takes_its_text_embeddings_from_the_cache() {
    let home = tempfile::tempdir().expect("a home");
    picture(&home.path().join("p.png"), 90);
    let probability = || {
        let output = classify(home.path(), &["p.png"]);
        lines(&output)[0]["probability"].clone()
    };
    let first = probability();
    let folder = home.path().join(".cache/medivision-tui/texts");
    let files = || {
        fs::read_dir(&folder)
            .expect("the cache")
            .flatten()
            .collect::<Vec<_>>()
    };
    assert!(!files().is_empty());
    assert_eq!(probability(), first);
    // It is used: with one condition's vectors turned round the answer is another.
    let path = files()[0].path();
    let mut bytes = fs::read(&path).expect("read");
    bytes.truncate(bytes.len() - blake3::OUT_LEN);
    bytes[8..]
        .iter_mut()
        .skip(3)
        .step_by(4)
        .for_each(|high| *high ^= 0x80);
    let hash = blake3::hash(&bytes);
    bytes.extend(hash.as_bytes());
    fs::write(&path, bytes).expect("written");
    assert_ne!(probability(), first);
}

/// The hundredth is on no machine.
#[test]
fn a_gpu_that_is_not_there_is_refused_with_the_reason_and_auto_goes_on() {
    let home = tempfile::tempdir().expect("a home");
    picture(&home.path().join("p.png"), 90);
    let output = classify(home.path(), &["p.png", "--device", "cuda:99"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("cuda:99 cannot be used: "),
        "{}",
        stderr(&output)
    );
    let output = classify(home.path(), &["p.png", "--device", "auto"]);
    let has_gpu = Path::new("/dev/nvidia0").exists();
    let device = &lines(&output)[0]["device"];
    assert!(device == "cpu" || has_gpu && device == "cuda:0", "{device}");
}

#[test]
fn sixteen_bits_are_used_when_asked_for() {
    let home = tempfile::tempdir().expect("a home");
    picture(&home.path().join("p.png"), 90);
    let probability = |precision: &str| {
        let output = classify(home.path(), &["p.png", "--precision", precision]);
        lines(&output)[0]["probability"].as_f64().expect("a number")
    };
    let (exact, half) = (probability("f32"), probability("bf16"));
    assert!(
        (exact - half).abs() < 0.1 && exact.to_bits() != half.to_bits(),
        "{exact} {half}"
    );
    assert_eq!(probability("auto").to_bits(), exact.to_bits());
    let output = classify(home.path(), &["p.png", "--precision", "f8"]);
    assert_eq!(output.status.code(), Some(2));
}
