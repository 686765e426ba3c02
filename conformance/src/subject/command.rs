//! A command that the suite starts: in a process group of its own, so that nothing it started outlives it.

use std::process::Stdio;
use tokio::process::{Child, Command};

/// A shell command, ready to be started. The shell makes way for the command, so that its process is the group's first.
#[cfg(unix)]
pub fn shell(command: &str) -> Command {
    let mut shell = line(&format!("exec {command}"));
    shell.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    shell
}

/// A shell command, ready to be started.
#[cfg(not(unix))]
pub fn shell(command: &str) -> Command {
    let mut shell = line(command);
    shell.stdin(Stdio::null()).kill_on_drop(true);
    shell
}

/// A line for the shell, which may be more than one command.
#[cfg(unix)]
pub fn line(line: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", line]);
    shell
}

/// A line for the shell, which may be more than one command.
#[cfg(windows)]
pub fn line(line: &str) -> Command {
    let mut shell = Command::new("cmd");
    // The shell reads the rest of its line as it stands, quotes and all.
    shell.args(["/D", "/S", "/C"]).raw_arg(format!("\"{line}\""));
    shell
}

/// The group of a process that was started by [`shell`].
#[derive(Debug)]
pub struct Group(Option<u32>);

impl Group {
    /// The group of this process.
    pub fn of(child: &Child) -> Self {
        Self(child.id())
    }

    /// The first process of the group.
    pub fn pid(&self) -> Option<u32> {
        self.0
    }

    /// Ends every process of the group at once, without a chance to say goodbye.
    #[cfg(unix)]
    pub fn end(&self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        if let Some(group) = self.0.and_then(|id| Pid::from_raw(id.cast_signed())) {
            // It fails where nothing is left of the group, which is what was wanted.
            _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Ends the process and all that it started, as far as those still know their parent.
    #[cfg(windows)]
    pub fn end(&self) {
        if let Some(id) = self.0 {
            let mut end = std::process::Command::new("taskkill");
            // It fails where nothing is left, which is what was wanted.
            _ = end.args(["/T", "/F", "/PID", &id.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}
