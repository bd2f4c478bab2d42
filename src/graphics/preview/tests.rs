use std::path::{Path, PathBuf};
use std::time::Duration;

use image::{DynamicImage, GrayImage};

use super::related::ComposedOverlays;
use super::*;
use crate::app::{
    Decorations, FoundFile, Graphics, MarkedFigure, PixelValue, Quality, Reformat, Stamp,
};
use crate::graphics::drivers::PixelGrid;
use crate::media::budget::WaitPolicy;
use crate::media::measure::{Figure, FigureKind};
use crate::media::volume::ReformatPlane;
use crate::media::{ErrorKind, Voi};
use crate::scoring::heat_map::{HeatMap, MapMethod, PlacedMap, SeenArea};
use crate::view::placement::Aim;
use crate::view::turn::Turn;

fn key(path: &Path, cols: u16, rows: u16) -> PreviewKey {
    let file = FoundFile {
        path: path.to_owned(),
        stamp: Stamp::default(),
    };
    PreviewKey::plain(file, (cols, rows), Graphics::Halfblocks, Quality::Full, 0)
}

fn png(folder: &Path, name: &str, grey: u8) -> PathBuf {
    let path = folder.join(name);
    GrayImage::from_pixel(64, 48, image::Luma([grey]))
        .save(&path)
        .unwrap();
    path
}

fn never() -> bool {
    false
}

#[test]
fn a_missing_file_is_reported_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut renderer = Renderer::new(Output::default());
    let outcome = renderer
        .render(&key(&folder.path().join("gone.png"), 10, 10), &never)
        .unwrap();
    assert_eq!(outcome.unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn showing_an_image_again_decodes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = png(folder.path(), "a.png", 7);
    let mut renderer = Renderer::new(Output::default());
    let first = renderer
        .render(&key(&path, 10, 10), &never)
        .unwrap()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let again = renderer
        .render(&key(&path, 10, 10), &never)
        .unwrap()
        .unwrap();
    assert_eq!(first, again, "the very same image");
    let mut other = key(&path, 20, 20);
    other.view.voi = Voi::Robust;
    assert!(
        renderer.render(&other, &never).unwrap().is_ok(),
        "another size and window come from the decoded frame"
    );
}

#[test]
fn a_request_overtaken_while_decoding_is_not_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = png(folder.path(), "a.png", 7);
    let mut renderer = Renderer::new(Output::default());
    assert!(renderer.render(&key(&path, 10, 10), &|| true).is_none());
}

#[test]
fn only_another_file_makes_a_request_pointless() {
    let slot = RequestSlot {
        wanted: Mutex::new(PendingRequest::Nothing),
        nearby: Mutex::new(None),
        changed: Condvar::new(),
    };
    let first = key(Path::new("a"), 9, 9);
    let frame = PreviewKey {
        frame: 3,
        ..first.clone()
    };
    for (wanted, overtakes) in [
        (PendingRequest::Nothing, false),
        (PendingRequest::Picture(Box::new(frame)), false),
        (
            PendingRequest::Picture(Box::new(key(Path::new("b"), 9, 9))),
            true,
        ),
        (PendingRequest::Stop, true),
    ] {
        slot.put(wanted);
        assert_eq!(slot.overtakes(&first), overtakes);
    }
}

#[test]
fn the_latest_request_wins() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..50)
        .map(|n| png(folder.path(), &format!("{n}.png"), n))
        .collect();
    let (sender, previews) = crossbeam_channel::unbounded();
    let sink = move |previewed| drop(sender.send(previewed));
    let worker = PreviewWorker::start(Output::default(), sink, |_| {}).unwrap();
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
fn few_encoded_images_and_bytes_are_cached() {
    let folder = tempfile::tempdir().unwrap();
    let mut renderer = Renderer::new(Output::default());
    for n in 0..20 {
        let path = png(folder.path(), &format!("{n}.png"), n);
        renderer.render(&key(&path, 4, 4), &never).unwrap().unwrap();
    }
    let (graphics, bytes) = renderer.cache_sizes();
    assert!(
        graphics <= 8 && bytes <= 20 * 64 * 48,
        "{graphics}, {bytes}"
    );
}

#[test]
fn cached_frames_stay_within_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let each = 64 * 48;
    let mut store = store::FrameStore::new(3 * each);
    for n in 0..10 {
        let id = store::FileVersion {
            path: png(folder.path(), &format!("{n}.png"), n),
            stamp: Stamp::default(),
        };
        store.frame(&id, 0, WaitPolicy::default()).unwrap();
        assert!(store.bytes() <= 3 * each);
        assert!(store.has(&id, 0), "the last one is kept");
    }
    let mut tiny = store::FrameStore::new(1);
    let id = store::FileVersion {
        path: png(folder.path(), "x.png", 1),
        stamp: Stamp::default(),
    };
    tiny.frame(&id, 0, WaitPolicy::default()).unwrap();
    assert!(tiny.has(&id, 0), "the one looked at is kept, however large");
}

/// An image whose four quarters differ, so that its orientation is visible.
fn quarters(folder: &Path) -> PathBuf {
    let path = folder.join("quarters.png");
    GrayImage::from_fn(80, 80, |x, y| {
        image::Luma([match (x < 40, y < 40) {
            (true, true) => 40,
            (false, true) => 100,
            (true, false) => 160,
            (false, false) => 220,
        }])
    })
    .save(&path)
    .unwrap();
    path
}

/// Draws a view of a file, for cells of 10 × 20 pixels.
fn drawn(path: &Path, change: impl FnOnce(&mut PreviewKey)) -> DynamicImage {
    let mut key = key(path, 8, 4);
    change(&mut key);
    let source = crate::media::open(path).unwrap();
    let frame = source.frame(key.frame).unwrap();
    let scene = renderer::scene(&key, &source, &frame, (10, 20));
    let grid = PixelGrid {
        cell: ratatui_image::FontSize::new(10, 20),
        reduction: 1,
    };
    let drawn = draw::draw(
        &frame,
        &[],
        &ComposedOverlays::default(),
        &key,
        &scene,
        grid,
    )
    .unwrap();
    draw::finish(&drawn, &key, &scene, grid)
}

/// The four corners in reading order.
fn corners(image: &DynamicImage) -> [u8; 4] {
    let image = image.to_luma8();
    let (w, h) = (image.width() - 1, image.height() - 1);
    [(0, 0), (w, 0), (0, h), (w, h)].map(|(x, y)| image.get_pixel(x, y).0[0])
}

#[test]
fn the_image_turns_like_its_orientation_letters() {
    let folder = tempfile::tempdir().unwrap();
    let path = quarters(folder.path());
    for turn in Turn::ALL {
        let image = drawn(&path, |key| key.view.aim.turn = turn);
        let mut expected = [0; 4];
        for (value, at) in [
            (40, (0.0, 0.0)),
            (100, (1.0, 0.0)),
            (160, (0.0, 1.0)),
            (220, (1.0, 1.0)),
        ] {
            let (x, y) = turn.seen(at);
            expected[y as usize * 2 + x as usize] = value;
        }
        assert_eq!(corners(&image), expected, "{turn:?}");
    }
}

/// Raises in the left half of a square that the model sees of an image, lowers in the right half.
fn halves(seen: SeenArea) -> Arc<PlacedMap> {
    let map = HeatMap {
        covered: 1.0,
        method: MapMethod::Attention,
        columns: 2,
        rows: 1,
        values: vec![1.0, -1.0],
        rest: None,
        score: 0.0,
    };
    Arc::new(PlacedMap { map, seen })
}

/// `O`range, `b`lue or neither, along the middle row of an image.
fn hues(image: &DynamicImage) -> String {
    let image = image.to_rgb8();
    let hue = |x: u32| {
        let [red, _, blue] = image.get_pixel(x, image.height() / 2).0.map(i32::from);
        match red - blue {
            60.. => 'O',
            ..=-60 => 'b',
            _ => '.',
        }
    };
    (0..image.width()).step_by(4).map(hue).collect()
}

#[test]
fn a_heat_map_lies_where_the_model_sees_and_turns_and_zooms_with_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.png");
    GrayImage::from_pixel(160, 80, image::Luma([90]))
        .save(&path)
        .unwrap();
    // A crop: the middle half of the image.
    let map = halves(SeenArea {
        x: 40.0,
        y: 0.0,
        width: 80.0,
        height: 80.0,
    });
    let with = |change: &dyn Fn(&mut PreviewKey)| {
        hues(&drawn(&path, |key| {
            key.marks.heat_map = Some(Arc::clone(&map));
            change(key);
        }))
    };
    let plain = with(&|_| {});
    assert_eq!(
        (plain.len(), &plain[..5], &plain[15..]),
        (20, ".....", ".....")
    );
    assert!(plain[5..8].chars().all(|hue| hue == 'O'), "{plain}");
    assert!(plain[12..15].chars().all(|hue| hue == 'b'), "{plain}");
    let mirrored = with(&|key| key.view.aim.turn = key.view.aim.turn.flip());
    assert!(mirrored[5..8].chars().all(|hue| hue == 'b'), "{mirrored}");
    assert!(mirrored[12..15].chars().all(|hue| hue == 'O'), "{mirrored}");
    // Twice as large, the middle of the image fills the screen.
    let zoomed = with(&|key| key.view.aim.zoom = 2.0);
    assert!(
        zoomed.starts_with("OOO") && zoomed.ends_with("bbb"),
        "{zoomed}"
    );
    let inverted = with(&|key| key.view.invert = true);
    assert_eq!(inverted, plain);
    // Padding: the model saw more than the image.
    let padded = halves(SeenArea {
        x: 0.0,
        y: -40.0,
        width: 160.0,
        height: 160.0,
    });
    let padded = hues(&drawn(&path, |key| key.marks.heat_map = Some(padded)));
    assert!(
        padded.starts_with("OOOO") && padded.ends_with("bbbb"),
        "{padded}"
    );
}

/// Cells are drawn from the same pixels as the graphics protocols.
#[test]
fn a_heat_map_changes_the_image_in_every_protocol_and_in_cells() {
    let folder = tempfile::tempdir().unwrap();
    let path = png(folder.path(), "a.png", 90);
    let map = halves(SeenArea {
        x: 0.0,
        y: 0.0,
        width: 64.0,
        height: 48.0,
    });
    for graphics in [
        Graphics::Halfblocks,
        Graphics::Kitty,
        Graphics::Sixel,
        Graphics::Iterm2,
    ] {
        let mut renderer = Renderer::new(Output::default());
        let mut key = PreviewKey {
            graphics,
            ..key(&path, 10, 10)
        };
        let plain = renderer.render(&key, &never).unwrap().unwrap();
        key.marks.heat_map = Some(Arc::clone(&map));
        let mapped = renderer.render(&key, &never).unwrap().unwrap();
        assert!(plain.image != mapped.image, "{graphics:?}: drawn anew");
    }
}

#[test]
fn a_zoomed_view_is_cut_from_the_full_data() {
    let folder = tempfile::tempdir().unwrap();
    // Stripes of one pixel: gone in any thumbnail.
    let path = folder.path().join("stripes.png");
    GrayImage::from_fn(2000, 2000, |x, _| image::Luma([(x % 2 * 255) as u8]))
        .save(&path)
        .unwrap();
    let image = drawn(&path, |key| {
        key.view.aim = Aim {
            zoom: 200.0,
            ..Aim::default()
        };
    })
    .to_luma8();
    let row: Vec<u8> = (0..80).map(|x| image.get_pixel(x, 40).0[0]).collect();
    assert_eq!((image.width(), image.height()), (80, 80));
    let changes = row
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) > 200);
    assert_eq!(changes.count(), 9, "ten stripes of eight pixels: {row:?}");
}

#[test]
fn a_window_and_its_inverse_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = quarters(folder.path());
    let narrow = drawn(&path, |key| {
        key.view.voi = Voi::Range {
            center: 130.5,
            width: 2.0,
        };
    });
    assert_eq!(corners(&narrow), [0, 0, 255, 255]);
    let inverse = drawn(&path, |key| {
        key.view.voi = Voi::Range {
            center: 130.5,
            width: 2.0,
        };
        key.view.invert = true;
    });
    assert_eq!(corners(&inverse), [255, 255, 0, 0]);
}

fn figure(kind: FigureKind, points: &[[f64; 2]]) -> MarkedFigure {
    MarkedFigure {
        figure: Figure {
            kind,
            points: points.to_vec(),
        },
        is_selected: false,
    }
}

#[test]
fn figures_come_back_with_what_they_measure_and_move_with_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = quarters(folder.path());
    let mut renderer = Renderer::new(Output::default());
    let ellipse = figure(FigureKind::Ellipse, &[[2.0, 2.0], [30.0, 30.0]]);
    let mut label = |change: &dyn Fn(&mut PreviewKey)| {
        let mut key = key(&path, 40, 20);
        key.marks.figures = [ellipse.clone()].into();
        change(&mut key);
        let preview = renderer.render(&key, &never).unwrap().unwrap();
        let [measured] = preview.scene.measured[..] else {
            panic!("one figure: {:?}", preview.scene.measured);
        };
        let values = measured.statistics.expect("values");
        // All of it lies in the first quarter.
        assert_eq!((values.mean, values.deviation), (40.0, 0.0));
        let [label] = &preview.scene.about.labels[..] else {
            panic!("one label: {:?}", preview.scene.about.labels);
        };
        assert_eq!(label.lines[0], "40.0 ± 0.0");
        label.at
    };
    let plain = label(&|_| {});
    let zoomed = label(&|key| {
        key.view.aim.zoom = 2.0;
        key.view.aim.center = (0.25, 0.25);
    });
    assert!(
        zoomed.0 > plain.0 && zoomed.1 > plain.1,
        "{plain:?} {zoomed:?}"
    );
}

#[test]
fn cursor_and_ruler_are_visible_on_any_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = quarters(folder.path());
    let marks = Decorations {
        cursor: Some((20, 60)),
        figures: [figure(FigureKind::Length, &[[0.5, 0.5], [79.5, 79.5]])].into(),
        ..Decorations::default()
    };
    let bare = draw::without_moving_marks(marks.clone());
    let plain = drawn(&path, |key| key.marks = bare.clone()).to_luma8();
    let marked = drawn(&path, |key| key.marks = marks.clone()).to_luma8();
    let changed = |x: u32, y: u32| marked.get_pixel(x, y).0[0].abs_diff(plain.get_pixel(x, y).0[0]);
    let count = marked
        .enumerate_pixels()
        .filter(|(x, y, _)| changed(*x, *y) > 0)
        .count();
    assert!((60..400).contains(&count), "{count} pixels of lines");
    assert!(
        marked
            .enumerate_pixels()
            .all(|(x, y, _)| changed(x, y) == 0 || changed(x, y) >= 100),
        "a line contrasts with what is under it"
    );
}

#[test]
fn a_preview_includes_the_value_under_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let path = quarters(folder.path());
    let mut renderer = Renderer::new(Output::default());
    let mut at = |cursor| {
        let mut key = key(&path, 20, 10);
        key.marks.cursor = cursor;
        let preview = renderer.render(&key, &never).unwrap().unwrap();
        preview.scene.value
    };
    assert_eq!(at(None), None);
    assert_eq!(at(Some((0, 0))), Some(PixelValue::Grey(40.0)));
    assert_eq!(at(Some((79, 79))), Some(PixelValue::Grey(220.0)));
    assert_eq!(at(Some((80, 0))), None, "outside");
}

/// A stack of nine sections, as the demo writes it.
fn stack(folder: &Path) -> PathBuf {
    crate::phantom::write_studies(folder, 1, 2, |_| {}).unwrap();
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let frames = |path: &PathBuf| crate::media::open(path).map_or(0, |source| source.info().frames);
    files.into_iter().find(|path| frames(path) == 9).unwrap()
}

#[test]
fn nearby_files_are_decoded_while_idle() {
    let folder = tempfile::tempdir().unwrap();
    crate::phantom::write_studies(folder.path(), 3, 4, |_| {}).unwrap();
    let files: Vec<PathBuf> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| crate::media::open(path).is_ok())
        .collect();
    let mut renderer = Renderer::new(Output::default());
    renderer
        .render(&key(&files[0], 8, 8), &never)
        .unwrap()
        .unwrap();
    let near = key(&files[1], 8, 8);
    renderer.prefetch(vec![
        (files[1].clone(), near.stamp),
        (folder.path().join("gone"), near.stamp),
    ]);
    while renderer.decode_ahead() {}
    std::fs::remove_file(&files[1]).unwrap();
    assert!(
        renderer.render(&near, &never).unwrap().is_ok(),
        "it was decoded before it was asked for"
    );
}

#[test]
fn neighbours_are_decoded_ahead_in_the_direction_of_the_last_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = stack(folder.path());
    let mut renderer = Renderer::new(Output::default());
    let mut look = |frame| {
        let key = PreviewKey {
            frame,
            ..key(&path, 8, 8)
        };
        renderer.render(&key, &never).unwrap().unwrap();
        renderer.ahead()
    };
    assert_eq!(look(0), [1, 2, 8], "round the end, as a film runs");
    assert_eq!(look(4), [5, 6, 3]);
    assert_eq!(look(3), [2, 1, 4]);
    assert_eq!(look(0), [8, 7, 1]);
    assert_eq!(look(8), [7, 6, 0]);
    while renderer.decode_ahead() {}
    std::fs::remove_file(&path).unwrap();
    let next = PreviewKey {
        frame: 7,
        ..key(&path, 8, 8)
    };
    assert!(
        renderer.render(&next, &never).unwrap().is_ok(),
        "it is there already"
    );
}

#[test]
fn a_view_for_one_series_is_not_forced_upon_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = stack(folder.path());
    let series = crate::media::open(&path).unwrap().series();
    assert!(series.is_some());
    let mut renderer = Renderer::new(Output::default());
    let mut view = |for_series: Option<String>| {
        let mut key = key(&path, 8, 8);
        key.view.invert = true;
        key.for_series = for_series;
        let preview = renderer.render(&key, &never).unwrap().unwrap();
        preview.scene.view.invert
    };
    assert!(!view(Some("another".to_owned())));
    assert!(view(series));
    assert!(view(None));
}

#[test]
fn each_protocol_draws_in_the_cells_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = stack(folder.path());
    for graphics in [
        Graphics::Kitty,
        Graphics::Sixel,
        Graphics::Iterm2,
        Graphics::Halfblocks,
    ] {
        let mut renderer = Renderer::new(Output {
            cell: ratatui_image::FontSize::new(9, 19),
            ..Output::default()
        });
        for (cols, rows) in [(1, 1), (40, 20), (17, 40), (39, 13)] {
            let sizes = [Quality::Fast, Quality::Half, Quality::Full].map(|quality| {
                let mut key = key(&path, cols, rows);
                (key.graphics, key.quality) = (graphics, quality);
                key.marks.overlays = true;
                key.marks.histogram = true;
                renderer.render(&key, &never).unwrap().unwrap().image.size()
            });
            assert!(
                sizes
                    .iter()
                    .all(|(w, h)| (1..=cols).contains(w) && (1..=rows).contains(h)),
                "{graphics:?}: {sizes:?} of {cols}×{rows}"
            );
            assert_eq!(sizes[1], sizes[2], "{graphics:?}: nothing jumps at rest");
        }
    }
}

/// An uncompressed object without a window: frames of 16 bits, each of one darker and one brighter half.
fn object(path: &Path, frames: &[(u16, u16)]) {
    let mut bytes = Vec::new();
    let mut element = |group: u16, element: u16, value: &[u8]| {
        bytes.extend(group.to_le_bytes());
        bytes.extend(element.to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend(value);
    };
    element(0x0008, 0x0016, b"1.2.840.10008.5.1.4.1.1.7\0");
    element(0x0028, 0x0002, &[1, 0]);
    element(0x0028, 0x0004, b"MONOCHROME2 ");
    element(0x0028, 0x0008, format!("{:4}", frames.len()).as_bytes());
    element(0x0028, 0x0010, &[8, 0]);
    element(0x0028, 0x0011, &[8, 0]);
    element(0x0028, 0x0100, &[16, 0]);
    let halves = |(low, high): &(u16, u16)| [[*low; 32], [*high; 32]].concat();
    let samples = frames.iter().flat_map(halves);
    let pixels: Vec<u8> = samples.flat_map(u16::to_le_bytes).collect();
    element(0x7fe0, 0x0010, &pixels);
    std::fs::write(path, bytes).unwrap();
}

/// The values shown as black and white once nothing is left to decode.
fn shown_between(renderer: &mut Renderer, key: &PreviewKey) -> (f64, f64) {
    renderer.render(key, &never).unwrap().unwrap();
    while renderer.decode_ahead() {}
    let preview = renderer.render(key, &never).unwrap().unwrap();
    let window = preview.scene.window.unwrap();
    (
        window.center - window.width / 2.0,
        window.center + window.width / 2.0,
    )
}

#[test]
fn the_frames_of_a_film_without_windows_share_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cine.dcm");
    object(&path, &[(100, 200), (0, 0), (150, 900), (40, 300)]);
    let mut renderer = Renderer::new(Output::default());
    let mut between = |frame, voi| {
        let mut key = key(&path, 10, 10);
        key.frame = frame;
        key.view.voi = voi;
        shown_between(&mut renderer, &key)
    };
    for frame in 0..4 {
        for voi in [Voi::default(), Voi::Full, Voi::Robust] {
            assert_eq!(between(frame, voi), (40.0, 900.0), "frame {frame}, {voi:?}");
        }
    }
    let chosen = Voi::Range {
        center: 50.0,
        width: 20.0,
    };
    assert_eq!(between(2, chosen), (40.0, 60.0));
}

#[test]
fn the_files_of_a_series_share_a_window_where_they_are_a_stack() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<(PathBuf, Stamp)> = [(5, 50), (10, 90), (7, 20)]
        .iter()
        .enumerate()
        .map(|(n, values)| {
            let path = folder.path().join(format!("{n}.dcm"));
            object(&path, &[*values]);
            (path, Stamp::default())
        })
        .collect();
    let stack = crate::app::SeriesStack {
        path: folder.path().join("\0series"),
        sample: files.clone().into(),
    };
    let mut renderer = Renderer::new(Output::default());
    for (path, _) in &files {
        let mut key = key(path, 10, 10);
        key.stack = Some(stack.clone());
        assert_eq!(shown_between(&mut renderer, &key), (5.0, 90.0));
    }
    let alone = key(&files[2].0, 10, 10);
    assert_eq!(shown_between(&mut renderer, &alone), (7.0, 20.0));
}

#[test]
fn an_image_is_rendered_again_when_the_window_of_its_stack_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cine.dcm");
    let frames: Vec<(u16, u16)> = (1..=16).map(|n| (n, n * 10)).collect();
    object(&path, &frames);
    let mut ranges = ranges::Ranges::default();
    let mut store = store::FrameStore::new(1 << 20);
    let key = key(&path, 10, 10);
    let id = store::FileVersion {
        path: path.clone(),
        stamp: key.stamp,
    };
    let source = store.source(&id).unwrap();
    let frame = store.frame(&id, 0, WaitPolicy::default()).unwrap();
    let between = |low, high| Voi::Between {
        low,
        high,
        source: crate::media::WindowSource::Minmax,
    };
    let window =
        |ranges: &mut ranges::Ranges| ranges.shared_window(&key, &source, &frame, Voi::Full);
    assert_eq!(
        window(&mut ranges),
        between(1.0, 10.0),
        "at once: its own range"
    );
    for _ in 0..15 {
        assert_eq!(ranges.step(&store), ranges::SampleStep::Continued);
        assert_eq!(window(&mut ranges), between(1.0, 10.0), "nothing flickers");
    }
    assert_eq!(ranges.step(&store), ranges::SampleStep::Changed);
    assert_eq!(window(&mut ranges), between(1.0, 160.0));
    assert_eq!(ranges.step(&store), ranges::SampleStep::Idle);
}

fn slide(name: &str) -> PathBuf {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/media/objects");
    Path::new(fixtures).join(name)
}

#[test]
fn a_slide_is_shown_whole_and_its_planes_are_its_frames() {
    let mut renderer = Renderer::new(Output::default());
    let mut at = |frame, cursor| {
        let mut key = key(&slide("slide_full.dcm"), 40, 20);
        (key.frame, key.marks.cursor) = (frame, Some(cursor));
        let preview = renderer.render(&key, &never).unwrap().unwrap();
        let size = (preview.info.width, preview.info.height, preview.info.frames);
        assert_eq!(size, (20, 13, 2));
        preview.scene.value
    };
    assert_eq!(at(0, (19, 12)), Some(PixelValue::Color([152, 96, 0])));
    assert_eq!(at(1, (3, 9)), Some(PixelValue::Color([24, 72, 50])));
    while renderer.decode_ahead() {}
    assert_eq!(renderer.cache_sizes().1, 0, "no tile is decoded for itself");
}

#[test]
fn a_slide_that_was_overtaken_is_given_up() {
    let mut renderer = Renderer::new(Output::default());
    let key = key(&slide("slide_full.dcm"), 40, 20);
    assert!(renderer.render(&key, &|| true).is_none());
    assert!(
        renderer
            .render(&key, &never)
            .is_some_and(|made| made.is_ok())
    );
}

#[test]
fn a_reformat_is_made_of_the_files_of_a_stack() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/media/related");
    let file = |name: &str| FoundFile {
        path: Path::new(folder).join(name),
        stamp: Stamp::default(),
    };
    let stack = |names: &[&str]| {
        names
            .iter()
            .map(|name| file(name))
            .collect::<Vec<_>>()
            .into()
    };
    let mut renderer = Renderer::new(Output::default());
    let mut render = |stack, plane, all_planes| {
        let mut key = key(&file("ct1.dcm").path, 40, 20);
        let reformat = Reformat {
            stack,
            plane,
            all_planes,
            at: None,
            slab: None,
        };
        (key.reformat, key.marks.overlays) = (Some(Arc::new(reformat)), true);
        renderer.render(&key, &never).expect("not overtaken")
    };
    let all: Arc<[FoundFile]> = stack(&["ct2.dcm", "ct1.dcm", "ct3.dcm"]);
    let shown = render(Arc::clone(&all), ReformatPlane::Coronal, false).expect("a plane");
    assert_eq!((shown.info.width, shown.info.height), (32, 3));
    assert_eq!(shown.scene.note.as_deref(), Some("coronal 17/32"));
    let letters = shown.scene.letters().expect("letters");
    assert_eq!((letters.left.as_str(), letters.top.as_str()), ("R", "H"));
    let view = shown.scene.volume.expect("a volume");
    assert_eq!((view.size, view.at), ([32, 32, 3], [16, 16, 1]));
    let shown = render(all, ReformatPlane::Coronal, true).expect("three planes");
    let view = shown.scene.volume.expect("a volume");
    let panels = view.panels.expect("panels");
    let area = panels[2].area;
    // A voxel is 0.5 × 0.75 × 2.5 mm in this stack, so that a pixel is 0.5 mm in both directions.
    let spacing = shown.scene.geometry.spacing.expect("a spacing");
    assert_eq!(
        (spacing.rows_mm, spacing.columns_mm),
        (0.5, 0.5),
        "{panels:?}"
    );
    assert_eq!(
        spacing.within,
        Some(area),
        "lengths hold in the panel in focus"
    );
    let labels = &shown.scene.about.labels;
    let texts: Vec<_> = labels.iter().map(|label| label.lines[0].as_str()).collect();
    for expected in ["axial 2/3", "sagittal 17/32", "[coronal 17/32]", "R", "H"] {
        assert!(texts.contains(&expected), "{expected}: {texts:?}");
    }
    let two = stack(&["ct1.dcm", "ct2.dcm"]);
    let error = render(two, ReformatPlane::Sagittal, false).expect_err("two slices");
    assert_eq!(error.kind, ErrorKind::Unsupported);
    assert!(error.message.contains("2 slices are too few"), "{error}");
}
