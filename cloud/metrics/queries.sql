-- One statement a metric; the last column is the number, those before it are the labels.

-- name: eclor_database_size_bytes
select pg_database_size(current_database())::float8;

-- name: eclor_gateways
select state, count(*)::float8
from (select 'known' as state from gateway
      union all
      select 'silent' from gateway g
      where not exists (select from stream s where s.gateway_id = g.gateway_id
                          and s.updated_at > now() - interval '15 minutes')) g
group by state;

-- name: eclor_streams_incomplete
-- A stream lacks a batch in its middle when what it received is more than one range from 1 on.
select count(*)::float8 from stream
where not isempty(received)
  and (lower(received) > 1 or range_merge(received)::int8multirange <> received);

-- name: eclor_ingest_silence_seconds
select extract(epoch from now() - max(received_at))::float8 from batch_ledger;

-- name: eclor_quarantine_deliveries
select reason, count(*)::float8 from quarantine group by reason;

-- name: eclor_quarantine_refused
select reason, sum(refused)::float8 from quarantine_refused group by reason;

-- name: eclor_rollup_backlog_marks
select count(*)::float8 from rollup_dirty;

-- name: eclor_rollup_backlog_seconds
select extract(epoch from now() - min(hour))::float8 from rollup_dirty;

-- name: eclor_rollup_faulty_hours
select s.state, count(f.hour)::float8
from (values ('retried', false), ('given_up', true)) s(state, over)
left join rollup_fault f on (f.retry_at is null) = s.over
group by s.state;

-- name: eclor_compression_overdue_partitions
select count(p)::float8
from raw_store left join lateral eclor_uncompressed(table_name, interval '2 days') p on true;

-- name: eclor_backup_age_seconds
-- By `eclor cloud backup`; null before the first.
select (select extract(epoch from now() - at)::float8 from audit_event
        where object = 'database' and action = 'backed_up' order by audit_id desc limit 1);

-- name: eclor_wait_estimate_age_seconds
-- One index probe a facility.
select extract(epoch from now() - max(e.t))::float8
from facility f
cross join lateral (select t from wait_estimate w
                    where w.facility_id = f.facility_id order by w.t desc limit 1) e;

-- name: eclor_wait_facilities
-- Those with an estimate of the last ten minutes; the others are closed.
select e.situation, count(*)::float8
from facility f
cross join lateral (select situation from wait_estimate w
                    where w.facility_id = f.facility_id and w.t > now() - interval '10 minutes'
                    order by w.computed_at desc nulls last, w.t desc limit 1) e
group by e.situation;

-- name: eclor_wait_resets
select sum(e.resets)::float8
from facility f
cross join lateral (select resets from wait_estimate w
                    where w.facility_id = f.facility_id and w.t > now() - interval '10 minutes'
                    order by w.computed_at desc nulls last, w.t desc limit 1) e;

-- name: eclor_plan_left_seconds
select extract(epoch from min(valid_until) - now())::float8
from (select max(valid_until) as valid_until from lighting_plan group by gateway_id) p;
