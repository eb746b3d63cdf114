-- name: gateways
-- The gateways of these names that the key may write for.
select g.name, g.gateway_id
from gateway g join site s using (site_id) join territory t using (territory_id)
where g.name = any(%(names)s) and (%(territory)s::text is null or t.slug = %(territory)s);
