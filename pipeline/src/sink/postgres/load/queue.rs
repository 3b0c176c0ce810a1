//! Units waiting for a connection; those that another loader is at come last.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::unit::Patience;

/// What is to be done next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) index: usize,
    pub(super) patience: Patience,
}

#[derive(Debug)]
struct Waiting {
    first: Range<usize>,
    later: VecDeque<usize>,
}

/// Indices of units, shared by the connections.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
}

impl Queue {
    /// A queue of these.
    pub(super) fn new(units: Range<usize>) -> Self {
        Self { waiting: Mutex::new(Waiting { first: units, later: VecDeque::new() }) }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> T {
        change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next unit; what was postponed comes after all others, and is then waited for.
    pub(super) fn next(&self) -> Option<Item> {
        self.with(|waiting| match waiting.first.next() {
            Some(index) => Some(Item { index, patience: Patience::None }),
            None => waiting.later.pop_front().map(|index| Item { index, patience: Patience::Wait }),
        })
    }

    /// Puts a unit off to the end.
    pub(super) fn postpone(&self, index: usize) {
        self.with(|waiting| waiting.later.push_back(index));
    }

    /// Takes everything off: an error has ended the command.
    pub(super) fn stop(&self) {
        self.with(|waiting| {
            waiting.first = 0..0;
            waiting.later.clear();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postponed_unit_comes_last_and_is_waited_for() {
        let queue = Queue::new(0..2);
        let first = queue.next().unwrap();
        assert_eq!((first.index, first.patience), (0, Patience::None));
        queue.postpone(0);
        assert_eq!(queue.next().unwrap().index, 1);
        let last = queue.next().unwrap();
        assert_eq!((last.index, last.patience), (0, Patience::Wait));
        assert!(queue.next().is_none());
    }

    #[test]
    fn nothing_comes_after_a_stop() {
        let queue = Queue::new(0..9);
        queue.postpone(3);
        queue.stop();
        assert!(queue.next().is_none());
    }
}
