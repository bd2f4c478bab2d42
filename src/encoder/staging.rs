//! Host memory in which batches of images wait for their transfer to the device.

use std::mem::ManuallyDrop;
use std::ops::Deref;

use tch::{Device, Kind, Tensor};

use super::cuda::is_alive;
use super::{EncoderError, PreparedImage};

/// A tensor in host memory that the device reads or writes asynchronously; page-locked if the device is a GPU.
///
/// Freeing page-locked memory makes libtorch record an event. After a GPU fault that fails, the exception leaves a
/// destructor, and the process aborts. The memory is therefore leaked in that case: a few images' worth, once, before the
/// CPU takes over.
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

/// Two host buffers used in turn, so that a buffer which the GPU is still reading is never written to. They are reused, as
/// allocation costs more than the copy, and pinned if the device is a GPU, which makes the transfer asynchronous.
///
/// A batch may be staged while the previous one is being computed, but not before the one before that has finished.
pub(super) struct Staging {
    device: Device,
    /// Bytes `[capacity, height, width, 3]` each.
    buffers: [Option<HostTensor>; 2],
    /// Index of the buffer that was used last.
    current: usize,
}

impl Staging {
    /// Nothing is allocated before the first batch.
    pub(super) fn new(device: Device) -> Self {
        Self {
            device,
            buffers: [None, None],
            current: 0,
        }
    }

    /// Copies images of `height × width` into one tensor and starts its transfer to the device: bytes
    /// `[batch, height, width, 3]`. For a GPU the batch is padded with rows of arbitrary content, see [`padded_batch_size`].
    pub(super) fn stage(
        &mut self,
        batch: &[PreparedImage],
        (height, width): (usize, usize),
    ) -> Result<Tensor, EncoderError> {
        self.current = 1 - self.current;
        let count = if self.device.is_cuda() {
            padded_batch_size(batch.len()) as i64
        } else {
            batch.len() as i64
        };
        let shape = [count, height as i64, width as i64, 3];
        let buffer = self.buffers[self.current].take().filter(|buffer| {
            let size = buffer.size();
            size[0] >= count && size[1..] == shape[1..]
        });
        let buffer = match buffer {
            Some(buffer) => buffer,
            None => self.allocate(&shape)?,
        }; // [capacity, height, width, 3]
        let image_bytes = height * width * 3;
        // SAFETY: `buffer` is contiguous host memory for at least `count` images of `image_bytes` each, and nobody else uses
        // it: the transfer out of it has ended, as the documentation of the type demands.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(
                buffer.data_ptr().cast::<u8>(),
                batch.len() * image_bytes,
            )
        };
        for (target, image) in bytes.chunks_exact_mut(image_bytes).zip(batch) {
            target.copy_from_slice(image.bytes());
        }
        let staged = buffer.f_narrow(0, 0, count)?; // [count, height, width, 3]
        self.buffers[self.current] = Some(buffer);
        if self.device.is_cuda() {
            return Ok(staged.f_to_device_(self.device, Kind::Uint8, true, false)?); // [count, height, width, 3]
        }
        Ok(staged)
    }

    fn allocate(&self, shape: &[i64]) -> Result<HostTensor, EncoderError> {
        let mut buffer = Tensor::f_zeros(shape, (Kind::Uint8, Device::Cpu))?; // `shape`
        if self.device.is_cuda() {
            // `f_pin_memory` prints a deprecation warning about its device argument, which its binding cannot leave out.
            buffer = buffer.f_internal_pin_memory(self.device)?; // `shape`
        }
        Ok(HostTensor::new(buffer, self.device))
    }
}

/// Batches beyond this size are not padded.
const MAX_PADDED_BATCH: usize = 256;

/// The number of rows that a GPU is given for a batch of `count`: the next power of two. For each new batch size its libraries
/// spend about 50 ms (H100) on choosing algorithms, while half a batch takes no less than half the time of a full one.
fn padded_batch_size(count: usize) -> usize {
    if count > MAX_PADDED_BATCH {
        return count;
    }
    count.next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(values: &[u8]) -> Vec<PreparedImage> {
        let input = |&value: &u8| PreparedImage::new((0..2 * 3 * 3).map(|n| value + n).collect());
        values.iter().map(input).collect()
    }

    fn bytes(staged: &Tensor) -> Vec<u8> {
        let mut all = vec![0; staged.numel()];
        staged.copy_data(&mut all, staged.numel());
        all
    }

    #[test]
    fn a_batch_is_complete_and_leaves_the_previous_one_untouched() {
        let mut staging = Staging::new(Device::Cpu);
        let mut before: Option<(Tensor, Vec<u8>)> = None;
        for values in [&[1, 40][..], &[80], &[3, 4, 5], &[6], &[7, 8, 9, 10], &[11]] {
            let batch = inputs(values);
            let expected: Vec<u8> = batch
                .iter()
                .flat_map(PreparedImage::bytes)
                .copied()
                .collect();
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
    fn a_gpu_gets_few_batch_sizes_and_no_image_is_left_out() {
        let sizes: std::collections::BTreeSet<_> =
            (1..=MAX_PADDED_BATCH).map(padded_batch_size).collect();
        assert!(sizes.len() <= 9, "{sizes:?}");
        let is_padded_enough =
            |count| padded_batch_size(count) >= count && padded_batch_size(count) < 2 * count;
        assert!((1..2000).all(is_padded_enough));
    }

    #[test]
    fn buffers_are_reused() {
        let mut staging = Staging::new(Device::Cpu);
        let mut pointers = Vec::new();
        for _ in 0..6 {
            pointers.push(staging.stage(&inputs(&[1, 2]), (2, 3)).unwrap().data_ptr());
        }
        assert_eq!(pointers[..2], pointers[2..4]);
        assert_eq!(pointers[..2], pointers[4..]);
    }
}
