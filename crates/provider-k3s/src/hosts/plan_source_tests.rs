//! Cases of planning: where a binary comes from, and what somebody else set up on the host.

use super::*;

fn from(source: Source) -> Wanted {
    Wanted { source, ..wanted() }
}

#[test]
fn a_binary_of_somebody_else_is_used_and_never_touched() {
    let preinstalled = from(Source::Preinstalled);
    assert_eq!(
        refused(&preinstalled, &bare()),
        [
            "there is no K3s at /usr/local/bin/k3s, and `source: Preinstalled` says that you put it there; do so"
        ]
    );
    let mut facts = bare();
    facts.binary = Some(Digest::of("theirs"));
    facts.version = Some("v1.33.9+k3s1".into());
    assert_eq!(
        refused(&preinstalled, &facts),
        [
            "the K3s that you put there is v1.33.9+k3s1, declared is v1.34.2+k3s1; install that version, or declare the one \
             that is there"
        ]
    );
    facts.version = Some("v1.34.2+k3s1".into());
    let mut model = Model(facts);
    assert_eq!(
        model.work(&preinstalled),
        [
            "mark the host as that of edge/store-17",
            "write /etc/fleetwright/keep-binary",
            "write /etc/rancher/k3s/token",
            "write /etc/rancher/k3s/config.yaml",
            "write /etc/systemd/system/k3s.service",
            "enable k3s.service",
            "start k3s.service",
            "wait",
            "Done"
        ]
    );
    // They put another build of the same version there: it is read in its turn.
    model.0.binary = Some(Digest::of("theirs, again"));
    let held = Wanted { disruption: Disruption::Restart, ..preinstalled };
    assert_eq!(model.work(&held), ["Upgrade is held: restart k3s.service"]);
    // From now on we send it.
    model.0.binary = Some(Digest::of("theirs"));
    let done = model.work(&wanted());
    assert_eq!(
        done[..3],
        ["send k3s", "send k3s from byte 10 on", "remove /etc/fleetwright/keep-binary"]
    );
}

#[test]
fn an_install_script_brings_binary_and_unit_and_we_note_its_starts() {
    let script = from(Source::Script);
    let mut model = Model(bare());
    assert_eq!(
        model.work(&script),
        [
            "mark the host as that of edge/store-17",
            "run K3s's install script for a server of v1.34.2+k3s1",
            "write /etc/rancher/k3s/token",
            "write /etc/rancher/k3s/config.yaml",
            "write /etc/systemd/system/k3s.service.d/50-fleetwright.conf",
            "enable k3s.service",
            "start k3s.service",
            "wait",
            "Done"
        ]
    );
    let newer = Wanted {
        version: version("v1.35.0+k3s1"),
        disruption: Disruption::Restart,
        ..from(Source::Script)
    };
    assert_eq!(
        model.work(&newer),
        ["Upgrade is held: run K3s's install script for a server of v1.35.0+k3s1"]
    );
    let newer = Wanted { disruption: Disruption::Upgrade, ..newer };
    assert_eq!(
        model.work(&newer),
        [
            "run K3s's install script for a server of v1.35.0+k3s1",
            "start k3s.service",
            "wait",
            "Done"
        ]
    );
}

#[test]
fn what_would_overrule_us_or_be_lost_is_told() {
    let mut facts = bare();
    facts.settings.insert("data-dir".into(), "/data/k3s".into());
    facts.drop_ins.insert("10-site.yaml".into());
    facts.units.extend(["k3s.service".into(), "k3s-lab.service".into()]);
    facts.flags.extend(["--data-dir".into(), "K3S_TOKEN".into(), "--tls-san".into()]);
    let adopting = Wanted { adoption: Adoption::Existing, ..wanted() };
    assert_eq!(
        refused(&adopting, &facts),
        [
            "its K3s keeps its data in /data/k3s, which is not supported; move it to /var/lib/rancher/k3s",
            "/etc/rancher/k3s/config.yaml.d/10-site.yaml is not ours and overrules what is declared; declare what it sets in \
             `k3s.config`, and remove it",
            "k3s-lab.service is a K3s under another name; uninstall it",
            "its unit gives K3s --data-dir, --tls-san, which would be lost; declare what they set, write them to \
             /etc/rancher/k3s/config.yaml, and take them out of the unit"
        ]
    );
    facts.settings.insert("data-dir".into(), "/var/lib/rancher/k3s/".into());
    facts.drop_ins.clear();
    facts.units.remove("k3s-lab.service");
    facts.flags = BTreeSet::from(["K3S_TOKEN".to_owned(), "K3S_URL".to_owned()]);
    assert!(!matches!(next(&adopting, &facts, NOW_S), Next::Refused(_)));
}
