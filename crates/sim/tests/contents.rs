//! Sparse contents against real bytes.

use machine::{CpuId, Machine, Order, PageOp, Pfn, UserFrame};
use proptest::prelude::*;
use sim::{Checks, SimConfig, SimMachine};

const FRAMES: u32 = 4;

#[derive(Clone, Debug)]
enum Op {
    Zero(u32),
    Copy(u32, u32),
    File(u32, u64),
    Write(u32, u64, Vec<u8>),
    Whole(u32, u8),
}

fn op() -> impl Strategy<Value = Op> {
    let frame = || 0..FRAMES;
    prop_oneof![
        frame().prop_map(Op::Zero),
        (frame(), frame()).prop_map(|(a, b)| Op::Copy(a, b)),
        (frame(), 0..3u64).prop_map(|(a, page)| Op::File(a, page)),
        (frame(), 0..4096u64, prop::collection::vec(0..4u8, 0..40))
            .prop_map(|(a, at, b)| Op::Write(a, at, b)),
        (frame(), 0..4096u64, prop::collection::vec(any::<u8>(), 300..900))
            .prop_map(|(a, at, b)| Op::Write(a, at, b)),
        (frame(), any::<u8>()).prop_map(|(a, byte)| Op::Whole(a, byte)),
    ]
}

fn frame(number: u32) -> UserFrame {
    UserFrame(Pfn(100 + number))
}

fn bytes(sim: &SimMachine, number: u32) -> [u8; 4096] {
    let mut all = [0; 4096];
    sim.read_frame(CpuId(0), frame(number), 0, &mut all);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn frames_behave_like_arrays_of_bytes(ops in prop::collection::vec(op(), 1..60)) {
        let checks = Checks::Off;
        let config = SimConfig { cpus: 1, memory_bytes: 4 << 20, checks, ..SimConfig::default() };
        let sim = SimMachine::new(&config).unwrap();
        let cpu = CpuId(0);
        let mut model = vec![[0u8; 4096]; FRAMES as usize];
        for n in 0..FRAMES {
            sim.page_op(cpu, PageOp::Zero { to: frame(n), order: Order(0) });
        }
        for op in ops {
            match op {
                Op::Zero(n) => {
                    sim.page_op(cpu, PageOp::Zero { to: frame(n), order: Order(0) });
                    model[n as usize] = [0; 4096];
                }
                Op::Copy(to, from) => {
                    sim.page_op(cpu, PageOp::Copy { to: frame(to), from: frame(from), order: Order(0) });
                    model[to as usize] = model[from as usize];
                }
                Op::File(n, page) => {
                    use machine::{Backing, FileKey};
                    sim.read(cpu, FileKey(1), page, frame(n)).unwrap();
                    for word in 0..512usize {
                        let value = sim::synthetic::file_word(1, page, 0, word as u64).to_le_bytes();
                        model[n as usize][word * 8..word * 8 + 8].copy_from_slice(&value);
                    }
                }
                Op::Write(n, at, mut data) => {
                    data.truncate(4096 - at as usize);
                    sim.write_frame(cpu, frame(n), at, &data);
                    model[n as usize][at as usize..at as usize + data.len()].copy_from_slice(&data);
                }
                Op::Whole(n, byte) => {
                    sim.write_frame(cpu, frame(n), 0, &[byte; 4096]);
                    model[n as usize] = [byte; 4096];
                }
            }
            let mut part = [0; 21];
            sim.read_frame(cpu, frame(1), 1003, &mut part);
            prop_assert_eq!(&part[..], &model[1][1003..1024]);
        }
        for a in 0..FRAMES {
            prop_assert_eq!(&bytes(&sim, a)[..], &model[a as usize][..]);
            for b in 0..FRAMES {
                let same = model[a as usize] == model[b as usize];
                prop_assert_eq!(sim.same_bytes(cpu, frame(a), frame(b)), same);
                let hashes = sim.hash_bytes(cpu, frame(a)) == sim.hash_bytes(cpu, frame(b));
                prop_assert_eq!(hashes, same);
            }
        }
    }
}
