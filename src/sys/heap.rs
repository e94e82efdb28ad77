//! The heap: power-of-two free lists over a bump region; large blocks come from mmap and go back to the kernel.
//!
//! The first region lies in `.bss`, so that most runs never ask the kernel for memory. There are no threads in vial (law 2),
//! so there are no locks.
#![expect(unsafe_code, reason = "this is the allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use super::call::sys;

/// Bytes in the first region.
const FIRST: usize = 128 << 10;
/// Bytes asked of the kernel each time that the region is used up.
const MORE: usize = 256 << 10;
/// Blocks above this many bytes are mapped and unmapped one by one.
const LARGE: usize = 64 << 10;
/// The smallest block is `1 << SMALLEST` bytes.
const SMALLEST: usize = 4;
/// One list for each power of two from the smallest block to the largest that is not mapped.
const CLASSES: usize = LARGE.trailing_zeros() as usize - SMALLEST + 1;

#[repr(C, align(64))]
struct Region(UnsafeCell<[u8; FIRST]>);

struct State {
    next: usize,
    end: usize,
    free: [*mut u8; CLASSES],
}

/// The allocator; registered by the binary.
pub struct Heap {
    first: Region,
    state: UnsafeCell<State>,
}

// SAFETY: vial has one thread.
unsafe impl Sync for Heap {}

impl Heap {
    /// An empty heap.
    #[must_use]
    #[expect(clippy::large_stack_arrays, reason = "it is never on the stack: the heap is a static")]
    pub const fn new() -> Heap {
        Heap {
            first: Region(UnsafeCell::new([0; FIRST])),
            state: UnsafeCell::new(State { next: 0, end: 0, free: [ptr::null_mut(); CLASSES] }),
        }
    }

    /// Takes fresh bytes off the region; a power of two that is also their alignment.
    fn bump(&self, size: usize) -> *mut u8 {
        // SAFETY: one thread, and no reference to the state lives across this call.
        let state = unsafe { &mut *self.state.get() };
        if state.end == 0 {
            state.next = self.first.0.get() as usize;
            state.end = state.next + FIRST;
        }
        let mut start = state.next.next_multiple_of(size.min(4096));
        if start + size > state.end {
            let Some(region) = map(MORE) else { return ptr::null_mut() };
            start = region as usize;
            state.end = start + MORE;
        }
        state.next = start + size;
        start as *mut u8
    }
}

impl Default for Heap {
    fn default() -> Heap {
        Heap::new()
    }
}

/// Which list serves this layout; `None` for blocks that are mapped.
fn class(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(1 << SMALLEST);
    (size <= LARGE && layout.align() <= 4096).then(|| size.next_power_of_two().trailing_zeros() as usize - SMALLEST)
}

fn map(size: usize) -> Option<*mut u8> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh anonymous mapping touches nothing that exists.
    let mapped = unsafe { sys!(mmap, 0, size, protection, flags, usize::MAX, 0) };
    EXHAUSTED.store(mapped.is_err(), Ordering::Relaxed);
    mapped.ok().map(|address| address as *mut u8)
}

/// Whether the kernel has refused memory, the last time that it was asked.
static EXHAUSTED: AtomicBool = AtomicBool::new(false);

/// Whether the process ends because the kernel refused it memory.
#[must_use]
pub fn is_exhausted() -> bool {
    EXHAUSTED.load(Ordering::Relaxed)
}

// SAFETY: blocks come either from the region, cut once and reused only through the list of their size, or from the kernel.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            return map(layout.size()).unwrap_or(ptr::null_mut());
        };
        // SAFETY: one thread; the reference ends before `bump` takes its own.
        let list = unsafe { &mut (*self.state.get()).free[class] };
        if list.is_null() {
            return self.bump(1 << (class + SMALLEST));
        }
        let block = *list;
        // SAFETY: a free block holds the pointer to the next one in its first bytes; `dealloc` wrote it.
        *list = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else {
            // SAFETY: `alloc` mapped exactly this.
            let _ = unsafe { sys!(munmap, block as usize, layout.size()) };
            return;
        };
        // SAFETY: one thread; the block is at least 16 bytes, aligned, and no longer used by its owner.
        unsafe {
            let list = &mut (*self.state.get()).free[class];
            block.cast::<*mut u8>().write(*list);
            *list = block;
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise goes on; the block is as long as the layout says.
        unsafe {
            let block = self.alloc(layout);
            // What the kernel maps is zero, and its pages are not memory before they are written to.
            if !block.is_null() && class(layout).is_some() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller upholds that `size` with this alignment is a valid layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(wanted)) {
            (Some(old), Some(new)) if old == new => return block,
            (None, None) => {
                // SAFETY: `alloc` mapped exactly this; the kernel moves it if it must.
                let moved = unsafe { sys!(mremap, block as usize, layout.size(), size, libc::MREMAP_MAYMOVE) };
                EXHAUSTED.store(moved.is_err(), Ordering::Relaxed);
                return moved.map_or(ptr::null_mut(), |address| address as *mut u8);
            }
            _ => {}
        }
        // SAFETY: the new block is at least as long as what is copied, and the two don't overlap.
        unsafe {
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_blocks_are_used_again_and_large_ones_keep_their_content_when_they_grow() {
        let heap = Heap::new();
        for size in [1, 16, 100, 5000, LARGE, LARGE + 1, 3 << 20] {
            let layout = Layout::from_size_align(size, 8).unwrap();
            // SAFETY: each block is written within its size and freed once with its own layout.
            unsafe {
                let first = heap.alloc(layout);
                assert_eq!(first as usize % 8, 0);
                first.write_bytes(0xa5, size);
                let grown = heap.realloc(first, layout, size * 3);
                assert!((0..size).all(|at| grown.add(at).read() == 0xa5), "content of {size}");
                heap.dealloc(grown, Layout::from_size_align(size * 3, 8).unwrap());
                if class(layout).is_some() {
                    let again = heap.alloc(layout);
                    heap.dealloc(again, layout);
                    assert_eq!(heap.alloc(layout), again);
                }
            }
        }
    }
}
