//! `freehold explore`.
use freehold_lab::explore::{run::*, script};
use std::time::Instant;

#[test]
fn quick() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
    let mut files = Vec::new();
    for d in std::fs::read_dir(dir).unwrap() {
        for f in std::fs::read_dir(d.unwrap().path()).unwrap() {
            files.push(f.unwrap().path());
        }
    }
    files.sort();
    for f in files {
        let text = std::fs::read_to_string(&f).unwrap();
        let name = f.file_name().unwrap().to_str().unwrap();
        let scenario = match script::parse(&text) {
            Ok(s) => s,
            Err(e) => {
                println!("{name}:{e}");
                continue;
            }
        };
        let mut runner = Runner::default();
        let n: u64 = std::env::var("N").ok().map_or(200, |n| n.parse().unwrap());
        let t = Instant::now();
        let mut bad = 0;
        for seed in 0..n {
            let s = Schedule { seed, quantum_ns: [1, 10, 40, 100, 200, 600, 2500][seed as usize % 7] };
            if let Err(f) = runner.run(&scenario, &s, None) {
                bad += 1;
                if bad < 3 {
                    println!("{name} seed {seed}: {f} {:?}", f.spot);
                }
            }
        }
        println!("{name}: {bad} bad of {n}, {:?} each", t.elapsed() / n as u32);
    }
}
