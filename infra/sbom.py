#!/usr/bin/env python3
"""Writes the SBOM of the image: what cargo-cyclonedx says of the program, less what the image does not link.

cargo-cyclonedx goes by `cargo metadata`, which lists optional dependencies of a workspace whether they are
switched on or not. `cargo tree` tells which are. A crate that one has and the other lacks stops this.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

PACKAGE = "ivs-processor"


def linked(cargo: str, target: str, features: list[str]) -> set[tuple[str, str]]:
    """Returns names and versions of the crates that the image is built from, build scripts included."""
    tree = [cargo, "tree", "--locked", "--package", PACKAGE, "--target", target, "--edges", "normal,build"]
    tree += ["--prefix", "none", "--format", "{p}", *features]
    lines = subprocess.run(tree, check=True, capture_output=True, text=True).stdout.splitlines()
    words = [line.split() for line in lines if line.strip()]
    return {(name, version.removeprefix("v")) for name, version, *_ in words}


def cut(bom: dict, wanted: set[tuple[str, str]]) -> dict:
    """Returns the SBOM with nothing but the wanted crates."""
    root = bom["metadata"]["component"]
    components = [each for each in bom["components"] if (each["name"], each["version"]) in wanted]
    there = {(each["name"], each["version"]) for each in [root, *components]}
    if missing := wanted - there:
        sys.exit(f"sbom: cargo-cyclonedx did not list {sorted(missing)}, which the image is built from")
    refs = {each["bom-ref"] for each in [root, *components]}
    dependencies = [
        {**each, "dependsOn": [ref for ref in each.get("dependsOn", []) if ref in refs]}
        for each in bom.get("dependencies", [])
        if each["ref"] in refs
    ]
    return {**bom, "components": components, "dependencies": dependencies}


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the SBOM of the image.")
    parser.add_argument("--cargo", default="cargo")
    parser.add_argument("--cyclonedx", required=True, help="the program cargo-cyclonedx")
    parser.add_argument("--target", required=True, help="the image's platform, as rustc names it")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("features", nargs="*", help="the features of the image, as Cargo takes them")
    asked = parser.parse_args()
    wanted = linked(asked.cargo, asked.target, asked.features)

    # It writes a file beside every manifest of the workspace.
    name = "sbom-unfinished"
    command = [asked.cyclonedx, "cyclonedx", "--format", "json", "--spec-version", "1.5"]
    command += ["--target", asked.target, "--override-filename", name, *asked.features]
    try:
        subprocess.run(command, check=True)
        text = Path(f"processor/{name}.json").read_text(encoding="utf-8")
    finally:
        for folder in ["schemas", "tests", "processor", "processor/*"]:
            for stray in Path().glob(f"{folder}/{name}.json"):
                stray.unlink()

    # Where it was built is nobody's business.
    bom = cut(json.loads(text.replace(str(Path.cwd()), "")), wanted)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(bom, indent=2) + "\n", encoding="utf-8")
    print(f"{asked.out}: {len(bom['components'])} crates")


if __name__ == "__main__":
    main()
