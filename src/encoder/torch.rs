//! The few process-wide decisions of libtorch: device and threads.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use tch::Kind;

use super::EncoderError;
use super::cuda::{self, Cuda};

/// Where the model runs, as asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The best that works.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU by number.
    Cuda(usize),
}

/// Threads of one operation, once libtorch may be called.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How far this thread is still to step back on the CPU.
    static NICENESS: Cell<i32> = const { Cell::new(0) };
}

/// The device to use on this machine: a GPU asked for by name is never silently the CPU. Whoever uses libtorch comes by
/// here first.
pub(super) fn resolve(device: Device) -> Result<tch::Device, EncoderError> {
    let found = match LOST.get() {
        None => cuda::decide(device).device(device)?,
        Some(_) => tch::Device::Cpu,
    };
    if found == tch::Device::Cpu {
        // Before the first operation, whose threads are as patient as this one.
        let _ = rustix::process::nice(NICENESS.take());
    }
    let threads = THREADS.load(Ordering::Relaxed);
    if threads > 0 {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(1).max(1));
    }
    Ok(found)
}

/// Why the GPU was given up.
static LOST: OnceLock<String> = OnceLock::new();

/// From now on every model is opened on the CPU, whatever was asked for: a process that has had a fault of its GPU can use
/// none any more.
pub fn give_up_gpu(reason: &str) {
    let _ = LOST.set(format!(
        "it was lost ({reason}); the CPU goes on, and a new start tries the GPU again"
    ));
}

/// What is to be said of the GPU once a model was opened: a sentence, and whether there is one that should be usable.
pub fn gpu_note() -> Option<(String, bool)> {
    if let Some(reason) = LOST.get() {
        return Some((reason.clone(), true));
    }
    match cuda::decision()? {
        Cuda::Ready(_) | Cuda::NotWanted => None,
        Cuda::Absent(reason) => Some((reason.clone(), false)),
        Cuda::Unusable(reason) => Some((reason.clone(), true)),
    }
}

/// As results name it: `cpu`, `cuda:0`.
pub(super) fn name(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// In how many bits a model computes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32 on the CPU; on a GPU bf16, or f16 where bf16 is slow.
    #[default]
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits with the range of 32.
    Bf16,
    /// 16 bits.
    F16,
}

impl Precision {
    pub(super) fn kind(self, device: tch::Device) -> Kind {
        match (self, device) {
            (Self::Auto, tch::Device::Cuda(index)) => half(index),
            (Self::Auto | Self::F32, _) => Kind::Float,
            (Self::Bf16, _) => Kind::BFloat16,
            (Self::F16, _) => Kind::Half,
        }
    }
}

/// The half that a GPU is fast with.
fn half(index: usize) -> Kind {
    if cuda::decision().is_some_and(|cuda| cuda.likes_bf16(index)) {
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
                .ok_or_else(|| format!("`{text}` is no device; use auto, cpu, cuda or cuda:N")),
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

/// Says how many threads one operation may use; to be called on the engine thread before the first model. It takes effect
/// with that model, as libtorch must not be called before the device is decided.
pub fn limit_threads(threads: usize) {
    THREADS.store(threads, Ordering::Relaxed);
}

/// Lets others on the same cores go before this thread (`nice`), as soon as a model is opened here whose device is the CPU: who
/// only feeds a GPU keeps few cores busy, and holds it up when it comes late.
pub fn step_back_on_cpu(niceness: i32) {
    NICENESS.set(niceness);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_read_back_as_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<Device>(), Ok(Device::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:x"] {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_left_to_the_program_is_exact_on_the_cpu() {
        assert_eq!(Precision::Auto.kind(tch::Device::Cpu), Kind::Float);
        assert_eq!(Precision::Bf16.kind(tch::Device::Cpu), Kind::BFloat16);
    }
}
