//! Whether there is a usable GPU, decided once per process and before the first call of libtorch.
//!
//! The linker drops libtorch_cuda, because nothing in this program refers to its symbols; so it is opened here at run time.
//! libtorch looks for it once, on its first use; a process that has called libtorch before never gets CUDA. The driver is
//! therefore queried and not libtorch, and changing from the CPU to a GPU takes a new process.
//!
//! [`GpuEvent`]s, which only the GPU's driver offers, are here, too.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use super::{Device, EncoderError};

/// The library of the NVIDIA driver.
const DRIVER_LIBRARY: &str = "libcuda.so.1";
/// The CUDA part of libtorch.
const TORCH_CUDA_LIBRARY: &str = "libtorch_cuda.so";
/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` of cuda.h.
const COMPUTE_CAPABILITY_MAJOR: c_int = 75;
/// The first compute capability that multiplies bf16 as fast as f16 (Ampere).
const MIN_BF16_CAPABILITY: c_int = 8;

/// The state of CUDA in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CudaDecision {
    /// Loaded, with at least one GPU.
    Ready(Gpus),
    /// There is no GPU, or no driver for it; with the reason.
    Absent(String),
    /// There is a GPU that cannot be used; with the reason.
    Unusable(String),
    /// Not loaded, because the CPU was requested when libtorch was first called.
    NotRequested,
}

/// The major compute capability of each GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gpus(Vec<c_int>);

static DECISION: OnceLock<CudaDecision> = OnceLock::new();

/// Loads CUDA unless `device` is the CPU; later calls return the first decision. Must come before any call of libtorch.
pub(super) fn decide(device: Device) -> &'static CudaDecision {
    DECISION.get_or_init(|| match device {
        Device::Cpu => CudaDecision::NotRequested,
        Device::Auto | Device::Cuda(_) => load(),
    })
}

/// The decision, if [`decide`] has been called.
pub(super) fn decision() -> Option<&'static CudaDecision> {
    DECISION.get()
}

impl CudaDecision {
    /// The device for a request: `auto` falls back to the CPU, a GPU requested by number does not.
    pub(super) fn device(&self, requested: Device) -> Result<tch::Device, EncoderError> {
        let refuse = |index: usize, reason: &str| {
            Err(EncoderError::Device(format!(
                "cuda:{index} cannot be used: {reason}; leave out --device, or use --device cpu"
            )))
        };
        match (requested, self) {
            (Device::Auto, Self::Ready(Gpus(gpus))) if !gpus.is_empty() => Ok(tch::Device::Cuda(0)),
            (Device::Cpu | Device::Auto, _) => Ok(tch::Device::Cpu),
            (Device::Cuda(index), Self::Ready(Gpus(gpus))) if index < gpus.len() => {
                Ok(tch::Device::Cuda(index))
            }
            (Device::Cuda(index), Self::Ready(Gpus(gpus))) => {
                refuse(index, &format!("this machine has {} GPU(s)", gpus.len()))
            }
            (Device::Cuda(index), Self::Absent(reason) | Self::Unusable(reason)) => {
                refuse(index, reason)
            }
            (Device::Cuda(index), Self::NotRequested) => {
                refuse(index, "this process started on the CPU; restart it")
            }
        }
    }

    /// Whether a GPU multiplies bf16 as fast as f16.
    pub(super) fn has_fast_bf16(&self, index: usize) -> bool {
        matches!(self, Self::Ready(Gpus(gpus)) if gpus.get(index).is_some_and(|&g| g >= MIN_BF16_CAPABILITY))
    }
}

fn load() -> CudaDecision {
    let gpus = match query_gpus() {
        Ok(gpus) if gpus.0.is_empty() => {
            return CudaDecision::Absent("the NVIDIA driver finds no GPU".into());
        }
        Ok(gpus) => gpus,
        Err(reason) => return CudaDecision::Absent(reason),
    };
    match load_torch_cuda() {
        Err(reason) => CudaDecision::Unusable(reason),
        // The first call of libtorch in this process; it now finds its CUDA part.
        Ok(()) if tch::Cuda::is_available() => CudaDecision::Ready(gpus),
        Ok(()) => CudaDecision::Unusable(
            "libtorch finds no usable GPU; the NVIDIA driver may be too old".into(),
        ),
    }
}

/// Opens libtorch's CUDA part; it stays open until the process ends.
fn load_torch_cuda() -> Result<(), String> {
    open_library(TORCH_CUDA_LIBRARY, libc::RTLD_NOW | libc::RTLD_GLOBAL).map(drop).map_err(|error| {
        format!("libtorch's CUDA libraries cannot be loaded ({error}); `make setup GPU=yes` fetches a libtorch that includes them")
    })
}

/// `CUresult` of cuda.h: 0, or an error number.
type DriverStatus = c_int;

fn check(status: DriverStatus) -> Result<(), String> {
    match status {
        0 => Ok(()),
        code => Err(format!("the NVIDIA driver reports error {code}")),
    }
}

/// Queries the driver for its GPUs.
fn query_gpus() -> Result<Gpus, String> {
    let library = open_library(DRIVER_LIBRARY, libc::RTLD_NOW | libc::RTLD_LOCAL)
        .map_err(|error| format!("there is no NVIDIA driver ({error})"))?;
    // SAFETY: the four functions have had these signatures since CUDA 2 (cuda.h), and `cuInit` is called first, as it demands.
    unsafe {
        let init: unsafe extern "C" fn(c_uint) -> DriverStatus = symbol(library, c"cuInit")?;
        let count: unsafe extern "C" fn(*mut c_int) -> DriverStatus =
            symbol(library, c"cuDeviceGetCount")?;
        let get: unsafe extern "C" fn(*mut c_int, c_int) -> DriverStatus =
            symbol(library, c"cuDeviceGet")?;
        let attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> DriverStatus =
            symbol(library, c"cuDeviceGetAttribute")?;
        check(init(0))?;
        let mut number = 0;
        check(count(&raw mut number))?;
        let mut gpus = Vec::new();
        for index in 0..number {
            let (mut device, mut major) = (0, 0);
            check(get(&raw mut device, index))?;
            check(attribute(&raw mut major, COMPUTE_CAPABILITY_MAJOR, device))?;
            gpus.push(major);
        }
        Ok(Gpus(gpus))
    }
}

/// Functions of the driver that the tch bindings lack.
struct DriverCalls {
    retain: unsafe extern "C" fn(*mut *mut c_void, c_int) -> DriverStatus,
    push: unsafe extern "C" fn(*mut c_void) -> DriverStatus,
    pop: unsafe extern "C" fn(*mut *mut c_void) -> DriverStatus,
    create: unsafe extern "C" fn(*mut *mut c_void, c_uint) -> DriverStatus,
    record: unsafe extern "C" fn(*mut c_void, *mut c_void) -> DriverStatus,
    synchronize: unsafe extern "C" fn(*mut c_void) -> DriverStatus,
    destroy: unsafe extern "C" fn(*mut c_void) -> DriverStatus,
}

impl DriverCalls {
    fn get() -> Result<&'static Self, String> {
        static CALLS: OnceLock<Result<DriverCalls, String>> = OnceLock::new();
        CALLS.get_or_init(Self::find).as_ref().map_err(Clone::clone)
    }

    fn find() -> Result<Self, String> {
        let library = open_library(DRIVER_LIBRARY, libc::RTLD_NOW | libc::RTLD_LOCAL)?;
        // SAFETY: the functions have had these signatures since CUDA 7 (cuda.h).
        unsafe {
            Ok(Self {
                retain: symbol(library, c"cuDevicePrimaryCtxRetain")?,
                push: symbol(library, c"cuCtxPushCurrent_v2")?,
                pop: symbol(library, c"cuCtxPopCurrent_v2")?,
                create: symbol(library, c"cuEventCreate")?,
                record: symbol(library, c"cuEventRecord")?,
                synchronize: symbol(library, c"cuEventSynchronize")?,
                destroy: symbol(library, c"cuEventDestroy_v2")?,
            })
        }
    }
}

/// A CUDA event in a GPU's default stream: waiting for it waits for all work queued before it and none queued after. The
/// waiting thread sleeps, whereas libtorch's own synchronisation keeps a core busy.
pub(super) struct GpuEvent {
    calls: &'static DriverCalls,
    event: *mut c_void,
}

/// `CU_EVENT_BLOCKING_SYNC` and `CU_EVENT_DISABLE_TIMING` of cuda.h.
const BLOCKING_SYNC_WITHOUT_TIMING: c_uint = 1 | 2;

impl GpuEvent {
    /// Records an event behind all work queued on the GPU of this number.
    pub(super) fn record(index: usize) -> Result<Self, EncoderError> {
        let lost = |reason| EncoderError::DeviceLost(reason);
        let calls = DriverCalls::get().map_err(lost)?;
        // SAFETY: called as cuda.h demands. The context is the one that libtorch uses; it is retained until the process ends,
        // and popped again below. A null stream is the default one, which libtorch uses.
        unsafe {
            let mut context = std::ptr::null_mut();
            let mut event = std::ptr::null_mut();
            let index = c_int::try_from(index).unwrap_or(c_int::MAX);
            check((calls.retain)(&raw mut context, index)).map_err(lost)?;
            check((calls.push)(context)).map_err(lost)?;
            let created = check((calls.create)(&raw mut event, BLOCKING_SYNC_WITHOUT_TIMING));
            let mark = created.map(|()| Self { calls, event });
            let set = mark.and_then(|mark| {
                check((calls.record)(mark.event, std::ptr::null_mut())).map(|()| mark)
            });
            let _ = (calls.pop)(&raw mut context);
            set.map_err(lost)
        }
    }

    /// Sleeps until the GPU has reached the event.
    pub(super) fn wait(self) -> Result<(), EncoderError> {
        // SAFETY: the event is destroyed only when `self` is dropped.
        check(unsafe { (self.calls.synchronize)(self.event) }).map_err(EncoderError::DeviceLost)
    }
}

impl Drop for GpuEvent {
    fn drop(&mut self) {
        // SAFETY: the event is destroyed once.
        let _ = unsafe { (self.calls.destroy)(self.event) };
    }
}

/// Whether the GPU of this number still accepts work: after a fault, every call in its context fails.
pub(super) fn is_alive(index: usize) -> bool {
    GpuEvent::record(index).is_ok()
}

/// Opens a shared library and never closes it.
fn open_library(name: &str, flags: c_int) -> Result<*mut c_void, String> {
    let name = CString::new(name).map_err(|error| error.to_string())?;
    // SAFETY: a C string and valid flags; the initialisers that run are those of the driver and of libtorch.
    let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
    if handle.is_null() {
        return Err(last_error());
    }
    Ok(handle)
}

fn last_error() -> String {
    // SAFETY: the text belongs to the C library and is copied immediately; null means that there was no error.
    let text: *const c_char = unsafe { libc::dlerror() };
    if text.is_null() {
        return "no reason given".into();
    }
    // SAFETY: not null, and a C string by dlerror(3).
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// Looks up a function of an open library.
///
/// # Safety
///
/// `F` must be the function's type.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &CStr) -> Result<F, String> {
    // SAFETY: the handle came from `dlopen`, and the library stays open.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    if found.is_null() {
        return Err(last_error());
    }
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: a function pointer has the size of a pointer (checked), and the caller guarantees its type.
    Ok(unsafe { std::mem::transmute_copy(&found) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named_in_the_reason() {
        let error = open_library("libnowhere.so.7", libc::RTLD_NOW).unwrap_err();
        assert!(error.contains("libnowhere.so.7"), "{error}");
    }

    #[test]
    fn functions_of_an_open_library_are_found() {
        let library = open_library("libc.so.6", libc::RTLD_NOW).unwrap();
        // SAFETY: abs(3) has this type.
        let abs: unsafe extern "C" fn(c_int) -> c_int = unsafe { symbol(library, c"abs") }.unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { abs(-7) }, 7);
        // SAFETY: never called.
        let none = unsafe { symbol::<unsafe extern "C" fn()>(library, c"cuNothing") };
        assert!(none.unwrap_err().contains("cuNothing"));
    }

    #[test]
    fn auto_falls_back_to_the_cpu_and_a_gpu_by_number_does_not() {
        let two = CudaDecision::Ready(Gpus(vec![7, 9]));
        assert_eq!(two.device(Device::Auto).unwrap(), tch::Device::Cuda(0));
        assert_eq!(two.device(Device::Cuda(1)).unwrap(), tch::Device::Cuda(1));
        assert_eq!(two.device(Device::Cpu).unwrap(), tch::Device::Cpu);
        assert!(
            two.device(Device::Cuda(2))
                .unwrap_err()
                .to_string()
                .contains("2 GPU(s)")
        );
        assert!(!two.has_fast_bf16(0) && two.has_fast_bf16(1));
        for (none, word) in [
            (CudaDecision::Absent("no driver".into()), "no driver"),
            (CudaDecision::Unusable("too old".into()), "too old"),
            (CudaDecision::NotRequested, "restart it"),
        ] {
            assert_eq!(none.device(Device::Auto).unwrap(), tch::Device::Cpu);
            let error = none.device(Device::Cuda(0)).unwrap_err().to_string();
            assert!(error.contains("cuda:0") && error.contains(word), "{error}");
        }
    }
}
