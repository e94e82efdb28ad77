//! Sorting. `slice::sort` is several kilobytes for each type that it is used with; this is one copy for all of them.

use alloc::vec::Vec;

/// Sorts so that nothing stands before what is `less`; equals keep their order. n log n, whatever the order was.
pub fn sort<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    let order = order(items.len(), &|one, other| match (items.get(one), items.get(other)) {
        (Some(one), Some(other)) => less(one, other),
        _ => false,
    });
    permute(order, &mut |one, other| items.swap(one, other));
}

/// Along each cycle of the permutation, every item goes to its place.
fn permute(mut order: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    for start in 0..order.len() {
        let mut at = start;
        while let Some(place) = order.get_mut(at) {
            let from = core::mem::replace(place, at);
            if from == start {
                break;
            }
            swap(at, from);
            at = from;
        }
    }
}

/// The numbers below `length` in the order that `less` gives them; equals by number.
#[must_use]
pub fn order(length: usize, less: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    // A heap sort: no recursion, no second buffer, no bad case.
    let mut order: Vec<usize> = (0..length).collect();
    let before = |one: usize, other: usize| less(one, other) || (one < other && !less(other, one));
    for root in (0..length / 2).rev() {
        sift_down(&mut order, root, &before);
    }
    for last in (1..length).rev() {
        order.swap(0, last);
        sift_down(order.get_mut(..last).unwrap_or_default(), 0, &before);
    }
    order
}

/// Restores the heap order (nothing below what comes before it) when only `root` may break it.
#[inline(never)]
fn sift_down(heap: &mut [usize], mut root: usize, before: &dyn Fn(usize, usize) -> bool) {
    while let Some(&top) = heap.get(root) {
        let (mut greatest, mut value) = (root, top);
        for child in [2 * root + 1, 2 * root + 2] {
            match heap.get(child) {
                Some(&candidate) if before(value, candidate) => (greatest, value) = (child, candidate),
                _ => {}
            }
        }
        if greatest == root {
            return;
        }
        heap.swap(root, greatest);
        root = greatest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and repeat.
    fn numbers(count: usize) -> Vec<(u32, usize)> {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 20
        };
        (0..count).map(|index| (next(), index)).collect()
    }

    #[test]
    fn it_sorts_as_the_standard_library_does_and_keeps_equals_in_order() {
        for count in [0, 1, 2, 3, 10, 1000, 20_000] {
            let mut ours = numbers(count);
            let mut theirs = ours.clone();
            sort(&mut ours, |one, other| one.0 < other.0);
            theirs.sort_by_key(|item| item.0);
            assert_eq!(ours, theirs, "{count} items");
        }
    }

    #[test]
    fn comparisons_stay_n_log_n_on_sorted_and_reversed_input() {
        for reversed in [false, true] {
            let count = core::cell::Cell::new(0u64);
            let _order = order(1 << 14, &|one, other| {
                count.set(count.get() + 1);
                if reversed { one > other } else { one < other }
            });
            assert!(count.get() < 4 * 14 * (1 << 14), "{}", count.get());
        }
    }
}
