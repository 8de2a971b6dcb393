//! What a recording should say about the machine and the moment it was made.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Order;
use crate::Recording;

/// Fills in the provenance that every tool has in common.
pub(super) fn describe(recording: &mut Recording, order: &Order, notes: Vec<String>) {
    let provenance = &mut recording.provenance;
    provenance.program.clone_from(&order.program);
    if let Some(program) = provenance.program.first_mut() {
        *program = program.rsplit('/').next().unwrap_or_default().to_owned();
    }
    provenance.kernel = nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    provenance.cpus =
        std::thread::available_parallelism().map_or(0, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX));
    provenance.page_size = 4096;
    provenance.thp = "off for the program (prctl)".to_owned();
    provenance.date = now();
    provenance.freehold = env!("CARGO_PKG_VERSION").to_owned();
    provenance.notes.extend(notes);
}

/// The date and time in UTC, to the second.
fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = date(now / 86_400);
    let (hour, minute, second) = (now / 3600 % 24, now / 60 % 60, now % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date that lies `days` after 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days >= days_in_year(year) {
        days -= days_in_year(year);
        year += 1;
    }
    let february = days_in_year(year) - 337;
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

const fn days_in_year(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_777), (2026, 11, 20));
        assert_eq!(date(20_819), (2027, 1, 1));
    }
}
