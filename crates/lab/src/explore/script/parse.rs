//! A whole file: its head, its sections, its blocks.

use std::collections::BTreeMap;

use super::error::ScriptError;
use super::lex::{self, Line, Token, Words};
use super::limits;
use super::model::{Action, MachineShape, Place, ProcessName, Scenario, Script, Step};
use super::names::{Names, Where};
use super::step::{Head, Steps};

/// Lines of text, in the order in which they are wanted.
const TEXTS: [&str; 5] = ["title", "why", "rules", "source", "breaks"];

/// Reads a scenario.
///
/// # Errors
/// The first thing that is wrong with it, and where.
pub fn parse(text: &str) -> Result<Scenario, ScriptError> {
    if text.len() > limits::FILE_BYTES {
        return Err(ScriptError::new(1, 1, format!("a scenario has at most {} bytes", limits::FILE_BYTES)));
    }
    let lines = lex::lines(text)?;
    let last = lines.last().map_or(1, |line| line.number);
    let mut parser = Parser {
        lines,
        at: 0,
        names: Names::new(),
        texts: Default::default(),
        machine: Wishes::default(),
        setup: None,
        cpus: Vec::new(),
        interrupts: BTreeMap::new(),
        end: None,
    };
    parser.head()?;
    while parser.at < parser.lines.len() {
        parser.section()?;
    }
    parser.finish(last)
}

/// What the file says of the machine.
#[derive(Default)]
struct Wishes {
    is_said: bool,
    cpus: Option<u64>,
    memory_mib: Option<u64>,
    nodes: Option<u64>,
}

struct Parser<'t> {
    lines: Vec<Line<'t>>,
    /// The next line.
    at: usize,
    names: Names,
    texts: [Option<String>; TEXTS.len()],
    machine: Wishes,
    setup: Option<Vec<Step>>,
    cpus: Vec<Option<Script>>,
    interrupts: BTreeMap<usize, Vec<Step>>,
    end: Option<Vec<Step>>,
}

impl<'t> Parser<'t> {
    fn line(&self) -> Option<Line<'t>> {
        self.lines.get(self.at).cloned()
    }

    // ---- the head ----

    /// Everything before the first section.
    fn head(&mut self) -> Result<(), ScriptError> {
        let mut first_process = false;
        while let Some(line) = self.line() {
            if line.indent > 0 {
                return Err(ScriptError::new(line.number, 1, "a line of the head starts at the left"));
            }
            let mut words = Words::of(&line);
            let word = match words.next() {
                Ok(Token::Word(word)) => word,
                _ => return Err(ScriptError::new(line.number, 1, "a word is wanted at the start of a line")),
            };
            match word {
                _ if self.text(&line, word)? => {}
                "machine" => self.machine(&mut words)?,
                "process" if !first_process => {
                    first_process = true;
                    let name = words.need_word("the name of the first process")?;
                    self.names.first_process(name);
                    words.need_end()?;
                    self.at += 1;
                }
                "process" => {
                    return Err(words.error("one process is there from the start; `fork` makes others"));
                }
                "file" => {
                    self.names.new_file(&mut words)?;
                    words.need_end()?;
                    self.at += 1;
                }
                "place" => {
                    self.place(&mut words)?;
                    self.at += 1;
                }
                "setup" | "cpu" | "interrupt" | "end" => break,
                _ => {
                    return Err(words.error(format!(
                        "`{word}` is none of {}, machine, process, file, place, setup, cpu, \
                         interrupt, end",
                        TEXTS.join(", ")
                    )));
                }
            }
        }
        if !first_process {
            self.names.first_process("P");
        }
        Ok(())
    }

    /// `title: ...` and the like: the rest of the line, and the indented lines after it. Answers whether it
    /// is one.
    fn text(&mut self, line: &Line<'t>, word: &str) -> Result<bool, ScriptError> {
        let Some(index) = TEXTS.iter().position(|text| *text == word) else { return Ok(false) };
        let column = word.len() as u32 + 1;
        let Some(text) = line.text[word.len()..].trim_start().strip_prefix(':') else {
            return Err(ScriptError::new(line.number, column, format!("`:` is wanted after `{word}`")));
        };
        if self.texts[index].is_some() {
            return Err(ScriptError::new(line.number, 1, format!("a second `{word}`")));
        }
        let mut text = text.trim().to_string();
        self.at += 1;
        while let Some(more) = self.line().filter(|more| more.indent > 0) {
            text.push(' ');
            text.push_str(more.text.trim());
            self.at += 1;
        }
        let text = text.trim().to_string();
        if text.is_empty() {
            return Err(ScriptError::new(line.number, column, format!("`{word}` says nothing")));
        }
        self.texts[index] = Some(text);
        Ok(true)
    }

    /// `machine: 2 cpus, 4 MiB, 1 node`
    fn machine(&mut self, words: &mut Words<'t>) -> Result<(), ScriptError> {
        if self.machine.is_said {
            return Err(words.error("a second `machine`"));
        }
        self.machine.is_said = true;
        words.need(":")?;
        loop {
            let number = words.need_number("a number of cpus, MiB or nodes")?;
            let at = words.clone();
            let unit = words.need_word("`cpus`, `MiB` or `nodes`")?;
            let (place, most) = match unit {
                "cpus" | "cpu" => (&mut self.machine.cpus, limits::CPUS),
                "MiB" => (&mut self.machine.memory_mib, limits::MEMORY_MIB),
                "nodes" | "node" => (&mut self.machine.nodes, limits::NODES),
                _ => return Err(words.error(format!("`{unit}` is none of cpus, MiB, nodes"))),
            };
            if number == 0 || number > most {
                return Err(at.error(format!("from 1 to {most} {unit}")));
            }
            if place.replace(number).is_some() {
                return Err(words.error(format!("`{unit}` is said already")));
            }
            if !words.take(",")? {
                break;
            }
        }
        words.need_end()?;
        self.at += 1;
        Ok(())
    }

    /// `place b 2 pages across tables`
    fn place(&mut self, words: &mut Words<'t>) -> Result<(), ScriptError> {
        let name = match self.names.maybe_region(words)? {
            Ok(_) => return Err(words.error("the region has its place already")),
            Err(name) => name,
        };
        let pages = self.names.region_pages(words)?;
        let place = match words.peek()? {
            Token::End => Where::Next,
            _ => Steps::new(words, &mut self.names).place()?,
        };
        words.need_end()?;
        self.names.new_region(words, (name, pages), place)?;
        Ok(())
    }

    // ---- sections ----

    fn section(&mut self) -> Result<(), ScriptError> {
        let Some(line) = self.line() else { return Ok(()) };
        if line.indent > 0 {
            return Err(ScriptError::new(line.number, 1, "no section has a step here"));
        }
        let mut words = Words::of(&line);
        let word = words.need_word("`setup`, `cpu`, `interrupt` or `end`")?;
        match word {
            "setup" => {
                let steps = self.body(words, 1)?;
                self.once(&line, |parser| parser.setup.replace(steps).is_some())
            }
            "end" => {
                let steps = self.body(words, 1)?;
                self.once(&line, |parser| parser.end.replace(steps).is_some())
            }
            "cpu" => self.cpu(&line, words),
            "interrupt" => self.interrupt(&line, words),
            _ => {
                Err(words
                    .error(format!("`{word}` is none of setup, cpu, interrupt, end: the head comes first")))
            }
        }
    }

    fn once(&mut self, line: &Line<'t>, twice: impl FnOnce(&mut Self) -> bool) -> Result<(), ScriptError> {
        if twice(self) {
            return Err(ScriptError::new(line.number, 1, "this section is there already"));
        }
        Ok(())
    }

    /// `cpu 1:`, `cpu 1 as C:`
    fn cpu(&mut self, line: &Line<'t>, mut words: Words<'t>) -> Result<(), ScriptError> {
        let cpu = words.need_within("a CPU's number", 0, limits::CPUS - 1)? as usize;
        let process = if words.take("as")? { self.names.process(&mut words)? } else { ProcessName(0) };
        let steps = self.body(words, 1)?;
        while self.cpus.len() <= cpu {
            self.cpus.push(None);
        }
        let script = Script { process, steps, interrupt: Vec::new() };
        self.once(line, |parser| parser.cpus[cpu].replace(script).is_some())
    }

    /// `interrupt cpu 1:`
    fn interrupt(&mut self, line: &Line<'t>, mut words: Words<'t>) -> Result<(), ScriptError> {
        words.need("cpu")?;
        let cpu = words.need_within("a CPU's number", 0, limits::CPUS - 1)?;
        let steps = self.body(words, 1)?;
        if let Some(Step { at, .. }) = steps.iter().find(|step| !may_interrupt(step)) {
            return Err(ScriptError::new(at.line, at.column, "an interrupt has only walk, set and expect"));
        }
        self.once(line, |parser| parser.interrupts.insert(cpu as usize, steps).is_some())
    }

    /// The steps of a section or block, after its first line.
    fn body(&mut self, mut head: Words<'t>, depth: usize) -> Result<Vec<Step>, ScriptError> {
        if depth == 1 {
            head.need(":")?;
        }
        head.need_end()?;
        let outer = self.line().map_or(0, |line| line.indent);
        self.at += 1;
        let Some(first) = self.line().filter(|line| line.indent > outer) else {
            return Err(ScriptError::new(
                head.line(),
                head.next_column(),
                "an indented step is wanted after this",
            ));
        };
        let mut steps = Vec::new();
        while let Some(line) = self.line().filter(|line| line.indent > outer) {
            if line.indent != first.indent {
                let message = format!("indented by {}, the block by {}", line.indent, first.indent);
                return Err(ScriptError::new(line.number, line.indent as u32 + 1, message));
            }
            steps.push(self.step(&line, depth)?);
        }
        Ok(steps)
    }

    /// A block inside a guard: a step that takes locks, or sleeps in the manager, would be wrong there.
    fn walking(&mut self, head: Words<'t>, depth: usize) -> Result<Vec<Step>, ScriptError> {
        let steps = self.body(head, depth)?;
        let may = |step: &&Step| {
            let waits = matches!(step.action, Action::Signal(_) | Action::Await(_) | Action::AwaitThat(_));
            waits || may_interrupt(step)
        };
        match steps.iter().find(|step| !may(step)) {
            None => Ok(steps),
            Some(Step { at, .. }) => {
                let what = "inside a guard are only walk, set, expect, signal and await";
                Err(ScriptError::new(at.line, at.column, what))
            }
        }
    }

    fn step(&mut self, line: &Line<'t>, depth: usize) -> Result<Step, ScriptError> {
        let mut words = Words::of(line);
        let at = Place { line: line.number, column: line.indent as u32 + 1 };
        let text = words.text().to_string();
        let head = Steps::new(&mut words, &mut self.names).head()?;
        if !matches!(head, Head::Step(_)) && depth == limits::DEPTH {
            let message = format!("at most {} blocks within blocks", limits::DEPTH);
            return Err(ScriptError::new(at.line, at.column, message));
        }
        let action = match head {
            Head::Step(action) => {
                self.at += 1;
                action
            }
            Head::Repeat { times, counter, until } => {
                let body = self.body(words, depth + 1)?;
                Action::Repeat { times, counter, until, body }
            }
            Head::As(process) => Action::As(process, self.body(words, depth + 1)?),
            Head::Walking => Action::Walking(self.walking(words, depth + 1)?),
        };
        Ok(Step { at, text, action })
    }

    // ---- all of it ----

    fn finish(self, last: u32) -> Result<Scenario, ScriptError> {
        let missing = |what: String| ScriptError::new(last, 1, what);
        let [processes, variables, events] = self.names.finish()?;
        let (pins, pipes) = self.names.held();
        let mut texts = Vec::new();
        for (name, text) in TEXTS.iter().zip(self.texts) {
            texts.push(text.ok_or_else(|| missing(format!("there is no `{name}`")))?);
        }
        if self.cpus.is_empty() {
            return Err(missing("no CPU does anything: `cpu 0:` is missing".into()));
        }
        let empty = self.cpus.iter().position(Option::is_none);
        if let Some(cpu) = empty {
            return Err(missing(format!("CPUs are numbered from 0 on: `cpu {cpu}:` is missing")));
        }
        let mut cpus: Vec<Script> = self.cpus.into_iter().flatten().collect();
        for (cpu, steps) in self.interrupts {
            let script = cpus.get_mut(cpu);
            script.ok_or_else(|| missing(format!("cpu {cpu} is interrupted, and does nothing")))?.interrupt =
                steps;
        }
        let machine = self.machine.shape(cpus.len()).map_err(missing)?;
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap_or_default();
        Ok(Scenario {
            title: text(),
            why: text(),
            rules: text().split([',', ' ']).filter(|rule| !rule.is_empty()).map(Into::into).collect(),
            source: text(),
            breaks: text(),
            machine,
            processes,
            files: self.names.files,
            regions: self.names.regions,
            variables,
            events,
            pins,
            pipes,
            setup: self.setup.unwrap_or_default(),
            cpus,
            end: self.end.unwrap_or_default(),
        })
    }
}

/// Whether a step takes no lock and does not wait.
fn may_interrupt(step: &Step) -> bool {
    matches!(step.action, Action::Walk(..) | Action::Set(..) | Action::Expect(..))
}

impl Wishes {
    fn shape(&self, scripts: usize) -> Result<MachineShape, String> {
        let cpus = self.cpus.unwrap_or(scripts as u64);
        let nodes = self.nodes.unwrap_or(1);
        let memory_mib = self.memory_mib.unwrap_or(4 * nodes);
        if cpus < scripts as u64 {
            return Err(format!("the machine has {cpus} cpus, {scripts} do something"));
        }
        if nodes > cpus || memory_mib < 4 * nodes {
            return Err("a node has at least a CPU and 4 MiB".into());
        }
        Ok(MachineShape { cpus: cpus as u32, memory_bytes: memory_mib << 20, nodes: nodes as u32 })
    }
}
