//! The headless commands as a script sees them: the real binary, its output and its exit code.

mod adjust;
mod classify;
mod comparisons;
mod descriptions;
mod drafts;
mod explain;
mod export;
mod hostile;
mod inspect;
mod learn;
mod library;
mod measures;
mod models;
mod multi_label;
mod objects;
mod own_labels;
mod printing;
mod reporting;
mod reports;
mod reviews;
mod schema;
mod search;
mod settings;
mod train;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use serde_json::Value;

/// A tiny CLIP with random weights: its answers mean nothing, but they are computed for real.
fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/clip-late")
}

/// The binary in an empty home, without the user's settings.
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

/// A folder that is empty when this is called first, and lasts as long as the build: statics are never dropped.
fn lasting(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("removed");
    }
    fs::create_dir_all(&folder).expect("made");
    folder
}

/// Writes phantoms to `d`, which are drawn once for all tests that want the same.
fn demo(home: &Path, count: u32, seed: u32) {
    type Drawn = Arc<OnceLock<PathBuf>>;
    static ALL: LazyLock<Mutex<HashMap<(u32, u32), Drawn>>> = LazyLock::new(Mutex::default);
    let all = ALL
        .lock()
        .expect("no panic")
        .entry((count, seed))
        .or_default()
        .clone();
    let drawn = all.get_or_init(|| {
        let home = lasting(&format!("demo-{count}-{seed}"));
        let [count, seed] = [count, seed].map(|number| number.to_string());
        let all = [
            "demo",
            "d",
            "--write-only",
            "--count",
            &count,
            "--seed",
            &seed,
        ];
        assert_eq!(run(&home, &all).status.code(), Some(0));
        home.join("d")
    });
    copy_all(drawn, &home.join("d"));
}

/// Copies the files of a folder into a new one.
fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
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

/// A home with `in/`: three images in two folders, a damaged one, a hidden one, and a text.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("in");
    fs::create_dir_all(folder.join("b")).expect("made");
    picture(&folder.join("c.png"), 10);
    picture(&folder.join("a.png"), 20);
    picture(&folder.join("b/d.png"), 30);
    picture(&folder.join(".hidden.png"), 40);
    fs::write(folder.join("README"), "not an image").expect("written");
    let whole = fs::read(folder.join("a.png")).expect("read");
    fs::write(folder.join("z.png"), &whole[..50]).expect("written");
    home
}
