//! A link: where a file of a record is.
//!
//! Chapter: links. It names a file and no state: whatever became of the record meanwhile, the URL goes where the file is
//! named, and nothing else changes. So there is nothing to rank, and nobody's edit becomes a conflict by it.

use super::decide::Court;
use super::outcome::settled;
use super::{AskedLink, refuse};
use crate::store::{RecordLink, State};
use crate::{data, links, scope};
use fieldsync_schemas::id::MutationId;
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::push::{MutationOp, Outcome, OutcomeKind, Refusal};
use fieldsync_schemas::record::{AttachmentState, Record};
use serde_json::Value;
use serde_json::value::to_raw_value;
use std::sync::Arc;

impl<'a> Court<'a> {
    pub(super) fn link(&mut self, mutation_id: &MutationId, asked: &'a AskedLink) -> Result<Outcome, Refusal> {
        let AskedLink { record, attachment, url } = asked;
        self.first_of(record)?;
        let current = self.loaded.states.get(record).cloned();
        scope::admits(&self.loaded.scope, &MutationOp::Link, record, current.as_ref())?;
        let current = current.ok_or_else(|| scope::unknown(record))?;
        let published: Record = serde_json::from_str(&current.json).expect("the server wrote it");
        let mut files = published.attachments.iter();
        if !files.any(|file| file.id == *attachment && file.state == Some(AttachmentState::Stored)) {
            let detail = format!("{record} does not carry {attachment}, or the file has not come");
            return Err(refuse(ProblemCode::LinkRefused, detail));
        }
        if *url != links::url(self.ground.data_set, attachment) {
            return Err(refuse(ProblemCode::LinkRefused, format!("{url} is not where {attachment} is")));
        }
        let known = self.loaded.links.entry(record.clone()).or_default();
        if known.insert(attachment.clone(), url.clone()).is_some() {
            return Ok(settled(mutation_id, OutcomeKind::Duplicate, &current));
        }
        let state = self.with_links(&current, published);
        let outcome = settled(mutation_id, OutcomeKind::Applied, &current);
        let (record, attachment, url) = (record.clone(), attachment.clone(), url.clone());
        self.linked.push(RecordLink { record, attachment, url, state });
        Ok(outcome)
    }

    /// The same state, published with the URLs of its files; nothing, where its data name none of them.
    fn with_links(&self, current: &State, mut published: Record) -> Option<State> {
        let entry = self.ground.registry.entry(&current.record.type_name)?;
        let mut tree = published.data_tree();
        let known = self.loaded.links.get(&current.record)?;
        if !links::write(entry, &mut tree, &published.attachments, known) {
            return None;
        }
        published.data = Some(to_raw_value(&tree).expect("a tree is plain JSON"));
        let content = data::content_hash_of_tree(Some(Value::Object(tree)), &published.attachments);
        let json = Arc::from(serde_json::to_string(&published).expect("a record is plain JSON"));
        Some(State { json, content, ..current.clone() })
    }
}
