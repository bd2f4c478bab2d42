//! The files that repositories have, or lack, beside the weights.

use std::fs;
use std::path::Path;

use medivision_tui::encoder::{CheckpointLayout, DualEncoder, Encoder, checkpoint};

use crate::{
    EXACT, Golden, copied_without, cosine, fixtures, golden, inputs, lowest, open, refusal,
    set_key, texts, tokenized,
};

fn assert_tokens(encoder: &DualEncoder, golden: &Golden) {
    for text in &golden.texts {
        let found = encoder.tokenize(&text.text).unwrap().ids;
        assert_eq!(found, text.ids, "{:?}", text.text);
    }
}

#[test]
fn a_sentencepiece_model_alone_gives_the_references_token_ids() {
    let folder = copied_without("siglip", &["tokenizer.json"]);
    assert_tokens(&open(folder.path()), &golden(folder.path()));
    fs::remove_file(folder.path().join("spiece.model")).unwrap();
    let error = refusal(&folder).to_string();
    assert!(
        error.contains("tokenizer.json") && error.contains("spiece.model"),
        "{error}"
    );
}

#[test]
fn texts_are_cleaned_as_an_open_clip_model_says() {
    let folder = copied_without("open-clip", &[]);
    let path = ["model_cfg", "text_cfg", "tokenizer_kwargs"];
    let settings = serde_json::json!({"clean": "canonicalize"});
    set_key(folder.path(), "open_clip_config.json", &path, settings);
    let encoder = open(folder.path());
    for entry in tokenized("canonicalized_tokens.json") {
        let found = encoder.tokenize(&entry.text).unwrap().ids;
        assert_eq!(found, entry.ids, "{:?}", entry.text);
    }
    let settings = serde_json::json!({"reduction_mask": "random"});
    set_key(folder.path(), "open_clip_config.json", &path, settings);
    let error = refusal(&folder).to_string();
    assert!(error.contains("reduction_mask"), "{error}");
}

/// As XrayCLIP's repository has it.
#[test]
fn tokens_and_merges_alone_give_the_references_token_ids() {
    let folder = copied_without("clip-early", &["tokenizer.json"]);
    let json = fs::read(fixtures().join("clip-early/tokenizer.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let model = &json["model"];
    let pair = |pair: &serde_json::Value| match pair.as_array() {
        Some(both) => format!(
            "{} {}\n",
            both[0].as_str().unwrap(),
            both[1].as_str().unwrap()
        ),
        None => format!("{}\n", pair.as_str().unwrap()),
    };
    let merges: String = model["merges"]
        .as_array()
        .unwrap()
        .iter()
        .map(pair)
        .collect();
    fs::write(folder.path().join("vocab.json"), model["vocab"].to_string()).unwrap();
    let merges = format!("#version: 0.2\n{merges}");
    fs::write(folder.path().join("merges.txt"), merges).unwrap();
    assert_tokens(&open(folder.path()), &golden(folder.path()));
    fs::remove_file(folder.path().join("merges.txt")).unwrap();
    let error = refusal(&folder).to_string();
    assert!(error.contains("merges.txt"), "{error}");
}

/// XrayCLIP has 256 positions, of which its tokenizer fills 77.
#[test]
fn the_tokenizer_may_read_less_of_a_text_than_the_model_could() {
    let folder = copied_without("clip-early", &[]);
    set_key(
        folder.path(),
        "tokenizer_config.json",
        &["model_max_length"],
        9.into(),
    );
    let encoder = open(folder.path());
    let mut cut = 0;
    for text in golden(folder.path()).texts {
        let mut expected = text.ids.clone();
        if let (true, Some(&end)) = (expected.len() > 9, text.ids.last()) {
            expected.truncate(8);
            expected.push(end);
            cut += 1;
            assert!(encoder.cut_off(&text.text).is_some(), "{:?}", text.text);
        }
        assert_eq!(encoder.tokenize(&text.text).unwrap().ids, expected);
    }
    assert!(cut > 3);
}

#[test]
fn nested_preprocessing_counts_more_than_the_older_file() {
    let folder = copied_without("clip-early", &[]);
    let path = folder.path().join("processor_config.json");
    let older = open(folder.path()).preprocess().normalisation();
    fs::write(&path, r#"{"processor_class": "CLIPProcessor"}"#).unwrap();
    assert_eq!(open(folder.path()).preprocess().normalisation(), older);
    let nested =
        r#"{"image_processor": {"size": 32, "crop_size": 32, "image_mean": [0.1, 0.2, 0.3]}}"#;
    fs::write(&path, nested).unwrap();
    let (mean, _) = open(folder.path()).preprocess().normalisation();
    assert_eq!(mean.map(|m| (m * 10.0).round() as i32), [1, 2, 3]);
}

#[test]
fn a_folder_with_one_file_of_weights_is_read_as_that_file() {
    let golden = golden(&fixtures().join("openai"));
    let mut encoder = checkpoint::open(&fixtures().join("openai"), EXACT).unwrap();
    assert_tokens(&encoder, &golden);
    let found = encoder.encode_texts(&texts(&golden)).unwrap();
    for (found, expected) in found.iter().zip(&golden.texts) {
        assert!(cosine(found, &expected.embedding) >= 0.9999);
    }
    let folder = copied_without("openai", &[]);
    fs::copy(folder.path().join("model.pt"), folder.path().join("b.pt")).unwrap();
    let error = refusal(&folder).to_string();
    assert!(error.contains("b.pt, model.pt"), "{error}");
}

/// Of such a model only the catalogue knows the architecture, and another repository has the tokenizer.
#[test]
fn a_model_that_the_catalogue_describes_equals_its_reference() {
    let golden = golden(&fixtures().join("unimed"));
    let assert_equal = |mut encoder: DualEncoder| {
        assert_tokens(&encoder, &golden);
        let found = encoder.encode_texts(&texts(&golden)).unwrap();
        let written = found.iter().zip(golden.texts.iter().map(|t| &t.embedding));
        let found = encoder.encode_images(&inputs(&encoder, &golden)).unwrap();
        let pictures = found
            .iter()
            .zip(golden.pictures.iter().map(|p| &p.embedding));
        for (found, expected) in written.chain(pictures) {
            assert!(cosine(found, expected) >= 0.9999);
        }
    };
    let name = "unimed-clip-vit-b16.pt";
    assert_equal(checkpoint::open(&fixtures().join("unimed").join(name), EXACT).unwrap());
    // In the hub's cache.
    let cache = tempfile::tempdir().unwrap();
    let snapshot = |id: &str| {
        let model = cache.path().join(format!("models--{id}"));
        fs::create_dir_all(model.join("refs")).unwrap();
        fs::write(model.join("refs/main"), "c0").unwrap();
        fs::create_dir_all(model.join("snapshots/c0")).unwrap();
        model.join("snapshots/c0")
    };
    let model = snapshot("UzairK--unimed-clip-vit-b16");
    fs::copy(fixtures().join("unimed").join(name), model.join(name)).unwrap();
    let error = checkpoint::open(&model, EXACT).err().unwrap().to_string();
    assert!(error.contains("pull the model again"), "{error}");
    let tokenizer = snapshot("microsoft--BiomedNLP-BiomedBERT-base-uncased-abstract");
    fs::copy(
        fixtures().join("unimed/vocab.txt"),
        tokenizer.join("vocab.txt"),
    )
    .unwrap();
    assert_equal(checkpoint::open(&model, EXACT).unwrap());
}

/// The lowest cosine of the texts' embeddings with the golden ones.
fn lowest_of_texts(folder: &Path) -> f64 {
    let golden = golden(folder);
    let found = open(folder).encode_texts(&texts(&golden)).unwrap();
    lowest(
        found
            .iter()
            .zip(&golden.texts)
            .map(|(f, e)| cosine(f, &e.embedding)),
    )
}

#[test]
fn a_bert_has_the_heads_that_its_configuration_states() {
    let folder = copied_without("biomedclip", &[]);
    let heads = |count: i64| {
        let value = serde_json::json!({"num_attention_heads": count});
        let path = ["model_cfg", "text_cfg", "hf_model_config"];
        set_key(folder.path(), "open_clip_config.json", &path, value);
        lowest_of_texts(folder.path())
    };
    assert!(heads(2) >= 0.9999);
    assert!(heads(4) < 0.999);
    // The same from the text tower's own configuration.
    set_key(
        folder.path(),
        "open_clip_config.json",
        &["model_cfg", "text_cfg", "hf_model_config"],
        serde_json::Value::Null,
    );
    let own = r#"{"model_type": "bert", "num_attention_heads": 4}"#;
    fs::write(folder.path().join("config.json"), own).unwrap();
    assert!(lowest_of_texts(folder.path()) < 0.999);
}

/// open_clip reads no `config.json`; repositories have one that belongs to timm, or that describes CLIP's own text tower.
#[test]
fn a_configuration_beside_open_clips_is_followed_only_if_it_is_a_berts() {
    let folder = copied_without("biomedclip", &[]);
    for foreign in [
        r#"{"architectures": ["BertCLIPModel"], "model_type": "clip",
            "text_config": {"model_type": "clip_text_model", "num_attention_heads": 4}}"#,
        r#"{"model_type": "clip", "projection_dim": 512}"#,
        r#"{"model_type": "clip", "text_config": {"num_attention_heads": 4, "hidden_act": "quick_gelu"}}"#,
        r#"{"architecture": "vit_base_patch16_224", "num_attention_heads": 4}"#,
        "not JSON",
    ] {
        fs::write(folder.path().join("config.json"), foreign).unwrap();
        assert!(lowest_of_texts(folder.path()) >= 0.9999, "{foreign}");
    }
}

/// A folder as a training run of open_clip leaves it: the configuration, and weights of an epoch.
fn training_run() -> tempfile::TempDir {
    let folder = copied_without("open-clip-bin", &["open_clip_pytorch_model.bin"]);
    let weights = fixtures().join("open-clip-bin/open_clip_pytorch_model.bin");
    fs::copy(weights, folder.path().join("epoch_10.pt")).unwrap();
    folder
}

#[test]
fn a_checkpoint_of_a_training_run_is_what_the_configuration_beside_it_says() {
    let folder = training_run();
    let golden = golden(folder.path());
    let assert_equal = |path: &Path| {
        let mut encoder = checkpoint::open(path, EXACT).unwrap();
        assert_eq!(encoder.assumption(), None);
        let found = encoder.encode_texts(&texts(&golden)).unwrap();
        for (found, expected) in found.iter().zip(&golden.texts) {
            assert!(cosine(found, &expected.embedding) >= 0.9999);
        }
    };
    assert_equal(folder.path());
    let file = folder.path().join("epoch_10.pt");
    assert_equal(&file);
    fs::copy(&file, folder.path().join("epoch_9.pt")).unwrap();
    assert_equal(&file);
    // What the configuration says counts, also of the activation.
    let exact = |says: bool| {
        let path = ["model_cfg", "quick_gelu"];
        set_key(folder.path(), "open_clip_config.json", &path, says.into());
        let mut encoder = checkpoint::open(&file, EXACT).unwrap();
        encoder.encode_texts(&texts(&golden)).unwrap()
    };
    assert_ne!(exact(false), exact(true));
    // Which of two is meant is not known.
    let error = refusal(&folder).to_string();
    assert!(error.contains("a single .pt file"), "{error}");
    // Beside open_clip's own weights, the configuration is theirs.
    let own = folder.path().join("open_clip_pytorch_model.bin");
    fs::copy(&file, &own).unwrap();
    assert_equal(&own);
    assert!(CheckpointLayout::of(&file).unwrap() == CheckpointLayout::StateDict);
}

#[test]
fn a_file_of_weights_alone_says_what_is_assumed_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let from = fixtures().join("chexzero");
    let open = |name: &str| {
        fs::copy(from.join("chexzero.pt"), folder.path().join(name)).unwrap();
        let tokenizer = folder.path().join("tokenizer.json");
        fs::copy(from.join("tokenizer.json"), tokenizer).unwrap();
        checkpoint::open(&folder.path().join(name), EXACT).unwrap()
    };
    assert_eq!(open("chexzero-best.pt").assumption(), None);
    let said = open("epoch_10.pt").assumption().unwrap();
    assert!(said.contains("QuickGELU") && said.contains("open_clip_config.json"));
    // OpenAI's own archives are known.
    let encoder = checkpoint::open(&fixtures().join("openai"), EXACT).unwrap();
    assert_eq!(encoder.assumption(), None);
}

#[test]
fn a_text_tower_without_stated_heads_has_open_clips_eight() {
    let folder = copied_without("open-clip", &[]);
    let with = |heads: serde_json::Value| {
        let path = ["model_cfg", "text_cfg", "heads"];
        set_key(folder.path(), "open_clip_config.json", &path, heads);
        open(folder.path())
            .encode_texts(&["a chest film".to_owned()])
            .unwrap()
    };
    let eight = with(8.into());
    assert_eq!(with(serde_json::Value::Null), eight);
    assert_ne!(with(4.into()), eight);
}
