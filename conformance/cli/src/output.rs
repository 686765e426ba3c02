//! What goes to the standard output.

use crate::command_error::CommandError;
use std::io::{ErrorKind, Write};

/// Prints a text. A reader that has read enough, such as `head`, is no error.
pub fn print(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CommandError::suite(format!("cannot write to the standard output: {error}")))
        }
        _ => Ok(()),
    }
}
