//! `--plot`: pictures of what was measured. Native and simulated figures never share one.

mod bars;
mod curves;
mod svg;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Row, Side};
use crate::exit::Error;

/// A directory for pictures, which exists.
pub(super) struct Plots(PathBuf);

impl Plots {
    /// Makes the directory, if it is not there.
    pub(super) fn into(directory: &Path) -> Result<Plots, Error> {
        fs::create_dir_all(directory).map_err(|error| Error::of_file(directory, &error))?;
        Ok(Plots(directory.into()))
    }

    /// Writes all pictures that the rows have points for.
    pub(super) fn write(&self, rows: &[Row]) -> Result<(), Error> {
        for (name, picture) in pictures(rows) {
            let path = self.0.join(format!("{name}.svg"));
            fs::write(&path, picture).map_err(|error| Error::of_file(&path, &error))?;
        }
        Ok(())
    }
}

/// Pictures by name.
fn pictures(rows: &[Row]) -> BTreeMap<String, String> {
    let mut pictures = BTreeMap::new();
    let of_side = |side: Side| rows.iter().filter(move |row| row.side == side);
    let native: Vec<&Row> = of_side(Side::Native).collect();
    let picture = bars::picture("On this machine, beside this Linux", &native);
    pictures.extend(picture.map(|picture| ("native-ratios".into(), picture)));
    for (name, rows) in by_name(of_side(Side::Simulated)) {
        let file = file_name(name);
        let picture = curves::picture(&format!("{name}, simulated"), &rows);
        let is_curve = picture.is_some();
        pictures.extend(picture.map(|picture| (format!("simulated-{file}"), picture)));
        if !is_curve {
            let picture = bars::picture(&format!("{name}, simulated"), &rows);
            pictures.extend(picture.map(|picture| (format!("simulated-{file}-ratios"), picture)));
        }
    }
    pictures
}

fn by_name<'r>(rows: impl Iterator<Item = &'r Row>) -> BTreeMap<&'r str, Vec<&'r Row>> {
    let mut named: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    rows.for_each(|row| named.entry(&row.name).or_default().push(row));
    named
}

/// A name as a file's: letters, digits and dashes.
fn file_name(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    plain.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Goal, Peer};

    fn beside(side: Side, name: &str, (value, peer): (f64, f64)) -> Row {
        let goal = Some(Goal::ratio_at_most(0.6, 0.5));
        let peer = Peer { name: "a < b".into(), value: peer, min: None };
        Row { goal, ..Row::new(side, name, value, "ns").beside(peer) }
    }

    fn scaling(policy: &str, cpus: u32, value: f64) -> Row {
        Row {
            policy: Some(policy.into()),
            cpus: Some(cpus),
            ..Row::new(Side::Simulated, "faults & more", value, "M/s")
        }
    }

    /// Elements are closed in the order in which they were opened, and attributes are quoted.
    fn is_well_formed(xml: &str) -> bool {
        let mut open = Vec::new();
        let mut rest = xml;
        while let Some(start) = rest.find('<') {
            let Some(end) = rest[start..].find('>').map(|end| start + end) else { return false };
            let tag = &rest[start + 1..end];
            rest = &rest[end + 1..];
            match tag.strip_prefix('/') {
                Some(name) if open.pop() != Some(name) => return false,
                None if tag.matches('"').count() % 2 == 1 => return false,
                None if !tag.ends_with('/') => open.extend(tag.split_whitespace().next()),
                _ => {}
            }
        }
        open.is_empty() && !rest.contains('&')
    }

    #[test]
    fn pictures_are_well_formed_and_the_sides_are_apart() {
        let mut rows = vec![
            beside(Side::Native, "munmap <one>", (0.5, 1.0)),
            beside(Side::Simulated, "munmap-496g", (1.0, 20_000.0)),
        ];
        for cpus in [1, 2, 16, 128] {
            rows.push(scaling("lock=space", cpus, 1.5 * f64::from(cpus)));
            rows.push(scaling("lock=global", cpus, 1.5));
        }
        let pictures = pictures(&rows);
        let names: Vec<&str> = pictures.keys().map(String::as_str).collect();
        assert_eq!(names, ["native-ratios", "simulated-faults-more", "simulated-munmap-496g-ratios"]);
        for (name, picture) in &pictures {
            assert!(is_well_formed(picture), "{name}: {picture}");
            assert!(!picture.contains("NaN") && !picture.contains("inf"), "{name}: {picture}");
        }
        assert!(!pictures["native-ratios"].contains("496g"));
        assert!(pictures["simulated-munmap-496g-ratios"].contains("1 / 20000"));
    }

    #[test]
    fn one_point_is_no_curve() {
        assert!(pictures(&[scaling("lock=space", 1, 1.0)]).is_empty());
    }

    #[test]
    fn well_formed_is_a_judgement() {
        assert!(is_well_formed("<a><b/>&lt;</a>"));
        assert!(!is_well_formed("<a><b></a></b>"));
        assert!(!is_well_formed("<a"));
    }
}
