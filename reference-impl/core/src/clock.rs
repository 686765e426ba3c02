//! Clock and ids: the two things the rules cannot make themselves.

use fieldsync_schemas::time::Timestamp;

/// Tells the time. A server has one for each data set, a device has its own.
pub trait Clock: Send + Sync {
    /// The instant now.
    fn now(&self) -> Timestamp;
}

/// Makes texts that nobody else makes.
pub trait Ids: Send + Sync {
    /// A text of 1 to 40 characters from `[A-Za-z0-9_-]`, never given before, and not to be guessed.
    fn unique(&self) -> String;
}
