//! Hosts from outside: the scripts as they are sent, on real shells, and over real SSH to real sshd.

#[cfg(test)]
mod it {
    mod scripts;
    #[cfg(target_os = "linux")]
    mod secrets;
    #[cfg(target_os = "linux")]
    mod shell;
    mod ssh_hostile;
    #[cfg(target_os = "linux")]
    mod ssh_install;
    #[cfg(target_os = "linux")]
    mod ssh_trust;
    mod support;
}
