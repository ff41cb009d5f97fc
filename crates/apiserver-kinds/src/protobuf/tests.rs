use proptest::prelude::*;

use super::*;

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        out.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return out;
        }
    }
}

/// A field that is a text or a message.
fn part(number: u64, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn count(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [part(1, api_version), part(2, kind)].concat();
    [MAGIC.to_vec(), part(1, meta), part(2, raw), part(3, ""), part(4, "")].concat()
}

#[test]
fn a_config_map_is_read_with_its_maps() {
    let raw = [
        part(1, part(1, "cm")),
        part(2, [part(1, "k"), part(2, "v")].concat()),
        part(2, [part(1, "l"), part(2, "")].concat()),
        part(3, [part(1, "b"), part(2, [0xff, 0x00, 0x10, 0x20])].concat()),
    ]
    .concat();
    let wanted = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"},
        "data": {"k": "v", "l": ""}, "binaryData": {"b": "/wAQIA=="}});
    assert_eq!(decode(&body("v1", "ConfigMap", &raw)), Ok(wanted));
}

#[test]
fn quantities_ports_and_inlined_sources_are_read() {
    let memory = [part(1, "memory"), part(2, part(1, "64Mi"))].concat();
    let container = [
        part(1, "c"),
        part(6, [part(1, "http"), count(3, 80), part(4, "TCP")].concat()),
        part(8, part(1, memory)),
        // livenessProbe { handler { httpGet { port { intVal } } } }, the handler inlined
        part(10, [part(1, part(2, part(2, count(2, 8080)))), count(3, 5)].concat()),
    ]
    .concat();
    // volumes { name, volumeSource { secret { secretName } } }, the source inlined
    let volume = [part(1, "v"), part(2, part(6, part(1, "s")))].concat();
    let spec = [part(1, volume), part(2, container), count(4, u64::MAX)].concat();
    let raw = [part(1, part(1, "p")), part(2, spec)].concat();
    let wanted = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
        "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 80,
        "protocol": "TCP"}], "resources": {"limits": {"memory": "64Mi"}}, "livenessProbe":
        {"httpGet": {"port": 8080}, "timeoutSeconds": 5}}],
        "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
        "terminationGracePeriodSeconds": -1}});
    assert_eq!(decode(&body("v1", "Pod", &raw)), Ok(wanted));
}

#[test]
fn times_and_extra_values_are_read() {
    let time = [count(1, 1_767_323_045), count(2, 123_456_000)].concat();
    let raw = [part(1, part(1, "l")), part(2, part(4, time))].concat();
    let lease = decode(&body("coordination.k8s.io/v1", "Lease", &raw)).unwrap_or_default();
    assert_eq!(lease["spec"], json!({"renewTime": "2026-01-02T03:04:05.123456Z"}));
    let extra = [part(1, "scopes"), part(2, [part(1, "a"), part(1, "b")].concat())].concat();
    let raw = part(2, [part(3, "jo"), part(5, extra)].concat());
    let review = decode(&body("authorization.k8s.io/v1", "SubjectAccessReview", &raw));
    let spec = review.unwrap_or_default()["spec"].clone();
    assert_eq!(spec, json!({"user": "jo", "extra": {"scopes": ["a", "b"]}}));
}

#[test]
fn delete_options_are_read_whatever_group_they_name() {
    let raw = [count(1, 5), part(4, "Background"), part(2, part(1, "some-uid"))].concat();
    let wanted = json!({"apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 5,
        "propagationPolicy": "Background", "preconditions": {"uid": "some-uid"}});
    assert_eq!(decode(&body("apps/v1", "DeleteOptions", &raw)), Ok(wanted));
}

#[test]
fn bodies_that_are_no_protobuf_are_refused() {
    assert_eq!(decode(b"{}"), Err(DecodeError::NoMagic));
    let cut = body("v1", "Pod", &part(1, "x"));
    assert!(decode(&cut[..cut.len() - 6]).is_err());
    let unknown = decode(&body("v9", "Foo", b""));
    assert!(matches!(unknown, Err(DecodeError::UnknownKind { .. })), "{unknown:?}");
    // A million empty containers, two bytes each.
    let many = [0x12, 0x00].repeat(1_000_000);
    let pod = body("v1", "Pod", &part(2, many));
    assert_eq!(decode(&pod), Err(DecodeError::TooMuch));
}

proptest! {
    #[test]
    fn arbitrary_bytes_break_nothing(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(decode(&raw));
        drop(decode(&body("v1", "Pod", &raw)));
        let crd = body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &raw);
        drop(decode(&crd));
    }
}
