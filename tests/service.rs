//! A real service: redis of the host, in a container on the host's own root, detached, reached over its socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::util::Scene;
use crate::util::container::eventually;
use crate::util::detached::{Detached, is_gone};

trials! {
    a_database_keeps_its_data_and_its_connections [Root, Tool("redis-server"), Kernel("overlay"), Command("start")];
}

/// A connection to redis, in its inline protocol.
struct Redis(BufReader<UnixStream>);

impl Redis {
    /// Waits until it answers. One that is about to end may still take a connection.
    fn connect(socket: &Path) -> Redis {
        eventually("redis is there and has read its data", || {
            let stream = UnixStream::connect(socket).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
            let mut redis = Redis(BufReader::new(stream));
            (redis.try_to_ask("PING").ok()? == "+PONG").then_some(redis)
        })
    }

    /// Sends a command; the first line of the answer, or the text that it announces.
    fn ask(&mut self, command: &str) -> String {
        self.try_to_ask(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    fn try_to_ask(&mut self, command: &str) -> io::Result<String> {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        if line.starts_with('$') && line.trim_end() != "$-1" {
            line.clear();
            self.0.read_line(&mut line)?;
        }
        Ok(line.trim_end().to_owned())
    }
}

fn a_database_keeps_its_data_and_its_connections(scene: &Scene) {
    let run = scene.path("run");
    std::fs::create_dir_all(&run).expect("make a directory");
    let socket = run.join("redis.sock");
    let bind = format!("{}:/srv/redis", run.display());
    let options =
        ["run", "-d", "--name", "redis", "-v", &bind, "-v", "data:/srv/data", "-m", "256m", "--restart", "on-failure"];
    let words = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        "/srv/redis/redis.sock",
        "--dir",
        "/srv/data",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ];
    scene.vial(options).args(["host"]).args(words).ok();
    let web = Detached::find(scene, "redis");
    let mut redis = Redis::connect(&socket);
    assert_eq!(redis.ask("SET word kept"), "+OK");
    // The connection outlives the monitor, and the next one does its work.
    let pid = web.pid();
    web.kill_monitor();
    assert_eq!(redis.ask("GET word"), "kept");
    assert_eq!(web.condition(), "running");
    assert!(web.pid() == pid && !is_gone(web.monitor()));
    assert_eq!(redis.ask("GET word"), "kept");
    assert!(web.output().contains("ready to accept connections"), "{}", web.output());
    // Data stays over a restart, and over a stop and a start.
    web.vial(&["restart"]).ok();
    let mut redis = Redis::connect(&socket);
    assert_eq!(redis.ask("GET word"), "kept");
    assert_eq!(redis.ask("INCR count"), ":1");
    web.vial(&["stop"]).ok();
    // redis ends by itself when it is asked to.
    assert_eq!(web.wait(), 0);
    assert!(web.output().contains("ready to exit"), "{}", web.output());
    web.vial(&["start"]).ok();
    let mut redis = Redis::connect(&socket);
    assert_eq!((redis.ask("GET word").as_str(), redis.ask("INCR count").as_str()), ("kept", ":2"));
    // A crash is answered by its policy.
    crate::util::container::signal(web.pid(), "KILL");
    let mut line = String::new();
    let _ = redis.0.read_line(&mut line);
    let mut redis = Redis::connect(&socket);
    assert_eq!(redis.ask("GET word"), "kept");
    web.remove();
    scene.vial(["volume", "rm", "data"]).ok();
}
