//! Checkpoints that are damaged, hostile, or of a family that is not supported.

use std::fs;
use std::path::Path;

use medivision_tui::encoder::{EncoderError, checkpoint};

use crate::{EXACT, copied_without, fixtures, refusal, set_key};

/// Copies a checkpoint with changed tensors: `change` returns a tensor's new shape, or `None` to leave it out. `more` names
/// an additional tensor.
fn changed(
    change: impl Fn(&str, &[usize]) -> Option<Vec<usize>>,
    more: Option<&str>,
) -> tempfile::TempDir {
    let from = fixtures().join("clip-early");
    let to = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "preprocessor_config.json"] {
        fs::copy(from.join(file), to.path().join(file)).unwrap();
    }
    let bytes = fs::read(from.join("model.safetensors")).unwrap();
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in all.tensors() {
        if let Some(shape) = change(&name, view.shape()) {
            let view =
                safetensors::tensor::TensorView::new(view.dtype(), shape, view.data()).unwrap();
            if name == "logit_scale"
                && let Some(more) = more
            {
                tensors.push((more.to_owned(), view.clone()));
            }
            tensors.push((name, view));
        }
    }
    safetensors::serialize_to_file(tensors, None, &to.path().join("model.safetensors")).unwrap();
    to
}

#[test]
fn an_unchanged_copy_is_accepted() {
    let folder = changed(|_, shape| Some(shape.to_vec()), None);
    assert!(checkpoint::open(folder.path(), EXACT).is_ok());
}

#[test]
fn a_missing_tensor_is_an_error_that_names_it() {
    for missing in [
        "logit_scale",
        "visual_projection.weight",
        "text_model.encoder.layers.1.mlp.fc2.bias",
        "vision_model.embeddings.class_embedding",
        "vision_model.pre_layrnorm.weight",
    ] {
        let error = refusal(&changed(
            |name, shape| (name != missing).then(|| shape.to_vec()),
            None,
        ));
        assert!(
            matches!(&error, EncoderError::MissingTensor(name) if name == missing),
            "{error}"
        );
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[test]
fn a_surplus_tensor_is_an_error_that_names_it() {
    // The typical surplus: one layer more than the configuration says.
    let surplus = "vision_model.encoder.layers.2.layer_norm1.weight";
    let error = refusal(&changed(|_, shape| Some(shape.to_vec()), Some(surplus)));
    assert!(
        matches!(&error, EncoderError::SurplusTensors { first, .. } if first == surplus),
        "{error}"
    );
    assert!(error.to_string().contains(surplus), "{error}");
}

#[test]
fn a_misshapen_tensor_is_an_error_that_names_it() {
    for misshapen in [
        "text_model.embeddings.token_embedding.weight",
        "vision_model.encoder.layers.0.mlp.fc1.weight",
    ] {
        let turned = |name: &str, shape: &[usize]| {
            Some(if name == misshapen {
                shape.iter().rev().copied().collect()
            } else {
                shape.to_vec()
            })
        };
        let error = refusal(&changed(turned, None));
        assert!(
            matches!(&error, EncoderError::Shape { name, .. } if name == misshapen),
            "{error}"
        );
        assert!(error.to_string().contains(misshapen), "{error}");
    }
}

#[test]
fn a_missing_shard_is_an_error_that_names_the_file() {
    let from = fixtures().join("clip-late");
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    let shard = "model-00002-of-00003.safetensors";
    fs::remove_file(to.path().join(shard)).unwrap();
    let error = refusal(&to).to_string();
    assert!(error.contains(shard), "{error}");
}

#[test]
fn a_malicious_pickle_is_refused_and_its_command_does_not_run() {
    let trace = Path::new("/tmp/medivision-was-here");
    let _ = fs::remove_file(trace);
    let error = match checkpoint::open(&fixtures().join("malicious.pt"), EXACT) {
        Ok(_) => panic!("the checkpoint was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(
        error.contains("malicious.pt") && error.contains("posix.system"),
        "{error}"
    );
    assert!(!trace.exists(), "the command ran");
}

#[test]
fn a_clip_model_with_another_familys_text_tower_or_its_own_code_is_refused_by_name() {
    for (key, value, named) in [
        (
            "auto_map",
            serde_json::json!({"AutoModel": "m.M"}),
            "`auto_map`",
        ),
        (
            "text_config",
            serde_json::json!({"model_type": "bert"}),
            "`bert`",
        ),
    ] {
        let folder = copied_without("clip-early", &[]);
        let path = folder.path().join("config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config[key] = value;
        fs::write(&path, config.to_string()).unwrap();
        let error = refusal(&folder).to_string();
        assert!(
            error.contains(named) && error.contains("config.json"),
            "{error}"
        );
    }
}

#[test]
fn a_text_tower_that_only_looks_like_bert_is_refused() {
    let folder = copied_without("biomedclip", &[]);
    let path = ["model_cfg", "text_cfg", "hf_model_name"];
    let file = "open_clip_config.json";
    set_key(folder.path(), file, &path, "xlm-roberta-base".into());
    let error = refusal(&folder).to_string();
    assert!(
        error.contains("xlm-roberta-base") && error.contains(file),
        "{error}"
    );
    let folder = copied_without("biomedclip", &["tokenizer.json"]);
    let foreign = fixtures().join("open-clip/tokenizer.json");
    fs::copy(foreign, folder.path().join("tokenizer.json")).unwrap();
    let error = refusal(&folder).to_string();
    assert!(error.contains("WordPiece"), "{error}");
}

#[test]
fn a_truncated_or_foreign_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(fixtures().join("chexzero/chexzero.pt")).unwrap();
    let cases: [(&str, &[u8]); 4] = [
        ("short.pt", &whole[..whole.len() / 2]),
        ("empty.pt", b""),
        ("old.pt", b"\x80\x02}q\x00."),
        ("text.pt", b"not weights at all"),
    ];
    for (name, bytes) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = match checkpoint::open(&path, EXACT) {
            Ok(_) => panic!("{name} was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(name), "{error}");
    }
}

/// As `git clone` without git-lfs, and the "raw" link of a page, leave files.
#[test]
fn a_pointer_in_place_of_a_file_is_named_with_what_to_do() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    for name in ["model.safetensors", "tokenizer.json"] {
        let folder = copied_without("clip-early", &[]);
        fs::write(folder.path().join(name), pointer).unwrap();
        let error = refusal(&folder).to_string();
        assert!(
            error.contains(name) && error.contains("git lfs pull"),
            "{error}"
        );
    }
}
