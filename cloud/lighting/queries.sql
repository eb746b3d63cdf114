-- name: groups
-- Everything planning and reporting need of the groups, with their lamps in one row each.
-- single_group: the gateway feeds this group alone, so that its feeder meter is the group's.
select g.group_id, g.slug, g.name, t.slug as territory, t.time_zone, w.gateway_id,
       w.name as gateway, s.latitude, s.longitude, g.rated_power_w, g.baseline_power_w,
       g.baseline_name, g.normal_level_pct, g.reduced_levels, g.counter_device_id,
       g.capacity_per_h, g.switch_elevation_deg, (now() at time zone t.time_zone)::date as today,
       array(select d.name from lighting_group_member m join device d using (device_id)
             where m.group_id = g.group_id order by d.name) as devices,
       array(select m.device_id from lighting_group_member m
             where m.group_id = g.group_id order by m.device_id) as device_ids,
       array(select d.device_id from device d
             where d.gateway_id = g.gateway_id and d.kind = 'feeder'
             order by d.device_id) as feeder_ids,
       count(*) over (partition by g.gateway_id) = 1 as single_group
from lighting_group g
join territory t using (territory_id)
join gateway w using (gateway_id)
join site s using (site_id)
order by t.slug, g.slug;

-- name: hour_counts
-- Complete hours only: a hole of more than a minute, a faulty detector, a reset counter, an
-- unsure clock or a suspect row (quality 8, 16, 128) make an hour unusable. Hours begin phase_s
-- after the full hour; another phase than 0 asks for rows of a quarter of an hour at most.
select date_bin('1 hour', t,
                timestamptz '2000-01-01 00:00+00' + make_interval(secs => %(phase_s)s)) as hour,
       sum(forward_count::int8 + coalesce(backward_count, 0))::int8 as vehicles
from passage_reading
where device_id = %(device_id)s and t >= %(since)s and t < %(until)s
group by hour
having sum(window_s) >= 3540 and count(forward_count) = count(*)
   and (%(phase_s)s = 0 or max(window_s) <= 900)
   and not bool_or(quality & 152 <> 0 or coalesce(status, 0) & 1 <> 0)
order by hour;

-- name: latest_plan
select document from lighting_plan where gateway_id = %(gateway_id)s
order by issued_at desc, plan_id desc limit 1;

-- name: latest_plans
-- The plan in force of every gateway, for publication.
select distinct on (p.gateway_id) w.name as gateway, p.document, p.sha256
from lighting_plan p join gateway w using (gateway_id)
order by p.gateway_id, p.issued_at desc, p.plan_id desc;

-- name: insert_plan
insert into lighting_plan (plan_id, gateway_id, issued_at, valid_from, valid_until, document,
                           sha256)
values (%(plan_id)s, %(gateway_id)s, %(issued_at)s, %(valid_from)s, %(valid_until)s, %(document)s,
        %(sha256)s)
on conflict (plan_id) do nothing;

-- name: drop_old_plans
-- Superseded plans are kept for a year, as evidence of what was ordered.
delete from lighting_plan p
where p.valid_until < %(before)s
  and exists (select from lighting_plan n
              where n.gateway_id = p.gateway_id and n.issued_at > p.issued_at);

-- name: group_states
-- The newest row of every lamp, one row a group; lamps silent for longer than max_age count as
-- silent and add neither level nor power. Where no lamp tells its power, the feeder of a gateway
-- that feeds this group alone does.
select m.group_id, count(*)::int4 as lamps, count(l.t)::int4 as reporting,
       avg(l.level_pct)::float8 as level_pct, min(l.level_pct)::float8 as level_min_pct,
       max(l.level_pct)::float8 as level_max_pct, avg(l.target_pct)::float8 as target_pct,
       coalesce(sum(l.power_w), min(f.power_w))::float8 as power_w,
       count(l.power_w)::int4 as power_lamps,
       count(*) filter (where l.status & 3 <> 0)::int4 as failed,
       max(l.t + make_interval(secs => l.window_s)) as observed_at
from lighting_group_member m
left join latest_light l
       on l.device_id = m.device_id and l.t >= %(oldest)s
left join lateral (
    select sum(r.power_w) as power_w
    from lighting_group g join device d using (gateway_id)
    join latest_feeder r on r.device_id = d.device_id and r.t >= %(oldest)s
    where g.group_id = m.group_id
      and not exists (select from lighting_group o
                      where o.gateway_id = g.gateway_id and o.group_id <> g.group_id)
) f on true
group by m.group_id;

-- name: group_trend
-- Mean level and power of a lamp per slot, from a bounded sample of each group's lamps: all lamps
-- of a group share one level, and the page must not read a million rows.
select s.group_id, date_bin('15 minutes', r.t, timestamptz '2000-01-01 00:00+00') as slot,
       avg(r.level_pct)::float8 as level_pct, avg(r.power_w)::float8 as lamp_power_w
from (select group_id, device_id,
             row_number() over (partition by group_id order by device_id) as place
      from lighting_group_member) s
join light_reading r on r.device_id = s.device_id and r.t >= %(since)s
where s.place <= %(sample)s
group by s.group_id, slot
order by s.group_id, slot;

-- name: feeder_spans
-- Energy between the ends of the first and last reading of each night. A counter that falls began
-- again: what it shows then is counted from zero.
with step as (
    select n.night, r.device_id, r.t + make_interval(secs => r.window_s) as read_at,
           r.energy_import_wh as now_wh,
           lag(r.energy_import_wh) over (partition by n.night, r.device_id order by r.t) as then_wh
    from unnest(%(froms)s::timestamptz[], %(untils)s::timestamptz[])
         with ordinality as n(from_t, until_t, night)
    join feeder_reading r on r.device_id = any(%(devices)s)
         and r.t >= n.from_t and r.t < n.until_t and r.energy_import_wh is not null)
select night::int4, device_id, min(read_at) as first_at, max(read_at) as last_at,
       coalesce(sum(case when now_wh >= then_wh then now_wh - then_wh
                         when now_wh < then_wh then now_wh end), 0)::float8 as energy_wh,
       count(*) filter (where now_wh < then_wh)::int4 as resets
from step group by night, device_id order by night, device_id;

-- name: lamp_spans
-- The same from the counters in the lamps.
with step as (
    select n.night, r.device_id, r.t + make_interval(secs => r.window_s) as read_at,
           r.energy_wh as now_wh,
           lag(r.energy_wh) over (partition by n.night, r.device_id order by r.t) as then_wh
    from unnest(%(froms)s::timestamptz[], %(untils)s::timestamptz[])
         with ordinality as n(from_t, until_t, night)
    join light_reading r on r.device_id = any(%(devices)s)
         and r.t >= n.from_t and r.t < n.until_t and r.energy_wh is not null)
select night::int4, device_id, min(read_at) as first_at, max(read_at) as last_at,
       coalesce(sum(case when now_wh >= then_wh then now_wh - then_wh
                         when now_wh < then_wh then now_wh end), 0)::float8 as energy_wh,
       count(*) filter (where now_wh < then_wh)::int4 as resets
from step group by night, device_id order by night, device_id;

-- name: segments
select group_id, settings from lighting_segment;

-- name: put_segment
insert into lighting_segment (group_id, settings, changed_at, changed_by)
values (%(group_id)s, %(settings)s, %(now)s, %(actor)s)
on conflict (group_id) do update set settings = excluded.settings,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by;

-- name: remove_segment
delete from lighting_segment where group_id = %(group_id)s;

-- name: rules
-- Rules in force; a rule that was ended stays as evidence, and is asked for with `ended`.
select group_id, rule_id, kind, start_time, end_time, weekdays, first_day, last_day, decided_by,
       decided_on, reference, ended_at
from lighting_rule
where group_id = any(%(groups)s) and (ended_at is null or %(ended)s)
order by rule_id;

-- name: insert_rule
insert into lighting_rule (group_id, kind, start_time, end_time, weekdays, first_day, last_day,
                           decided_by, decided_on, reference, changed_at)
values (%(group_id)s, %(kind)s, %(start)s, %(end)s, %(weekdays)s, %(first_day)s, %(last_day)s,
        %(decided_by)s, %(decided_on)s, %(reference)s, %(now)s)
returning rule_id;

-- name: end_rule
update lighting_rule set ended_at = %(now)s, changed_at = %(now)s
where rule_id = %(rule_id)s and group_id = %(group_id)s and ended_at is null
returning rule_id;

-- name: overrides
select group_id, override_id, from_at, until_at, level_pct, priority, reason, created_by, ended_by
from lighting_override
where group_id = any(%(groups)s) and until_at > %(since)s and from_at < %(until)s
order by from_at, override_id;

-- name: insert_override
insert into lighting_override (group_id, from_at, until_at, level_pct, priority, reason,
                               created_by, changed_at)
values (%(group_id)s, %(from_at)s, %(until_at)s, %(level_pct)s, %(priority)s, %(reason)s,
        %(actor)s, %(now)s)
returning override_id;

-- name: end_override
-- One that has begun ends now and stays as evidence; one that has not is as short as can be.
update lighting_override
set until_at = greatest(%(now)s, from_at + interval '1 microsecond'), ended_by = %(actor)s,
    changed_at = %(now)s
where override_id = %(override_id)s and group_id = %(group_id)s and until_at > %(now)s
returning override_id;

-- name: decisions
-- The hour-ahead decision where there is one, else the night-ahead.
select distinct on (group_id, hour) group_id, hour, lower, ahead
from lighting_decision
where group_id = any(%(groups)s) and hour >= %(since)s and hour < %(until)s
order by group_id, hour, ahead;

-- name: put_decision
-- A decision for a whole night is made once; one for the coming hour replaces its own.
insert into lighting_decision (group_id, hour, ahead, lower, decided_at)
values (%(group_id)s, %(hour)s, %(ahead)s, %(lower)s, %(now)s)
on conflict (group_id, hour, ahead) do update
    set lower = excluded.lower, decided_at = excluded.decided_at;

-- name: raises
select group_id, from_at, until_at, lower, bound_per_h, source from lighting_raise
where group_id = any(%(groups)s) and until_at > %(since)s and from_at < %(until)s
order by from_at;

-- name: put_raise
insert into lighting_raise (group_id, from_at, until_at, lower, bound_per_h, source, changed_at)
values (%(group_id)s, %(from_at)s, %(until_at)s, %(lower)s, %(bound_per_h)s, %(source)s, %(now)s)
on conflict (group_id, from_at, source) do update
    set until_at = greatest(lighting_raise.until_at, excluded.until_at),
        lower = least(lighting_raise.lower, excluded.lower),
        bound_per_h = greatest(lighting_raise.bound_per_h, excluded.bound_per_h),
        changed_at = excluded.changed_at;

-- name: changed_gateways
-- Gateways of groups for which somebody or something decided since an instant.
select distinct g.gateway_id
from (select group_id from lighting_segment where changed_at > %(since)s
      union all select group_id from lighting_rule where changed_at > %(since)s
      union all select group_id from lighting_override where changed_at > %(since)s
      union all select group_id from lighting_raise where changed_at > %(since)s
      union all select group_id from lighting_decision where decided_at > %(since)s) c
join lighting_group g using (group_id);

-- name: insert_explanation
insert into lighting_explanation (plan_id, group_id, why)
values (%(plan_id)s, %(group_id)s, %(why)s)
on conflict (plan_id, group_id) do nothing;

-- name: explanation
-- Why the plan in force at an instant has its levels: the last one issued before it.
select p.plan_id, e.why
from lighting_explanation e
join lighting_plan p using (plan_id)
where e.group_id = %(group_id)s and p.issued_at <= %(at)s
order by p.issued_at desc, p.plan_id desc limit 1;

-- name: level_slots
-- Light given in each quarter of an hour, from a bounded sample of the lamps that are not failed;
-- all lamps of a group share one level.
select date_bin('15 minutes', r.t, timestamptz '2000-01-01 00:00+00') as slot,
       avg(r.level_pct)::float8 as level_pct
from light_reading r
where r.device_id = any(%(devices)s) and r.t >= %(since)s and r.t < %(until)s
  and r.level_pct is not null and coalesce(r.status, 0) & 3 = 0
group by slot
order by slot;

-- name: dead_hours
-- Lamp-hours by night that lamps were to shine and did not: failed, or dark under a command.
select n.night::int4,
       coalesce(sum(r.window_s) filter (where coalesce(r.status, 0) & 3 <> 0
                                        or (r.target_pct > 0 and r.level_pct = 0)), 0)::float8
           / 3600 as hours
from unnest(%(froms)s::timestamptz[], %(untils)s::timestamptz[])
     with ordinality as n(from_t, until_t, night)
left join light_reading r on r.device_id = any(%(devices)s)
     and r.t >= n.from_t and r.t < n.until_t
group by night
order by night;

-- name: live_counts
-- Vehicles of the last quarter of an hour; what a faulty or suspect row says is not counted.
select device_id, sum(forward_count::int8 + coalesce(backward_count, 0))::int8 as vehicles,
       least(sum(window_s), 2147483647)::int4 as covered_s
from passage_reading
where device_id = any(%(devices)s) and t >= %(since)s and t < %(until)s
  and forward_count is not null and quality & 152 = 0 and coalesce(status, 0) & 1 = 0
group by device_id;

-- name: weather
-- The newest value of every point of some sensors, named "gateway/device"; suspect ones left out.
select t.slug as territory, w.name || '/' || d.name as sensor, s.point,
       l.value, l.t + make_interval(secs => l.window_s) as told_at
from device d
join gateway w using (gateway_id)
join site using (site_id)
join territory t using (territory_id)
join series s using (device_id)
join latest_sample l using (series_id)
where w.name || '/' || d.name = any(%(sensors)s)
  and l.value is not null and l.quality & 134 = 0;

-- name: lamp_samples
-- Five-minute means of the lamps of a group: level commanded last, power, and failure bits.
select date_bin(make_interval(secs => %(step_s)s), r.t, timestamptz '2000-01-01 00:00+00') as at,
       r.device_id, max(r.target_pct)::float8 as target_pct, avg(r.power_w)::float8 as power_w,
       bool_or(coalesce(r.status, 0) & 3 <> 0) as failed
from light_reading r
where r.device_id = any(%(devices)s) and r.t >= %(since)s and r.t < %(until)s
group by at, r.device_id;

-- name: cabinet_samples
-- The same of the feeder meters and the contacts of a gateway.
select date_bin(make_interval(secs => %(step_s)s), x.t, timestamptz '2000-01-01 00:00+00') as at,
       sum(x.power_w)::float8 as power_w, avg(x.voltage_v)::float8 as voltage_v,
       coalesce(bit_or(x.status), 0)::int4 as status
from (select r.t, r.power_w / count(*) over (partition by r.device_id, date_bin(
                 make_interval(secs => %(step_s)s), r.t, timestamptz '2000-01-01 00:00+00'))
                 as power_w,
             r.voltage_l1_v as voltage_v, null::int2 as status
      from feeder_reading r join device d using (device_id)
      where d.gateway_id = %(gateway_id)s and r.t >= %(since)s and r.t < %(until)s
      union all
      select r.t, null, null, r.status
      from ambient_reading r join device d using (device_id)
      where d.gateway_id = %(gateway_id)s and r.t >= %(since)s and r.t < %(until)s) x
group by at;

-- name: curves
select t.slug as territory, c.model, c.source, c.idle_w, c.full_w, c.interval_w, c.readings
from lighting_curve c join territory t using (territory_id);

-- name: put_curve
insert into lighting_curve (territory_id, model, source, idle_w, full_w, interval_w, readings,
                            learned_at)
select territory_id, %(model)s, %(source)s, %(idle_w)s, %(full_w)s, %(interval_w)s, %(readings)s,
       %(now)s
from territory where slug = %(territory)s
on conflict (territory_id, model) do update
    set source = excluded.source, idle_w = excluded.idle_w, full_w = excluded.full_w,
        interval_w = excluded.interval_w, readings = excluded.readings,
        learned_at = excluded.learned_at;

-- name: notice_fault
insert into lighting_fault (group_id, device_id, kind, noticed_at)
values (%(group_id)s, %(device_id)s, %(kind)s, %(noticed_at)s)
on conflict (group_id, kind, coalesce(device_id, 0)) where cleared_at is null do nothing
returning fault_id;

-- name: open_faults
select fault_id, device_id, kind from lighting_fault
where group_id = %(group_id)s and cleared_at is null;

-- name: clear_faults
update lighting_fault set cleared_at = greatest(%(now)s, noticed_at)
where fault_id = any(%(faults)s);

-- name: faults
-- Newest first; only those that last, or all of the last weeks too.
select f.fault_id, t.slug as territory, g.slug as group_slug, d.name as device, f.kind,
       f.noticed_at, f.cleared_at
from lighting_fault f
join lighting_group g using (group_id)
join territory t using (territory_id)
left join device d on d.device_id = f.device_id
where f.cleared_at is null or (not %(open)s and f.noticed_at >= %(since)s)
order by f.noticed_at desc, f.fault_id desc;

-- name: put_active
insert into lighting_active (gateway_id, said_at, sha256, next_sha256, refused_sha256,
                             refused_error)
select gateway_id, %(said_at)s, %(active)s, %(next)s, %(refused)s, %(error)s
from gateway where name = %(gateway)s
on conflict (gateway_id) do update
    set said_at = excluded.said_at, sha256 = excluded.sha256, next_sha256 = excluded.next_sha256,
        refused_sha256 = excluded.refused_sha256, refused_error = excluded.refused_error
    where lighting_active.said_at <= excluded.said_at;

-- name: acknowledgement
-- What the gateway says of the plan last issued to it.
select a.said_at, (a.sha256 = p.sha256) as active, (a.next_sha256 = p.sha256) as waits,
       case when a.refused_sha256 = p.sha256 then a.refused_error end as refused
from (select sha256, gateway_id from lighting_plan where gateway_id = %(gateway_id)s
      order by issued_at desc, plan_id desc limit 1) p
join lighting_active a using (gateway_id);

-- name: acknowledgements
-- The plan last issued to each gateway, and what it says of that very plan.
select t.slug as territory, w.name as gateway, p.plan_id, p.issued_at, p.valid_until, a.said_at,
       (a.sha256 = p.sha256) as active, (a.next_sha256 = p.sha256) as waits,
       case when a.refused_sha256 = p.sha256 then a.refused_error end as refused
from (select distinct on (gateway_id) gateway_id, plan_id, issued_at, valid_until, sha256
      from lighting_plan order by gateway_id, issued_at desc, plan_id desc) p
join gateway w using (gateway_id)
join site using (site_id)
join territory t using (territory_id)
left join lighting_active a using (gateway_id)
order by t.slug, w.name;

-- name: drop_old_decisions
delete from lighting_decision where hour < %(before)s;

-- name: drop_old_raises
delete from lighting_raise where until_at < %(before)s;

-- name: put_night
insert into lighting_night (group_id, evening, verified_at, night)
values (%(group_id)s, %(evening)s, %(now)s, %(night)s)
on conflict (group_id, evening) do update
    set verified_at = excluded.verified_at, night = excluded.night;

-- name: nights
select evening, night from lighting_night
where group_id = %(group_id)s and evening between %(since)s and %(until)s;

-- name: drop_old_nights
delete from lighting_night where evening < %(before)s;
