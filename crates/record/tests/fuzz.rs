//! Damaged recordings never panic the reader, and never make it take more memory than they earn.
//!
//! The mutations come from a seeded generator, so a failure can be repeated: the message names the
//! seed. `FREEHOLD_FUZZ_SECONDS` makes the test run for that long instead of its usual count, from
//! a seed of `FREEHOLD_FUZZ_SEED` or 0.

mod damage;

use std::time::{Duration, Instant};

use damage::{parts, rehash, seal};
use record::{Recording, example};

/// How many mutations of each recording are tried by default.
const TRIES: u64 = 1000;

/// Xorshift with a multiplication: small, and the same for ever.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit.max(1)
    }
}

/// Damages some bytes: flips, fills, cuts, repeats, and numbers that are likely to hurt.
fn damage_some(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        let len = random.below(16).min(bytes.len() - at);
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at..at + len].fill([0, 0x7f, 0x80, 0xff][random.below(4)]),
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let again = bytes[at..at + len].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes.truncate(at),
        }
    }
}

/// A recording taken apart.
struct Victim {
    name: String,
    bytes: Vec<u8>,
    head: Vec<u8>,
    body: Vec<u8>,
    events: u64,
}

impl Victim {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        let recording = Recording::from_bytes(&bytes).expect("it is good before it is damaged");
        let (head, mut body) = parts(&bytes);
        // A body of megabytes would take all the time to compress; its start has every kind of
        // event, and an end that comes too soon is a damage like any other.
        body.truncate(16 << 10);
        let events = recording.events.len() as u64;
        Self { name: name.to_owned(), bytes, head, body, events }
    }

    /// One damaged file: outside the checksum, inside it, or inside the compression.
    fn damaged(&self, random: &mut Random) -> Vec<u8> {
        match random.below(8) {
            0 => {
                let mut bytes = self.bytes.clone();
                damage_some(&mut bytes, random);
                bytes
            }
            1 => {
                let mut bytes = seal(&self.head, &self.body, self.events);
                let at = 16 + random.below(bytes.len() - 48);
                bytes[at] = random.next() as u8;
                rehash(&mut bytes);
                bytes
            }
            2 => {
                let mut head = self.head.clone();
                damage_some(&mut head, random);
                seal(&head, &self.body, self.events)
            }
            _ => {
                let mut body = self.body.clone();
                damage_some(&mut body, random);
                let events = [self.events, body.len() as u64 / 2, 3][random.below(3)];
                seal(&self.head, &body, events.min(body.len() as u64 / 2))
            }
        }
    }
}

fn victims() -> Vec<Victim> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recordings");
    let mut victims = vec![Victim::new("example", example().to_bytes().expect("it is valid"))];
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "fhr") {
            let bytes = std::fs::read(&path).expect("a recording");
            victims.push(Victim::new(&path.display().to_string(), bytes));
        }
    }
    victims
}

fn try_one(name: &str, seed: u64, bytes: &[u8]) {
    let outcome = std::panic::catch_unwind(|| match Recording::from_bytes(bytes) {
        Ok(recording) => recording.validate().expect("what was read is valid"),
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    });
    assert!(outcome.is_ok(), "{name}, seed {seed}: the reader panicked");
}

#[test]
fn damaged_recordings_are_errors() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("FREEHOLD_FUZZ_SECONDS");
    let first = number("FREEHOLD_FUZZ_SEED").unwrap_or(0);
    let start = Instant::now();
    let victims = victims();
    for seed in first.. {
        let done = match seconds {
            Some(seconds) => start.elapsed() >= Duration::from_secs(seconds),
            None => seed - first >= TRIES,
        };
        if done {
            break;
        }
        for victim in &victims {
            let mut random = Random::new(seed);
            try_one(&victim.name, seed, &victim.damaged(&mut random));
        }
    }
}

#[test]
fn random_bytes_are_errors() {
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
        if seed % 2 == 0 {
            // Past the magic and the version, to where it hurts.
            let known = b"\x89FHR\r\n\x1a\n\x01\0\0\0\0\0\0\0";
            bytes.splice(..0, known.iter().copied());
        }
        assert!(Recording::from_bytes(&bytes).is_err(), "seed {seed}");
        try_one("random bytes", seed, &bytes);
    }
}
