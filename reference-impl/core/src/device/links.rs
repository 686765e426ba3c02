//! Links: where the files are that went up from here, said once for each record whose data name one.
//!
//! Chapter: links. A link is no work of a user. It waits apart from the outbox, changes no status, and is never set aside
//! for somebody to look at: it goes once the server has the record and the file, and what the server does not take is
//! forgotten. Should the record come with the file's id once more, the file is offered once more, and the link with it.

use super::cycle::Flow;
use super::store::{FrozenBatch, Link, StoreError, Upload};
use super::{Next, Step, Write};
use crate::links;
use fieldsync_schemas::id::MutationId;
use fieldsync_schemas::push::{Mutation, MutationOp, Outcome, OutcomeKind};
use fieldsync_schemas::record::{AttachmentState, Record};
use fieldsync_schemas::registry::TypeEntry;
use std::collections::BTreeSet;

/// What is known of links only while one sync runs.
#[derive(Default)]
pub(super) struct LinksRun {
    /// What is not pushed again in this sync.
    tried: BTreeSet<MutationId>,
    /// Halves of a batch that failed, each to be sent as a batch of its own.
    parts: Vec<Vec<MutationId>>,
}

/// What is to be done about a link.
enum Due {
    Now,
    Later,
    /// The record was deleted, does not carry the file any more, or does not name it.
    Never,
}

impl Step<'_> {
    /// The phase after the files.
    pub(super) fn push_links(&mut self) -> Result<Flow, StoreError> {
        // What records say is looked up in the store, which has not seen this event's writes.
        if !self.writes.is_empty() {
            return Ok(Flow::Do(Next::Proceed));
        }
        // Of a part there may be nothing left to push.
        while self.machine.state.batch.is_none() && self.run().refusal.is_none() {
            let part = (!self.run().links.parts.is_empty()).then(|| self.run().links.parts.remove(0));
            self.freeze_links(part.as_deref())?;
            if part.is_none() {
                break;
            }
        }
        self.settle()
    }

    /// The server has a file, at this URL. Where the record's data do not name it, nothing comes of it.
    pub(super) fn link(&mut self, upload: &Upload, url: Option<String>) {
        let is_held = self.entry_of(upload).is_some_and(links::are_held_by);
        let Some(url) = url.filter(|_| is_held && !self.machine.state.links.contains_key(&upload.key())) else {
            return;
        };
        let (record, attachment) = upload.key();
        let mutation_id = self.new_mutation_id();
        self.write(Write::Link(Box::new(Link { record, attachment, url, mutation_id })));
    }

    fn entry_of(&self, upload: &Upload) -> Option<&TypeEntry> {
        self.machine.state.session.as_ref()?.registry.entry(&upload.record.type_name)
    }

    /// Whether the server shows a file of this record by its id, though it has the file and no link waits.
    pub(super) fn lacks_link(&self, upload: &Upload, told: &Record) -> bool {
        let (_, id) = upload.key();
        let is_there = told.attachments.iter().any(|file| file.id == id && file.state == Some(AttachmentState::Stored));
        let entry = self.entry_of(upload).filter(|entry| links::are_held_by(entry));
        let is_named = entry.is_some_and(|entry| links::names(entry, &told.data_tree(), &id));
        is_there && is_named && !self.machine.state.links.contains_key(&upload.key())
    }

    /// Makes the next batch of links, of a part or of all that waits, a record at most once in it.
    fn freeze_links(&mut self, part: Option<&[MutationId]>) -> Result<(), StoreError> {
        let waiting: Vec<Link> = self.machine.state.links.values().cloned().collect();
        let mut room = self.room();
        let (mut records, mut ids, mut texts) = (BTreeSet::new(), Vec::new(), Vec::new());
        for link in waiting {
            let is_due = part.is_none_or(|part| part.contains(&link.mutation_id))
                && !self.run().links.tried.contains(&link.mutation_id)
                && !records.contains(&link.record);
            if !is_due {
                continue;
            }
            match self.due(&link)? {
                Due::Now => {}
                Due::Later => continue,
                Due::Never => {
                    self.write(Write::LinkGone(link.key()));
                    continue;
                }
            }
            let text = [serde_json::value::to_raw_value(&mutation(&link)).expect("a mutation is plain JSON")];
            if !room.takes(&text) {
                break;
            }
            texts.extend(text);
            ids.push(link.mutation_id);
            records.insert(link.record);
        }
        self.freeze_batch(ids, texts);
        Ok(())
    }

    fn due(&self, link: &Link) -> Result<Due, StoreError> {
        // It goes up once more.
        if self.machine.state.uploads.contains_key(&link.key()) {
            return Ok(Due::Later);
        }
        let Some(server) = self.context.store.record(&link.record)? else { return Ok(Due::Later) };
        let entry = self.session().registry.entry(&link.record.type_name);
        let is_carried = server.record.attachments.iter().any(|file| file.id == link.attachment);
        let is_named = entry.is_some_and(|entry| links::names(entry, &server.record.data_tree(), &link.attachment));
        Ok(if is_carried && is_named { Due::Now } else { Due::Never })
    }

    /// What becomes of a link that was pushed. One that was not taken for good is forgotten, too.
    pub(super) fn link_outcome(&mut self, id: &MutationId, outcome: Option<&Outcome>) {
        let Some(link) = self.machine.state.link_of(id).cloned() else { return };
        match outcome.map(|outcome| &outcome.outcome) {
            Some(OutcomeKind::Applied | OutcomeKind::Duplicate | OutcomeKind::Rejected) => {
                self.write(Write::LinkGone(link.key()));
            }
            _ => _ = self.run().links.tried.insert(link.mutation_id),
        }
    }

    pub(super) fn is_of_links(&self, batch: &FrozenBatch) -> bool {
        batch.mutations.iter().any(|id| self.machine.state.link_of(id).is_some())
    }

    /// The server fails over a batch of links. One that is alone in it waits for the next sync.
    pub(super) fn take_links_apart(&mut self, mut links: Vec<MutationId>) {
        let run = self.run();
        if links.len() < 2 {
            run.links.tried.extend(links);
            return;
        }
        let second = links.split_off(links.len().div_ceil(2));
        run.links.parts.splice(0..0, [links, second]);
    }
}

fn mutation(link: &Link) -> Mutation {
    Mutation {
        mutation_id: link.mutation_id.clone(),
        op: MutationOp::Link,
        type_name: link.record.type_name.clone(),
        id: link.record.id.clone(),
        base: None,
        version: None,
        modified_at: None,
        data: None,
        patch: None,
        attachments: Vec::new(),
        group: None,
        replaces: None,
        attachment: Some(link.attachment.clone()),
        url: Some(link.url.clone()),
    }
}
