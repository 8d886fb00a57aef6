"""Read-outs of A/B tests against published implementations (scipy, tea-tasting) and against what must not be believed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import tea_tasting as tt
from scipy import integrate, stats
from trial import OTHER, START, TENANT, Trials, day, pair

NEAR = {"rel": 1e-6, "abs": 1e-12}
METRICS = {
    "ctr": ("clicks", "impressions"),
    "cvr": ("conversions", "clicks"),
    "cpc": ("spend", "clicks"),
    "cpa": ("spend", "conversions"),
    "roas": ("conversion_value", "spend"),
}


@pytest.fixture(scope="module")
def built(new_warehouse: Callable[..., Any], dbt_folder: Path) -> Iterator[Trials]:
    warehouse = new_warehouse()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AEGIS_DATA_DIR", str(dbt_folder))
        yield Trials(warehouse)


@pytest.fixture
def trials(built: Trials) -> Iterator[Trials]:
    yield built
    built.forget()


def series(
    seed: int, days: int = 28, ctr: float = 0.02, cvr: float = 0.05, **fixed: Any
) -> list[dict[str, Any]]:
    """Days of one ad, scattered more than coins would be."""
    chance = np.random.default_rng(seed)
    rows = []
    for _ in range(days):
        impressions = int(chance.normal(20000, 2000))
        clicks = int(chance.poisson(impressions * ctr * math.exp(chance.normal(0, 0.15))))
        conversions = int(chance.poisson(clicks * cvr * math.exp(chance.normal(0, 0.15))))
        rows.append({
            "spend": round(float(chance.normal(200, 15)), 2), "impressions": impressions, "clicks": clicks,
            "conversions": conversions, "conversion_value": round(conversions * float(chance.normal(60, 6)), 2),
            **fixed,
        })  # fmt: skip
    return rows


def columns(rows: list[dict[str, Any]], metric: str) -> tuple[np.ndarray, np.ndarray]:
    top, bottom = METRICS[metric]
    return np.array([float(r[top]) for r in rows]), np.array([float(r[bottom]) for r in rows])


def influence(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x - x.sum() / y.sum() * y) / y.mean()


# -- distributions ------------------------------------------------------------------------------------------


def test_distributions_equal_scipy(built: Trials) -> None:
    with built.warehouse.connect("transformer") as connection:

        def value(call: str) -> float:
            row = connection.execute(f"select ads_internal.{call}".encode()).fetchone()
            assert row is not None
            return float(row[0])

        for t in (0.0, 0.3, 1.0, 2.2, -4.0, 12.0, 60.0):
            assert value(f"normal_cdf({t}::float8)") == pytest.approx(stats.norm.cdf(t), rel=1e-9, abs=1e-300)
            assert value(f"normal_pdf({t}::float8)") == pytest.approx(stats.norm.pdf(t), rel=1e-9, abs=1e-300)
            for degrees in (1, 2, 5.5, 13, 27.3, 120, 5000):
                expected = 2 * stats.t.sf(abs(t), degrees)
                assert value(f"student_p_value({t}::float8, {degrees})") == pytest.approx(
                    expected, rel=1e-8, abs=1e-250
                )
        for alpha in (0.5, 0.1, 0.05, 0.0125, 0.0001):
            for degrees in (1, 3.3, 13, 59, 1000):
                expected = stats.t.isf(alpha / 2, degrees)
                assert value(f"student_critical({alpha}, {degrees})") == pytest.approx(expected, rel=1e-9)
        for degrees in range(1, 10):
            for chi_square in (0.0, 0.4, 3.84, 11.0, 40.0, 500.0):
                expected = stats.chi2.sf(chi_square, degrees)
                assert value(f"chi_square_p_value({chi_square}, {degrees})") == pytest.approx(
                    expected, rel=1e-9, abs=1e-200
                )


def bayes_factor(t: float, n: float, prior: float) -> float:
    """Rouder et al. (2009), eq. 1 with the prior on the effect normal of variance `prior`, by integration over it."""

    def weighed(effect: float) -> float:
        return float(
            stats.nct.pdf(t, n - 1, effect * math.sqrt(n)) * stats.norm.pdf(effect, 0, math.sqrt(prior))
        )

    top, _ = integrate.quad(weighed, -4, 4, epsabs=1e-14, epsrel=1e-11, limit=400)
    return top / float(stats.t.pdf(t, n - 1))


@pytest.mark.parametrize(
    ("t", "n", "prior"), [(0.0, 14, 0.28), (1.3, 14, 0.28), (-2.9, 20, 0.1), (3.4, 60, 0.05)]
)
def test_the_always_valid_p_value_is_the_bayes_factor_of_the_t_test(
    built: Trials, t: float, n: int, prior: float
) -> None:
    (row,) = built.warehouse.rows(
        "select ads_internal.sequential_p_value(%s, %s, %s), ads_internal.sequential_critical(0.05, %s, %s)",
        (t, n, prior, n, prior),
        role="transformer",
    )
    assert row[0] == pytest.approx(min(1, 1 / bayes_factor(t, n, prior)), rel=1e-6)
    assert 1 / bayes_factor(row[1], n, prior) == pytest.approx(0.05, rel=1e-6)


def test_with_many_blocks_it_is_the_mixture_that_growthbook_publishes(built: Trials) -> None:
    """gbstats: e = exp(rho^2 T / (2 (n rho^2 + 1))) / sqrt(n rho^2 + 1), T = n t^2; half width likewise."""
    n, expected_n, alpha = 10_000_000, 5000, 0.05
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / expected_n
    for t in (1.0, 4.0, 6.5):
        e = math.exp(rho2 * n * t * t / (2 * (n * rho2 + 1))) / math.sqrt(n * rho2 + 1)
        (row,) = built.warehouse.rows(
            """
            select ads_internal.sequential_prior(0.05, 5000), ads_internal.sequential_p_value(%s, %s, %s),
                ads_internal.sequential_critical(0.05, %s, %s)
            """,
            (t, n, rho2, n, rho2),
            role="transformer",
        )
        assert row[0] == pytest.approx(rho2, rel=1e-12)
        assert row[1] == pytest.approx(min(1, 1 / e), rel=1e-4)
        width = math.sqrt(
            2 * (n * rho2 + 1) * math.log(math.sqrt(n * rho2 + 1) / alpha) / (n * n * rho2)
        ) * math.sqrt(n)
        assert row[2] == pytest.approx(width, rel=1e-4)


# -- read-outs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
def test_parallel_variants_are_compared_day_by_day(trials: Trials, metric: str) -> None:
    a, b = series(1), series(2, ctr=0.023, cvr=0.06)
    trials.figures("a", a)
    trials.figures("b", b)
    trials.test("t", pair(), metric=metric)
    trials.look(day(27))
    read = trials.read("t")
    (got,) = read["results"]["comparisons"]

    (xa, ya), (xb, yb) = columns(a, metric), columns(b, metric)
    difference = xb.sum() / yb.sum() - xa.sum() / ya.sum()
    z = influence(xb, yb) - influence(xa, ya)
    published = stats.ttest_1samp(z + difference, 0)
    low, high = published.confidence_interval(0.95)
    assert got["difference"] == pytest.approx(difference, **NEAR)
    assert got["standard_error_from"] == "days"
    assert got["p_value"] == pytest.approx(published.pvalue, **NEAR)
    assert got["interval"] == pytest.approx([low, high], **NEAR)
    assert float(read["p_value"]) == pytest.approx(published.pvalue, **NEAR)

    logs = stats.ttest_1samp(
        influence(xb, yb) / (xb.sum() / yb.sum()) - influence(xa, ya) / (xa.sum() / ya.sum())
        + math.log(1 + difference / (xa.sum() / ya.sum())), 0,
    )  # fmt: skip
    low, high = logs.confidence_interval(0.95)
    assert got["relative_interval"] == pytest.approx([math.exp(low) - 1, math.exp(high) - 1], **NEAR)

    prior = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / 28
    assert got["sequential_p_value"] == pytest.approx(
        min(1, 1 / bayes_factor(published.statistic, 28, prior)), rel=1e-6
    )
    assert (
        got["sequential_interval"][0]
        < got["interval"][0]
        < got["interval"][1]
        < got["sequential_interval"][1]
    )

    se = stats.sem(z)
    gain = difference if metric in ("ctr", "cvr", "roas") else -difference
    chance_b = stats.norm.cdf(gain / se)
    losses = {
        "A": integrate.quad(lambda d: max(d, 0) * stats.norm.pdf(d, gain, se), gain - 9 * se, gain + 9 * se, points=[0], epsrel=1e-11)[0],
        "B": integrate.quad(lambda d: max(-d, 0) * stats.norm.pdf(d, gain, se), gain - 9 * se, gain + 9 * se, points=[0], epsrel=1e-11)[0],
    }  # fmt: skip
    by_name = {one["name"]: one for one in read["results"]["variants"]}
    assert by_name["B"]["probability_best"] == pytest.approx(chance_b, **NEAR)
    for name, loss in losses.items():
        assert by_name[name]["expected_loss"] == pytest.approx(loss, rel=1e-6, abs=1e-9)
    assert float(read["probability_best"]) == pytest.approx(max(chance_b, 1 - chance_b), **NEAR)


@pytest.mark.parametrize("metric", METRICS)
def test_a_time_split_equals_tea_tastings_ratio_of_means(trials: Trials, metric: str) -> None:
    import pandas as pd

    a, b = series(3, days=17), series(4, days=21, ctr=0.024)
    trials.figures("a", a)
    trials.figures("b", b, start=day(17))
    trials.test("t", pair(), metric=metric, assignment="time_split", test_type="timing")
    trials.look(day(40))
    (got,) = trials.read("t")["results"]["comparisons"]

    frame = pd.DataFrame([{"variant": 0, **row} for row in a] + [{"variant": 1, **row} for row in b]).astype(
        {"conversions": float}
    )
    top, bottom = METRICS[metric]
    published = tt.Experiment(m=tt.RatioOfMeans(top, bottom, equal_var=False, use_t=True)).analyze(frame)["m"]
    if got["standard_error_from"] == "binomial":
        pytest.fail("the fixture must be scattered more than coins")
    assert got["difference"] == pytest.approx(published.effect_size, **NEAR)
    assert got["p_value"] == pytest.approx(published.pvalue, **NEAR)
    assert got["interval"] == pytest.approx(
        [published.effect_size_ci_lower, published.effect_size_ci_upper], **NEAR
    )
    assert got["relative_difference"] == pytest.approx(published.rel_effect_size, **NEAR)
    assert got["relative_interval"] == pytest.approx(
        [published.rel_effect_size_ci_lower, published.rel_effect_size_ci_upper], **NEAR
    )


def test_three_variants_are_integrated_and_corrected(trials: Trials) -> None:
    rows = {"a": series(5), "b": series(6, ctr=0.0212), "c": series(7, ctr=0.0206)}
    for name, days in rows.items():
        trials.figures(name, days)
    trials.test("t", [*pair(), {"name": "C", "level": "ad", "platform_id": "c"}])
    trials.look(day(27))
    read = trials.read("t")
    shown = {one["name"]: one for one in read["results"]["variants"]}
    mu, sd = [], []
    for days in rows.values():
        x, y = columns(days, "ctr")
        mu.append(x.sum() / y.sum())
        sd.append(stats.sem(influence(x, y)))
    low, high = min(mu) - 9 * max(sd), max(mu) + 9 * max(sd)
    best = [
        integrate.quad(
            lambda v, i=i: stats.norm.pdf(v, mu[i], sd[i])
            * math.prod(stats.norm.cdf(v, mu[j], sd[j]) for j in range(3) if j != i),
            low, high, points=mu, epsrel=1e-10, epsabs=1e-13, limit=300,
        )[0]
        for i in range(3)
    ]  # fmt: skip
    maximum = sum(
        integrate.quad(
            lambda v, i=i: v * stats.norm.pdf(v, mu[i], sd[i])
            * math.prod(stats.norm.cdf(v, mu[j], sd[j]) for j in range(3) if j != i),
            low, high, points=mu, epsrel=1e-10, epsabs=1e-14, limit=300,
        )[0]
        for i in range(3)
    )  # fmt: skip
    assert [shown[name]["probability_best"] for name in "ABC"] == pytest.approx(best, rel=1e-6)
    assert [shown[name]["expected_loss"] for name in "ABC"] == pytest.approx(
        [maximum - m for m in mu], rel=1e-5, abs=1e-9
    )
    assert sum(shown[name]["probability_best"] for name in "ABC") == pytest.approx(1, abs=1e-9)
    comparisons = read["results"]["comparisons"]
    assert [one["confidence"] for one in comparisons] == [0.975, 0.975]
    assert float(read["p_value"]) == pytest.approx(
        min(1, 2 * min(one["p_value"] for one in comparisons)), rel=1e-9
    )


def test_coins_bound_the_error_from_below(trials: Trials) -> None:
    """Days that agree by luck do not make clicks surer than coins."""
    trials.figures("a", [{"impressions": 1000, "clicks": 20 + n % 2, "spend": 5} for n in range(20)])
    trials.figures("b", [{"impressions": 1000, "clicks": 22 + n % 2, "spend": 5} for n in range(20)])
    trials.test("t", pair())
    trials.look(day(19))
    (got,) = trials.read("t")["results"]["comparisons"]
    p = [20.5 / 1000, 22.5 / 1000]
    assert got["standard_error_from"] == "binomial"
    assert got["standard_error"] == pytest.approx(
        math.sqrt(sum(one * (1 - one) / 20000 for one in p)), **NEAR
    )


# -- verdicts -----------------------------------------------------------------------------------------------


def verdict(trials: Trials, name: str = "t") -> tuple[str, str | None, str]:
    read = trials.read(name)
    return read["verdict"], read["winner"], read["results"]["reason"]


def test_a_clear_winner_is_declared_and_its_control_may_win(trials: Trials) -> None:
    trials.figures("a", series(1))
    trials.figures("b", series(2, ctr=0.03))
    trials.test("t", pair())
    trials.test("back", pair("b", "a"))
    trials.look(day(27))
    assert verdict(trials)[:2] == ("winner", "B")
    assert verdict(trials, "back")[:2] == ("winner", "B")
    assert trials.look(day(27)) == 0, "reading again changes nothing"


@pytest.mark.parametrize("assignment", ["observational", "time_split"])
def test_no_winner_where_nothing_was_left_to_chance(trials: Trials, assignment: str) -> None:
    trials.figures("a", series(1))
    trials.figures("b", series(2, ctr=0.03))
    trials.test("t", pair(), assignment=assignment)
    trials.look(day(27))
    kind, winner, reason = verdict(trials)
    assert (kind, winner) == ("directional", None)
    assert "B is ahead" in reason
    assert trials.read("t")["sequential_p_value"] < 0.05


def test_too_early_before_enough_days_and_events(trials: Trials) -> None:
    trials.figures("a", series(1))
    trials.figures("b", series(2, ctr=0.03))
    trials.test("t", pair())
    trials.test("big", pair(), min_sample=10**6)
    trials.look(day(12))
    assert verdict(trials)[2] == "13 of at least 14 days."
    trials.look(day(13))
    assert verdict(trials)[0] == "winner"
    assert verdict(trials, "big")[0] == "too_early"
    assert "of at least 1000000 clicks" in verdict(trials, "big")[2]


def test_equal_variants_end_without_a_difference(trials: Trials) -> None:
    trials.figures("a", series(1))
    trials.figures("b", series(2))
    trials.test("t", pair(), end_date=day(20))
    trials.look(day(19))
    assert verdict(trials)[0] == "too_early"
    trials.look(day(27))
    assert verdict(trials)[0] == "no_difference"
    assert trials.read("t")["results"]["days"] == 21, "days after the end do not count"


def test_an_uneven_split_makes_a_test_invalid(trials: Trials) -> None:
    trials.figures("a", [{**row, "reach": 9000 + n} for n, row in enumerate(series(1))])
    trials.figures("b", [{**row, "reach": 9500 + n} for n, row in enumerate(series(2, ctr=0.03))])
    trials.test("t", pair())
    trials.test("planned", [{**pair()[0], "weight": 9027}, {**pair()[1], "weight": 9527}])
    trials.look(day(27))
    read = trials.read("t")
    expected = stats.chisquare([9027, 9527]).pvalue
    assert float(read["srm_p_value"]) == pytest.approx(expected, rel=1e-9)
    assert verdict(trials)[:2] == ("invalid", None)
    assert "not split as planned" in verdict(trials)[2]
    assert verdict(trials, "planned")[:2] == ("winner", "B")
    assert trials.read("planned")["srm_p_value"] == 1


def test_an_edited_variant_wins_nothing(trials: Trials) -> None:
    trials.figures("a", series(1))
    trials.figures("b", series(2, ctr=0.03))
    trials.change("b", day(9))
    trials.change("a", day(0))
    trials.test("t", pair())
    trials.look(day(27))
    kind, winner, reason = verdict(trials)
    assert (kind, winner) == ("directional", None)
    assert f"B (daily budget on {day(9)})" in reason and "A (" not in reason


def test_days_that_are_immature_or_incomplete_wait(trials: Trials) -> None:
    a = series(1)
    b = series(2, cvr=0.08)
    for n in (25, 26, 27):
        a[n]["maturity"] = b[n]["maturity"] = 0.8
    a[3]["data_status"] = "withheld"
    b[4] = None  # type: ignore[call-overload]
    trials.figures("a", a)
    trials.figures("b", b)
    trials.test("late", pair(), metric="cvr")
    trials.test("clicks", pair(), metric="ctr")
    trials.look(day(27))
    assert trials.read("late")["results"]["days"] == 23
    assert trials.read("clicks")["results"]["days"] == 26


def test_a_switchback_reads_one_ad_on_the_days_of_each_variant(trials: Trials) -> None:
    rows = series(8, days=40)
    trials.figures("a", rows)
    even = [str(day(n)) for n in range(0, 40, 2)]
    odd = [str(day(n)) for n in range(1, 40, 2)]
    trials.test(
        "t",
        [
            {"name": "morning", "level": "ad", "platform_id": "a", "days": even},
            {"name": "evening", "level": "ad", "platform_id": "a", "days": odd},
        ],
        test_type="timing", assignment="time_split",
    )  # fmt: skip
    trials.look(day(39))
    read = trials.read("t")
    x, y = columns(rows, "ctr")
    assert [one["value"] for one in read["results"]["variants"]] == pytest.approx(
        [x[::2].sum() / y[::2].sum(), x[1::2].sum() / y[1::2].sum()], **NEAR
    )
    assert read["verdict"] == "directional"


@pytest.mark.parametrize("test_type", ["creative", "audience", "bidding", "placement", "timing"])
def test_every_type_is_read(trials: Trials, test_type: str) -> None:
    trials.figures("a", series(1))
    trials.figures("b", series(2, ctr=0.03))
    trials.test("t", pair(), test_type=test_type)
    trials.look(day(27))
    assert verdict(trials)[0] == "winner"


def test_currencies_are_not_mixed(trials: Trials) -> None:
    a = [{**row, "spend_reporting": row["spend"]} for row in series(1)]
    b = [{**row, "currency": "USD", "spend_reporting": row["spend"] / 2} for row in series(1)]
    trials.figures("a", a)
    trials.figures("b", b)
    trials.figures("c", [{**row, "currency": "XAF"} for row in series(1)])
    trials.test("rate", pair(), metric="cpc")
    trials.test("none", pair("a", "c"), metric="cpc")
    trials.look(day(27))
    assert trials.read("rate")["results"]["comparisons"][0]["relative_difference"] == pytest.approx(
        -0.5, abs=1e-4
    )
    assert verdict(trials, "none") == ("too_early", None, "No day is complete for all variants yet.")


# -- bad input ----------------------------------------------------------------------------------------------

GOOD = pair()
BAD: dict[str, tuple[Any, str]] = {
    "no list": ({"a": 1}, "variants is no list"),
    "empty": ([], "there is no variant"),
    "text": (["a", "b"], "variant number 1 is no object"),
    "null": ([None, None], "variant number 1 is no object"),
    "one": (GOOD[:1], "only one variant"),
    "no name": ([GOOD[0], {"level": "ad", "platform_id": "b"}], "variant number 2 has no name"),
    "level": ([GOOD[0], {**GOOD[1], "level": "banner"}], "variant B has no level"),
    "id": ([GOOD[0], {**GOOD[1], "platform_id": {}}], "variant B has no platform_id"),
    "weight 0": ([{**GOOD[0], "weight": 0}, {**GOOD[1], "weight": 0}], "weight of variant A is no number above 0"),
    "weight text": ([{**GOOD[0], "weight": "1"}, {**GOOD[1], "weight": 1}], "weight of variant A"),
    "some weights": ([{**GOOD[0], "weight": 1}, GOOD[1]], "some variants have a weight"),
    "controls": ([GOOD[0], {**GOOD[1], "is_control": True}], "more than one variant is the control"),
    "control": ([GOOD[0], {**GOOD[1], "is_control": "no"}], "is_control of variant B"),
    "names": ([GOOD[0], {**GOOD[1], "name": "A"}], "two variants are called A"),
    "same": ([GOOD[0], {**GOOD[1], "platform_id": "a"}], "variants A and B are the same ad"),
    "days": ([{**GOOD[0], "days": "monday"}, GOOD[1]], "days of variant A"),
}  # fmt: skip


def test_one_tenants_bad_tests_stop_nobody(trials: Trials) -> None:
    trials.figures("a", series(1))
    trials.figures("b", series(2, ctr=0.03))
    trials.figures("a", series(1), tenant=OTHER)
    trials.figures("b", series(2, ctr=0.03), tenant=OTHER)
    for name, (variants, _) in BAD.items():
        if isinstance(variants, list):
            trials.test(name, variants, tenant=OTHER)
    trials.test("unknown", pair("a", "nobody"), tenant=OTHER)
    trials.test("alpha", pair(), tenant=OTHER, alpha="1e-400")
    trials.test("draft", [], tenant=OTHER, status="draft")
    trials.test("future", pair(), tenant=OTHER, start_date=day(400))
    trials.test("good", pair())
    trials.look(day(27))
    assert verdict(trials, "good")[:2] == ("winner", "B")
    for name, (variants, words) in BAD.items():
        if isinstance(variants, list):
            read = trials.read(name, OTHER)
            assert (read["verdict"], read["p_value"], read["winner"]) == ("invalid", None, None), name
            assert words in read["results"]["reason"], name
    assert (
        "nothing is known on meta of NOBODY (ad nobody)" in trials.read("unknown", OTHER)["results"]["reason"]
    )
    assert trials.read("alpha", OTHER)["verdict"] == "invalid"
    assert trials.read("draft", OTHER)["verdict"] is None
    assert trials.read("future", OTHER)["results"]["reason"] == f"It begins on {day(400)}."


def test_arithmetic_that_breaks_is_one_tests_own(trials: Trials) -> None:
    trials.figures("a", series(1))
    trials.figures("b", series(2, ctr=0.03))
    trials.test("good", pair())
    trials.test("odd", pair(), alpha=0.25)
    with trials.warehouse.connect("transformer") as connection:
        row = connection.execute(
            "select pg_get_functiondef('ads_internal.sequential_prior(double precision, double precision)'::regprocedure)"
        ).fetchone()
        assert row is not None
        connection.execute(
            """
            create or replace function ads_internal.sequential_prior(alpha float8, expected_blocks float8)
            returns float8 language sql as 'select case when alpha > 0.2 then 1 / (alpha - alpha) else 0.28 end'
            """
        )
    try:
        trials.look(day(27))
    finally:
        with trials.warehouse.connect("transformer") as connection:
            connection.execute(row[0])
    assert verdict(trials, "good")[0] == "winner"
    assert verdict(trials, "odd") == ("invalid", None, "Its figures cannot be computed: division by zero.")


@pytest.mark.parametrize("days", [0, 1, 2])
def test_hardly_any_data_is_a_reason_not_an_error(trials: Trials, days: int) -> None:
    quiet = [{"impressions": 100, "clicks": 0, "spend": 1, "conversions": 0, "conversion_value": None}] * days
    trials.figures("a", quiet or [{}])
    trials.figures("b", quiet or [{}])
    for metric in METRICS:
        trials.test(metric, pair(), metric=metric, min_days=1, min_sample=1)
    trials.look(day(27))
    for metric in METRICS:
        read = trials.read(metric)
        assert (read["verdict"], read["p_value"], read["probability_best"]) == ("too_early", None, None), (
            metric
        )
        assert read["results"]["reason"], metric


def test_a_tenant_without_any_figures_waits(trials: Trials) -> None:
    trials.test("t", pair(), tenant=OTHER)
    trials.look(day(27), tenants=(TENANT,))
    read = trials.read("t", OTHER)
    assert (read["verdict"], read["results"]["reason"]) == (
        "too_early",
        "No figures of this tenant are there yet.",
    )


def test_a_person_is_told_what_is_wrong(trials: Trials) -> None:
    insert = (
        "insert into ads.ab_tests (tenant_id, name, test_type, platform, variants, status)"
        " values (%s, 'Mine', 'creative', 'meta', %s, %s) returning end_date"
    )
    from psycopg.types.json import Jsonb

    for name, (variants, words) in BAD.items():
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            trials.as_buyer(insert, (TENANT, Jsonb(variants), "running"))
        assert words in str(caught.value.diag.message_primary), name
    trials.as_buyer(insert, (TENANT, Jsonb([]), "draft"))
    with pytest.raises(psycopg.errors.CheckViolation, match="there is no variant"):
        trials.as_buyer("update ads.ab_tests set status = 'running' where name = 'Mine'")
    with pytest.raises(psycopg.errors.CheckViolation, match="alpha"):
        trials.as_buyer("update ads.ab_tests set alpha = 0.9 where name = 'Mine'")
    ((ended,),) = trials.as_buyer(insert, (TENANT, Jsonb(GOOD), "completed"))
    assert ended is not None and ended >= START
