//! The floor's manager.

use machine::Machine;
use space::Spaces;

/// Faults, over all the floors below.
pub struct Faults<'m, M: Machine> {
    spaces: Spaces<'m, M>,
}

impl<'m, M: Machine> Faults<'m, M> {
    /// Faults in these spaces.
    pub fn new(spaces: Spaces<'m, M>) -> Self {
        Faults { spaces }
    }

    /// The address spaces.
    pub fn spaces(&self) -> &Spaces<'m, M> {
        &self.spaces
    }
}
