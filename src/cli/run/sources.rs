//! What the container gets of the host: directories, volumes, devices.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use super::Options;
use super::image::Found;
use crate::base::errno::Errno;
use crate::base::error::{Error, Result};
use crate::base::sort::sort;
use crate::base::text::{Cut, Quoted};
use crate::cli::context::Context;
use crate::cli::options::mounts::{Mount, Source};
use crate::container::spec;
use crate::container::volume;
use crate::sys::{because, fd, file};

/// Paths and numbers that the specification is made with.
#[derive(Default)]
pub(super) struct Sources {
    /// Mounts that the user or the image asked for.
    pub(super) mounts: Cell<Vec<spec::Mount>>,
    /// Volumes for this container alone.
    pub(super) unnamed: Vec<&'static str>,
    /// Targets of volumes that get what the image has there, a line each.
    pub(super) fills: String,
}

impl Sources {
    /// Looks the host's paths up; with `make` those that `--volume` names and that are missing are made. Volumes are not, since
    /// the container must tell of them first.
    #[inline(never)]
    pub(super) fn gather(options: Options, found: &'static Found, make: bool) -> Result<&'static Sources> {
        let _why = because!("find the host's directories, volumes and devices that the container gets");
        let sources = Box::leak(Box::new(Sources::default()));
        let mut asked: Vec<(&'static str, Option<&'static Mount<'static>>)> = Vec::new();
        for mount in &options.mounts {
            asked.push((mount.target, Some(mount)));
        }
        for path in &found.volumes {
            if !asked.iter().any(|(target, _)| target == path) && path.starts_with('/') && path.len() > 1 {
                asked.push((path, None));
            }
        }
        // A mount below another one must come after it.
        let depth = |(target, _): &(&str, _)| target.parts(b'/').count();
        sort(&mut asked, |one, other| depth(one) < depth(other));
        for (target, mount) in asked {
            match mount {
                Some(mount) => sources.mount(mount, make)?,
                None => sources.anonymous(target, true, false)?,
            }
        }
        Ok(sources)
    }

    #[inline(never)]
    fn mount(&mut self, mount: &'static Mount<'static>, make: bool) -> Result<()> {
        let target = mount.target;
        match &mount.source {
            Source::Bind { path, create, recursive, propagation } => {
                let source = bind_source(path, *create, make)?;
                self.bind(
                    source,
                    target,
                    if *recursive { "rbind" } else { "bind" },
                    propagation.name(),
                    mount.read_only,
                );
            }
            Source::Volume { name, copy } => self.volume(name, target, *copy, mount.read_only),
            Source::Anonymous { copy } => self.anonymous(target, *copy, mount.read_only)?,
            Source::Tmpfs(options) => {
                let mut options = options.to_vec();
                if mount.read_only {
                    options.push("ro");
                }
                self.add(target, "tmpfs", "tmpfs", options);
            }
        }
        if let Some(made) = self.mounts.get_mut().last_mut() {
            for (asked, option) in [(mount.idmap, "ridmap"), (mount.owned, "U")] {
                if asked {
                    made.options.push(option);
                }
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn add(&mut self, target: &'static str, kind: &'static str, source: &'static str, options: Vec<&'static str>) {
        let (kind, source) = (Some(kind), Some(source));
        self.mounts.get_mut().push(spec::Mount {
            destination: target,
            kind,
            source,
            options,
            ..spec::Mount::default()
        });
    }

    fn bind(
        &mut self,
        source: &'static str,
        target: &'static str,
        how: &'static str,
        propagation: &'static str,
        read_only: bool,
    ) {
        let mut options = alloc::vec![how, propagation];
        if read_only {
            // The second is about a whole tree of mounts, so that nothing below can be written either.
            options.extend_from_slice(&["ro", "rro"]);
        }
        self.add(target, "bind", source, options);
    }

    /// A new volume for this container alone.
    fn anonymous(&mut self, target: &'static str, copy: bool, read_only: bool) -> Result<()> {
        let name = volume::unnamed()?.leak();
        self.unnamed.push(name);
        self.volume(name, target, copy, read_only);
        Ok(())
    }

    /// The directory of a volume, relative to the bundle, so that the store can move.
    fn volume(&mut self, name: &'static str, target: &'static str, copy: bool, read_only: bool) {
        if copy {
            self.fills.push_str(target);
            self.fills.push('\n');
        }
        self.bind(volume::source(name).leak(), target, "rbind", "rprivate", read_only);
    }
}

/// A path of the host's for a bind mount, absolute; a missing one is an error, or a directory to be made.
fn bind_source(path: &str, create: bool, make: bool) -> Result<&'static str> {
    let absolute = Context::absolute(path)?;
    match file::stat_follow(fd::CWD, file::path(absolute)?) {
        Ok(_) => {}
        Err(error) if error.is(Errno::ENOENT) && create => {
            if make {
                file::mkdir_all(absolute, 0o755)?;
            }
        }
        Err(error) => {
            return Err(Error::os(error.errno(), phrase!("bind mount"), absolute)
                .hint(phrase!("--volume makes a missing directory, --mount does not")));
        }
    }
    Ok(absolute)
}

/// Kind and number of a device of the host's.
#[inline(never)]
pub(super) fn device(path: &str, option: &str, block_only: bool) -> Result<(bool, u32, u32)> {
    let stat = file::stat_follow(fd::CWD, file::path(path)?)
        .map_err(|error| Error::os(error.errno(), say!("{}: look at", option), path))?;
    let kind = u32::from(stat.mode) & libc::S_IFMT;
    let is_block = kind == libc::S_IFBLK;
    if is_block || (kind == libc::S_IFCHR && !block_only) {
        return Ok((is_block, stat.rdev_major, stat.rdev_minor));
    }
    let accepted =
        if block_only { "a block device, such as /dev/sda" } else { "a device node of the host, such as /dev/fuse" };
    Err(Error::new(say!("invalid value {} for {}: no device", Quoted(path), option))
        .hint(say!("accepted: {}", accepted)))
}
