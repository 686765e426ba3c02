//! From the tree of a document to the typed scenario. An error leads back to the line it comes from.

use super::error::{LoadError, LoadErrorKind};
use super::yaml::{Document, Node, Path, Tree};
use fieldsync_schemas::id::RuleId;
use fieldsync_schemas::scenario::{Action, DeviceStep, NetworkStep, RequestStep, Scenario, ServerStep, Step};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

/// The actors of a step that are no devices.
pub(super) const ACTORS: [&str; 5] = ["network", "server", "release", "together", "request"];

/// Reads the scenario of a document, with the line of every step.
pub(super) fn scenario(document: &Document) -> Result<Scenario, LoadError> {
    let steps = document.root.member("steps");
    let path = Path::default().key("steps");
    if let Some(steps) = steps {
        check_actors(document, steps, &path)?;
    }
    let value = document.root.value();
    let mut scenario: Scenario = match typed(&value, &Path::default()) {
        Ok(scenario) => scenario,
        Err(misfit) => {
            let (path, message) = step_misfit(&value, &misfit.0).unwrap_or(misfit);
            return Err(document.error(&path, LoadErrorKind::Form(message)));
        }
    };
    if let Some(steps) = steps {
        set_lines(&mut scenario.steps, steps);
    }
    Ok(scenario)
}

/// A misspelt actor would be read as a device and complained about as such: it is named first.
fn check_actors(document: &Document, steps: &Node, path: &Path) -> Result<(), LoadError> {
    let devices = device_names(&document.root);
    for (index, step) in steps.items().iter().enumerate() {
        let path = path.index(index);
        for member in step.members() {
            let path = path.key(&member.key);
            if member.key == "together" {
                check_actors(document, &member.node, &path)?;
            } else if member.key != "rule" && !ACTORS.contains(&member.key.as_str()) && !devices.contains(&member.key) {
                let known: Vec<&str> = devices.iter().map(String::as_str).chain(ACTORS).collect();
                let message = format!(
                    "`{}` is no actor: name one of {}, or declare it under devices",
                    member.key,
                    known.join(", ")
                );
                return Err(document.nonsense(&path, message));
            }
        }
    }
    Ok(())
}

/// The declared names, as far as the form of the document shows them.
fn device_names(root: &Node) -> Vec<String> {
    let Some(devices) = root.member("devices") else { return Vec::new() };
    match &devices.tree {
        Tree::Members(members) => members.iter().map(|member| member.key.clone()).collect(),
        Tree::List(items) => items.iter().filter_map(|item| item.value().as_str().map(str::to_owned)).collect(),
        Tree::Scalar(_) => Vec::new(),
    }
}

type Misfit = (Path, String);

fn typed<T: DeserializeOwned>(value: &Value, at: &Path) -> Result<T, Misfit> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut path = at.clone();
        for segment in error.path() {
            path = match segment {
                Segment::Seq { index } => path.index(*index),
                Segment::Map { key } => path.key(key),
                Segment::Enum { variant } => path.key(variant),
                Segment::Unknown => break,
            };
        }
        (path, error.into_inner().to_string())
    })
}

/// A step is read in two goes, so its own error ends at the step: this one looks inside.
fn step_misfit(scenario: &Value, at: &Path) -> Option<Misfit> {
    if !at.to_string().starts_with("steps[") {
        return None;
    }
    steps_misfit(scenario.get("steps")?.as_array()?, &Path::default().key("steps"))
}

fn steps_misfit(steps: &[Value], at: &Path) -> Option<Misfit> {
    steps.iter().enumerate().find_map(|(index, step)| {
        let at = at.index(index);
        let members = step.as_object()?;
        members.iter().find_map(|(actor, what)| {
            let at = at.key(actor);
            match actor.as_str() {
                "rule" => typed::<RuleId>(what, &at).err(),
                "network" => typed::<NetworkStep>(what, &at).err(),
                "server" => typed::<ServerStep>(what, &at).err(),
                "release" => typed::<String>(what, &at).err(),
                "request" => typed::<RequestStep>(what, &at).err(),
                "together" => match what.as_array() {
                    Some(steps) => steps_misfit(steps, &at),
                    None => Some((at, "together is a list of steps".to_owned())),
                },
                _ => typed::<DeviceStep>(what, &at).err(),
            }
        })
    })
}

fn set_lines(steps: &mut [Step], nodes: &Node) {
    for (step, node) in steps.iter_mut().zip(nodes.items()) {
        step.line = node.line;
        if let (Action::Together(inner), Some(nodes)) = (&mut step.action, node.member("together")) {
            set_lines(inner, nodes);
        }
    }
}
