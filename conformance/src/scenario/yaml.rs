//! YAML text to a tree that remembers lines, and nothing more of YAML than JSON has.
//!
//! Read from the parser's events, because only they still know how a scalar was written: anchors, aliases, tags and merge
//! keys are refused, and so are plain scalars that versions of YAML read differently.

use super::error::{LoadError, LoadErrorKind};
use super::scalar;
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Map, Value};
use std::fmt;

/// One node of a document, with the place where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) tree: Tree,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    /// Null, a boolean, a number or a string.
    Scalar(Value),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Members(Vec<Member>),
}

/// One member of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) node: Node,
}

/// The way from the root of a document to a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Path(Vec<Segment>);

#[derive(Debug, Clone, PartialEq)]
enum Segment {
    Key(String),
    Index(usize),
}

impl Path {
    /// The path of a member.
    pub(super) fn key(&self, key: impl Into<String>) -> Path {
        let mut longer = self.clone();
        longer.0.push(Segment::Key(key.into()));
        longer
    }

    /// The path of an item.
    pub(super) fn index(&self, index: usize) -> Path {
        let mut longer = self.clone();
        longer.0.push(Segment::Index(index));
        longer
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if place == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// One file, read.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) file: String,
    pub(super) root: Node,
}

impl Document {
    /// An error at the deepest node on the way that exists. A member is shown by its key.
    pub(super) fn error(&self, path: &Path, kind: LoadErrorKind) -> LoadError {
        let (mut node, mut line, mut column) = (&self.root, self.root.line, self.root.column);
        for segment in &path.0 {
            match (&node.tree, segment) {
                (Tree::Members(members), Segment::Key(key)) => {
                    let Some(member) = members.iter().find(|member| member.key == *key) else { break };
                    (node, line, column) = (&member.node, member.line, member.column);
                }
                (Tree::List(items), Segment::Index(index)) => {
                    let Some(item) = items.get(*index) else { break };
                    (node, line, column) = (item, item.line, item.column);
                }
                _ => break,
            }
        }
        LoadError { file: self.file.clone(), line, column, path: path.to_string(), kind }
    }

    /// The error of a document that has the form of a scenario and makes no sense.
    pub(super) fn nonsense(&self, path: &Path, message: impl Into<String>) -> LoadError {
        self.error(path, LoadErrorKind::Nonsense(message.into()))
    }
}

impl Node {
    /// The member of this name.
    pub(super) fn member(&self, key: &str) -> Option<&Node> {
        match &self.tree {
            Tree::Members(members) => members.iter().find(|member| member.key == key).map(|member| &member.node),
            _ => None,
        }
    }

    /// The items; none where it is no sequence.
    pub(super) fn items(&self) -> &[Node] {
        match &self.tree {
            Tree::List(items) => items,
            _ => &[],
        }
    }

    /// The members; none where it is no mapping.
    pub(super) fn members(&self) -> &[Member] {
        match &self.tree {
            Tree::Members(members) => members,
            _ => &[],
        }
    }

    /// The node as JSON, without places.
    pub(super) fn value(&self) -> Value {
        match &self.tree {
            Tree::Scalar(value) => value.clone(),
            Tree::List(items) => items.iter().map(Node::value).collect(),
            Tree::Members(members) => Value::Object(
                members.iter().map(|member| (member.key.clone(), member.node.value())).collect::<Map<_, _>>(),
            ),
        }
    }
}

/// The line of the deepest node that this JSON Pointer leads to. JSON is YAML, apart from tabs before its tokens.
pub(super) fn line_of(text: &str, pointer: &str) -> Option<u32> {
    let document = read("", &text.replace('\t', " ")).ok()?;
    let mut path = Path::default();
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        path = match segment.parse() {
            Ok(index) => path.index(index),
            Err(_) => path.key(segment),
        };
    }
    Some(document.error(&path, LoadErrorKind::Nonsense(String::new())).line)
}

/// Reads the one document of a file.
pub(super) fn read(file: &str, text: &str) -> Result<Document, LoadError> {
    let options = granit_parser::options! {
        strict_indentation: true,
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_comments: false,
    };
    let mut reader = Reader { file, events: Parser::new_from_str_with_options(text, options) };
    let mut root = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
            (event, span) if root.is_none() => root = Some(reader.node(event, span, &Path::default())?),
            (_, span) => {
                let remedy = "put each scenario into a file of its own";
                return Err(reader.refuse(span, &Path::default(), "several documents in one file", remedy));
            }
        }
    }
    match root {
        Some(root) => Ok(Document { file: file.to_owned(), root }),
        None => Err(LoadError::of_file(file, LoadErrorKind::Syntax("it is empty".to_owned()))),
    }
}

struct Reader<'a, I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> {
    file: &'a str,
    events: I,
}

impl<'a, I: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> Reader<'a, I> {
    fn next(&mut self) -> Result<(Event<'a>, Span), LoadError> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(LoadError {
                file: self.file.to_owned(),
                line: number(error.marker().line()),
                column: number(error.marker().col()) + 1,
                path: String::new(),
                kind: LoadErrorKind::Syntax(error.info()),
            }),
            None => Err(LoadError::of_file(self.file, LoadErrorKind::Syntax("it ends too early".to_owned()))),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, path: &Path) -> Result<Node, LoadError> {
        let (line, column) = place(span);
        let tree = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(span, path, anchor, tag.is_some())?;
                Tree::Scalar(match style {
                    ScalarStyle::Plain => scalar::plain(&text).map_err(|kind| self.error(span, path, kind))?,
                    _ => Value::String(text.into_owned()),
                })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(span, path, anchor, tag.is_some())?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Tree::List(items),
                        (event, span) => items.push(self.node(event, span, &path.index(items.len()))?),
                    }
                }
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(span, path, anchor, tag.is_some())?;
                Tree::Members(self.members(path)?)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                return Err(self.refuse(span, path, "aliases", "write the value again"));
            }
            other => return Err(self.error(span, path, LoadErrorKind::Syntax(format!("{other:?} is out of place")))),
        };
        Ok(Node { line, column, tree })
    }

    fn members(&mut self, path: &Path) -> Result<Vec<Member>, LoadError> {
        let mut members: Vec<Member> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(members),
                Event::Scalar(text, style, anchor, tag) => {
                    self.refuse_properties(span, path, anchor, tag.is_some())?;
                    self.key(text.into_owned(), style, span, path)?
                }
                Event::Alias(_) | Event::UnresolvedAlias(_) => {
                    return Err(self.refuse(span, path, "aliases", "write the key again"));
                }
                _ => return Err(self.refuse(span, path, "keys that are no text", "use a name")),
            };
            let path = path.key(&key);
            if let Some(first) = members.iter().find(|member| member.key == key) {
                let kind = LoadErrorKind::DuplicateKey { first: first.line, key };
                return Err(self.error(span, &path, kind));
            }
            let (line, column) = place(span);
            let (event, span) = self.next()?;
            let node = self.node(event, span, &path)?;
            members.push(Member { key, line, column, node });
        }
    }

    /// A key must be a string, by its quotes or by any version of YAML.
    fn key(&self, text: String, style: ScalarStyle, span: Span, path: &Path) -> Result<String, LoadError> {
        if style != ScalarStyle::Plain {
            return Ok(text);
        }
        if text == "<<" {
            return Err(self.refuse(span, path, "merge keys", "write the members again"));
        }
        match scalar::plain(&text) {
            Ok(Value::String(text)) => Ok(text),
            Ok(_) => {
                Err(self.error(span, path, LoadErrorKind::Ambiguous { text, remedy: "quote it: a key is a text" }))
            }
            Err(kind) => Err(self.error(span, path, kind)),
        }
    }

    fn refuse_properties(&self, span: Span, path: &Path, anchor: usize, tagged: bool) -> Result<(), LoadError> {
        if anchor != 0 {
            return Err(self.refuse(span, path, "anchors", "write the value again where it is needed"));
        }
        if tagged {
            return Err(self.refuse(span, path, "tags", "leave the tag out, and quote what is a text"));
        }
        Ok(())
    }

    fn refuse(&self, span: Span, path: &Path, feature: &'static str, remedy: &'static str) -> LoadError {
        self.error(span, path, LoadErrorKind::Unsupported { feature, remedy })
    }

    fn error(&self, span: Span, path: &Path, kind: LoadErrorKind) -> LoadError {
        let (line, column) = place(span);
        LoadError { file: self.file.to_owned(), line, column, path: path.to_string(), kind }
    }
}

fn place(span: Span) -> (u32, u32) {
    (number(span.start.line()), number(span.start.col()) + 1)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(text: &str) -> String {
        read("f.yaml", text).expect_err(text).to_string()
    }

    #[test]
    fn flow_block_and_quoted_text_come_out_as_json_with_lines() {
        let document =
            read("f.yaml", "a: {b: [1, 'yes']}\n# a comment\nc:\n  - \"012\"\n  - |\n    two\n    lines\n").unwrap();
        assert_eq!(document.root.value(), json!({"a": {"b": [1, "yes"]}, "c": ["012", "two\nlines\n"]}));
        assert_eq!(document.root.member("c").unwrap().items()[0].line, 4);
    }

    #[test]
    fn what_json_does_not_have_is_refused_with_its_place() {
        for (text, message) in [
            (
                "a: 1\nb: yes\n",
                "f.yaml:2:4: b: `yes` is read differently by different YAML versions: quote it, or write true or false",
            ),
            (
                "a: [1,\n  012]\n",
                "f.yaml:2:3: a[1]: `012` is read differently by different YAML versions: quote it, or write it as JSON does: decimal, without leading zeros, plus sign or underscores",
            ),
            ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: a: the key `a` stands in line 1 already: keep one of the two"),
            (
                "on: 1\n",
                "f.yaml:1:1: `on` is read differently by different YAML versions: quote it, or write true or false",
            ),
            (
                "a: {404: 1}\n",
                "f.yaml:1:5: a: `404` is read differently by different YAML versions: quote it: a key is a text",
            ),
            ("a: &x 1\n", "f.yaml:1:7: a: anchors are not used in fixtures: write the value again where it is needed"),
            ("a: *x\n", "f.yaml:1:4: a: aliases are not used in fixtures: write the value again"),
            (
                "a: !!str 1\n",
                "f.yaml:1:10: a: tags are not used in fixtures: leave the tag out, and quote what is a text",
            ),
            ("a:\n  <<: {b: 1}\n", "f.yaml:2:3: a: merge keys are not used in fixtures: write the members again"),
            (
                "a: 1\n---\nb: 1\n",
                "f.yaml:3:1: several documents in one file are not used in fixtures: put each scenario into a file of its own",
            ),
            ("", "f.yaml: is no YAML: it is empty"),
        ] {
            assert_eq!(refused(text), message);
        }
    }

    #[test]
    fn broken_yaml_names_the_line() {
        assert_eq!(refused("a: 1\nb: [1,\n"), "f.yaml:2:4: is no YAML: unclosed bracket '['");
    }
}
