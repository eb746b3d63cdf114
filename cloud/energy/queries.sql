-- name: days
-- Days by name from the day table, whose rows are sums already. A lamp that is in several groups
-- (the registry takes it into one only) counts in each; every device counts once below a site, a
-- gateway or a territory.
-- Summed by the owner's number: by its names, as text, it took three times as long (470 against
-- 150 ms of CPU for 10,000 lamps over 30 days). Both parts read the registry for themselves, so that
-- the sums may run in parallel.
with member as not materialized (
    select {number} as owner_id, t.slug as territory, {name} as name, d.device_id
    from device d
    join gateway g using (gateway_id)
    join site s using (site_id)
    join territory t using (territory_id)
    {groups}
    where d.kind = %(kind)s
      and (%(territory)s::text is null or t.slug = %(territory)s)
      and (%(name)s::text is null or {name} = %(name)s)
),
owner as (
    select owner_id, min(territory) as territory, min(name) as name, count(*)::int4 as devices
    from member group by owner_id
),
total as (
    -- A float8 holds every sum of Wh below 2^53 exactly, and is added faster than a numeric.
    select m.owner_id, r.day,
           sum(r.{counter}::float8)::int8 as energy_wh,
           count(r.{counter})::int4 as counted,
           coalesce(sum(least(r.{span}, r.length_s)) filter (where r.{span} is not null), 0)
               as covered_s,
           max(r.length_s) as length_s,
           sum(r.{resets})::int8 as resets
    from {table} r join member m using (device_id)
    where r.day >= %(start)s and r.day < %(until)s
    group by m.owner_id, r.day
)
select o.territory, o.name, s.day, s.energy_wh, s.counted, o.devices,
       s.covered_s::float8 / (o.devices::float8 * s.length_s) as covered, s.resets
from total s join owner o using (owner_id)
where %(after_day)s::date is null
   or (s.day, o.territory collate "C", o.name collate "C")
      > (%(after_day)s, %(after_territory)s, %(after_name)s)
order by s.day, o.territory collate "C", o.name collate "C"
limit %(limit)s;
