//! What is left of a container's networks when it has ended, however that was: nothing.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::Duration;

use crate::util::Scene;
use crate::util::container::eventually;
use crate::util::detached::is_gone;
use crate::util::dns::resolve;
use crate::util::killer;
use crate::util::network::{Guest, HOST, Host, LOOPBACK, REMOTE, STAY};
use crate::util::traffic::{By, Place};

trials! {
    nothing_is_left_after_any_end [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    nothing_is_left_after_a_kill_and_a_collection [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    commands_killed_at_any_call_leave_what_a_collection_removes [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_container_outlives_its_monitor_with_its_network [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    bridge_and_tables_go_with_the_network [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    a_collection_removes_a_bridge_that_nobody_is_on [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    many_at_once_have_addresses_of_their_own [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_container_is_connected_and_taken_off_while_it_runs [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    what_has_ended_is_in_nobodys_way [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    interfaces_go_though_others_are_in_their_namespace [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    tables_that_another_firewall_threw_away_are_made_again [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
}

/// All that a container can have of a network.
const ALL: &[&str] = &["-p", "8080:80", "-p", "8081:81/udp", "-p", "127.0.0.1:8082:82", "--network-alias", "www"];

/// Asserts that a container has everything that is then looked for in vain.
#[track_caller]
fn assert_there(host: &Host<'_>, web: &Guest<'_>) {
    let left = host.left();
    for what in ["vl", "elements", "leases/10.118.0.", "leases/fd", "names/www", &format!("/run/netns/{}", web.name())]
    {
        assert!(left.iter().any(|line| line.contains(what)), "no {what} among {left:#?}");
    }
    for what in ["vial-monitor", "vial-resolver", "vial-relay"] {
        assert!(left.iter().any(|line| line.starts_with("process ") && line.contains(what)), "no {what} in {left:#?}");
    }
}

fn nothing_is_left_after_any_end(scene: &Scene) {
    let host = Host::new(scene);
    for words in [&["stop"][..], &["kill"], &["rm", "-f"], &["restart", "-t", "0"], &[]] {
        let mark = format!("{}:/scene", scene.directory().display());
        let options = [ALL, &["-v", &mark]].concat();
        let web = host.container("web", &options, "trap 'exit 0' TERM; until test -e /scene/end; do sleep 0.02; done");
        assert_there(&host, &web);
        if words.is_empty() {
            std::fs::write(scene.path("end"), "").expect("write a file");
            web.0.wait();
        } else {
            host.vial(words.iter().copied().chain([web.name()])).ok();
        }
        if words[..].first() == Some(&"restart") {
            assert_there(&host, &web);
            host.vial(["stop", "-t", "0", web.name()]).ok();
        }
        host.assert_nothing_left();
        if words[..].first() != Some(&"rm") {
            host.vial(["rm", web.name()]).ok();
        }
    }
    // In the foreground, and what can't be started.
    let rootfs = scene.rootfs().display().to_string();
    for (command, code) in [("true", 0), ("false", 1), ("no-such-command", 127)] {
        host.vial(["run", "--rm"]).args(ALL).args([&rootfs, command]).ends(code);
        host.assert_nothing_left();
        host.vial(["run", "-d", "--rm"]).args(ALL).args([&rootfs, command]).ends(if code > 1 { code } else { 0 });
        host.assert_nothing_left();
    }
    host.end();
}

fn nothing_is_left_after_a_kill_and_a_collection(scene: &Scene) {
    let host = Host::new(scene);
    for removed in [true, false] {
        let web = host.container("web", &[ALL, if removed { &["--rm"] } else { &[] }].concat(), STAY);
        assert_there(&host, &web);
        web.0.kill_all();
        host.vial(["gc"]).ok();
        host.assert_nothing_left();
        if !removed {
            // And it can be started again.
            host.vial(["start", web.name()]).ok();
            assert_there(&host, &web);
            web.0.kill_all();
            // Which does away with what is left by itself.
            host.vial(["start", web.name()]).ok();
            assert_there(&host, &web);
            let _server = web.place().listen(By::Tcp, "::", 80);
            assert_eq!(host.remote().ask(By::Tcp, HOST[0], 8080), REMOTE[0]);
        }
    }
    host.end();
}

fn commands_killed_at_any_call_leave_what_a_collection_removes(scene: &Scene) {
    let host = Host::new(scene);
    // The bridge is there before, and no process that answers names is left to it.
    host.container("other", &[], "exit 0").0.wait();
    let (rootfs, name) = (scene.rootfs().display().to_string(), host.name("web"));
    let run = |options: &[&'static str]| {
        let words = [&["run", "-d", "--network", "bridge", "--name"][..], options, ALL].concat();
        let (before, after) = words.split_at(5);
        let words = [before, &[name.as_str()], after, &[rootfs.as_str(), "sh", "-c", STAY]].concat();
        words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>()
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    for (number, (line, runs)) in [
        (run(&[]), false),
        (run(&["--rm"]), false),
        (run(&["--restart", "always"]), false),
        (words(&["stop", "-t", "0", &name]), true),
        (words(&["rm", "-f", &name]), true),
    ]
    .iter()
    .enumerate()
    {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let prepare = || {
            if *runs {
                host.container("web", ALL, STAY);
            }
        };
        let clean = |what: &str| {
            for command in [&["gc"][..], &["rm", "-f", &name]] {
                host.vial(command).ok();
            }
            host.assert_nothing_left_of(what);
            let bits: Vec<String> = host.unfinished();
            assert!(bits.is_empty(), "{what}: {bits:?}");
        };
        prepare();
        let moments = host.place().within(|| killer::moments(scene, &line, 12, number));
        clean("the run to count the calls");
        for (moment, what) in moments {
            prepare();
            host.place().within(|| killer::run(scene, &line, Some(moment)));
            clean(&what);
        }
    }
    host.end();
}

fn a_container_outlives_its_monitor_with_its_network(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &[ALL, &["--restart", "always"]].concat(), STAY);
    let (monitor, pid) = (web.0.monitor(), web.0.pid());
    let _servers = [80, 82].map(|port| web.place().listen(By::Tcp, "::", port));
    assert!(web.0.keeper() != 0, "what makes monitors is there");
    crate::util::container::signal(monitor, "KILL");
    eventually("another monitor is there", || (![0, monitor].contains(&web.0.monitor())).then_some(()));
    assert!(!is_gone(pid) && web.0.pid() == pid);
    assert_eq!(HOST.map(|own| host.remote().ask(By::Tcp, own, 8080)), REMOTE);
    host.place().ask(By::Tcp, LOOPBACK[0], 8080);
    host.place().ask(By::Tcp, LOOPBACK[1], 8080);
    host.place().ask(By::Tcp, LOOPBACK[0], 8082);
    host.vial(["stop", "-t", "0", web.name()]).ok();
    host.assert_nothing_left();
    host.end();
}

fn bridge_and_tables_go_with_the_network(scene: &Scene) {
    let host = Host::new(scene);
    host.vial(["network", "create", "-o", "name=br-back", "back"]).ok();
    assert_eq!(host.interfaces(), [""; 0], "it is made when it is used");
    let web = host.container("web", &["--network", "back"], STAY);
    host.vial(["network", "rm", "back"]).ends(125).says(web.name());
    assert!(host.interfaces().contains(&"br-back".to_owned()));
    host.vial(["stop", "-t", "0", web.name()]).ok();
    host.assert_nothing_left();
    assert_eq!(host.interfaces(), ["br-back"], "it stays for the next");
    let rules = host.rules();
    assert!(rules.contains("table ip br-back") && rules.contains("table ip6 br-back"), "{rules}");
    host.vial(["network", "rm", "back"]).ok();
    assert_eq!((host.interfaces(), host.rules()), (Vec::new(), String::new()));
    // The container asks for a network that is no more.
    host.vial(["start", web.name()]).ends(125).says("back");
    host.assert_nothing_left();
    // One that somebody removed is made again.
    host.vial(["network", "create", "back"]).ok();
    host.vial(["start", web.name()]).ok();
    let bridge = host.interfaces().into_iter().find(|name| name.starts_with("vial")).expect("there is a bridge");
    host.vial(["stop", "-t", "0", web.name()]).ok();
    host.ip(&["link", "delete", &bridge]);
    host.vial(["start", web.name()]).ok();
    let _server = host.remote().listen(By::Tcp, "::", 7000);
    assert_eq!(REMOTE.map(|remote| web.place().ask(By::Tcp, remote, 7000)), HOST);
    host.end();
    assert_eq!((host.interfaces(), host.rules()), (Vec::new(), String::new()));
}

fn a_collection_removes_a_bridge_that_nobody_is_on(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &[], STAY);
    host.vial(["gc"]).ok();
    assert!(host.interfaces().contains(&"vial0".to_owned()), "somebody is on it");
    let _server = host.remote().listen(By::Tcp, "::", 7000);
    assert_eq!(web.place().ask(By::Tcp, REMOTE[0], 7000), HOST[0]);
    host.vial(["stop", "-t", "0", web.name()]).ok();
    host.vial(["gc"]).ok();
    assert_eq!((host.interfaces(), host.rules()), (Vec::new(), String::new()));
    host.vial(["start", web.name()]).ok();
    assert_eq!(web.place().ask(By::Tcp, REMOTE[0], 7000), HOST[0]);
    host.end();
}

fn many_at_once_have_addresses_of_their_own(scene: &Scene) {
    let host = Host::new(scene);
    let count = std::env::var("VIAL_TEST_CROWD").ok().and_then(|count| count.parse().ok()).unwrap_or(100u16);
    let words: Vec<String> = (0..count).map(|number| format!("n{number}")).collect();
    let ports: Vec<String> = (0..count).map(|number| format!("{}:80", 20_000 + number)).collect();
    let limit = Duration::from_mins(5);
    let starting: Vec<_> = words
        .iter()
        .zip(&ports)
        .map(|(word, port)| {
            host.start(word, &["-p", port, "--network-alias", "all"], "exec sleep 900").limit(limit).start()
        })
        .collect();
    for command in starting {
        command.wait().ends(0);
    }
    let guests: Vec<Guest<'_>> = words.iter().map(|word| host.guest(word)).collect();
    let own: Vec<[String; 2]> = guests.iter().map(Guest::own).collect();
    for family in 0..2 {
        let distinct: BTreeSet<&String> = own.iter().map(|own| &own[family]).collect();
        assert_eq!(distinct.len(), usize::from(count), "{distinct:?}");
    }
    // Some of them, from outside and among each other.
    for at in (0..guests.len()).step_by(guests.len() / 5) {
        let guest = &guests[at];
        let _server = guest.place().listen(By::Tcp, "::", 80);
        assert_eq!(host.remote().ask(By::Tcp, HOST[at % 2], 20_000 + at as u16), REMOTE[at % 2]);
        assert_eq!(guests[0].place().ask(By::Tcp, &own[at][1], 80), own[0][1]);
    }
    let names: Vec<String> = words.iter().map(|word| host.name(word)).collect();
    let (half, rest) = names.split_at(names.len() / 2);
    let ending = [["rm", "-f"], ["stop", "-t0"]].into_iter().zip([half, rest]);
    let ending: Vec<_> = ending.map(|(words, names)| host.vial(words).args(names).limit(limit).start()).collect();
    for command in ending {
        command.wait().ends(0);
    }
    host.assert_nothing_left();
    host.end();
}

fn what_has_ended_is_in_nobodys_way(scene: &Scene) {
    let host = Host::new(scene);
    let (rootfs, name) = (scene.rootfs().display().to_string(), host.name("web"));
    let words = ["--name", &name, "--ip", "10.118.0.7", "-p", "8080:80", "-p", "8081:81/udp"];
    let run = |options: &[&str], command: &str| {
        host.vial(["run"]).args(options).args(words).args([&rootfs, "sh", "-c", command]).ok();
    };
    for _ in 0..5 {
        run(&["--rm"], "exit 0");
        run(&["-d"], STAY);
        let _server = host.guest("web").place().listen(By::Tcp, "::", 80);
        assert_eq!(HOST.map(|own| host.remote().ask(By::Tcp, own, 8080)), REMOTE);
        host.vial(["restart", "-t", "0", &name]).ok();
        let _server = host.guest("web").place().listen(By::Tcp, "::", 80);
        assert_eq!(HOST.map(|own| host.remote().ask(By::Tcp, own, 8080)), REMOTE);
        host.vial(["rm", "-f", &name]).ok();
    }
    run(&["--rm"], "exit 0");
    host.vial(["network", "rm", "bridge"]).ok();
    host.assert_nothing_left();
    host.end();
}

fn interfaces_go_though_others_are_in_their_namespace(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", ALL, STAY);
    let hold = |web: &Guest<'_>| File::open(format!("/proc/{}/ns/net", web.0.pid())).expect("open a namespace");
    let (held, own) = (hold(&web), web.own());
    let server = host.place().listen(By::Tcp, "10.118.0.1", 7000);
    host.vial(["stop", "-t", "0", web.name()]).ok();
    Place::held(&held).must_not_reach(By::Tcp, "10.118.0.1", 7000);
    // What is in there is not in the way of who has the address now, though it may be there for a moment.
    let other = host.container("other", &["--ip", &own[0]], STAY);
    drop(server);
    let server = other.place().listen(By::Tcp, "::", 80);
    for _ in 0..50 {
        let asked = host.place().try_ask(By::Tcp, &own[0], 80, b"who am I?", Duration::from_secs(5));
        assert_eq!(asked.expect("an answer"), b"10.118.0.1");
    }
    eventually("the first one's interfaces are gone", || {
        (host.interfaces().iter().filter(|name| name.starts_with("vl")).count() == 1).then_some(())
    });
    drop(server);
    let held = [held, hold(&other)];
    other.0.kill_all();
    host.vial(["gc"]).ok();
    host.assert_nothing_left_of("after a collection, while somebody holds the namespace");
    drop(held);
    host.end();
}

fn tables_that_another_firewall_threw_away_are_made_again(scene: &Scene) {
    let host = Host::new(scene);
    let first = host.container("first", ALL, STAY);
    host.command("nft", ["flush", "ruleset"]).ok();
    let second = host.container("second", &["-p", "9000:7000"], STAY);
    let _server = second.place().listen(By::Tcp, "::", 7000);
    assert_eq!(HOST.map(|own| host.remote().ask(By::Tcp, own, 9000)), REMOTE);
    // The end of one whose ports are no longer there is no less an end.
    host.vial(["stop", "-t", "0", first.name()]).ok();
    host.vial(["rm", "-f", second.name()]).ok();
    host.assert_nothing_left();
    host.end();
}

fn a_container_is_connected_and_taken_off_while_it_runs(scene: &Scene) {
    let host = Host::new(scene);
    host.vial(["network", "create", "back"]).ok();
    let web = host.container("web", &["-p", "8080:7000"], STAY);
    let db = host.container("db", &["--network", "back"], STAY);
    let _servers = [&web, &db].map(|guest| guest.place().listen(By::Tcp, "::", 7000));
    let name_server =
        db.exec(&host, "cat /etc/resolv.conf").lines().next().expect("there is one").replace("nameserver ", "");
    let find = || resolve(&db.place(), By::Udp, &name_server, "www", false);
    web.place().must_not_reach(By::Tcp, &db.own()[0], 7000);
    for _ in 0..2 {
        host.vial(["network", "connect", "--alias", "www", "back", web.name()]).ok();
        let new = web.addresses("eth1").map(|address| address.split_once('/').expect("it has an address").0.to_owned());
        assert_eq!(find(), Ok(vec![new[0].parse().expect("an address")]));
        for (family, address) in new.iter().enumerate() {
            assert_eq!(web.place().ask(By::Tcp, &db.own()[family], 7000), *address);
            assert_eq!(db.place().ask(By::Tcp, address, 7000), db.own()[family]);
            assert_eq!(host.remote().ask(By::Tcp, HOST[family], 8080), REMOTE[family]);
        }
        host.vial(["network", "disconnect", "back", web.name()]).ok();
        assert_eq!(web.addresses("eth1"), ["", ""]);
        assert_ne!(find(), Ok(vec![new[0].parse().expect("an address")]));
        web.place().must_not_reach(By::Tcp, &db.own()[0], 7000);
        let leases = std::fs::read_dir(scene.root().join("networks/back/leases")).expect("there are leases");
        assert_eq!(leases.count(), 2, "those of the other");
    }
    host.vial(["network", "connect", "back", web.name()]).ok();
    assert_eq!(HOST.map(|own| host.remote().ask(By::Tcp, own, 8080)), REMOTE);
    host.vial(["rm", "-f", web.name(), db.name()]).ok();
    host.assert_nothing_left();
    host.end();
}
