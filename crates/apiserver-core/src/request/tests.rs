use super::*;

/// `verb group/version resource namespace name subresource` of a resource, or the route.
fn routed(method: &str, target: &str) -> Result<String, u16> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match route(method, path, query) {
        Ok(Route::Resource(r)) => {
            let or = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            Ok(format!(
                "{} {}/{} {} {} {} {}",
                r.verb.as_str(),
                r.group,
                r.version,
                r.resource,
                or(r.namespace),
                or(r.name),
                or(r.subresource)
            ))
        }
        Ok(other) => Ok(format!("{other:?}")),
        Err(error) => Err(error.code()),
    }
}

#[test]
fn paths_and_methods_are_told_apart() {
    for (method, target, wanted) in [
        ("GET", "/api/v1/namespaces", "list /v1 namespaces - - -"),
        ("GET", "/api/v1/namespaces/n", "get /v1 namespaces - n -"),
        ("PUT", "/api/v1/namespaces/n/status", "update /v1 namespaces - n status"),
        ("GET", "/api/v1/namespaces/n/secrets", "list /v1 secrets n - -"),
        ("GET", "/api/v1/namespaces/n/secrets?watch=maybe", "watch /v1 secrets n - -"),
        ("GET", "/api/v1/secrets?watch=0", "list /v1 secrets - - -"),
        ("POST", "/api/v1/namespaces/n/secrets", "create /v1 secrets n - -"),
        ("PATCH", "/apis/g.io/v1/ships/%61", "patch g.io/v1 ships - a -"),
        ("DELETE", "/apis/g.io/v1/ships/a/", "delete g.io/v1 ships - a -"),
        ("DELETE", "/apis/g.io/v1/ships", "deletecollection g.io/v1 ships - - -"),
        ("PATCH", "/apis/g.io/v1/namespaces/n/ships/a/status", "patch g.io/v1 ships n a status"),
        ("GET", "/api", "Discovery(CoreVersions)"),
        ("GET", "/apis/", "Discovery(Groups)"),
        ("GET", "/apis/g.io", "Discovery(Group(\"g.io\"))"),
        ("GET", "/openapi/v2", "OpenApiV2"),
        ("GET", "/openapi/v3", "OpenApiIndex"),
        ("GET", "/openapi/v3/apis/g.io/v1", "OpenApi { group: \"g.io\", version: \"v1\" }"),
        ("GET", "/version", "Version"),
        ("GET", "/livez/ping", "Health(\"livez\")"),
        ("GET", "/", "Root"),
        ("GET", "/.well-known/openid-configuration", "Issuer"),
        ("GET", "/openid/v1/jwks", "IssuerKeys"),
        ("GET", "/api/v1/namespaces/n/configmaps/a%zz", "Malformed"),
        ("GET", "/nosuch", "Unknown"),
        ("GET", "//api/v1/namespaces", "Unknown"),
    ] {
        assert_eq!(routed(method, target), Ok(wanted.to_owned()), "{method} {target}");
    }
}

#[test]
fn strange_paths_and_methods_are_refused() {
    for (method, target, code) in [
        ("GET", "/api/v1//namespaces/n/configmaps/a", 404),
        ("GET", "/api/v1/namespaces/n/configmaps/../secrets", 404),
        ("GET", "/api/v1/namespaces/n/configmaps/a%2fb", 404),
        ("GET", "/api/v1/namespaces/n/configmaps/%2e%2e", 400),
        ("GET", "/api/v1/namespaces/n/configmaps/a/b/c/d", 404),
        ("PUT", "/api/v1/namespaces/n/configmaps", 405),
        ("POST", "/api/v1/namespaces/n/configmaps/a", 405),
        ("OPTIONS", "/api/v1/namespaces/n/configmaps/a", 405),
        ("FOO", "/api/v1/namespaces/n/configmaps/a", 405),
        ("POST", "/version", 405),
    ] {
        assert_eq!(routed(method, target), Err(code), "{method} {target}");
    }
}

#[test]
fn queries_are_read_leniently() {
    let query = "&limit=500&labelSelector=a%3Db%2Cc&labelSelector=x&a=1;b=2&fieldSelector=%zz\
                 &allowWatchBookmarks&timeoutSeconds=290&continue=abc&force=maybe";
    let options = Options::parse(query, Verb::List).unwrap_or_default();
    let wanted = Options {
        limit: Some(500),
        label_selector: Some("a=b,c".into()),
        continue_token: Some("abc".into()),
        timeout_seconds: Some(290),
        ..Options::default()
    };
    assert_eq!(options, wanted);
    let options = Options::parse("limit=-1&dryRun=All&dryRun=All", Verb::Create);
    assert_eq!(options.map(|o| (o.limit, o.dry_run)), Ok((None, true)));
}

const REFUSED: &[(&str, Verb, u16, &str)] = &[
    ("limit=abc", Verb::List, 400, "strconv.ParseInt: parsing \"abc\": invalid syntax"),
    ("limit=99999999999999999999", Verb::List, 400, "value out of range"),
    ("resourceVersion=abc", Verb::List, 400, "invalid resource version: resourceVersion:"),
    ("resourceVersion=%201", Verb::Get, 400, "parsing \" 1\": invalid syntax"),
    ("resourceVersion=abc", Verb::Watch, 500, "resourceVersion: Invalid value: \"abc\""),
    ("resourceVersionMatch=Exact", Verb::List, 422, "unless resourceVersion is provided"),
    ("resourceVersion=0&resourceVersionMatch=Exact", Verb::List, 422, "\"exact\" is forbidden"),
    ("resourceVersion=1&resourceVersionMatch=Foo", Verb::List, 422, "Unsupported value: \"Foo\""),
    ("sendInitialEvents=true", Verb::List, 422, "forbidden for list"),
    ("sendInitialEvents=true", Verb::Watch, 422, "requires setting resourceVersionMatch"),
    ("resourceVersionMatch=NotOlderThan", Verb::Watch, 422, "forbidden for watch unless"),
    (
        "fieldValidation=Foo",
        Verb::Create,
        422,
        "CreateOptions.meta.k8s.io \"\" is invalid: \
            fieldValidation: Unsupported value: \"Foo\": supported values: \"\", \"Ignore\", \
            \"Strict\", \"Warn\"",
    ),
    ("propagationPolicy=Foo", Verb::Delete, 422, "\"Foreground\", \"Background\", \"Orphan\""),
    ("dryRun=Some", Verb::Create, 422, "dryRun: Unsupported value"),
];

#[test]
fn options_that_make_no_sense_are_refused_as_recorded() {
    for (query, verb, code, text) in REFUSED {
        let error = Options::parse(query, *verb).map_err(|error| (error.code(), error.to_string()));
        let Err((found, message)) = error else {
            assert_eq!(*query, "an error");
            continue;
        };
        assert_eq!(found, *code, "{query}: {message}");
        assert!(message.contains(text), "{query}: {message}");
    }
    let manager = format!("fieldManager={}", "m".repeat(129));
    assert_eq!(Options::parse(&manager, Verb::Create).map_err(|e| e.code()), Err(422));
}

#[test]
fn a_watch_list_is_accepted() {
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                 &allowWatchBookmarks=true&resourceVersion=0";
    let options = Options::parse(query, Verb::Watch).unwrap_or_default();
    assert!(options.watch && options.allow_watch_bookmarks);
    assert_eq!(options.send_initial_events, Some(true));
    assert_eq!(options.revision(), Ok(Some(0)));
}

#[test]
fn the_old_path_of_a_watch_is_a_watch() {
    let found = |target: &str, query: &str| match route("GET", target, query) {
        Ok(Route::Resource(info)) => Some((info.verb, info.namespace, info.resource, info.name)),
        _ => None,
    };
    let (secrets, name) = ("secrets".to_owned(), Some("a".to_owned()));
    let wanted = Some((Verb::Watch, Some("n".to_owned()), secrets.clone(), name));
    assert_eq!(found("/api/v1/watch/namespaces/n/secrets/a", ""), wanted);
    let all = Some((Verb::Watch, None, secrets, None));
    assert_eq!(found("/api/v1/watch/secrets", "limit=1"), all);
    assert_eq!(found("/api/v1/watch/namespaces/n/secrets/a/status", ""), None);
}
