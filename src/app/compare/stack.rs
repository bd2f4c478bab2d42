//! Paging the stacks of a comparison: the frames of a file, or the images of its series.

use super::Comparison;
use crate::app::context::FileContext;
use crate::app::request::Request;
use crate::app::studies::Slice;

/// Slices farther apart than this are not at the same place, in millimetres.
const MAX_DISTANCE: f64 = 30.0;

/// The stack of a side.
enum Stack {
    /// Frames of a file: the one shown, and their number.
    Frames(usize, usize),
    /// Files of a series: the one shown, and all of them.
    Files(usize, Vec<Slice>),
}

impl Stack {
    fn at(&self) -> usize {
        match self {
            Self::Frames(at, _) | Self::Files(at, _) => *at,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Frames(_, count) => *count,
            Self::Files(_, files) => files.len(),
        }
    }

    fn slice(&self, at: usize) -> Option<&Slice> {
        match self {
            Self::Frames(..) => None,
            Self::Files(_, files) => files.get(at),
        }
    }
}

impl Comparison {
    fn stack(&self, side: usize, files: FileContext<'_>) -> Option<Stack> {
        let shown = &self.sides[side];
        let frames = shown.viewer.frames() as usize;
        if frames > 1 {
            return Some(Stack::Frames(shown.viewer.frame() as usize, frames));
        }
        let all = files
            .studies
            .slices(&shown.path, files.folder(), files.results)?;
        let at = all.iter().position(|slice| slice.file.path == shown.path)?;
        (all.len() > 1).then_some(Stack::Files(at, all))
    }

    /// Whether the chosen side has a stack to page.
    pub(in crate::app) fn has_stack(&self, files: FileContext<'_>) -> bool {
        self.stack(self.chosen, files).is_some()
    }

    /// Pages the stack of the chosen side by a distance, and that of the other side with it if they are linked: to the slice at
    /// the same place if both lie parallel in one frame of reference, else by the same distance.
    pub(super) fn page(&mut self, distance: isize, files: FileContext<'_>) -> Vec<Request> {
        let (this, other) = (self.chosen, 1 - self.chosen);
        let Some(stack) = self.stack(this, files) else {
            return vec![Request::info(
                "this image belongs to no stack: it has one frame",
            )];
        };
        let to = stack
            .at()
            .saturating_add_signed(distance)
            .min(stack.len() - 1);
        if self.linked
            && self.before.is_none()
            && let Some(others) = self.stack(other, files)
        {
            let moved = to as isize - stack.at() as isize;
            let by_distance = || {
                others
                    .at()
                    .saturating_add_signed(moved)
                    .min(others.len() - 1)
            };
            let place = stack.slice(to).and_then(|slice| same_place(slice, &others));
            let there = place
                .filter(|_| self.share_space())
                .unwrap_or_else(by_distance);
            self.show(other, &others, there);
        } else if self.before.is_some() {
            // One file on both sides has the same frame on both.
            self.show(other, &stack, to);
        }
        self.show(this, &stack, to);
        vec![Request::SelectFile(self.sides[this].path.clone())]
    }

    /// Whether the images shown lie in one frame of reference.
    fn share_space(&self) -> bool {
        let [left, right] = self.sides.each_ref().map(|side| {
            let target = side.viewer.target()?;
            (!target.frame_of_reference.is_empty()).then_some(&target.frame_of_reference)
        });
        left.is_some() && left == right
    }

    fn show(&mut self, side: usize, stack: &Stack, at: usize) {
        match stack {
            Stack::Frames(..) => self.sides[side].viewer.show_frame(at as u32),
            Stack::Files(_, files) => {
                if let Some(slice) = files.get(at) {
                    self.sides[side].path.clone_from(&slice.file.path);
                }
            }
        }
    }
}

/// Index of the slice that is nearest to another one and parallel to it.
fn same_place(slice: &Slice, stack: &Stack) -> Option<usize> {
    let Stack::Files(_, files) = stack else {
        return None;
    };
    let distance = |other: &Slice| slice.distance(other).map(f64::abs);
    let near = files.iter().enumerate();
    let near = near.filter_map(|(at, other)| Some((at, distance(other)?)));
    let near = near.min_by(|a, b| a.1.total_cmp(&b.1))?;
    (near.1 <= MAX_DISTANCE).then_some(near.0)
}
