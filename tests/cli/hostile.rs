//! Files that would take unbounded time or memory, and models with meaningless weights.

use std::time::{Duration, Instant};

use super::*;

/// How long a refusal may take on a busy machine.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a command that must end by itself within [`REFUSAL_TIMEOUT`].
fn run_bounded(home: &Path, arguments: &[&str]) -> Output {
    let mut command = program(home);
    command.args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let begun = Instant::now();
    while child.try_wait().expect("asked").is_none() {
        if begun.elapsed() > REFUSAL_TIMEOUT {
            child.kill().expect("killed");
            panic!("{arguments:?} does not end");
        }
        std::thread::yield_now();
    }
    child.wait_with_output().expect("it ended")
}

#[test]
fn devices_and_pipes_are_refused_wherever_a_file_is_expected() {
    let home = home();
    let at = |name: &str| home.path().join(name);
    let (cwd, fifo) = (rustix::fs::CWD, rustix::fs::FileType::Fifo);
    rustix::fs::mknodat(cwd, at("fifo.toml"), fifo, 0o600.into(), 0).expect("a FIFO");
    fs::create_dir_all(at("model")).expect("a folder");
    fs::create_dir_all(at("endless")).expect("a folder");
    std::os::unix::fs::symlink("../fifo.toml", at("model/config.json")).expect("a link");
    std::os::unix::fs::symlink("/dev/zero", at("endless/config.json")).expect("a link");
    std::os::unix::fs::symlink("/dev/zero", at("zero.toml")).expect("a link");
    for name in ["fifo.toml", "zero.toml"] {
        let commands: [(&[&str], i32); 5] = [
            (&["prompts", "check", name], 3),
            (&["classify", "in/a.png", "--prompts", name], 3),
            (&["classify", "in/a.png", "--config", name], 2),
            (&["eval", name], 2),
            (&["classify", "in/a.png", "--model", name], 3),
        ];
        for (arguments, code) in commands {
            let output = run_bounded(home.path(), arguments);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
            assert!(said.contains("not a file"), "{arguments:?}: {said}");
        }
    }
    for folder in ["model", "endless"] {
        let output = run_bounded(home.path(), &["models", "info", folder]);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    }
}

/// Copies a checkpoint, so that its files can be changed.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the checkpoint").flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
}

#[test]
fn a_tokenizer_that_lengthens_texts_without_bound_is_refused() {
    let home = home();
    let model = home.path().join("model");
    copy(&checkpoint(), &model);
    let path = model.join("tokenizer.json");
    let text = fs::read_to_string(&path).expect("the vocabulary");
    let mut tokenizer: Value = serde_json::from_str(&text).expect("JSON");
    let step =
        serde_json::json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaa"});
    tokenizer["normalizer"] = serde_json::json!({"type": "Sequence", "normalizers": vec![step; 9]});
    fs::write(&path, tokenizer.to_string()).expect("written");
    let output = run_bounded(home.path(), &["classify", "in/a.png", "--model", "model"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("lengthen texts"),
        "{}",
        stderr(&output)
    );
}

/// Writes the small transformer among the fixtures, with all values (16 bits each) of the tensors whose name has this prefix replaced.
fn damaged_model(folder: &Path, prefix: &str, value: [u8; 2]) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vit");
    copy(&demo, folder);
    let path = folder.join("model.safetensors");
    let mut bytes = fs::read(&path).expect("the weights");
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a header");
    let length = u64::from_le_bytes(*length) as usize;
    let header: Value = serde_json::from_slice(&rest[..length]).expect("JSON");
    let tensors = header.as_object().expect("tensors").iter();
    let ranges: Vec<Vec<usize>> = tensors
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(_, tensor)| serde_json::from_value(tensor["data_offsets"].clone()).expect("two"))
        .collect();
    assert!(!ranges.is_empty(), "{prefix}");
    for range in ranges {
        let data = &mut bytes[8 + length + range[0]..8 + length + range[1]];
        data.as_chunks_mut::<2>().0.fill(value);
    }
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_model_with_meaningless_weights_is_refused() {
    let home = home();
    let folder = home.path().join("model");
    let (nan, infinite, zero) = ([0x00, 0x7e], [0x00, 0x7c], [0, 0]);
    for (begins, value, words) in [
        ("vision_model.", nan, "not finite"),
        ("text_model.", nan, "not finite"),
        ("visual_projection", infinite, "not finite"),
        ("visual_projection", zero, "every image the same embedding"),
        (
            "vision_model.embeddings.patch",
            zero,
            "every image the same embedding",
        ),
        ("text_projection", zero, "every text the same embedding"),
    ] {
        damaged_model(&folder, begins, value);
        let output = run(home.path(), &["classify", "in/a.png", "--model", "model"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{begins}: {said}");
        assert!(said.contains(words), "{begins}: {said}");
        assert!(output.stdout.is_empty(), "{begins}");
    }
}

#[test]
fn a_phrase_that_is_too_long_for_the_model_is_reported() {
    let home = home();
    let long = "a chest image of this kind ".repeat(30);
    let set = format!(
        "name = \"cut\"\n[[condition]]\nname = \"a\"\nphrases = [\"{long}with effusion\"]\n\
         [[condition]]\nname = \"b\"\nphrases = [\"short\"]\n"
    );
    fs::write(home.path().join("cut.toml"), set).expect("written");
    let model = checkpoint();
    let model = model.to_str().expect("UTF-8");
    for arguments in [
        &["prompts", "check", "cut.toml", "--model", model][..],
        &[
            "classify",
            "in/a.png",
            "--prompts",
            "cut.toml",
            "--model",
            model,
        ],
    ] {
        let output = run(home.path(), arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(
            said.starts_with("warning: prompt set `cut`, condition `a`: "),
            "{said}"
        );
        assert!(said.contains("of the phrase `a chest image"), "{said}");
        assert!(
            said.contains("it does not see `…") && said.contains("effusion`"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let output = run(home.path(), &["prompts", "check", "cut.toml"]);
    assert_eq!(stderr(&output), "");
}
