//! What the container gets of the host: directories, volumes, devices.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::image::Found;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::sort::sort;
use crate::base::text::{Cut, Quoted};
use crate::cli::context::Context;
use crate::cli::options::RunOptions;
use crate::cli::options::mounts::{Mount, Source};
use crate::container::spec;
use crate::container::volume::{self, Volumes};
use crate::sys::{Fd, because, fd, file};

/// Paths and numbers that the specification is made with.
#[derive(Default)]
pub(super) struct Sources {
    /// Mounts that the user or the image asked for.
    pub(super) mounts: Vec<spec::Mount>,
    /// Volumes for this container alone.
    pub(super) unnamed: Vec<String>,
    /// All volumes: name, target if it is to be filled with what the image has there.
    volumes: Vec<(String, Option<String>)>,
}

impl Sources {
    /// Looks the host's paths up; with `make` those that `--volume` names and that are missing are made. Volumes are not, since
    /// the container must tell of them first.
    pub(super) fn gather(options: &RunOptions<'_>, found: &Found, make: bool) -> Result<Sources> {
        let _why = because("find the host's directories, volumes and devices that the container gets");
        let mut sources = Sources::default();
        let mut asked: Vec<Mount> = options.mounts.mounts.clone();
        for path in &found.volumes {
            if !asked.iter().any(|mount| mount.target == *path) && path.starts_with('/') && path.len() > 1 {
                let source = Source::Anonymous { copy: true };
                asked.push(Mount { source, target: path.clone(), read_only: false });
            }
        }
        // A mount below another one must come after it.
        let depth = |mount: &Mount| mount.target.parts(b'/').count();
        sort(&mut asked, |one, other| depth(one) < depth(other));
        for mount in &asked {
            let resolved = sources.mount(mount, make)?;
            sources.mounts.push(resolved);
        }
        Ok(sources)
    }

    /// Makes the volumes that are missing; the targets of those that get what the image has there.
    pub(super) fn make_volumes(&self, root: &Fd) -> Result<Vec<String>> {
        let mut fills = Vec::new();
        if self.volumes.is_empty() {
            return Ok(fills);
        }
        let volumes = Volumes::open(root.by_ref())?;
        for (name, fill) in &self.volumes {
            let data = volumes.make(name)?;
            if let Some(target) = fill
                && file::list(data.by_ref())?.is_empty()
            {
                fills.push(target.clone());
            }
        }
        Ok(fills)
    }

    fn mount(&mut self, mount: &Mount, make: bool) -> Result<spec::Mount> {
        let mut options: Vec<String> = Vec::new();
        let (kind, source) = match &mount.source {
            Source::Bind { path, create, recursive, propagation } => {
                options.push(if *recursive { "rbind" } else { "bind" }.into());
                options.push(propagation.name().into());
                ("bind", bind_source(path, *create && make)?)
            }
            Source::Volume { name, copy } => {
                options.extend(["rbind".into(), "rprivate".into()]);
                ("bind", self.volume(name, *copy, &mount.target))
            }
            Source::Anonymous { copy } => {
                let name = volume::unnamed()?;
                options.extend(["rbind".into(), "rprivate".into()]);
                self.unnamed.push(name.clone());
                ("bind", self.volume(&name, *copy, &mount.target))
            }
            Source::Tmpfs(tmpfs) => {
                let mut flag = |on: bool, name: &str| {
                    if !on {
                        options.push(name.into());
                    }
                };
                flag(tmpfs.exec, "noexec");
                flag(tmpfs.suid, "nosuid");
                flag(tmpfs.dev, "nodev");
                let mut value = |name: &str, value: Option<String>| {
                    options.extend(value.map(|value| alloc::format!("{name}={value}")));
                };
                value("size", tmpfs.size.map(|size| size.to_string()));
                value("mode", Some(alloc::format!("{:o}", tmpfs.mode.unwrap_or(0o1777))));
                value("uid", tmpfs.uid.map(|id| id.to_string()));
                value("gid", tmpfs.gid.map(|id| id.to_string()));
                value("nr_inodes", tmpfs.inodes.map(|count| count.to_string()));
                ("tmpfs", "tmpfs".to_string())
            }
        };
        if mount.read_only {
            options.push("ro".into());
            // Of a whole tree of mounts, so that nothing below can be written either.
            if kind == "bind" {
                options.push("rro".into());
            }
        }
        let kind = Some(kind.to_string());
        Ok(spec::Mount {
            destination: mount.target.clone(),
            kind,
            source: Some(source),
            options,
            ..spec::Mount::default()
        })
    }

    /// The directory of a volume, relative to the bundle, so that the store can move.
    fn volume(&mut self, name: &str, copy: bool, target: &str) -> String {
        self.volumes.push((name.to_string(), copy.then(|| target.to_string())));
        volume::source(name)
    }
}

/// A path of the host's for a bind mount, absolute and there.
fn bind_source(path: &str, create: bool) -> Result<String> {
    let absolute = Context::absolute(path)?;
    match file::stat_follow(fd::CWD, &file::path(&*absolute)?) {
        Err(error) if error.is(Errno::ENOENT) && create => file::mkdir_all(&absolute, 0o755).map(|()| absolute),
        Err(error) => Err(Error::os(error.errno(), "bind mount", absolute)
            .hint("--volume makes a missing directory, --mount does not")),
        Ok(_) => Ok(absolute),
    }
}

/// Kind and number of a device of the host's.
pub(super) fn device(path: &str, option: &str, block_only: bool) -> Result<(bool, u32, u32)> {
    let stat = file::stat_follow(fd::CWD, &file::path(path)?)
        .map_err(|error| Error::os(error.errno(), alloc::format!("{option}: look at"), path))?;
    let kind = u32::from(stat.mode) & libc::S_IFMT;
    let is_block = kind == libc::S_IFBLK;
    if is_block || (kind == libc::S_IFCHR && !block_only) {
        return Ok((is_block, stat.rdev_major, stat.rdev_minor));
    }
    let accepted =
        if block_only { "a block device, such as /dev/sda" } else { "a device node of the host, such as /dev/fuse" };
    Err(Error::new(alloc::format!("invalid value {} for {option}: no device", Quoted(path)))
        .hint(alloc::format!("accepted: {accepted}")))
}
