use super::*;

fn ok<'a>(words: &[&'a str]) -> Parsed<'a> {
    let words: Vec<&'a [u8]> = words.iter().map(|word| word.as_bytes()).collect();
    parse(&words).unwrap_or_else(|(_, error)| panic!("{error}"))
}

fn error(words: &[&str]) -> String {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    match parse(&words) {
        Ok(parsed) => panic!("{words:?} parsed: {parsed:?}"),
        Err((_, error)) => error.to_string(),
    }
}

fn values(parsed: &Parsed<'_>, id: Id) -> Vec<String> {
    let given = parsed.flags.iter().filter(|given| given.flag.id == id);
    given.map(|given| String::from_utf8(given.value.to_vec()).unwrap()).collect()
}

fn positionals(parsed: &Parsed<'_>) -> Vec<String> {
    parsed.positionals.iter().map(|word| String::from_utf8(word.to_vec()).unwrap()).collect()
}

#[test]
fn all_spellings_of_a_value_mean_the_same() {
    for words in [
        &["run", "-e", "A=1", "host"] as &[_],
        &["run", "-eA=1", "host"],
        &["run", "-e=A=1", "host"],
        &["run", "--env", "A=1", "host"],
        &["run", "--env=A=1", "host"],
        &["run", "-iteA=1", "host"],
        &["run", "-ite", "A=1", "host"],
        &["container", "run", "-e", "A=1", "host"],
        &["run", "-e", "A=1", "--", "host"],
    ] {
        let parsed = ok(words);
        assert_eq!(values(&parsed, Id::Env), ["A=1"], "{words:?}");
        assert_eq!(positionals(&parsed), ["host"], "{words:?}");
        assert_eq!(parsed.command.name(), "run");
    }
}

#[test]
fn the_first_positional_of_run_ends_its_flags() {
    let parsed = ok(&["run", "-i", "host", "sh", "-c", "x", "--rm", "--", "-z"]);
    assert_eq!(positionals(&parsed), ["host", "sh", "-c", "x", "--rm", "--", "-z"]);
    assert!(parsed.on(Id::Interactive) && !parsed.on(Id::Remove));
}

#[test]
fn other_commands_mix_flags_and_positionals_until_two_dashes() {
    let parsed = ok(&["rm", "web", "-f", "db", "--", "-v"]);
    assert_eq!(positionals(&parsed), ["web", "db", "-v"]);
    assert!(parsed.on(Id::ForceRemove) && !parsed.on(Id::RemoveVolumes));
    assert_eq!(positionals(&ok(&["import", "-", "x"])), ["-", "x"]);
}

#[test]
fn switches_take_true_and_false_and_the_last_one_counts() {
    assert!(!ok(&["run", "--rm=false", "host"]).on(Id::Remove));
    assert!(ok(&["run", "--rm=false", "--rm=1", "host"]).on(Id::Remove));
    assert!(!ok(&["run", "-i=false", "host"]).on(Id::Interactive));
    assert!(ok(&["run", "-it", "host"]).on(Id::Tty));
    let message = error(&["run", "--rm=maybe", "host"]);
    assert!(
        message.contains("\"maybe\" for --rm") && message.contains("accepted: nothing, =true or =false"),
        "{message}"
    );
}

#[test]
fn the_last_single_value_counts_and_all_repeated_ones_do() {
    let parsed = ok(&["run", "--name", "a", "--name=b", "-v", "/x", "-v", "/y", "host"]);
    assert_eq!(parsed.last(Id::Name).unwrap().text().unwrap(), "b");
    assert_eq!(values(&parsed, Id::Volume), ["/x", "/y"]);
}

#[test]
fn values_may_look_like_flags() {
    assert_eq!(values(&ok(&["run", "--memory-swap", "-1", "host"]), Id::MemorySwap), ["-1"]);
    assert_eq!(values(&ok(&["run", "--entrypoint", "", "host"]), Id::Entrypoint), [""]);
    assert_eq!(values(&ok(&["run", "--entrypoint=", "host"]), Id::Entrypoint), [""]);
}

#[test]
fn old_names_of_flags_still_work() {
    assert_eq!(values(&ok(&["run", "--net", "none", "host"]), Id::Network), ["none"]);
}

#[test]
fn globals_stand_before_and_after_the_command() {
    let globals = Globals {
        root: Some(b"/r"),
        explain: Some(Explain::Json),
        explain_to: Some(b"/l"),
        best_effort: true,
        ..Globals::default()
    };
    for words in [
        &["--root", "/r", "--explain=json", "--explain-to=/l", "--best-effort", "ps"] as &[_],
        &["ps", "--root", "/r", "--explain=json", "--explain-to=/l", "--best-effort"],
        &["--root=/r", "ps", "--explain=json", "--explain-to", "/l", "--best-effort=true"],
    ] {
        assert_eq!(ok(words).globals, globals, "{words:?}");
    }
    assert_eq!(ok(&["--explain", "ps"]).globals.explain, Some(Explain::Text));
    assert_eq!(ok(&["run", "host", "--explain"]).globals.explain, None);
}

#[test]
fn globals_so_far_come_with_an_error() {
    let (globals, _) = parse(&[b"--explain=json", b"--root", b"/r", b"rum"]).unwrap_err();
    assert_eq!(globals, Globals { root: Some(b"/r"), explain: Some(Explain::Json), ..Globals::default() });
}

#[test]
fn nouns_are_aliases_and_inspect_remembers_which() {
    for (words, name, noun) in [
        (["image", "ls"], "images", ""),
        (["container", "ls"], "ps", "container"),
        (["volume", "ls"], "volume ls", ""),
        (["volume", "list"], "volume ls", ""),
    ] {
        let parsed = ok(&words);
        assert_eq!((parsed.command.name(), parsed.noun), (name, noun), "{words:?}");
    }
    let parsed = ok(&["image", "inspect", "x"]);
    assert_eq!((parsed.command.name(), parsed.noun), ("inspect", "image"));
}

#[test]
fn help_and_version_win_wherever_they_stand() {
    for (words, command, topic) in [
        (&[] as &[_], "help", &[] as &[&str]),
        (&["--help"], "help", &[]),
        (&["-h"], "help", &[]),
        (&["run", "--help"], "help", &["run"]),
        (&["run", "-e", "A", "--help", "--nonsense"], "help", &["run"]),
        (&["rm", "-h"], "help", &["rm"]),
        (&["rm", "web", "--help"], "help", &["rm"]),
        (&["volume"], "help", &["volume"]),
        (&["volume", "--help"], "help", &["volume"]),
        (&["volume", "create", "--help"], "help", &["volume create"]),
        (&["help", "volume", "create"], "help", &["volume", "create"]),
        (&["--version"], "version", &[]),
        (&["-v"], "version", &[]),
    ] {
        let parsed = ok(words);
        assert_eq!(
            (parsed.command.name(), positionals(&parsed)),
            (command, topic.iter().map(ToString::to_string).collect()),
            "{words:?}"
        );
    }
    assert_eq!(positionals(&ok(&["run", "host", "--help"])), ["host", "--help"]);
}

#[test]
fn the_short_h_of_run_is_the_host_name() {
    assert_eq!(values(&ok(&["run", "-h", "web", "host"]), Id::Hostname), ["web"]);
}

#[test]
fn words_that_are_not_utf8_pass_through() {
    let parsed = parse(&[b"run", b"-e", b"A=\xff", b"host", b"\xfe"]).unwrap();
    assert_eq!(parsed.last(Id::Env).unwrap().value, b"A=\xff");
    assert_eq!(parsed.positionals, [b"host" as &[u8], b"\xfe"]);
    let parsed = parse(&[b"run", b"--name", b"\xff", b"host"]).unwrap();
    let message = parsed.last(Id::Name).unwrap().text().unwrap_err().to_string();
    assert!(message.contains("for --name: not UTF-8"), "{message}");
    assert!(parse(&[b"run", b"--\xff"]).is_err());
    assert!(parse(&[b"run", b"-\xff"]).is_err());
    assert!(parse(&[b"\xff"]).is_err());
}

#[test]
fn mistakes_are_named_and_mended() {
    for (words, expected) in [
        (&["rnu"] as &[_], &["unknown command \"rnu\"", "did you mean `vial run`?"] as &[&str]),
        (&["volume", "creat"], &["unknown command \"volume creat\"", "`vial volume create`"]),
        (&["frobnicate"], &["unknown command", "`vial help` lists all commands"]),
        (&["run", "--memroy", "1m"], &["unknown flag --memroy for vial run", "did you mean --memory?"]),
        (&["run", "-q", "host"], &["unknown flag -q for vial run", "`vial run --help`"]),
        (&["run", "-iz", "host"], &["unknown flag -z for vial run"]),
        (&["run", "- ", "host"], &["unknown flag"]),
        (&["- ", "run"], &["unknown flag"]),
        (&["--rot", "x", "ps"], &["unknown flag --rot for vial", "did you mean --root?"]),
        (&["ps", "--version"], &["unknown flag --version for vial ps"]),
        (&["rm", "--quiet", "x"], &["unknown flag --quiet for vial rm"]),
        (&["run", "--memory"], &["missing value for --memory", "accepted: --memory SIZE"]),
        (&["run", "-itm"], &["missing value for --memory"]),
        (&["--root"], &["missing value for --root", "DIR"]),
        (&["--root=", "ps"], &["invalid value \"\" for --root", "accepted: a path"]),
        (&["--explain-to=", "ps"], &["for --explain-to", "accepted: a path"]),
        (&["--explain=xml", "ps"], &["\"xml\" for --explain", "--explain=json"]),
        (&["--best-effort=2", "ps"], &["\"2\" for --best-effort", "=true or =false"]),
        (&["--help=2"], &["\"2\" for --help"]),
        (&["run"], &["vial run takes at least 1 argument, 0 given", "usage: vial run [OPTIONS] IMAGE"]),
        (&["import", "a", "b", "c"], &["vial import takes at most 2 arguments, 3 given"]),
        (&["ps", "x"], &["vial ps takes at most 0 arguments, 1 given"]),
        (&["rm", "-f"], &["vial rm takes at least 1 argument"]),
    ] {
        let message = error(words);
        for part in expected {
            assert!(message.contains(part), "{words:?} gave:\n{message}\nwithout: {part}");
        }
    }
}
