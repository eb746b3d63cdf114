-- name: gateways
-- Whose readings an export holds, in the order in which it writes them.
select g.name
from gateway g join site s using (site_id) join territory t using (territory_id)
where (%(territory)s::text is null or t.slug = %(territory)s)
  and (%(gateway)s::text is null or g.name = %(gateway)s)
order by g.name collate "C";

-- name: sites
select t.slug, s.slug, s.name, s.kind, s.longitude, s.latitude,
       (select count(*) from gateway g where g.site_id = s.site_id)::int4
from site s join territory t using (territory_id)
where %(territory)s::text is null or t.slug = %(territory)s
order by t.slug collate "C", s.slug collate "C"
limit %(limit)s;

-- name: devices
-- Devices where they are: at their site, which is all that the registry knows.
select t.slug, s.slug, g.name, d.name, d.kind, d.title, d.provisioned, s.longitude, s.latitude
from device d join gateway g using (gateway_id) join site s using (site_id)
     join territory t using (territory_id)
where (%(territory)s::text is null or t.slug = %(territory)s)
  and (%(gateway)s::text is null or g.name = %(gateway)s)
  and (%(kind)s::text is null or d.kind = %(kind)s)
order by g.name collate "C", d.name collate "C"
limit %(limit)s;
