//! Scenario files with something wrong in them: one line with file, line and column, and status 2.

use super::common::refused;
use super::file;

const HEAD: &str = "title: t\nwhy: w\nrules: TR1\nsource: s\nbreaks: b\nfile F 2 pages\nplace q 2 pages\n";

/// What follows the seven lines of the head; the place of the error, and what the error says.
const BODIES: &[(&str, &str, &str)] = &[
    ("", "7:1", "no CPU does anything"),
    ("cpu 1:\n    drain\n", "9:1", "`cpu 0:` is missing"),
    ("cpu 0\n    drain\n", "8:6", "`:`"),
    ("cpu 0: drain\n", "8:8", "the end of the line"),
    ("cpu 8:\n    drain\n", "8:5", "from 0 to 7"),
    ("cpu x:\n    drain\n", "8:5", "a CPU's number"),
    ("cpu 0:\n", "8:7", "an indented step"),
    ("cpu 0:\ndrain\n", "8:7", "an indented step"),
    ("cpu 0:\n    drain\n      drain\n", "10:7", "indented by 6"),
    ("cpu 0:\n    drain\n  drain\n", "10:3", "indented by 2"),
    ("cpu 0:\n\tdrain\n", "9:1", "a tab"),
    ("cpu 0:\n    drain\ncpu 0:\n    drain\n", "10:1", "already"),
    ("end:\n    drain\nend:\n    drain\n", "10:1", "already"),
    ("cpu 0:\n    drain\ntitle: again\n", "10:1", "the head comes first"),
    ("title: again\n", "8:1", "a second `title`"),
    ("machine: 0 cpus\n", "8:10", "from 1 to 8"),
    ("machine: 9 cpus\n", "8:10", "from 1 to 8"),
    ("machine: 2 cpus, 3 cpus\n", "8:20", "said already"),
    ("machine: 2 dogs\n", "8:12", "none of cpus, MiB, nodes"),
    ("machine: 2 cpus, 3 nodes\ncpu 0:\n    drain\n", "10:1", "a node has at least"),
    ("machine: 1 cpu\ncpu 0:\n    drain\ncpu 1:\n    drain\n", "12:1", "2 do something"),
    ("machine: 99999999999999999999 MiB\n", "8:10", "no number of 64 bits"),
    ("process C\nprocess D\n", "9:1", "`fork` makes others"),
    ("file F 1 page\n", "8:6", "already"),
    ("file G 20000 pages\n", "8:8", "from 0 to 16384"),
    ("place F 1 page\n", "8:7", "`F` is a file, not a region"),
    ("place p 1 page at 5\n", "8:19", "a multiple of 4096"),
    ("place p 1 page at 0\n", "8:19", "outside of user addresses"),
    ("place p 1 page at 0xfffffffffffff000\n", "8:19", "outside of user addresses"),
    ("place p 1 page after z\n", "8:22", "no region `z`"),
    ("place SEGV 1 page\n", "8:7", "a meaning of its own"),
    ("place a_name_of_more_than_24_letters 1 page\n", "8:7", "at most 24 letters"),
    ("nonsense\n", "8:1", "`nonsense` is none of"),
    ("why\n", "8:4", "`:` is wanted"),
    ("cpu 0:\n    jump\n", "9:5", "there is no step `jump`"),
    ("cpu 0:\n    5\n", "9:5", "a step"),
    ("cpu 0:\n    map a rw private anon\n", "9:11", "a number of pages"),
    ("cpu 0:\n    map a 2 rw private anon\n", "9:13", "`pages`"),
    ("cpu 0:\n    map a 2 pages x private anon\n", "9:19", "rights are"),
    ("cpu 0:\n    map a 2 pages rw anon\n", "9:22", "`private`"),
    ("cpu 0:\n    map a 2 pages rw private\n", "9:29", "`anon`, or `of`"),
    ("cpu 0:\n    map a 2 pages rw private of G\n", "9:33", "there is no file `G`"),
    ("cpu 0:\n    map q rw private anon at 0x10000000\n", "9:30", "its place already"),
    ("cpu 0:\n    unmap z\n", "9:11", "no region `z`"),
    ("cpu 0:\n    unmap q[1\n", "9:14", "`]`"),
    ("cpu 0:\n    unmap q faults SEGV\n", "9:13", "`fails`"),
    ("cpu 0:\n    unmap q fails SEGV\n", "9:19", "an errno"),
    ("cpu 0:\n    read q fails EINVAL\n", "9:12", "`faults`"),
    ("cpu 0:\n    read q faults EINVAL\n", "9:19", "SEGV, BUS or KILL"),
    ("cpu 0:\n    read q+4\n", "9:12", "a multiple of 8"),
    ("cpu 0:\n    read q+4096\n", "9:12", "from 0 to 4088"),
    ("cpu 0:\n    read q = \n", "9:13", "a value"),
    ("cpu 0:\n    read q = x\n", "9:14", "nothing gives `x` a value"),
    ("cpu 0:\n    read q = 0x\n", "9:14", "no number"),
    ("cpu 0:\n    read q = 1 2\n", "9:16", "the end of the line"),
    ("cpu 0:\n    read q in {1, }\n", "9:19", "a value"),
    ("cpu 0:\n    write q\n", "9:12", "`=`"),
    ("cpu 0:\n    write q = 1 = 2\n", "9:17", "`faults`"),
    ("cpu 0:\n    set q = 1\n", "9:9", "`q` is a region, not a variable"),
    ("cpu 0:\n    set x = 1\n    expect x = 1\n", "10:14", "written `==`"),
    ("cpu 0:\n    set x = 1\n    expect x ==\n", "10:16", "a value"),
    ("cpu 0:\n    expect (1\n", "9:14", "`)`"),
    ("cpu 0:\n    expect disk G == 1\n", "9:17", "there is no file `G`"),
    ("cpu 0:\n    await never\n", "9:11", "nothing signals `never`"),
    ("cpu 0:\n    wait C\n", "9:10", "nothing makes a process `C`"),
    ("cpu 0:\n    fork P\n", "9:10", "from the start"),
    ("cpu 0 as C:\n    drain\n", "8:10", "nothing makes a process `C`"),
    ("cpu 0:\n    as C:\n        drain\n", "9:8", "nothing makes a process `C`"),
    ("cpu 0:\n    repeat 3\n        drain\n", "9:13", "`:`"),
    ("cpu 0:\n    repeat 0:\n        drain\n", "9:12", "from 1 to 10000"),
    ("cpu 0:\n    repeat 3:\n    drain\n", "9:14", "an indented step"),
    ("cpu 0:\n    exit 300\n", "9:10", "from 0 to 255"),
    ("cpu 0:\n    advise q strongly\n", "9:14", "there is no advice"),
    ("cpu 0:\n    truncate F to 2\n", "9:20", "`pages` or `bytes`"),
    ("cpu 0:\n    drain drain\n", "9:11", "the end of the line"),
    ("cpu 0:\n    drain %\n", "9:11", "`%` means nothing"),
    ("cpu 0:\n    drain é\n", "9:11", "`é` means nothing"),
    ("cpu 0:\n    drain \u{1}\n", "9:11", "the control character"),
];

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for (body, place, what) in BODIES {
        let path = file("broken", &format!("{HEAD}{body}"));
        let error = refused(&["explore", &path]);
        if !error.contains(&format!("{path}:{place}: ")) || !error.contains(what) {
            wrong.push(format!("{body:?}, {place}, {what}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn every_line_of_the_head_is_wanted() {
    for missing in ["title", "why", "rules", "source", "breaks"] {
        let kept: Vec<_> = HEAD.lines().filter(|line| !line.starts_with(missing)).collect();
        let path = file("headless", &format!("{}\ncpu 0:\n    drain\n", kept.join("\n")));
        let error = refused(&["explore", &path]);
        assert!(error.contains(&format!("there is no `{missing}`")), "{error}");
    }
}

#[test]
fn what_shows_only_when_it_runs_has_its_place_too() {
    let cases = [
        ("cpu 0:\n    read q[2] may fault\n", "9:5", "there is no page 2 of q, which has 2"),
        ("cpu 0:\n    unmap q[1..1]\n", "9:5", "there are no pages 1..1 of q"),
        ("cpu 0:\n    write q = SEGV\n", "9:5", "SEGV is no number"),
        ("cpu 0:\n    fork C\n    fork C\n", "10:5", "there is a C already"),
        ("cpu 0:\n    exec\ncpu 1:\n    drain\n", "9:5", "exec comes after all other threads have stopped"),
        ("cpu 0:\n    exit\nend:\n    drain\n", "11:5", "P has exited"),
    ];
    for (body, place, what) in cases {
        let path = file("misused", &format!("{HEAD}{body}"));
        let error = refused(&["explore", &path]);
        assert!(error.contains(&format!("{path}:{place}: {what}")), "{body:?}: {error}");
    }
}

#[test]
fn what_is_no_text_is_refused() {
    let path = super::own_file("no-text.fhs");
    std::fs::write(&path, [b"title: t\nwhy: \xff".as_slice(), b"\n"].concat()).expect("a writable directory");
    let error = refused(&["explore", path.to_str().expect("a plain path")]);
    assert!(error.contains("no-text.fhs:2:6: no UTF-8"), "{error}");
    std::fs::write(&path, vec![b'#'; 70_000]).expect("a writable directory");
    let error = refused(&["explore", path.to_str().expect("a plain path")]);
    assert!(error.contains("at most 65536 bytes"), "{error}");
}
