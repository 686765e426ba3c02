//! What plugs in: servers, devices, and the control verbs of a server that runs for tests.

pub mod control;
pub mod device;
pub mod reference;

pub mod server;
pub mod spawned;
