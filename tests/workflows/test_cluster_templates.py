import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.runs import curate

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATES = PROJECT / "workflows" / "cluster"


def ray_job() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((TEMPLATES / "kuberay.yaml").read_text())
    return document


def pod_specs(job: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def locked(name: str) -> str:
    found = re.search(rf"^{name}==(\S+)", (PROJECT / "requirements" / "core.txt").read_text(), re.MULTILINE)
    assert found is not None
    return found.group(1)


def known_options() -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]+", curate("build", "--help").stdout))


def test_the_command_of_the_ray_job_has_only_options_that_build_knows() -> None:
    words = shlex.split(ray_job()["spec"]["entrypoint"])
    assert words[:2] == ["curate", "build"]
    assert {word for word in words if word.startswith("--")} <= known_options()


def test_the_command_of_the_slurm_job_has_only_options_that_build_knows() -> None:
    command = (TEMPLATES / "slurm.sbatch").read_text().partition("curate build")[2]
    assert set(re.findall(r"--[a-z][a-z-]+", command)) <= known_options()


def test_the_ray_job_names_the_ray_that_the_image_installs() -> None:
    assert ray_job()["spec"]["rayClusterSpec"]["rayVersion"] == locked("ray")


def test_every_pod_of_the_ray_job_runs_the_same_image_without_rights() -> None:
    specs = pod_specs(ray_job())
    containers = [container for spec in specs for container in spec["containers"]]
    assert len({container["image"] for container in containers}) == 1
    assert all(container["securityContext"]["runAsNonRoot"] for container in containers)
    for spec, container in zip(specs, containers, strict=True):
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}


@pytest.mark.parametrize("script", ["slurm.sbatch", "install.sh"])
def test_scripts_are_sound(script: str) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    found = subprocess.run(["shellcheck", TEMPLATES / script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_images_copy_only_what_is_there() -> None:
    definition = (TEMPLATES / "apptainer.def").read_text()
    copied = re.search(r"%files\n(.*?)\n%post", definition, re.DOTALL)
    assert copied is not None
    rows = [line.split() for line in copied.group(1).splitlines() if line.strip() and not line.strip().startswith("#")]
    assert {source for source, _ in rows} >= {"sources", "filters", "dedup", "shards", "pipelines", "workflows"}
    assert all((PROJECT / source).exists() for source, _ in rows)
