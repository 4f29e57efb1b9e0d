"""A step whose project is not written in Python: `yaml_project/Pulumi.yaml`.

    python examples/yaml_project.py
    alma-pulumi destroy examples/yaml_project.py

The first step is an inline program; its outputs are the second one's config. A project in Go,
TypeScript or any other language of Pulumi's is added in the same way, by its directory.
"""

from __future__ import annotations

from pathlib import Path

from alma import Saga
from stacks.local import database

saga = Saga("yaml-project")
db = saga.add_stack(
    "database",
    program=database.program,
    config={"data_dir": str(Path.cwd() / ".alma" / "data" / "yaml-project")},
)
saga.add_stack(
    "settings",  # the project is then named yaml-project-settings, as its Pulumi.yaml says
    work_dir=Path(__file__).parent / "yaml_project",
    config={"region": "here"},
    inputs={"db_url": db.output("url"), "db_password": db.output("password")},
)

if __name__ == "__main__":
    result = saga.run()
    for name, value in sorted(result.outputs["settings"].items()):
        print(f"{name}: {value}")
