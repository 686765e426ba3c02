//! What plugs in: servers, clients with their devices, and the control verbs of a server that runs for tests.

pub mod adapter;
pub mod cast;
pub mod client;
mod command;
pub mod control;
pub mod device;
pub mod mortal;
pub mod reach;
pub mod reference;
pub mod server;
pub mod spawned;
