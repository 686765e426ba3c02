//! Reading a batch: everything that can be said of its mutations without looking at anything stored.

use super::{Ask, Asked, AskedLink, Batch, ReadMutation, Reference, parents, refuse};
use crate::attachment;
use crate::data::{self, Checked};
use crate::links;
use crate::problem::Trouble;
use crate::store::Hash;
use fieldsync_schemas::conflict::{CONFLICT_TYPE, ConflictEntry};
use fieldsync_schemas::id::{AttachmentId, MutationId, Version};
use fieldsync_schemas::problem::ProblemCode;
use fieldsync_schemas::pull::RecordRef;
use fieldsync_schemas::push::{Mutation, MutationOp, PushRequest, Refusal};
use fieldsync_schemas::record::Data;
use fieldsync_schemas::registry::{MergePolicy, Registry};
use fieldsync_schemas::session::Limits;
use fieldsync_schemas::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
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
        limits: *limits,
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
fn examine(mutation: Mutation, limits: &Limits, registry: &Registry) -> (Hash, Result<Ask, Refusal>) {
    let limits = limits_of(&mutation, limits);
    let checked = mutation.data.as_deref().map(|data| data::check(data, &limits)).transpose();
    let (cleaned, tree) = match checked {
        Ok(Some(Checked { text, tree })) => (Ok(Some(text)), Some(tree)),
        Ok(None) => (Ok(None), None),
        Err(refusal) => (Err(refusal), None),
    };
    let patch = mutation.patch.as_deref().map(|patch| data::check_patch(patch, &limits)).transpose();
    let entry = registry.entry(&mutation.type_name).filter(|entry| !entry.parents.is_empty());
    let references = match (&tree, &patch, entry) {
        (_, Ok(Some(patch)), Some(entry)) => parents::references(entry, &set_by(patch)),
        (Some(tree), _, Some(entry)) => parents::references(entry, tree),
        _ => Ok(Vec::new()),
    };
    let record_content = match (&cleaned, &patch) {
        (Ok(_), Ok(Some(patch))) => {
            data::content_hash_of_tree(Some(Value::Object(patch.clone())), &mutation.attachments)
        }
        (Ok(_), Ok(None)) => data::content_hash_of_tree(tree, &mutation.attachments),
        _ => Sha256::digest(mutation.data.as_ref().or(mutation.patch.as_ref()).map_or("", |data| data.get())).into(),
    };
    let mut hash = Sha256::new();
    for part in [mutation.op.as_str(), mutation.type_name.as_str(), mutation.id.as_str()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(mutation.version.map_or(0, Version::get).to_be_bytes());
    hash.update(mutation.modified_at.map_or(0, Timestamp::as_millis).to_be_bytes());
    hash.update(record_content);
    if mutation.patch.is_some() {
        hash.update("patch");
    }
    if mutation.op == MutationOp::Link {
        hash.update(mutation.attachment.as_ref().map_or("", AttachmentId::as_str));
        hash.update(mutation.url.as_deref().unwrap_or_default());
        return (hash.finalize().into(), ask_link(mutation, registry).map(Ask::Link));
    }
    let content = hash.finalize().into();
    (content, ask(mutation, cleaned, patch, references, record_content, registry).map(Ask::Change))
}

/// The members that a patch sets; what it clears refers to nothing.
fn set_by(patch: &Data) -> Value {
    Value::Object(
        patch.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect(),
    )
}

/// A conflict entry holds up to three values, each of which may be as large as a record.
fn limits_of(mutation: &Mutation, limits: &Limits) -> Limits {
    match mutation.type_name.as_str() {
        CONFLICT_TYPE => Limits {
            record_bytes: limits.record_bytes.saturating_mul(4),
            nesting: limits.nesting.saturating_add(1),
            ..*limits
        },
        _ => *limits,
    }
}

fn ask_link(mutation: Mutation, registry: &Registry) -> Result<AskedLink, Refusal> {
    let Mutation { type_name, id, attachment, url, group, .. } = mutation;
    let Some(entry) = registry.entry(&type_name) else {
        return Err(refuse(ProblemCode::UnknownType, format!("the registry has no type {type_name}")));
    };
    if !links::are_held_by(entry) {
        let detail = format!("records of type {type_name} do not hold the URLs of files");
        return Err(refuse(ProblemCode::UnsupportedCapability, detail));
    }
    let (Some(attachment), Some(url), None) = (attachment, url, group) else {
        return Err(refuse(
            ProblemCode::Malformed,
            "a link needs an attachment and a url, and has no group".to_owned(),
        ));
    };
    Ok(AskedLink { record: RecordRef { type_name, id }, attachment, url })
}

fn ask(
    mutation: Mutation,
    cleaned: Result<Option<Box<RawValue>>, Refusal>,
    patch: Result<Option<Data>, Refusal>,
    references: Result<Vec<Reference>, Refusal>,
    content: Hash,
    registry: &Registry,
) -> Result<Asked, Refusal> {
    let missing = |member: &str| refuse(ProblemCode::Malformed, format!("a {} needs {member}", mutation.op));
    let entry = registry.entry(&mutation.type_name);
    let can_be_patched = mutation.op == MutationOp::Update
        && mutation.data.is_none()
        && entry.is_some_and(|entry| entry.merge.policy == MergePolicy::FieldMerge);
    if mutation.patch.is_some() && entry.is_some() && !can_be_patched {
        let detail = "a patch stands, in the place of `data`, in an update of a type with the policy field-merge";
        return Err(refuse(ProblemCode::Malformed, detail.to_owned()));
    }
    let patch = patch?;
    let data = match mutation.op {
        MutationOp::Update if patch.is_some() => None,
        MutationOp::Create | MutationOp::Update => Some(cleaned?.ok_or_else(|| missing("data"))?),
        MutationOp::Delete => None,
        MutationOp::Link | MutationOp::Other(_) => {
            return Err(refuse(ProblemCode::Malformed, format!("there is no op {:?}", mutation.op.as_str())));
        }
    };
    let Some(entry) = entry else {
        return Err(refuse(ProblemCode::UnknownType, format!("the registry has no type {}", mutation.type_name)));
    };
    mutation.attachments.iter().try_for_each(|one| attachment::check(one, entry))?;
    if let (CONFLICT_TYPE, Some(data)) = (mutation.type_name.as_str(), &data)
        && let Err(error) = serde_json::from_str::<ConflictEntry>(data.get())
    {
        return Err(refuse(ProblemCode::Malformed, format!("this is no conflict entry: {error}")));
    }
    Ok(Asked {
        version: mutation.version.ok_or_else(|| missing("version"))?,
        modified_at: mutation.modified_at.ok_or_else(|| missing("modified_at"))?,
        content,
        references: references?,
        op: mutation.op,
        record: RecordRef { type_name: mutation.type_name, id: mutation.id },
        base: mutation.base,
        attachments: if data.is_some() || patch.is_some() { mutation.attachments } else { Vec::new() },
        data,
        patch,
    })
}
