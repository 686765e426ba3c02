//! Refetch orders: what the server wants pulled once more from the beginning.
//!
//! Chapter: refetch. An order is carried out by a resync, which spares outbox and quarantine and goes on after the process
//! ended. That it was begun is stored with the cursors that it resets, so it is begun once.

use super::{Next, Step};
use fieldsync_schemas::id::{FeedName, RefetchId};
use fieldsync_schemas::session::RefetchOrder;
use std::collections::BTreeSet;

impl Step<'_> {
    /// Begins the orders of the session that were not begun yet. A device that has nothing pulls everything anyway.
    pub(super) fn take_orders(&mut self, has_nothing: bool) -> Result<(), Next> {
        let orders = self.session().refetch.clone();
        let known = self.machine.state.marks.refetched.clone();
        let listed: BTreeSet<RefetchId> = orders.iter().map(|order| order.id.clone()).collect();
        self.mark(|marks| marks.refetched = listed);
        if has_nothing {
            return Ok(());
        }
        let new: Vec<RefetchOrder> = orders.into_iter().filter(|order| !known.contains(&order.id)).collect();
        let pulled = self.feeds();
        let feeds: BTreeSet<FeedName> = match new.iter().any(|order| order.types.is_empty()) {
            true => pulled,
            false => {
                let of_types: BTreeSet<FeedName> =
                    new.iter().flat_map(|order| &order.types).map(|name| self.feed_of(name)).collect();
                // A feed can be a part of its type's.
                let is_of_types = |feed: &FeedName| {
                    feed.as_str().split('/').next().is_some_and(|base| of_types.iter().any(|one| one.as_str() == base))
                };
                pulled.into_iter().filter(is_of_types).collect()
            }
        };
        if feeds.is_empty() { Ok(()) } else { self.resync(feeds) }
    }
}
