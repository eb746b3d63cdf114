-- name: days
-- Days by name from the day table, whose rows are sums already. A lamp may be in several groups and
-- then counts in each; below a site, a gateway or a territory every device counts once.
with member as materialized (
    select t.slug as territory, {name} as name, d.device_id
    from device d
    join gateway g using (gateway_id)
    join site s using (site_id)
    join territory t using (territory_id)
    {groups}
    where d.kind = %(kind)s
      and (%(territory)s::text is null or t.slug = %(territory)s)
      and (%(name)s::text is null or {name} = %(name)s)
),
owner as (select territory, name, count(*)::int4 as devices from member group by territory, name)
select m.territory, m.name, r.day,
       sum(r.{counter})::int8 as energy_wh,
       count(r.{counter})::int4 as counted,
       o.devices,
       coalesce(sum(least(r.{span}, r.length_s)) filter (where r.{span} is not null), 0)::float8
           / (o.devices::float8 * max(r.length_s)) as covered,
       sum(r.{resets})::int8 as resets
from {table} r
join member m using (device_id)
join owner o using (territory, name)
where r.day >= %(start)s and r.day < %(until)s
  and (%(after_day)s::date is null
       or (r.day, m.territory collate "C", m.name collate "C")
          > (%(after_day)s, %(after_territory)s, %(after_name)s))
group by m.territory, m.name, r.day, o.devices
order by r.day, m.territory collate "C", m.name collate "C"
limit %(limit)s;
