"""The workflows of .github: they parse, and whatever of this repository they name exists.

`scripts/lint workflows` asks actionlint, which knows the rest; it needs the network, so not here.
"""

import re
import shlex

import pytest
import yaml

from conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def load(path):
    # YAML 1.1 reads the key `on` as true.
    workflow = yaml.safe_load(path.read_text())
    workflow["on"] = workflow.pop(True)
    return workflow


def lines_of(workflow):
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            yield from step.get("run", "").splitlines()


def test_there_are_the_three_that_the_docs_name():
    assert [path.stem for path in WORKFLOWS] == ["ci", "nightly", "release"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_are_whole_and_may_only_read(path):
    workflow = load(path)
    assert workflow["on"] and workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job["runs-on"] and job["steps"], name
        assert set([job["needs"]] if "needs" in job else []) <= set(workflow["jobs"])
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            assert not step.get("uses") or re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+", step["uses"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_targets_scripts_and_programs_exist(path):
    named = 0
    for line in lines_of(load(path)):
        words = shlex.split(line)
        if words[:1] == ["make"]:
            assert words[1] in TARGETS, line
            named += 1
        for word in words:
            if re.match(r"(\.ci|scripts|tests)/", word):
                assert (ROOT / word).exists(), line
                named += 1
    assert named > 0


def test_ci_is_what_everybody_runs():
    runs = [line for line in lines_of(load(ROOT / ".github" / "workflows" / "ci.yml"))]
    assert ".ci/run" in runs


def test_the_release_is_made_and_tried_before_it_is_published():
    workflow = load(ROOT / ".github" / "workflows" / "release.yml")
    made = [line for step in workflow["jobs"]["dist"]["steps"]
            for line in step.get("run", "").splitlines()]
    assert made.index("make dist") < made.index("make dist-test")
    assert workflow["jobs"]["publish"]["needs"] == "dist"
    builds = (ROOT / "CMakeLists.txt").read_text()
    assert re.search(r"^project\(valkey_flash VERSION \S+ ", builds, re.MULTILINE), \
        "the release checks its tag against this line"
