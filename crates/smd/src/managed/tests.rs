use serde_json::json;

use super::*;

/// An object of one kind, written to by several managers.
struct Stage {
    schema: Schema,
    api_version: &'static str,
    live: Option<Value>,
    clock: u32,
}

impl Stage {
    fn builtin(group: &str, kind: &str, api_version: &'static str) -> Self {
        let version = api_version.rsplit('/').next().unwrap();
        let schema = Schema::builtin(group, version, kind).unwrap();
        Self { schema, api_version, live: None, clock: 0 }
    }

    fn deployment() -> Self {
        Self::builtin("apps", "Deployment", "apps/v1")
    }

    fn config_map() -> Self {
        Self::builtin("", "ConfigMap", "v1")
    }

    fn custom(properties: &Value) -> Self {
        let openapi = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}});
        let schema = Schema::custom_unchecked(&openapi);
        Self { schema, api_version: "example.com/v1", live: None, clock: 0 }
    }

    fn write<T>(&mut self, manager: &str, then: impl FnOnce(&Write<'_>, Option<&Value>) -> T) -> T {
        self.clock += 1;
        let time = format!("2026-01-01T00:00:{:02}Z", self.clock);
        let known = self.api_version;
        let schemas = |version: &str| (version == known).then(|| self.schema.clone());
        let reset = reset_fields("", "", false, true, "");
        let write = Write {
            manager,
            subresource: "",
            api_version: self.api_version,
            time: &time,
            reset: &reset,
            schemas: &schemas,
        };
        then(&write, self.live.as_ref())
    }

    fn try_apply(&mut self, manager: &str, config: &Value, force: bool) -> Result<(), ApplyError> {
        let mut applied = self.write(manager, |write, live| apply(write, live, config, force))?;
        prune::round_trip(&self.schema, &mut applied.object);
        self.live = Some(applied.object);
        Ok(())
    }

    fn apply(&mut self, manager: &str, config: &Value) {
        self.try_apply(manager, config, false).unwrap();
    }

    fn conflicts(&mut self, manager: &str, config: &Value) -> String {
        match self.try_apply(manager, config, false) {
            Err(ApplyError::Conflicts(conflicts)) => conflicts.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn update(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        let mut new = self.live.clone().unwrap_or(Value::Null);
        change(&mut new);
        prune::round_trip(&self.schema, &mut new);
        self.write(manager, |write, live| update(write, live, &mut new));
        if new["metadata"]["uid"].is_null() {
            new["metadata"]["uid"] = "1".into();
        }
        self.live = Some(new);
    }

    fn fields(&self, manager: &str, operation: Operation) -> Value {
        let entries = entries_of(self.live.as_ref().unwrap()).unwrap();
        let found =
            entries.iter().find(|(one, _)| one.name == manager && one.operation == operation);
        found.map_or(Value::Null, |(_, entry)| entry.fields.to_json())
    }

    fn time(&self, manager: &str) -> Option<String> {
        let entries = entries_of(self.live.as_ref().unwrap()).unwrap();
        entries
            .iter()
            .find(|(one, _)| one.name == manager)
            .and_then(|(_, entry)| entry.time.clone())
    }

    fn live(&self) -> &Value {
        self.live.as_ref().unwrap()
    }
}

fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}, "data": data})
}

fn deployment(spec: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "b"}, "spec": spec})
}

fn resource(spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec})
}

#[test]
fn an_apply_owns_what_it_names() {
    let mut stage = Stage::deployment();
    stage.apply(
        "flux",
        &deployment(&json!({
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{
                    "name": "app", "image": "app:1",
                    "ports": [{"containerPort": 80}], "args": ["a"],
                }]},
            },
        })),
    );
    assert_eq!(
        stage.fields("flux", Operation::Apply),
        json!({"f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {
                    ".": {}, "f:args": {}, "f:image": {}, "f:name": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {
                        ".": {}, "f:containerPort": {},
                    }},
                }}},
            },
        }})
    );
    let entry = &stage.live()["metadata"]["managedFields"][0];
    assert_eq!(entry["manager"], "flux");
    assert_eq!(entry["operation"], "Apply");
    assert_eq!(entry["apiVersion"], "apps/v1");
    assert_eq!(entry["fieldsType"], "FieldsV1");
    assert_eq!(entry["time"], "2026-01-01T00:00:01Z");
    assert!(entry.get("subresource").is_none());
}

#[test]
fn a_create_owns_structures_that_are_pointers_but_not_those_that_are_always_there() {
    let mut stage = Stage::deployment();
    stage.update("kubectl-create", |new| {
        *new = deployment(&json!({
            "strategy": {"rollingUpdate": {"maxSurge": 1}},
            "template": {"spec": {"containers": [{"name": "app"}], "securityContext": {}}},
        }));
    });
    assert_eq!(
        stage.fields("kubectl-create", Operation::Update),
        json!({"f:spec": {
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
            "f:template": {"f:spec": {
                "f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}, "f:resources": {}}},
                "f:securityContext": {},
            }},
        }})
    );
    assert_eq!(stage.live()["status"], json!({}), "the status structure is always there");
}

#[test]
fn a_create_of_a_custom_resource_owns_its_spec() {
    let mut stage = Stage::custom(&json!({"a": {"type": "string"}}));
    stage.update("kubectl-create", |new| *new = resource(&json!({"a": "x"})));
    assert_eq!(
        stage.fields("kubectl-create", Operation::Update),
        json!({"f:spec": {".": {}, "f:a": {}}})
    );
}

#[test]
fn names_the_other_manager_of_a_conflict() {
    let mut stage = Stage::config_map();
    stage.apply("one", &config_map(&json!({"x": "1", "y": "1"})));
    assert_eq!(
        stage.conflicts("two", &config_map(&json!({"x": "2"}))),
        "Apply failed with 1 conflict: conflict with \"one\": .data.x"
    );
    stage.update("edit", |new| new["data"]["y"] = "3".into());
    assert_eq!(
        stage.conflicts("two", &config_map(&json!({"x": "2", "y": "2"}))),
        "Apply failed with 2 conflicts: conflicts with \"edit\" using v1:\n- .data.y\n\
         conflicts with \"one\":\n- .data.x"
    );
    assert_eq!(stage.live()["data"], json!({"x": "1", "y": "3"}), "nothing was changed");
}

#[test]
fn shares_fields_of_the_same_value() {
    let mut stage = Stage::config_map();
    stage.apply("one", &config_map(&json!({"x": "1"})));
    stage.apply("two", &config_map(&json!({"x": "1"})));
    let shared = json!({"f:data": {"f:x": {}}});
    assert_eq!(stage.fields("one", Operation::Apply), shared);
    assert_eq!(stage.fields("two", Operation::Apply), shared);
    stage.apply("one", &config_map(&json!({})));
    assert_eq!(stage.live()["data"]["x"], "1", "the other one still has it");
    stage.apply("two", &config_map(&json!({})));
    assert_eq!(stage.live()["data"].get("x"), None);
}

#[test]
fn force_takes_fields_over() {
    let mut stage = Stage::config_map();
    stage.apply("one", &config_map(&json!({"x": "1", "y": "1"})));
    stage.try_apply("two", &config_map(&json!({"x": "2"})), true).unwrap();
    assert_eq!(stage.live()["data"], json!({"x": "2", "y": "1"}));
    assert_eq!(stage.fields("one", Operation::Apply), json!({"f:data": {"f:y": {}}}));
    assert_eq!(stage.fields("two", Operation::Apply), json!({"f:data": {"f:x": {}}}));
}

#[test]
fn removes_what_is_no_longer_applied() {
    let mut stage = Stage::deployment();
    let container = |name: &str| json!({"name": name, "image": "x"});
    let with = |containers: Vec<Value>| {
        deployment(&json!({"template": {"spec": {"containers": containers}}}))
    };
    stage.apply("flux", &with(vec![container("a"), container("b")]));
    stage.update("injector", |new| {
        let containers = &mut new["spec"]["template"]["spec"]["containers"];
        containers.as_array_mut().unwrap().push(container("sidecar"));
    });
    stage.apply("flux", &with(vec![container("b")]));
    let containers = stage.live()["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    let names: Vec<_> = containers.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["b", "sidecar"]);
}

#[test]
fn keeps_what_an_update_took_over() {
    let mut stage = Stage::deployment();
    stage.apply("flux", &deployment(&json!({"replicas": 2, "paused": true})));
    stage.update("kubectl-scale", |new| new["spec"]["replicas"] = 5.into());
    assert_eq!(
        stage.fields("flux", Operation::Apply),
        json!({"f:spec": {"f:paused": {}}}),
        "the update took the field"
    );
    stage.apply("flux", &deployment(&json!({"paused": true})));
    assert_eq!(stage.live()["spec"]["replicas"], 5);
    assert_eq!(
        stage.conflicts("flux", &deployment(&json!({"replicas": 2, "paused": true}))),
        "Apply failed with 1 conflict: conflict with \"kubectl-scale\" using apps/v1: .spec.replicas"
    );
}

#[test]
fn lists_by_port_and_protocol() {
    let mut stage = Stage::builtin("", "Service", "v1");
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": ports}});
    stage.apply("flux", &service(json!([{"port": 53}, {"port": 53, "protocol": "UDP"}])));
    stage.apply("flux", &service(json!([{"port": 53, "protocol": "UDP", "name": "dns"}])));
    assert_eq!(
        stage.live()["spec"]["ports"],
        json!([{"port": 53, "protocol": "UDP", "name": "dns"}])
    );
}

#[test]
fn sets_are_owned_by_value() {
    let mut stage = Stage::config_map();
    let with = |finalizers: &[&str]| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "finalizers": finalizers}});
    stage.apply("one", &with(&["a.io/x"]));
    stage.apply("two", &with(&["b.io/x"]));
    assert_eq!(stage.live()["metadata"]["finalizers"], json!(["a.io/x", "b.io/x"]));
    stage.apply("one", &with(&[]));
    assert_eq!(stage.live()["metadata"]["finalizers"], json!(["b.io/x"]));
    assert_eq!(
        stage.fields("two", Operation::Apply),
        json!({"f:metadata": {"f:finalizers": {"v:\"b.io/x\"": {}}}})
    );
}

#[test]
fn atomic_lists_and_maps_have_one_owner() {
    let schema = json!({
        "list": {"type": "array", "items": {"type": "string"}},
        "map": {
            "type": "object", "x-kubernetes-map-type": "atomic",
            "additionalProperties": {"type": "string"},
        },
    });
    let mut stage = Stage::custom(&schema);
    stage.apply("one", &resource(&json!({"list": ["a"], "map": {"a": "1"}})));
    assert_eq!(
        stage.fields("one", Operation::Apply),
        json!({"f:spec": {"f:list": {}, "f:map": {}}})
    );
    assert_eq!(
        stage.conflicts("two", &resource(&json!({"list": ["b"], "map": {"b": "1"}}))),
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .spec.list\n- .spec.map"
    );
    stage.try_apply("two", &resource(&json!({"list": ["b"]})), true).unwrap();
    assert_eq!(stage.live()["spec"], json!({"list": ["b"], "map": {"a": "1"}}));
}

#[test]
fn keeps_structures_that_lose_their_content() {
    let schema = json!({"a": {"type": "object", "properties": {"b": {"type": "string"}}}});
    let mut stage = Stage::custom(&schema);
    stage.apply("one", &resource(&json!({"a": {"b": "x"}})));
    stage.apply("one", &resource(&json!({"a": {}})));
    assert_eq!(stage.live()["spec"], json!({"a": {}}));
    stage.apply("one", &resource(&json!({})));
    assert_eq!(stage.live()["spec"], json!({}));
}

#[test]
fn time_moves_only_when_something_changes() {
    let mut stage = Stage::config_map();
    stage.apply("one", &config_map(&json!({"x": "1"})));
    stage.apply("one", &config_map(&json!({"x": "1"})));
    assert_eq!(stage.time("one").as_deref(), Some("2026-01-01T00:00:01Z"));
    stage.apply("one", &config_map(&json!({"x": "2"})));
    assert_eq!(stage.time("one").as_deref(), Some("2026-01-01T00:00:03Z"));
    stage.update("two", |new| new["data"]["y"] = "1".into());
    stage.update("two", |_| {});
    assert_eq!(stage.time("two").as_deref(), Some("2026-01-01T00:00:04Z"));
}

#[test]
fn updates_of_a_manager_add_up() {
    let mut stage = Stage::config_map();
    stage.update("edit", |new| *new = config_map(&json!({"x": "1"})));
    stage.update("edit", |new| new["data"]["y"] = "1".into());
    assert_eq!(
        stage.fields("edit", Operation::Update),
        json!({"f:data": {".": {}, "f:x": {}, "f:y": {}}})
    );
    stage.update("other", |new| {
        new["data"].as_object_mut().unwrap().shift_remove("x");
    });
    assert_eq!(stage.fields("edit", Operation::Update), json!({"f:data": {".": {}, "f:y": {}}}));
    assert_eq!(stage.fields("other", Operation::Update), Value::Null, "a removal owns nothing");
}

#[test]
fn what_nobody_accounted_for_belongs_to_before_first_apply() {
    let mut stage = Stage::config_map();
    let mut live = config_map(&json!({"x": "1"}));
    live["metadata"]["uid"] = "1".into();
    stage.live = Some(live);
    stage.update("edit", |new| new["data"]["y"] = "1".into());
    assert!(stage.live()["metadata"].get("managedFields").is_none(), "not accounted for");
    assert_eq!(
        stage.conflicts("flux", &config_map(&json!({"x": "2"}))),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.x"
    );
    stage.apply("flux", &config_map(&json!({"z": "1"})));
    assert_eq!(
        stage.fields(BEFORE_FIRST_APPLY, Operation::Update),
        json!({"f:data": {".": {}, "f:x": {}, "f:y": {}}})
    );
}

#[test]
fn an_empty_list_starts_the_account_anew() {
    let mut stage = Stage::config_map();
    stage.apply("flux", &config_map(&json!({"x": "1"})));
    stage.update("edit", |new| {
        new["metadata"]["uid"] = "1".into();
    });
    stage.update("edit", |new| new["metadata"]["managedFields"] = json!([{}]));
    assert!(stage.live()["metadata"].get("managedFields").is_none());
}

#[test]
fn an_update_without_entries_keeps_those_of_the_live_object() {
    let mut stage = Stage::config_map();
    stage.apply("flux", &config_map(&json!({"x": "1"})));
    stage.update("edit", |new| {
        new["metadata"].as_object_mut().unwrap().shift_remove("managedFields");
    });
    assert_eq!(stage.fields("flux", Operation::Apply), json!({"f:data": {"f:x": {}}}));
}

#[test]
fn the_oldest_updates_are_put_together() {
    let mut stage = Stage::config_map();
    stage.update("m0", |new| *new = config_map(&json!({"k0": "1"})));
    for index in 1..12 {
        let key = format!("k{index}");
        stage.update(&format!("m{index}"), |new| new["data"][key] = "1".into());
    }
    let entries = entries_of(stage.live()).unwrap();
    assert_eq!(entries.len(), MAX_UPDATE_MANAGERS);
    assert_eq!(
        stage.fields(ANCIENT_CHANGES, Operation::Update),
        json!({"f:data": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}}})
    );
}

#[test]
fn kubectl_takes_over_its_client_side_applies() {
    let last = config_map(&json!({"x": "1", "y": "1"}));
    let mut live = last.clone();
    live["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": last.to_string()});
    let mut stage = Stage::config_map();
    stage.update("kubectl-client-side-apply", |new| *new = live);
    stage.update("edit", |new| new["data"]["y"] = "2".into());
    assert_eq!(
        stage.conflicts("kubectl", &config_map(&json!({"x": "3", "y": "3"}))),
        "Apply failed with 1 conflict: conflict with \"edit\" using v1: .data.y"
    );
    stage.apply("kubectl", &config_map(&json!({"x": "3"})));
    assert_eq!(stage.live()["data"]["x"], "3");
    let annotation = &stage.live()["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let renewed: Value = serde_json::from_str(annotation.as_str().unwrap()).unwrap();
    assert_eq!(renewed["data"], json!({"x": "3"}));
}

#[test]
fn refuses_fields_that_the_kind_does_not_have() {
    let mut stage = Stage::deployment();
    let config = deployment(&json!({"replica": 1, "template": {"spec": {"containers": [
        {"name": "app", "imagee": "x"},
    ]}}}));
    let error = stage.try_apply("flux", &config, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to create typed patch object (b/web; apps/v1, Kind=Deployment): errors:\n  \
         .spec.replica: field not declared in schema\n  \
         .spec.template.spec.containers[name=\"app\"].imagee: field not declared in schema"
    );
}

#[test]
fn refuses_values_of_other_types() {
    let cases = [
        (json!({"key": 1}), ".data.key: expected string, got &value.valueUnstructured{Value:1}"),
        (json!(["x"]), ".data: expected map, got &{[x]}"),
    ];
    for (data, problem) in cases {
        let error = Stage::config_map().try_apply("flux", &config_map(&data), false).unwrap_err();
        let head = "failed to create typed patch object (b/a; /v1, Kind=ConfigMap): ";
        assert_eq!(error.to_string(), format!("{head}{problem}"));
    }
}

#[test]
fn refuses_two_elements_of_one_key() {
    let mut stage = Stage::deployment();
    let config = deployment(&json!({"template": {"spec": {"containers": [
        {"name": "app"}, {"name": "app"},
    ]}}}));
    let error = stage.try_apply("flux", &config, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to create typed patch object (b/web; apps/v1, Kind=Deployment): \
         .spec.template.spec.containers: duplicate entries for key [name=\"app\"]"
    );
}

#[test]
fn forgets_versions_that_are_gone() {
    let mut stage = Stage::config_map();
    stage.apply("flux", &config_map(&json!({"x": "1"})));
    stage.live.as_mut().unwrap()["metadata"]["managedFields"][0]["apiVersion"] = "v0".into();
    stage.update("edit", |new| new["data"]["x"] = "2".into());
    assert_eq!(stage.fields("flux", Operation::Apply), Value::Null);
}

#[test]
fn what_became_atomic_is_owned_as_a_whole() {
    let map = |kind: &str| {
        json!({"map": {
            "type": "object", "x-kubernetes-map-type": kind,
            "additionalProperties": {"type": "string"},
        }})
    };
    let mut stage = Stage::custom(&map("granular"));
    stage.apply("one", &resource(&json!({"map": {"a": "1"}})));
    stage.schema = Stage::custom(&map("atomic")).schema;
    stage.apply("two", &resource(&json!({})));
    assert_eq!(stage.fields("one", Operation::Apply), json!({"f:spec": {"f:map": {}}}));
}

#[test]
fn a_status_write_leaves_the_rest_alone() {
    let reset = reset_fields("apps", "Deployment", false, true, "status");
    assert!(reset.has(&[crate::PathElement::field("spec")]));
    let custom = reset_fields("example.com", "Thing", true, true, "status");
    assert!(custom.has(&[crate::PathElement::field("metadata")]));
    assert!(reset_fields("example.com", "Thing", true, false, "").is_empty());
}
