//! Hosts from outside: the scripts as they are sent, on real shells, and over real SSH to real sshd.

#[cfg(test)]
mod it {
    mod conformance;
    mod life;
    mod nspawn;
    mod scripts;
    #[cfg(target_os = "linux")]
    mod secrets;
    #[cfg(target_os = "linux")]
    mod shell;
    #[cfg(target_os = "linux")]
    mod shell_cluster;
    #[cfg(target_os = "linux")]
    mod shell_source;
    mod ssh_hostile;
    #[cfg(target_os = "linux")]
    mod ssh_install;
    #[cfg(target_os = "linux")]
    mod ssh_pool;
    #[cfg(target_os = "linux")]
    mod ssh_trust;
    mod support;
    mod world;
}
