//! The names of a scenario, and where its regions are.

use freehold::machine::{HUGE_ORDER, PAGE_SIZE, Vpn};

use super::error::ScriptError;
use super::lex::Words;
use super::limits;
use super::model::{
    EventName, FileName, FileShape, PinName, PipeName, Place, ProcessName, Region, RegionName, Sign,
    VariableName,
};

/// Where the first region is: the first page of a leaf table.
const FIRST_PLACE: Vpn = Vpn(0x1_0000);
/// Where user addresses end.
const USER_PAGES: u64 = 1 << 35;
/// Pages that a leaf table maps.
const TABLE: u64 = HUGE_ORDER.frames();

/// Words that are no names.
const RESERVED: [&str; 11] =
    ["or", "and", "not", "in", "disk", "initial", "faults", "fails", "may", "of", "as"];

/// What a name may stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Process,
    File,
    Region,
    Variable,
    Event,
    Pin,
    Pipe,
}

impl Kind {
    fn article(self) -> &'static str {
        match self {
            Kind::Process => "a process",
            Kind::File => "a file",
            Kind::Region => "a region",
            Kind::Variable => "a variable",
            Kind::Event => "an event",
            Kind::Pin => "a pin",
            Kind::Pipe => "a pipe",
        }
    }
}

/// A name that may be used before it is made.
struct Promise {
    name: String,
    /// Where it was used first, if it was.
    used: Option<Place>,
    is_made: bool,
}

/// Where a region is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Where {
    /// Behind the others, with a page between.
    Next,
    /// At this address.
    At(u64),
    /// With a boundary of leaf tables in its middle.
    AcrossTables,
    /// Directly behind another one.
    After(RegionName),
    /// In a leaf table of its own, with room below.
    Apart,
}

/// All names so far.
pub(super) struct Names {
    processes: Vec<Promise>,
    variables: Vec<Promise>,
    events: Vec<Promise>,
    pins: Vec<Promise>,
    pipes: Vec<Promise>,
    pub(super) files: Vec<FileShape>,
    pub(super) regions: Vec<Region>,
    next_place: Vpn,
}

impl Names {
    /// None.
    pub(super) fn new() -> Names {
        Names {
            processes: Vec::new(),
            variables: Vec::new(),
            events: Vec::new(),
            pins: Vec::new(),
            pipes: Vec::new(),
            files: Vec::new(),
            regions: Vec::new(),
            next_place: FIRST_PLACE,
        }
    }

    fn kind_of(&self, name: &str) -> Option<Kind> {
        let promised = |list: &[Promise]| list.iter().any(|promise| promise.name == name);
        if promised(&self.processes) {
            Some(Kind::Process)
        } else if promised(&self.variables) {
            Some(Kind::Variable)
        } else if promised(&self.events) {
            Some(Kind::Event)
        } else if promised(&self.pins) {
            Some(Kind::Pin)
        } else if promised(&self.pipes) {
            Some(Kind::Pipe)
        } else if self.files.iter().any(|file| file.name == name) {
            Some(Kind::File)
        } else if self.regions.iter().any(|region| region.name == name) {
            Some(Kind::Region)
        } else {
            None
        }
    }

    /// Reads a name that may be of this kind.
    fn name<'t>(&self, words: &mut Words<'t>, kind: Kind) -> Result<&'t str, ScriptError> {
        let name = words.need_word(&format!("the name of {}", kind.article()))?;
        if RESERVED.contains(&name) || Sign::named(name).is_some() {
            return Err(words.error(format!("`{name}` has a meaning of its own: it names nothing")));
        }
        if name.len() > limits::NAME {
            return Err(words.error(format!("a name has at most {} letters", limits::NAME)));
        }
        match self.kind_of(name) {
            Some(other) if other != kind => {
                Err(words.error(format!("`{name}` is {}, not {}", other.article(), kind.article())))
            }
            _ => Ok(name),
        }
    }

    /// Reads a name that may be used before it is made.
    fn promise(&mut self, words: &mut Words<'_>, kind: Kind, makes: bool) -> Result<usize, ScriptError> {
        let name = self.name(words, kind)?;
        let place = Place { line: words.line(), column: words.column() };
        let list = match kind {
            Kind::Process => &mut self.processes,
            Kind::Variable => &mut self.variables,
            Kind::Pin => &mut self.pins,
            Kind::Pipe => &mut self.pipes,
            _ => &mut self.events,
        };
        let index = list.iter().position(|promise| promise.name == name);
        let index = match index {
            Some(index) => index,
            None if list.len() == limits::NAMES => {
                return Err(words.error(format!("at most {} names of a kind", limits::NAMES)));
            }
            None => {
                list.push(Promise { name: name.into(), used: None, is_made: false });
                list.len() - 1
            }
        };
        list[index].is_made |= makes;
        list[index].used.get_or_insert(place);
        Ok(index)
    }

    /// The first process, which is there from the start.
    pub(super) fn first_process(&mut self, name: &str) {
        self.processes.push(Promise { name: name.into(), used: None, is_made: true });
    }

    /// A process that a step makes.
    pub(super) fn make_process(&mut self, words: &mut Words<'_>) -> Result<ProcessName, ScriptError> {
        let index = self.promise(words, Kind::Process, true)?;
        if index == 0 {
            return Err(words.error(format!("`{}` is there from the start", self.processes[0].name)));
        }
        Ok(ProcessName(index))
    }

    /// A process.
    pub(super) fn process(&mut self, words: &mut Words<'_>) -> Result<ProcessName, ScriptError> {
        self.promise(words, Kind::Process, false).map(ProcessName)
    }

    /// A variable that gets a value.
    pub(super) fn set_variable(&mut self, words: &mut Words<'_>) -> Result<VariableName, ScriptError> {
        self.promise(words, Kind::Variable, true).map(VariableName)
    }

    /// A variable.
    pub(super) fn variable(&mut self, words: &mut Words<'_>) -> Result<VariableName, ScriptError> {
        self.promise(words, Kind::Variable, false).map(VariableName)
    }

    /// An event that happens.
    pub(super) fn signal(&mut self, words: &mut Words<'_>) -> Result<EventName, ScriptError> {
        self.promise(words, Kind::Event, true).map(EventName)
    }

    /// An event.
    pub(super) fn event(&mut self, words: &mut Words<'_>) -> Result<EventName, ScriptError> {
        self.promise(words, Kind::Event, false).map(EventName)
    }

    /// Pages that are held from here on.
    pub(super) fn make_pin(&mut self, words: &mut Words<'_>) -> Result<PinName, ScriptError> {
        self.promise(words, Kind::Pin, true).map(PinName)
    }

    /// Pages that are held.
    pub(super) fn pin(&mut self, words: &mut Words<'_>) -> Result<PinName, ScriptError> {
        self.promise(words, Kind::Pin, false).map(PinName)
    }

    /// A pipe that something is put into.
    pub(super) fn make_pipe(&mut self, words: &mut Words<'_>) -> Result<PipeName, ScriptError> {
        self.promise(words, Kind::Pipe, true).map(PipeName)
    }

    /// A pipe.
    pub(super) fn pipe(&mut self, words: &mut Words<'_>) -> Result<PipeName, ScriptError> {
        self.promise(words, Kind::Pipe, false).map(PipeName)
    }

    /// How many names of pins and of pipes there are.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.pins.len(), self.pipes.len())
    }

    /// A new file.
    pub(super) fn new_file(&mut self, words: &mut Words<'_>) -> Result<(), ScriptError> {
        let name = self.name(words, Kind::File)?;
        if self.files.iter().any(|file| file.name == name) {
            return Err(words.error(format!("there is a file `{name}` already")));
        }
        if self.files.len() == limits::NAMES {
            return Err(words.error(format!("at most {} files", limits::NAMES)));
        }
        let pages = self.pages(words, 0)?;
        self.files.push(FileShape { name: name.into(), pages });
        Ok(())
    }

    /// Reads `4 pages`.
    fn pages(&self, words: &mut Words<'_>, least: u64) -> Result<u64, ScriptError> {
        let pages = words.need_within("a number of pages", least, limits::PAGES)?;
        if !words.take("pages")? && !words.take("page")? {
            return Err(words.unexpected("`pages`"));
        }
        Ok(pages)
    }

    /// A file.
    pub(super) fn file(&mut self, words: &mut Words<'_>) -> Result<FileName, ScriptError> {
        let name = self.name(words, Kind::File)?;
        let index = self.files.iter().position(|file| file.name == name);
        index.map(FileName).ok_or_else(|| words.error(format!("there is no file `{name}`")))
    }

    /// A region.
    pub(super) fn region(&mut self, words: &mut Words<'_>) -> Result<RegionName, ScriptError> {
        let name = self.name(words, Kind::Region)?;
        let index = self.regions.iter().position(|region| region.name == name);
        index
            .map(RegionName)
            .ok_or_else(|| words.error(format!("no region `{name}` so far: `map` or `place` makes one")))
    }

    /// Reads the name of a region that may be new; how many pages it has, and where it is, come next.
    pub(super) fn maybe_region<'t>(
        &mut self,
        words: &mut Words<'t>,
    ) -> Result<Result<RegionName, &'t str>, ScriptError> {
        let name = self.name(words, Kind::Region)?;
        let index = self.regions.iter().position(|region| region.name == name);
        Ok(index.map(RegionName).ok_or(name))
    }

    /// Reads how many pages a new region has.
    pub(super) fn region_pages(&self, words: &mut Words<'_>) -> Result<u64, ScriptError> {
        self.pages(words, 1)
    }

    /// A new region.
    pub(super) fn new_region(
        &mut self,
        words: &Words<'_>,
        (name, pages): (&str, u64),
        place: Where,
    ) -> Result<RegionName, ScriptError> {
        if self.regions.len() == limits::NAMES {
            return Err(words.error(format!("at most {} regions", limits::NAMES)));
        }
        let next_table = self.next_place.0.next_multiple_of(TABLE);
        let start = match place {
            Where::Next => self.next_place,
            Where::At(addr) if addr % PAGE_SIZE != 0 => {
                return Err(words.error("an address of a page is wanted: a multiple of 4096"));
            }
            Where::At(addr) => Vpn(addr / PAGE_SIZE),
            Where::AcrossTables => Vpn((next_table + pages / 2).next_multiple_of(TABLE) - pages / 2),
            Where::After(other) => self.regions[other.0].start + self.regions[other.0].pages,
            Where::Apart => Vpn(next_table + TABLE),
        };
        if start.0 < 16 || start.0 + pages + 2 * TABLE > USER_PAGES {
            return Err(words.error("outside of user addresses"));
        }
        let gap = if place == Where::Apart { TABLE } else { 1 };
        if matches!(place, Where::Next | Where::AcrossTables | Where::Apart | Where::After(_)) {
            self.next_place = self.next_place.max(Vpn(start.0 + pages + gap));
        }
        self.regions.push(Region { name: name.into(), start, pages });
        Ok(RegionName(self.regions.len() - 1))
    }

    /// Every name that was used was made; answers the names of processes, variables and events.
    pub(super) fn finish(&self) -> Result<[Vec<String>; 3], ScriptError> {
        let unmade = |list: &[Promise], what: &str| {
            let broken = list.iter().filter(|promise| !promise.is_made);
            let first = broken
                .filter_map(|promise| promise.used.map(|at| (at, promise.name.clone())))
                .min_by_key(|b| b.0);
            match first {
                Some((at, name)) => Err(ScriptError::new(at.line, at.column, what.replace("NAME", &name))),
                None => Ok(list.iter().map(|promise| promise.name.clone()).collect::<Vec<_>>()),
            }
        };
        unmade(&self.pins, "nothing holds pages as `NAME`: `pin`, `hold` or `register` would")?;
        unmade(&self.pipes, "nothing is put into a pipe `NAME`: `splice` would")?;
        Ok([
            unmade(&self.processes, "nothing makes a process `NAME`: `fork`, `clone` or `vfork` would")?,
            unmade(&self.variables, "nothing gives `NAME` a value: `set` or `->` would")?,
            unmade(&self.events, "nothing signals `NAME`")?,
        ])
    }
}
