use super::*;

fn transform(voi: Voi) -> Transform {
    Transform {
        modality: Modality::Linear {
            slope: 1.0,
            intercept: 0.0,
        },
        voi,
        padding: None,
    }
}

fn windowed(center: f64, width: f64, function: Function, values: &[i16]) -> Vec<u8> {
    let voi = window(center, width, function, WindowSource::File).expect("a window");
    transform(voi)
        .render(&Samples::I16(values.to_vec()), false)
        .0
}

/// The example of PS3.3 C.11.2.1.2.1, note 4: center 2048 and width 4096 spread 0 to 4095 over the whole output range.
#[test]
fn linear_is_the_formula_of_the_standard() {
    assert_eq!(
        windowed(2048.0, 4096.0, Function::Linear, &[-5, 0, 4095, 5000]),
        [0, 0, 255, 255]
    );
    // Note 4 goes on: a width of 1 is a threshold, black up to center − 0.5.
    assert_eq!(
        windowed(100.0, 1.0, Function::Linear, &[99, 100, 101]),
        [0, 255, 255]
    );
    // And a window of 0 to 100 shown with center 50, width 100 has its ends at 0 and 99.
    assert_eq!(windowed(50.0, 100.0, Function::Linear, &[0, 99]), [0, 255]);
}

#[test]
fn linear_exact_and_sigmoid_are_the_formulas_of_the_standard() {
    assert_eq!(
        windowed(50.0, 100.0, Function::LinearExact, &[0, 50, 100]),
        [0, 128, 255]
    );
    assert_eq!(windowed(50.0, 100.0, Function::Sigmoid, &[50]), [128]);
    let tail = windowed(50.0, 100.0, Function::Sigmoid, &[0, 100]);
    assert_eq!(tail, [30, 225]);
}

#[test]
fn without_a_window_the_full_range_is_shown_and_padding_does_not_stretch_it() {
    let samples = Samples::I16(vec![-2000, 0, 50, 100]);
    let mut full = transform(Voi::Full);
    assert_eq!(
        full.render(&samples, false).1,
        Window {
            center: -950.0,
            width: 2100.0,
            source: WindowSource::Minmax
        }
    );
    full.padding = Some((-2000.0, -2000.0));
    let (pixels, window) = full.render(&samples, false);
    assert_eq!(pixels, [0, 0, 128, 255]);
    assert_eq!(
        window,
        Window {
            center: 50.0,
            width: 100.0,
            source: WindowSource::Minmax
        }
    );
    assert_eq!(full.render(&samples, true).0, [255, 255, 127, 0]);
}

#[test]
fn a_flat_frame_is_black_and_a_useless_window_is_none() {
    assert_eq!(
        transform(Voi::Full)
            .render(&Samples::U16(vec![7; 3]), false)
            .0,
        [0, 0, 0]
    );
    assert_eq!(
        window(40.0, 0.0, Function::Linear, WindowSource::File),
        None
    );
    assert_eq!(
        window(40.0, -5.0, Function::Linear, WindowSource::File),
        None
    );
    assert_eq!(
        window(f64::NAN, 5.0, Function::Linear, WindowSource::File),
        None
    );
    // Narrower than LINEAR allows: meant for real numbers.
    let narrow = window(0.5, 0.5, Function::Linear, WindowSource::File);
    assert!(matches!(
        narrow,
        Some(Voi::Window {
            function: Function::LinearExact,
            ..
        })
    ));
}

#[test]
fn narrow_and_wide_samples_are_shown_alike() {
    let values = [-1000, -3, 0, 40, 399, 3000];
    for voi in [
        Voi::Full,
        window(40.0, 400.0, Function::Linear, WindowSource::File).expect("a window"),
    ] {
        let transform = transform(voi);
        let narrow = transform.render(&Samples::I16(values.to_vec()), false);
        let wide = transform.render(
            &Samples::I32(values.iter().map(|&v| i32::from(v)).collect()),
            false,
        );
        assert_eq!(narrow, wide);
    }
}
