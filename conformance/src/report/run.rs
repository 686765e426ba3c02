//! A whole event stream, taken apart.

use fieldsync_schemas::event::{Blocked, Event, Footer, Header, ScenarioEnded, ScenarioKey};

/// The events of one run. Scenarios are in the order of their ids, whatever the order in which they ended.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// What was run.
    pub header: &'a Header,
    /// Why nothing could be run.
    pub blocked: Option<&'a Blocked>,
    /// How each scenario ended.
    pub scenarios: Vec<&'a ScenarioEnded>,
    /// The counts.
    pub footer: &'a Footer,
}

/// Why events are not a whole run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncompleteStream {
    /// The first event is no header.
    #[error("the report does not begin with a header: it is no report of fieldsync, or its beginning was cut off")]
    NoHeader,
    /// The last event is no footer.
    #[error("the report has no footer: it is truncated, so the run did not end or was not written whole")]
    NoFooter,
    /// A header or a footer stands in the middle.
    #[error("the report has a second header or a footer in its middle, at event {0}: it is two reports")]
    Misplaced(usize),
}

impl<'a> Run<'a> {
    /// Takes a stream apart, and refuses one that is not whole.
    pub fn of(events: &'a [Event]) -> Result<Self, IncompleteStream> {
        let Some(Event::Header(header)) = events.first() else { return Err(IncompleteStream::NoHeader) };
        let Some(Event::Footer(footer)) = events.last() else { return Err(IncompleteStream::NoFooter) };
        let mut run = Self { header, blocked: None, scenarios: Vec::new(), footer };
        for (index, event) in events.iter().enumerate().skip(1).take(events.len() - 2) {
            match event {
                Event::Blocked(blocked) => run.blocked = run.blocked.or(Some(blocked)),
                Event::Scenario(ended) => run.scenarios.push(ended),
                Event::Header(_) | Event::Footer(_) => return Err(IncompleteStream::Misplaced(index + 1)),
            }
        }
        run.scenarios.sort_by(|a, b| (&a.id, &a.profile, &a.roles).cmp(&(&b.id, &b.profile, &b.roles)));
        Ok(run)
    }

    /// The name of a scenario that no other of this run has: its id, with its profile where there are several, and the
    /// part that the client played, where one was judged.
    pub fn name_of(&self, scenario: &ScenarioEnded) -> String {
        name_of(&scenario.key(), self.header.subject.profiles.len() > 1)
    }
}

/// The name of a scenario: its profile is told where there are several.
pub(super) fn name_of(key: &ScenarioKey, several: bool) -> String {
    let mut name = key.id.clone();
    if let Some(roles) = &key.roles {
        name += &format!(" as {roles}");
    }
    if several {
        name += &format!(" ({})", key.profile);
    }
    name
}
