"""The first thing that a stranger runs."""
import re
import subprocess

from harness import ROOT, check, check_equal, test

COUNT = re.compile(r"^ *(\d+) (events/s|events|row changes|documents|dead letters)$", re.MULTILINE)


@test()
def quickstart_shows_the_main_job_and_does_so_again(case):
    # Without installing: builds, loads the sample, shows counts, two documents and what to try next; twice the same.
    shown = []
    for _ in range(2):
        result = subprocess.run([ROOT / "quickstart", "--no-install"], capture_output=True, text=True,
                                stdin=subprocess.DEVNULL)
        check_equal(result.returncode, 0, f"exit; stderr: {result.stderr[-800:]}")
        check("error" not in result.stderr, f"stderr: {result.stderr[-800:]}")
        counts = {name: int(n) for n, name in COUNT.findall(result.stdout)}
        check(counts.pop("events/s", 0) > 0, f"no events/s: {result.stdout[-3000:-2000]}")
        shown.append((counts, result.stdout[result.stdout.index("Two of"):]))
    check_equal(shown[0][0], {"events": 413, "row changes": 250, "documents": 32, "dead letters": 0}, "counts")
    check_equal(shown[1], shown[0], "the second run")
    for hint in ("weir get", "sqlite3 ", "kafka-elasticsearch.yaml"):
        check(hint in shown[0][1], f"does not say to try {hint}")
