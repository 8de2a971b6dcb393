//! Linux's scanner of equal pages: `ksmd`, as `/sys/kernel/mm/ksm` lets it be driven.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Trouble;
use super::attempt::Attempt;

const DIRECTORY: &str = "/sys/kernel/mm/ksm";
/// How it is run: without pauses.
const SETTINGS: [(&str, &str); 3] = [("sleep_millisecs", "0"), ("pages_to_scan", "2000"), ("run", "1")];
/// How long merging may take. The scanner runs at a lower priority than programs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);

/// The scanner, stopped until [`Scanner::merges`]. Its settings come back when this is dropped.
pub(super) struct Scanner {
    pid: u32,
    saved: Vec<(&'static str, String)>,
}

/// What merging cost.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Cost {
    /// Nanoseconds that the scanner ran for.
    pub(super) ns: f64,
    /// Pages it looked at.
    pub(super) scanned: f64,
}

fn path(file: &str) -> String {
    format!("{DIRECTORY}/{file}")
}

fn number(file: &str) -> Result<u64, Trouble> {
    let text = fs::read_to_string(path(file)).at(&path(file))?;
    text.trim().parse().map_err(|_| Trouble::new(&format!("{}: no number", path(file))))
}

fn write(file: &str, value: &str) -> Result<(), Trouble> {
    fs::write(path(file), value).at(&path(file))
}

/// The process that is called so.
fn find(name: &str) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let comm = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm")).ok()?;
        (comm.trim() == name).then_some(pid)
    })
}

impl Scanner {
    /// The scanner; the error says why it cannot be used here.
    pub(super) fn find() -> Result<Scanner, Trouble> {
        let pid = find("ksmd").ok_or_else(|| Trouble::new(&"there is no ksmd here"))?;
        if number("run")? == 1 || number("pages_sharing")? > 0 {
            return Err(Trouble::new(&"ksmd merges pages of others"));
        }
        let mut saved = Vec::new();
        for (file, _) in SETTINGS {
            saved.push((file, number(file)?.to_string()));
        }
        let scanner = Scanner { pid, saved };
        // Whether this process may at all.
        write("run", &number("run")?.to_string())?;
        Ok(scanner)
    }

    /// Makes it forget what it merged: pages that are mapped no more count as merged until then.
    pub(super) fn forget(&self) -> Result<(), Trouble> {
        write("run", "2")?;
        write("run", "0")
    }

    /// What it ran for, ever.
    fn ran(&self) -> Result<u64, Trouble> {
        let file = format!("/proc/{}/schedstat", self.pid);
        let text = fs::read_to_string(&file).at(&file)?;
        let first = text.split_whitespace().next().and_then(|word| word.parse().ok());
        first.ok_or_else(|| Trouble::new(&format!("{file}: no number")))
    }

    /// Lets it run until so many pages more than before share one.
    pub(super) fn merges(&self, pages: u64) -> Result<Cost, Trouble> {
        let (ran, scanned, sharing) = (self.ran()?, number("pages_scanned")?, number("pages_sharing")?);
        for (file, value) in SETTINGS {
            write(file, value)?;
        }
        let started = Instant::now();
        while number("pages_sharing")? < sharing + pages {
            if started.elapsed() > PATIENCE {
                write("run", "0")?;
                return Err(Trouble::new(&"ksmd merged too few pages in a minute"));
            }
            std::thread::sleep(LOOK);
        }
        write("run", "0")?;
        Ok(Cost { ns: (self.ran()? - ran) as f64, scanned: (number("pages_scanned")? - scanned) as f64 })
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.forget();
        for (file, value) in &self.saved {
            let _ = write(file, value);
        }
    }
}
