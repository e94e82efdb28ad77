//! Published ports: who reaches them, where, and who does not; ports that are taken.

use crate::util::Scene;
use crate::util::container::eventually;
use crate::util::network::{HOST, Host, LOOPBACK, REMOTE, STAY, WEB};
use crate::util::traffic::{BOTH, By};

trials! {
    a_published_server_is_reached_from_everywhere [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    datagrams_come_to_a_published_port_and_are_answered [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_server_sees_who_asks_it [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_port_is_open_at_no_other_address_than_asked_for [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    ranges_and_all_ports_are_published [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    what_is_not_published_is_reached_by_nobody_else [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_network_that_leads_nowhere_is_passed_over [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter"), Command("network")];
    a_port_of_another_container_is_refused [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_port_that_a_program_of_the_host_has_is_refused [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_host_without_ipv6_publishes_ports_nonetheless [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    datagrams_follow_the_port_to_another_container [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    many_bytes_come_whole_by_every_way [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
    a_published_port_survives_a_restart [Root, Busybox, Kernel("overlay"), Tool("ip"), Tool("nft"), Tool("nsenter")];
}

fn a_published_server_is_reached_from_everywhere(scene: &Scene) {
    let host = Host::new(scene);
    host.vial(["network", "create", "front"]).ok();
    let web = host.container("web", &["-h", "the-web", "-p", "8080:80"], WEB);
    let beside = host.container("beside", &[], STAY);
    let elsewhere = host.container("elsewhere", &["--network", "front"], STAY);
    host.vial(["port", web.name()]).ok().prints("80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n");
    for own in HOST {
        for (who, place) in [
            ("the rest of the world", host.remote()),
            ("the host", host.place()),
            ("a container beside", beside.place()),
            ("the server itself", web.place()),
            ("a container of another network", elsewhere.place()),
        ] {
            assert_eq!(place.page(own, 8080), "the-web", "{who} at {own}");
        }
    }
    for own in LOOPBACK {
        assert_eq!(host.place().page(own, 8080), "the-web", "{own}");
    }
    // The gateway is an address of the host's too.
    assert_eq!(beside.place().page("10.118.0.1", 8080), "the-web");
    // Its own port is nobody's at the host.
    host.place().must_not_reach(By::Tcp, HOST[0], 80);
    host.vial(["stop", "-t", "0", web.name()]).ok();
    for own in HOST.into_iter().chain(LOOPBACK) {
        host.place().must_not_reach(By::Tcp, own, 8080);
        if HOST.contains(&own) {
            host.remote().must_not_reach(By::Tcp, own, 8080);
        }
    }
    host.end();
}

fn datagrams_come_to_a_published_port_and_are_answered(scene: &Scene) {
    let host = Host::new(scene);
    let server = host.container("server", &["-p", "5300:53/udp"], STAY);
    let beside = host.container("beside", &[], STAY);
    let answering = server.place().serve(By::Udp, "::", 53, |bytes, _| [b"got ", bytes].concat());
    for own in HOST {
        for place in [host.remote(), host.place(), beside.place(), server.place()] {
            assert_eq!(place.ask(By::Udp, own, 5300), "got who am I?", "{place:?}");
        }
    }
    for own in LOOPBACK {
        assert_eq!(host.place().ask(By::Udp, own, 5300), "got who am I?");
    }
    // It is not for connections.
    let _connections = server.place().listen(By::Tcp, "::", 53);
    host.remote().must_not_reach(By::Tcp, HOST[0], 5300);
    host.place().must_not_reach(By::Tcp, LOOPBACK[0], 5300);
    // As large as they come.
    let large = vec![b'x'; 1400];
    let answer = host.remote().try_ask(By::Udp, HOST[0], 5300, &large, std::time::Duration::from_secs(5));
    assert_eq!(answer.expect("it is answered").len(), 1404);
    drop(answering);
    host.end();
}

fn a_server_sees_who_asks_it(scene: &Scene) {
    let host = Host::new(scene);
    let server = host.container("server", &["-p", "7000:7000", "-p", "7000:7000/udp"], STAY);
    for by in BOTH {
        let _answering = server.place().listen(by, "::", 7000);
        for (own, remote) in HOST.into_iter().zip(REMOTE) {
            assert_eq!(host.remote().ask(by, own, 7000), remote, "{by:?}");
        }
    }
    host.end();
}

fn a_port_is_open_at_no_other_address_than_asked_for(scene: &Scene) {
    let host = Host::new(scene);
    #[rustfmt::skip]
    let published = [(HOST[0], 8001), (HOST[1], 8002), (LOOPBACK[0], 8003), (LOOPBACK[1], 8004), ("0.0.0.0", 8005), ("::", 8006)];
    let options = published.map(|(address, port)| {
        let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        [format!("-p={address}:{port}:7000"), format!("-p={address}:{port}:7000/udp")]
    });
    let options: Vec<&str> = options.as_flattened().iter().map(String::as_str).collect();
    let server = host.container("server", &options, STAY);
    let beside = host.container("beside", &[], STAY);
    for by in BOTH {
        let _answering = server.place().listen(by, "::", 7000);
        for (address, port) in published {
            let is_any = |own: &str| match address {
                "0.0.0.0" => !own.contains(':'),
                "::" => own.contains(':'),
                _ => own == address,
            };
            for own in HOST {
                for place in [host.remote(), host.place(), beside.place()] {
                    if is_any(own) {
                        place.ask(by, own, port);
                    } else {
                        place.must_not_reach(by, own, port);
                    }
                }
            }
            for own in LOOPBACK {
                if is_any(own) {
                    host.place().ask(by, own, port);
                } else {
                    host.place().must_not_reach(by, own, port);
                }
            }
        }
    }
    host.is_refused(&["-p", "203.0.113.7:8080:80"]).says("203.0.113.7").says("hint: ");
    host.end();
}

fn ranges_and_all_ports_are_published(scene: &Scene) {
    let host = Host::new(scene);
    let server = host.container("server", &["-p", "9000-9002:7000-7002", "-p", "7005"], STAY);
    for (number, port) in (7000..=7002).enumerate() {
        let _answering = server.place().listen(By::Tcp, "::", port);
        assert_eq!(host.remote().ask(By::Tcp, HOST[0], 9000 + number as u16), REMOTE[0]);
        assert_eq!(host.remote().ask(By::Tcp, HOST[1], 9000 + number as u16), REMOTE[1]);
    }
    let chosen = |name: &str, port: &str| {
        let shown = host.vial(["port", name, port]).ok().stdout;
        let line = shown.lines().next().unwrap_or_default();
        line.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or_else(|| panic!("{shown}"))
    };
    let _answering = server.place().listen(By::Tcp, "::", 7005);
    assert_eq!(host.remote().ask(By::Tcp, HOST[0], chosen(server.name(), "7005")), REMOTE[0]);
    let all = host.container("all", &["-P", "--expose", "7001", "--expose", "7002/udp"], STAY);
    let _connections = all.place().listen(By::Tcp, "::", 7001);
    let _datagrams = all.place().listen(By::Udp, "::", 7002);
    for (own, remote) in HOST.into_iter().zip(REMOTE) {
        assert_eq!(host.remote().ask(By::Tcp, own, chosen(all.name(), "7001/tcp")), remote);
        assert_eq!(host.remote().ask(By::Udp, own, chosen(all.name(), "7002/udp")), remote);
    }
    host.end();
}

fn what_is_not_published_is_reached_by_nobody_else(scene: &Scene) {
    let host = Host::new(scene);
    let server = host.container("server", &["-p", "8080:7001"], STAY);
    for (at, own) in server.own().iter().enumerate() {
        host.command_there("ip", [["-4", "-6"][at], "route", "add", own, "via", HOST[at]]).ok();
    }
    for by in BOTH {
        let _hidden = server.place().listen(by, "::", 7000);
        let _published = server.place().listen(by, "::", 7001);
        for own in server.own() {
            // It is there.
            host.place().ask(by, &own, 7000);
            for port in [7000, 7001] {
                host.remote().must_not_reach(by, &own, port);
            }
        }
    }
    // The ways are right: what is published is reached all the time.
    let _published = server.place().listen(By::Tcp, "::", 7001);
    assert_eq!(HOST.map(|own| host.remote().ask(By::Tcp, own, 8080)), REMOTE);
    host.end();
}

/// Nothing but this container has an address.
#[track_caller]
fn assert_one_lease(scene: &Scene) {
    let leases = std::fs::read_dir(scene.root().join("networks/bridge/leases")).expect("there are leases");
    assert_eq!(leases.count(), 2, "one of IPv4, one of IPv6");
}

fn a_network_that_leads_nowhere_is_passed_over(scene: &Scene) {
    let host = Host::new(scene);
    host.vial(["network", "create", "--internal", "dark"]).ok();
    host.vial(["network", "create", "front"]).ok();
    let web = host.container("web", &["--network", "dark", "--network", "front", "-p", "8080:80"], WEB);
    assert_eq!(host.remote().page(HOST[0], 8080), host.place().page(LOOPBACK[0], 8080));
    host.vial(["stop", "-t", "0", web.name()]).ok();
    host.assert_nothing_left();
    let only = host.is_refused(&["--network", "dark", "-p", "8080:80"]);
    assert!(only.stderr.contains("no bridge network that leads out"), "{}", only.shown());
    host.end();
}

fn a_port_of_another_container_is_refused(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &["-p", "8080:80", "-p", "198.51.100.1:8081:80/udp"], STAY);
    let rules = host.rules();
    #[rustfmt::skip]
    let cases = [
        "8080:80", "8079-8081:80-82", "127.0.0.1:8080:81", "[::1]:8080:81", "198.51.100.1:8080:81", "[2001:db8:1::1]:8080:81",
        "198.51.100.1:8081:99/udp", "8081:99/udp",
    ];
    for taken in cases {
        let refused = host.is_refused(&["-p", taken]);
        refused.says(if taken.ends_with("udp") { "8081" } else { "8080" }).says("hint: ");
        assert_one_lease(scene);
        assert_eq!(host.rules().matches("elements").count(), rules.matches("elements").count(), "{taken}");
    }
    // Nor does a container of another store get them, or a program of the host.
    let rootfs = scene.rootfs().display().to_string();
    for taken in ["8080:80", "198.51.100.1:8081:80/udp"] {
        let name = host.name("stranger");
        host.vial_of("other", ["run", "--rm", "--name", &name, "-p", taken, &rootfs, "true"]).ends(125).says("808");
    }
    let bound = host.place().within(|| std::net::TcpListener::bind("0.0.0.0:8080").is_ok());
    assert!(!bound, "a program of the host has the port too");
    // Who has them keeps them.
    let _datagrams = web.place().listen(By::Udp, "::", 80);
    let _connections = web.place().listen(By::Tcp, "::", 80);
    assert_eq!(host.remote().ask(By::Udp, HOST[0], 8081), REMOTE[0]);
    assert_eq!(HOST.map(|own| host.remote().ask(By::Tcp, own, 8080)), REMOTE);
    // The same number is free for others.
    host.container("udp", &["-p", "8080:80/udp"], STAY);
    host.vial(["rm", "-f", web.name()]).ok();
    host.container("heir", &["-p", "8080:80"], STAY);
    host.end();
}

fn a_port_that_a_program_of_the_host_has_is_refused(scene: &Scene) {
    let host = Host::new(scene);
    host.container("web", &[], STAY);
    for (address, published) in [
        ("0.0.0.0", "8080:80"),
        ("198.51.100.1", "8080:80"),
        ("127.0.0.1", "8080:80"),
        ("::1", "8080:80"),
        ("2001:db8:1::1", "8080:80"),
        ("198.51.100.1", "198.51.100.1:8080:80"),
    ] {
        {
            let _program = host.place().listen(By::Tcp, address, 8080);
            host.is_refused(&["-p", published]).says("8080").says("hint: ");
            assert_one_lease(scene);
        }
        let _program = host.place().listen(By::Udp, address, 8080);
        host.is_refused(&["-p", &format!("{published}/udp")]).says("8080").says("hint: ");
        assert_one_lease(scene);
    }
    // At another address it is in nobody's way, and nor is the container in its.
    let _program = host.place().listen(By::Tcp, "127.0.0.1", 8080);
    let front = host.container("front", &["-p", "198.51.100.1:8080:7000"], STAY);
    let _answering = front.place().listen(By::Tcp, "::", 7000);
    assert_eq!(host.remote().ask(By::Tcp, HOST[0], 8080), REMOTE[0]);
    assert_eq!(host.place().ask(By::Tcp, LOOPBACK[0], 8080), LOOPBACK[0]);
    host.end();
}

fn a_published_port_survives_a_restart(scene: &Scene) {
    let host = Host::new(scene);
    let web = host.container("web", &["-h", "the-web", "-p", "8080:80", "--restart", "always"], WEB);
    let check = || {
        for (place, own) in [(host.remote(), HOST[0]), (host.remote(), HOST[1]), (host.place(), LOOPBACK[0])] {
            assert_eq!(place.page(own, 8080), "the-web", "{own}");
        }
    };
    check();
    host.vial(["restart", "-t", "0", web.name()]).ok();
    check();
    let pid = web.0.pid();
    crate::util::container::signal(pid, "KILL");
    eventually("it lives again", || (![0, pid].contains(&web.0.pid())).then_some(()));
    check();
    host.end();
}

fn a_host_without_ipv6_publishes_ports_nonetheless(scene: &Scene) {
    let host = Host::new(scene);
    for which in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
        host.command("sh", ["-c", &format!("echo 1 >{path}")]).ok();
    }
    let web = host.container(
        "web",
        &["-h", "the-web", "-p", "8080:80"],
        "mkdir -p /www; hostname >/www/index.html; httpd -f -h /www",
    );
    assert_eq!(web.addresses("eth0")[0], "10.118.0.2/16");
    assert_eq!(host.remote().page(HOST[0], 8080), "the-web");
    assert_eq!(host.place().page(LOOPBACK[0], 8080), "the-web");
    let _server = host.remote().listen(By::Tcp, REMOTE[0], 7000);
    assert_eq!(web.place().ask(By::Tcp, REMOTE[0], 7000), HOST[0]);
    host.end();
}

fn datagrams_follow_the_port_to_another_container(scene: &Scene) {
    let host = Host::new(scene);
    let first = host.container("first", &["-p", "5300:53/udp"], STAY);
    let client = host.remote().within(|| std::net::UdpSocket::bind(("0.0.0.0", 40_000))).expect("take a port");
    client.connect((HOST[0], 5300)).expect("connect");
    client.set_read_timeout(Some(std::time::Duration::from_millis(200))).expect("do not wait for ever");
    let ask = || {
        eventually("it is answered", || {
            let mut answer = [0; 16];
            client.send(b"who?").ok()?;
            let length = client.recv(&mut answer).ok()?;
            Some(String::from_utf8_lossy(&answer[..length]).into_owned())
        })
    };
    let answering = first.place().serve(By::Udp, "::", 53, |_, _| b"first".to_vec());
    assert_eq!(ask(), "first");
    drop(answering);
    host.vial(["rm", "-f", first.name()]).ok();
    // Somebody else has its address, and another one its port.
    host.container("between", &[], STAY);
    let second = host.container("second", &["-p", "5300:53/udp"], STAY);
    let _answering = second.place().serve(By::Udp, "::", 53, |_, _| b"second".to_vec());
    assert_eq!(ask(), "second");
    host.end();
}

fn many_bytes_come_whole_by_every_way(scene: &Scene) {
    let host = Host::new(scene);
    let server = host.container("server", &["-p", "8080:7000"], STAY);
    let beside = host.container("beside", &[], STAY);
    let bytes: Vec<u8> = (0..8u32 << 20).map(|number| (number.wrapping_mul(number) >> 7) as u8).collect();
    let sent = bytes.clone();
    let _inside = server.place().serve(By::Tcp, "::", 7000, move |_, _| sent.clone());
    let sent = bytes.clone();
    let _outside = host.remote().serve(By::Tcp, "::", 7001, move |_, _| sent.clone());
    let limit = std::time::Duration::from_secs(20);
    let check = |place: crate::util::traffic::Place, address: &str, port| {
        let answer =
            place.try_ask(By::Tcp, address, port, b"all", limit).unwrap_or_else(|error| panic!("{address}: {error}"));
        assert!(answer == bytes, "{} bytes came from {address} port {port}", answer.len());
    };
    for (family, own) in HOST.into_iter().enumerate() {
        check(host.remote(), own, 8080);
        check(host.place(), LOOPBACK[family], 8080);
        check(beside.place(), own, 8080);
        check(beside.place(), &server.own()[family], 7000);
        check(beside.place(), REMOTE[family], 7001);
    }
    host.end();
}
