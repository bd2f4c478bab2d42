//! Process-wide settings of libtorch: device, precision and threads.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use tch::Kind;

use super::EncoderError;
use super::cuda::{self, CudaDecision};

/// The requested device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The first usable GPU, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, by number from 0.
    Cuda(usize),
}

/// Threads per libtorch operation, set by [`limit_threads`]; 0 leaves libtorch's default.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How much to raise this thread's niceness once its model runs on the CPU; see [`set_cpu_niceness`].
    static NICENESS: Cell<i32> = const { Cell::new(0) };
}

/// Decides on the device, and applies the thread settings. A GPU requested by number is never silently replaced by the CPU.
/// Must come before any call of libtorch.
pub fn resolve_device(device: Device) -> Result<tch::Device, EncoderError> {
    let found = match LOST.get() {
        None => cuda::decide(device).device(device)?,
        Some(_) => tch::Device::Cpu,
    };
    if found == tch::Device::Cpu {
        // Before the first operation: libtorch's worker threads inherit this thread's niceness.
        let _ = rustix::process::nice(NICENESS.take());
    }
    let threads = THREADS.load(Ordering::Relaxed);
    if threads > 0 {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(1).max(1));
    }
    Ok(found)
}

/// Why the GPU was given up, if it was.
static LOST: OnceLock<String> = OnceLock::new();

/// Makes every model that is opened from now on run on the CPU, whichever device is requested: after a GPU fault a process
/// cannot use any GPU.
pub fn give_up_gpu(reason: &str) {
    let _ = LOST.set(format!(
        "it was lost ({reason}); the CPU takes over, and a restart tries the GPU again"
    ));
}

/// Why no GPU is used, once a model has been opened, and whether this machine has a GPU at all. `None` if one is used or none
/// was requested.
pub fn gpu_note() -> Option<(String, bool)> {
    if let Some(reason) = LOST.get() {
        return Some((reason.clone(), true));
    }
    match cuda::decision()? {
        CudaDecision::Ready(_) | CudaDecision::NotRequested => None,
        CudaDecision::Absent(reason) => Some((reason.clone(), false)),
        CudaDecision::Unusable(reason) => Some((reason.clone(), true)),
    }
}

/// The device's name in results: `cpu`, `cuda:0`.
pub(super) fn device_name(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// The numeric precision of a model.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32 on the CPU; on a GPU bf16, or f16 where bf16 is slow.
    #[default]
    Auto,
    /// 32 bits. Convolutions on a GPU multiply with TF32's mantissa of ten bits, PyTorch's default.
    F32,
    /// 16 bits with the exponent range of f32 (bfloat16).
    Bf16,
    /// 16 bits (IEEE 754 binary16).
    F16,
}

impl Precision {
    /// The element type of the model's tensors on a device.
    pub(super) fn kind(self, device: tch::Device) -> Kind {
        match (self, device) {
            (Self::Auto, tch::Device::Cuda(index)) => fast_half(index),
            (Self::Auto | Self::F32, _) => Kind::Float,
            (Self::Bf16, _) => Kind::BFloat16,
            (Self::F16, _) => Kind::Half,
        }
    }
}

/// The 16-bit type that a GPU is fast with.
fn fast_half(index: usize) -> Kind {
    if cuda::decision().is_some_and(|cuda| cuda.has_fast_bf16(index)) {
        Kind::BFloat16
    } else {
        Kind::Half
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("`{text}` is not a device; use auto, cpu, cuda or cuda:N")),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// Limits the threads of one libtorch operation. Takes effect when the next model is opened, as libtorch must not be called
/// before the device is decided.
pub fn limit_threads(threads: usize) {
    THREADS.store(threads, Ordering::Relaxed);
}

/// Raises the niceness of this thread as soon as it opens a model that runs on the CPU. A thread that only feeds a GPU keeps
/// its priority: it uses little CPU, and the GPU idles when it comes late.
pub fn set_cpu_niceness(niceness: i32) {
    NICENESS.set(niceness);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_survive_printing_and_parsing() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<Device>(), Ok(Device::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:x"] {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
    }

    #[test]
    fn automatic_precision_is_f32_on_the_cpu() {
        assert_eq!(Precision::Auto.kind(tch::Device::Cpu), Kind::Float);
        assert_eq!(Precision::Bf16.kind(tch::Device::Cpu), Kind::BFloat16);
    }
}
