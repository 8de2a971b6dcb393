//! `freehold explain` tells who pins a page, and what a device does with it. No recording has such calls: the
//! program is made here.

#[allow(dead_code, reason = "each test uses what it needs of it")]
mod common;

use common::{freehold, own_file, text};
use freehold::fault::How;
use freehold::frame::Id;
use freehold::linux::{Mmap, Process};
use freehold::machine::{Access, CpuId, Pfn, VirtAddr};
use freehold::object::Held;
use freehold::{Config, Manager};
use freehold_lab::trace::{Ears, Header, Program, Record, TraceWriter, What};
use sim::{SimConfig, SimMachine, TaskCtx};

const AT: u64 = 0x7000_0000_0000;
const MEMORY: u64 = 64 << 20;

fn tell(ears: &Ears, ctx: TaskCtx<'_>, program: Program) {
    let (at_ns, cpu, task) = (ctx.now(), ctx.cpu().0, Some(ctx.task().0));
    ears.hear(&Record { at_ns, cpu, task, what: What::Program(program) });
}

/// A page is stored to, pinned, stored to by a device, and let go; answers its frame.
fn run(manager: &Manager<'_, SimMachine>, process: Id<Process>, ears: &Ears, ctx: TaskCtx<'_>) -> Pfn {
    let (linux, cx) = (manager.linux(), &mut manager.cx(ctx.cpu(), ctx.task()));
    tell(ears, ctx, Program::Born { task: 0 });
    linux.attach(cx, process, ctx.task()).expect("it lives");
    let space = linux.process(process).space().expect("it has one");
    let table = manager.spaces().space(space).table().expect("it is used");
    let asid = manager.spaces().tables().get(table).domain().asid().0;
    tell(ears, ctx, Program::HasSpace { process: 0, asid });
    tell(ears, ctx, Program::Begins { event: 7, text: "read(3, direct)".into() });
    let map = Mmap { addr: AT, len: 4096, prot: 3, flags: 0x32, offset: 0 };
    assert_eq!(linux.mmap(cx, process, &map, None), Ok(AT));
    linux.user_fault(cx, process, VirtAddr(AT), Access::Write).expect("there is memory");
    let mut held = [Held::Nothing];
    let how = How::pin(Access::Write);
    linux.hold_pages(cx, process, (VirtAddr(AT).page(), how), &mut held).expect("it is there");
    let [Held::Pinned(frame)] = held else { panic!("{held:?}") };
    let transfer = ctx.dma_store(frame, 16, &[7; 512], 2_000);
    ctx.dma_wait(transfer);
    linux.release_page(cx, held[0]);
    tell(ears, ctx, Program::Ends { event: 7 });
    linux.detach(cx, ctx.task());
    frame
}

/// Writes the trace; answers its path and the frame.
fn traced() -> (String, u32) {
    let path = own_file("held.fht");
    let recording = record::example();
    let ears = {
        let header = Header::of("held.fhr", &recording, 1, MEMORY);
        Ears::new(vec![Box::new(TraceWriter::create(&path, &header).expect("a writable directory"))])
    };
    let config = SimConfig { cpus: 1, memory_bytes: MEMORY, ..SimConfig::default() };
    let sim = SimMachine::new(&config).expect("a machine");
    sim.watch(ears.sink());
    let manager = Manager::new(&sim, &Config::default()).expect("memory for a manager");
    let process = {
        let mut cx = manager.cx(CpuId(0), freehold::machine::TaskId(0));
        manager.linux().first_process(&mut cx).expect("memory for a process")
    };
    ears.hear(&Record { at_ns: 0, cpu: 0, task: None, what: What::Program(Program::Starts) });
    let frame = std::cell::Cell::new(Pfn(0));
    sim.scope(|scope| {
        scope.spawn(CpuId(0), |ctx| frame.set(run(&manager, process, &ears, ctx)))?;
        scope.run()
    })
    .expect("it runs to its end");
    sim.unwatch();
    ears.finish().expect("a writable directory");
    (path.to_str().expect("a plain path").to_owned(), frame.get().0)
}

#[test]
fn who_pins_a_page_and_what_devices_do_is_told() {
    let (path, frame) = traced();
    let pid = record::example().processes[0].pid;
    let told = [
        format!("frame {frame:#x} is pinned: 2 references, 1 mapping, 1 pin"),
        "(CR3; on Linux try_grab_folio)".into(),
        format!("a device is to store bytes 0x10 to 0x20f of frame {frame:#x} (transfer 1)"),
        "\n  a device".into(),
        format!("the device has stored to frame {frame:#x} (transfer 1)"),
        format!("a pin on frame {frame:#x} is given back"),
    ];
    let (frame, page) = (format!("{frame:#x}"), format!("{AT:#x}"));
    let pid = pid.to_string();
    for question in [vec!["frame", &frame], vec!["page", &pid, &page]] {
        let output = freehold(&[&["explain", &path], &question[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let story = text(&output.stdout);
        let mut rest = &story[..];
        for part in &told {
            let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} in its turn in {story}"));
            rest = &rest[at + part.len()..];
        }
        assert!(story.contains("event 7: read(3, direct)"), "{story}");
    }
    let summary = text(&freehold(&["explain", &path]).stdout);
    for kind in ["page pinned", "page unpinned", "transfer begun", "transfer ended"] {
        assert!(summary.contains(kind), "{kind} in {summary}");
    }
}
