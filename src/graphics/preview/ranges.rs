//! One automatic window for all images of a stack, so that neither a film nor paging flickers.
//!
//! Where images bring no window of their own, `inspect` and the model show each over the range of its own values. On screen
//! the images of a stack (the frames of a file, the files of a series) share one range: from the smallest to the largest
//! value of a sample, spread evenly over the stack; what lies beyond is black or white. The first image seen is shown
//! over its own range if the sample takes long. Then the window changes once, when the sample is through, and stays.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::store::{Id, Store};
use crate::app::PreviewKey;
use crate::media::{Frame, Grey, ImageSource, Voi, WindowSource};

/// Images of a sample, at most.
const MAX_SAMPLE: usize = 16;
/// Bytes of samples decoded for one, unless that is fewer images than [`MIN_SAMPLE`].
const SAMPLE_BYTES: usize = 128 << 20;
/// Images of a sample that are worth their time however large they are.
const MIN_SAMPLE: usize = 3;
/// Stacks whose range is remembered.
const MAX_STACKS: usize = 32;

/// Images that share a range.
#[derive(Clone, Debug, PartialEq)]
enum Stack {
    /// The frames of a file.
    Frames(Id),
    /// The files of a series, by the path that stands for it.
    Files(PathBuf),
}

/// Smallest and largest value.
type Ends = (f64, f64);

struct Range {
    stack: Stack,
    robust: bool,
    /// In use.
    ends: Ends,
    /// Of the sample so far.
    sampled: Option<Ends>,
    /// Positions of the sample that are still to be decoded, the next one last.
    left: Vec<(Id, u32)>,
}

/// What a step of a sample led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// No sample is under way.
    Idle,
    /// One more image is known.
    Going,
    /// The sample is through, and the window is another than before.
    Changed,
}

/// The ranges of the stacks looked at, the latest last.
#[derive(Default)]
pub(super) struct Ranges(VecDeque<Range>);

impl Ranges {
    /// The window to draw an image with: `voi`, unless it depends on the values of the image and there are others.
    pub(super) fn hold(
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
        let known = |range: &Range| range.stack == stack && range.robust == robust;
        let range = match self.0.iter().position(known) {
            Some(at) => self.0.remove(at),
            None => None,
        };
        let range = range.unwrap_or_else(|| Range {
            stack,
            robust,
            ends: ends(grey, robust),
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

    /// Decodes one more image of the sample of the stack looked at last.
    pub(super) fn step(&mut self, store: &Store) -> Step {
        let Some(range) = self.0.back_mut() else {
            return Step::Idle;
        };
        let Some((id, position)) = range.left.pop() else {
            return Step::Idle;
        };
        let frame = store.peek(&id, position);
        // What cannot be decoded says so when it is looked at.
        if let Ok(Frame::Grey(grey)) = frame.as_ref().map(|frame| &***frame) {
            range.sampled = join(range.sampled, ends(grey, range.robust));
        }
        let through = range.left.is_empty();
        match range.sampled {
            Some(sampled) if through && sampled != range.ends => {
                range.ends = sampled;
                Step::Changed
            }
            _ => Step::Going,
        }
    }
}

/// The stack that an image belongs to, and a sample of it, the first image last.
fn stack_of(
    key: &PreviewKey,
    source: &ImageSource,
    bytes: usize,
) -> Option<(Stack, Vec<(Id, u32)>)> {
    let frames = source.info().frames;
    let count = (SAMPLE_BYTES / bytes.max(1)).clamp(MIN_SAMPLE, MAX_SAMPLE);
    if frames > 1 {
        let id = Id {
            path: key.path.clone(),
            stamp: key.stamp,
        };
        let sample = spread(frames as usize, count).map(|at| (id.clone(), at as u32));
        let sample = sample.rev().collect();
        return Some((Stack::Frames(id), sample));
    }
    let series = key.stack.as_ref()?;
    let file = |at: usize| {
        let (path, stamp) = series.sample.get(at)?.clone();
        Some((Id { path, stamp }, 0))
    };
    let sample = spread(series.sample.len(), count).rev().filter_map(file);
    Some((Stack::Files(series.path.clone()), sample.collect()))
}

/// Up to `count` places of `all`, evenly spread, both ends among them.
fn spread(all: usize, count: usize) -> impl DoubleEndedIterator<Item = usize> {
    let count = count.min(all);
    (0..count).map(move |n| n * all.saturating_sub(1) / (count - 1).max(1))
}

fn ends(grey: &Grey, robust: bool) -> Ends {
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

/// An image of a single value (before the first contrast, beyond the patient) tells nothing of the others.
fn join(all: Option<Ends>, one: Ends) -> Option<Ends> {
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
        let places = |all, count| spread(all, count).collect::<Vec<_>>();
        assert_eq!(places(100, 4), [0, 33, 66, 99]);
        assert_eq!(places(3, 16), [0, 1, 2]);
        assert_eq!((places(1, 16), places(0, 16)), (vec![0], vec![]));
    }

    #[test]
    fn an_image_of_one_value_does_not_count() {
        let joined = join(join(None, (0.0, 0.0)), (5.0, 9.0));
        assert_eq!(join(joined, (-2000.0, -2000.0)), Some((5.0, 9.0)));
        assert_eq!(join(joined, (7.0, 11.0)), Some((5.0, 11.0)));
    }
}
