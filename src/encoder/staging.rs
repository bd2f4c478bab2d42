//! Memory of the host between images and the model.

use std::mem::ManuallyDrop;
use std::ops::Deref;

use tch::{Device, Kind, Tensor};

use super::cuda::is_alive;
use super::{EncoderError, Input};

/// A tensor in memory of the host that the device reads or writes on its own: page-locked where the device is a GPU.
///
/// Freeing page-locked memory makes libtorch record an event; after a fault of the GPU that fails, the exception leaves a
/// destructor, and the process ends. So it is leaked then: a few images' worth, once, before the CPU takes over.
pub(super) struct HostTensor {
    tensor: ManuallyDrop<Tensor>,
    device: Device,
}

impl HostTensor {
    pub(super) fn new(tensor: Tensor, device: Device) -> Self {
        Self {
            tensor: ManuallyDrop::new(tensor),
            device,
        }
    }
}

impl Deref for HostTensor {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

impl Drop for HostTensor {
    fn drop(&mut self) {
        if let Device::Cuda(index) = self.device
            && !is_alive(index)
        {
            return;
        }
        // SAFETY: nothing uses the tensor after this.
        unsafe { ManuallyDrop::drop(&mut self.tensor) }
    }
}

/// Memory of the host for two batches, taken in turn: what a GPU is still reading is not written to. It is kept, as fresh
/// memory costs more than the copy, and pinned where the device is a GPU, which then reads it when it comes to it.
///
/// A batch may be staged while the one before is under way; before the next is, one of them has been answered.
pub(super) struct Staging {
    device: Device,
    /// Bytes `[capacity, height, width, 3]` each.
    halves: [Option<HostTensor>; 2],
    turn: usize,
}

impl Staging {
    /// Nothing is allocated before the first batch.
    pub(super) fn new(device: Device) -> Self {
        Self {
            device,
            halves: [None, None],
            turn: 0,
        }
    }

    /// Copies pictures of `height × width` together: bytes `[batch, height, width, 3]`, on the device or on their way there. For a
    /// GPU there are more rows, with whatever was there: see [`filled_up`].
    pub(super) fn stage(
        &mut self,
        batch: &[Input],
        (height, width): (usize, usize),
    ) -> Result<Tensor, EncoderError> {
        self.turn = 1 - self.turn;
        let count = if self.device.is_cuda() {
            filled_up(batch.len()) as i64
        } else {
            batch.len() as i64
        };
        let shape = [count, height as i64, width as i64, 3];
        let kept = self.halves[self.turn].take().filter(|kept| {
            let size = kept.size();
            size[0] >= count && size[1..] == shape[1..]
        });
        let kept = match kept {
            Some(kept) => kept,
            None => self.room(&shape)?,
        };
        let one = height * width * 3;
        // SAFETY: `kept` is contiguous memory of the host with room for `count` pictures of `one` byte each, and nobody else
        // has it: a transfer out of it has ended, as the type says.
        let room = unsafe {
            std::slice::from_raw_parts_mut(kept.data_ptr().cast::<u8>(), batch.len() * one)
        };
        for (place, input) in room.chunks_exact_mut(one).zip(batch) {
            place.copy_from_slice(input.bytes());
        }
        let staged = kept.f_narrow(0, 0, count)?;
        self.halves[self.turn] = Some(kept);
        if self.device.is_cuda() {
            return Ok(staged.f_to_device_(self.device, Kind::Uint8, true, false)?);
        }
        Ok(staged)
    }

    fn room(&self, shape: &[i64]) -> Result<HostTensor, EncoderError> {
        let mut room = Tensor::f_zeros(shape, (Kind::Uint8, Device::Cpu))?;
        if self.device.is_cuda() {
            // `pin_memory` warns on stderr of the argument that it cannot be called without here.
            room = room.f_internal_pin_memory(self.device)?;
        }
        Ok(HostTensor::new(room, self.device))
    }
}

/// Batches beyond this size are not filled up.
const LARGEST: usize = 256;

/// A GPU is given batches of few sizes only: for each that is new, its libraries spend about 50 ms (H100) on finding out how to
/// compute it, and half a batch takes it no less than half the time of the whole.
fn filled_up(count: usize) -> usize {
    if count > LARGEST {
        return count;
    }
    count.next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(values: &[u8]) -> Vec<Input> {
        let input = |&value: &u8| Input::new((0..2 * 3 * 3).map(|n| value + n).collect());
        values.iter().map(input).collect()
    }

    fn bytes(staged: &Tensor) -> Vec<u8> {
        let mut all = vec![0; staged.numel()];
        staged.copy_data(&mut all, staged.numel());
        all
    }

    #[test]
    fn every_batch_is_whole_and_the_one_before_stays() {
        let mut staging = Staging::new(Device::Cpu);
        let mut before: Option<(Tensor, Vec<u8>)> = None;
        for values in [&[1, 40][..], &[80], &[3, 4, 5], &[6], &[7, 8, 9, 10], &[11]] {
            let batch = inputs(values);
            let expected: Vec<u8> = batch.iter().flat_map(Input::bytes).copied().collect();
            let staged = staging.stage(&batch, (2, 3)).unwrap();
            assert_eq!(staged.size(), [values.len() as i64, 2, 3, 3]);
            assert_eq!(bytes(&staged), expected);
            if let Some((staged, expected)) = before {
                assert_eq!(bytes(&staged), expected);
            }
            before = Some((staged, expected));
        }
    }

    #[test]
    fn a_gpu_sees_few_sizes_and_no_picture_is_left_out() {
        let sizes: std::collections::BTreeSet<_> = (1..=LARGEST).map(filled_up).collect();
        assert!(sizes.len() <= 9, "{sizes:?}");
        assert!((1..2000).all(|count| filled_up(count) >= count && filled_up(count) < 2 * count));
    }

    #[test]
    fn memory_is_taken_once() {
        let mut staging = Staging::new(Device::Cpu);
        let mut places = Vec::new();
        for _ in 0..6 {
            places.push(staging.stage(&inputs(&[1, 2]), (2, 3)).unwrap().data_ptr());
        }
        assert_eq!(places[..2], places[2..4]);
        assert_eq!(places[..2], places[4..]);
    }
}
