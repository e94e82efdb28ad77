//! vial below real engines: podman, buildah and containerd have it run their containers.

mod buildah;
mod compared;
mod containerd;
mod limits;
mod networks;
mod podman;
mod pods;
mod rootless;
mod users;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let all = [
        buildah::trials(),
        compared::trials(),
        containerd::trials(),
        limits::trials(),
        networks::trials(),
        podman::trials(),
        pods::trials(),
        rootless::trials(),
        users::trials(),
    ];
    all.into_iter().flatten().collect()
}
