//! What an object says about its grey values: modality LUT, windows, VOI LUTs and padding (PS3.3 C.11.1, C.11.2,
//! C.7.5.1.1.2).

use crate::dicom::attributes;
use crate::dicom::parsing::dataset::{DataSet, Values, words};
use crate::dicom::pixels::groups;
use crate::dicom::pixels::layout::{Layout, Number};
use crate::grey::lut::Lut;
use crate::grey::window::{Function, Own};
use crate::grey::{Modality, Transform};
use crate::{WindowSource, clean};

/// The way of a frame's values.
pub(crate) fn transform(set: &DataSet, layout: &Layout, frame: u32, inverted: bool) -> Transform {
    let modality = groups::find(set, frame, attributes::FRAME_MODALITY, linear)
        .or_else(|| table(set, layout.signed))
        .or_else(|| linear(set))
        .or_else(|| dose(set))
        .unwrap_or(Modality::Linear {
            slope: 1.0,
            intercept: 0.0,
        });
    let signed =
        layout.signed || matches!(modality, Modality::Linear { intercept, .. } if intercept < 0.0);
    let real = layout.number != Number::Integer;
    let in_group = |group: &DataSet| some(windows(group, WindowSource::FunctionalGroup, real));
    let windows = groups::find(set, frame, attributes::FRAME_VOI, in_group)
        .unwrap_or_else(|| windows(set, WindowSource::File, real));
    // Where there are both, either may be used (C.11.2.1); the table is what its maker took more care of.
    let mut own = luts(set, signed);
    own.extend(windows);
    Transform {
        modality,
        unit: unit(set, frame),
        own,
        padding: padding(set, layout),
        inverted,
        real,
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// The windows of a data set or functional group that can be used.
pub(crate) fn windows(set: &DataSet, source: WindowSource, real: bool) -> Vec<Own> {
    let function = match set.first(attributes::VOI_FUNCTION).as_deref() {
        Some("LINEAR_EXACT") => Function::LinearExact,
        Some("SIGMOID") => Function::Sigmoid,
        _ => Function::default_of(real),
    };
    let names = set.text(attributes::WINDOW_NAMES).unwrap_or_default();
    let mut names = names.split('\\').map(named);
    let (centers, widths) = (
        set.decimals(attributes::WINDOW_CENTER),
        set.decimals(attributes::WINDOW_WIDTH),
    );
    centers
        .into_iter()
        .zip(widths)
        .filter_map(|(center, width)| {
            let name = names.next().flatten();
            Own::window(center, width, function, source).map(|own| own.named(name))
        })
        .collect()
}

fn named(text: &str) -> Option<String> {
    let name = clean(text.trim());
    (!name.is_empty()).then_some(name)
}

/// The items of the VOI LUT Sequence.
pub(crate) fn luts(set: &DataSet, signed: bool) -> Vec<Own> {
    let items = set.items(attributes::VOI_LUT);
    let own = |item: &DataSet| {
        let name = item.text(attributes::LUT_NAME).as_deref().and_then(named);
        lut(item, signed).map(|lut| Own::table(lut).named(name))
    };
    items.iter().filter_map(own).collect()
}

/// Reads a LUT; `None` where it is empty or damaged.
pub(crate) fn lut(item: &DataSet, signed: bool) -> Option<Lut> {
    let descriptor = item.words(attributes::LUT_DESCRIPTOR)?;
    let [count, first, bits, ..] = descriptor[..] else {
        return None;
    };
    let bytes = item.bytes(attributes::LUT_DATA)?;
    Lut::new(count, first, bits, signed, &bytes, words)
}

/// Rescale Slope and Intercept.
pub(crate) fn linear(set: &DataSet) -> Option<Modality> {
    let (slope, intercept) = (
        set.decimal(attributes::RESCALE_SLOPE),
        set.decimal(attributes::RESCALE_INTERCEPT),
    );
    if slope.is_none() && intercept.is_none() {
        return None;
    }
    // A slope of zero would wipe the picture out; it stands in objects that mean "none".
    let slope = slope.filter(|s| *s != 0.0).unwrap_or(1.0);
    Some(Modality::Linear {
        slope,
        intercept: intercept.unwrap_or(0.0),
    })
}

/// The Dose Grid Scaling of an RT Dose (C.8.8.3).
fn dose(set: &DataSet) -> Option<Modality> {
    let slope = set
        .decimal(attributes::DOSE_SCALING)
        .filter(|s| *s != 0.0)?;
    Some(Modality::Linear {
        slope,
        intercept: 0.0,
    })
}

/// The table of a Modality LUT Sequence; `signed` says whether stored values can be negative.
pub(crate) fn table(set: &DataSet, signed: bool) -> Option<Modality> {
    set.items(attributes::MODALITY_LUT)
        .first()
        .and_then(|item| lut(item, signed))
        .map(Modality::Table)
}

/// What modality values are: Rescale Type or Modality LUT Type (C.11.1.1.2), the Units of PET, and Hounsfield units of
/// CT, whose Rescale Type may only be left out where it is HU (C.8.2.1.1.5).
fn unit(set: &DataSet, frame: u32) -> Option<String> {
    let rescale = |set: &DataSet| set.first(attributes::RESCALE_TYPE);
    let lut = || {
        let items = set.items(attributes::MODALITY_LUT);
        items
            .first()
            .and_then(|item| item.first(attributes::LUT_TYPE))
    };
    let by_modality = || match set.first(attributes::MODALITY).as_deref() {
        Some("CT") if linear(set).is_some() => Some("HU".to_owned()),
        Some("PT") => set.first(attributes::PET_UNITS),
        Some("RTDOSE") => set.first(attributes::DOSE_UNITS),
        _ => None,
    };
    let unit = groups::find(set, frame, attributes::FRAME_MODALITY, rescale)
        .or_else(lut)
        .or_else(|| rescale(set))
        .filter(|unit| unit != "US")
        .or_else(by_modality)?;
    named(&unit)
}

/// Pixel Padding Value and Range Limit (C.7.5.1.1.2), in either order.
fn padding(set: &DataSet, layout: &Layout) -> Option<(f64, f64)> {
    let stored = |tag| match (layout.number, set.short(tag)) {
        (Number::Float | Number::Double, _) => set.real(tag),
        (Number::Integer, Some(value)) if layout.signed => Some(f64::from(value as i16)),
        (Number::Integer, value) => value.map(f64::from),
    };
    let (value, limit) = match layout.number {
        Number::Integer => (attributes::PADDING, attributes::PADDING_LIMIT),
        Number::Float => (attributes::FLOAT_PADDING, attributes::FLOAT_PADDING_LIMIT),
        Number::Double => (attributes::DOUBLE_PADDING, attributes::DOUBLE_PADDING_LIMIT),
    };
    let value = stored(value)?;
    let limit = stored(limit).unwrap_or(value);
    Some((value.min(limit), value.max(limit)))
}
