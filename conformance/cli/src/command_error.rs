//! Why a command stopped, and the exit status that says so.

use fieldsync_conformance::report::verdict::ExitStatus;
use std::fmt;

/// Why a command stopped: what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// The exit status.
    pub status: ExitStatus,
    message: String,
}

impl CommandError {
    /// The command line, or a file that it names, is wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { status: ExitStatus::Usage, message: message.to_string() }
    }

    /// Nothing was run, as the user wished.
    pub fn nothing_ran(message: impl fmt::Display) -> Self {
        Self { status: ExitStatus::NothingRan, message: message.to_string() }
    }

    /// The suite itself is wrong.
    pub fn suite(message: impl fmt::Display) -> Self {
        Self { status: ExitStatus::SuiteError, message: message.to_string() }
    }

    /// What is asked for is there, and is not as it has to be.
    pub fn not_conformant(message: impl fmt::Display) -> Self {
        Self { status: ExitStatus::NotConformant, message: message.to_string() }
    }

    /// There is nothing of this name; names the nearest that there is.
    pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let hint = match nearest(name, known) {
            Some(known) => format!("did you mean {known:?}?"),
            None => "`fieldsync list --help` tells how to list what there is".to_owned(),
        };
        Self::usage(format!("there is no {what} {name:?}; {hint}"))
    }
}

/// The known name that is most like this one, if any is.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &str| {
        let last = |text: &str| text.rsplit(['/', '.']).next().unwrap_or_default().to_owned();
        // Whoever forgets the chapter means the last word.
        strsim::jaro_winkler(name, known).max(strsim::jaro_winkler(&last(name), &last(known)) - 0.05)
    };
    known
        .into_iter()
        .map(|known| (likeness(known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let known = ["push.retry.same-outcome", "pull.page.order", "push.retry.no-self-conflict"];
        assert_eq!(nearest("push.retry.same-outcom", known), Some("push.retry.same-outcome"));
        assert_eq!(nearest("no-self-conflict", known), Some("push.retry.no-self-conflict"));
        assert_eq!(nearest("zzz", known), None);
        let told = CommandError::unknown("rule", "pull.page.ordr", known).to_string();
        assert_eq!(told, "there is no rule \"pull.page.ordr\"; did you mean \"pull.page.order\"?");
    }
}
