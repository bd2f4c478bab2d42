use proptest::prelude::*;

use crate::grey::*;

fn transform(own: Vec<FileVoi>) -> GreyTransform {
    GreyTransform {
        modality: Modality::Linear {
            slope: 1.0,
            intercept: 0.0,
        },
        unit: None,
        own,
        padding: None,
        nominal: None,
        inverted: false,
        real: false,
    }
}

fn row(samples: Samples, transform: GreyTransform) -> Grey {
    let width = match &samples {
        Samples::I16(data) => data.len(),
        Samples::U16(data) => data.len(),
        Samples::I32(data) => data.len(),
        Samples::F64(data) => data.len(),
        _ => unreachable!("not used here"),
    };
    Grey::new(width as u32, 1, samples, transform)
}

fn shown(grey: &Grey, voi: Voi, invert: bool) -> Vec<u8> {
    grey.render(voi, invert).0.pixels.bytes().to_vec()
}

fn own(center: f64, width: f64, function: VoiFunction) -> Option<FileVoi> {
    FileVoi::window(center, width, function, WindowSource::File)
}

fn windowed(center: f64, width: f64, function: VoiFunction, values: &[i16]) -> Vec<u8> {
    let own = own(center, width, function).expect("a window");
    let grey = row(Samples::I16(values.to_vec()), transform(vec![own]));
    shown(&grey, Voi::Own(0), false)
}

/// The example of PS3.3 C.11.2.1.2.1, note 4: center 2048 and width 4096 spread 0 to 4095 over the whole output range.
#[test]
fn linear_windows_follow_the_formula_of_the_standard() {
    assert_eq!(
        windowed(2048.0, 4096.0, VoiFunction::Linear, &[-5, 0, 4095, 5000]),
        [0, 0, 255, 255]
    );
    // Note 4 continues: a width of 1 is a threshold, black up to center − 0.5.
    assert_eq!(
        windowed(100.0, 1.0, VoiFunction::Linear, &[99, 100, 101]),
        [0, 255, 255]
    );
    // And a window of 0 to 100 shown with center 50, width 100 has its ends at 0 and 99.
    assert_eq!(
        windowed(50.0, 100.0, VoiFunction::Linear, &[0, 99]),
        [0, 255]
    );
}

#[test]
fn linear_exact_and_sigmoid_windows_follow_the_formulas_of_the_standard() {
    assert_eq!(
        windowed(50.0, 100.0, VoiFunction::LinearExact, &[0, 50, 100]),
        [0, 128, 255]
    );
    assert_eq!(windowed(50.0, 100.0, VoiFunction::Sigmoid, &[50]), [128]);
    let tail = windowed(50.0, 100.0, VoiFunction::Sigmoid, &[0, 100]);
    assert_eq!(tail, [30, 225]);
}

fn minmax(center: f64, width: f64) -> Window {
    Window {
        center,
        width,
        source: WindowSource::Minmax,
    }
}

#[test]
fn without_a_window_the_full_range_is_shown_and_padding_does_not_stretch_it() {
    let values = vec![-2000, 0, 50, 100];
    let plain = row(Samples::I16(values.clone()), transform(Vec::new()));
    assert_eq!(plain.render(Voi::Own(0), false).1, minmax(-950.0, 2100.0));
    let padded = GreyTransform {
        padding: Some((-2000.0, -2000.0)),
        ..transform(Vec::new())
    };
    let padded = row(Samples::I16(values), padded);
    let (picture, window) = padded.render(Voi::Own(0), false);
    assert_eq!(picture.pixels.bytes(), [0, 0, 128, 255]);
    assert_eq!(window, minmax(50.0, 100.0));
    assert_eq!(shown(&padded, Voi::Own(0), true), [255, 255, 127, 0]);
    assert!(padded.is_padding(0, 0) && !padded.is_padding(1, 0));
}

#[test]
fn a_uniform_frame_is_mid_grey_and_an_invalid_window_is_ignored() {
    let flat = row(Samples::U16(vec![7; 3]), transform(Vec::new()));
    assert_eq!(shown(&flat, Voi::Own(0), false), [128; 3]);
    assert_eq!(shown(&flat, Voi::Own(0), true), [128; 3]);
    assert_eq!(shown(&flat, Voi::Robust, false), [128; 3]);
    for (center, width) in [(40.0, 0.0), (40.0, -5.0), (f64::NAN, 5.0)] {
        assert_eq!(own(center, width, VoiFunction::Linear), None);
    }
    // Narrower than LINEAR allows: meant for real numbers.
    assert_eq!(
        own(0.5, 0.5, VoiFunction::Linear),
        own(0.5, 0.5, VoiFunction::LinearExact)
    );
}

#[test]
fn narrow_and_wide_samples_render_alike() {
    let values = [-1000, -3, 0, 40, 399, 3000];
    let own = own(40.0, 400.0, VoiFunction::Linear).expect("a window");
    // More pixels than values, so the table is used.
    let many: Vec<i16> = values.iter().copied().cycle().take(70_000).collect();
    let transform = || transform(vec![own.clone()]);
    let wide = many.iter().map(|&v| i32::from(v)).collect();
    let float = many.iter().map(|&v| f64::from(v)).collect();
    let narrow = row(Samples::I16(many), transform());
    for wide in [Samples::I32(wide), Samples::F64(float)] {
        let wide = row(wide, transform());
        for voi in [Voi::Own(0), Voi::Full, Voi::Robust] {
            assert!(
                narrow.render(voi, false) == wide.render(voi, false),
                "{voi:?}"
            );
        }
        assert_eq!(narrow.histogram(16), wide.histogram(16));
    }
}

#[test]
fn windows_are_chosen_by_number_and_a_missing_one_falls_back_to_the_first() {
    let list = [(40.0, 400.0), (-600.0, 1500.0)]
        .map(|(center, width)| own(center, width, VoiFunction::Linear).expect("a window"));
    let grey = row(Samples::I16(vec![40]), transform(list.to_vec()));
    let center = |n| grey.render(Voi::Own(n), false).1.center;
    assert_eq!((center(0), center(1), center(2)), (40.0, -600.0, 40.0));
    let range = Voi::Range {
        center: 7.0,
        width: 3.0,
    };
    let window = grey.render(range, false).1;
    assert_eq!(
        (window.center, window.source),
        (7.0, WindowSource::Argument)
    );
}

/// The distance between the largest and the smallest number is not a number.
#[test]
fn values_at_both_ends_of_what_a_number_can_be_are_shown() {
    let real = GreyTransform {
        real: true,
        ..transform(Vec::new())
    };
    let values = vec![f64::MIN, -1e307, 0.0, f64::MAX / 2.0, f64::MAX];
    let grey = row(Samples::F64(values), real);
    assert_eq!(shown(&grey, Voi::Full, false), [0, 120, 128, 191, 255]);
    let window = grey.render(Voi::Full, false).1;
    assert!(window.center.abs() < 1.0 && window.width.is_finite());
    assert_eq!(grey.histogram(4).counts, [1, 1, 1, 2]);
    // An integer whose modality value is no number does not count.
    let steep = GreyTransform {
        modality: Modality::Linear {
            slope: 1e306,
            intercept: 0.0,
        },
        ..transform(Vec::new())
    };
    let grey = row(Samples::U16(vec![0, 100, 30_000]), steep);
    assert_eq!(grey.range(), (0.0, 1e306 * 100.0));
}

/// A LINEAR window of 0–1 would be a step; real numbers use LINEAR_EXACT (C.11.2.1.3.2).
#[test]
fn windows_of_real_numbers_are_exact() {
    let real = GreyTransform {
        real: true,
        ..transform(Vec::new())
    };
    let grey = row(Samples::F64(vec![0.0, 0.25, 0.5, 1.0]), real);
    let unit = Voi::Range {
        center: 0.5,
        width: 1.0,
    };
    assert_eq!(shown(&grey, unit, false), [0, 64, 128, 255]);
}

#[test]
fn an_8_bit_picture_is_shown_unchanged() {
    let all: Vec<u8> = (0..=255).collect();
    let grey = Grey::from_bytes(16, 16, all.clone());
    assert_eq!(shown(&grey, Voi::default(), false), all);
    assert_eq!(grey.windows().len(), 1);
    let dark = Grey::from_bytes(3, 1, vec![1, 2, 3]);
    assert_eq!(shown(&dark, Voi::default(), false), [1, 2, 3]);
    assert_eq!(shown(&dark, Voi::Full, false), [0, 128, 255]);
}

#[test]
fn a_part_is_rendered_like_the_same_part_of_the_whole() {
    let grey = Grey::from_bytes(4, 3, (0..12).collect());
    let area = PixelRect {
        x: 2,
        y: 1,
        width: 9,
        height: 9,
    };
    let (part, _) = grey.render_part(Voi::default(), false, area);
    assert_eq!((part.width, part.height), (2, 2));
    assert_eq!(part.pixels.bytes(), [6, 7, 10, 11]);
    assert_eq!(grey.value(3, 2), Some(11.0));
    assert_eq!(grey.value(4, 0), None);
}

#[test]
fn the_robust_range_leaves_out_half_a_percent_at_each_end() {
    let mut values = vec![100; 988];
    values.extend([-30_000; 4]);
    values.extend([30_000; 4]);
    values.extend([0, 0, 200, 200]);
    let grey = row(Samples::I16(values), transform(Vec::new()));
    let window = grey.render(Voi::Robust, false).1;
    assert_eq!((window.center, window.width), (100.0, 200.0));
    assert_eq!(grey.range(), (-30_000.0, 30_000.0));
}

#[test]
fn a_histogram_counts_every_pixel_but_padding() {
    let transform = GreyTransform {
        modality: Modality::Linear {
            slope: 2.0,
            intercept: -10.0,
        },
        padding: Some((99.0, 99.0)),
        ..transform(Vec::new())
    };
    let grey = row(Samples::I16(vec![0, 0, 1, 5, 10, 99]), transform);
    let expected = Histogram {
        low: -10.0,
        high: 10.0,
        counts: vec![3, 2],
    };
    assert_eq!(grey.histogram(2), expected);
    assert_eq!(grey.histogram(0).counts, Vec::<u64>::new());
}

proptest! {
    /// Brighter values stay brighter under every window function (C.11.2.1.2, C.11.2.1.3).
    #[test]
    fn windows_are_monotone(
        center in -3000.0_f64..3000.0,
        width in 0.01_f64..5000.0,
        values in prop::collection::vec(any::<i16>(), 1..50),
    ) {
        let mut values = values;
        values.sort_unstable();
        for function in [VoiFunction::Linear, VoiFunction::LinearExact, VoiFunction::Sigmoid] {
            let shades = windowed(center, width, function, &values);
            prop_assert!(shades.is_sorted(), "{function:?}: {shades:?}");
        }
    }

    /// Inverting twice changes nothing, and inverting once gives the negative.
    #[test]
    fn inversion_is_the_negative(values in prop::collection::vec(any::<i16>(), 2..50), inverted in any::<bool>()) {
        prop_assume!(values.iter().any(|v| *v != values[0]));
        let transform = GreyTransform { inverted, ..transform(Vec::new()) };
        let grey = row(Samples::I16(values), transform);
        let (plain, _) = grey.render(Voi::Full, false);
        prop_assert!(grey.render(Voi::Full, true).0 == plain.negative());
        prop_assert!(plain.negative().negative() == plain);
    }
}
