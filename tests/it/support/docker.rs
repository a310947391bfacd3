//! Containers, where a Docker engine answers.

use std::process::{Command, Stdio};
use std::sync::LazyLock;

use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

static ANSWERS: LazyLock<bool> = LazyLock::new(|| match super::variable("DOCKER_HOST") {
    None => std::os::unix::net::UnixStream::connect("/var/run/docker.sock").is_ok(),
    Some(host) => match host.split_once("://") {
        Some(("unix", path)) => std::os::unix::net::UnixStream::connect(path).is_ok(),
        Some((_, address)) => std::net::TcpStream::connect(address).is_ok(),
        None => false,
    },
});

/// Whether a Docker engine answers.
pub(super) fn answers() -> bool {
    *ANSWERS
}

/// A running container with one port, which stays the same over stop and start.
#[derive(Debug)]
pub(super) struct Container {
    container: ContainerAsync<GenericImage>,
    /// Removes the container when this process ends without dropping it: shared ones are never dropped.
    _keeper: Option<std::process::Child>,
}

impl Container {
    pub(super) async fn run(image: (&str, &str), ports: (u16, u16), env: &[(&str, &str)]) -> Self {
        let (host, inside) = ports;
        let mut request = GenericImage::new(image.0, image.1).with_mapped_port(host, inside.tcp());
        for (name, value) in env {
            request = request.with_env_var(*name, *value);
        }
        let container = request.start().await.expect("a container starts");
        let keeper = Command::new("/bin/sh")
            .args(["-c", r#"read -r _; docker rm -f "$1""#, "keeper", container.id()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok();
        Self { container, _keeper: keeper }
    }

    pub(super) async fn stop(&self) {
        self.container.stop().await.expect("the container stops");
    }

    pub(super) async fn kill(&self) {
        self.container.stop_with_timeout(Some(0)).await.expect("the container is killed");
    }

    pub(super) async fn start(&self) {
        self.container.start().await.expect("the container starts again");
    }

    pub(super) async fn pause(&self) {
        self.container.pause().await.expect("the container is paused");
    }

    pub(super) async fn resume(&self) {
        self.container.unpause().await.expect("the container goes on");
    }
}
