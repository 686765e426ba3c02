//! Reading a batch: everything that can be said of its mutations without looking at anything stored.

use super::{Asked, Batch, ReadMutation, Reference, parents, refuse};
use crate::data::{self, Checked};
use crate::problem::Trouble;
use crate::store::Hash;
use fieldsync_schemas::id::{MutationId, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp, PushRequest, Refusal};
use fieldsync_schemas::registry::Registry;
use fieldsync_schemas::session::Limits;
use fieldsync_schemas::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Reads the body of a push.
pub fn read(body: &[u8], limits: &Limits, registry: &Registry) -> Result<Batch, Trouble> {
    let request: PushRequest<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| Trouble::new(ProblemCode::Malformed, format!("the body is no push: {error}")))?;
    let count = request.mutations.len();
    if count == 0 {
        return Err(Trouble::new(ProblemCode::Malformed, "a batch has at least one mutation"));
    }
    if count > limits.batch_mutations as usize {
        let limit = limits.batch_mutations;
        return Err(Trouble::new(
            ProblemCode::BatchTooLarge,
            format!("the batch has {count} mutations; this server takes at most {limit}. Send it in halves, as a new replica"),
        )
        .with_limit("batch_mutations", u64::from(limit)));
    }
    let mut mutations = Vec::with_capacity(count);
    for (index, raw) in request.mutations.iter().enumerate() {
        mutations.push(read_mutation(raw, index, limits, registry)?);
    }
    Ok(Batch {
        replica: request.replica,
        seq: request.seq,
        previous: request.previous,
        epoch: request.epoch,
        body: Sha256::digest(body).into(),
        mutations,
    })
}

/// One unreadable mutation must not hide the others: as long as its id can be read, it gets an outcome of its own.
fn read_mutation(raw: &RawValue, index: usize, limits: &Limits, registry: &Registry) -> Result<ReadMutation, Trouble> {
    #[derive(Deserialize)]
    struct OnlyId {
        mutation_id: MutationId,
    }
    match serde_json::from_str::<Mutation>(raw.get()) {
        Ok(mutation) => {
            let mutation_id = mutation.mutation_id.clone();
            let record = RecordRef { type_name: mutation.type_name.clone(), id: mutation.id.clone() };
            let creates = (mutation.op == MutationOp::Create).then_some(record);
            let group = mutation.group.clone();
            let (content, asked) = examine(mutation, limits, registry);
            Ok(ReadMutation { mutation_id, content, creates, group, asked })
        }
        Err(error) => {
            let Ok(OnlyId { mutation_id }) = serde_json::from_str(raw.get()) else {
                let mut trouble = Trouble::new(ProblemCode::Malformed, format!("a mutation cannot be read: {error}"));
                trouble.pointer = Some(format!("/mutations/{index}"));
                return Err(trouble);
            };
            let refusal = refuse(ProblemCode::Malformed, format!("the mutation cannot be read: {error}"));
            let content = Sha256::digest(raw.get()).into();
            Ok(ReadMutation { mutation_id, content, creates: None, group: None, asked: Err(refusal) })
        }
    }
}

/// Checks a mutation as far as that goes without looking at anything stored, and hashes its content.
fn examine(mutation: Mutation, limits: &Limits, registry: &Registry) -> (Hash, Result<Asked, Refusal>) {
    let checked = mutation.data.as_deref().map(|data| data::check(data, limits)).transpose();
    let (cleaned, tree) = match checked {
        Ok(Some(Checked { text, tree })) => (Ok(Some(text)), Some(tree)),
        Ok(None) => (Ok(None), None),
        Err(refusal) => (Err(refusal), None),
    };
    let entry = registry.entry(&mutation.type_name);
    let references = match (&tree, entry) {
        (Some(tree), Some(entry)) if !entry.parents.is_empty() => parents::references(entry, tree),
        _ => Ok(Vec::new()),
    };
    let record_content = match &cleaned {
        Ok(_) => data::content_hash_of_tree(tree, &mutation.attachments),
        Err(_) => Sha256::digest(mutation.data.as_ref().map_or("", |data| data.get())).into(),
    };
    let mut hash = Sha256::new();
    for part in [mutation.op.as_str(), mutation.type_name.as_str(), mutation.id.as_str()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(mutation.version.map_or(0, Version::get).to_be_bytes());
    hash.update(mutation.modified_at.map_or(0, Timestamp::as_millis).to_be_bytes());
    hash.update(record_content);
    let content = hash.finalize().into();
    (content, ask(mutation, cleaned, references, record_content, registry))
}

fn ask(
    mutation: Mutation,
    cleaned: Result<Option<Box<RawValue>>, Refusal>,
    references: Result<Vec<Reference>, Refusal>,
    content: Hash,
    registry: &Registry,
) -> Result<Asked, Refusal> {
    let missing = |member: &str| refuse(ProblemCode::Malformed, format!("a {} needs {member}", mutation.op));
    let data = match mutation.op {
        MutationOp::Create | MutationOp::Update => Some(cleaned?.ok_or_else(|| missing("data"))?),
        MutationOp::Delete => None,
        MutationOp::Link => {
            return Err(refuse(
                ProblemCode::UnsupportedCapability,
                "this server does not claim the capability link".to_owned(),
            ));
        }
        MutationOp::Other(ref op) => {
            return Err(refuse(ProblemCode::Malformed, format!("there is no op {op:?}")));
        }
    };
    if registry.entry(&mutation.type_name).is_none() {
        return Err(refuse(ProblemCode::UnknownType, format!("the registry has no type {}", mutation.type_name)));
    }
    Ok(Asked {
        version: mutation.version.ok_or_else(|| missing("version"))?,
        modified_at: mutation.modified_at.ok_or_else(|| missing("modified_at"))?,
        content,
        references: references?,
        op: mutation.op,
        record: RecordRef { type_name: mutation.type_name, id: mutation.id },
        base: mutation.base,
        data,
    })
}
