//! Faults against the chapter `refetch`.

use super::scopes::cursors_of_a_session;
use crate::Mutant;
use crate::seam::storage::{StorageFault, faulty};
use fieldsync_core::store::Assignment;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "orders-are-not-listed",
        "refetch.order.in-the-session",
        "An order is kept, and no session lists it.",
        |parts| faulty(parts, NoOrders),
    ),
    Mutant::server(
        "an-order-ends-the-cursors",
        "refetch.order.keeps-cursors",
        "An order is carried out by ending every cursor of the principal.",
        cursors_of_a_session,
    ),
];

struct NoOrders;

impl StorageFault for NoOrders {
    fn assignment(&self, assignment: &mut Assignment) {
        assignment.refetch.clear();
    }
}
