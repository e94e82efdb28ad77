//! What the container gets of the host: directories, volumes, devices.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::image::Found;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::sha256;
use crate::base::sort::sort;
use crate::base::text::{Cut, Quoted};
use crate::cli::context::Context;
use crate::cli::options::RunOptions;
use crate::cli::options::mounts::{Mount, Source};
use crate::container::spec;
use crate::sys::{Fd, because, fd, file, process};

/// Paths and numbers that the specification is made with.
#[derive(Default)]
pub(super) struct Sources {
    /// Mounts that the user or the image asked for.
    pub(super) mounts: Vec<spec::Mount>,
    /// Targets of volumes that are to be filled with what the image has there.
    pub(super) fills: Vec<String>,
    /// Volumes made for this container alone.
    pub(super) anonymous: Vec<String>,
}

/// Looks the host's paths up, and makes what is to be made.
pub(super) fn gather(options: &RunOptions<'_>, found: &Found, root: &Fd) -> Result<Sources> {
    resolve(options, found, Some(root))
}

impl Sources {
    /// Looks, but makes nothing.
    pub(super) fn look_only(options: &RunOptions<'_>, found: &Found) -> Result<Sources> {
        resolve(options, found, None)
    }
}

fn resolve(options: &RunOptions<'_>, found: &Found, root: Option<&Fd>) -> Result<Sources> {
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
        let resolved = sources.mount(mount, root)?;
        sources.mounts.push(resolved);
    }
    Ok(sources)
}

impl Sources {
    fn mount(&mut self, mount: &Mount, root: Option<&Fd>) -> Result<spec::Mount> {
        let mut options: Vec<String> = Vec::new();
        let (kind, source) = match &mount.source {
            Source::Bind { path, create, recursive, propagation } => {
                options.push(if *recursive { "rbind" } else { "bind" }.into());
                options.push(propagation.name().into());
                ("bind", bind_source(path, *create && root.is_some())?)
            }
            Source::Volume { name, copy } => {
                options.extend(["rbind".into(), "rprivate".into()]);
                ("bind", self.volume(name, *copy, &mount.target, root)?)
            }
            Source::Anonymous { copy } => {
                let mut random = [0u8; 32];
                process::random(&mut random)?;
                let name = sha256::hex(&random);
                options.extend(["rbind".into(), "rprivate".into()]);
                self.anonymous.push(name.clone());
                ("bind", self.volume(&name, *copy, &mount.target, root)?)
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
                    options.extend(value.map(|value| alloc::format!("{name}={value}")))
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
    fn volume(&mut self, name: &str, copy: bool, target: &str, root: Option<&Fd>) -> Result<String> {
        if let Some(root) = root {
            for (path, mode) in [("volumes", 0o700), (&alloc::format!("volumes/{name}"), 0o700)] {
                file::mkdir_if_missing(root.by_ref(), &file::path(path)?, mode)?;
            }
            let data = file::path(alloc::format!("volumes/{name}/_data"))?;
            file::mkdir_if_missing(root.by_ref(), &data, 0o755)?;
            let opened = file::open(root.by_ref(), &data, libc::O_RDONLY | libc::O_DIRECTORY)?;
            if copy && file::list(opened.by_ref())?.is_empty() {
                self.fills.push(target.to_string());
            }
        }
        Ok(alloc::format!("../../volumes/{name}/_data"))
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

/// Removes a volume.
pub(super) fn remove_volume(root: &Fd, name: &str) -> Result<()> {
    let _why = because("remove the volume that was made for this container alone");
    file::remove_tree(root.by_ref(), &file::path(alloc::format!("volumes/{name}"))?)
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
