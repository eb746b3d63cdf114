-- name: facilities
select f.facility_id, f.slug, f.name, s.slug as site, t.slug as territory, t.time_zone, f.bays,
       f.mean_service_s, f.opening, f.holidays, f.tail_device_id, f.entry_device_id,
       f.exit_device_id, f.service_device_id, f.service_point, f.tail_reach, f.flows
from facility f join site s using (site_id) join territory t using (territory_id)
order by t.slug, s.slug, f.slug;

-- name: counters
-- The newest row of each counter: how far its counts reach and whether it reports a fault.
select device_id, t + make_interval(secs => window_s) as read_until,
       coalesce(status, 0) & 1 <> 0 as faulty
from latest_passage where device_id = any(%(devices)s);

-- name: passages
-- The rows of many counters, each over a time of its own, as packed big-endian integers: one round
-- trip and no value by value for a thousand sites. No row is longer than an hour, so that one which
-- reaches into a span began at most an hour before it. The outer bounds leave out partitions.
select q.n::int4 as n,
       string_agg(int4send(extract(epoch from r.t - q.origin)::int4) || int4send(r.window_s)
                  || int4send(coalesce(r.forward_count, -1)), ''::bytea order by r.t) as packed
from unnest(%(devices)s::int4[], %(origins)s::timestamptz[], %(froms)s::timestamptz[],
            %(untils)s::timestamptz[])
     with ordinality as q(device_id, origin, from_t, until_t, n)
join passage_reading r
     on r.device_id = q.device_id and r.t >= q.from_t - interval '1 hour' and r.t < q.until_t
where r.t >= %(first)s::timestamptz - interval '1 hour' and r.t < %(last)s
      and r.t + make_interval(secs => r.window_s) > q.from_t
group by q.n;

-- name: served
select q.facility_id, r.t, r.value
from unnest(%(facilities)s::int4[], %(devices)s::int4[], %(points)s::text[])
     as q(facility_id, device_id, point)
join series s on s.device_id = q.device_id and s.point = q.point
join sample_reading r on r.series_id = s.series_id
where r.t >= %(since)s and r.t < %(until)s and r.value > 0 and r.value < 86400
order by r.t;

-- name: keep_estimate
-- t is the instant up to which cars were counted. What was shown first stays: the record is of
-- what people saw. Only an instant at which nothing could be said may still get an estimate.
insert into wait_estimate (facility_id, t, computed_at, p50_s, p80_s, p95_s, status, basis,
                           situation, people_ahead_p50, people_ahead_p80, quantiles, p_zero,
                           in_site, bays, trend, bracket_min, level, resets, admitted,
                           at_least_s)
values (%(facility_id)s, %(t)s, %(computed_at)s, %(p50_s)s, %(p80_s)s, %(p95_s)s, %(status)s,
        %(basis)s, %(situation)s, %(people_ahead_p50)s, %(people_ahead_p80)s, %(quantiles)s,
        %(p_zero)s, %(in_site)s, %(bays)s, %(trend)s, %(bracket_min)s, %(level)s,
        %(resets)s, %(admitted)s, %(at_least_s)s)
on conflict (facility_id, t) do update
   set computed_at = excluded.computed_at, p50_s = excluded.p50_s, p80_s = excluded.p80_s,
       p95_s = excluded.p95_s, status = excluded.status, basis = excluded.basis,
       situation = excluded.situation, people_ahead_p50 = excluded.people_ahead_p50,
       people_ahead_p80 = excluded.people_ahead_p80, quantiles = excluded.quantiles,
       p_zero = excluded.p_zero, in_site = excluded.in_site, bays = excluded.bays,
       trend = excluded.trend, bracket_min = excluded.bracket_min, level = excluded.level,
       resets = excluded.resets, admitted = excluded.admitted, at_least_s = excluded.at_least_s
   where wait_estimate.situation = 'none';

-- name: latest_estimates
-- One index probe a facility. The one that was made last holds: while nothing is counted it is
-- of this minute, and the first after that of an earlier one.
select f.facility_id, e.t, e.computed_at, e.quantiles, e.p_zero, e.people_ahead_p50,
       e.people_ahead_p80, e.in_site, e.bays, e.trend, e.bracket_min, e.level, e.resets, e.admitted,
       e.at_least_s, e.basis, e.situation
from unnest(%(facilities)s::int4[]) as f(facility_id)
cross join lateral (select * from (select * from wait_estimate w
                                   where w.facility_id = f.facility_id
                                   order by w.t desc limit 30) newest
                    order by computed_at desc nulls last, t desc limit 1) e;

-- name: drop_old_estimates
-- Facility by facility, so that the primary key finds them.
delete from wait_estimate e using facility f
where e.facility_id = f.facility_id and e.t < %(before)s;

-- name: checkpoints
select c.facility_id, c.step, c.digest, c.state
from unnest(%(facilities)s::int4[], %(openings)s::timestamptz[]) as q(facility_id, opening_at)
join wait_checkpoint c using (facility_id, opening_at)
order by c.facility_id, c.step;

-- name: drop_checkpoints
-- Those of other openings, and those that late counts can no longer need.
delete from wait_checkpoint c
using unnest(%(facilities)s::int4[], %(openings)s::timestamptz[], %(firsts)s::int4[])
      as q(facility_id, opening_at, first)
where c.facility_id = q.facility_id and (c.opening_at <> q.opening_at or c.step < q.first);

-- name: keep_checkpoint
insert into wait_checkpoint (facility_id, opening_at, step, digest, state)
values (%(facility_id)s, %(opening_at)s, %(step)s, %(digest)s, %(state)s)
on conflict (facility_id, opening_at, step) do update
   set digest = excluded.digest, state = excluded.state;

-- name: drop_old_checkpoints
delete from wait_checkpoint where opening_at < %(before)s;

-- name: model_times
select facility_id, max(learned_at) as learned_at from wait_model
where facility_id = any(%(facilities)s) group by facility_id;

-- name: latest_models
select f.facility_id, m.learned_at, m.openings, m.document
from unnest(%(facilities)s::int4[]) as f(facility_id)
cross join lateral (select * from wait_model w where w.facility_id = f.facility_id
                    order by w.learned_at desc limit 1) m;

-- name: model_history
select learned_at, openings, document from wait_model
where facility_id = %(facility_id)s order by learned_at desc limit %(limit)s;

-- name: keep_model
insert into wait_model (facility_id, learned_at, openings, document)
values (%(facility_id)s, %(learned_at)s, %(openings)s, %(document)s)
on conflict do nothing;

-- name: drop_model
delete from wait_model where facility_id = %(facility_id)s and learned_at = %(learned_at)s;

-- name: drop_old_models
-- The one that holds stays, however old.
delete from wait_model m
where learned_at < %(before)s
      and exists (select from wait_model n
                  where n.facility_id = m.facility_id and n.learned_at > m.learned_at);

-- name: forecasts
select facility_id, opening_at, closes_at, computed_at, live, slots
from wait_forecast
where facility_id = any(%(facilities)s) and closes_at > %(since)s and opening_at < %(until)s
order by facility_id, opening_at, live;

-- name: keep_forecast
insert into wait_forecast (facility_id, opening_at, closes_at, computed_at, live, slots)
values (%(facility_id)s, %(opening_at)s, %(closes_at)s, %(computed_at)s, %(live)s, %(slots)s)
on conflict (facility_id, opening_at, live) do update
   set closes_at = excluded.closes_at, computed_at = excluded.computed_at, slots = excluded.slots;

-- name: drop_old_forecasts
delete from wait_forecast where closes_at < %(before)s;

-- name: oldest_pending
-- From the index of those that wait alone.
select facility_id, min(t) as t from wait_estimate
where scored_at is null and p50_s is not null and t >= %(since)s and t < %(until)s
group by facility_id;

-- name: pending
select t, situation, quantiles from wait_estimate
where facility_id = %(facility_id)s and t >= %(since)s and t <= %(until)s
      and scored_at is null and p50_s is not null
order by t;

-- name: mark_scored
update wait_estimate e set waited_s = q.waited_s, scored_at = %(now)s
from unnest(%(instants)s::timestamptz[], %(truths)s::float8[]) as q(t, waited_s)
where e.facility_id = %(facility_id)s and e.t = q.t and e.scored_at is null;

-- name: add_score
insert into wait_score as s (facility_id, day, situation, bucket_min, n, n_waited, error_s,
                             pinball_s, inside50, inside80, inside95, waited50, waited80,
                             waited95, above_p80)
values (%(facility_id)s, %(day)s, %(situation)s, %(bucket_min)s, %(n)s, %(n_waited)s,
        %(error_s)s, %(pinball_s)s, %(inside50)s, %(inside80)s, %(inside95)s, %(waited50)s,
        %(waited80)s, %(waited95)s, %(above_p80)s)
on conflict (facility_id, day, situation, bucket_min) do update
   set n = s.n + excluded.n, n_waited = s.n_waited + excluded.n_waited,
       error_s = s.error_s + excluded.error_s, pinball_s = s.pinball_s + excluded.pinball_s,
       inside50 = s.inside50 + excluded.inside50, inside80 = s.inside80 + excluded.inside80,
       inside95 = s.inside95 + excluded.inside95, waited50 = s.waited50 + excluded.waited50,
       waited80 = s.waited80 + excluded.waited80, waited95 = s.waited95 + excluded.waited95,
       above_p80 = s.above_p80 + excluded.above_p80;

-- name: scores
select * from wait_score
where facility_id = %(facility_id)s and day between %(first)s and %(last)s
order by day, situation, bucket_min;

-- name: score_totals
select facility_id, sum(n)::int8 as n, sum(n_waited)::int8 as n_waited, sum(error_s) as error_s,
       sum(pinball_s) as pinball_s, sum(inside50)::int8 as inside50,
       sum(inside80)::int8 as inside80, sum(inside95)::int8 as inside95,
       sum(waited50)::int8 as waited50, sum(waited80)::int8 as waited80,
       sum(waited95)::int8 as waited95, sum(above_p80)::int8 as above_p80
from wait_score where facility_id = any(%(facilities)s) and day >= %(first)s
group by facility_id;

-- name: history
-- By the hour: how many cars entered, by the counter that stood there then, and the median of what
-- was shown. A queue out of sight of
-- its counter is longer than every other; null where that is the median.
select h.t, p.forward_count as visitors, nullif(h.p50_s, 'infinity') as p50_s,
       nullif(h.p80_s, 'infinity') as p80_s
from (select date_bin('1 hour', e.t, 'epoch'::timestamptz) as t,
             percentile_disc(0.5) within group (order by coalesce(e.p50_s, b.over)) as p50_s,
             percentile_disc(0.5) within group (order by coalesce(e.p80_s, b.over)) as p80_s
      from wait_estimate e
      cross join lateral (select case when e.at_least_s is not null
                                      then 'infinity'::float8 end as over) b
      where e.facility_id = %(facility_id)s and e.t >= %(since)s and e.t < %(until)s
      group by 1) h
left join lateral (select device_id from facility_entry y
                   where y.facility_id = %(facility_id)s and y.since <= h.t
                   order by y.since desc limit 1) d on true
left join passage_hour p on p.device_id = d.device_id and p.t = h.t
order by h.t;

-- name: exceptions
select facility_id, exception_id as number, kind, from_at, until_at, reason, created_by, ended_by
from facility_exception
where facility_id = any(%(facilities)s) and until_at > %(since)s and from_at < %(until)s
order by exception_id;

-- name: insert_exception
insert into facility_exception (facility_id, kind, from_at, until_at, reason, created_by,
                                changed_at)
values (%(facility_id)s, %(kind)s, %(from_at)s, %(until_at)s, %(reason)s, %(actor)s, %(now)s)
returning exception_id;

-- name: end_exception
-- One that has begun ends now and stays as evidence; one that has not is as short as can be.
update facility_exception
set until_at = greatest(%(now)s, from_at + interval '1 microsecond'), ended_by = %(actor)s,
    changed_at = %(now)s
where exception_id = %(number)s and facility_id = %(facility_id)s and until_at > %(now)s
returning exception_id;

-- name: capacities
select facility_id, capacity_id as number, bays, from_at, until_at, reason, created_by, ended_by
from facility_capacity
where facility_id = any(%(facilities)s) and (until_at is null or until_at > %(since)s)
      and from_at < %(until)s
order by capacity_id;

-- name: insert_capacity
insert into facility_capacity (facility_id, bays, from_at, until_at, reason, created_by,
                               changed_at)
values (%(facility_id)s, %(bays)s, %(from_at)s, %(until_at)s, %(reason)s, %(actor)s, %(now)s)
returning capacity_id;

-- name: end_capacity
update facility_capacity
set until_at = greatest(%(now)s, from_at + interval '1 microsecond'), ended_by = %(actor)s,
    changed_at = %(now)s
where capacity_id = %(number)s and facility_id = %(facility_id)s
      and (until_at is null or until_at > %(now)s)
returning capacity_id;
