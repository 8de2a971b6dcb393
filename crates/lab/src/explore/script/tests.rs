//! Tests of the language. (Whole files that are refused, line and column: `tests/explore.rs`.)

use super::*;

const HEAD: &str = "title: t\nwhy: w\nrules: TR1\nsource: s\nbreaks: b\n";

fn parsed(body: &str) -> Scenario {
    let text = format!("{HEAD}{body}");
    parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn steps(lines: &str) -> Vec<Step> {
    let indented: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    parsed(&format!("file F 4 pages\nplace b 2 pages\ncpu 0:\n{indented}")).cpus.remove(0).steps
}

fn action(line: &str) -> Action {
    let mut steps = steps(&format!("map a 8 pages rw private anon\nset x = 1\nset y = 2\n{line}"));
    steps.pop().expect("a step").action
}

#[test]
fn the_head_says_what_it_is_about() {
    let text = [
        "title:  A title: with a colon # and this",
        "why:    One line",
        "        and another.",
        "# A remark.",
        "rules:  CR1, CR2 TR3",
        "source: Linux f()",
        "breaks: a step",
        "machine: 3 cpus, 16 MiB, 2 nodes",
        "process Q",
        "cpu 0:",
        "    drain",
        "cpu 1:",
        "    drain",
    ];
    let scenario = parse(&text.join("\n")).expect("well-formed");
    assert_eq!(scenario.title, "A title: with a colon # and this");
    assert_eq!(scenario.why, "One line and another.");
    assert_eq!(scenario.rules, ["CR1", "CR2", "TR3"]);
    assert_eq!(scenario.processes, ["Q"]);
    assert_eq!(scenario.machine, MachineShape { cpus: 3, memory_bytes: 16 << 20, nodes: 2 });
    assert_eq!(scenario.cpus.len(), 2);
}

#[test]
fn a_machine_has_what_the_scripts_need() {
    let scenario = parsed("cpu 1:\n    drain\ncpu 0:\n    drain\n");
    assert_eq!(scenario.machine, MachineShape { cpus: 2, memory_bytes: 4 << 20, nodes: 1 });
    assert_eq!(scenario.processes, ["P"]);
}

#[test]
fn regions_are_where_they_are_said_to_be() {
    let scenario = parsed(
        "place a 2 pages\nplace b 3 pages\nplace c 2 pages after b\nplace d 2 pages across tables\n\
         place e 1 page at 0x50000000\nplace f 4 pages apart\nplace g 1 page\ncpu 0:\n    drain\n",
    );
    let at = |name: &str| scenario.regions.iter().find(|region| region.name == name).expect("placed").start.0;
    assert_eq!(at("a"), 0x1_0000);
    assert_eq!(at("b"), at("a") + 3, "a page between, so that they never merge");
    assert_eq!(at("c"), at("b") + 3);
    assert_eq!((at("d") + 1) % 512, 0, "the second page is in the next table");
    assert_eq!(at("e"), 0x5_0000);
    assert_eq!(at("f") % 512, 0);
    assert!(at("f") >= at("d") + 512, "room for the gap below a stack");
    assert!(at("g") > at("f"));
    for (index, one) in scenario.regions.iter().enumerate() {
        for other in &scenario.regions[index + 1..] {
            assert!(one.start.0 + one.pages <= other.start.0 || other.start.0 + other.pages <= one.start.0);
        }
    }
}

#[test]
fn what_a_step_may_come_to() {
    let Action::Read(word, wanted) = action("read a[1]+16 = x or in {2, y + 1} or faults SEGV -> z") else {
        panic!("a read")
    };
    assert_eq!((word.offset, wanted.any_of.len()), (16, 4));
    assert!(matches!(wanted.any_of[3], Alternative::Fails(Sign::Segv)));
    assert!(wanted.bind.is_some());
    let Action::Call(Call::Unmap(_), wanted) = action("unmap a[x..4] may fail EINVAL") else {
        panic!("a call")
    };
    assert!(matches!(wanted.any_of[..], [Alternative::Done, Alternative::Fails(Sign::Errno(_))]));
    let Action::Write(_, _, wanted) = action("write a = 1") else { panic!("a write") };
    assert_eq!(wanted, Wanted::default());
    let Action::Write(_, _, wanted) = action("write a = x may fault") else { panic!("a write") };
    assert!(matches!(wanted.any_of[..], [Alternative::Done, Alternative::FailsSomehow]));
}

#[test]
fn expressions_bind_as_one_reads_them() {
    let Action::Expect(expr) = action("expect x == 1 or not y < 2 + 1 and x != SEGV") else {
        panic!("expect")
    };
    let Expr::Two(Operator::Or, terms) = expr else { panic!("`or` binds least") };
    assert!(matches!(terms.0, Expr::Two(Operator::Equal, _)));
    let Expr::Two(Operator::And, inner) = &terms.1 else { panic!("then `and`") };
    assert!(matches!(&inner.0, Expr::Not(less) if matches!(**less, Expr::Two(Operator::Less, _))));
}

#[test]
fn blocks_are_what_is_indented() {
    let steps =
        steps("repeat 3 as n until done == 1:\n    repeat 2:\n        drain\n    set done = n\nreclaim");
    assert_eq!(steps.len(), 2);
    let Action::Repeat { times: 3, counter: Some(_), until: Some(_), body } = &steps[0].action else {
        panic!("a block")
    };
    assert_eq!(body.len(), 2);
    assert_eq!((steps[1].at.line, steps[1].text.as_str()), (13, "reclaim"));
}

fn refused(body: &str) -> ScriptError {
    let text = format!("{HEAD}{body}");
    parse(&text).expect_err("it makes no sense")
}

#[test]
fn an_interrupt_belongs_to_a_cpu_that_does_something() {
    let good = "place a 1 page\ncpu 0:\n    drain\ninterrupt cpu 0:\n    walk a -> x\n";
    assert_eq!(parsed(good).cpus[0].interrupt.len(), 1);
    assert!(refused(&good.replace("interrupt cpu 0", "interrupt cpu 1")).message.contains("does nothing"));
    assert!(refused(&format!("{good}interrupt cpu 0:\n    walk a -> y\n")).message.contains("already"));
    assert_eq!(refused(&good.replace("interrupt cpu 0:", "interrupt 0:")).line, 9);
}

#[test]
fn neither_an_interrupt_nor_a_guard_takes_locks() {
    for step in ["drain", "read a", "unmap a", "await e", "signal e", "repeat 2:\n        walk a -> y"] {
        let body =
            format!("place a 1 page\ncpu 0:\n    drain\ninterrupt cpu 0:\n    walk a -> x\n    {step}\n");
        let error = refused(&body);
        assert_eq!((error.line, error.column), (11, 5), "{step}: {error}");
    }
    for step in ["drain", "read a", "unmap a", "repeat 2:\n            walk a -> y"] {
        let body = format!("place a 1 page\ncpu 0:\n    walking:\n        walk a -> x\n        {step}\n");
        let error = refused(&body);
        assert_eq!((error.line, error.column), (10, 9), "{step}: {error}");
    }
}

#[test]
fn walks_are_ones_own_or_another_processs() {
    let steps = steps("fork C\nwalk b[1]+8 -> x\nwalk of C b\nwalking:\n    await x == 1\n    set x = 1");
    assert!(matches!(&steps[1].action, Action::Walk(Walk { of: None, at }, _) if at.offset == 8));
    assert!(matches!(&steps[2].action, Action::Walk(Walk { of: Some(ProcessName(1)), .. }, _)));
    let Action::Walking(body) = &steps[3].action else { panic!("a block") };
    assert!(matches!(body[0].action, Action::AwaitThat(_)));
}

#[test]
fn sizes_are_in_pages_or_bytes() {
    for (line, bytes) in [("truncate F to 2 pages", 8192), ("truncate F to 100 bytes", 100)] {
        let Action::Call(Call::Truncate(_, size), _) = action(line) else { panic!("a call") };
        assert_eq!(size, Expr::Value(Value::Word(bytes)));
    }
}

#[test]
fn line_ends_of_other_systems_are_line_ends() {
    let unix = format!("{HEAD}cpu 0:\n    drain\n");
    assert_eq!(parse(&unix.replace('\n', "\r\n")), parse(&unix));
}

#[test]
fn whatever_is_refused_has_a_place() {
    let text = format!("{HEAD}cpu 0:\n    map a 2 pages rw private anon\n    read a[0] = 1\n");
    for end in 0..text.len() {
        if let Err(error) = parse(&text[..end]) {
            assert!(error.line >= 1 && error.column >= 1 && !error.message.contains('\n'), "{error}");
        }
    }
}
