//! The folder in which a hub lives. Born for one world, it never serves the other.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fleetwright_apiserver::replace_file;
use fleetwright_clock::Ids;
use serde_json::json;

use crate::wiring::World;

/// Which world the folder was born for.
const BORN: &str = "born";
/// Where the hub listened last: kubeconfigs and the members' endpoints hold it.
const LISTEN: &str = "listen";
const TOKEN: &str = "token";
/// The administrator's way in, and the only file of this name below the folder.
pub(crate) const KUBECONFIG: &str = "kubeconfig";

/// An opened data folder.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Nothing was there before.
    pub(crate) new: bool,
}

impl DataDir {
    /// Where a world's state lives when nobody says otherwise.
    pub(crate) fn default_path(world: World) -> PathBuf {
        let variable =
            |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = variable("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let base = base.or_else(|| variable("HOME").map(|home| home.join(".local/share")));
        match base {
            Some(base) => base.join("fleetwright").join(world.word()),
            None => PathBuf::from("fleetwright-data").join(world.word()),
        }
    }

    /// Opens or makes it, for its owner only.
    pub(crate) fn open(path: &Path, world: World) -> anyhow::Result<Self> {
        let shown = path.display();
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make {shown}"))?;
        let born = match born(path)? {
            Some(born) => born,
            None => {
                // A folder with other things in it is somebody's; the store would be lost among them.
                let inside = fs::read_dir(path).with_context(|| format!("cannot read {shown}"))?;
                for entry in inside {
                    // A first start that was cut off leaves an unfinished marker.
                    if entry?.file_name() != "born.new" {
                        bail!(
                            "{shown} holds something else; name an empty or a new folder with --data"
                        );
                    }
                }
                fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                    .with_context(|| format!("cannot protect {shown}"))?;
                write(&path.join(BORN), world.word(), 0o600)?;
                return Ok(Self { path: path.to_owned(), new: true });
            }
        };
        if born != world {
            let (born, asked) = (born.word(), world.word());
            let with = |flag: &str| format!("`fleetwright up{flag} --data {shown}`");
            let resume = if born == "simulated" { with(" --simulate") } else { with("") };
            bail!(
                "{shown} was born {born} and cannot become {asked}; resume it with {resume}, or name another folder with --data"
            );
        }
        Ok(Self { path: path.to_owned(), new: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The administrator's token, made once.
    pub(crate) fn token(&self, ids: &dyn Ids) -> anyhow::Result<String> {
        let file = self.file(TOKEN);
        if let Some(token) = read(&file)? {
            return Ok(token);
        }
        let token = ids.token();
        write(&file, &token, 0o600)?;
        Ok(token)
    }

    /// Where the hub listened last.
    pub(crate) fn last_listen(&self) -> anyhow::Result<Option<SocketAddr>> {
        Ok(read(&self.file(LISTEN))?.and_then(|text| text.parse().ok()))
    }

    /// Remembers where the hub listens.
    pub(crate) fn remember_listen(&self, address: SocketAddr) -> anyhow::Result<()> {
        write(&self.file(LISTEN), &address.to_string(), 0o600)
    }

    /// Writes the administrator's kubeconfig.
    pub(crate) fn write_kubeconfig(
        &self,
        server: &str,
        ca_pem: &str,
        token: &str,
    ) -> anyhow::Result<PathBuf> {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(ca_pem);
        let name = "fleetwright";
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        });
        let file = self.file(KUBECONFIG);
        write(&file, &format!("{config:#}\n"), 0o600)?;
        Ok(file)
    }
}

/// The world a folder was born for; `None` when it is none of ours.
pub(crate) fn born(path: &Path) -> anyhow::Result<Option<World>> {
    match read(&path.join(BORN))?.as_deref() {
        None => Ok(None),
        Some("simulated") => Ok(Some(World::Simulated)),
        Some("real") => Ok(Some(World::Real)),
        Some(other) => {
            bail!("{}: {other:?} is neither simulated nor real", path.join(BORN).display())
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn write(file: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    replace_file(file, text, mode).with_context(|| format!("cannot write {}", file.display()))
}
