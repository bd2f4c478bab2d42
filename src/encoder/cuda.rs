//! Whether there is a GPU that can be used, decided once per process and before libtorch is first called.
//!
//! The linker drops libtorch_cuda, as nothing in this program calls it by name; so it is opened here. libtorch looks for
//! it once, on its first use, and a process that has called it before has no CUDA for good. Therefore the driver is asked
//! and not libtorch, and who wants another device starts another process.
//!
//! What only the GPU's own driver gives, [`Mark`]s in its stream of work, is here too.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use super::{Device, EncoderError};

/// The driver's library.
const DRIVER: &str = "libcuda.so.1";
/// libtorch's.
const TORCH: &str = "libtorch_cuda.so";
/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` of cuda.h.
const CAPABILITY: c_int = 75;
/// The first generation that multiplies bf16 as fast as f16 (Ampere).
const BF16: c_int = 8;

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cuda {
    /// It is loaded.
    Ready(Gpus),
    /// There is no GPU, or no driver for one.
    Absent(String),
    /// There is a GPU, and it cannot be used.
    Unusable(String),
    /// Nobody wanted it when libtorch was first called.
    NotWanted,
}

/// The generation of each GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gpus(Vec<c_int>);

static DECISION: OnceLock<Cuda> = OnceLock::new();

/// Decides, unless that is done. The first call comes before any other of libtorch.
pub(super) fn decide(device: Device) -> &'static Cuda {
    DECISION.get_or_init(|| match device {
        Device::Cpu => Cuda::NotWanted,
        Device::Auto | Device::Cuda(_) => load(),
    })
}

/// What was decided, if it was.
pub(super) fn decision() -> Option<&'static Cuda> {
    DECISION.get()
}

impl Cuda {
    /// The device that a wish comes to.
    pub(super) fn device(&self, wish: Device) -> Result<tch::Device, EncoderError> {
        let refuse = |wish: usize, reason: &str| {
            Err(EncoderError::Device(format!(
                "cuda:{wish} cannot be used: {reason}; leave out --device, or use --device cpu"
            )))
        };
        match (wish, self) {
            (Device::Auto, Self::Ready(Gpus(gpus))) if !gpus.is_empty() => Ok(tch::Device::Cuda(0)),
            (Device::Cpu | Device::Auto, _) => Ok(tch::Device::Cpu),
            (Device::Cuda(wish), Self::Ready(Gpus(gpus))) if wish < gpus.len() => {
                Ok(tch::Device::Cuda(wish))
            }
            (Device::Cuda(wish), Self::Ready(Gpus(gpus))) => {
                refuse(wish, &format!("this machine has {} GPU(s)", gpus.len()))
            }
            (Device::Cuda(wish), Self::Absent(reason) | Self::Unusable(reason)) => {
                refuse(wish, reason)
            }
            (Device::Cuda(wish), Self::NotWanted) => {
                refuse(wish, "this process began on the CPU; start it again")
            }
        }
    }

    /// Whether a GPU multiplies bf16 as fast as f16.
    pub(super) fn likes_bf16(&self, index: usize) -> bool {
        matches!(self, Self::Ready(Gpus(gpus)) if gpus.get(index).is_some_and(|&g| g >= BF16))
    }
}

fn load() -> Cuda {
    let gpus = match driver() {
        Ok(gpus) if gpus.0.is_empty() => return Cuda::Absent("the driver knows no GPU".into()),
        Ok(gpus) => gpus,
        Err(reason) => return Cuda::Absent(reason),
    };
    match torch_cuda() {
        Err(reason) => Cuda::Unusable(reason),
        // The first call of libtorch, which now finds its CUDA part.
        Ok(()) if tch::Cuda::is_available() => Cuda::Ready(gpus),
        Ok(()) => Cuda::Unusable(
            "libtorch finds no GPU that it can use; is the driver new enough?".into(),
        ),
    }
}

/// Opens libtorch's CUDA part beside the one for the CPU, and for good.
fn torch_cuda() -> Result<(), String> {
    open(TORCH, libc::RTLD_NOW | libc::RTLD_GLOBAL).map(drop).map_err(|error| {
        format!("libtorch's CUDA part cannot be opened ({error}); `make setup GPU=yes` fetches a libtorch that has all of it")
    })
}

/// What the driver answers its calls with: 0, or what went wrong.
type Status = c_int;

fn good(status: Status) -> Result<(), String> {
    match status {
        0 => Ok(()),
        code => Err(format!("the NVIDIA driver answers with its error {code}")),
    }
}

/// Asks the driver for its GPUs.
fn driver() -> Result<Gpus, String> {
    let library = open(DRIVER, libc::RTLD_NOW | libc::RTLD_LOCAL)
        .map_err(|error| format!("there is no NVIDIA driver ({error})"))?;
    // SAFETY: the four functions have these signatures since CUDA 2 (cuda.h), and are called as it says: `cuInit` first.
    unsafe {
        let init: unsafe extern "C" fn(c_uint) -> Status = symbol(library, c"cuInit")?;
        let count: unsafe extern "C" fn(*mut c_int) -> Status =
            symbol(library, c"cuDeviceGetCount")?;
        let get: unsafe extern "C" fn(*mut c_int, c_int) -> Status =
            symbol(library, c"cuDeviceGet")?;
        let attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> Status =
            symbol(library, c"cuDeviceGetAttribute")?;
        good(init(0))?;
        let mut number = 0;
        good(count(&raw mut number))?;
        let mut gpus = Vec::new();
        for index in 0..number {
            let (mut device, mut major) = (0, 0);
            good(get(&raw mut device, index))?;
            good(attribute(&raw mut major, CAPABILITY, device))?;
            gpus.push(major);
        }
        Ok(Gpus(gpus))
    }
}

/// Calls of the driver that libtorch's C interface lacks.
struct Calls {
    retain: unsafe extern "C" fn(*mut *mut c_void, c_int) -> Status,
    push: unsafe extern "C" fn(*mut c_void) -> Status,
    pop: unsafe extern "C" fn(*mut *mut c_void) -> Status,
    create: unsafe extern "C" fn(*mut *mut c_void, c_uint) -> Status,
    record: unsafe extern "C" fn(*mut c_void, *mut c_void) -> Status,
    synchronize: unsafe extern "C" fn(*mut c_void) -> Status,
    destroy: unsafe extern "C" fn(*mut c_void) -> Status,
}

impl Calls {
    fn get() -> Result<&'static Self, String> {
        static CALLS: OnceLock<Result<Calls, String>> = OnceLock::new();
        CALLS.get_or_init(Self::find).as_ref().map_err(Clone::clone)
    }

    fn find() -> Result<Self, String> {
        let library = open(DRIVER, libc::RTLD_NOW | libc::RTLD_LOCAL)?;
        // SAFETY: the functions have these signatures since CUDA 7 (cuda.h).
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

/// A mark in what a GPU has been given to do: whoever waits for it waits for all before it, and not for what came after;
/// and sleeps meanwhile, where libtorch's own waiting keeps a core busy.
pub(super) struct Mark {
    calls: &'static Calls,
    event: *mut c_void,
}

/// `CU_EVENT_BLOCKING_SYNC` and `CU_EVENT_DISABLE_TIMING` of cuda.h.
const SLEEPING: c_uint = 1 | 2;

impl Mark {
    /// Marks the place that the GPU of this number has been given work up to.
    pub(super) fn set(index: usize) -> Result<Self, EncoderError> {
        let lost = |reason| EncoderError::DeviceLost(reason);
        let calls = Calls::get().map_err(lost)?;
        // SAFETY: as cuda.h says. The context is the one that libtorch uses; it is retained for good, and no longer the
        // current one after this. A null stream is the default one, which libtorch uses.
        unsafe {
            let mut context = std::ptr::null_mut();
            let mut event = std::ptr::null_mut();
            let index = c_int::try_from(index).unwrap_or(c_int::MAX);
            good((calls.retain)(&raw mut context, index)).map_err(lost)?;
            good((calls.push)(context)).map_err(lost)?;
            let created = good((calls.create)(&raw mut event, SLEEPING));
            let mark = created.map(|()| Self { calls, event });
            let set = mark.and_then(|mark| {
                good((calls.record)(mark.event, std::ptr::null_mut())).map(|()| mark)
            });
            let _ = (calls.pop)(&raw mut context);
            set.map_err(lost)
        }
    }

    /// Sleeps until the GPU has come by.
    pub(super) fn wait(self) -> Result<(), EncoderError> {
        // SAFETY: the event lives as long as this.
        good(unsafe { (self.calls.synchronize)(self.event) }).map_err(EncoderError::DeviceLost)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // SAFETY: the event is destroyed once.
        let _ = unsafe { (self.calls.destroy)(self.event) };
    }
}

/// Whether the GPU of this number still takes work: after a fault, every call in its context fails.
pub(super) fn is_alive(index: usize) -> bool {
    Mark::set(index).is_ok()
}

/// Opens a library, which stays open.
fn open(name: &str, flags: c_int) -> Result<*mut c_void, String> {
    let name = CString::new(name).map_err(|error| error.to_string())?;
    // SAFETY: a C string and flags; the libraries' own initialisers are those of the driver and of libtorch.
    let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
    if handle.is_null() {
        return Err(last_error());
    }
    Ok(handle)
}

fn last_error() -> String {
    // SAFETY: the text belongs to the C library and is copied at once; null means that there was no error.
    let text: *const c_char = unsafe { libc::dlerror() };
    if text.is_null() {
        return "no reason given".into();
    }
    // SAFETY: not null, and a C string by dlerror(3).
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// A function of an open library.
///
/// # Safety
///
/// `F` is the function's type.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &CStr) -> Result<F, String> {
    // SAFETY: the handle came from `dlopen`, and the library stays open.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    if found.is_null() {
        return Err(last_error());
    }
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: a function pointer has the size of a pointer (checked), and its type is the caller's promise.
    Ok(unsafe { std::mem::transmute_copy(&found) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named_in_the_reason() {
        let error = open("libnowhere.so.7", libc::RTLD_NOW).unwrap_err();
        assert!(error.contains("libnowhere.so.7"), "{error}");
    }

    #[test]
    fn functions_of_an_open_library_are_found() {
        let library = open("libc.so.6", libc::RTLD_NOW).unwrap();
        // SAFETY: abs(3) has this type.
        let abs: unsafe extern "C" fn(c_int) -> c_int = unsafe { symbol(library, c"abs") }.unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { abs(-7) }, 7);
        // SAFETY: never called.
        let none = unsafe { symbol::<unsafe extern "C" fn()>(library, c"cuNothing") };
        assert!(none.unwrap_err().contains("cuNothing"));
    }

    #[test]
    fn wishes_come_to_devices_by_what_was_decided() {
        let two = Cuda::Ready(Gpus(vec![7, 9]));
        assert_eq!(two.device(Device::Auto).unwrap(), tch::Device::Cuda(0));
        assert_eq!(two.device(Device::Cuda(1)).unwrap(), tch::Device::Cuda(1));
        assert_eq!(two.device(Device::Cpu).unwrap(), tch::Device::Cpu);
        assert!(
            two.device(Device::Cuda(2))
                .unwrap_err()
                .to_string()
                .contains("2 GPU(s)")
        );
        assert!(!two.likes_bf16(0) && two.likes_bf16(1));
        for (none, word) in [
            (Cuda::Absent("no driver".into()), "no driver"),
            (Cuda::Unusable("too old".into()), "too old"),
            (Cuda::NotWanted, "start it again"),
        ] {
            assert_eq!(none.device(Device::Auto).unwrap(), tch::Device::Cpu);
            let error = none.device(Device::Cuda(0)).unwrap_err().to_string();
            assert!(error.contains("cuda:0") && error.contains(word), "{error}");
        }
    }
}
