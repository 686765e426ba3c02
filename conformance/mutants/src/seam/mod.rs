//! The places where a fault can be put in without touching the reference: each wraps one part and hands on the rest.

pub mod attachments;
pub mod blobs;
pub mod device_wire;
pub mod effects;
pub mod policy;
pub mod storage;
pub mod wire;
