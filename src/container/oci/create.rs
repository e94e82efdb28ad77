//! Making a container that is started later.

use alloc::boxed::Box;

use super::{Held, START, State, checked, disown, is_own, open, template};
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::json::{self, Value};
use crate::base::keep::{self, Kept};
use crate::container::bundle::{Bundle, Bundles, Durable};
use crate::container::control::{Control, PARENTS};
use crate::container::interfaces::{self, Moved};
use crate::container::launch::{self, Launch};
use crate::container::plan::{self, Root, Setting};
use crate::container::run::{self, Connect, Container, Engine, Running, Surroundings};
use crate::container::spec::Spec;
use crate::container::{check, defaults, life, process, rare, scope};
use crate::kernel::cgroup::GroupPath;
use crate::sys::fd::{CWD, Fd, FdRef};
use crate::sys::poll::Signals;
use crate::sys::{because, file, net, users};

/// How a container is to be made.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct Asked<'a> {
    /// The directory of all containers.
    pub root: &'a str,
    /// The name that the engine gives it.
    pub id: &'a str,
    /// The bundle's directory.
    pub bundle: &'a str,
    /// The file that gets the number of the first process.
    pub pid_file: Option<&'a str>,
    /// The socket that gets the other side of the container's terminal.
    pub console: Option<&'a str>,
    /// Whether nobody is going to pass a terminal on, so that one needs that socket.
    pub detached: bool,
    /// How many of vial's own files behind the standard ones the workload gets.
    pub files: u32,
    /// Whether the workload keeps vial's session keyring.
    pub same_keyring: bool,
    /// Finds variables of the environment, if systemd is to make the control group.
    pub systemd: Option<scope::Variable<'a>>,
    /// Whether it gets a control group.
    pub grouped: bool,
    /// Whether what can't be enforced is a warning.
    pub best_effort: bool,
    /// The signal mask that vial was started with.
    pub signals: Signals,
}

/// A container that waits to be started.
pub struct Made {
    /// What is known of it.
    pub held: Held,
    /// Its first process.
    pub running: Running,
    /// Its control group.
    pub control: Control,
    /// The bundle. If it is one of vial's own store, vial does not start that container as long as this is open.
    pub bundle: Fd,
}

/// Makes a container.
///
/// # Errors
/// Whatever failed; nothing of it is left then.
pub fn create(asked: &Asked<'_>) -> Result<Made> {
    let id = checked(asked.id)?;
    let bundle = {
        let _why = because!("open the bundle");
        file::open(CWD, file::path(asked.bundle)?, libc::O_RDONLY | libc::O_DIRECTORY)
            .map_err(|error| error.option("--bundle").hint(phrase!("accepted: the directory of config.json")))?
    };
    let _why = because!("read what the container is");
    let config: &'static mut Value = Box::leak(Box::new(read_config(bundle.by_ref())?));
    let path = keep::copy(config.at(&["linux", "cgroupsPath"]).and_then(Value::as_str).unwrap_or_default());
    let mut unit = "";
    if let Some(variable) = asked.systemd {
        let made = scope::prepare(path, id, variable)?;
        config.member("linux").text("cgroupsPath", made.path);
        unit = made.note;
    } else if path.is_empty() {
        config.member("linux").text("cgroupsPath", join!("/{}", id));
    }
    if !asked.grouped {
        refuse_limits(config)?;
        config.member("linux").remove("cgroupsPath");
    }
    if config.at(&["linux", "intelRdt"]).is_some_and(|rdt| rdt.get("closID").is_none()) {
        config.member("linux").member("intelRdt").text("closID", id);
    }
    let config: &'static Value = config;
    if let Some(path) = config.at(&["linux", "cgroupsPath"]).and_then(Value::as_str) {
        GroupPath::new(path).map_err(|error| Error::new(say!("linux.cgroupsPath: {}", error)))?;
    }
    let mut spec = Spec::from_json(config).map_err(|error| Error::new(say!("config.json: {}", error)))?;
    let own = is_own(bundle.by_ref(), &spec);
    if !own {
        disown(&mut spec);
    }
    if !unit.is_empty() {
        spec.annotations.push((scope::UNIT, unit));
    }
    check(&spec, asked)?;
    if !own {
        check::check(&spec, config)?;
        check::against_host(&spec)?;
    }
    if own && !file::try_lock(bundle.by_ref(), file::Lock::Exclusive)? {
        return Err(Error::new(phrase!("the container runs by vial")));
    }
    allow_default_devices(&mut spec);
    let spec = Box::leak(Box::new(spec));
    let root = open(asked.root)?;
    let name = file::path(id)?;
    // Until its own directory is locked, `gc` would take it for what was left by a kill.
    file::lock(root, file::Lock::Shared)?;
    match file::mkdir(root, name, 0o700) {
        Err(error) if error.is(Errno::EEXIST) => {
            return Err(Error::new(say!("container with given ID already exists: {}", id))
                .hint(say!("vial oci delete {} removes it, with --force also if it runs", id)));
        }
        made => made?,
    }
    let made = make(asked, id, root, bundle, config, spec, own);
    if made.is_err() {
        let _why = because!("remove what was made for the container");
        let _ = file::remove_tree(root, name);
    }
    made
}

/// Reads a stranger's `config.json`.
fn read_config(bundle: FdRef<'_>) -> Result<Value> {
    // A FIFO would wait for somebody who writes to it.
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = file::open(bundle, c"config.json", flags)
        .map_err(|error| error.hint(phrase!("--bundle DIR names the directory that holds config.json")))?;
    let stat = file::stat(opened.by_ref(), c"")?;
    if u32::from(stat.mode) & libc::S_IFMT != libc::S_IFREG {
        return Err(Error::new(phrase!("config.json: not a file")));
    }
    let named = |error: Error| Error::new(say!("config.json: {}", error));
    let content = file::read_to_end(opened.by_ref(), LONGEST).map_err(named)?;
    json::parse(&content).map_err(|error| Error::new(say!("config.json: {}", error)))
}

/// Most bytes of a `config.json`.
const LONGEST: usize = 16 << 20;

/// Refuses limits of a container without a control group. Rules for devices are in each specification, and who wants no group
/// wants none of those either.
fn refuse_limits(config: &Value) -> Result<()> {
    let asked = config.at(&["linux", "resources"]).and_then(Value::as_object).unwrap_or_default();
    for (name, value) in asked {
        if *name != "devices" && value.as_object().is_some_and(|members| !members.is_empty()) {
            return Err(Error::new(say!("linux.resources.{} needs a control group", name))
                .hint(phrase!("there is none with --cgroup-manager disabled")));
        }
    }
    Ok(())
}

/// Lets a container that may use certain devices only use those that every container has, as other runtimes do.
///
/// In a user namespace nobody can make a device, and none can be opened on a file system that was mounted there. What the container has
/// are the nodes that its specification gives it, so there is nothing left to decide, and nobody who could (`devices.rst` of the
/// kernel's v1; `bpf(2)`).
fn allow_default_devices(spec: &mut Spec) {
    let rules = spec.linux.as_mut().and_then(|linux| linux.resources.as_mut());
    if let Some(Value::Array(rules)) = rules.map(|resources| resources.0.member("devices"))
        && !rules.is_empty()
    {
        if users::is_confined() {
            rules.clear();
            return;
        }
        let all = defaults::document();
        let own = all.at(&["linux", "resources", "devices"]).and_then(Value::as_array).unwrap_or_default();
        rules.extend(own.iter().skip(1).cloned());
    }
}

/// What no core looks at.
fn check(spec: &Spec, asked: &Asked<'_>) -> Result<()> {
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    match (terminal, asked.console) {
        (true, None) if asked.detached => {
            Err(Error::new(phrase!("process.terminal: nobody would have the terminal's other side"))
                .hint(phrase!("--console-socket PATH names the socket that gets it")))
        }
        (false, Some(_)) => Err(Error::new(phrase!("--console-socket: the container has no terminal"))
            .hint(phrase!("process.terminal in config.json gives it one"))),
        _ => Ok(()),
    }
}

#[inline(never)]
fn make(
    asked: &Asked<'_>,
    id: &'static str,
    root: FdRef<'_>,
    bundle: Fd,
    config: &'static Value,
    spec: &'static mut Spec,
    own: bool,
) -> Result<Made> {
    let directory = file::open(root, file::path(id)?, libc::O_RDONLY | libc::O_DIRECTORY)?;
    file::lock(directory.by_ref(), file::Lock::Exclusive)?;
    file::unlock(root)?;
    let place = {
        let _why = because!("go to the bundle, where relative paths start");
        file::fchdir(bundle.by_ref())?;
        keep::lossy(file::getcwd()?.to_bytes())
    };
    let pid_file = asked.pid_file;
    let mut held = Held { id, directory, state: Kept::default() };
    if asked.grouped {
        Control::note_parents(spec)?;
    }
    **held.state = State {
        bundle: keep::copy(place),
        created: life::now(),
        group: spec.linux.as_ref().and_then(|linux| linux.cgroups_path).unwrap_or_default(),
        parents: launch::annotation(spec, PARENTS),
        unit: launch::annotation(spec, scope::UNIT),
        own,
        ..State::default()
    };
    {
        let _why = because!("write down what the container is, before anything of it is made");
        Bundle::replace(held.directory.by_ref(), c"config.json", config, Durable::Not)?;
        held.save()?;
    }
    let listener = {
        let _why = because!("make the socket at which the container is started");
        net::listen_at(held.directory.by_ref(), START)?
    };
    let mut launch = Launch::new(spec)?;
    let fills = if own { find_own(&bundle, &mut launch)? } else { &[] };
    let control =
        if asked.grouped { Control::create_everywhere(launch.spec, asked.best_effort)? } else { Control::default() };
    for warning in &control.warnings {
        life::warn(warning);
    }
    let started = start_process(asked, &mut held, &mut launch, &control, &bundle, listener.by_ref(), fills);
    let finish = |running: &Running| -> Result<()> {
        if let (Some(master), Some(console)) = (&running.master, asked.console) {
            hand_over_terminal(console, master)?;
        }
        match pid_file {
            Some(path) => write_pid(path, running.pid),
            None => Ok(()),
        }
    };
    let running = started.and_then(|running| match finish(&running) {
        Ok(()) => Ok(running),
        Err(error) => {
            Running::kill(running.pid);
            Err(error)
        }
    });
    match running {
        Ok(running) => {
            control.joined();
            file::unlock(held.directory.by_ref())?;
            Ok(Made { held, running, control, bundle })
        }
        Err(error) => {
            let _ = control.remove();
            let _ = rare::leave_caches(config, id);
            Err(error)
        }
    }
}

/// Finds what a container of vial's own store needs of that: its volumes, which are made if they are missing, and namespaces of
/// others. What is told are the places that are to be filled with what the image has there.
fn find_own(bundle: &Fd, launch: &mut Launch) -> Result<&'static [&'static str]> {
    let _why = because!("find what the container needs of vial's own store");
    let root = file::open(bundle.by_ref(), c"../..", libc::O_RDONLY | libc::O_DIRECTORY)?.keep();
    launch.find_shared(&Bundles::open(root)?)?;
    launch.make_volumes(root)
}

fn start_process(
    asked: &Asked<'_>,
    held: &mut Held,
    launch: &mut Launch,
    control: &Control,
    bundle: &Fd,
    listener: FdRef<'_>,
    fills: &'static [&'static str],
) -> Result<Running> {
    let spec = &*launch.spec;
    let template = template(held.id, held.state.bundle, held.config()?.get("annotations"));
    let hooks = spec.hooks.as_ref().map(|hooks| (hooks, &template));
    let is_asked = |hooks: &crate::container::spec::Hooks| {
        !(hooks.prestart.is_empty() && hooks.create_runtime.is_empty() && hooks.create_container.is_empty())
    };
    let root = match &spec.root {
        _ if held.state.own => launch.root(false),
        Some(root) => Root::Directory(root.path),
        None => return Err(Error::new(phrase!("root: is missing"))),
    };
    let setting = Setting {
        root,
        cgroups: control.mounts(),
        fills,
        confined: users::is_confined(),
        hooks: spec.hooks.as_ref().is_some_and(is_asked),
        // Who made the bundle has given its files to whom they belong.
        shifted: !held.state.own || !launch::annotation(spec, launch::SHIFTED).is_empty(),
    };
    let (namespaces, pid_namespace) = plan::made_by_clone(spec)?;
    let container = Container {
        spec,
        steps: plan::plan(spec, &setting)?,
        directory: bundle.by_ref(),
        namespaces,
        pid_namespace,
        args: launch.args,
        env: launch.env,
        wanted: launch.wanted,
        interactive: true,
        init: !launch::annotation(spec, launch::INIT).is_empty(),
        group: control.group.as_ref(),
        shows_network: false,
        engine: Engine {
            listener: Some(listener),
            files: asked.files,
            same_keyring: asked.same_keyring,
            exact: !held.state.own,
            hooks,
            ..Engine::default()
        },
    };
    let surroundings = Surroundings { standard: [None; 3], stays: true, signals: asked.signals };
    let mut note = |pid| {
        let _why = because!("write down which process is the container's first one");
        (held.state.pid, held.state.pid_start) = (pid, process::began(pid));
        held.save()
    };
    let mut moved = Moved::default();
    let mut take = |pid: u32, _: Option<&Fd>| moved.take(spec, pid);
    let connect: Option<&mut Connect<'_>> = if interfaces::wanted(spec).is_empty() { None } else { Some(&mut take) };
    let started = run::start(&container, &surroundings, connect, &mut note);
    if started.is_err() {
        let _ = moved.give_back();
    }
    started
}

/// Gives the other side of the container's terminal to who listens at a socket.
///
/// # Errors
/// Nobody does.
pub fn hand_over_terminal(console: &str, master: &Fd) -> Result<()> {
    let _why = because!("hand the other side of the container's terminal over");
    let end = console.bytes().rposition(|byte| byte == b'/');
    let (directory, name) = match end {
        Some(end) => (&console[..end.max(1)], &console[end + 1..]),
        None => (".", console),
    };
    let failed = |error: Error| error.option("--console-socket");
    let directory = file::open(CWD, file::path(directory)?, libc::O_PATH | libc::O_DIRECTORY).map_err(failed)?;
    let socket = net::connect_stream_at(directory.by_ref(), name).map_err(failed)?;
    net::send(socket.by_ref(), b"/dev/ptmx", Some(master.by_ref()))
}

/// Writes a process's number where it was asked for, as a whole.
///
/// # Errors
/// What the file system refuses.
pub fn write_pid(path: &str, pid: u32) -> Result<()> {
    let _why = because!("write the number of the container's first process where it was asked for");
    let new = file::path(join!("{}.new", path))?;
    let written = file::write_file(CWD, new, join!("{}", pid).as_bytes(), 0o644)
        .and_then(|()| file::rename(CWD, new, CWD, file::path(path)?, true));
    written.map_err(|error| {
        let _ = file::unlink(CWD, new);
        error.option("--pid-file")
    })
}
