"""Known vulnerabilities of what is installed, by pip-audit; `make audit` runs it.

Where its service cannot be reached a line says that nothing was looked up. Ends with 1 where one is known."""

import json
import subprocess
import sys


def main() -> int:
    """Prints what pip-audit found and returns the exit status."""
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
    )
    text, status = summary(done.stdout, done.stderr)
    print(text)
    return status


def summary(found: str, errors: str) -> tuple[str, int]:
    """What to print, and the exit status. found: pip-audit's JSON, empty where it could not work; errors: what it
    says."""
    if not found.strip():
        last = errors.strip().splitlines()[-1:] or ["it says nothing"]
        return f"skipped: pip-audit could not look anything up ({last[0]})", 0
    packages = json.loads(found)["dependencies"]
    known = [package for package in packages if "vulns" in package]
    if not known:
        return f"skipped: the service of pip-audit knows none of the {len(packages)} packages; is there a network?", 0
    lines = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in known
        for vulnerability in package["vulns"]
    ]
    lines.append(f"{len(known)} of {len(packages)} packages were looked up, {len(lines)} vulnerabilities found")
    return "\n".join(lines), int(len(lines) > 1)


if __name__ == "__main__":
    sys.exit(main())
