"""``make release``: what goes out beside the wheel in ``dist/``.

``requirements.txt``: the wheel's requirements with their hashes, for ``pip install --require-hashes``.
``almanac.cdx.json``: its parts, as CycloneDX 1.6 (cyclonedx.org/specification/overview): Python's from the locked
requirements, the built pages' from the lock of their packages. ``SHA256SUMS``: for ``sha256sum --check``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
PARTS = "almanac.cdx.json"


def of_the_pages(lock: Path) -> list[dict[str, Any]]:
    """The npm packages of ``package-lock.json`` (docs.npmjs.com/cli/configuring-npm/package-lock-json) in CycloneDX."""
    found: dict[str, dict[str, Any]] = {}
    for place, about in json.loads(lock.read_text())["packages"].items():
        if not place or about.get("dev") or about.get("link"):
            continue
        name, version = place.rpartition("node_modules/")[2], about["version"]
        # A scope's @ is written as %40 (github.com/package-url/purl-spec, types-doc/npm-definition).
        purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
        kind, _, digest = about.get("integrity", "").partition("-")
        hashes = [{"alg": "SHA-512", "content": base64.b64decode(digest).hex()}] if kind == "sha512" else []
        found[purl] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
        found[purl] |= {"hashes": hashes} if hashes else {}
    return list(found.values())


def list_parts() -> None:
    """Write the list of the parts, and refuse one that the schema does not know.

    :raises SystemExit: with the schema's reason.
    """
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    made = subprocess.run(
        [
            *(sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--sv", "1.6"),
            *("--pyproject", str(ROOT / "pyproject.toml"), "-o", "-", str(DIST / "requirements.txt")),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    parts = json.loads(made.stdout)
    wheel = next(DIST.glob("*.whl"))
    parts["metadata"]["component"]["version"] = wheel.name.split("-")[1]
    parts["components"] += of_the_pages(ROOT / "reflex.lock" / "package-lock.json")
    text = json.dumps(parts, indent=1, sort_keys=True) + "\n"
    if refused := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"{PARTS} is not CycloneDX: {refused}")
    (DIST / PARTS).write_text(text)
    sys.stdout.write(f"{PARTS}: {len(parts['components'])} parts\n")


def main() -> None:
    """Everything beside the wheel."""
    lines = subprocess.run(
        [sys.executable, "hatch_build.py"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    (DIST / "requirements.txt").write_text(lines.stdout)
    list_parts()
    sums = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
        for file in sorted(DIST.iterdir())
        if file.name not in {"SHA256SUMS", ".gitignore"}
    ]
    (DIST / "SHA256SUMS").write_text("".join(sums))
    sys.stdout.write("".join(sums))


if __name__ == "__main__":
    main()
