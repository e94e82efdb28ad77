//! Networks as they are written down: made, listed, shown, removed, and asked for.

use crate::util::Scene;

trials! {
    a_network_is_made_listed_shown_and_removed [Root];
    what_a_network_is_told_is_shown_again [Root];
    a_network_that_cannot_be_is_refused_with_what_can [Root];
    a_network_that_is_not_there_is_answered_with_those_that_are [Root];
    a_container_asks_for_networks_that_are_there [Root, Busybox, Kernel("overlay"), Command("create")];
    what_a_container_is_asked_to_be_on_networks_is_shown [Root, Busybox, Kernel("overlay"), Command("create")];
    pruning_removes_networks_that_no_container_is_on [Root, Busybox, Kernel("overlay"), Command("create")];
    a_container_that_does_not_run_shows_the_networks_that_it_will_be_on [Root, Busybox, Kernel("overlay"), Command("create")];
    the_variable_says_what_no_option_says [Root, Busybox, Kernel("overlay"), Command("create")];
}

fn a_network_is_made_listed_shown_and_removed(scene: &Scene) {
    scene.vial(["network", "ls"]).ok().prints("NETWORK ID   NAME      DRIVER    SCOPE\n");
    let id = scene.vial(["network", "create", "back"]).ok().silent().stdout;
    assert!(id.len() == 65 && id.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let id = id.trim_end();
    scene.vial(["network", "ls", "-q"]).ok().prints(&format!("{}\n", &id[..12]));
    scene.vial(["network", "ls", "-q", "--no-trunc"]).ok().prints(&format!("{id}\n"));
    scene.vial(["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"]).ok().prints("back bridge local\n");
    scene.vial(["network", "ls", "--json"]).ok().shows("\"Name\":\"back\"");
    scene
        .vial(["network", "inspect", "-f", "{{.Id}} {{.EnableIPv6}} {{.Internal}}", "back"])
        .ok()
        .prints(&format!("{id} true false\n"));
    scene.vial(["inspect", "--type", "network", "-f", "{{.Name}}", &id[..12]]).ok().prints("back\n");
    scene.vial(["inspect", "-f", "{{.Containers}} {{.Options}} {{.Labels}}", "back"]).ok().prints("{} {} {}\n");
    scene
        .vial(["network", "create", "back"])
        .ends(125)
        .says("there is a network back already")
        .says("vial network rm back");
    // The next one has other addresses.
    scene.vial(["network", "create", "front"]).ok();
    let config = |name| scene.vial(["network", "inspect", "-f", "{{.IPAM.Config}}", name]).ok().stdout;
    let (back, front) = (config("back"), config("front"));
    assert!(
        back.contains("\"Subnet\":\"10.") && front.contains("/16\"") && front.contains("\"Subnet\":\"fd"),
        "{back}{front}"
    );
    assert_ne!(back.split(',').next(), front.split(',').next());
    scene.vial(["network", "rm", "back", &id[..10]]).ends(125).prints("back\n").says("no such network");
    scene.vial(["network", "rm", "-f", "front", "nosuch"]).ok().prints("front\n");
    scene.vial(["network", "ls", "-q"]).ok().prints("");
    let left = scene.root().join("networks");
    assert_eq!(std::fs::read_dir(left).expect("the directory is there").count(), 0);
}

fn what_a_network_is_told_is_shown_again(scene: &Scene) {
    #[rustfmt::skip]
    let cases: &[(&[&str], &str, &str)] = &[
        (&["--subnet=172.20.0.0/16"], "{{.IPAM.Config}}", r#"{"Subnet":"172.20.0.0/16","Gateway":"172.20.0.1"}"#),
        (&["--subnet=172.20.0.0/30", "--gateway=172.20.0.2"], "{{.IPAM.Config}}", r#"{"Subnet":"172.20.0.0/30","Gateway":"172.20.0.2"}"#),
        (&["--gateway=fd00:7::fffe", "--subnet=fd00:7::/112"], "{{.IPAM.Config}}", r#"{"Subnet":"fd00:7::/112","Gateway":"fd00:7::fffe"}"#),
        (&["--subnet=10.9.0.0/24", "--subnet=fd00:9::/64"], "{{.IPAM.Config}}", r#"[{"Subnet":"10.9.0.0/24","Gateway":"10.9.0.1"},{"Subnet":"fd00:9::/64","Gateway":"fd00:9::1"}]"#),
        (&["--ipv6=false"], "{{.EnableIPv6}}", "false"),
        (&["--internal"], "{{.Internal}}", "true"),
        (&["--label=a=1", "--label=b"], "{{.Labels}}", r#"{"a":"1","b":""}"#),
        (&["-o", "mtu=1400", "-o", "name=br7"], "{{.Options}}", r#"{"mtu":"1400","name":"br7"}"#),
        (&["-d", "macvlan", "-o", "parent=eth0"], "{{.Driver}} {{.Options}}", r#"macvlan {"parent":"eth0"}"#),
    ];
    for (options, format, shown) in cases {
        let words: Vec<&str> = ["network", "create"].iter().chain(*options).chain(&["net"]).copied().collect();
        scene.vial(&words).ok();
        scene.vial(["network", "inspect", "-f", format, "net"]).ok().shows(shown);
        scene.vial(["network", "rm", "net"]).ok().prints("net\n");
    }
}

fn a_network_that_cannot_be_is_refused_with_what_can(scene: &Scene) {
    scene.vial(["network", "create", "--subnet", "172.20.0.0/16", "taken"]).ok();
    #[rustfmt::skip]
    let cases: &[(&[&str], &str, &str)] = &[
        (&["a b"], "invalid value \"a b\" for a network's name", "letters, digits"),
        (&["host"], "a network's name", "no mode of --network"),
        (&["--subnet=10.0.0.0", "net"], "for --subnet", "172.20.0.0/16"),
        (&["--subnet=10.0.0.1/24", "net"], "for --subnet", "no bit behind the prefix"),
        (&["--subnet=10.0.0.0/31", "net"], "for --subnet", "at least four addresses"),
        (&["--subnet=fd00::/127", "net"], "for --subnet", "at least four addresses"),
        (&["--subnet=172.20.7.0/24", "net"], "overlaps 172.20.0.0/16 of the network taken", "another --subnet"),
        (&["--gateway=x", "net"], "for --gateway", "an address of the subnet"),
        (&["--gateway=172.21.1.1", "--subnet=172.21.0.0/24", "net"], "for --gateway", "an address of the subnet"),
        (&["--gateway=172.21.0.0", "--subnet=172.21.0.0/24", "net"], "for --gateway", "neither its first nor its last"),
        (&["--gateway=172.21.0.255", "--subnet=172.21.0.0/24", "net"], "for --gateway", "neither its first nor its last"),
        (&["--driver=overlay", "net"], "for --driver", "bridge or macvlan"),
        (&["--opt=mtu", "net"], "for --opt", "mtu=1280"),
        (&["--opt=mtu=100", "net"], "for --opt", "mtu=1280"),
        (&["--opt=name=a/b", "net"], "for --opt", "name=INTERFACE"),
        (&["--opt=name=interface-too-long", "net"], "for --opt", "name=INTERFACE"),
        (&["--opt=frob=1", "net"], "for --opt", "parent=INTERFACE"),
        (&["--label==1", "net"], "for --label", "NAME=VALUE"),
        (&["--intern", "net"], "--intern", "did you mean --internal?"),
    ];
    for (words, said, accepted) in cases {
        let words: Vec<&str> = ["network", "create"].iter().chain(*words).copied().collect();
        scene.vial(&words).ends(125).prints("").says(said).says(accepted);
    }
    scene.vial(["network", "ls", "--format", "{{.Name}}"]).ok().prints("taken\n");
    scene.vial(["network", "rm", "taken"]).ok();
}

fn a_network_that_is_not_there_is_answered_with_those_that_are(scene: &Scene) {
    scene.vial(["network", "rm", "web"]).ends(125).says("no such network: web").says("vial network create makes one");
    scene.vial(["network", "create", "backend"]).ok();
    scene.vial(["network", "rm", "backed"]).ends(125).says("did you mean backend?");
    scene.vial(["network", "rm", "x"]).ends(125).says("there are: backend");
    scene.vial(["network", "inspect", "x"]).ends(125).says("no such network: x");
    scene.vial(["network", "rm", "backend"]).ok();
}

fn a_container_asks_for_networks_that_are_there(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["network", "create", "backend"]).ok();
    for command in [&["run", "--rm"][..], &["run", "--dry-run"], &["create"]] {
        let words: Vec<&str> = command.iter().chain(&["--network", "backed", &rootfs, "true"]).copied().collect();
        scene
            .vial(&words)
            .ends(125)
            .prints("")
            .says("--network: no such network: backed")
            .says("did you mean backend?");
    }
    scene
        .vial(["run", "--dry-run", "--network", "backend", "-p", "80", &rootfs, "true"])
        .ok()
        .shows("become the workload");
    scene.vial(["network", "rm", "backend"]).ok();
}

fn what_a_container_is_asked_to_be_on_networks_is_shown(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    scene.vial(["network", "create", "backend"]).ok();
    let options = [
        "--net",
        "backend",
        "--net",
        "bridge",
        "-p",
        "127.0.0.1:8080:80",
        "-p",
        "53/udp",
        "--expose",
        "80",
        "--expose",
        "90",
    ];
    let words: Vec<&str> =
        ["create", "-P", "--name", "web"].iter().chain(&options).chain(&[&*rootfs, "true"]).copied().collect();
    scene.vial(&words).ok();
    let shown = |format: &str| scene.vial(["inspect", "-f", format, "web"]).ok().stdout;
    assert_eq!(shown("{{.HostConfig.NetworkMode}}"), "backend\n");
    assert_eq!(
        shown("{{.HostConfig.PortBindings}}"),
        "{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080\"}],\"53/udp\":[{\"HostIp\":\"\",\"HostPort\":\"0\"}],\
         \"90/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"0\"}]}\n"
    );
    assert_eq!(
        shown("{{.NetworkSettings.Ports}} {{.NetworkSettings.IPAddress}}"),
        "{\"80/tcp\":null,\"90/tcp\":null} \n"
    );
    scene.vial(["port", "web"]).ok().prints("");
    scene.vial(["port", "web", "80"]).ends(125).says("no public port '80' published for web");
    scene.vial(["rm", "web"]).ok();
    scene.vial(["network", "rm", "backend"]).ok();
}

fn the_variable_says_what_no_option_says(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let mode = |variable: &str, options: &[&str]| {
        let words: Vec<&str> =
            ["create", "--name", "web"].iter().chain(options).chain(&[&*rootfs, "true"]).copied().collect();
        scene.vial(&words).env("VIAL_NETWORK", variable).ok();
        let mode = scene.vial(["inspect", "-f", "{{.HostConfig.NetworkMode}}", "web"]).ok().stdout;
        scene.vial(["rm", "web"]).ok();
        mode
    };
    for (variable, options, expected) in [
        ("", &[][..], "bridge\n"),
        ("default", &[], "bridge\n"),
        ("host", &[], "host\n"),
        ("none", &[], "none\n"),
        ("none", &["--network", "bridge"], "bridge\n"),
        ("host", &["--network", "none"], "none\n"),
    ] {
        assert_eq!(mode(variable, options), expected, "{variable} {options:?}");
    }
    let words = ["run", "--rm", &rootfs, "true"];
    scene.vial(words).env("VIAL_NETWORK", "a/b").ends(125).says("\"a/b\" for VIAL_NETWORK").says("none, host");
    scene.vial(words).env("VIAL_NETWORK", "web").ends(125).says("no such network: web");
}

fn pruning_removes_networks_that_no_container_is_on(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let names = || scene.vial(["network", "ls", "--format", "{{.Name}}"]).ok().stdout;
    for name in ["back", "bridge", "front", "used"] {
        scene.vial(["network", "create", name]).ok();
    }
    // One that does not run would have to do without it.
    scene.vial(["create", "--name", "web", "--network", "used", &rootfs, "true"]).ok();
    for answer in ["", "n\n", "\n"] {
        let asked = scene.vial(["network", "prune"]).input(answer).ok();
        asked.prints(
            "WARNING! This will remove all custom networks not used by at least one container.\n\
             Are you sure you want to continue? [y/N] ",
        );
    }
    assert_eq!(names(), "back\nbridge\nfront\nused\n");
    scene.vial(["network", "prune", "-f"]).ok().prints("Deleted Networks:\nback\nfront\n\n");
    assert_eq!(names(), "bridge\nused\n");
    scene.vial(["rm", "web"]).ok();
    scene.vial(["network", "prune"]).input("y\n").ok().shows("Deleted Networks:\nused\n\n");
    scene.vial(["network", "prune", "--force"]).ok().prints("");
    assert_eq!(names(), "bridge\n");
}

fn a_container_that_does_not_run_shows_the_networks_that_it_will_be_on(scene: &Scene) {
    let rootfs = scene.rootfs().display().to_string();
    let id = scene.vial(["network", "create", "back"]).ok().stdout;
    let options = ["--network", "back", "--network-alias", "www", "--mac-address", "02:76:00:00:00:07"];
    scene.vial(["create", "--name", "web"]).args(options).args([&rootfs, "true"]).ok();
    let shown = |format: &str| scene.vial(["inspect", "-f", format, "web"]).ok().stdout;
    let network = "{{.NetworkSettings.Networks.back.NetworkID}} {{.NetworkSettings.Networks.back.MacAddress}} \
                   {{.NetworkSettings.Networks.back.Aliases}} {{.NetworkSettings.Networks.back.IPAddress}}";
    assert_eq!(shown(network), format!("{} 02:76:00:00:00:07 [\"www\"] \n", id.trim_end()));
    scene.vial(["network", "create", "front"]).ok();
    scene.vial(["network", "connect", "front", "web"]).ok();
    let networks = shown("{{.NetworkSettings.Networks}}");
    assert!(networks.contains("\"back\":{") && networks.contains("\"front\":{"), "{networks}");
    scene.vial(["create", "--name", "alone", "--network", "none", &rootfs, "true"]).ok();
    scene.vial(["inspect", "-f", "{{.NetworkSettings.Networks}}", "alone"]).ok().prints("{}\n");
    scene.vial(["rm", "web", "alone"]).ok();
}
