//! The clock and the ids of a server that serves people.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fieldsync_core::clock::{Clock, Ids};
use fieldsync_schemas::time::Timestamp;

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Ids of 22 characters: 48 bits of milliseconds, then 80 random bits. What is made at one time stands together in an
/// index.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn unique(&self) -> String {
        let mut bytes: [u8; 16] = rand::random();
        bytes[..6].copy_from_slice(&Timestamp::now().as_millis().to_be_bytes()[2..]);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}
