//! Models: precision, devices, and the cache of text embeddings.

use super::*;

/// SigLIP needs no `absent` phrases.
#[test]
fn a_model_with_a_bias_supports_multi_mode_without_absent_phrases() {
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
    // Without a bias, `absent` phrases are required.
    assert_eq!(ask("clip-late", "multi").status.code(), Some(3));
}

#[test]
fn a_second_run_reads_text_embeddings_from_the_cache() {
    let home = tempfile::tempdir().expect("a home");
    picture(&home.path().join("p.png"), 90);
    let probability = || {
        let output = classify(home.path(), &["p.png", "--prompts", "general"]);
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
    // The cache is used: negating one condition's vectors changes the result.
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

/// No machine has a hundredth GPU.
#[test]
fn a_missing_gpu_is_refused_with_the_reason_and_auto_falls_back() {
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
fn the_requested_precision_is_used() {
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
