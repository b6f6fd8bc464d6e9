//! Writers of one file, one at a time: of several that wait, only the newest writes.

use std::cell::Cell;

use super::gate::{Entering, Gate, Permit};

/// See the module.
#[derive(Debug)]
pub struct Newest {
    gate: Gate,
    newest: Cell<u64>,
}

/// The wish to write, in the order of wishes.
pub struct Wish {
    entering: Entering,
    number: u64,
}

impl Default for Newest {
    fn default() -> Self {
        Self { gate: Gate::new(1), newest: Cell::new(0) }
    }
}

impl Newest {
    /// Queues up now.
    pub fn wish(&self) -> Wish {
        let number = self.newest.get() + 1;
        self.newest.set(number);
        Wish { entering: self.gate.enter(), number }
    }

    /// Waits for the wish's turn. None if there is a newer wish by then.
    pub async fn turn(&self, wish: Wish) -> Option<Permit> {
        let permit = wish.entering.await;
        (self.newest.get() == wish.number).then_some(permit)
    }
}
