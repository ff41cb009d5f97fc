//! Cases of planning: whose a host is, and how it is taken over or left alone.

use super::*;

#[test]
fn a_k3s_of_somebody_else_is_left_alone_unless_adopted() {
    let mut facts = bare();
    facts.binary = Some(Digest::of("theirs"));
    facts.version = Some("v1.34.1+k3s1".into());
    facts.units = BTreeSet::from(["k3s.service".to_owned()]);
    assert_eq!(
        refused(&wanted(), &facts),
        [
            "K3s is installed already, and not by us (v1.34.1+k3s1, k3s.service); uninstall it, or declare `adoption: Existing`"
        ]
    );
    facts.marker = Some(Marker::Released(Uid::new("5").expect("uid")));
    assert_eq!(
        refused(&wanted(), &facts),
        [
            "K3s is installed already, and not by us (let go by the object with uid 5); uninstall it, or declare `adoption: Existing`"
        ]
    );
    let adopting = Wanted { adoption: Adoption::Existing, ..wanted() };
    assert_eq!(Model(facts).work(&adopting)[0], INSTALL[0]);
    // A host that was let go and is empty is as good as new.
    let mut facts = bare();
    facts.marker = Some(Marker::Released(Uid::new("5").expect("uid")));
    assert_eq!(Model(facts).work(&wanted())[..10], INSTALL);
}

#[test]
fn a_host_of_another_object_is_refused_and_so_is_that_of_a_predecessor() {
    let mut facts = bare();
    let mut other = owner("7");
    other.hub = HubId::new("cd").expect("hub");
    facts.marker = Some(Marker::Owned(other));
    assert_eq!(
        refused(&wanted(), &facts),
        ["it belongs to edge/store-17 on hub cd; let it go there first"]
    );
    facts.marker = Some(Marker::Owned(owner("6")));
    assert_eq!(
        refused(&wanted(), &facts),
        ["it belongs to an earlier edge/store-17 with uid 6; take it over by naming that uid"]
    );
    facts.marker = Some(Marker::Unreadable("fleetwright 2".into()));
    assert_eq!(
        refused(&Wanted { adoption: Adoption::Existing, ..wanted() }, &facts),
        [
            r#"its marker /etc/fleetwright/owner is not understood ("fleetwright 2"); a newer Fleetwright may own it"#
        ]
    );
}

#[test]
fn a_server_does_not_become_an_agent_where_it_stands() {
    let mut agent = wanted();
    agent.role = Role::Agent;
    assert_eq!(
        refused(&agent, &installed().0),
        ["it carries data or a unit of a K3s server; remove it from the cluster first"]
    );
}
