//! The reference as a subject: the server embedded in this process, and reference devices.

mod devices;
mod server;

pub use devices::{DeviceFault, DeviceParts, ReferenceDevices, description};
pub use server::{EmbeddedError, EmbeddedServer, ServerFault, domains};
