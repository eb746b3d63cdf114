-- name: lock
-- Writers of the registry take turns: what one has checked cannot change before it writes.
select pg_advisory_xact_lock(hashtext('eclor registry'));

-- name: territories
select slug, name, time_zone from territory
where %(territory)s::text is null or slug = %(territory)s
order by slug;

-- name: sites
select t.slug, s.slug, s.name, s.kind, s.latitude, s.longitude
from site s join territory t using (territory_id)
where %(territory)s::text is null or t.slug = %(territory)s
order by t.slug, s.slug;

-- name: gateways
select g.name, t.slug, s.slug, g.settings
from gateway g join site s using (site_id) join territory t using (territory_id)
where (%(territory)s::text is null or t.slug = %(territory)s)
  and (%(gateway)s::text is null or g.name = %(gateway)s)
order by g.name;

-- name: devices
select g.name, d.name, d.kind, d.title, d.profile, d.settings
from device d join gateway g using (gateway_id) join site s using (site_id)
     join territory t using (territory_id)
where d.provisioned
  and (%(territory)s::text is null or t.slug = %(territory)s)
  and (%(gateway)s::text is null or g.name = %(gateway)s)
order by g.name, d.name;

-- name: undeclared
-- Devices that sent data before anybody declared them.
select g.name, d.name, d.kind
from device d join gateway g using (gateway_id) join site s using (site_id)
     join territory t using (territory_id)
where not d.provisioned
  and (%(territory)s::text is null or t.slug = %(territory)s)
  and (%(gateway)s::text is null or g.name = %(gateway)s)
order by g.name, d.name;

-- name: groups
select t.slug, l.slug, l.name, g.name,
       array(select d.name from lighting_group_member m join device d using (device_id)
             where m.group_id = l.group_id order by d.name),
       l.rated_power_w, l.baseline_power_w, l.baseline_name, l.normal_level_pct,
       l.reduced_levels, cg.name || '/' || c.name, l.capacity_per_h, l.switch_elevation_deg
from lighting_group l
     join territory t using (territory_id)
     join gateway g on g.gateway_id = l.gateway_id
     left join device c on c.device_id = l.counter_device_id
     left join gateway cg on cg.gateway_id = c.gateway_id
where %(territory)s::text is null or t.slug = %(territory)s
order by t.slug, l.slug;

-- name: facilities
select t.slug, s.slug, f.slug, f.name, f.bays, f.mean_service_s, f.opening, f.holidays,
       ag.name || '/' || a.name, eg.name || '/' || e.name, xg.name || '/' || x.name,
       vg.name || '/' || v.name || '/' || f.service_point, f.tail_reach, f.flows
from facility f
     join site s using (site_id) join territory t using (territory_id)
     left join device a on a.device_id = f.tail_device_id
     left join gateway ag on ag.gateway_id = a.gateway_id
     left join device e on e.device_id = f.entry_device_id
     left join gateway eg on eg.gateway_id = e.gateway_id
     left join device x on x.device_id = f.exit_device_id
     left join gateway xg on xg.gateway_id = x.gateway_id
     left join device v on v.device_id = f.service_device_id
     left join gateway vg on vg.gateway_id = v.gateway_id
where %(territory)s::text is null or t.slug = %(territory)s
order by t.slug, s.slug, f.slug;

-- name: public_facilities
-- What citizens may know of every facility: no devices.
select f.slug, f.name, t.slug, s.slug, f.bays, f.opening, t.time_zone, s.latitude, s.longitude
from facility f join site s using (site_id) join territory t using (territory_id)
order by t.slug, s.slug, f.slug;

-- name: write_territories
insert into territory (slug, name, time_zone) values (%(id)s, %(name)s, %(time_zone)s)
on conflict (slug) do update set name = excluded.name, time_zone = excluded.time_zone;

-- name: write_sites
insert into site (territory_id, slug, name, kind, latitude, longitude)
select territory_id, %(id)s, %(name)s, %(kind)s, %(latitude)s, %(longitude)s
from territory where slug = %(territory)s
on conflict (territory_id, slug) do update set
    name = excluded.name, kind = excluded.kind,
    latitude = excluded.latitude, longitude = excluded.longitude;

-- name: write_gateways
-- Keys of the settings that are no part of the registry's record stay as they are.
insert into gateway (site_id, name, settings)
select s.site_id, %(id)s, %(settings)s
from site s join territory t using (territory_id)
where t.slug = %(territory)s and s.slug = %(site)s
on conflict (name) do update set
    site_id = excluded.site_id,
    settings = (gateway.settings - %(keys)s::text[]) || excluded.settings;

-- name: write_devices
insert into device (gateway_id, name, kind, title, profile, settings)
select gateway_id, %(id)s, %(kind)s, %(title)s, %(profile)s, %(settings)s
from gateway where name = %(gateway)s
on conflict (gateway_id, name) do update set
    kind = excluded.kind, title = excluded.title, profile = excluded.profile,
    settings = excluded.settings, provisioned = true;

-- name: write_groups
insert into lighting_group (
    territory_id, gateway_id, slug, name, rated_power_w, baseline_power_w, baseline_name,
    normal_level_pct, reduced_levels, counter_device_id, capacity_per_h, switch_elevation_deg)
select t.territory_id, g.gateway_id, %(id)s, %(name)s, %(rated_power_w)s, %(baseline_power_w)s,
       %(baseline_name)s, %(normal_level_pct)s, %(reduced_levels)s,
       (select d.device_id from device d join gateway o using (gateway_id)
        where o.name || '/' || d.name = %(counter)s
          and o.name = split_part(%(counter)s, '/', 1)),
       %(capacity_per_h)s, %(switch_elevation_deg)s
from territory t, gateway g
where t.slug = %(territory)s and g.name = %(gateway)s
on conflict (territory_id, slug) do update set
    gateway_id = excluded.gateway_id, name = excluded.name,
    rated_power_w = excluded.rated_power_w, baseline_power_w = excluded.baseline_power_w,
    baseline_name = excluded.baseline_name, normal_level_pct = excluded.normal_level_pct,
    reduced_levels = excluded.reduced_levels, counter_device_id = excluded.counter_device_id,
    capacity_per_h = excluded.capacity_per_h, switch_elevation_deg = excluded.switch_elevation_deg;

-- name: write_group_members
-- The list replaces the old one.
with grp as (
    select l.group_id, l.gateway_id from lighting_group l join territory t using (territory_id)
    where t.slug = %(territory)s and l.slug = %(id)s
), wanted as (
    select grp.group_id, d.device_id
    from grp join device d using (gateway_id) where d.name = any(%(devices)s)
), gone as (
    delete from lighting_group_member m using grp
    where m.group_id = grp.group_id and m.device_id not in (select device_id from wanted)
)
insert into lighting_group_member (group_id, device_id) select group_id, device_id from wanted
on conflict do nothing;

-- name: write_facilities
with named as (
    select g.name || '/' || d.name as label, d.device_id
    from device d join gateway g using (gateway_id)
    where g.name = any(array[split_part(%(tail)s::text, '/', 1),
                             split_part(%(entry)s::text, '/', 1),
                             split_part(%(exit)s::text, '/', 1),
                             split_part(%(service)s::text, '/', 1)])
)
insert into facility (site_id, slug, name, bays, mean_service_s, opening, holidays,
                      tail_device_id, entry_device_id, exit_device_id, service_device_id,
                      service_point, tail_reach, flows)
select s.site_id, %(id)s, %(name)s, %(bays)s, %(mean_service_s)s, %(opening)s, %(holidays)s,
       (select device_id from named where label = %(tail)s),
       (select device_id from named where label = %(entry)s),
       (select device_id from named where label = %(exit)s),
       (select device_id from named
        where label = substring(%(service)s::text from '^[^/]+/[^/]+')),
       split_part(%(service)s::text, '/', 3), %(tail_reach)s, %(flows)s
from site s join territory t using (territory_id)
where t.slug = %(territory)s and s.slug = %(site)s
on conflict (site_id, slug) do update set
    name = excluded.name, bays = excluded.bays, mean_service_s = excluded.mean_service_s,
    opening = excluded.opening, holidays = excluded.holidays,
    tail_device_id = excluded.tail_device_id,
    entry_device_id = excluded.entry_device_id, exit_device_id = excluded.exit_device_id,
    service_device_id = excluded.service_device_id, service_point = excluded.service_point,
    tail_reach = excluded.tail_reach, flows = excluded.flows;

-- name: delete_territories
delete from territory where slug = %(id)s;

-- name: delete_sites
delete from site s using territory t
where t.territory_id = s.territory_id and t.slug = %(territory)s and s.slug = %(id)s;

-- name: delete_gateways
delete from gateway where name = %(id)s;

-- name: delete_devices
delete from device d using gateway g
where g.gateway_id = d.gateway_id and g.name = %(gateway)s and d.name = %(id)s;

-- name: delete_groups
-- Members go with their group.
delete from lighting_group l using territory t
where t.territory_id = l.territory_id and t.slug = %(territory)s and l.slug = %(id)s;

-- name: delete_facilities
delete from facility f using site s, territory t
where s.site_id = f.site_id and t.territory_id = s.territory_id
  and t.slug = %(territory)s and s.slug = %(site)s and f.slug = %(id)s;

-- name: device_has_readings
-- No foreign key leads from readings to devices (it would cost every COPY): asked here instead.
with wanted as (
    select d.device_id from device d join gateway g using (gateway_id)
    where g.name = %(gateway)s and d.name = %(id)s
)
select exists (select from latest_light join wanted using (device_id))
    or exists (select from latest_feeder join wanted using (device_id))
    or exists (select from latest_passage join wanted using (device_id))
    or exists (select from latest_ambient join wanted using (device_id))
    or exists (select from latest_outcome join wanted using (device_id))
    or exists (select from latest_gap join wanted using (device_id))
    or exists (select from latest_health join wanted using (device_id))
    or exists (select from series join wanted using (device_id));
