//! Where the fields of the tracepoints lie, as the file itself says.

use std::ops::Range;

use linux_perf_data::{Feature, PerfFile};

use super::ImportError;

/// What a tracepoint said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// A page fault in user mode.
    UserFault { addr: u64, error_code: u64 },
    /// A page fault in the kernel.
    KernelFault { addr: u64, error_code: u64 },
    /// A call starts.
    Enter { number: u64, args: [u64; 6] },
    /// A call ends.
    Exit { number: u64, ret: u64 },
    /// A task was made.
    NewTask { tid: u32, clone_flags: u64 },
}

/// Which tracepoint an attribute of the file stands for, and where its fields lie.
#[derive(Clone, Debug)]
enum Layout {
    UserFault { addr: Field, error_code: Field },
    KernelFault { addr: Field, error_code: Field },
    Enter { number: Field, args: Field },
    Exit { number: Field, ret: Field },
    NewTask { pid: Field, clone_flags: Field },
    Other,
}

/// The bytes of a field.
type Field = Range<usize>;

/// The layouts of all attributes of a file, by their index.
pub(super) struct Layouts(Vec<Layout>);

impl Layouts {
    /// Reads them from the formats that `perf record` stores beside the data.
    pub(super) fn read(perf_file: &PerfFile) -> Result<Self, ImportError> {
        let section = perf_file.feature_section_data(Feature::TRACING_DATA).unwrap_or_default();
        let formats = String::from_utf8_lossy(section);
        perf_file
            .event_attributes()
            .iter()
            .map(|attribute| Layout::read(attribute.name().unwrap_or_default(), &formats))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What the raw bytes of a sample say, or nothing where they are of no interest or too short.
    pub(super) fn decode(&self, attribute: usize, raw: &[u8]) -> Option<Point> {
        let get = |field: &Field| number(raw, field);
        Some(match self.0.get(attribute)? {
            Layout::UserFault { addr, error_code } => {
                Point::UserFault { addr: get(addr)?, error_code: get(error_code)? }
            }
            Layout::KernelFault { addr, error_code } => {
                Point::KernelFault { addr: get(addr)?, error_code: get(error_code)? }
            }
            Layout::Enter { number: id, args } => {
                let mut values = [0; 6];
                for (index, value) in values.iter_mut().enumerate() {
                    let start = args.start + 8 * index;
                    *value = number(raw, &(start..start + 8))?;
                }
                Point::Enter { number: get(id)?, args: values }
            }
            Layout::Exit { number, ret } => Point::Exit { number: get(number)?, ret: get(ret)? },
            Layout::NewTask { pid, clone_flags } => {
                Point::NewTask { tid: get(pid)? as u32, clone_flags: get(clone_flags)? }
            }
            Layout::Other => return None,
        })
    }
}

impl Layout {
    fn read(event: &str, formats: &str) -> Result<Self, ImportError> {
        let fault = |name, event| -> Result<(Field, Field), ImportError> {
            Ok((field(formats, name, event, "address")?, field(formats, name, event, "error_code")?))
        };
        Ok(match event {
            "exceptions:page_fault_user" => {
                let (addr, error_code) = fault("page_fault_user", "exceptions:page_fault_user")?;
                Self::UserFault { addr, error_code }
            }
            "exceptions:page_fault_kernel" => {
                let event = "exceptions:page_fault_kernel";
                let (addr, error_code) = fault("page_fault_kernel", event)?;
                Self::KernelFault { addr, error_code }
            }
            "raw_syscalls:sys_enter" => {
                let get = |name| field(formats, "sys_enter", "raw_syscalls:sys_enter", name);
                let args = get("args[6]")?;
                if args.len() != 48 {
                    let event = "raw_syscalls:sys_enter";
                    return Err(ImportError::Layout { event, field: "args[6] of 48 bytes" });
                }
                Self::Enter { number: get("id")?, args }
            }
            "raw_syscalls:sys_exit" => {
                let get = |name| field(formats, "sys_exit", "raw_syscalls:sys_exit", name);
                Self::Exit { number: get("id")?, ret: get("ret")? }
            }
            "task:task_newtask" => {
                let get = |name| field(formats, "task_newtask", "task:task_newtask", name);
                Self::NewTask { pid: get("pid")?, clone_flags: get("clone_flags")? }
            }
            _ => Self::Other,
        })
    }
}

/// Finds a field in the text of a tracepoint's format, whose lines look like
/// `field:unsigned long address; offset:8; size:8; signed:0;` with tabs between the parts.
fn field(formats: &str, name: &str, event: &'static str, field: &'static str) -> Result<Field, ImportError> {
    let missing = ImportError::Layout { event, field };
    let Some((_, text)) = formats.split_once(&format!("name: {name}\n")) else {
        return Err(missing);
    };
    let text = text.split("print fmt:").next().unwrap_or_default();
    text.lines().find_map(|line| parse_field(line, field)).ok_or(missing)
}

fn parse_field(line: &str, field: &str) -> Option<Field> {
    let mut parts = line.trim().split(';').map(str::trim);
    let declaration = parts.next()?.strip_prefix("field:")?;
    if declaration.rsplit([' ', '*']).next()? != field {
        return None;
    }
    let offset: usize = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
    let size: usize = parts.next()?.strip_prefix("size:")?.parse().ok()?;
    Some(offset..offset.checked_add(size)?)
}

/// The little-endian number in a field of at most eight bytes.
fn number(raw: &[u8], field: &Field) -> Option<u64> {
    let bytes = raw.get(field.clone()).filter(|bytes| bytes.len() <= 8)?;
    Some(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::{number, parse_field};

    #[test]
    fn fields_are_found_by_their_exact_name() {
        let line = "\tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;";
        assert_eq!(parse_field(line, "args[6]"), Some(16..64));
        assert_eq!(parse_field(line, "args"), None);
        assert_eq!(parse_field("\tfield:pid_t pid;\toffset:8;\tsize:4;", "pid"), Some(8..12));
        assert_eq!(parse_field("field:int pid;\toffset:x;\tsize:4;", "pid"), None);
    }

    #[test]
    fn numbers_stay_inside_the_sample() {
        let raw = [1, 2, 0, 0, 9];
        assert_eq!(number(&raw, &(0..4)), Some(0x201));
        assert_eq!(number(&raw, &(3..11)), None);
    }
}
