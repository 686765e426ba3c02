//! A command that the suite starts: in a process group of its own, so that nothing it started outlives it.

use std::process::Stdio;
use tokio::process::{Child, Command};

/// A shell command, ready to be started. The shell makes way for the command, so that its process is the group's first.
pub fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command}")]).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    shell
}

/// The group of a process that was started by [`shell`].
#[derive(Debug)]
pub struct Group(Option<rustix::process::Pid>);

impl Group {
    /// The group of this process.
    pub fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())))
    }

    /// The first process of the group.
    pub fn pid(&self) -> Option<u32> {
        self.0.map(|id| id.as_raw_nonzero().get().cast_unsigned())
    }

    /// Ends every process of the group at once, without a chance to say goodbye.
    pub fn end(&self) {
        if let Some(group) = self.0 {
            // It fails where nothing is left of the group, which is what was wanted.
            _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
