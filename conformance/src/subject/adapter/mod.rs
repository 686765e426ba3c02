//! A client in any language, driven through its adapter: a command that speaks JSON lines.
//!
//! [`AdapterClient`] is the side of the suite: a pool of processes, each of which acts one scenario at a time, so that
//! what a process does wrong is the fault of that scenario and of no other. [`serve`] is the other side: it makes an
//! adapter of anything that makes devices, which is how a client in Rust gets its own.

mod client;
mod device;
mod lease;
mod line;
mod process;
mod serve;
pub mod trial;

pub use client::{AdapterClient, AdapterStartError};
pub use serve::serve;
