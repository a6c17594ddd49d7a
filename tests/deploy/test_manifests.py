"""What is deployed to Kubernetes: every overlay is valid, its references close, and it keeps our rules.

A rule is a function from manifests to complaints. Each is shown to complain: one thing is changed, and it must say so.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from core.settings import Settings, load_settings
from serving.server.__main__ import _parser

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.name for path in (ROOT / "deploy/k8s/overlays").iterdir())
KUBERNETES = ("1.32", "1.37")
"""The oldest version that the manifests are for, and the newest that there are schemas of."""
SECRETS = {"maas-secrets": "secrets.yaml", "models-tls": "tls.crt"}
"""Made by hand, as docs/cluster.md says."""

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    where: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for container in self.containers for port in container.get("ports", ())}


def of(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {m["metadata"]["name"]: m for m in manifests if m["kind"] == kind}


def executor(manifests: list[Manifest]) -> Manifest:
    return yaml.safe_load(of(manifests, "ConfigMap")["spark-executor"]["data"]["executor.yaml"])


def pods(manifests: list[Manifest]) -> Iterator[Pod]:
    """Each pod that will come of the manifests, Spark's executors included."""
    for manifest in manifests:
        spec = manifest.get("spec", {})
        template = spec.get("template") or spec.get("jobTemplate", {}).get("spec", {}).get("template")
        if template:
            where = f"{manifest['kind']} {manifest['metadata']['name']}"
            yield Pod(where, template["metadata"]["labels"], template["spec"])
    template = executor(manifests)
    yield Pod("executor.yaml", template["metadata"]["labels"], template["spec"])


def settings(manifests: list[Manifest], folder: Path) -> Settings:
    """What a pod reads: the project's conf/base, and the settings of the ConfigMap as the profile."""
    for name in ("base", "cluster"):
        (folder / "conf" / name).mkdir(parents=True, exist_ok=True)
    (folder / "conf/base/settings.yaml").write_bytes((ROOT / "conf/base/settings.yaml").read_bytes())
    (folder / "conf/cluster/settings.yaml").write_text(of(manifests, "ConfigMap")["maas-settings"]["data"]["settings.yaml"])
    return load_settings(folder, "cluster", {})


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    expressions = selector.get("matchExpressions", ())
    assert all(e["operator"] == "In" for e in expressions)
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(e["key"]) in e["values"] for e in expressions
    )


# rules


def schemas(manifests: list[Manifest], _: Path) -> Iterator[str]:
    for manifest in [*manifests, {**executor(manifests), "metadata": {"name": "executor"}}]:
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{manifest['kind']} {manifest['metadata']['name']}: {error.message}"


def names(manifests: list[Manifest], _: Path) -> Iterator[str]:
    """Whatever a pod names is there."""
    maps, claims = of(manifests, "ConfigMap"), of(manifests, "PersistentVolumeClaim")
    for pod in pods(manifests):
        if pod.spec["serviceAccountName"] not in of(manifests, "ServiceAccount"):
            yield f"{pod.where}: no ServiceAccount {pod.spec['serviceAccountName']}"
        keys: dict[str, set[str]] = {}
        for volume in pod.spec["volumes"]:
            keys[volume["name"]] = set()
            if "configMap" in volume:
                name = volume["configMap"]["name"]
                keys[volume["name"]] = set(maps[name]["data"]) if name in maps else set()
                if name not in maps:
                    yield f"{pod.where}: no ConfigMap {name}"
            if "secret" in volume:
                name = volume["secret"]["secretName"]
                keys[volume["name"]] = {SECRETS[name]} if name in SECRETS else set()
                if name not in SECRETS:
                    yield f"{pod.where}: no Secret {name}"
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in claims:
                yield f"{pod.where}: no PersistentVolumeClaim {claim}"
        mounts = [mount for container in pod.containers for mount in container["volumeMounts"]]
        for mount in mounts:
            if mount["name"] not in keys:
                yield f"{pod.where}: no volume {mount['name']}"
            elif "subPath" in mount and mount["subPath"] not in keys[mount["name"]]:
                yield f"{pod.where}: volume {mount['name']} holds no {mount['subPath']}"
        for unused in keys.keys() - {mount["name"] for mount in mounts}:
            yield f"{pod.where}: volume {unused} is mounted nowhere"


def selectors(manifests: list[Manifest], _: Path) -> Iterator[str]:
    """Every selector finds a pod, and every port of a service or probe is one of a container's."""
    found = list(pods(manifests))
    for kind in ("NetworkPolicy", "PodDisruptionBudget", "Deployment", "Service"):
        for name, manifest in of(manifests, kind).items():
            spec = manifest["spec"]
            selector = {"matchLabels": spec["selector"]} if kind == "Service" else spec.get("selector", spec.get("podSelector"))
            own = [pod for pod in found if pod.where == f"Deployment {name}"] if kind == "Deployment" else found
            chosen = [pod for pod in own if selects(selector, pod.labels)]
            if not chosen:
                yield f"{kind} {name}: selects no pod"
            if kind == "Service":
                ports = {port["targetPort"] for port in spec["ports"]}
                yield from (f"{kind} {name}: {pod.where} has no port {p}" for pod in chosen for p in ports - pod.ports.keys())
    for pod in found:
        for container in pod.containers:
            own_ports = {port["name"] for port in container.get("ports", ())}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if (port := container.get(probe, {}).get("httpGet", {}).get("port", "http")) not in own_ports | {"http"}:
                    yield f"{pod.where}: {probe} asks port {port}"
                if "httpGet" in container.get(probe, {}) and not own_ports:
                    yield f"{pod.where}: {probe} asks a container without a port"


def targets(manifests: list[Manifest], _: Path) -> Iterator[str]:
    """What scales and binds names something that is there."""
    for name, scaler in of(manifests, "HorizontalPodAutoscaler").items():
        target = of(manifests, scaler["spec"]["scaleTargetRef"]["kind"]).get(scaler["spec"]["scaleTargetRef"]["name"])
        if target is None:
            yield f"HorizontalPodAutoscaler {name}: no target"
            continue
        if "replicas" in target["spec"]:
            yield f"HorizontalPodAutoscaler {name}: its target sets replicas too"
        there = {container["name"] for container in target["spec"]["template"]["spec"]["containers"]}
        for metric in scaler["spec"]["metrics"]:
            if metric["containerResource"]["container"] not in there:
                yield f"HorizontalPodAutoscaler {name}: no container {metric['containerResource']['container']}"
    for name, binding in of(manifests, "RoleBinding").items():
        if binding["roleRef"]["name"] not in of(manifests, "Role"):
            yield f"RoleBinding {name}: no Role"
        for subject in binding["subjects"]:
            account = of(manifests, "ServiceAccount").get(subject["name"])
            if account is None or account["metadata"]["namespace"] != subject["namespace"]:
                yield f"RoleBinding {name}: no ServiceAccount {subject['name']}"


def routes(manifests: list[Manifest], _: Path) -> Iterator[str]:
    """An Ingress speaks TLS, and leads to a port of a Service."""
    for name, ingress in of(manifests, "Ingress").items():
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                service = of(manifests, "Service").get(backend["name"])
                if service is None or backend["port"]["name"] not in {port["name"] for port in service["spec"]["ports"]}:
                    yield f"Ingress {name}: no Service {backend['name']} with port {backend['port']['name']}"
        for tls in ingress["spec"].get("tls") or [{"secretName": "none"}]:
            if tls["secretName"] not in SECRETS:
                yield f"Ingress {name}: no TLS Secret {tls['secretName']}"


def security(manifests: list[Manifest], _: Path) -> Iterator[str]:
    """The standard `restricted`, read-only root file systems, and no token where none is used."""
    enforced = [m["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") for m in of(manifests, "Namespace").values()]
    if enforced != ["restricted"]:
        yield "Namespace: does not enforce the pod security standard `restricted`"
    for pod in pods(manifests):
        context = pod.spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) < 10_000:
            yield f"{pod.where}: may run as root, or as a user of the node"
        if context.get("fsGroup") != context.get("runAsGroup"):
            yield f"{pod.where}: the files of its volumes are not of its group"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{pod.where}: no seccomp profile"
        if pod.spec.get("automountServiceAccountToken") is not (pod.spec["serviceAccountName"] == "spark-driver"):
            yield f"{pod.where}: a token where none is used, or none where one is"
        if pod.spec.keys() & {"hostNetwork", "hostPID", "hostIPC"} or any("hostPath" in v for v in pod.spec["volumes"]):
            yield f"{pod.where}: reaches into its node"
        for container in pod.containers:
            if container.get("securityContext") != {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }:
                yield f"{pod.where}/{container['name']}: its security context is not the restricted one"
        yield from (
            f"{pod.where}: volume {volume['name']} may fill its node"
            for volume in pod.spec["volumes"]
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]
        )


def isolation(manifests: list[Manifest], _: Path) -> Iterator[str]:
    """All traffic is denied first; no policy takes or sends everything from or to anywhere."""
    policies = of(manifests, "NetworkPolicy")
    if policies.get("default-deny", {}).get("spec") != {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}:
        yield "no policy denies everything by default"
    for name, policy in policies.items():
        for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
            peers = rule.get("from", rule.get("to"))
            if not peers or any(peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0" or {} in peer.values() for peer in peers):
                yield f"NetworkPolicy {name}: open to everyone"


def images(manifests: list[Manifest], folder: Path) -> Iterator[str]:
    pinned = re.compile(r"[a-z0-9.-]+(:\d+)?/[a-z0-9/-]+(:v?\d+\.\d+\.\d+|@sha256:[0-9a-f]{64})")
    used = {(pod.where, c["name"]): c["image"] for pod in pods(manifests) for c in pod.containers if pod.where != "executor.yaml"}
    yield from (f"{where}: image {image} is not pinned" for where, image in used.items() if not pinned.fullmatch(image))
    executors = settings(manifests, folder).spark.options["spark.kubernetes.container.image"]
    if executors != used["CronJob pipeline-flights", "driver"]:
        yield f"executors run {executors}, their driver another image"


def sizes(manifests: list[Manifest], _: Path) -> Iterator[str]:
    for pod in pods(manifests):
        for container in pod.containers if pod.where != "executor.yaml" else ():  # Spark sizes executors
            resources = container.get("resources", {})
            if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
                yield f"{pod.where}/{container['name']}: asks for no CPU or memory, or has no limit of memory"
            elif mib(resources["limits"]["memory"]) < mib(resources["requests"]["memory"]):
                yield f"{pod.where}/{container['name']}: its limit is below what it asks for"


def mib(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024, "Ti": 1024**2}[quantity[-2:]]


def secrecy(manifests: list[Manifest], _: Path) -> Iterator[str]:
    """No secret has its value here; the file of secrets is mounted so that no one else reads it."""
    word = re.compile(r"password|secret_?key|access_?key|token|credential", re.IGNORECASE)
    yield from (f"Secret {name}: stands in a manifest" for name in of(manifests, "Secret"))
    for name, config in of(manifests, "ConfigMap").items():
        for file, text in config["data"].items():
            lines = [line.split("#")[0] for line in text.splitlines() if "Token: false" not in line]
            yield from (f"ConfigMap {name}: {file}: {line}" for line in lines if word.search(line))
    for pod in pods(manifests):
        for container in pod.containers:
            for variable in container.get("env", ()):
                if word.search(variable["name"]):
                    yield f"{pod.where}: variable {variable['name']}"
            yield from (f"{pod.where}: argument {text}" for text in container.get("args", ()) if word.search(text))
        for volume in pod.spec["volumes"]:
            if "secret" in volume and volume["secret"].get("defaultMode") != 0o400:
                yield f"{pod.where}: the secret's mode is {volume['secret'].get('defaultMode')}, not 0400"


def places(manifests: list[Manifest], folder: Path) -> Iterator[str]:
    """Settings, command lines, mounts and ports say the same."""
    loaded = settings(manifests, folder)
    home, options, found = loaded.at_home(Path()), loaded.spark.options, {pod.where: pod for pod in pods(manifests)}
    server = found["Deployment model-server"].spec["containers"][0]
    parsed = _parser().parse_args(server["args"])
    if parsed.bundles != loaded.at_home(loaded.serving.bundles):
        yield "the model server looks for bundles where none are put"
    if (parsed.port, found["Deployment model-server"].ports) != (loaded.serving.port, {"http": loaded.serving.port}):
        yield "the model server's port is not the settings'"
    if found["Deployment mlflow"].ports != {"http": loaded.mlflow.port}:
        yield "MLflow's port is not the settings'"
    pause = server["lifecycle"]["preStop"]["sleep"]["seconds"]
    if found["Deployment model-server"].spec["terminationGracePeriodSeconds"] < pause + parsed.drain_s + 1:
        yield "the model server is killed before its drain ends"
    for pod in found.values():
        for container in pod.containers:
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            if "/tmp" not in mounts:
                yield f"{pod.where}/{container['name']}: nowhere to put temporary files"
            if container["name"] in ("mlflow", "bundles", "driver") and not (
                mounts.get(str(home)) == "home"
                and mounts.get(f"{home}/secrets.yaml") == "secrets"
                and mounts.get("/opt/maas/conf/cluster/settings.yaml") == "settings"
            ):
                yield f"{pod.where}/{container['name']}: settings, secrets or home are not where they are looked for"
            if container["name"] in ("driver", "executor") and mounts.get(str(loaded.hdfs.conf)) != "hadoop":
                yield f"{pod.where}/{container['name']}: Hadoop's configuration is not where the settings say"
    template = Path(options["spark.kubernetes.executor.podTemplateFile"])
    driver = {m["mountPath"]: m["name"] for m in found["CronJob pipeline-flights"].spec["containers"][0]["volumeMounts"]}
    if driver.get(str(template.parent)) != "executor" or template.name != "executor.yaml":
        yield "the executors' template is not where the settings say"
    expected = {
        "spark.kubernetes.executor.podTemplateContainerName": executor(manifests)["spec"]["containers"][0]["name"],
        "spark.kubernetes.authenticate.executor.serviceAccountName": executor(manifests)["spec"]["serviceAccountName"],
        "spark.kubernetes.namespace": next(iter(of(manifests, "Namespace"))),
    }
    yield from (f"{key} is {options.get(key)}, not {value}" for key, value in expected.items() if options.get(key) != value)


def ways(manifests: list[Manifest], folder: Path) -> Iterator[str]:
    """Every service that the settings name may be reached by the jobs, and the registry's by all who read it."""
    loaded = settings(manifests, folder)
    named = [loaded.lake.root, *loaded.hdfs.web, loaded.s3.endpoint, loaded.database.url, loaded.journal.url]
    named += [loaded.mlflow.database, *(f"kafka://{server}" for server in loaded.kafka.servers.split(","))]
    site = of(manifests, "ConfigMap")["hadoop"]["data"]["hdfs-site.xml"]
    named += [f"hdfs://{address}" for address in re.findall(r"<value>([\w.-]+:\d+)</value>", site)]
    addresses = [urlsplit(url) for url in named if urlsplit(url).hostname != "data"]  # a pair of NameNodes has a name, no address
    needed = {address.port or {"https": 443}[address.scheme] for address in addresses}
    registry = {3306, 443}
    for pod in pods(manifests):
        policies = [p["spec"] for p in of(manifests, "NetworkPolicy").values() if selects(p["spec"]["podSelector"], pod.labels)]
        rules = [rule for policy in policies for rule in policy.get("egress", ())]
        ports = {port["port"] for rule in rules for port in rule.get("ports", ()) if "ipBlock" in rule["to"][0]}
        missing = (needed if pod.labels["maas/data"] == "all" else registry) - ports
        if missing:
            yield f"{pod.where}: no way to port {sorted(missing)}"


RULES: list[Callable[[list[Manifest], Path], Iterator[str]]] = [
    *(schemas, names, selectors, targets, routes, security, isolation, images, sizes, secrecy, places, ways),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_keeps_the_rule(render, overlay, rule, tmp_path):
    assert list(rule(render(overlay), tmp_path)) == []


def change(kind: str, name: str, path: str, value: object) -> Callable[[list[Manifest]], None]:
    """Sets, or with None removes, one thing of one manifest."""

    def changed(manifests: list[Manifest]) -> None:
        node = of(manifests, kind)[name]
        *way, last = [int(key) if key.isdigit() else key.replace("~1", "/") for key in path.split("/")]
        for key in way:
            node = node[key]
        if value is None:
            del node[last]
        else:
            node[last] = value

    return changed


def replace(file: str, before: str, after: str) -> Callable[[list[Manifest]], None]:
    """Changes a text in a file of a ConfigMap."""

    def replaced(manifests: list[Manifest]) -> None:
        (data,) = [m["data"] for m in of(manifests, "ConfigMap").values() if file in m["data"]]
        assert before in data[file]
        data[file] = data[file].replace(before, after)

    return replaced


SERVER = "spec/template/spec/containers/0"
DRIVER = "spec/jobTemplate/spec/template/spec"


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        (schemas, change("Deployment", "mlflow", "spec/replica", 1)),
        (schemas, replace("executor.yaml", "restartPolicy", "restartPolice")),
        (names, change("CronJob", "pipeline-flights", f"{DRIVER}/serviceAccountName", "nobody")),
        (names, change("CronJob", "pipeline-flights", f"{DRIVER}/volumes/0/configMap/name", "none")),
        (names, change("CronJob", "pipeline-flights", f"{DRIVER}/volumes/1/secret/secretName", "none")),
        (names, change("CronJob", "pipeline-flights", f"{DRIVER}/volumes/4/persistentVolumeClaim/claimName", "none")),
        (names, change("Deployment", "mlflow", f"{SERVER}/volumeMounts/1/subPath", "other.yaml")),
        (names, change("Deployment", "mlflow", f"{SERVER}/volumeMounts/0/name", "none")),
        (selectors, change("Service", "mlflow", "spec/selector", {"app.kubernetes.io/name": "none"})),
        (selectors, change("Service", "mlflow", "spec/ports/0/targetPort", "https")),
        (selectors, change("Deployment", "mlflow", "spec/template/metadata/labels/app.kubernetes.io~1name", "none")),
        (selectors, change("NetworkPolicy", "spark", "spec/podSelector/matchLabels", {"none": "true"})),
        (selectors, change("PodDisruptionBudget", "model-server", "spec/selector/matchLabels", {"none": "true"})),
        (selectors, change("Deployment", "mlflow", f"{SERVER}/ports", None)),
        (targets, change("HorizontalPodAutoscaler", "model-server", "spec/scaleTargetRef/name", "none")),
        (targets, change("HorizontalPodAutoscaler", "model-server", "spec/metrics/0/containerResource/container", "none")),
        (routes, change("Ingress", "model-server", "spec/rules/0/http/paths/0/backend/service/name", "none")),
        (routes, change("Ingress", "model-server", "spec/tls", [])),
        (targets, change("RoleBinding", "spark-driver", "subjects/0/name", "none")),
        (security, change("Namespace", "maas", "metadata/labels", {})),
        (security, change("Deployment", "mlflow", "spec/template/spec/securityContext/runAsNonRoot", False)),
        (security, change("Deployment", "mlflow", "spec/template/spec/securityContext/seccompProfile", None)),
        (security, change("Deployment", "mlflow", "spec/template/spec/securityContext/fsGroup", None)),
        (security, change("Deployment", "mlflow", "spec/template/spec/automountServiceAccountToken", True)),
        (security, change("Deployment", "mlflow", "spec/template/spec/hostNetwork", True)),
        (security, change("Deployment", "mlflow", f"{SERVER}/securityContext/readOnlyRootFilesystem", False)),
        (security, change("Deployment", "mlflow", "spec/template/spec/volumes/3/emptyDir", {})),
        (security, replace("executor.yaml", "drop: [ALL]", "drop: []")),
        (isolation, change("NetworkPolicy", "default-deny", "spec/policyTypes", ["Ingress"])),
        (isolation, change("NetworkPolicy", "model-server", "spec/ingress/0/from", None)),
        (isolation, change("NetworkPolicy", "to-data", "spec/egress/0/to/0/ipBlock/cidr", "0.0.0.0/0")),
        (images, change("Deployment", "mlflow", f"{SERVER}/image", "registry.example.com/maas:latest")),
        (images, change("Deployment", "mlflow", f"{SERVER}/image", "maas")),
        (images, replace("settings.yaml", "registry.example.com/maas:0.1.0", "registry.example.com/maas:0.0.9")),
        (sizes, change("Deployment", "mlflow", f"{SERVER}/resources/limits", None)),
        (sizes, change("Deployment", "mlflow", f"{SERVER}/resources/limits/memory", "64Mi")),
        (secrecy, lambda manifests: manifests.append({"kind": "Secret", "metadata": {"name": "s"}})),
        (secrecy, replace("settings.yaml", "mlflow:\n", "mlflow:\n  password: x\n")),
        (secrecy, change("CronJob", "pipeline-flights", f"{DRIVER}/containers/0/env/0/name", "MAAS__DATABASE__PASSWORD")),
        (secrecy, change("Deployment", "mlflow", "spec/template/spec/volumes/1/secret/defaultMode", 0o440)),
        (places, change("Deployment", "model-server", f"{SERVER}/args/5", "8081")),
        (places, change("Deployment", "model-server", f"{SERVER}/args/1", "/elsewhere")),
        (places, change("Deployment", "model-server", "spec/template/spec/terminationGracePeriodSeconds", 20)),
        (places, change("Deployment", "mlflow", f"{SERVER}/ports/0/containerPort", 5001)),
        (places, change("CronJob", "pipeline-flights", f"{DRIVER}/containers/0/volumeMounts/2/mountPath", "/run/secrets.yaml")),
        (places, replace("settings.yaml", "conf: /etc/hadoop/conf", "conf: /etc/hadoop")),
        (places, replace("settings.yaml", "podTemplateContainerName: executor", "podTemplateContainerName: spark")),
        (places, replace("settings.yaml", "/etc/maas/executor.yaml", "/etc/maas/template.yaml")),
        (ways, replace("settings.yaml", ":27017", ":27018")),
        (ways, change("NetworkPolicy", "to-store", "spec/egress/0/ports/0/port", 3307)),
    ],
)
def test_the_rule_complains_when_one_thing_is_wrong(render, rule, wrong, tmp_path):
    manifests = render("large")
    wrong(manifests)
    assert list(rule(manifests, tmp_path)) != []


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="compares with kubectl where there is one")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubectl_renders_the_same(render, overlay):
    done = subprocess.run(
        ["kubectl", "kustomize", f"deploy/k8s/overlays/{overlay}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    theirs = [document for document in yaml.safe_load_all(done.stdout) if document]

    def key(manifest: Manifest) -> tuple[str, str]:
        return manifest["kind"], manifest["metadata"]["name"]

    assert sorted(theirs, key=key) == sorted(render(overlay), key=key)


def test_the_secrets_that_are_named_are_made_in_the_documentation():
    text = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    assert [name for name in SECRETS if f" {name} " not in text] == []
