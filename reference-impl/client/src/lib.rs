//! The reference device of Fieldsync: a library with an outbox that loses nothing.
//!
//! The rules are in [`fieldsync_core::device`]; here is what they need of the world: HTTP ([`transport`]), a store
//! ([`sqlite`], or [`MemoryStore`]), the bytes of files ([`files`]), a clock, ids and a timer ([`world`]). A [`Device`] ties them together.

pub mod device;
pub mod files;
mod options;
pub mod sqlite;
mod transfers;
pub mod transport;
pub mod triggers;
pub mod world;

pub use device::{Device, OutboxItem, QuarantineItem, Shown, ShownFile};
pub use fieldsync_core::device::cycle::Counts;
pub use fieldsync_core::device::memory::MemoryStore;
pub use fieldsync_core::device::store::StoreError;
pub use fieldsync_core::device::{
    Answer, Call, Context, Credentials, DeviceError, DeviceStore, Event, Failure, LocalChange, LocalError, Machine,
    Next, Password, Reaction, Rules, StandardRules, SyncOutcome, SyncReport, Write,
};
pub use files::{Admits, Captured, Files, FolderFiles, MemoryFiles};
pub use options::DeviceOptions;
pub use sqlite::SqliteStore;
pub use transport::{HttpTransport, NetworkFailure, Transport};
pub use triggers::Triggers;
pub use world::{RandomIds, SystemClock, SystemTimer, Timer};
