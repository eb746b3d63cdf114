-- name: facilities
select f.facility_id, f.slug, f.name, s.slug as site, t.slug as territory, t.time_zone, f.bays,
       f.mean_service_s, f.opening, f.holidays, f.tail_device_id, f.entry_device_id,
       f.exit_device_id
from facility f join site s using (site_id) join territory t using (territory_id)
order by t.slug, s.slug, f.slug;

-- name: detectors
-- The newest row of each counter: how far its counts reach and whether it reports a fault.
select device_id, t + make_interval(secs => window_s) as read_until,
       coalesce(status, 0) & 1 <> 0 as faulty
from latest_passage where device_id = any(%(devices)s);

-- name: counted
-- Cars and seconds covered per counter from its known zero to where all of a site's counts reach.
select q.device_id, coalesce(sum(r.forward_count), 0)::int8 as cars,
       coalesce(sum(r.window_s) filter (where r.forward_count is not null), 0)::int8 as covered_s
from unnest(%(devices)s::int4[], %(froms)s::timestamptz[], %(untils)s::timestamptz[])
     as q(device_id, from_t, until_t)
left join passage_reading r
       on r.device_id = q.device_id and r.t >= q.from_t and r.t < q.until_t
group by q.device_id;

-- name: daily_totals
-- Whole days of each counter; days that are covered alike by two counters can be compared.
select device_id, date_bin('24 hours', t, %(midnight)s::timestamptz) as day,
       coalesce(sum(forward_count), 0)::int8 as cars,
       coalesce(sum(window_s) filter (where forward_count is not null), 0)::int8 as covered_s
from passage_reading
where device_id = any(%(devices)s) and t >= %(since)s and t < %(midnight)s
group by device_id, day;

-- name: upsert_estimate
-- t is the instant up to which cars were counted; late counts make the same instant better.
insert into wait_estimate (facility_id, t, p50_s, p80_s, p95_s, status, basis, situation,
                           people_ahead_p50)
values (%(facility_id)s, %(t)s, %(p50_s)s, %(p80_s)s, %(p95_s)s, %(status)s, %(basis)s,
        %(situation)s, %(people_ahead_p50)s)
on conflict (facility_id, t) do update
   set p50_s = excluded.p50_s, p80_s = excluded.p80_s, p95_s = excluded.p95_s,
       status = excluded.status, basis = excluded.basis, situation = excluded.situation,
       people_ahead_p50 = excluded.people_ahead_p50;

-- name: latest_estimates
-- One index probe a facility.
select f.facility_id, e.t, e.p50_s, e.p80_s, e.p95_s, e.basis, e.situation, e.people_ahead_p50
from unnest(%(facilities)s::int4[]) as f(facility_id)
cross join lateral (select * from wait_estimate w where w.facility_id = f.facility_id
                    order by w.t desc limit 1) e;

-- name: drop_old_estimates
delete from wait_estimate where t < %(before)s;

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
