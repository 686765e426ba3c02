//! A Markdown file as a list of blocks with their lines: what a chapter is read from.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
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
pub(super) struct Link {
    pub title: String,
    pub target: String,
    pub line: u32,
}

/// Turns places in a text into lines.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { starts }
    }

    fn line(&self, range: &Range<usize>) -> u32 {
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
pub(super) fn links(text: &str) -> Vec<Link> {
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
}
