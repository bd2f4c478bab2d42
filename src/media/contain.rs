//! Contains the panics of decoders: a panic means a damaged file, not the end of the program.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{MediaError, malformed};

/// How the message of a contained panic ends.
const GAVE_UP: &str = "gave up on this file, which is damaged";

thread_local! {
    /// Number of nested [`contain`] calls on the current thread.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Guard that restores the depth, also when the decoder unwinds.
struct DepthGuard;

impl DepthGuard {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for DepthGuard {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs a decoder on untrusted input. A panic becomes a `malformed` error that names the codec.
pub fn contain<T>(
    codec: &str,
    decode: impl FnOnce() -> Result<T, MediaError>,
) -> Result<T, MediaError> {
    // The closure's captures are dropped or forgotten after a panic, never used again.
    catch_unwind(AssertUnwindSafe(|| {
        let _guard = DepthGuard::enter();
        decode()
    }))
    .unwrap_or_else(|_| Err(malformed(format!("the {codec} decoder {GAVE_UP}"))))
}

/// Whether an error was made from a panic by [`contain`].
#[cfg(test)]
pub(crate) fn is_panic(error: &MediaError) -> bool {
    error.message.ends_with(GAVE_UP)
}

/// Whether the current thread is inside [`contain`]. The program's panic hook stays silent then, because the panic is
/// reported as an error.
pub fn is_contained() -> bool {
    DEPTH.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_panic_becomes_an_error_and_the_thread_goes_on() {
        let result: Result<(), _> = contain("TEST", || {
            assert!(is_contained());
            panic!("index out of bounds")
        });
        let error = result.expect_err("the panic is an error");
        assert_eq!(error.kind, ErrorKind::Malformed);
        assert!(error.message.contains("TEST") && is_panic(&error));
        assert!(!is_contained());
    }
}
