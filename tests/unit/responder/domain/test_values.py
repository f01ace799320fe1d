"""Names of workflows, read back."""

import pytest

from responder.domain.values import incident_of_workflow, run_workflow_id, workflow_id


@pytest.mark.parametrize("workflow", [workflow_id(42), run_workflow_id(42, 3)])
def test_a_workflow_names_its_incident(workflow: str) -> None:
    assert incident_of_workflow(workflow) == 42


@pytest.mark.parametrize("workflow", ["", "incident-", "incident-42-run-", "x-incident-42", "7"])
def test_what_else_the_engine_runs_names_none(workflow: str) -> None:
    assert incident_of_workflow(workflow) is None
