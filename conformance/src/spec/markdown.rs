//! A Markdown file as a list of blocks with their lines: what a chapter is read from.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// One block of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub kind: BlockKind,
    /// Its words, with code spans in backticks and a line feed where the source has one; the content of a code block.
    pub text: String,
    /// Its first line, from 1.
    pub line: u32,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BlockKind {
    Paragraph,
    /// A heading of this level.
    Heading,
    /// An item of a list, without the paragraphs in it.
    Item,
    /// A cell of a table, by its row (0 is the head) and column.
    Cell {
        row: usize,
        column: usize,
    },
    /// A fenced block, with what stands after the fence.
    Code {
        info: String,
    },
}

/// A link to another file, as it stands in a table of contents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    pub title: String,
    pub target: String,
    pub line: u32,
}

/// Turns places in a text into lines.
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { starts }
    }

    pub(crate) fn line(&self, range: &Range<usize>) -> u32 {
        self.starts.partition_point(|start| *start <= range.start) as u32
    }
}

/// The blocks of a text, in the order of their first lines.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let lines = Lines::of(text);
    let mut done: Vec<(usize, Block)> = Vec::new();
    let mut open: Vec<(usize, Block)> = Vec::new();
    let (mut row, mut column) = (0, 0);
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        let mut begin = |kind: BlockKind| {
            open.push((range.start, Block { kind, text: String::new(), line: lines.line(&range) }));
        };
        match event {
            Event::Start(Tag::Paragraph) => begin(BlockKind::Paragraph),
            Event::Start(Tag::Heading { .. }) => begin(BlockKind::Heading),
            Event::Start(Tag::Item) => begin(BlockKind::Item),
            Event::Start(Tag::Table(_)) => row = 0,
            Event::Start(Tag::TableHead | Tag::TableRow) => column = 0,
            Event::Start(Tag::TableCell) => begin(BlockKind::Cell { row, column }),
            Event::Start(Tag::CodeBlock(kind)) => begin(BlockKind::Code {
                info: match kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => String::new(),
                },
            }),
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => row += 1,
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::CodeBlock) => {
                done.extend(open.pop())
            }
            Event::End(TagEnd::TableCell) => {
                column += 1;
                done.extend(open.pop());
            }
            Event::Text(words) => append(&mut open, &words),
            Event::Code(code) => append(&mut open, &format!("`{code}`")),
            Event::SoftBreak | Event::HardBreak => append(&mut open, "\n"),
            _ => {}
        }
    }
    done.sort_by_key(|(start, _)| *start);
    done.into_iter().map(|(_, block)| block).collect()
}

fn append(open: &mut [(usize, Block)], words: &str) {
    if let Some((_, block)) = open.last_mut() {
        block.text.push_str(words);
    }
}

/// The links of a text, in order.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let lines = Lines::of(text);
    let mut found: Vec<Link> = Vec::new();
    let mut within = false;
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => {
                within = true;
                found.push(Link { title: String::new(), target: dest_url.to_string(), line: lines.line(&range) });
            }
            Event::End(TagEnd::Link) => within = false,
            Event::Text(words) | Event::Code(words) if within => {
                if let Some(link) = found.last_mut() {
                    link.title.push_str(&words);
                }
            }
            _ => {}
        }
    }
    found
}

/// The anchors of headings, as every renderer of Markdown makes them: lower case, a hyphen for each space, no other marks,
/// and a number behind what was there before.
#[derive(Debug, Default)]
pub(crate) struct Slugs {
    seen: BTreeMap<String, usize>,
}

impl Slugs {
    /// The anchor of the next heading.
    pub(crate) fn next(&mut self, title: &str) -> String {
        let kept = title.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let before = self.seen.entry(slug.clone()).or_default();
        *before += 1;
        if *before == 1 { slug } else { format!("{slug}-{}", *before - 1) }
    }
}

/// The places of a text that a link can lead to: its headings, and its rules as `r-<id>`.
pub(crate) fn anchors(text: &str) -> BTreeSet<String> {
    let mut slugs = Slugs::default();
    let mut found = BTreeSet::new();
    for block in blocks(text) {
        match block.kind {
            BlockKind::Heading => _ = found.insert(slugs.next(&block.text.replace('`', ""))),
            BlockKind::Paragraph => {
                let rule = block.text.strip_prefix("r[").and_then(|rest| rest.split_once(']'));
                found.extend(rule.map(|(id, _)| format!("r-{}", id.split('+').next().unwrap_or(id))));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_know_their_lines() {
        let text = "# Push\n\nOne\n`two` [three](x.md).\n\n- item\n\n```json message=push-request\n{}\n```\n\n| a | b |\n|---|---|\n| 1 | `2` |\n";
        let seen: Vec<(u32, String)> = blocks(text).into_iter().map(|block| (block.line, block.text)).collect();
        let cells = [(12, "a"), (12, "b"), (14, "1"), (14, "`2`")];
        let mut expected = vec![(1, "Push"), (3, "One\n`two` three."), (6, "item"), (8, "{}\n")];
        expected.extend(cells);
        assert_eq!(seen, expected.into_iter().map(|(line, text)| (line, text.to_owned())).collect::<Vec<_>>());
    }

    #[test]
    fn anchors_are_headings_and_rules() {
        let text = "# A `code`, and more\n\n## Twice\n\n## Twice\n\nr[push.a.b+2] (core)\n\nA server MUST x.\n";
        let found: Vec<String> = anchors(text).into_iter().collect();
        assert_eq!(found, ["a-code-and-more", "r-push.a.b", "twice", "twice-1"]);
    }
}
