//! Faults against the chapter `refetch`.

use super::scopes::cursors_of_a_session;
use crate::Mutant;
use crate::seam::storage::{StorageFault, faulty};
use fieldsync_core::store::Assignment;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    Mutant::server(
        "orders-are-not-listed",
        "refetch.order.in-the-session+2",
        "An order is kept, and no session lists it.",
        |parts| faulty(parts, NoOrders),
    ),
    Mutant::server(
        "only-the-last-order-is-listed",
        "refetch.order.in-the-session+2",
        "An order takes the place of the one before it.",
        |parts| faulty(parts, LastOrder),
    ),
    Mutant::server(
        "an-order-ends-the-cursors",
        "refetch.order.keeps-cursors",
        "An order is carried out by ending every cursor of the principal.",
        cursors_of_a_session,
    ),
];

struct LastOrder;

impl StorageFault for LastOrder {
    fn assignment(&self, assignment: &mut Assignment) {
        let earlier = assignment.refetch.len().saturating_sub(1);
        assignment.refetch.drain(..earlier);
    }
}

struct NoOrders;

impl StorageFault for NoOrders {
    fn assignment(&self, assignment: &mut Assignment) {
        assignment.refetch.clear();
    }
}
