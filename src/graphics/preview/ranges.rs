//! One automatic window for all images of a stack, so that neither a film nor paging flickers.
//!
//! For images without a window of their own, `inspect` and the model use the range of each image's values. On screen the images
//! of a stack (the frames of a file, the files of a series) share one range: from the smallest to the largest value of a
//! sample, spread evenly over the stack; values beyond are black or white. If the sample takes long, the first image is shown
//! over its own range. Then the window changes once, when the sample is complete, and stays.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::store::{FileVersion, FrameStore};
use crate::app::PreviewKey;
use crate::media::{Frame, Grey, ImageSource, Voi, WindowSource};

/// Maximum number of images in a sample.
const MAX_SAMPLE: usize = 16;
/// Maximum decoded bytes of a sample, unless that is fewer images than [`MIN_SAMPLE`].
const MAX_SAMPLE_BYTES: usize = 128 << 20;
/// Images in a sample however large they are.
const MIN_SAMPLE: usize = 3;
/// Maximum number of stacks whose range is remembered.
const MAX_STACKS: usize = 32;

/// Identifies the images that share a range.
#[derive(Clone, Debug, PartialEq)]
enum StackId {
    /// The frames of a file.
    Frames(FileVersion),
    /// The files of a series, by the path that stands for it.
    Files(PathBuf),
}

/// Smallest and largest value.
type IntensityRange = (f64, f64);

/// The range that the images of a stack share.
struct StackRange {
    stack: StackId,
    robust: bool,
    /// The range in use.
    ends: IntensityRange,
    /// The range of the sample decoded so far.
    sampled: Option<IntensityRange>,
    /// Files and frame positions of the sample still to be decoded, the next one last.
    left: Vec<(FileVersion, u32)>,
}

/// The result of decoding one image of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleStep {
    /// Nothing was left to decode.
    Idle,
    /// An image was decoded; the range in use is the same.
    Continued,
    /// The sample is complete, and the range in use has changed.
    Changed,
}

/// The ranges of the stacks viewed, the latest last.
#[derive(Default)]
pub(super) struct Ranges(VecDeque<StackRange>);

impl Ranges {
    /// The window to draw an image with: `voi`, or the range of its stack if `voi` depends on the image's values and the image
    /// is part of a stack.
    pub(super) fn shared_window(
        &mut self,
        key: &PreviewKey,
        source: &ImageSource,
        frame: &Frame,
        voi: Voi,
    ) -> Voi {
        let Frame::Grey(grey) = frame else {
            return voi;
        };
        let robust = match voi {
            Voi::Own(_) if grey.windows().is_empty() => false,
            Voi::Full => false,
            Voi::Robust => true,
            Voi::Own(_) | Voi::Range { .. } | Voi::Between { .. } => return voi,
        };
        let Some((stack, sample)) = stack_of(key, source, frame.bytes()) else {
            return voi;
        };
        let known = |range: &StackRange| range.stack == stack && range.robust == robust;
        let range = match self.0.iter().position(known) {
            Some(at) => self.0.remove(at),
            None => None,
        };
        let range = range.unwrap_or_else(|| StackRange {
            stack,
            robust,
            ends: value_range(grey, robust),
            sampled: None,
            left: sample,
        });
        let (low, high) = range.ends;
        self.0.push_back(range);
        while self.0.len() > MAX_STACKS {
            self.0.pop_front();
        }
        let source = if robust {
            WindowSource::Robust
        } else {
            WindowSource::Minmax
        };
        Voi::Between { low, high, source }
    }

    /// Decodes one more sample image of the stack viewed last.
    pub(super) fn step(&mut self, store: &FrameStore) -> SampleStep {
        let Some(range) = self.0.back_mut() else {
            return SampleStep::Idle;
        };
        let Some((id, position)) = range.left.pop() else {
            return SampleStep::Idle;
        };
        let frame = store.peek(&id, position);
        // Errors are reported when the image itself is viewed.
        if let Ok(Frame::Grey(grey)) = frame.as_ref().map(|frame| &***frame) {
            range.sampled = union(range.sampled, value_range(grey, range.robust));
        }
        let complete = range.left.is_empty();
        match range.sampled {
            Some(sampled) if complete && sampled != range.ends => {
                range.ends = sampled;
                SampleStep::Changed
            }
            _ => SampleStep::Continued,
        }
    }
}

/// The stack that an image belongs to, and a sample of it with the first image last. `bytes` is the size of a decoded image.
fn stack_of(
    key: &PreviewKey,
    source: &ImageSource,
    bytes: usize,
) -> Option<(StackId, Vec<(FileVersion, u32)>)> {
    let frames = source.info().frames;
    let count = (MAX_SAMPLE_BYTES / bytes.max(1)).clamp(MIN_SAMPLE, MAX_SAMPLE);
    if frames > 1 {
        let id = FileVersion {
            path: key.path.clone(),
            stamp: key.stamp,
        };
        let sample = spread(frames as usize, count).map(|at| (id.clone(), at as u32));
        let sample = sample.rev().collect();
        return Some((StackId::Frames(id), sample));
    }
    let series = key.stack.as_ref()?;
    let file = |at: usize| {
        let (path, stamp) = series.sample.get(at)?.clone();
        Some((FileVersion { path, stamp }, 0))
    };
    let sample = spread(series.sample.len(), count).rev().filter_map(file);
    Some((StackId::Files(series.path.clone()), sample.collect()))
}

/// Up to `count` indices below `all`, evenly spread and including both ends.
fn spread(all: usize, count: usize) -> impl DoubleEndedIterator<Item = usize> {
    let count = count.min(all);
    (0..count).map(move |n| n * all.saturating_sub(1) / (count - 1).max(1))
}

/// The range of an image's values.
fn value_range(grey: &Grey, robust: bool) -> IntensityRange {
    let (low, high) = if robust {
        grey.robust_range()
    } else {
        grey.range()
    };
    if low < high {
        (low, high)
    } else {
        grey.range()
    }
}

/// The union of two ranges. An image of a single value (before the contrast agent arrives, outside the patient) is left out.
fn union(all: Option<IntensityRange>, one: IntensityRange) -> Option<IntensityRange> {
    match all {
        _ if one.0 >= one.1 => all,
        None => Some(one),
        Some(all) => Some((all.0.min(one.0), all.1.max(one.1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_from_end_to_end() {
        let indices = |all, count| spread(all, count).collect::<Vec<_>>();
        assert_eq!(indices(100, 4), [0, 33, 66, 99]);
        assert_eq!(indices(3, 16), [0, 1, 2]);
        assert_eq!((indices(1, 16), indices(0, 16)), (vec![0], vec![]));
    }

    #[test]
    fn an_image_of_one_value_does_not_count() {
        let united = union(union(None, (0.0, 0.0)), (5.0, 9.0));
        assert_eq!(union(united, (-2000.0, -2000.0)), Some((5.0, 9.0)));
        assert_eq!(union(united, (7.0, 11.0)), Some((5.0, 11.0)));
    }
}
