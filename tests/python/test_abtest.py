"""`hinet abtest` beside SciPy and statsmodels, on a log made here: users of very different
sizes, three scenarios, two arms, a time before."""

import csv

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

PRE_UNTIL = 1_000_000
SCENARIOS = ["home", "search", "deals"]
METRICS = {"ctr": (1, 0), "cvr": (2, 1), "ctcvr": (2, 0), "orders_per_user": (2, None), "value_per_user": (3, None)}


def make_log(path, seed=3, users=400):
    """Rows, and the sums that they should come to: [user, scenario, now or before, 4]."""
    random = np.random.default_rng(seed)
    sums = np.zeros((users, len(SCENARIOS), 2, 4))
    with path.open("w", newline="") as file:
        write = csv.writer(file).writerow
        write(["request_id", "time_ms", "user", "item", "scenario", "position", "model", "version",
               "arm_ranking", "note, quoted", "click", "order", "order_value"])
        for user in range(users):
            arm, rate = user % 2, random.beta(2, 8)
            for row in range(2 * min(int(random.pareto(1.5) * 4) + 3, 60)):
                before = row % 2
                scenario = int(random.integers(len(SCENARIOS)))
                click = random.random() < rate * (1 + 0.3 * arm * (not before))
                order = click and random.random() < 0.4
                value = round(float(random.lognormal(3, 0.5)), 2) if order else 0
                write([f"r{user}-{row}", row if before else PRE_UNTIL + row, f"user {user}", row, SCENARIOS[scenario],
                       1, "m", "1", "" if before else ["base", "new"][arm], 'a "b", c', int(click), int(order),
                       value if order else ""])
                sums[user, scenario, before] += [1, click, order, value]
    return sums


def linearised(sums, metric):
    numerator, denominator = METRICS[metric]
    top = sums[:, numerator]
    under = np.ones(len(sums)) if denominator is None else sums[:, denominator]
    return top, under


def estimates(sums, arms, metric, cuped):
    """Value and variance of both arms, by the definitions."""
    top, under = linearised(sums[:, 0], metric)
    x = np.zeros(len(sums))
    if cuped:
        pre_top, pre_under = linearised(sums[:, 1], metric)
        if pre_under.sum() > 0:
            x = (pre_top - pre_top.sum() / pre_under.sum() * pre_under) / pre_under.mean()
    z, values = np.empty(len(sums)), []
    for arm in (0, 1):
        at = arms == arm
        values.append(top[at].sum() / under[at].sum())
        z[at] = (top[at] - values[arm] * under[at]) / under[at].mean()
    centred = np.concatenate([x[arms == arm] - x[arms == arm].mean() for arm in (0, 1)])
    crossed = np.concatenate([z[arms == arm] for arm in (0, 1)])
    theta = centred @ crossed / (centred @ centred) if centred @ centred > 0 else 0
    out = []
    for arm in (0, 1):
        at = arms == arm
        out.append((values[arm] - theta * x[at].mean(), np.var(z[at] - theta * x[at], ddof=1) / at.sum(), at.sum()))
    return out


@pytest.fixture(scope="module")
def analysis(hinet, tmp_path_factory):
    log = tmp_path_factory.mktemp("abtest") / "log.csv"
    sums = make_log(log)
    return log, sums, hinet.json("abtest", log, "--pre-until", PRE_UNTIL)


def of_scope(sums, scenario):
    """Sums and arms of the users of a scope."""
    of_user = sums.sum(axis=1) if scenario is None else sums[:, SCENARIOS.index(scenario)]
    seen = of_user[:, 0, 0] > 0
    return of_user[seen], (np.arange(len(sums)) % 2)[seen]


@pytest.mark.parametrize("scenario", [None, *SCENARIOS])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("cuped", [False, True])
def test_comparisons_are_scipys(analysis, scenario, metric, cuped):
    _, sums, report = analysis
    scope, arms = of_scope(sums, scenario)
    (a, va, na), (b, vb, nb) = estimates(scope, arms, metric, cuped)
    found = next(c for c in report["comparisons"] if (c["scenario"], c["metric"]) == (scenario, metric))
    numbers = found["cuped"] if cuped else found
    error, df = np.sqrt(va + vb), (va + vb) ** 2 / (va**2 / (na - 1) + vb**2 / (nb - 1))
    t = stats.t.isf(0.025, df)
    gain_error = np.sqrt(vb + (b / a) ** 2 * va) / a
    z = stats.norm.isf(0.025) + stats.norm.isf(0.2)
    expected = {
        "difference": b - a, "low": b - a - t * error, "high": b - a + t * error, "df": df,
        "p": 2 * stats.t.sf(abs(b - a) / error, df), "gain": b / a - 1, "gain_low": b / a - 1 - t * gain_error,
        "gain_high": b / a - 1 + t * gain_error, "mde": z * error, "mde_gain": z * error / a,
    }
    for name, value in expected.items():
        assert numbers[name] == pytest.approx(value, rel=1e-9, abs=1e-13), name


@pytest.mark.parametrize("metric, column", [("orders_per_user", 2), ("value_per_user", 3)])
def test_means_a_user_are_statsmodels_welch(analysis, metric, column):
    _, sums, report = analysis
    scope, arms = of_scope(sums, None)
    sides = [DescrStatsW(scope[arms == arm, 0, column]) for arm in (1, 0)]
    low, high = CompareMeans(*sides).tconfint_diff(usevar="unequal")
    found = next(c for c in report["comparisons"] if (c["scenario"], c["metric"]) == (None, metric))
    assert (found["low"], found["high"]) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))
    assert found["p"] == pytest.approx(CompareMeans(*sides).ttest_ind(usevar="unequal")[1], rel=1e-9)


def test_correction_is_holms_over_all(analysis):
    _, _, report = analysis
    corrected = multipletests([c["cuped"]["p"] for c in report["comparisons"]], method="holm")[1]
    assert [c["p_holm"] for c in report["comparisons"]] == pytest.approx(list(corrected), rel=1e-9)


def test_counts_and_sample_ratio(hinet, analysis):
    log, sums, report = analysis
    arms = {(a["scenario"], a["arm"]): a for a in report["arms"]}
    for arm, name in enumerate(["base", "new"]):
        now = sums[np.arange(len(sums)) % 2 == arm].sum(axis=(0, 1))[0]
        found = arms[None, name]
        assert [found["impressions"], found["clicks"], found["orders"]] == list(now[:3])
        assert found["value"] == pytest.approx(now[3])
    assert report["sample_ratio"]["p"] == 1 and not report["sample_ratio"]["mismatch"]
    skewed = hinet.json("abtest", log, "--pre-until", PRE_UNTIL, "--shares", "base=2,new=1")["sample_ratio"]
    expected = stats.chisquare([200, 200], [800 / 3, 400 / 3]).pvalue
    assert skewed["p"] == pytest.approx(expected, rel=1e-9) and skewed["mismatch"]
    text = hinet.text("abtest", log, "--pre-until", PRE_UNTIL, "--shares", "base=2,new=1")
    assert text.startswith("WARNING: SAMPLE RATIO MISMATCH")


def test_a_pre_file_is_the_same_as_a_pre_time(hinet, analysis, tmp_path):
    log, _, report = analysis
    head, *rows = log.read_text().splitlines()
    before = [row for row in rows if int(row.split(",")[1]) < PRE_UNTIL]
    now = [row for row in rows if int(row.split(",")[1]) >= PRE_UNTIL]
    (tmp_path / "before.csv").write_text("\n".join([head, *before]) + "\n")
    (tmp_path / "now.csv").write_text("\n".join([head, *now]) + "\n")
    split = hinet.json("abtest", tmp_path / "now.csv", "--pre", tmp_path / "before.csv")
    for found, expected in zip(split["comparisons"], report["comparisons"], strict=True):
        assert found["cuped"]["p"] == pytest.approx(expected["cuped"]["p"], rel=1e-9)


def test_confidence_control_and_layer(hinet, analysis):
    log, _, report = analysis
    other = hinet.json("abtest", log, "--pre-until", PRE_UNTIL, "--control", "new", "--layer", "ranking",
                       "--confidence", 0.99)
    ours, theirs = other["comparisons"][0], report["comparisons"][0]
    assert ours["difference"] == pytest.approx(-theirs["difference"])
    assert ours["high"] - ours["low"] > theirs["high"] - theirs["low"]
    renamed = log.with_name("renamed.csv")
    head, rest = log.read_text().split("\n", 1)
    renamed.write_text(head.replace("user", "user_id").replace("scenario", "tab") + "\n" + rest)
    assert hinet.json("abtest", renamed, "--pre-until", PRE_UNTIL, "--user", "user_id", "--scenario", "tab") == report
    hinet.fails(65, 'no column "user"', "abtest", renamed)
    hinet.fails(65, "no column arm_absent", "abtest", log, "--layer", "absent")
    hinet.fails(2, "--control", "abtest", log, "--control", "nobody")
    hinet.fails(2, "--confidence", "abtest", log, "--confidence", "1.5")
    hinet.fails(66, "absent.csv", "abtest", "absent.csv")
