//! A scenario as a sequence diagram: a lane for each device, one for the tap and one for the server, and on them, from top
//! to bottom, what happened in the order in which it happened.
//!
//! A request that nothing struck is one arrow from its device to the server. What the tap did is drawn where the tap
//! stands: an arrow that ends there, or begins there.

use super::moments::{Moment, On, answer, devices, moments, taken};
use super::text::visible;
use fieldsync_schemas::event::{Course, Exchange, ScenarioEnded, StepTaken};
use std::fmt::Write;

/// From the edge to the first and from the last lane to the edge.
const MARGIN: usize = 42;
/// Between two devices.
const APART: usize = 88;
/// Between the last device and the tap, and the tap and the server, at least.
const REACH: usize = 92;
/// The least width: it fits a phone.
const WIDTH: usize = 440;
/// The height of the head, and of a row of each kind.
const HEAD: usize = 26;
const ROW: usize = 21;
/// The width of a letter, in tenths.
const LETTER: usize = 61;
/// The most devices that get a lane; one above shares the last.
const LANES: usize = 8;

/// A drawing, ready to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Diagram {
    /// Its width, in pixels.
    pub width: usize,
    /// Its height, in pixels.
    pub height: usize,
    /// In words, for whoever does not see it.
    pub label: String,
    /// Where the lanes of devices and server are, and that of the tap.
    pub lanes: String,
    /// Where the lane of the tap is.
    pub tap: usize,
    /// The names of the lanes.
    pub titles: Vec<Title>,
    /// What happened, from top to bottom.
    pub marks: Vec<Mark>,
}

impl Diagram {
    /// The bytes that it takes, about.
    pub fn size(&self) -> usize {
        let marks = self.marks.iter().map(|mark| match mark {
            Mark::Step { text, .. } => 110 + text.size(),
            Mark::Arrow { path, text, .. } => 75 + path.len() + text.size(),
            Mark::Note { text, .. } => 45 + text.size(),
        });
        300 + self.label.len() + 50 * self.titles.len() + marks.sum::<usize>()
    }
}

impl Words {
    fn size(&self) -> usize {
        self.text.len() + self.whole.as_ref().map_or(0, |whole| whole.len() + 15)
    }
}

/// The name of a lane.
#[derive(Debug, PartialEq, Eq)]
pub struct Title {
    /// Where the lane is.
    pub x: usize,
    /// Its name.
    pub name: String,
}

/// Something on the lanes.
#[derive(Debug, PartialEq, Eq)]
pub enum Mark {
    /// A step that somebody takes.
    Step {
        /// On whose lane.
        x: usize,
        /// How far down.
        y: usize,
        /// What is done.
        text: Words,
        /// The scenario failed there.
        failed: bool,
    },
    /// A line with a head.
    Arrow {
        /// `q` for a request, `a` for an answer, `a w` for one that is bad or did not arrive.
        kind: &'static str,
        /// The path, as SVG has it.
        path: String,
        /// The words on it.
        text: Words,
    },
    /// A word on what the tap did, or on what was seen.
    Note {
        /// The word.
        text: Words,
        /// It says how the scenario failed.
        failed: bool,
    },
}

/// Words at a place.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// How far right they begin or end.
    pub x: usize,
    /// How far down their line is.
    pub y: usize,
    /// `e` where they end at the place, empty where they begin there.
    pub anchor: &'static str,
    /// The words, as far as there is room.
    pub text: String,
    /// All of them, where they had to be cut.
    pub whole: Option<String>,
}

/// Draws a scenario. Nothing is drawn where nothing is known of what happened.
pub fn draw(scenario: &ScenarioEnded) -> Option<Diagram> {
    if scenario.steps.is_empty() && scenario.exchanges.is_empty() {
        return None;
    }
    let mut drawing = Drawing::begin(scenario);
    let failed_at = failed_step(scenario);
    for moment in moments(scenario) {
        match moment {
            Moment::Step(step) => drawing.step(step, failed_at.is_some_and(|failed| std::ptr::eq(failed, step))),
            Moment::Asked(index, one) => drawing.asked(index, one),
            Moment::Answered(index, one) => drawing.answered(index, one),
        }
    }
    if let Some(failure) = scenario.failures.first().filter(|_| failed_at.is_none()) {
        drawing.note(format!("✘ seen afterwards: {}", failure.what), true);
    }
    Some(drawing.end(scenario))
}

/// The step at which the scenario failed.
pub fn failed_step(scenario: &ScenarioEnded) -> Option<&StepTaken> {
    let line = scenario.failures.iter().map(|failure| failure.line).find(|line| *line > 0)?;
    scenario.steps.iter().rfind(|step| step.line == line)
}

struct Drawing {
    devices: Vec<String>,
    tap: usize,
    server: usize,
    width: usize,
    y: usize,
    marks: Vec<Mark>,
}

impl Drawing {
    fn begin(scenario: &ScenarioEnded) -> Self {
        let devices: Vec<String> = devices(scenario).into_iter().take(LANES).map(str::to_owned).collect();
        let last = MARGIN + APART * devices.len().saturating_sub(1);
        let width = (last + 2 * REACH + MARGIN).max(WIDTH);
        let server = width - MARGIN;
        Self { tap: last + (server - last) * 11 / 20, server, devices, width, y: HEAD, marks: Vec::new() }
    }

    fn lane(&self, name: &str) -> usize {
        let place = self.devices.iter().position(|known| known == name);
        MARGIN + APART * place.unwrap_or(self.devices.len().saturating_sub(1))
    }

    fn row(&mut self) -> usize {
        self.y += ROW;
        self.y - 6
    }

    fn step(&mut self, step: &StepTaken, failed: bool) {
        let (on, what) = taken(step);
        let x = match on {
            On::Device(name) => self.lane(name),
            On::Tap => self.tap,
            On::Server => self.server,
        };
        let y = self.row();
        let what = if failed { format!("✘ {what}") } else { what };
        let text = if x >= self.tap { self.ending(x - 9, y, &what) } else { self.beginning(x + 9, y, &what) };
        self.marks.push(Mark::Step { x, y: y - 4, text, failed });
    }

    fn asked(&mut self, index: usize, one: &Exchange) {
        let from = self.lane(&one.by);
        let y = self.row();
        let number = index + 1;
        let (start, end) = match one.course {
            Course::Copy => (self.tap, self.server),
            Course::Unsent | Course::MadeUp => (from, self.tap),
            _ => (from, self.server),
        };
        let text = match one.course {
            Course::Copy => self.beginning(start + 6, y - 3, &format!("{number} again")),
            _ => self.beginning(start + 6, y - 3, &format!("{number} {}", one.request)),
        };
        let path = if one.course == Course::Unsent { lost(start, end, y) } else { arrow(start, end, y) };
        self.marks.push(Mark::Arrow { kind: "q", path, text });
        if let Some(fault) = &one.fault {
            self.note(format!("⚡ {fault}"), false);
        }
    }

    fn answered(&mut self, index: usize, one: &Exchange) {
        let to = self.lane(&one.by);
        let number = index + 1;
        let status = answer(one);
        let (start, end, reaches, words) = match one.course {
            Course::Whole | Course::UnderWay => (self.server, to, true, status),
            Course::MadeUp => (self.tap, to, true, format!("{status} from the tap")),
            Course::Lost => (self.server, self.tap, false, format!("{status} lost")),
            Course::Copy => (self.server, self.tap, true, status),
            Course::Cut => (self.server, (to + self.tap) / 2, false, format!("{status} cut")),
            Course::Unanswered => (self.server, self.tap, false, "no answer".to_owned()),
            Course::Unsent => return,
        };
        if one.course == Course::UnderWay && one.status.is_none() {
            return;
        }
        let y = self.row();
        let path = if reaches { arrow(start, end, y) } else { lost(start, end, y) };
        let text = self.ending(start - 6, y - 3, &format!("{number} {words}"));
        let kind = if reaches && one.status.is_some_and(|status| status < 400) { "a" } else { "a w" };
        self.marks.push(Mark::Arrow { kind, path, text });
    }

    fn note(&mut self, words: String, failed: bool) {
        let y = self.row();
        let text = if failed { self.beginning(6, y, &words) } else { self.ending(self.server - 6, y, &words) };
        self.marks.push(Mark::Note { text, failed });
    }

    fn beginning(&self, x: usize, y: usize, words: &str) -> Words {
        fitted(x, y, "", words, self.width.saturating_sub(x + 2))
    }

    fn ending(&self, x: usize, y: usize, words: &str) -> Words {
        fitted(x, y, " e", words, x.saturating_sub(2))
    }

    fn end(self, scenario: &ScenarioEnded) -> Diagram {
        let height = self.y + 8;
        let mut lanes = String::new();
        let mut titles = Vec::new();
        for name in &self.devices {
            let x = self.lane(name);
            // Writing to a string cannot fail.
            let _ = write!(lanes, "M{x} 20V{height}");
            titles.push(Title { x, name: fitted(0, 0, "", name, APART - 4).text });
        }
        let _ = write!(lanes, "M{} 20V{height}", self.server);
        titles.push(Title { x: self.tap, name: "tap".to_owned() });
        titles.push(Title { x: self.server, name: "server".to_owned() });
        let failed = match (failed_step(scenario), scenario.failures.first()) {
            (Some(step), _) => format!("; it fails at: {} {}", step.actor, step.what),
            (None, Some(failure)) => format!("; it fails by {}", failure.what),
            (None, None) => String::new(),
        };
        let (steps, exchanges) = (scenario.steps.len(), scenario.exchanges.len());
        let label =
            format!("Sequence of {steps} steps and {exchanges} requests by {}{failed}", self.devices.join(", "));
        Diagram { width: self.width, height, label, lanes, tap: self.tap, titles, marks: self.marks }
    }
}

/// Words that fit into this width.
fn fitted(x: usize, y: usize, anchor: &'static str, words: &str, width: usize) -> Words {
    let words = visible(words);
    let room = (width * 10 / LETTER).max(4);
    if words.chars().count() <= room {
        return Words { x, y, anchor, text: words, whole: None };
    }
    let text: String = words.chars().take(room - 1).collect::<String>() + "…";
    Words { x, y, anchor, text, whole: Some(words) }
}

/// A line with a head at its end.
fn arrow(from: usize, to: usize, y: usize) -> String {
    let back = if to > from { "-5" } else { "5" };
    let gap = if to > from { to - 1 } else { to + 1 };
    format!("M{from} {y}H{gap}m{back}-3l{} 3 {back} 3", if to > from { "5" } else { "-5" })
}

/// A line that ends in a cross.
fn lost(from: usize, to: usize, y: usize) -> String {
    format!("M{from} {y}H{to}m-4-4l8 8m0-8l-8 8")
}
