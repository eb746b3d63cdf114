-- Statements of the rollup job. {hour}, {day}, {history}, {channel} and the lists of columns are
-- filled in per kind from cloud/rollups/tables.py (cloud/rollups/statements.py).

-- name: retry_faults
-- In the transaction that takes marks, so that it is marked or due, never neither.
with due as (
    update rollup_fault set retry_at = null where retry_at <= now()
    returning gateway_id, kind, hour)
insert into rollup_dirty (gateway_id, kind, hour) select gateway_id, kind, hour from due;

-- name: keep_fault
-- New readings of a faulty hour mark it too; where a retry is still ahead, that is no attempt.
insert into rollup_fault as f (gateway_id, kind, hour, attempts, detail, retry_at)
values (%(gateway_id)s, %(kind)s, %(hour)s, 1, %(detail)s, now() + %(first)s)
on conflict (gateway_id, kind, hour) do update
set attempts = f.attempts + case when f.retry_at is null then 1 else 0 end,
    detail = excluded.detail,
    failed_at = excluded.failed_at,
    retry_at = case when f.retry_at is not null then f.retry_at
                    when f.attempts + 1 < %(most)s then now() + %(first)s * (4 ^ f.attempts) end;

-- name: forget_faults
delete from rollup_fault f
using unnest(%(gateway)s::int4[], %(kind)s::int2[], %(hour)s::timestamptz[]) m(gateway_id, kind, hour)
where (f.gateway_id, f.kind, f.hour) = (m.gateway_id, m.kind, m.hour);

-- name: forget_dropped_faults
-- Their readings are gone, so nothing is left to try.
delete from rollup_fault f using raw_store r where r.kind = f.kind and f.hour < r.dropped_before;

-- name: take_marks
-- Marks are deleted first and their rows read afterwards, by a later snapshot: a batch that
-- commits in between is summed up now and again later, never missed.
with taken as (
    delete from rollup_dirty
    where ctid = any(array(select ctid from rollup_dirty limit %(limit)s))
    returning gateway_id, kind, hour),
counted as (
    select gateway_id, kind, hour, count(*) as marks from taken group by gateway_id, kind, hour)
select c.kind, c.gateway_id, c.hour, t.time_zone,
       greatest(r.dropped_before, timestamptz '1970-01-01 00:00+00'), c.marks
from counted c
join raw_store r using (kind)
join gateway g using (gateway_id)
join site s using (site_id)
join territory t using (territory_id);

-- name: territory
select territory_id from territory where slug = %(territory)s;

-- name: gateway_name
select name from gateway where gateway_id = %(gateway_id)s;

-- name: unmake_days
-- Days that will be made anew, perhaps with other limits: those whose readings are kept.
delete from {day} x
using {channel} d join gateway g using (gateway_id) join site s using (site_id)
      join territory t using (territory_id)
where x.{key} = d.{key} and t.slug = %(territory)s
  and x.t >= (select dropped_before from raw_store where kind = {kind});

-- name: mark_all
-- Every hour of a territory that has raw rows, for a rebuild; {history} of one kind.
insert into rollup_dirty (gateway_id, kind, hour)
select distinct d.gateway_id, {kind}::int2,
       date_bin('1 hour', r.t, timestamptz '2000-01-01 00:00+00')
from {history} r join {channel} d using ({key})
join gateway g using (gateway_id) join site s using (site_id) join territory t using (territory_id)
where t.slug = %(territory)s;

-- name: sum_hours
-- {lower} and {upper} are literals within one day: with parameters or a join the planner opens
-- every chunk (21 to 34 times the CPU). The lateral reads each device by the unique index.
-- Neighbours of a counter are looked for among its present values of the same hour only.
-- The end before an hour is that of the hour before in this statement, else of the stored one.
with wanted as (
    select gateway_id, array_agg(bucket) as buckets, min(bucket) as lo,
           max(bucket) + interval '1 hour' as hi, min(origin) as origin, min(zone) as zone
    from unnest(%(gateway)s::int4[], %(bucket)s::timestamptz[], %(origin)s::timestamptz[],
                %(zone)s::text[]) as u(gateway_id, bucket, origin, zone)
    group by gateway_id),
fresh as materialized (
    select d.{key}, w.zone, a.*
    from wanted w
    join {channel} d using (gateway_id)
    cross join lateral (
        select bucket as t, {sums}
        from (select r.*{neighbours}
              from (select s.*, date_bin('1 hour', s.t, w.origin) as bucket,
                           greatest(s.window_s, 1) as weight
                    from {history} s
                    where s.{key} = d.{key} and s.t >= w.lo and s.t < w.hi
                      and s.t >= {lower} and s.t < {upper}) r
              where bucket = any(w.buckets)) r
        group by bucket) a),
linked as (select f.*{links_fresh} from fresh f),
written as (
    insert into {hour} as h ({columns})
    select {values}
    from linked f{links_stored}
    on conflict ({key}, t) do update set ({changed}) = row({excluded})
    where ({stored}) is distinct from ({excluded})
    returning {key}, t)
select f.{key}, (f.t at time zone f.zone)::date, f.zone, count(w.t)
from fresh f left join written w using ({key}, t) group by 1, 2, 3;

-- name: link_next
-- The end of a run of hours may be new to the next stored hour, which counts from it.
with run as (
    select d.{key}, u.lo, u.hi, u.zone
    from unnest(%(gateway)s::int4[], %(lo)s::timestamptz[], %(hi)s::timestamptz[],
                %(zone)s::text[]) as u(gateway_id, lo, hi, zone)
    join {channel} d using (gateway_id)),
pair as (
    select n.{key}, n.t, run.zone, p.end_v, p.end_t
    from run
    cross join lateral (
        select h.{c_end} as end_v, h.{c_end_t} as end_t from {hour} h
        where h.{key} = run.{key} and h.t between run.lo and run.hi and h.{c_end} is not null
        order by h.t desc limit 1) p
    cross join lateral (
        select h.{key}, h.t from {hour} h
        where h.{key} = run.{key} and h.t > run.hi and h.{c_end} is not null
        order by h.t limit 1) n),
written as (
    update {hour} h set ({c}, {c_span_s}, {c_resets}) = row({linked})
    from pair p
    where h.{key} = p.{key} and h.t = p.t
      and (h.{c}, h.{c_span_s}, h.{c_resets}) is distinct from ({linked})
    returning h.{key}, h.t, p.zone)
select {key}, (t at time zone zone)::date, zone, count(*) from written group by 1, 2, 3;

-- name: sum_days
-- From the hours of the civil day, which has 23, 24 or 25 of them.
insert into {day} as h ({columns})
select {values}
from (select {key}, day, day::timestamp at time zone zone as t,
             (day + 1)::timestamp at time zone zone as until
      from unnest(%(key)s::int4[], %(day)s::date[], %(zone)s::text[]) as u({key}, day, zone)) f
cross join lateral (
    select {sums} from {hour} h
    where h.{key} = f.{key} and h.t >= f.t and h.t < f.until) a
on conflict ({key}, day) do update set ({changed}) = row({excluded})
where ({stored}) is distinct from ({excluded});

-- name: forget_hours
-- A bounded number at a time, so that no statement holds its locks for long.
delete from {hour} where ctid = any(array(
    select ctid from {hour} where t < %(before)s order by t limit %(limit)s));

-- name: forget_days
delete from {day} where ctid = any(array(
    select ctid from {day} where t < %(before)s order by t limit %(limit)s));

-- name: raise_floor
-- To the start of a partition, so that no hour is dropped in part. Ingest refuses what is older
-- from the commit on; nothing is dropped yet.
update raw_store set raw_floor = date_bin(chunk, %(keep_from)s, 'epoch'), raised_at = %(now)s
where kind = %(kind)s and raw_floor < date_bin(chunk, %(keep_from)s, 'epoch');

-- name: settled_floor
-- The floor as it was raised at least `grace` ago: batches that were checked against an older one
-- are committed, and their marks are in the log.
select extract(epoch from raw_floor)::int8 * 1000000 from raw_store
where kind = %(kind)s and raised_at <= %(settled)s;

-- name: marked_before
select exists (select from rollup_dirty where kind = %(kind)s and hour < %(before)s);
