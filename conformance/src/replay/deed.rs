//! What the users of a scenario did, for whoever looks for its traces.

use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::record::Data;

/// What a user did that leaves a trace, or that whoever looks for traces must know of.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// Saved these members of a record, on this device.
    Saved(String, RecordRef, Data),
    /// Deleted a record, or gave up what waits on it.
    GaveUp(RecordRef),
    /// Synced this device, and that ended well.
    Synced(String),
    /// Did something to what a device keeps that is not done with an app.
    Meddled,
}
