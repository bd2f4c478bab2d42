//! `inspect`: its report, and the image that it writes.

use super::*;

#[test]
fn inspect_describes_a_file_and_renders_it() {
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

/// Whichever path or link leads to that file.
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
fn inspect_writes_a_complete_image_or_none() {
    let home = home();
    let noise = image::GrayImage::from_fn(400, 300, |x, y| {
        image::Luma([((x * 7919 + y * 104_729).wrapping_mul(2_654_435_761) >> 24) as u8])
    });
    noise.save(home.path().join("noise.png")).expect("written");
    fs::create_dir(home.path().join("out")).expect("a folder");
    // Files cannot grow beyond 8 kB, as on a full disk.
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
