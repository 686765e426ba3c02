//! A run whose scenarios somebody else starts.

use super::footer::footer;
use super::plan::{Planned, plan};
use super::runner::Runner;
use super::{Options, description, header, millis};
use crate::report::bounds;
use crate::scenario::Case;
use crate::spec::Spec;
use crate::subject::client::Client;
use crate::subject::server::Server;
use fieldsync_schemas::event::{Event, SubjectDescription};
use std::sync::Arc;
use std::time::Instant;

/// A run whose scenarios somebody else starts, one by one: a test runner.
pub struct Prepared {
    runner: Runner,
    planned: Vec<Arc<Planned>>,
    options: Options,
    subject: SubjectDescription,
}

/// One scenario of a prepared run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedScenario {
    /// Its id; with the role of the client, where a client is judged.
    pub name: String,
    /// It reaches the whole server, so nothing may run beside it.
    pub alone: bool,
    /// Why it cannot be run against this subject.
    pub skipped: Option<String>,
}

impl Prepared {
    /// Plans a run.
    pub fn new(
        cases: &[&Case],
        spec: &Arc<Spec>,
        server: Arc<dyn Server>,
        client: Arc<dyn Client>,
        options: &Options,
    ) -> Result<Self, String> {
        let planned = plan(cases, spec, server.as_ref(), client.as_ref(), options);
        let subject = description(server.as_ref(), client.as_ref(), options);
        let runner = Runner::new(spec.clone(), server, client, options)?;
        Ok(Self { runner, planned, options: options.clone(), subject })
    }

    /// What is to be run.
    pub fn scenarios(&self) -> Vec<PreparedScenario> {
        let prepared = |planned: &Arc<Planned>| PreparedScenario {
            name: match self.options.each_role {
                true => format!("{} as {}", planned.case.id, planned.roles.as_str()),
                false => planned.case.id.clone(),
            },
            alone: planned.alone,
            skipped: planned.skip.as_ref().map(|(_, reason)| reason.clone()),
        };
        self.planned.iter().map(prepared).collect()
    }

    /// Runs the scenario at this place, and tells it as the events of a run.
    pub async fn run(&self, place: usize) -> Vec<Event> {
        let started = Instant::now();
        let ended = self.runner.one(&self.planned[place], place as u64).await;
        let footer = footer(std::iter::once(&ended), &self.runner.spec, &self.options.judged, millis(started));
        let header = header(self.subject.clone(), &self.options, 1);
        let mut events = vec![Event::Header(header), Event::Scenario(Box::new(ended)), Event::Footer(footer)];
        events.iter_mut().for_each(bounds::bound);
        events
    }
}
