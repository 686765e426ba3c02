//! A scenario's diagram by itself, for those who write about the protocol: as Mermaid, and as SVG with its style in it.

use super::diagram::{Diagram, Mark, draw};
use super::moments::{Moment, On, answer, devices, moments, taken};
use super::text::visible;
use askama::Template;
use fieldsync_schemas::event::{Course, Exchange, ScenarioEnded, StepTaken};
use std::fmt::Write;

/// The letters of a step or a request that stand in a diagram of Mermaid, which sets its width by them.
const WORDS: usize = 60;

const STYLE: &str = include_str!("drawn.css");

#[derive(Template)]
#[template(path = "html/diagram.html")]
struct Picture {
    diagram: Option<Diagram>,
}

/// The scenario as a picture, which looks alike wherever it is put.
pub fn svg(ended: &ScenarioEnded) -> Result<String, askama::Error> {
    let drawn = draw(ended).map(markup).transpose()?.unwrap_or_default();
    let (head, rest) = drawn.split_once('>').unwrap_or_default();
    let head = head.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"", 1);
    Ok(format!("{head}><style>{STYLE}</style>{rest}\n"))
}

/// A drawing as it stands in a page, which has its style.
pub(super) fn markup(diagram: Diagram) -> Result<String, askama::Error> {
    Ok(Picture { diagram: Some(diagram) }.render()?.trim().to_owned())
}

/// The scenario as a sequence diagram of Mermaid.
pub fn mermaid(ended: &ScenarioEnded) -> String {
    let lanes = Lanes { names: devices(ended) };
    let mut out = format!("sequenceDiagram\n    accTitle: {}\n", words(&ended.title, usize::MAX));
    for (index, name) in lanes.names.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "    participant d{index} as {}", words(name, WORDS));
    }
    out += "    participant tap\n    participant server\n";
    for moment in moments(ended) {
        match moment {
            Moment::Step(step) => lanes.step(&mut out, step),
            Moment::Asked(index, one) => lanes.asked(&mut out, index + 1, one),
            Moment::Answered(index, one) => lanes.answered(&mut out, index + 1, one),
        }
    }
    out
}

/// The devices, each of which is named by its place: a name of a scenario might be a word of Mermaid.
struct Lanes<'a> {
    names: Vec<&'a str>,
}

impl Lanes<'_> {
    fn of(&self, name: &str) -> String {
        let place = self.names.iter().position(|known| *known == name).unwrap_or_default();
        format!("d{place}")
    }

    fn step(&self, out: &mut String, step: &StepTaken) {
        let (on, what) = taken(step);
        let lane = match on {
            On::Device(name) => self.of(name),
            On::Tap => "tap".to_owned(),
            On::Server => "server".to_owned(),
        };
        let _ = writeln!(out, "    Note over {lane}: {}", words(&what, WORDS));
    }

    fn asked(&self, out: &mut String, number: usize, one: &Exchange) {
        let from = self.of(&one.by);
        let request = words(&one.request, WORDS);
        let _ = match one.course {
            Course::Copy => writeln!(out, "    tap->>server: {number} again"),
            Course::Unsent => writeln!(out, "    {from}-xtap: {number} {request}"),
            Course::MadeUp => writeln!(out, "    {from}->>tap: {number} {request}"),
            _ => writeln!(out, "    {from}->>server: {number} {request}"),
        };
        if let Some(fault) = &one.fault {
            let _ = writeln!(out, "    Note over tap: {}", words(fault, WORDS));
        }
    }

    fn answered(&self, out: &mut String, number: usize, one: &Exchange) {
        let to = self.of(&one.by);
        let status = answer(one);
        let _ = match one.course {
            Course::UnderWay if one.status.is_none() => Ok(()),
            Course::Unsent => Ok(()),
            Course::Whole | Course::UnderWay => writeln!(out, "    server-->>{to}: {number} {status}"),
            Course::MadeUp => writeln!(out, "    tap-->>{to}: {number} {status} from the tap"),
            Course::Lost => writeln!(out, "    server--xtap: {number} {status} lost"),
            Course::Copy => writeln!(out, "    server-->>tap: {number} {status}"),
            Course::Cut => writeln!(out, "    server--x{to}: {number} {status} cut"),
            Course::Unanswered => writeln!(out, "    server--xtap: {number} no answer"),
        };
    }
}

/// Words that Mermaid reads as words, whatever they are: what it reads as its own stands as a character's number.
fn words(text: &str, most: usize) -> String {
    let text = visible(text);
    let cut: String = match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text,
    };
    let mut out = String::with_capacity(cut.len());
    // `wrap:` at the beginning is an order.
    let is_order = ["wrap:", "nowrap:"].iter().any(|order| cut.starts_with(order));
    for character in cut.chars() {
        match character {
            // Each of these ends a statement, or begins a number, a comment, a tag, a formula or the end of a line.
            ';' | '#' | '%' | '<' | '>' | '&' | '$' | '\\' => _ = write!(out, "#{};", u32::from(character)),
            ':' if is_order => out += "#58;",
            character => out.push(character),
        }
    }
    // Nothing at all would be no statement.
    if out.trim().is_empty() { "…".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs as runs;
    use fieldsync_schemas::event::Event;

    fn scenario() -> ScenarioEnded {
        let Event::Scenario(mut ended) = runs::passed("push/lost-answer") else { panic!() };
        let step = |place: u64, actor: &str, what: &str| StepTaken {
            place,
            line: 1,
            actor: actor.to_owned(),
            what: what.to_owned(),
        };
        ended.title = "A <title>; with # and \"quotes\"".to_owned();
        ended.steps = vec![
            step(0, "end", "create: {observation: fever, data: {temp: 38.1}}"),
            step(1, "network", "drop: push; %% no comment\nof: end"),
        ];
        ended.exchanges = vec![Exchange {
            by: "end".to_owned(),
            request: "POST /push".to_owned(),
            sent: serde_json::Value::Null,
            status: Some(200),
            answered: serde_json::Value::Null,
            fault: Some("wrap: the answer is withheld".to_owned()),
            course: Course::Lost,
            began: 2,
            ended: Some(3),
        }];
        *ended
    }

    #[test]
    fn what_mermaid_reads_as_its_own_is_escaped() {
        let drawn = mermaid(&scenario());
        let lines: Vec<&str> = drawn.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "sequenceDiagram",
                "accTitle: A #60;title#62;#59; with #35; and \"quotes\"",
                "participant d0 as end",
                "participant tap",
                "participant server",
                "Note over d0: create: {observation: fever, data: {temp: 38.1}}",
                "Note over tap: drop: push#59; #37;#37; no comment#92;nof: end",
                "d0->>server: 1 POST /push",
                "Note over tap: wrap#58; the answer is withheld",
                "server--xtap: 1 200 lost",
            ]
        );
    }

    #[test]
    fn a_picture_stands_by_itself() {
        let drawn = svg(&scenario()).unwrap();
        assert!(drawn.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"d\""), "{drawn}");
        assert!(drawn.contains("<style>") && drawn.ends_with("</svg>\n"), "{drawn}");
        assert!(!drawn.contains("var(--") && !drawn.contains("href"), "it needs nothing from outside");
        assert!(drawn.contains("⚡ wrap: the answer is withheld"), "{drawn}");
    }
}
