-- The public record: every estimate as it was first shown, and what became of it.

alter table wait_estimate
    add column computed_at      timestamptz,
    add column quantiles        float4[],
    add column p_zero           float4,
    add column people_ahead_p80 float8,
    add column in_site          float8,
    add column bays             int2,
    add column trend            text,
    add column bracket_min      int2,
    add column level            text,
    add column resets           int4 not null default 0,
    add column admitted         float4,
    add column waited_s         float8,
    add column scored_at        timestamptz;
comment on column wait_estimate.quantiles is '[s] At the levels of cloud.waiting.record.LEVELS';
comment on column wait_estimate.p_zero is '[1] Chance of no wait at all';
comment on column wait_estimate.people_ahead_p80 is '[1] Cars in the queue, not exceeded in four of five cases';
comment on column wait_estimate.in_site is '[1] Cars inside, expected';
comment on column wait_estimate.bracket_min is '[min] Headline: the wait is below; 0 none, 90 above an hour, null where none is shown';
comment on column wait_estimate.resets is '[1] Times that counts contradicted the filter in this opening';
comment on column wait_estimate.admitted is '[1] Chance that a car which joins now is served before closing';
comment on column wait_estimate.waited_s is '[s] What a car that joined then waited, as far as counts tell';
comment on column wait_estimate.scored_at is 'When the truth was looked for; waited_s is null where it cannot be told';
create index on wait_estimate (t) where scored_at is null and p50_s is not null;

create table wait_score (
    facility_id int4 not null references facility on delete cascade,
    day         date not null,
    situation   text not null,
    bucket_min  int2 not null,
    n           int4 not null,
    n_waited    int4 not null,
    error_s     float8 not null,
    pinball_s   float8 not null,
    inside50    int4 not null,
    inside80    int4 not null,
    inside95    int4 not null,
    waited50    int4 not null,
    waited80    int4 not null,
    waited95    int4 not null,
    above_p80   int4 not null,
    primary key (facility_id, day, situation, bucket_min)
);
comment on table wait_score is 'Sums over the scored estimates of a civil day, for good';
comment on column wait_score.bucket_min is '[min] The median that was shown lay from here on: 0, 5, 15 or 30';
comment on column wait_score.n is '[1] Estimates with a known truth; n_waited: those whose car did wait';
comment on column wait_score.error_s is '[s] Sum of |median - truth|';
comment on column wait_score.pinball_s is '[s] Sum of the mean pinball loss over 5, 10, ... 95 %; twice its mean is the CRPS';
comment on column wait_score.inside50 is '[1] Truth within the central 50 %; waited50: among those that did wait';
comment on column wait_score.above_p80 is '[1] Truth above the p80 shown';
