/*
The distributions that read-outs of tests need and PostgreSQL lacks (erf and erfc are built in since 16), and the
always-valid test. All of float8, immutable, exact to about 1e-12; a null in gives a null out.
*/

set local role aegis_transformer;

create or replace function ads_internal.normal_pdf(z double precision)
returns double precision
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case when abs(normal_pdf.z) > 38 then 0 else exp(-normal_pdf.z * normal_pdf.z / 2) / sqrt(2 * pi()) end
$$;
comment on function ads_internal.normal_pdf(double precision) is 'Density of the standard normal distribution.';

create or replace function ads_internal.normal_cdf(z double precision)
returns double precision
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    -- erfc underflows with an error beyond 26 or so
    select case
        when normal_cdf.z < -36 then 0
        when normal_cdf.z > 36 then 1
        else 0.5 * erfc(-normal_cdf.z / sqrt(2::double precision))
    end
$$;
comment on function ads_internal.normal_cdf(double precision) is 'Chance that a standard normal number is at most z; precise in the tails.';

create or replace function ads_internal.log_gamma(x double precision)
returns double precision
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    -- Lanczos' series with g = 7 and nine terms, for x of at least one half
    select
        0.5 * ln(2 * pi()) + (log_gamma.x - 0.5) * ln(log_gamma.x + 6.5) - (log_gamma.x + 6.5)
        + ln(
            0.99999999999980993::double precision
            + 676.5203681218851 / log_gamma.x
            - 1259.1392167224028 / (log_gamma.x + 1)
            + 771.32342877765313 / (log_gamma.x + 2)
            - 176.61502916214059 / (log_gamma.x + 3)
            + 12.507343278686905 / (log_gamma.x + 4)
            - 0.13857109526572012 / (log_gamma.x + 5)
            + 9.9843695780195716e-6 / (log_gamma.x + 6)
            + 1.5056327351493116e-7 / (log_gamma.x + 7)
        )
$$;
comment on function ads_internal.log_gamma(double precision) is
'Logarithm of the gamma function, for x of at least 0.5; lgamma() is built in only since PostgreSQL 18.';

create or replace function ads_internal.incomplete_beta(x double precision, a double precision, b double precision)
returns double precision
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    tiny constant double precision := 1e-300;
    c double precision := 1;
    d double precision;
    fraction double precision;
    term double precision;
    step double precision;
    m integer;
begin
    if x is null or a is null or b is null then
        return null;
    elsif x <= 0 then
        return 0;
    elsif x >= 1 then
        return 1;
    elsif x > (a + 1) / (a + b + 2) then
        return 1 - ads_internal.incomplete_beta(1 - x, b, a);
    end if;

    -- Lentz's evaluation of the continued fraction
    d := 1 - (a + b) * x / (a + 1);
    d := 1 / case when abs(d) < tiny then tiny else d end;
    fraction := d;
    for m in 1..500 loop
        term := m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d := 1 + term * d;
        d := 1 / case when abs(d) < tiny then tiny else d end;
        c := 1 + term / c;
        c := case when abs(c) < tiny then tiny else c end;
        fraction := fraction * d * c;

        term := -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d := 1 + term * d;
        d := 1 / case when abs(d) < tiny then tiny else d end;
        c := 1 + term / c;
        c := case when abs(c) < tiny then tiny else c end;
        step := d * c;
        fraction := fraction * step;
        exit when abs(step - 1) < 1e-15;
    end loop;

    term := ads_internal.log_gamma(a + b) - ads_internal.log_gamma(a) - ads_internal.log_gamma(b)
        + a * ln(x) + b * ln(1 - x);
    return case when term < -700 then 0 else exp(term) * fraction / a end;
end
$$;
comment on function ads_internal.incomplete_beta(double precision, double precision, double precision) is
'Regularised incomplete beta function I_x(a, b), for a and b of at least 0.5.';

create or replace function ads_internal.student_p_value(t double precision, degrees double precision)
returns double precision
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when student_p_value.degrees > 0 and abs(student_p_value.t) < 1e100
            then ads_internal.incomplete_beta(
                student_p_value.degrees / (student_p_value.degrees + student_p_value.t * student_p_value.t),
                student_p_value.degrees / 2,
                0.5
            )
    end
$$;
comment on function ads_internal.student_p_value(double precision, double precision) is
'Two-sided p-value of Student''s t with any positive number of degrees of freedom, of at least 1.';

create or replace function ads_internal.student_critical(alpha double precision, degrees double precision)
returns double precision
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    t double precision := 0;
    step double precision;
    scale double precision;
begin
    if alpha is null or degrees is null or alpha <= 0 or alpha >= 1 or degrees < 1 then
        return null;
    end if;
    -- The tail is convex right of zero, so Newton's steps from zero approach the root from the left.
    scale := ads_internal.log_gamma((degrees + 1) / 2) - ads_internal.log_gamma(degrees / 2) - ln(degrees * pi()) / 2;
    for i in 1..100 loop
        step := (ads_internal.student_p_value(t, degrees) - alpha)
            / (2 * exp(scale - (degrees + 1) / 2 * ln(1 + t * t / degrees)));
        t := t + step;
        exit when abs(step) <= 1e-13 * greatest(t, 1);
    end loop;
    return t;
end
$$;
comment on function ads_internal.student_critical(double precision, double precision) is
'The t whose two-sided p-value is alpha.';

create or replace function ads_internal.chi_square_p_value(chi_square double precision, degrees integer)
returns double precision
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when chi_square_p_value.degrees < 1 or chi_square_p_value.chi_square is null then null
        when chi_square_p_value.chi_square <= 0 then 1
        when chi_square_p_value.chi_square > 1300 then 0
        else
            case chi_square_p_value.degrees % 2
                when 1 then erfc(sqrt(chi_square_p_value.chi_square / 2))
                else exp(-chi_square_p_value.chi_square / 2)
            end
            + coalesce((
                select sum(exp(
                    (k / 2.0::double precision - 1) * ln(chi_square_p_value.chi_square / 2)
                    - chi_square_p_value.chi_square / 2
                    - ads_internal.log_gamma(k / 2.0::double precision)
                ))
                from generate_series(4 - chi_square_p_value.degrees % 2, chi_square_p_value.degrees, 2) as k
            ), 0)
    end
$$;
comment on function ads_internal.chi_square_p_value(double precision, integer) is
'Chance that a chi-square number of that many degrees of freedom is larger.';

create or replace function ads_internal.sequential_prior(alpha double precision, expected_blocks double precision)
returns double precision
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select (-2 * ln(sequential_prior.alpha) + ln(1 - 2 * ln(sequential_prior.alpha)))
        / nullif(greatest(sequential_prior.expected_blocks, 1), 0)
$$;
comment on function ads_internal.sequential_prior(double precision, double precision) is
'Variance of the mixing distribution that makes the always-valid interval narrowest near the expected number of blocks.';

create or replace function ads_internal.sequential_p_value(
    t double precision, blocks double precision, prior double precision
)
returns double precision
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    -- 1 / Bayes factor of a normal prior on the standardised effect against none, the variance unknown: a likelihood
    -- ratio of the scale-invariant statistic, so a martingale under no effect; by Ville it holds at every look.
    select case
        when sequential_p_value.blocks >= 2
            then least(1, exp(least(0,
                0.5 * ln(1 + sequential_p_value.blocks * sequential_p_value.prior)
                + sequential_p_value.blocks / 2 * (
                    ln(1 + sequential_p_value.t ^ 2 / (
                        (sequential_p_value.blocks - 1) * (1 + sequential_p_value.blocks * sequential_p_value.prior)
                    ))
                    - ln(1 + sequential_p_value.t ^ 2 / (sequential_p_value.blocks - 1))
                )
            )))
    end
$$;
comment on function ads_internal.sequential_p_value(double precision, double precision, double precision) is
'Always-valid p-value of a t statistic over that many blocks; may be looked at every day.';

create or replace function ads_internal.sequential_critical(
    alpha double precision, blocks double precision, prior double precision
)
returns double precision
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case
        when sequential_critical.blocks >= 2 and s.bound < 1 + sequential_critical.blocks * sequential_critical.prior
            then sqrt(
                (sequential_critical.blocks - 1) * (s.bound - 1)
                / (1 - s.bound / (1 + sequential_critical.blocks * sequential_critical.prior))
            )
    end
    from (
        select exp(2 / sequential_critical.blocks * (
            0.5 * ln(1 + sequential_critical.blocks * sequential_critical.prior) - ln(sequential_critical.alpha)
        )) as bound
    ) as s
$$;
comment on function ads_internal.sequential_critical(double precision, double precision, double precision) is
'The t whose always-valid p-value is alpha; null where so few blocks exclude no effect at all.';

revoke execute on function
ads_internal.normal_pdf(double precision), ads_internal.normal_cdf(double precision),
ads_internal.log_gamma(double precision),
ads_internal.incomplete_beta(double precision, double precision, double precision),
ads_internal.student_p_value(double precision, double precision),
ads_internal.student_critical(double precision, double precision),
ads_internal.chi_square_p_value(double precision, integer),
ads_internal.sequential_prior(double precision, double precision),
ads_internal.sequential_p_value(double precision, double precision, double precision),
ads_internal.sequential_critical(double precision, double precision, double precision)
from public;
