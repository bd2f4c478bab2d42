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

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

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
