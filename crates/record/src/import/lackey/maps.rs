//! The program's share of an address space that it and Valgrind live in.

use crate::import::{Builder, FileKey};
use crate::{Backing, Mapping, MappingKind, Prot, Sharing};

/// A line of `/proc/PID/maps`.
struct Area<'a> {
    start: u64,
    end: u64,
    perms: &'a str,
    offset: u64,
    inode: u64,
    path: &'a str,
}

/// The mappings of the program itself in the text of `/proc/PID/maps`, read before its first
/// instruction. `stack` is an address in its stack.
///
/// Valgrind's own memory is its tool's file and what is executable and writable, or nameless and
/// not behind a file of the program's.
pub(super) fn program_mappings(maps: &str, stack: u64, builder: &mut Builder) -> Vec<Mapping> {
    let mut mappings = Vec::new();
    let mut file_end = 0;
    for area in maps.lines().filter_map(parse) {
        let prot = prot(area.perms);
        let file = area.path.starts_with('/') && !is_valgrinds(&area);
        let kind = match () {
            () if (area.start..area.end).contains(&stack) => MappingKind::Stack,
            () if file => MappingKind::File,
            () if area.path.is_empty() && area.start == file_end && !prot.contains(Prot::EXEC) => {
                MappingKind::Anonymous
            }
            () => continue,
        };
        let len = area.end - area.start;
        let backing = file.then(|| {
            file_end = area.end;
            let key = FileKey { path: area.path.to_owned(), inode: area.inode };
            let file = builder.file(key, area.offset.saturating_add(len));
            Backing { file, offset: area.offset }
        });
        let start = area.start;
        mappings.push(Mapping { start, len, prot, sharing: Sharing::Private, kind, backing });
    }
    mappings
}

fn is_valgrinds(area: &Area<'_>) -> bool {
    area.path.contains("/valgrind/") || !area.perms.ends_with('p')
}

/// `START-END PERMS OFFSET MAJOR:MINOR INODE PATH`.
fn parse(line: &str) -> Option<Area<'_>> {
    let mut rest = line;
    let mut word = || {
        let trimmed = rest.trim_start();
        let (word, after) = trimmed.split_once(' ').unwrap_or((trimmed, ""));
        rest = after;
        word
    };
    let (start, end) = word().split_once('-')?;
    let (perms, offset, _device, inode) = (word(), word(), word(), word());
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Area {
        start: hex(start)?,
        end: hex(end)?,
        perms,
        offset: hex(offset)?,
        inode: inode.parse().ok()?,
        path: rest.trim(),
    })
}

fn prot(perms: &str) -> Prot {
    let bit = |letter, prot| if perms.contains(letter) { prot } else { Prot::NONE };
    bit('r', Prot::READ) | bit('w', Prot::WRITE) | bit('x', Prot::EXEC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Sizes;

    #[test]
    fn only_the_programs_own_mappings_remain() {
        let maps = "\
0010a000-0010d000 rw-p 00002000 fe:00 11                           /tmp/a b
0010d000-00125000 rw-p 00000000 00:00 0 
04035000-04036000 rwxp 00000000 00:00 0 
58000000-58001000 r--p 00000000 fe:00 12                           /usr/libexec/valgrind/lackey
58232000-58c25000 rw-p 00000000 00:00 0 
1002001000-100278c000 rwxp 00000000 00:00 0 
1ffefff000-1fff001000 rw-p 00000000 00:00 0 
7ffcd072d000-7ffcd074e000 rw-p 00000000 00:00 0                          [stack]
";
        let mut builder = Builder::new(1, "a", 0, Sizes::Mapped);
        let mappings = program_mappings(maps, 0x1f_ff00_0778, &mut builder);
        let kinds: Vec<_> = mappings.iter().map(|mapping| (mapping.start, mapping.kind)).collect();
        let expected = [
            (0x10_a000, MappingKind::File),
            (0x10_d000, MappingKind::Anonymous),
            (0x1f_feff_f000, MappingKind::Stack),
        ];
        assert_eq!(kinds, expected);
    }
}
