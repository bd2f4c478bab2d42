use std::path::Path;
use std::time::Duration;

use super::*;

fn grey(width: u32, height: u32) -> Picture {
    let pixels = Pixels::Luma((0..width * height).map(|n| (n % 251) as u8).collect());
    Picture {
        width,
        height,
        pixels,
    }
}

fn key(path: &Path, cols: u16, rows: u16) -> PreviewKey {
    PreviewKey {
        path: path.to_owned(),
        stamp: Stamp::default(),
        frame: 0,
        cols,
        rows,
        graphics: Graphics::Halfblocks,
        quality: Quality::Full,
        epoch: 0,
    }
}

fn png(folder: &Path, name: &str, grey: u8) -> PathBuf {
    let path = folder.join(name);
    GrayImage::from_pixel(64, 48, image::Luma([grey]))
        .save(&path)
        .unwrap();
    path
}

#[test]
fn a_picture_fills_its_room_in_whole_cells_and_keeps_its_proportions() {
    let cell = FontSize::new(10, 20);
    let (image, size) = fit(&grey(400, 100), 30, 30, cell).unwrap();
    assert_eq!(size, Size::new(30, 4), "300×75 pixels of 300×80");
    assert_eq!((image.width(), image.height()), (300, 80));
    assert_eq!(
        image.to_luma8().get_pixel(10, 0).0,
        [0],
        "the rest is ground"
    );
    for (w, h) in [(1, 1), (1, 5000), (5000, 1), (3, 7)] {
        let (_, size) = fit(&grey(w, h), 13, 7, cell).unwrap();
        assert!(
            (1..=13).contains(&size.width) && (1..=7).contains(&size.height),
            "{w}×{h}: {size:?}"
        );
    }
}

#[test]
fn a_damaged_file_has_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(Picker::halfblocks());
    let outcome = maker
        .make(&key(&folder.path().join("gone.png"), 10, 10), &|| false)
        .unwrap();
    assert_eq!(outcome.unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_second_look_decodes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = png(folder.path(), "a.png", 7);
    let mut maker = Maker::new(Picker::halfblocks());
    let first = maker.make(&key(&path, 10, 10), &|| false).unwrap().unwrap();
    std::fs::remove_file(&path).unwrap();
    let again = maker.make(&key(&path, 10, 10), &|| false).unwrap().unwrap();
    assert_eq!(first, again, "the very same graphic");
    let larger = maker.make(&key(&path, 20, 20), &|| false).unwrap();
    assert!(
        larger.is_ok(),
        "another size comes from the decoded picture"
    );
}

#[test]
fn what_is_overtaken_while_decoding_is_not_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = png(folder.path(), "a.png", 7);
    let mut maker = Maker::new(Picker::halfblocks());
    assert!(maker.make(&key(&path, 10, 10), &|| true).is_none());
}

#[test]
fn the_latest_request_wins() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..50)
        .map(|n| png(folder.path(), &format!("{n}.png"), n))
        .collect();
    let (sender, previews) = crossbeam_channel::unbounded();
    let worker = Worker::start(Picker::halfblocks(), move |previewed| {
        drop(sender.send(previewed));
    })
    .unwrap();
    for path in &paths {
        worker.request(key(path, 40, 20));
    }
    let last = paths.last().unwrap();
    loop {
        let previewed = previews
            .recv_timeout(Duration::from_secs(20))
            .expect("the last one comes");
        assert!(previewed.outcome.is_ok());
        if &previewed.key.path == last {
            break;
        }
    }
    drop(worker);
    assert!(
        previews.recv_timeout(Duration::from_secs(20)).is_err(),
        "nothing after it, and the thread ends"
    );
}

#[test]
fn only_few_graphics_and_bytes_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(Picker::halfblocks());
    for n in 0..ENCODED as u8 + 5 {
        let path = png(folder.path(), &format!("{n}.png"), n);
        maker.make(&key(&path, 4, 4), &|| false).unwrap().unwrap();
    }
    assert_eq!(maker.encoded.len(), ENCODED);
    assert!(
        maker
            .decoded
            .iter()
            .map(|d| bytes(&d.picture))
            .sum::<usize>()
            <= DECODED
    );
}
