//! An allocator that puts large buffers in large pages.
//!
//! The samples of a radiograph or of a slide's level are tens of megabytes of new memory, which the kernel provides at
//! the first touch of each page. With pages of 4 KiB that takes several times as long as copying the samples. NumPy
//! requests large pages from 4 MB on, and so does this allocator. It makes a difference where the system leaves the
//! choice to programs, as most do (`madvise` in `/sys/kernel/mm/transparent_hugepage/enabled`).

use std::alloc::{GlobalAlloc, Layout, System};

/// Smallest buffer for which large pages are requested, in bytes: a smaller one hardly holds a whole one.
const MIN_SIZE: usize = 4 << 20;
/// Size of a large page in bytes, on systems whose small page is 4 KiB.
const LARGE_PAGE: usize = 2 << 20;

/// The system's allocator, with large pages for large buffers.
pub struct LargePages;

// SAFETY: all memory is the system allocator's, by the same layouts; advice changes nothing that a program can see.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        advised(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        advised(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as promised by the caller.
        advised(unsafe { System.realloc(start, layout, size) }, size)
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(start, layout) }
    }
}

/// Lets the allocator keep freed buffers of an ordinary image for the next one.
///
/// A frame takes several buffers of megabytes that are freed together. By default the allocator returns such memory to
/// the kernel, and every page of the next frame costs its first touch anew: twice the time of decoding run lengths.
/// The thresholds are those that glibc reaches by itself once a large image was freed (`DEFAULT_MMAP_THRESHOLD_MAX`,
/// and twice as much).
pub fn keep_freed_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const MAX_KEPT: libc::c_int = 32 << 20;
        // SAFETY: both only change when memory is given back.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAX_KEPT);
            libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * MAX_KEPT);
        }
    }
}

/// Requests large pages for the part of a buffer that whole pages fit into. A kernel without them refuses, which does
/// no harm.
fn advised(start: *mut u8, size: usize) -> *mut u8 {
    #[cfg(target_os = "linux")]
    if size >= MIN_SIZE && !start.is_null() {
        let before = start.addr().next_multiple_of(LARGE_PAGE) - start.addr();
        let length = (size - before) / LARGE_PAGE * LARGE_PAGE;
        // SAFETY: the range lies within the buffer, and this advice leaves its bytes alone.
        unsafe { libc::madvise(start.add(before).cast(), length, libc::MADV_HUGEPAGE) };
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).expect("a valid layout")
    }

    #[test]
    fn a_buffer_begins_with_zeros_and_keeps_its_bytes_as_it_grows_and_shrinks() {
        for size in [1, MIN_SIZE - 1, MIN_SIZE, 3 * MIN_SIZE + 5] {
            // SAFETY: the layouts are those that the memory was allocated by; all bytes read are within it.
            unsafe {
                let start = LargePages.alloc_zeroed(layout(size));
                let bytes = std::slice::from_raw_parts_mut(start, size);
                assert!(bytes.iter().all(|&byte| byte == 0));
                bytes.fill(7);
                let start = LargePages.realloc(start, layout(size), 2 * size);
                let bytes = std::slice::from_raw_parts(start, size);
                assert!(bytes.iter().all(|&byte| byte == 7));
                let start = LargePages.realloc(start, layout(2 * size), size / 2 + 1);
                let bytes = std::slice::from_raw_parts(start, size / 2 + 1);
                assert!(bytes.iter().all(|&byte| byte == 7));
                LargePages.dealloc(start, layout(size / 2 + 1));
            }
        }
    }

    #[test]
    fn an_impossible_allocation_returns_null() {
        // SAFETY: the layout's size is not zero; nothing is read.
        let start = unsafe { LargePages.alloc(layout(isize::MAX as usize / 2)) };
        assert!(start.is_null());
    }
}
