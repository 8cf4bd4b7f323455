//! Files to statements: includes, continued lines, conditions, definitions, sequences.

use super::define::{Definitions, Predefined, definition, next_use, predefined};
use super::text::Text;
use super::tree::{Statement, Tree};
use super::words::{before_comment, split};
use super::{Limits, sequence};
use crate::keepalived::env::Environment;
use crate::keepalived::files::Files;
use crate::keepalived::glob;
use crate::keepalived::report::{Level, Reports, Sources};
use crate::keepalived::span::{Place, Span};
use std::path::{Path, PathBuf};

/// Which faults of `include` are reported as errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Checks {
    readable: bool,
    matching: bool,
    wildcard: bool,
    brace: bool,
}

impl Checks {
    const ALL: Self = Self { readable: true, matching: true, wildcard: true, brace: true };

    fn or(self, other: Self) -> Self {
        Self {
            readable: self.readable || other.readable,
            matching: self.matching || other.matching,
            wildcard: self.wildcard || other.wildcard,
            brace: self.brace || other.brace,
        }
    }

    /// The checks that a variant of `include` adds.
    fn of(keyword: &str) -> Option<Self> {
        let none = Self::default();
        Some(match keyword {
            "include" => none,
            "includer" => Self { readable: true, ..none },
            "includem" => Self { readable: true, matching: true, ..none },
            "includew" => Self { readable: true, wildcard: true, ..none },
            "includeb" => Self { readable: true, brace: true, ..none },
            "includea" | "includet" => Self::ALL,
            _ => return None,
        })
    }

    /// Follows `include_check`.
    fn change(&mut self, words: &[String]) -> Result<(), String> {
        if words.is_empty() {
            *self = Self::ALL;
            return Ok(());
        }
        if !words.first().is_some_and(|word| word.starts_with(['+', '-'])) {
            *self = Self::default();
        }
        let mut on = true;
        for word in words {
            let name = word.trim_start_matches(['+', '-']);
            match word.chars().next() {
                Some('+') => on = true,
                Some('-') => on = false,
                _ => {}
            }
            match name {
                "readable" => self.readable = on,
                "match" => self.matching = on,
                "wildcard_match" => self.wildcard = on,
                "brace_match" => self.brace = on,
                "" => {}
                other => return Err(format!("unknown include_check option '{other}'")),
            }
        }
        Ok(())
    }
}

/// What one line may become; parameters that hold themselves double it with each step.
const LINE_BYTES: usize = 1 << 20;

/// Reads a configuration and hands its statements on.
pub(crate) struct Reader<'a> {
    files: &'a dyn Files,
    env: &'a Environment,
    limits: Limits,
    sources: &'a mut Sources,
    reports: &'a mut Reports,
    apply: &'a mut dyn FnMut(&Statement, &mut Reports),
    definitions: Definitions,
    tree: Tree,
    checks: Checks,
    /// The files being read, outermost first: what they are, and their directories.
    stack: Vec<(PathBuf, PathBuf)>,
    seed: u64,
    bytes: u64,
    lines: u64,
    expanded: u64,
    exhausted: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        files: &'a dyn Files,
        env: &'a Environment,
        limits: Limits,
        (sources, reports): (&'a mut Sources, &'a mut Reports),
        apply: &'a mut dyn FnMut(&Statement, &mut Reports),
    ) -> Self {
        let checks = if env.all_files { Checks::ALL } else { Checks::default() };
        Self {
            files,
            env,
            limits,
            sources,
            reports,
            apply,
            definitions: Definitions::default(),
            tree: Tree::default(),
            checks,
            stack: Vec::new(),
            seed: env.seed,
            bytes: 0,
            lines: 0,
            expanded: 0,
            exhausted: false,
        }
    }

    /// Reads the main file with all that it includes. False if there is nothing to read.
    pub(crate) fn run(mut self, path: &Path) -> bool {
        let matches = glob::matches(self.files, Path::new(""), &path.to_string_lossy());
        let mut read = false;
        for file in &matches.files {
            read |= self.file(file, Span::default(), true);
        }
        if matches.files.is_empty() {
            let help = Some("name the file with -f".to_owned());
            let text = format!("Config files missing '{}'.", path.display());
            self.reports.add(Level::Error, Span::default(), text, help);
        }
        self.tree.finish(self.reports);
        self.hand_on();
        read
    }

    fn hand_on(&mut self) {
        for statement in std::mem::take(&mut self.tree.done) {
            (self.apply)(&statement, self.reports);
        }
    }

    /// Reads one file. False if it cannot be read.
    fn file(&mut self, path: &Path, from: Span, strict: bool) -> bool {
        let identity = self.files.identity(path);
        if self.stack.iter().any(|(open, _)| *open == identity) {
            self.reports.error(from, format!("{} includes itself - ignoring", path.display()));
            return false;
        }
        if self.stack.len() >= self.limits.include_depth || self.sources.len() >= self.limits.files {
            self.reports.error(from, format!("too many files are included - ignoring {}", path.display()));
            return false;
        }
        let left = self.limits.file_bytes.saturating_sub(self.bytes);
        let bytes = match self.files.read(path, left) {
            Ok(bytes) => bytes,
            Err(error) => {
                let level = if strict { Level::Error } else { Level::Notice };
                self.reports.add(level, from, format!("cannot read {}: {error}", path.display()), None);
                return false;
            }
        };
        self.bytes += bytes.len() as u64;
        let Some(number) = self.sources.add(path, String::from_utf8_lossy(&bytes).into_owned()) else { return false };
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        self.stack.push((identity, directory));
        let checks = self.checks;
        let text = self.sources.text(number).to_owned();
        self.physical(&text, number);
        self.checks = checks;
        self.stack.pop();
        true
    }

    /// Joins continued lines and takes them one by one.
    fn physical(&mut self, text: &str, file: u16) {
        let mut parts: Vec<Text> = Vec::new();
        for (line, number) in text.split('\n').zip(1u32..) {
            let at = Place { file, line: number, byte: 0 };
            let kept = before_comment(line.trim_end_matches('\r')).trim_end();
            let (kept, more) = match kept.strip_suffix('\\') {
                Some(kept) if !kept.ends_with('\\') => (kept, true),
                _ => (kept, false),
            };
            parts.push(Text::new(kept, at).trimmed());
            if !more {
                self.joined(std::mem::take(&mut parts));
            }
            if self.exhausted {
                return;
            }
        }
        self.joined(parts);
    }

    fn joined(&mut self, parts: Vec<Text>) {
        let Some(first) = parts.first() else { return };
        // The lines of a definition stay lines; those of a statement become one.
        let mut head = first.as_str();
        while let Some(rest) = head.strip_prefix('@') {
            head = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start();
        }
        let separator = if definition(head).is_some() { "\n" } else { " " };
        let mut all = Text::default();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                all.push_str(separator, part.place(0));
            }
            all.push(part);
        }
        self.line(&all, 0);
    }

    /// Counts a line; false once there were too many.
    fn spend(&mut self, bytes: usize, at: Span) -> bool {
        self.lines += 1;
        self.expanded = self.expanded.saturating_add(bytes as u64);
        if !self.exhausted && (self.lines > self.limits.lines || self.expanded > self.limits.expanded_bytes) {
            self.exhausted = true;
            self.reports.error(at, "the configuration expands to too many lines - ignoring the rest");
        }
        !self.exhausted
    }

    /// One line, perhaps of a definition.
    fn line(&mut self, line: &Text, depth: usize) {
        let mut line = line.trimmed();
        if line.len() == 0 || !self.spend(line.len(), line.span(0..line.len())) {
            return;
        }
        if depth > self.limits.expansion_depth {
            self.reports.error(line.span(0..line.len()), "definitions are nested too deeply - ignoring");
            return;
        }
        while let Some(condition) = line.as_str().strip_prefix('@') {
            let end = condition.find(char::is_whitespace).unwrap_or(condition.len());
            let id = &condition[..end];
            let holds = match id.strip_prefix('^') {
                Some(id) => id != self.env.config_id,
                None => id == self.env.config_id,
            };
            if !holds {
                return;
            }
            line = line.from(end + 1).trimmed();
        }
        if let Some((name, begin)) = definition(line.as_str()) {
            let value = line.from(begin);
            self.definitions.set(name, value.trimmed());
            return;
        }
        match sequence::parse(&line) {
            Ok(Some(found)) => return self.sequence(&found, &line, depth),
            Ok(None) => {}
            Err(text) => return self.reports.error(line.span(0..line.len()), text),
        }
        match self.substitute(&line) {
            // What was substituted may hold lines, conditions, definitions and further parameters.
            Some(expanded) => expanded.lines().iter().for_each(|line| self.line(line, depth + 1)),
            None => self.statement(&line),
        }
    }

    fn sequence(&mut self, found: &sequence::Sequence, line: &Text, depth: usize) {
        let rest = line.from(found.taken);
        for values in found.values.iter() {
            if !self.spend(0, line.span(0..line.len())) {
                break;
            }
            for (name, value) in found.names.iter().zip(values) {
                self.definitions.set(name, Text::new(&value, line.place(0)));
            }
            self.line(&rest, depth + 1);
        }
        for name in &found.names {
            self.definitions.remove(name);
        }
    }

    /// The line with every parameter replaced once; nothing if it has none.
    fn substitute(&mut self, line: &Text) -> Option<Text> {
        let mut out = Text::default();
        out.via = line.via;
        let (mut at, mut any) = (0, false);
        loop {
            let known = |name: &str| self.definitions.knows(name) || predefined(name).is_some();
            let Some(used) = next_use(line.as_str(), at, known) else { break };
            let place = line.place(used.begin);
            out.push(&line.slice(at..used.begin));
            if let Some(value) = self.definitions.get(used.name) {
                out.push(value);
                out.via = out.via.or(Some(place));
            } else if let Some(found) = predefined(used.name) {
                let value = self.predefined(&found);
                out.push_str(&value, place);
            }
            (at, any) = (used.end, true);
            if out.len() > LINE_BYTES {
                self.reports
                    .error(line.span(used.begin..used.end), "the line expands to more than a megabyte - ignoring");
                return Some(Text::default());
            }
            if !self.spend(out.len(), line.span(used.begin..used.end)) {
                return Some(Text::default());
            }
        }
        if !any {
            return None;
        }
        out.push(&line.from(at));
        Some(out)
    }

    fn predefined(&mut self, what: &Predefined<'_>) -> String {
        match what {
            Predefined::Pwd => self.stack.last().map_or(String::new(), |(identity, directory)| {
                let directory = identity.parent().unwrap_or(directory);
                directory.display().to_string()
            }),
            Predefined::Instance => self.env.config_id.clone(),
            Predefined::Literal(text) => (*text).to_owned(),
            Predefined::Env(name) => self.env.variables.get(*name).cloned().unwrap_or_default(),
            Predefined::Random(low, high) => {
                // SplitMix64: repeatable for a seed.
                self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = self.seed;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                let span = u64::from(high - low) + 1;
                (u64::from(*low) + (z ^ (z >> 31)) % span).to_string()
            }
        }
    }

    /// A line that is a statement, or part of one.
    fn statement(&mut self, line: &Text) {
        if self.include(line) {
            return;
        }
        let (tokens, unterminated) = split(line);
        if let Some(bad) = unterminated {
            self.reports.error(bad.0, "Unterminated quote");
        }
        if let Some(super::words::Token::Word(first)) = tokens.first() {
            self.language_keyword(&first.text.clone(), &tokens);
        }
        self.tree.line(tokens, self.limits.block_depth, self.reports);
        self.hand_on();
    }

    /// Statements that change how the following lines are read.
    fn language_keyword(&mut self, keyword: &str, tokens: &[super::words::Token]) {
        let words: Vec<&super::words::Word> = tokens
            .iter()
            .filter_map(|token| match token {
                super::words::Token::Word(word) => Some(word),
                super::words::Token::Open(_) | super::words::Token::Close(_) => None,
            })
            .collect();
        match keyword {
            "include_check" => {
                let options: Vec<String> = words.iter().skip(1).map(|word| word.text.clone()).collect();
                if let Err(text) = self.checks.change(&options) {
                    self.reports.error(words.first().map_or(Span::default(), |word| word.span), text);
                }
            }
            "random_seed" => {
                if let Some(seed) = words.get(1).and_then(|word| word.text.parse().ok()) {
                    self.seed = seed;
                }
            }
            _ => {}
        }
    }

    /// Follows an `include`; false if the line is none.
    fn include(&mut self, line: &Text) -> bool {
        let text = line.as_str();
        let Some((keyword, pattern)) = text.split_once(char::is_whitespace) else { return false };
        let Some(checks) = Checks::of(keyword) else { return false };
        let checks = checks.or(self.checks);
        let pattern = pattern.trim().trim_matches(['"', '\'']);
        let span = line.span(text.len() - text[keyword.len()..].trim_start().len()..text.len());
        let directory = self.stack.last().map(|(_, directory)| directory.clone()).unwrap_or_default();
        if pattern.len() > 4096 {
            self.reports.error(span, "the pattern is longer than any path");
            return true;
        }
        let found = glob::matches(self.files, &directory, pattern);
        if found.cut {
            self.reports.error(span, "the pattern stands for too many files");
        }
        let nothing = found.files.is_empty();
        let wrong = (nothing && if found.wild { checks.wildcard } else { checks.matching })
            || (checks.brace && pattern.contains('{') && !found.without.is_empty());
        if wrong || nothing {
            let what = if nothing { pattern } else { found.without.first().map_or(pattern, |first| first) };
            let level = if wrong { Level::Error } else { Level::Notice };
            self.reports.add(level, span, format!("Config files missing '{what}'."), None);
        }
        for file in &found.files {
            self.file(file, span, checks.readable);
            if self.exhausted {
                break;
            }
        }
        true
    }
}
