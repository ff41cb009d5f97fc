//! What changes a host itself: its marker, its files, its services.

use super::deed::{Deed, Fail};
use super::service::Scene;
use super::state::{BINARY, File, Part, Role, sha256};

/// Nothing larger is kept: what the simulation hands out itself is far smaller.
const MOST_BYTES: usize = 1024 * 1024;
const KEEP_BINARY: &str = "/etc/fleetwright/keep-binary";

type Said = Result<Vec<String>, Fail>;

fn changed(did: bool) -> Vec<String> {
    vec![format!("changed={}", if did { "yes" } else { "no" })]
}

impl Scene {
    /// Does a deed and gives the lines that its script prints.
    pub(super) fn perform(&mut self, deed: &Deed, payload: &[u8]) -> Said {
        self.guard(deed)?;
        match deed.name.as_str() {
            "read-facts" => Ok(self.facts()),
            "change-marker" => self.change_marker(deed),
            "put-part" => self.put_part(deed, payload),
            "place" => self.place(deed),
            "run-install-script" => self.run_install_script(deed, payload),
            "write-file" => self.write_file(deed, payload),
            "remove-file" => Ok(changed(self.host.files.remove(deed.text("path")?).is_some())),
            "apply-sysctls" => {
                self.apply_sysctls();
                Ok(changed(true))
            }
            "service" => self.ask_service(deed),
            "read-token" => match &self.host.token {
                Some(token) => Ok(vec![format!("token={token}")]),
                None => Err(Fail::new("absent", "/var/lib/rancher/k3s/server/token")),
            },
            "uninstall" => Ok(self.uninstall()),
            _ => self.perform_in_cluster(deed),
        }
    }

    fn guard(&self, deed: &Deed) -> Result<(), Fail> {
        let Some(ours) = &deed.ours else { return Ok(()) };
        match &self.host.marker {
            None => Err(Fail::new("not-ours", "the host carries no marker")),
            Some(marker) if marker == ours => Ok(()),
            Some(marker) => Err(Fail::new("not-ours", marker.replace('\n', " "))),
        }
    }

    fn has_room(&self, what: &str) -> Result<(), Fail> {
        if self.host.free_kib == 0 {
            return Err(Fail::new("write", what));
        }
        Ok(())
    }

    fn change_marker(&mut self, deed: &Deed) -> Said {
        let now = deed.text("now")?.to_owned();
        if self.host.marker.as_ref() == Some(&now) {
            return Ok(changed(false));
        }
        if self.host.marker.as_deref() != deed.maybe("was").filter(|was| !was.is_empty()) {
            let found = self.host.marker.clone().unwrap_or_default();
            return Err(Fail::new("not-ours", found.replace('\n', " ")));
        }
        self.has_room("/etc/fleetwright/owner.new")?;
        self.host.marker = Some(now);
        Ok(changed(true))
    }

    fn put_part(&mut self, deed: &Deed, payload: &[u8]) -> Said {
        let (word, digest) = (deed.text("artifact")?.to_owned(), deed.text("digest")?.to_owned());
        let (offset, length, whole) =
            (deed.number("offset")?, deed.number("length")?, deed.number("whole")?);
        if self.host.parts.get(&word).is_some_and(|part| part.whole && part.digest == digest) {
            return Ok(changed(false));
        }
        self.has_room(&format!(".k3s-{digest}.part"))?;
        let kind = |word: &str| word.split('.').next().unwrap_or_default().to_owned();
        // A part of something else on its way to the same place goes.
        self.host.parts.retain(|other, part| kind(other) != kind(&word) || part.digest == digest);
        let empty = || Part { digest: digest.clone(), content: String::new(), whole: false };
        let part = self.host.parts.entry(word.clone()).or_insert_with(empty);
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        if part.content.len() < at {
            let have = part.content.len();
            let said = format!("{have} bytes are there, the part begins at {offset}");
            return Err(Fail::new("gap", said));
        }
        part.content.truncate(at);
        part.content.push_str(&String::from_utf8_lossy(payload));
        if part.content.len() > MOST_BYTES {
            part.content.clear();
            return Err(Fail::new("write", "the simulation keeps no file of that size"));
        }
        let have = part.content.len() as u64;
        if have != offset + length {
            return Err(Fail::new("cut", format!("{have} bytes are there")));
        }
        if have >= whole {
            if sha256(part.content.as_bytes()) != digest {
                self.host.parts.remove(&word);
                return Err(Fail::new(
                    "digest",
                    "what arrived is not what was sent; it is removed",
                ));
            }
            part.whole = true;
        }
        Ok(changed(true))
    }

    fn place(&mut self, deed: &Deed) -> Said {
        let (word, digest) = (deed.text("artifact")?, deed.text("digest")?);
        let is_binary = word == "binary";
        // `images.tar.zst` is put in place as `fleetwright-airgap-images.tar.zst`.
        let path = format!("/var/lib/rancher/k3s/agent/images/fleetwright-airgap-{word}");
        let there = match &self.host.binary {
            Some((is, _)) if is_binary => is == digest,
            _ => !is_binary && self.host.images.get(&path).is_some_and(|is| is == digest),
        };
        let ready = |part: &Part| part.whole && part.digest == digest;
        let part = match self.host.parts.get(word) {
            Some(part) if ready(part) => self.host.parts.remove(word),
            _ => None,
        };
        if there {
            return Ok(changed(false));
        }
        let part = part.ok_or_else(|| Fail::new("gap", "it has not arrived"))?;
        if is_binary {
            self.host.binary = Some((digest.to_owned(), version_of(&part.content)));
        } else {
            self.host.images.clear();
            self.host.images.insert(path, digest.to_owned());
        }
        Ok(changed(true))
    }

    fn run_install_script(&mut self, deed: &Deed, payload: &[u8]) -> Said {
        if sha256(payload) != deed.text("digest")? {
            return Err(Fail::new("cut", "the install script did not arrive whole"));
        }
        self.has_room("/run/fleetwright/install.sh")?;
        let version = deed.text("version")?.to_owned();
        let role = Role::parse(deed.text("role")?).ok_or_else(|| Fail::new("bug", "role"))?;
        let binary = super::releases::binary(&version, "amd64");
        self.host.binary = Some((sha256(binary.as_bytes()), version));
        let content = format!("# K3s's own\n[Service]\nType=notify\nExecStart={BINARY} {role:?}\n");
        self.host.files.insert(role.unit_path(), File { content, mode: "644".to_owned() });
        Ok(changed(true))
    }

    fn write_file(&mut self, deed: &Deed, payload: &[u8]) -> Said {
        let (path, digest, mode) = (deed.text("path")?, deed.text("digest")?, deed.text("mode")?);
        let there = self.host.files.get(path).map(File::digest);
        if there.as_deref() != Some(digest) {
            self.has_room(path)?;
            if sha256(payload) != digest {
                return Err(Fail::new("cut", format!("{path} did not arrive whole")));
            }
            let content = String::from_utf8_lossy(payload).into_owned();
            self.host.files.insert(path.to_owned(), File { content, mode: mode.to_owned() });
            return Ok(changed(true));
        }
        let file = self.host.files.get_mut(path);
        let did =
            file.is_some_and(|file| std::mem::replace(&mut file.mode, mode.to_owned()) != mode);
        Ok(changed(did))
    }

    fn ask_service(&mut self, deed: &Deed) -> Said {
        let role = Role::parse(deed.text("role")?).ok_or_else(|| Fail::new("bug", "role"))?;
        let there = self.host.files.contains_key(&role.unit_path());
        let action = deed.text("action")?;
        if !there && action != "stop" {
            let unit = role.unit();
            return Err(Fail::new("service", format!("Unit file {unit} does not exist.")));
        }
        match action {
            "enable" => {
                self.host.enabled.insert(role);
            }
            "start" if self.host.runs.contains_key(&role) => {}
            "start" | "restart" => self.begin(role, self.now),
            "stop" => self.end(role, self.now),
            other => return Err(Fail::new("bug", other)),
        }
        Ok(changed(true))
    }

    /// Takes K3s and all its data away, the marker last.
    pub(super) fn uninstall(&mut self) -> Vec<String> {
        for role in Role::ALL {
            self.end(role, self.now);
        }
        let host = &mut self.host;
        if !host.files.contains_key(KEEP_BINARY) {
            host.binary = None;
        }
        host.files.retain(|path, _| !is_of_k3s(path));
        host.enabled.clear();
        host.parts.clear();
        host.images.clear();
        (host.token, host.certified, host.marker) = (None, None, None);
        let (key, was) = (host.key.clone(), host.data.take());
        if let Some(site) = was.and_then(|(site, _)| self.sites.get_mut(&site)) {
            site.holders.remove(&key);
        }
        changed(true)
    }
}

fn is_of_k3s(path: &str) -> bool {
    path == KEEP_BINARY
        || path == "/etc/sysctl.d/90-kubelet.conf"
        || path.starts_with("/etc/rancher/")
        || path.starts_with("/var/lib/rancher/")
        || path.starts_with("/etc/systemd/system/k3s")
}

/// What `k3s --version` says: the third word of the simulated binary.
fn version_of(content: &str) -> String {
    content.split_ascii_whitespace().nth(2).unwrap_or_default().to_owned()
}
